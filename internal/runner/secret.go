package runner

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// FindSecret returns each place where secret appears in text, as "encoding at byte n". It looks for secret as it is; in
// standard and URL base64, padded or not, also as a part of longer encoded data; escaped for a URL or JSON; and quoted by
// Go. Pass it a log's Printed lines: the raw output contains the secret in its add-mask command.
func FindSecret(text, secret string) []string {
	var found, tried []string
	for _, e := range encodings(secret) {
		if e.text == "" || slices.Contains(tried, e.text) {
			continue
		}
		tried = append(tried, e.text)
		for at := range occurrences(text, e.text) {
			found = append(found, fmt.Sprintf("%s at byte %d", e.name, at))
		}
	}
	return found
}

// encoding is a secret in one encoding.
type encoding struct{ name, text string }

func encodings(secret string) []encoding {
	all := []encoding{
		{"plain", secret},
		{"URL query", url.QueryEscape(secret)},
		{"URL path", url.PathEscape(secret)},
		{"JSON", jsonString(secret, false)},
		{"JSON for HTML", jsonString(secret, true)},
		{"Go", unquoted(strconv.Quote(secret))},
	}
	for shift := range 3 {
		all = append(all,
			encoding{fmt.Sprintf("base64, shift %d", shift), base64Core(base64.RawStdEncoding, secret, shift)},
			encoding{fmt.Sprintf("URL base64, shift %d", shift), base64Core(base64.RawURLEncoding, secret, shift)})
	}
	return all
}

// base64Core returns the base64 characters that depend on secret alone if it is encoded at an offset of shift modulo 3.
func base64Core(enc *base64.Encoding, secret string, shift int) string {
	encoded := enc.EncodeToString(append(make([]byte, shift), secret...))
	first, last := (8*shift+5)/6, 8*(shift+len(secret))/6
	return encoded[first:max(first, last)]
}

func jsonString(s string, forHTML bool) string {
	var encoded bytes.Buffer
	encoder := json.NewEncoder(&encoded)
	encoder.SetEscapeHTML(forHTML)
	_ = encoder.Encode(s) // a string always encodes
	return unquoted(strings.TrimSuffix(encoded.String(), "\n"))
}

func unquoted(s string) string { return s[1 : len(s)-1] }
