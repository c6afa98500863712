package publish

import (
	"fmt"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"publish-agent-version/internal/runner"

	"github.com/sethvargo/go-githubactions"
)

// Secret is the token of some runs. It holds every printable character, so that each encoding has something to
// escape.
const (
	Secret = secret
	secret = `tok!"#$%&'()+,-./:;<=>?@[\]^_{|}~0Aa` + "`"
)

// HostileTexts are what a server or an input may contain to forge commands or markup.
var HostileTexts = []string{
	"a\n::add-mask::a", "a\r::error::forged", "a\r\n::error title=forged::forged",
	"a ##[set-output name=published-version-id]x", "##[##[error]]", "#\u200b#[error]forged", "##[set-env name=PATH]x",
	"##[add-matcher]x",
	"\u3000::SET-OUTPUT name=x::y", "\u00a0::SET-OUTPUT name=x::y", "\t::SET-OUTPUT name=x::y",
	"\ufeff::set-output name=x::y",
	"::stop-commands::t", "::error\u200b::x", "\u0301::error::x", "\uff9e::error::x", ":\u200b:error::x",
	"%0A::add-mask::x", "%250A::add-mask::x", "%3A%3Aerror%3A%3Ax",
	"_GitHubActionsFileCommandDelimeter_\nstatus=published", "a=b", "a<<EOF", "a<<EOF\nb\nEOF\nstatus=published", "=",
	"<<",
	"\x1b[31mred\x1b]0;title\a\x1b]8;;https://a.example\x1b\\x", "\u202e\u2066\u2028\u2029\u0085\u061c\U000e0041",
	"\xff\xfe\x00\xc3(\xed\xa0\x80",
	"<img src=x onerror=alert(1)>", "<!-- ", "</td></table><h1>", "[a](https://a.example)", "![a](https://a.example)",
	"https://a.example www.a.example a@a.example",
	"@octocat #1 octo-org/octo-repo#1", "| a | b |", `\|`, "`", "``` \n# a", "`` `a` ``",
	strings.Repeat("`", 90) + "[a](https://a.example)",
	"**a** __b__ ~~c~~ $d$", "&lt;img&gt; &#60;", "- a\n- b", ":tada:",
	"${{ secrets.TOKEN }}", "$(id) `id` ;id", "%s %d %!", "***", "…", "{", `{"error_code":"X"}`, "null",
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

func FuzzClean(f *testing.F) {
	for _, text := range HostileTexts {
		for _, most := range []int{5, 20, maxText, maxLine} {
			f.Add("a"+text+"b"+text, secret, most)
			f.Add(text+secret+text, secret, most)
			f.Add(text+secret, text, most)
		}
	}
	backticks := "`" + strings.Repeat("x`", 500)
	for n := range 100 { // runs of every length that fit, alone and together
		backticks += "x" + strings.Repeat("`", n)
		f.Add(strings.Repeat("`", n), secret, maxText)
		f.Add(backticks, secret, maxText)
	}
	f.Fuzz(func(t *testing.T, text, token string, most int) {
		if most < 4 || most > maxLine { // 4 have room for ": :" and an ellipsis
			most = maxText
		}
		checkClean(t, text, token, most)
		want := newCleaner(token).text(text)
		if got, ok := renderSpan(newCleaner(token).codeSpan(text)); want != "" && (!ok || got != want) {
			t.Errorf("codeSpan(%q) shows %q, want %q", text, got, want)
		}
	})
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

func TestTokenPrintsAsStars(t *testing.T) {
	token := secretToken(secret)
	for _, format := range []string{"%v", "%s", "%q", "%+v", "%#v", "%x", "%X"} {
		for _, value := range []any{token, &token, inputs{Token: token}, []secretToken{token},
			map[string]secretToken{"a": token}} {
			if got := fmt.Sprintf(format, value); len(runner.FindSecret(got, secret)) > 0 {
				t.Errorf("%s of %T shows the token: %s", format, value, got)
			}
		}
	}
	if token.reveal() != secret || fmt.Sprint(token) != "***" {
		t.Errorf("reveals %q, prints as %s", token.reveal(), token)
	}
}
