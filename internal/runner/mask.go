package runner

import (
	"encoding/base64"
	"iter"
	"net/url"
	"strings"
)

// maskedForms returns the forms of value that the runner masks (HostContext.cs, ValueEncoders.cs): value itself, padded
// base64 of value and of value without its first one and two bytes, and value escaped for JSON, URLs and XML. The runner
// also masks a few shell and quoted forms. Leaving them out makes tests stricter.
func maskedForms(value string) []string {
	forms := []string{value, jsonString(value, false), urlData(value), xmlEntities.Replace(value)}
	for shift := range 3 {
		if shift >= len(value) {
			break
		}
		forms = append(forms, base64.StdEncoding.EncodeToString([]byte(value[shift:])))
	}
	return forms
}

// maskText replaces all forms in text with "***", once where they overlap or touch (SecretMasker.cs).
func maskText(text string, forms []string) string {
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

// occurrences yields each index of part in text, including overlapping ones. part must not be empty.
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

var xmlEntities = strings.NewReplacer("<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&apos;", "&", "&amp;")

// urlData percent-encodes all but the unreserved characters of RFC 3986.
func urlData(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
