package runner

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"
)

const (
	maxAnnotationLength = 4096 // UTF-16 units
	maxAnnotations      = 10   // of one level
	maxPlainStopToken   = 6    // UTF-16 units; a longer stop token is masked
)

// Annotation is an error, a warning or a notice on the run's page.
type Annotation struct {
	Level   string // "error", "warning" or "notice"
	Title   string // not masked
	Message string // masked, then truncated
}

// Log is a step's parsed output.
type Log struct {
	Commands []Command // in order, without those that end stop-commands
	Lines    []string  // as displayed: masked, with annotations and groups as "##[level]…"
	Printed  []string  // as printed: not masked, without the add-mask commands, which are never displayed
	Failures []error   // why commands fail the step, in this package's words

	masks  []string // in the order in which they were added
	issues []Annotation
}

// ReadLog runs the commands in output in order (ActionCommandManager.cs). A mask applies from its add-mask on, and
// nothing is a command between stop-commands and its token. Debug logging is off and no problem matchers are loaded. An
// invalid stop token makes the runner abort the step, but ReadLog continues, so that tests see what follows.
func ReadLog(output string) *Log {
	r := reader{Log: new(Log), known: commandNames}
	for _, line := range Lines(output) {
		r.read(line)
	}
	return r.Log
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

// reader is the state of ReadLog between two lines.
type reader struct {
	*Log
	hidden []string // every form of every mask
	echo   bool     // whether most commands are displayed too
	known  []string // the command names, and the stop token if there is one
	token  string   // the stop token, or ""
}

func (r *reader) read(line string) {
	// While stopped, the other names are still recognized: "::error::##[token]" is an error and does not resume.
	command, ok := parseCommand(line, r.known)
	if r.token != "" {
		if ok && equalFold(command.Name, r.token) {
			r.known, r.token = commandNames, ""
		}
		ok = false
	}
	if !ok || command.Name != "add-mask" {
		r.Printed = append(r.Printed, line)
	}
	if !ok {
		r.show(line)
		return
	}
	r.Commands = append(r.Commands, command)
	if err := r.run(command, line); err != nil {
		r.Failures = append(r.Failures, fmt.Errorf("%s: %w", command.Name, err))
	}
}

// run runs command, which was printed as line. An error fails the step.
func (r *reader) run(command Command, line string) error {
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
		if !equalFold(value, "on") && !equalFold(value, "off") {
			return fmt.Errorf("%q is neither on nor off", value)
		}
		r.echo = equalFold(value, "on")
	case "set-env", "add-path":
		return errors.New("disabled unless the workflow allows unsecure commands")
	case "set-output", "save-state":
		if command.Properties["name"] == "" {
			return errors.New("no name")
		}
	}
	return nil
}

// addMask masks value and each of its lines, trimmed.
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
	if value != "" && !slices.Contains(r.masks, value) {
		r.masks = append(r.masks, value)
		r.hidden = append(r.hidden, maskedForms(value)...)
	}
}

// stop ignores commands until one is named token, in either grammar.
func (r *reader) stop(token, line string) error {
	known := slices.ContainsFunc(commandNames, func(name string) bool { return equalFold(name, token) })
	if token == "" || known || equalFold(token, "pause-logging") {
		return fmt.Errorf("%q cannot be a token", token)
	}
	if len(utf16.Encode([]rune(token))) > maxPlainStopToken {
		r.mask(token)
	}
	r.known, r.token = append(slices.Clip(commandNames), token), token
	r.show(line)
	return nil
}

func (r *reader) annotate(level, title, message string) {
	message = truncate(maskText(message, r.hidden), maxAnnotationLength)
	r.issues = append(r.issues, Annotation{level, title, message})
	if message != "" {
		r.show("##[" + level + "]" + message)
	}
}

// show displays text, masked and split into lines.
func (r *reader) show(text string) {
	r.Lines = append(r.Lines, Lines(maskText(text, r.hidden)+"\n")...)
}

// truncate keeps the first n UTF-16 units of text. Half a surrogate pair becomes U+FFFD.
func truncate(text string, n int) string {
	encoded := utf16.Encode([]rune(text))
	return string(utf16.Decode(encoded[:min(n, len(encoded))]))
}
