package publish

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"html"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Limits on foreign text, in characters.
const (
	maxText = 400  // one text, such as the API's message
	maxLine = 3800 // a whole line of several texts; the runner truncates annotations at 4,096
)

// escapeSequence matches a terminal's control sequences and operating system commands (ECMA-48).
const escapeSequence = `\x1b\[[0-?]*[ -/]*[@-~]?|\x1b\][^\x07\x1b]*(\x07|\x1b\\)?`

// A cleaner sanitizes foreign text before it is shown anywhere.
type cleaner struct{ secrets *strings.Replacer }

// newCleaner returns a cleaner that replaces a secret with stars, both as it is and in the encodings in which a server
// may echo it: JSON, Go, URL and base64.
func newCleaner(secret string) cleaner {
	secret = strings.ToValidUTF8(secret, "\uFFFD") // as the cleaned texts are
	inJSON, _ := json.Marshal(secret)              // with < as \u003c; without that, JSON is like Go
	forms := []string{
		secret, url.QueryEscape(secret), url.PathEscape(secret),
		strings.Trim(string(inJSON), `"`), strings.Trim(strconv.Quote(secret), `"`),
	}
	for _, coding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
		forms = append(forms, coding.EncodeToString([]byte(secret)))
		// Inside a longer text, the secret may start at any byte of a group of three. The first and last characters are
		// left out if they also encode its neighbors.
		for shift := range 3 {
			encoded := coding.EncodeToString(append(make([]byte, shift), secret...))
			first, last := (shift*8+5)/6, (shift+len(secret))*8/6
			forms = append(forms, encoded[first:max(first, last)])
		}
	}
	// Longest first, so that no replacement leaves part of a longer form.
	slices.SortFunc(forms, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	var pairs []string
	for _, form := range slices.Compact(forms) {
		if len(form) >= 4 { // shorter ones would mask unrelated text
			pairs = append(pairs, form, "***")
		}
	}
	return cleaner{strings.NewReplacer(pairs...)}
}

// clean returns text as one line of valid UTF-8, at most n characters, without control, format, bidi or separator
// characters, runner commands in either grammar, or secrets. The result is plain text, not Markdown.
func (c cleaner) clean(text string, n int) string {
	text = c.secrets.Replace(strings.Join(strings.Fields(printable(text)), " "))
	text = strings.TrimLeftFunc(text, func(r rune) bool { return r == ' ' || combines(r) })
	return truncate(disarm(text), n)
}

// text cleans one of several texts on a line.
func (c cleaner) text(text string) string { return c.clean(text, maxText) }

// line is like clean but keeps white space, for example in a diff.
func (c cleaner) line(text string, n int) string {
	text = c.secrets.Replace(printable(text))
	text = strings.TrimLeftFunc(text, combines)
	return truncate(disarm(text), n)
}

// isVisible reports whether text is visible after cleaning.
func isVisible[T ~string](text T) bool {
	return cleaner{strings.NewReplacer()}.text(string(text)) != ""
}

// printable replaces every kind of white space with a space and removes invisible characters.
func printable(text string) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if strings.Contains(text, "\x1b") { // compiling the expression takes longer than everything else here
		text = regexp.MustCompile(escapeSequence).ReplaceAllString(text, "")
	}
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r), unicode.In(r, unicode.Z):
			return ' '
		case unicode.In(r, unicode.C), r == '\uFFFE', r == '\uFFFF':
			return -1
		}
		return r
	}, text)
}

// disarm breaks up anything that the runner would parse as a command.
func disarm(text string) string {
	text = strings.ReplaceAll(text, "##[", "## [")
	if strings.HasPrefix(strings.TrimLeft(text, " "), "::") {
		text = strings.Replace(text, "::", ": :", 1)
	}
	return text
}

// combines reports whether r combines with the character before it. After the "::" of a command it would hide the
// command from the runner, which compares strings by the rules of a culture.
func combines(r rune) bool { return unicode.IsMark(r) || r == '\uFF9E' || r == '\uFF9F' }

// truncate cuts s to at most n characters, between words if there is a space in the second half.
func truncate(s string, n int) string {
	runes := []rune(s)
	if len(runes) <= n {
		return s
	}
	cut := string(runes[:max(n-1, 0)])
	if space := strings.LastIndexByte(cut, ' '); space > len(cut)/2 {
		cut = cut[:space]
	}
	return cut + "…"
}

// codeSpan returns text, cleaned, as a Markdown code span, in which Markdown, HTML, links and mentions have no effect.
// In a table, pipes must be escaped as well.
func (c cleaner) codeSpan(text string) string {
	if text = c.text(text); text == "" {
		return ""
	}
	// Use the shortest fence that is not in the text: GitHub renders a fence of more than 80 backticks as plain text,
	// and its contents as Markdown.
	fence, runs := "`", strings.FieldsFunc(text, func(r rune) bool { return r != '`' })
	for slices.Contains(runs, fence) {
		fence += "`"
	}
	if strings.HasPrefix(text, "`") || strings.HasSuffix(text, "`") {
		text = " " + text + " "
	}
	return fence + text + fence
}

// codeHTML returns text, cleaned, as an HTML code element, for places where Markdown is not parsed.
func (c cleaner) codeHTML(text string) string {
	return "<code>" + html.EscapeString(c.text(text)) + "</code>"
}
