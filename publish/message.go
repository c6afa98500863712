package publish

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
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

var inputMention = regexp.MustCompile(`\{([\w-]+)(?:: (\S+))?\}`)

func (r renderer) text(m message) string {
	format := m.format
	if strings.Contains(format, "{") {
		format = inputMention.ReplaceAllStringFunc(format, func(s string) string {
			return strings.ReplaceAll(r.literal(r.input(s)), "%", "%%")
		})
	}
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

// input writes the input that {name} or {name: value} mentions.
func (r renderer) input(mention string) string {
	parts := inputMention.FindStringSubmatch(mention)
	name, value := parts[1], parts[2]
	switch {
	case !r.flags && value != "":
		return name + ": " + value
	case !r.flags || inputNamed(name) == nil:
		return name
	case name == "token":
		return "DIGA_TOKEN"
	case value == "" || value == "true":
		return "--" + name
	default:
		return "--" + name + "=" + value
	}
}

// capitalized is the text with a capital first letter, unless it begins with foreign text.
func (r renderer) capitalized(m message) string {
	s := r.text(m)
	if begin := m.begin(); begin != "" && begin[0] != '%' && begin[0] != '{' {
		first, size := utf8.DecodeRuneInString(s)
		s = string(unicode.ToUpper(first)) + s[size:]
	}
	return s
}

// sentence is the capitalized text with a period.
func (r renderer) sentence(m message) string {
	s := r.capitalized(m)
	if s == "" || strings.TrimRight(s, ".?!…") != s {
		return s
	}
	return s + "."
}

// begin is the format that the message begins with.
func (m message) begin() string {
	if strings.HasPrefix(m.format, "%s") && len(m.args) > 0 {
		switch first := m.args[0].(type) {
		case message:
			return first.begin()
		case string:
			return strings.TrimPrefix(first, "%")
		}
	}
	return m.format
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

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
