package publish

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"publish-agent-version/internal/runner"

	"github.com/sethvargo/go-githubactions"
)

// secret holds every printable character, so that each encoding has something to escape.
const secret = `tok!"#$%&'()+,-./:;<=>?@[\]^_{|}~0Aa` + "`"

func TestClean(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"nothing", "", ""},
		{"plain text", "Agent not found", "Agent not found"},
		{"other scripts", "é 中文 🙂 ñ", "é 中文 🙂 ñ"},
		{"blanks", " \t a  b \n", "a b"},
		{"line breaks", "a\nb\rc\r\nd\u0085e\u2028f\u2029g\vh\fi", "a b c d e f g h i"},
		{"separators", "a\u00a0b\u3000c\u2003d\u1680e", "a b c d e"},
		{"controls", "a\x00b\x07c\x7fd\u009be", "abcde"},
		{"format and bidi", "a\u200bb\u202ec\u2066d\u061ce\ufefff\u00adg\U000e0041h", "abcdefgh"},
		{"private and unassigned", "a\ue000b\U000f0000c\ufffed\U0001ffffe", "abcde"},
		{"not UTF-8", "a\xffb\xc3", "a\ufffdb\ufffd"},
		{"a surrogate", "a\xed\xa0\x80b", "a\ufffdb"},
		{"colours", "\x1b[31mred\x1b[0m \x1b[38;5;1mred\x1b[K", "red red"},
		{"a link of the terminal", "\x1b]8;;https://a.example\x1b\\text\x1b]8;;\a", "text"},
		{"a title without its end", "a\x1b]0;title", "a"},
		{"escapes within escapes", "\x1b\x1b[0m[31ma", "[31ma"},
		{"first grammar", "::add-mask::a", ": :add-mask::a"},
		{"first grammar after blanks", "\u3000\u00a0\t\n::add-mask::a", ": :add-mask::a"},
		{"first grammar after controls", "\u200b\x00::add-mask::a", ": :add-mask::a"},
		{"first grammar with controls inside", ":\u200b:add-mask::a", ": :add-mask::a"},
		{"first grammar on a later line", "a\n::add-mask::a", "a ::add-mask::a"},
		{"colons alone", "::", ": :"},
		{"many colons", ":::::a", ": ::::a"},
		{"one colon", ":a", ":a"},
		{"second grammar", "a ##[error]b", "a ## [error]b"},
		{"second grammar, twice", "##[##[error]", "## [## [error]"},
		{"second grammar with controls inside", "#\u200b#\x00[error]", "## [error]"},
		{"more hashes", "####[error]", "#### [error]"},
		{"leading marks", "\u0301 \u0308a", "a"},
		{"a leading sound mark, which combines too", "\uff9e\uff9fa", "a"},
		{"leading marks before a command", "\u0301::a", ": :a"},
		{"marks later on", "e\u0301", "e\u0301"},
		{"percent escapes", "%0A::add-mask::a %250A", "%0A::add-mask::a %250A"},
		{"Markdown stays text", "[a](b) <c> `d` | *e*", "[a](b) <c> `d` | *e*"},
		{"the token", "a" + secret + "b", "a***b"},
		{"the token between controls", "a" + interleave(secret, "\x00") + "b", "a***b"},
		{"the token between colours", "a" + interleave(secret, "\x1b[31m") + "b", "a***b"},
		{"the token between bidi controls", "a" + interleave(secret, "\u202e") + "b", "a***b"},
		{"the token as a command", "##[add-mask]" + secret, "## [add-mask]***"},
	}
	c := newCleaner(secret)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := c.clean(tt.text, 100); got != tt.want {
				t.Errorf("clean(%q) = %q, want %q", tt.text, got, tt.want)
			}
		})
	}
}

// interleave puts between after every byte of s.
func interleave(s, between string) string {
	var b strings.Builder
	for i := range len(s) {
		b.WriteString(s[i:i+1] + between)
	}
	return b.String()
}

func TestCleanLength(t *testing.T) {
	c := newCleaner("")
	for _, tt := range []struct{ text, want string }{
		{"aaaaa", "aaaaa"},
		{"aaaaaa", "aaaa…"},
		{"ééééé", "ééééé"},
		{"éééééé", "éééé…"},
		{"::aaa", ": :a…"},
		{strings.Repeat("a ", 1<<20), "a a…"},
		{strings.Repeat(" ", 1<<20) + "a", "a"},
	} {
		if got := c.clean(tt.text, 5); got != tt.want {
			t.Errorf("clean(%.20q) = %q, want %q", tt.text, got, tt.want)
		}
	}
}

// Truncation never leaves a part of the token behind: the token is replaced first.
func TestCleanLooksForTheTokenBeforeItCuts(t *testing.T) {
	c := newCleaner(secret)
	for n := range maxText {
		text := strings.Repeat("x", n) + secret
		if got, want := c.text(text), c.text(strings.Repeat("x", n)+"***"); got != want {
			t.Fatalf("after %d characters: got …%q, want …%q", n, got[max(0, len(got)-60):],
				want[max(0, len(want)-60):])
		}
	}
}

// TokenEncodings are the ways in which a server may echo a token.
func TokenEncodings(token string) map[string]string {
	inJSON, err := json.Marshal(token)
	if err != nil {
		panic(err)
	}
	query, path := url.QueryEscape(token), url.PathEscape(token)
	forms := map[string]string{
		"plain":     token,
		"URL query": query,
		"URL path":  path,
		"JSON": strings.Trim(strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`,
			"&").Replace(string(inJSON)), `"`),
		"JSON for HTML": strings.Trim(string(inJSON), `"`),
		"Go":            strings.Trim(strconv.Quote(token), `"`),
	}
	for name, coding := range map[string]*base64.Encoding{
		"base64": base64.StdEncoding, "base64, unpadded": base64.RawStdEncoding,
		"base64 for URLs": base64.URLEncoding, "base64 for URLs, unpadded": base64.RawURLEncoding,
	} {
		forms[name] = coding.EncodeToString([]byte(token))
		for shift := range 3 {
			for after := range 3 {
				text := "xyz"[:shift] + token + "xyz"[:after]
				forms[fmt.Sprintf("%s, %d before and %d after", name, shift,
					after)] = coding.EncodeToString([]byte(text))
			}
		}
		forms[name+", as the header is"] = coding.EncodeToString([]byte("Bearer " + token + "\r\n"))
	}
	return forms
}

func TestCleanStarsTheTokenInEveryEncoding(t *testing.T) {
	for _, token := range []string{
		secret,
		"sandbox-token-that-may-publish",
		"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
		"ab+/cd+/ef==",
		"12345678",
	} {
		c := newCleaner(token)
		for name, form := range TokenEncodings(token) {
			// Neighbours and missing padding leave a character of base64 that is not the token's alone.
			if alone := !strings.Contains(name, "before") && !strings.Contains(name, "header") &&
				!strings.Contains(name, "unpadded"); alone && c.text(form) != "***" {
				t.Errorf("%s, %s: clean(%q) = %q, want stars alone", token, name, form, c.text(form))
			}
			for _, text := range []string{form, "a " + form + " b", `"` + form + `"`, "=" + form + "&",
				form + "\n" + form} {
				got := c.clean(text, maxLine)
				if !strings.Contains(got, "***") || len(runner.FindSecret(got, token)) > 0 || strings.Contains(got,
					form) {
					t.Errorf("%s, %s: clean(%q) = %q", token, name, text, got)
					break
				}
			}
		}
	}
}

// Text around the token is not the token: it must not be replaced with stars.
func TestCleanLeavesTheRest(t *testing.T) {
	const text = "Version b1000000-0000-4000-8000-000000000229 (v1.22.8) of agent " +
		"a0000000-0000-4000-8000-000000000001 is live."
	for _, token := range []string{"", secret, "sandbox-token", "abc", "q"} {
		if got := newCleaner(token).clean(text, maxLine); got != text {
			t.Errorf("token %q: got %q", token, got)
		}
	}
}

// checkClean checks what clean promises of every text and every possible token.
func checkClean(t *testing.T, text, token string, most int) {
	t.Helper()
	c := newCleaner(token)
	got := c.clean(text, most)
	if !utf8.ValidString(got) || utf8.RuneCountInString(got) > most {
		t.Errorf("clean(%q, %d) = %q, which is not UTF-8 or too long", text, most, got)
	}
	for _, r := range got {
		if r != ' ' && (unicode.IsSpace(r) || unicode.In(r, unicode.C, unicode.Z)) {
			t.Errorf("clean(%q) = %q, which holds %U", text, got, r)
		}
	}
	if strings.Contains(got, "##[") || strings.HasPrefix(got, "::") {
		t.Errorf("clean(%q) = %q, which speaks to the runner", text, got)
	}
	if command, ok := runner.ParseCommand(got); ok {
		t.Errorf("clean(%q) = %q, which is the command %+v", text, got, command)
	}
	line := (&githubactions.Command{Name: "error", Message: got,
		Properties: githubactions.CommandProperties{"title": got}}).String()
	if command, _ := runner.ParseCommand(line); command.Name != "error" || command.Data != got {
		t.Errorf("clean(%q) = %q hides an annotation: the runner reads %+v", text, got, command)
	}
	if token != "" && secretToken(token).problem() != "" || strings.Contains(token, "*") {
		return // such a token is never sent, or completed by its own stars
	}
	if again := c.clean(got, most); again != got {
		t.Errorf("clean(%q) = %q, and cleaned again %q", text, got, again)
	}
	if len(token) >= 8 {
		if seen := runner.FindSecret(got, token); len(seen) > 0 {
			t.Errorf("clean(%q) = %q shows %q: %v", text, got, token, seen)
		}
	}
}

func TestCodeSpan(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"nothing", "", ""},
		{"controls alone", "\x00\u200b", ""},
		{"plain text", "v1.2.3", "`v1.2.3`"},
		{"markup", "<b>*a*</b> [a](b) @c #1", "`<b>*a*</b> [a](b) @c #1`"},
		{"a backtick", "a`b", "``a`b``"},
		{"a backtick at the start", "`a", "`` `a ``"},
		{"a backtick at the end", "a`", "`` a` ``"},
		{"a backtick alone", "`", "`` ` ``"},
		{"two backticks", "a``b", "`a``b`"},
		{"one and two backticks", "a`b``c", "```a`b``c```"},
		{"a line break", "a\n\n# b", "`a # b`"},
		{"the token", "a" + secret + "b", "`a***b`"},
	}
	c := newCleaner(secret)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := c.codeSpan(tt.text); got != tt.want {
				t.Errorf("codeSpan(%q) = %q, want %q", tt.text, got, tt.want)
			}
		})
	}
}

// renderSpan reads a code span by the rules of CommonMark 0.31, section 6.1, and returns what a reader sees; not ok
// when the Markdown is anything but one span.
func renderSpan(markdown string) (text string, ok bool) {
	text = strings.TrimLeft(markdown, "`")
	fence := markdown[:len(markdown)-len(text)]
	text, ok = strings.CutSuffix(text, fence)
	for run := range strings.FieldsFuncSeq(text, func(r rune) bool { return r != '`' }) {
		ok = ok && run != fence
	}
	// cmark-gfm, GitHub's renderer, takes a longer fence for plain text.
	ok = ok && 0 < len(fence) && len(fence) <= 80
	if strings.HasPrefix(text, " ") && strings.HasSuffix(text, " ") && strings.Trim(text, " ") != "" {
		text = text[1 : len(text)-1]
	}
	return text, ok && !strings.HasSuffix(text, "\n")
}
