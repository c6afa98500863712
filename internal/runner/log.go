package runner

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"
)

const (
	annotationLength = 4096 // UTF-16 units of a message that are kept
	annotationCount  = 10   // annotations of one level that a step may have
	stopTokenLength  = 6    // UTF-16 units; a longer stop token is masked
)

// Annotation is an error, a warning or a notice on the run's page.
type Annotation struct {
	Level   string // "error", "warning" or "notice"
	Title   string // not masked: the runner masks messages only
	Message string // masked, then cut
}

// Log is what the runner makes of a step's output.
type Log struct {
	Commands []Command // those that were taken, in order; not what ends stop-commands
	Lines    []string  // what is shown, masked; annotations and groups as "##[level]…"
	Printed  []string  // what was printed, not masked; the add-mask commands, which are never shown, are left out
	Masks    []string  // the values, in the order in which they were added
	Failures []error   // commands that fail the step by themselves

	issues []Annotation
}

// ReadLog obeys the commands in output, in order (ActionCommandManager.cs): a mask counts from its add-mask on, and
// between stop-commands and its token nothing is a command. Debug logging is off, problem matchers are not loaded,
// and the reasons of Failures are in this package's words. After a bad stop token, which makes the runner give up the
// step, ReadLog reads on, so that nothing that follows escapes a test.
func ReadLog(output string) *Log {
	r := reader{Log: new(Log), known: names}
	for _, line := range Lines(output) {
		r.read(line)
	}
	return r.Log
}

// Annotations returns the annotations that are shown: the first ten of each level, but not those of them without a
// message (ExecutionContext.cs, IssueExtensions.cs).
func (l *Log) Annotations() []Annotation {
	var shown []Annotation
	count := make(map[string]int)
	for _, issue := range l.issues {
		count[issue.Level]++
		if count[issue.Level] <= annotationCount && strings.TrimSpace(issue.Message) != "" {
			shown = append(shown, issue)
		}
	}
	return shown
}

// reader is the state between two lines.
type reader struct {
	*Log
	hidden []string // every form of every mask
	echo   bool     // whether most commands are shown too
	known  []string // the commands' names, and the token while it is awaited
	token  string   // what ends stop-commands; empty while commands are obeyed
}

func (r *reader) read(line string) {
	// While stopped the other names still count: "::error::##[token]" is read as an error and does not resume.
	command, taken := parse(line, r.known)
	if r.token != "" {
		if taken && same(command.Name, r.token) {
			r.known, r.token = names, ""
		}
		taken = false
	}
	if !taken || command.Name != "add-mask" {
		r.Printed = append(r.Printed, line)
	}
	if !taken {
		r.show(line)
		return
	}
	r.Commands = append(r.Commands, command)
	if err := r.obey(command, line); err != nil {
		r.Failures = append(r.Failures, fmt.Errorf("%s: %w", command.Name, err))
	}
}

// obey carries out command, which was written as line. An error fails the step.
func (r *reader) obey(command Command, line string) error {
	switch command.Name {
	case "add-mask":
		r.addMask(command.Data)
		return nil
	case "error", "warning", "notice":
		r.annotate(command.Name, command.Properties["title"], command.Data)
		return nil
	case "debug":
		return nil
	case "stop-commands":
		return r.stop(command.Data, line)
	}
	if r.echo {
		r.show(line)
	}
	switch command.Name {
	case "group":
		r.show("##[group]" + command.Data)
	case "endgroup":
		r.show("##[endgroup]")
	case "echo":
		value := strings.TrimSpace(command.Data)
		if !same(value, "on") && !same(value, "off") {
			return fmt.Errorf("%q is neither on nor off", value)
		}
		r.echo = same(value, "on")
	case "set-env", "add-path":
		return errors.New("disabled unless the workflow allows unsecure commands")
	case "set-output", "save-state":
		if command.Properties["name"] == "" {
			return errors.New("no name")
		}
	}
	return nil
}

// addMask hides value and each of its lines, without the blanks around the line, from here on.
func (r *reader) addMask(value string) {
	if strings.TrimSpace(value) == "" {
		r.annotate("warning", "", "add-mask: nothing to mask")
		return
	}
	if r.echo {
		r.show("::add-mask::***")
	}
	r.mask(value)
	for line := range strings.FieldsFuncSeq(value, func(c rune) bool { return c == '\r' || c == '\n' }) {
		r.mask(strings.TrimSpace(line))
	}
}

func (r *reader) mask(value string) {
	if value != "" && !slices.Contains(r.Masks, value) {
		r.Masks = append(r.Masks, value)
		r.hidden = append(r.hidden, masked(value)...)
	}
}

// stop turns commands off until token comes as a command's name, in either grammar.
func (r *reader) stop(token, line string) error {
	known := slices.ContainsFunc(names, func(name string) bool { return same(name, token) })
	if token == "" || known || same(token, "pause-logging") {
		return fmt.Errorf("%q cannot be a token", token)
	}
	if len(utf16.Encode([]rune(token))) > stopTokenLength {
		r.mask(token)
	}
	r.known, r.token = append(slices.Clip(names), token), token
	r.show(line)
	return nil
}

func (r *reader) annotate(level, title, message string) {
	message = cut(hide(message, r.hidden), annotationLength)
	r.issues = append(r.issues, Annotation{level, title, message})
	if message != "" {
		r.show("##[" + level + "]" + message)
	}
}

// show adds text to what is shown, masked. A line break in the text of a command breaks the line.
func (r *reader) show(text string) {
	r.Lines = append(r.Lines, Lines(hide(text, r.hidden)+"\n")...)
}

// cut keeps the first n UTF-16 units of text. Half a pair becomes U+FFFD.
func cut(text string, n int) string {
	encoded := utf16.Encode([]rune(text))
	return string(utf16.Decode(encoded[:min(n, len(encoded))]))
}
