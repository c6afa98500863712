// Package runner parses an action's output as the GitHub runner does: the log with its workflow commands, masks and
// annotations, and the output file. It also finds a secret in text, in more encodings than a mask covers.
//
// It is a port of actions/runner, whose source files are named in parentheses. Where the runner depends on Unicode
// collation tables, the port has a simpler rule, which a comment describes.
package runner

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// byteOrderMark is skipped at the start of a stream or file, as .NET's StreamReader does, and nowhere else.
const byteOrderMark = "\ufeff"

// Command is a workflow command.
type Command struct {
	Name       string            // in lower case
	Properties map[string]string // keys in lower case, values unescaped; never nil
	Data       string            // unescaped
	Grammar    int               // 1 for "::name k=v,k=v::data", 2 for "##[name k=v;k=v]data"
}

// commandNames are the commands that the runner knows (ActionCommandManager.cs).
var commandNames = []string{
	"add-mask", "add-matcher", "add-path", "debug", "echo", "endgroup", "error", "group", "notice",
	"remove-matcher", "save-state", "set-env", "set-output", "stop-commands", "warning",
}

// grammar is one of the two forms of a command.
type grammar struct {
	number   int
	form     *regexp.Regexp // captures the name with its properties, and the data
	between  string         // separates properties
	property *strings.Replacer
	data     *strings.Replacer
}

// The runner finds "::" and "##[" by collation. Ignorable characters may be inside the closing "::", so
// "::error:<U+200B>:x" is an error. A marker before a combining mark is not found, so "::error::<U+0301>##[add-mask]x"
// adds a mask. ICU has tables for this. Here every control, format and mark character is ignorable, and every mark
// combines.
var grammars = []grammar{
	{
		number:   1,
		form:     regexp.MustCompile(`(?s)^::(.*?):[\p{Cc}\p{Cf}\p{M}]*:(|[^\p{M}\x{ff9e}\x{ff9f}].*)$`),
		between:  ",",
		property: strings.NewReplacer("%0D", "\r", "%0A", "\n", "%3A", ":", "%2C", ",", "%25", "%"),
		data:     strings.NewReplacer("%0D", "\r", "%0A", "\n", "%25", "%"),
	},
	{
		number:   2,
		form:     regexp.MustCompile(`(?s)##\[(|[^\]\p{M}\x{ff9e}\x{ff9f}][^\]]*)\](.*)$`),
		between:  ";",
		property: strings.NewReplacer("%3B", ";", "%0D", "\r", "%0A", "\n", "%5D", "]", "%25", "%"),
		data:     strings.NewReplacer("%3B", ";", "%0D", "\r", "%0A", "\n", "%5D", "]", "%25", "%"),
	},
}

// Lines splits the output of a process at \n, \r\n and \r, as the runner does (ProcessInvoker.cs). The line break at the
// end is optional. No other character ends a line.
func Lines(output string) []string {
	output = strings.TrimPrefix(output, byteOrderMark)
	if output == "" {
		return nil
	}
	output = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(output)
	return strings.Split(strings.TrimSuffix(output, "\n"), "\n")
}

// ParseCommand parses line as a workflow command and reports whether it is one (ActionCommand.cs). Grammar 1 must be at
// the start of the line, after optional Unicode white space. If it does not match, grammar 2 may match anywhere. A line
// with an unknown command name is ordinary output.
func ParseCommand(line string) (Command, bool) { return parseCommand(line, commandNames) }

// parseCommand is ParseCommand with the names to recognize.
func parseCommand(line string, known []string) (Command, bool) {
	line = strings.TrimLeftFunc(line, unicode.IsSpace)
	for _, g := range grammars {
		found := g.form.FindStringSubmatch(line)
		if found == nil {
			continue
		}
		name, properties, _ := strings.Cut(found[1], " ")
		i := slices.IndexFunc(known, func(k string) bool { return equalFold(k, name) })
		if i < 0 {
			continue
		}
		return Command{known[i], g.properties(properties), g.data.Replace(found[2]), g.number}, true
	}
	return Command{}, false
}

// properties parses a list of k=v pairs. It skips pairs without a key or a value, keeps blanks around a key, and strips
// leading "=" signs from keys and values.
func (g grammar) properties(list string) map[string]string {
	if g.number == 1 {
		list = strings.TrimSpace(list)
	}
	properties := make(map[string]string)
	for pair := range strings.SplitSeq(list, g.between) {
		key, value, _ := strings.Cut(strings.TrimLeft(pair, "="), "=")
		if value = strings.TrimLeft(value, "="); value != "" {
			properties[strings.ToLower(key)] = g.property.Replace(value)
		}
	}
	return properties
}

// equalFold compares names without regard to the case of ASCII letters. The length check rejects the Kelvin sign and
// the long s, which [strings.EqualFold] treats as k and s.
func equalFold(a, b string) bool { return len(a) == len(b) && strings.EqualFold(a, b) }
