package runner

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// FindSecret returns each encoding in which secret appears in text, as "encoding at byte n". It looks for secret as it
// is; in standard and URL base64, padded or not, also as a part of longer encoded data; in hex; escaped for a URL, JSON
// or HTML; and quoted by Go. Pass it a log's Printed lines: the raw output contains the secret in its add-mask command.
func FindSecret(text, secret string) []string {
	inHex := hex.EncodeToString([]byte(secret))
	quoted, _ := json.Marshal(secret) // a string always encodes
	inJSON := unquoted(string(quoted))
	type encoding struct{ name, text string }
	all := []encoding{
		{"plain", secret}, {"hex", inHex}, {"upper-case hex", strings.ToUpper(inHex)},
		{"URL query", url.QueryEscape(secret)}, {"URL path", url.PathEscape(secret)},
		{"URL data", strings.ReplaceAll(url.QueryEscape(secret), "+", "%20")},
		{"JSON for HTML", inJSON},
		{"JSON", strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(inJSON)},
		{"HTML", html.EscapeString(secret)},
		{"Go", unquoted(strconv.Quote(secret))}, {"Go in ASCII", unquoted(strconv.QuoteToASCII(secret))},
	}
	for shift := range 3 {
		for i, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			// Only these characters depend on the secret alone if it is encoded at an offset of shift modulo 3.
			first, last := (8*shift+5)/6, 8*(shift+len(secret))/6
			encoded := enc.EncodeToString(append(make([]byte, shift), secret...))
			name := fmt.Sprintf("%sbase64, shift %d", []string{"", "URL "}[i], shift)
			all = append(all, encoding{name, encoded[first:max(first, last)]})
		}
	}
	var found []string
	for i, e := range all {
		same := func(other encoding) bool { return other.text == e.text }
		if at := strings.Index(text, e.text); e.text != "" && at >= 0 && !slices.ContainsFunc(all[:i], same) {
			found = append(found, fmt.Sprintf("%s at byte %d", e.name, at))
		}
	}
	return found
}

func unquoted(s string) string { return s[1 : len(s)-1] }
