package runner

import (
	"slices"
	"testing"
)

func TestMaskCoversEncodings(t *testing.T) {
	const mask = "::add-mask::t\"o<k e/n'\n"
	tests := []struct{ name, line, want string }{
		{"plain", `a t"o<k e/n' b`, "a *** b"},
		{"base64", "dCJvPGsgZS9uJw==", "***"},
		{"base64 less one byte", "SJvPGsgZS9uJw== x Im88ayBlL24n", "SJvPGsgZS9uJw== x ***"},
		{"base64 less two bytes", "bzxrIGUvbic=", "***"},
		{"base64 without padding is not masked", "bzxrIGUvbic", "bzxrIGUvbic"},
		{"JSON", `t\"o<k e/n'`, "***"},
		{"URL", "t%22o%3Ck%20e%2Fn%27", "***"},
		{"XML", "t&quot;o&lt;k e/n&apos;", "***"},
		{"hex is not masked", "74226f3c6b20652f6e27", "74226f3c6b20652f6e27"},
		{"another case is not masked", `T"O<K E/N'`, `T"O<K E/N'`},
	}
	for _, tt := range tests {
		if got := ReadLog(mask + tt.line).Lines; !slices.Equal(got, []string{tt.want}) {
			t.Errorf("%s: %q is displayed as %q, want %q", tt.name, tt.line, got, tt.want)
		}
	}
}
