package runner

import (
	"fmt"
	"slices"
	"strings"
)

// Output is one step output.
type Output struct{ Name, Value string }

// Outputs reads the content of a GITHUB_OUTPUT file, in file order (FileCommandManager.cs). Only \n ends a line, so a
// \r stays in the name, the value or the delimiter; empty lines are skipped. A line is name=value when its first "="
// stands before its first "<<", and otherwise name<<delimiter, whose value is every line up to one that equals the
// delimiter. A name that comes again, in any case, replaces the earlier value when the workflow reads it.
//
// An error fails the step, whatever its exit status. The outputs read before it are set all the same and are returned
// with it.
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
