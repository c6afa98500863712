package publish

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"publish-agent-version/diga"
)

// A message is our own wording around foreign text. The two stay apart until the message is rendered, so that nothing
// foreign can be interpreted as Markdown, HTML or a workflow command. The zero value is empty.
//
// In the format, {name} and {name: value} are an input of the step.
type message struct {
	format string
	args   []any // diga.Foreign, message, or anything of our own that fmt can print
}

// say returns a message; format is that of fmt.Sprintf.
func say(format string, args ...any) message { return message{format, args} }

// foreign is a message that is nothing but foreign text.
func foreign[T ~string](s T) message { return say("%s", diga.Foreign(s)) }

func (m message) empty() bool { return m.format == "" }

// A renderer renders messages for one kind of output.
type renderer struct {
	literal func(string) string // makes foreign text and names of inputs safe and readable
	flags   bool                // inputs are flags of the command line
}

var inputMention = regexp.MustCompile(`\{([\w-]+)(: \S+)?\}`)

func (r renderer) text(m message) string {
	format := inputMention.ReplaceAllStringFunc(m.format, func(mention string) string {
		return strings.ReplaceAll(r.literal(r.input(strings.Trim(mention, "{}"))), "%", "%%")
	})
	args := make([]any, len(m.args))
	for i, arg := range m.args {
		switch arg := arg.(type) {
		case diga.Foreign:
			args[i] = r.literal(string(arg))
		case message:
			args[i] = r.text(arg)
		default:
			args[i] = arg
		}
	}
	return fmt.Sprintf(format, args...)
}

// input writes a mention of an input: name, or name: value.
func (r renderer) input(mention string) string {
	name, value, hasValue := strings.Cut(mention, ": ")
	switch {
	case !r.flags || inputNamed(name) == nil:
		return mention
	case name == "token":
		return "DIGA_TOKEN"
	case !hasValue || value == "true":
		return "--" + name
	default:
		return "--" + name + "=" + value
	}
}

// capitalized is the text with a capital first letter, unless it begins with foreign text or an input.
func (r renderer) capitalized(m message) string {
	if rest, ok := strings.CutPrefix(m.format, "%s"); ok && len(m.args) > 0 {
		switch first := m.args[0].(type) {
		case message:
			return r.capitalized(first) + r.text(message{rest, m.args[1:]})
		case string:
			return capital(first) + r.text(message{rest, m.args[1:]})
		}
	}
	return r.text(message{capital(m.format), m.args})
}

// capital makes the first letter of our own text a capital.
func capital(s string) string {
	_, size := utf8.DecodeRuneInString(s)
	return strings.ToUpper(s[:size]) + s[size:]
}

// sentence is the capitalized text with a period.
func (r renderer) sentence(m message) string {
	s := r.capitalized(m)
	if s == "" || strings.TrimRight(s, ".?!…") != s {
		return s
	}
	return s + "."
}

// sentences renders messages as sentences on one line.
func (r renderer) sentences(messages ...message) string {
	var all []string
	for _, m := range messages {
		if s := r.sentence(m); s != "" {
			all = append(all, s)
		}
	}
	return strings.Join(all, " ")
}

// list joins messages with commas, and the last with "and".
func list(messages []message) message {
	last := len(messages) - 1
	if last < 1 {
		return join(messages, "")
	}
	return say("%s and %s", join(messages[:last], ", "), messages[last])
}

func join(messages []message, separator string) message {
	var args []any
	for _, m := range messages {
		args = append(args, m)
	}
	format := strings.Repeat(separator+"%s", len(messages))
	return message{strings.TrimPrefix(format, separator), args}
}

// some lists at most n of the items.
func some[T any](n int, items []T, name func(T) message) (messages []message) {
	for _, item := range items[:min(n, len(items))] {
		messages = append(messages, name(item))
	}
	if more := len(items) - n; more > 0 {
		messages = append(messages, say("and %d more", more))
	}
	return messages
}
