package runner

import (
	"strings"
	"testing"
)

func TestFindSecret(t *testing.T) {
	const secret = "s\"é<c r&e/t?~'>\x01" // has characters that each encoding escapes differently
	tests := []struct{ text, want string }{
		{"a s\"é<c r&e/t?~'>\x01 b", "plain at byte 2"},
		{"7322c3a93c63207226652f743f7e273e01", "hex at byte 0"},
		{"7322C3A93C63207226652F743F7E273E01", "upper-case hex at byte 0"},
		{"s%22%C3%A9%3Cc+r%26e%2Ft%3F~%27%3E%01", "URL query at byte 0"},
		{"s%22%C3%A9%3Cc%20r&e%2Ft%3F~%27%3E%01", "URL path at byte 0"},
		{"s%22%C3%A9%3Cc%20r%26e%2Ft%3F~%27%3E%01", "URL data at byte 0"},
		{`{"a":"s\"é<c r&e/t?~'>\u0001"}`, "JSON at byte 6"},
		{"s&#34;é&lt;c r&amp;e/t?~&#39;&gt;\x01", "HTML at byte 0"},
		{`s\"é<c r&e/t?~'>\x01`, "Go at byte 0"},
		{`s\"\u00e9<c r&e/t?~'>\x01`, "Go in ASCII at byte 0"},
		{"cyLDqTxjIHImZS90P34nPgE=", "base64, shift 0 at byte 0"},
		{"cyLDqTxjIHImZS90P34nPgE", "base64, shift 0 at byte 0"},
		{"LXMiw6k8YyByJmUvdD9-Jz4B", "URL base64, shift 1 at byte 2"},
		{"LXMiw6k8YyByJmUvdD9+Jz4BLS0=", "base64, shift 1 at byte 2"},
		{"LS1zIsOpPGMgciZlL3Q_fic-AQ", "URL base64, shift 2 at byte 3"},
		{"LS1zIsOpPGMgciZlL3Q/fic+AS0=", "base64, shift 2 at byte 3"},
		{"s\"é<c r&e/t?~'>", ""},
		{"", ""},
	}
	for _, tt := range tests {
		if got := strings.Join(FindSecret(tt.text, secret), "; "); got != tt.want {
			t.Errorf("FindSecret(%q) = %q, want %q", tt.text, got, tt.want)
		}
	}
	if got := FindSecret("a", ""); got != nil {
		t.Errorf("an empty secret: got %q", got)
	}
}
