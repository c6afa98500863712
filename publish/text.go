package publish

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A renderer makes a literal safe and readable in one kind of output: cleaner.text in a log line, cleaner.codeSpan in
// Markdown.
type renderer func(string) string

// A literal is a string that is shown verbatim: the name of an input, an ID, or anything that this program did not
// write.
type literal string

// A text is our own wording around literals. The two stay apart until the text is rendered, so that no literal can be
// interpreted as Markdown, HTML or a workflow command. The zero value is empty.
type text struct {
	format string
	args   []any // literal, text, or anything of our own that fmt can print
}

// say returns a text; format is that of fmt.Sprintf.
func say(format string, args ...any) text { return text{format, args} }

func (t text) empty() bool { return t.format == "" }

// render returns the text with each literal passed through r.
func (t text) render(r renderer) string {
	args := make([]any, len(t.args))
	for i, arg := range t.args {
		switch arg := arg.(type) {
		case literal:
			args[i] = r(string(arg))
		case text:
			args[i] = arg.render(r)
		default:
			args[i] = arg
		}
	}
	return fmt.Sprintf(t.format, args...)
}

// capitalized returns the text with a capital first letter, unless it begins with a literal.
func (t text) capitalized() text {
	if !strings.HasPrefix(t.format, "%s") {
		return text{capitalize(t.format), t.args}
	}
	args := append([]any{}, t.args...)
	switch first := args[0].(type) {
	case string:
		args[0] = capitalize(first)
	case text:
		args[0] = first.capitalized()
	}
	return text{t.format, args}
}

func capitalize(s string) string {
	if s == "" {
		return ""
	}
	first, size := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(first)) + s[size:]
}

// list joins texts with commas, and the last with "and".
func list(texts []text) text {
	switch last := len(texts) - 1; last {
	case -1:
		return text{}
	case 0:
		return texts[0]
	default:
		return say("%s and %s", join(texts[:last], ", "), texts[last])
	}
}

func join(texts []text, separator string) text {
	if len(texts) == 0 {
		return text{}
	}
	args := make([]any, len(texts))
	for i, t := range texts {
		args[i] = t
	}
	return text{strings.Repeat("%s"+strings.ReplaceAll(separator, "%", "%%"), len(texts)-1) + "%s", args}
}

// sentence ends s with a full stop, unless it is empty or already ends a sentence.
func sentence(s string) string {
	if s == "" || strings.TrimRight(s, ".?!…") != s {
		return s
	}
	return s + "."
}

// truncate cuts s to at most n characters.
func truncate(s string, n int) string {
	if runes := []rune(s); len(runes) > n {
		return string(runes[:max(n-1, 0)]) + "…"
	}
	return s
}
