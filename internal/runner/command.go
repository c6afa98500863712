// Package runner reads what a container action leaves behind as the GitHub runner would: the lines it prints, the
// workflow commands among them, the masks, the annotations and the output file.
//
// It follows the behaviour of actions/runner, whose files are named where a rule comes from, and serves as the tests'
// judge and as the eyes of a local try. Where a rule depends on the tables of the runner's Unicode library, the port
// takes a simpler one, and says so.
package runner

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// byteOrderMark is dropped at the start of a stream or a file by .NET's StreamReader, and nowhere else.
const byteOrderMark = "\ufeff"

// Command is a line that speaks to the runner.
type Command struct {
	Name       string            // in lower case
	Properties map[string]string // keys in lower case, values unescaped; never nil
	Data       string            // unescaped
	Grammar    int               // 1 for "::name k=v,k=v::data", 2 for "##[name k=v;k=v]data"
}

// names are the commands that an action can give (ActionCommandManager.cs).
var names = []string{
	"add-mask", "add-matcher", "add-path", "debug", "echo", "endgroup", "error", "group", "notice",
	"remove-matcher", "save-state", "set-env", "set-output", "stop-commands", "warning",
}

// grammar is one of the two ways to write a command.
type grammar struct {
	number   int
	form     *regexp.Regexp // captures what stands before the data, and the data
	between  string         // separates two properties
	property *strings.Replacer
	data     *strings.Replacer
}

// The runner looks for "::" and "##[" by collation, not by character. Characters without weight may stand inside the
// closing "::", so that "::error:<U+200B>:x" is an error; and a marker before a combining mark is not seen at all, so
// that "::error::<U+0301>##[add-mask]x" adds a mask. ICU has tables for this; here every control, format and mark
// character is without weight, and every mark combines.
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

// Lines splits what a process wrote to one stream at \n, \r\n and a bare \r, as .NET's StreamReader does, which the
// runner reads with (ProcessInvoker.cs). The end of the last line is optional. No other character ends a line.
func Lines(output string) []string {
	output = strings.TrimPrefix(output, byteOrderMark)
	if output == "" {
		return nil
	}
	output = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(output)
	return strings.Split(strings.TrimSuffix(output, "\n"), "\n")
}

// ParseCommand reports whether the runner takes line as a workflow command (ActionCommand.cs). The first grammar has
// to start the line, after any Unicode white space. The second is tried when the first does not hold, and it may
// start anywhere. A line with an unknown name is ordinary output in either.
func ParseCommand(line string) (Command, bool) { return parse(line, names) }

// parse is ParseCommand with the names to recognise.
func parse(line string, known []string) (Command, bool) {
	line = strings.TrimLeftFunc(line, unicode.IsSpace)
	for _, g := range grammars {
		found := g.form.FindStringSubmatch(line)
		if found == nil {
			continue
		}
		name, properties, _ := strings.Cut(found[1], " ")
		i := slices.IndexFunc(known, func(k string) bool { return same(k, name) })
		if i < 0 {
			continue
		}
		return Command{known[i], g.properties(properties), g.data.Replace(found[2]), g.number}, true
	}
	return Command{}, false
}

// properties reads a list of k=v pairs. A pair without a key or without a value is dropped, blanks around a key are
// part of it, and the "=" signs in front of a key or a value are lost.
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

// same compares two names without regard to the case of ASCII letters. The lengths keep out the Kelvin sign and the
// long s, which EqualFold takes for k and s and the runner does not.
func same(a, b string) bool { return len(a) == len(b) && strings.EqualFold(a, b) }
