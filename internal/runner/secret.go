package runner

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"iter"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Visible reports every place where secret shows in text, as "form at byte n", n counted from 0: as it is; in base64,
// either alphabet, at any of the three shifts, padded or not, alone or in the middle of something longer; in hex;
// escaped for a URL, JSON, HTML or XML; or quoted by Go. It looks for more than a mask covers, because a mask is the
// last resort. Nothing is left out: pass a log's Printed lines, not the raw output with its add-mask command.
func Visible(text, secret string) []string {
	var seen, tried []string
	for _, f := range spellings(secret) {
		if f.text == "" || slices.Contains(tried, f.text) {
			continue
		}
		tried = append(tried, f.text)
		for at := range occurrences(text, f.text) {
			seen = append(seen, fmt.Sprintf("%s at byte %d", f.name, at))
		}
	}
	return seen
}

type spelling struct{ name, text string }

func spellings(secret string) []spelling {
	inHex := hex.EncodeToString([]byte(secret))
	all := []spelling{
		{"plain", secret},
		{"hex", inHex},
		{"upper-case hex", strings.ToUpper(inHex)},
		{"URL query", url.QueryEscape(secret)},
		{"URL path", url.PathEscape(secret)},
		{"URL data", urlData(secret)},
		{"JSON", jsonString(secret, false)},
		{"JSON for HTML", jsonString(secret, true)},
		{"HTML", html.EscapeString(secret)},
		{"XML", xmlEntities.Replace(secret)},
		{"Go", unquoted(strconv.Quote(secret))},
		{"Go in ASCII", unquoted(strconv.QuoteToASCII(secret))},
	}
	for shift := range 3 {
		all = append(all,
			spelling{fmt.Sprintf("base64, shift %d", shift), base64Core(base64.RawStdEncoding, secret, shift)},
			spelling{fmt.Sprintf("URL base64, shift %d", shift), base64Core(base64.RawURLEncoding, secret, shift)})
	}
	return all
}

// masked lists the forms of value that an add-mask hides (HostContext.cs, ValueEncoders.cs): the value; base64 with
// its padding, in the standard alphabet, of the value and of the value less one and less two bytes; and the value
// escaped for JSON, for a URL and for XML. The runner hides a few more, for shells and quotes; to know fewer is to be
// the stricter judge.
func masked(value string) []string {
	forms := []string{value, jsonString(value, false), urlData(value), xmlEntities.Replace(value)}
	for shift := range 3 {
		if shift >= len(value) {
			break
		}
		forms = append(forms, base64.StdEncoding.EncodeToString([]byte(value[shift:])))
	}
	return forms
}

// hide replaces each stretch of text that is covered by forms with three stars, one set for forms that overlap or
// touch (SecretMasker.cs).
func hide(text string, forms []string) string {
	covered := make([]bool, len(text))
	for _, form := range forms {
		end := 0
		for at := range occurrences(text, form) {
			for i := max(at, end); i < at+len(form); i++ {
				covered[i] = true
			}
			end = at + len(form)
		}
	}
	var shown strings.Builder
	for i := range len(text) {
		switch {
		case !covered[i]:
			shown.WriteByte(text[i])
		case i == 0 || !covered[i-1]:
			shown.WriteString("***")
		}
	}
	return shown.String()
}

// occurrences yields where part, which is not empty, starts in text, overlaps included.
func occurrences(text, part string) iter.Seq[int] {
	return func(yield func(int) bool) {
		for from := 0; ; from++ {
			at := strings.Index(text[from:], part)
			if at < 0 || !yield(from+at) {
				return
			}
			from += at
		}
	}
}

// base64Core is what every base64 text has in common whose plain text holds secret at an offset that leaves the
// remainder shift when divided by three: the characters that secret alone decides.
func base64Core(encoding *base64.Encoding, secret string, shift int) string {
	encoded := encoding.EncodeToString(append(make([]byte, shift), secret...))
	first, last := (8*shift+5)/6, 8*(shift+len(secret))/6
	return encoded[first:max(first, last)]
}

var xmlEntities = strings.NewReplacer("<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&apos;", "&", "&amp;")

// urlData escapes all but the unreserved characters of RFC 3986.
func urlData(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

func jsonString(s string, forHTML bool) string {
	var encoded bytes.Buffer
	encoder := json.NewEncoder(&encoded)
	encoder.SetEscapeHTML(forHTML)
	_ = encoder.Encode(s) // a string always encodes
	return unquoted(strings.TrimSuffix(encoded.String(), "\n"))
}

func unquoted(s string) string { return s[1 : len(s)-1] }
