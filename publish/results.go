package publish

import (
	"encoding/json"
	"fmt"
	"strings"
)

// format is the format of the results outside GitHub Actions.
type format string

const (
	plain  format = "plain"  // name=value lines
	asJSON format = "json"   // one object
	dotenv format = "dotenv" // NAME=value lines that GitLab's dotenv reports and a shell's source read alike
)

// output is one step output.
type output struct{ name, value string }

// print returns the outputs in format f, and the names of those that it cannot represent.
func (f format) print(outputs []output) (printed string, left []string) {
	var b strings.Builder
	switch f {
	case asJSON:
		values := make(map[string]string, len(outputs))
		for _, o := range outputs {
			values[o.name] = o.value
		}
		encoder := json.NewEncoder(&b)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		_ = encoder.Encode(values) // encoding strings cannot fail
	case dotenv:
		for _, o := range outputs {
			if !plainInDotenv(o.value) {
				left = append(left, o.name)
				continue
			}
			fmt.Fprintf(&b, "%s=%s\n", strings.ToUpper(strings.ReplaceAll(o.name, "-", "_")), o.value)
		}
	default:
		for _, o := range outputs {
			fmt.Fprintf(&b, "%s=%s\n", o.name, o.value)
		}
	}
	return b.String(), left
}

// plainInDotenv reports whether a value means the same to a shell and to GitLab, which keeps quotes and has no escapes.
func plainInDotenv(value string) bool {
	return !strings.ContainsFunc(value, func(r rune) bool {
		return (r < 'a' || 'z' < r) && (r < 'A' || 'Z' < r) && (r < '0' || '9' < r) && !strings.ContainsRune("_./:+@%,-", r)
	})
}
