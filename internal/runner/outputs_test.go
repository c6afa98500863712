package runner

import (
	"slices"
	"strings"
	"testing"
)

func TestOutputs(t *testing.T) {
	tests := []struct {
		name, content string
		want          []Output
		wantErr       string // part of the message
	}{
		{"empty file", "", nil, ""},
		{"pair", "a=b", []Output{{"a", "b"}}, ""},
		{"pairs and empty lines", "\na=b\n\nc=d\n\n", []Output{{"a", "b"}, {"c", "d"}}, ""},
		{"empty value", "a=\n", []Output{{"a", ""}}, ""},
		{"equals signs in the value", "a==b=c", []Output{{"a", "=b=c"}}, ""},
		{"equals sign before the heredoc sign", "a=b<<EOF\nc=d", []Output{{"a", "b<<EOF"}, {"c", "d"}}, ""},
		{"blanks stay", " a = b ", []Output{{" a ", " b "}}, ""},
		{"twice", "a=b\nA=c", []Output{{"a", "b"}, {"A", "c"}}, ""},
		{"byte order mark", "\ufeffa=b\n\ufeffc=d", []Output{{"a", "b"}, {"\ufeffc", "d"}}, ""},
		{"carriage returns stay", "a=b\r\nc<<E\r\nd\r\nE\r\n", []Output{{"a", "b\r"}, {"c", "d\r"}}, ""},

		{"heredoc", "a<<EOF\nb\nc\nEOF\nd=e", []Output{{"a", "b\nc"}, {"d", "e"}}, ""},
		{"heredoc without a final newline", "a<<EOF\nb\nEOF", []Output{{"a", "b"}}, ""},
		{"heredoc without a line", "a<<EOF\nEOF\n", []Output{{"a", ""}}, ""},
		{"heredoc with an empty line", "a<<EOF\n\nEOF\n", []Output{{"a", ""}}, ""},
		{"heredoc with two empty lines", "a<<EOF\n\n\nEOF\n", []Output{{"a", "\n"}}, ""},
		{"heredoc that holds anything", "a<<EOF\nb=c\nd<<e\n EOF\nEOF \nEOF\n", []Output{{"a", "b=c\nd<<e\n EOF\nEOF "}}, ""},
		{"equals sign in the delimiter", "a<<E=F\nb\nE=F\n", []Output{{"a", "b"}}, ""},
		{"heredoc sign in the delimiter", "a<<<<E\nb\n<<E\n", []Output{{"a", "b"}}, ""},
		{"value that holds the delimiter", "a<<EOF\nb\nEOF\nc=d\nEOF\n", []Output{{"a", "b"}, {"c", "d"}}, "line 5"},

		{"neither form", "a=b\nc\nd=e", []Output{{"a", "b"}}, `line 2: "c" is neither`},
		{"no name", "a=b\n=c", []Output{{"a", "b"}}, "line 2: no name"},
		{"heredoc without a name", "<<EOF\na\nEOF", nil, "line 1: no name"},
		{"heredoc without a delimiter", "a<<\nb\n", nil, "line 1: no delimiter"},
		{"delimiter never comes", "a=b\nc<<EOF\nd\nEO", []Output{{"a", "b"}}, `line 2: delimiter "EOF" never comes`},
		{"carriage return before the delimiter's end", "a<<EOF\nb\nEOF\r\n", nil, "never comes"},
		{"line of a carriage return", "a=b\n\r\n", []Output{{"a", "b"}}, "neither"},
	}
	for _, tt := range tests {
		got, err := Outputs(tt.content)
		message := ""
		if err != nil {
			message = err.Error()
		}
		if !slices.Equal(got, tt.want) || (err == nil) != (tt.wantErr == "") || !strings.Contains(message, tt.wantErr) {
			t.Errorf("%s: Outputs(%q) = %q, %v; want %q, %q", tt.name, tt.content, got, err, tt.want, tt.wantErr)
		}
	}
}
