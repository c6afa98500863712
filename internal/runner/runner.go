// Package runner parses an action's output as the GitHub runner does: the log with its workflow commands, masks and
// annotations, and the output file. It also finds a secret in text, in more encodings than a mask covers.
//
// It is a port of actions/runner, whose source files are named in parentheses. Where it is simpler, it is stricter: a
// command that an action has no reason to print fails the step here, and masks cover fewer encodings.
package runner

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf16"
)

// byteOrderMark is skipped at the start of a stream or file, as .NET's StreamReader does, and nowhere else.
const byteOrderMark = "\ufeff"

const (
	maxAnnotationLength = 4096 // UTF-16 units
	maxAnnotations      = 10   // of one level
)

// Command is a workflow command.
type Command struct {
	Name       string            // in lower case
	Properties map[string]string // keys in lower case, values unescaped; never nil
	Data       string            // unescaped
	Grammar    int               // 1 for "::name k=v,k=v::data", 2 for "##[name k=v;k=v]data"
}

// commandNames are the commands that the runner knows (ActionCommandManager.cs). An action may print the first seven.
var commandNames = []string{
	"add-mask", "debug", "notice", "warning", "error", "group", "endgroup",
	"add-matcher", "add-path", "echo", "remove-matcher", "save-state", "set-env", "set-output", "stop-commands",
}

const harmless = 7 // of commandNames

// grammar is one of the two forms of a command.
type grammar struct {
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
		form:     regexp.MustCompile(`(?s)^::(.*?):[\p{Cc}\p{Cf}\p{M}]*:(|[^\p{M}\x{ff9e}\x{ff9f}].*)$`),
		between:  ",",
		property: strings.NewReplacer("%0D", "\r", "%0A", "\n", "%3A", ":", "%2C", ",", "%25", "%"),
		data:     strings.NewReplacer("%0D", "\r", "%0A", "\n", "%25", "%"),
	},
	{
		form:     regexp.MustCompile(`(?s)##\[(|[^\]\p{M}\x{ff9e}\x{ff9f}][^\]]*)\](.*)$`),
		between:  ";",
		property: strings.NewReplacer("%3B", ";", "%0D", "\r", "%0A", "\n", "%5D", "]", "%25", "%"),
		data:     strings.NewReplacer("%3B", ";", "%0D", "\r", "%0A", "\n", "%5D", "]", "%25", "%"),
	},
}

// Lines splits the output of a process at \n, \r\n and \r, as the runner does (ProcessInvoker.cs). The line break at
// the end is optional. No other character ends a line.
func Lines(output string) []string {
	output = strings.TrimPrefix(output, byteOrderMark)
	if output == "" {
		return nil
	}
	output = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(output)
	return strings.Split(strings.TrimSuffix(output, "\n"), "\n")
}

// ParseCommand parses line as a workflow command and reports whether it is one (ActionCommand.cs). The first grammar
// must be at the start of the line, after optional Unicode white space. If it does not match, the second may match
// anywhere. A line with an unknown command name is ordinary output.
func ParseCommand(line string) (Command, bool) {
	line = strings.TrimLeftFunc(line, unicode.IsSpace)
	for number, g := range grammars {
		found := g.form.FindStringSubmatch(line)
		if found == nil {
			continue
		}
		name, properties, _ := strings.Cut(found[1], " ")
		// The length check rejects the Kelvin sign and the long s, which EqualFold treats as k and s.
		same := func(known string) bool { return len(known) == len(name) && strings.EqualFold(known, name) }
		if i := slices.IndexFunc(commandNames, same); i >= 0 {
			if number == 0 {
				properties = strings.TrimSpace(properties)
			}
			return Command{commandNames[i], g.properties(properties), g.data.Replace(found[2]), number + 1}, true
		}
	}
	return Command{}, false
}

// properties parses a list of k=v pairs. It skips pairs without a key or a value, keeps blanks around a key, and strips
// leading "=" signs from keys and values.
func (g grammar) properties(list string) map[string]string {
	properties := make(map[string]string)
	for pair := range strings.SplitSeq(list, g.between) {
		key, value, _ := strings.Cut(strings.TrimLeft(pair, "="), "=")
		if value = strings.TrimLeft(value, "="); value != "" {
			properties[strings.ToLower(key)] = g.property.Replace(value)
		}
	}
	return properties
}

// Annotation is an error, a warning or a notice on the run's page.
type Annotation struct {
	Level   string // "error", "warning" or "notice"
	Title   string // not masked
	Message string // masked, then truncated
}

// Log is a step's parsed output.
type Log struct {
	Commands []Command // in order
	Lines    []string  // as displayed: masked, with annotations and groups as "##[level]…"
	Printed  []string  // as printed: not masked, without the add-mask commands, which are never displayed
	Failures []error   // the commands that an action has no reason to print

	masks  []string // in the order in which they were added
	issues []Annotation
}

// ReadLog runs the commands in output in order (ActionCommandManager.cs). A mask applies from its add-mask on, and
// where two masks overlap, only the first is applied. Debug logging is off.
func ReadLog(output string) *Log {
	l := new(Log)
	for _, line := range Lines(output) {
		command, ok := ParseCommand(line)
		if command.Name != "add-mask" {
			l.Printed = append(l.Printed, line)
		}
		if !ok {
			l.show(line)
			continue
		}
		l.Commands = append(l.Commands, command)
		switch command.Name {
		case "add-mask":
			l.mask(command.Data)
		case "error", "warning", "notice":
			message := truncate(l.hide(command.Data), maxAnnotationLength)
			l.issues = append(l.issues, Annotation{command.Name, command.Properties["title"], message})
			if message != "" {
				l.show("##[" + command.Name + "]" + message)
			}
		case "group":
			l.show("##[group]" + command.Data)
		case "endgroup":
			l.show("##[endgroup]")
		}
		if slices.Index(commandNames, command.Name) >= harmless {
			l.Failures = append(l.Failures, fmt.Errorf("the command %s in %q", command.Name, line))
		}
	}
	return l
}

// Annotations returns the annotations that are displayed: those with a message among the first ten of each level
// (ExecutionContext.cs, IssueExtensions.cs).
func (l *Log) Annotations() []Annotation {
	var shown []Annotation
	count := make(map[string]int)
	for _, issue := range l.issues {
		count[issue.Level]++
		if count[issue.Level] <= maxAnnotations && strings.TrimSpace(issue.Message) != "" {
			shown = append(shown, issue)
		}
	}
	return shown
}

// mask hides value and each of its lines, trimmed, from now on. A mask of nothing fails the step.
func (l *Log) mask(value string) {
	if strings.TrimSpace(value) == "" {
		l.Failures = append(l.Failures, errors.New("add-mask: nothing to mask"))
		return
	}
	l.masks = append(l.masks, value)
	for _, line := range Lines(value) {
		if line = strings.TrimSpace(line); line != "" {
			l.masks = append(l.masks, line)
		}
	}
}

// hide replaces what is masked with "***".
func (l *Log) hide(text string) string {
	for _, mask := range l.masks {
		text = strings.ReplaceAll(text, mask, "***")
	}
	return text
}

// show displays text, masked and split into lines.
func (l *Log) show(text string) { l.Lines = append(l.Lines, Lines(l.hide(text)+"\n")...) }

// truncate keeps the first n UTF-16 units of text. Half a surrogate pair becomes U+FFFD.
func truncate(text string, n int) string {
	encoded := utf16.Encode([]rune(text))
	return string(utf16.Decode(encoded[:min(n, len(encoded))]))
}

// Output is one step output.
type Output struct{ Name, Value string }

// Outputs parses the content of a GITHUB_OUTPUT file, in file order (FileCommandManager.cs). Only \n ends a line, so \r
// is part of a name, value or delimiter. Empty lines are skipped. A line is name=value if its first "=" is before its
// first "<<". Otherwise it is name<<delimiter, and the value is every line up to one that equals the delimiter. If a
// name is repeated in any case, the last value counts.
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
