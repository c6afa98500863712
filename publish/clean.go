package publish

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of what is shown of a text that somebody else wrote, in characters.
const (
	mostText = 400  // one text, such as the API's message
	mostLine = 3800 // a whole line, of a handful of texts; the runner cuts an annotation at 4,096
)

// A cleaner stands between every text that this program did not write and every place where one is shown.
type cleaner struct{ secrets *strings.Replacer }

// newCleaner returns a cleaner that puts stars in the place of secret, as it is and in the encodings in which a server
// may echo it. An empty secret is none.
func newCleaner(secret string) cleaner {
	if secret == "" {
		return cleaner{strings.NewReplacer()}
	}
	var pairs []string
	for _, form := range encodings(secret) {
		pairs = append(pairs, form, "***")
	}
	return cleaner{strings.NewReplacer(pairs...)}
}

var (
	escapeSequence = regexp.MustCompile(`\x1b\[[0-?]*[ -/]*[@-~]?|\x1b\][^\x07\x1b]*(\x07|\x1b\\)?`) // ECMA-48: CSI and OSC
	namedEntities  = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&apos;")
	secondGrammar  = strings.NewReplacer("##[", "## [")
)

// clean returns text as one line of valid UTF-8, at most most characters, that holds no control, format, bidi or
// separator character, neither of the runner's two command grammars, and no secret. It is text still, not Markdown.
func (c cleaner) clean(text string, most int) string {
	text = escapeSequence.ReplaceAllString(strings.ToValidUTF8(text, "\uFFFD"), "")
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r), unicode.In(r, unicode.Z):
			return ' '
		case unicode.In(r, unicode.C), r == '\uFFFE', r == '\uFFFF':
			return -1
		}
		return r
	}, text)
	text = c.secrets.Replace(strings.Join(strings.Fields(text), " "))
	text = secondGrammar.Replace(text)
	// A mark that combines with the "::" before it would hide a command of ours from the runner, which compares by the
	// rules of a language.
	text = strings.TrimLeftFunc(text, func(r rune) bool { return r == ' ' || unicode.IsMark(r) })
	if rest, live := strings.CutPrefix(text, "::"); live {
		text = ": :" + rest
	}
	if utf8.RuneCountInString(text) > most {
		text = string([]rune(text)[:most-1]) + "…"
	}
	return text
}

// encodings lists the forms of secret that are looked for, the longest first, so that none leaves a part of another.
func encodings(secret string) []string {
	quoted, _ := json.Marshal(secret)
	var everyByte strings.Builder
	for _, b := range []byte(secret) {
		fmt.Fprintf(&everyByte, "%%%02X", b)
	}
	plainHex := hex.EncodeToString([]byte(secret))
	query, path := url.QueryEscape(secret), url.PathEscape(secret)
	forms := []string{
		secret, html.EscapeString(secret), namedEntities.Replace(secret), strings.Trim(string(quoted), `"`), strings.Trim(strconv.Quote(secret), `"`),
		query, lowerEscapes(query), path, lowerEscapes(path), everyByte.String(), strings.ToLower(everyByte.String()),
		plainHex, strings.ToUpper(plainHex),
	}
	for _, coding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
		forms = append(forms, coding.EncodeToString([]byte(secret)))
		// Inside a longer text the secret may start at any byte of a group of three. What its neighbours share of the
		// first and the last character is left out.
		for shift := range 3 {
			encoded := coding.EncodeToString(append(make([]byte, shift), secret...))
			first, last := (shift*8+5)/6, (shift+len(secret))*8/6
			if last-first >= 4 { // shorter ones would star out innocent text
				forms = append(forms, encoded[first:last])
			}
		}
	}
	slices.SortFunc(forms, func(a, b string) int { return len(b) - len(a) })
	return slices.Compact(forms)
}

var percentEscape = regexp.MustCompile(`%[0-9A-F]{2}`)

func lowerEscapes(s string) string { return percentEscape.ReplaceAllStringFunc(s, strings.ToLower) }

// text is clean for one text among others on a line.
func (c cleaner) text(text string) string { return c.clean(text, mostText) }

// codeSpan returns text, cleaned, as Markdown that shows it as it is: a code span, in which neither Markdown nor HTML,
// links or mentions mean anything. It fits in a table.
func (c cleaner) codeSpan(text string) string {
	text = c.clean(text, mostText)
	if text == "" {
		return ""
	}
	fence := "`"
	for strings.Contains(text, fence) {
		fence += "`"
	}
	if strings.HasPrefix(text, "`") || strings.HasSuffix(text, "`") {
		text = " " + text + " "
	}
	return fence + strings.ReplaceAll(text, "|", `\|`) + fence
}
