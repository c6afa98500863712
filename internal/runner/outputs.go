package runner

import (
	"fmt"
	"slices"
	"strings"
)

// Output is one step output.
type Output struct{ Name, Value string }

// Outputs parses the content of a GITHUB_OUTPUT file, in file order (FileCommandManager.cs). Only \n ends a line, so \r is
// part of a name, value or delimiter. Empty lines are skipped. A line is name=value if its first "=" is before its first
// "<<". Otherwise it is name<<delimiter, and the value is every line up to one that equals the delimiter. If a name is
// repeated in any case, the last value counts.
//
// An error fails the step, whatever its exit status. Outputs also returns the outputs before the error, because the
// runner sets them.
func Outputs(content string) ([]Output, error) {
	var outputs []Output
	lines := strings.Split(strings.TrimPrefix(content, byteOrderMark), "\n")
	for i := 0; i < len(lines); i++ {
		line, number := lines[i], i+1
		if line == "" {
			continue
		}
		name, value, plain := strings.Cut(line, "=")
		if start, delimiter, heredoc := strings.Cut(line, "<<"); heredoc && len(start) < len(name) {
			if delimiter == "" {
				return outputs, fmt.Errorf("line %d: no delimiter in %q", number, line)
			}
			length := slices.Index(lines[i+1:], delimiter)
			if length < 0 {
				return outputs, fmt.Errorf("line %d: delimiter %q never comes", number, delimiter)
			}
			name, value, plain = start, strings.Join(lines[i+1:][:length], "\n"), true
			i += length + 1
		}
		if !plain {
			return outputs, fmt.Errorf("line %d: %q is neither name=value nor name<<delimiter", number, line)
		}
		if name == "" {
			return outputs, fmt.Errorf("line %d: no name in %q", number, line)
		}
		outputs = append(outputs, Output{name, value})
	}
	return outputs, nil
}
