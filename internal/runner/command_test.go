package runner

import (
	"maps"
	"slices"
	"testing"
)

func TestLines(t *testing.T) {
	for _, tt := range []struct {
		name, output string
		want         []string
	}{
		{"nothing", "", nil},
		{"no end of line", "a", []string{"a"}},
		{"newline", "a\nb\n", []string{"a", "b"}},
		{"carriage return and newline are one", "a\r\nb", []string{"a", "b"}},
		{"carriage return alone", "a\rb\r", []string{"a", "b"}},
		{"the other way round they are two", "a\n\rb", []string{"a", "", "b"}},
		{"empty lines stay", "\n\na\n\n", []string{"", "", "a", ""}},
		{"no other character ends a line", "a\u2028b\u0085c\vd\fe", []string{"a\u2028b\u0085c\vd\fe"}},
		{"byte order mark at the start only", "\ufeffa\n\ufeffb", []string{"a", "\ufeffb"}},
	} {
		if got := Lines(tt.output); !slices.Equal(got, tt.want) {
			t.Errorf("%s: Lines(%q) = %q, want %q", tt.name, tt.output, got, tt.want)
		}
	}
}

func TestParseCommand(t *testing.T) {
	type properties = map[string]string
	tests := []struct {
		line string
		want Command
	}{
		// grammar 1: start and end
		{"::debug::", Command{"debug", nil, "", 1}},
		{"::error::a b ", Command{"error", nil, "a b ", 1}},
		{"\t \u3000\u00a0\u2028\u0085::error::a", Command{"error", nil, "a", 1}},
		{"::SET-Output name=x::y", Command{"set-output", properties{"name": "x"}, "y", 1}},
		{"::error:::a::b", Command{"error", nil, ":a::b", 1}},
		{"::error::a ##[set-output name=b]c", Command{"error", nil, "a ##[set-output name=b]c", 1}},
		{"::error:\u200b:a", Command{"error", nil, "a", 1}},
		{"::error\x00::::a", Command{}},
		{"::error::\u0301a", Command{}},
		{"::error::\uff9ea", Command{}},
		{"::error x=y::\u0301a::b", Command{"error", properties{"x": "y::\u0301a"}, "b", 1}},

		// grammar 1: properties
		{"::error title=a,line=2::b", Command{"error", properties{"title": "a", "line": "2"}, "b", 1}},
		{"::error  title=a \t::b", Command{"error", properties{"title": "a"}, "b", 1}},
		{"::error title=a, file=b::c", Command{"error", properties{"title": "a", " file": "b"}, "c", 1}},
		{"::error Title=a::b", Command{"error", properties{"title": "a"}, "b", 1}},
		{"::error title=a,TITLE=b::c", Command{"error", properties{"title": "b"}, "c", 1}},
		{"::error ,,title=a,::b", Command{"error", properties{"title": "a"}, "b", 1}},
		{"::error title=,file,=a::b", Command{"error", nil, "b", 1}},
		{"::error title==a=b=::c", Command{"error", properties{"title": "a=b="}, "c", 1}},
		{"::error =title=a::b", Command{"error", properties{"title": "a"}, "b", 1}},

		// grammar 1: escapes
		{"::error title=%3A%2C%0D%0A%25%3B::a", Command{"error", properties{"title": ":,\r\n%%3B"}, "a", 1}},
		{"::error::%0D%0A%25%3A%2C", Command{"error", nil, "\r\n%%3A%2C", 1}},
		{"::error::%250A%0a", Command{"error", nil, "%0A%0a", 1}},

		// grammar 2
		{"##[error]a", Command{"error", nil, "a", 2}},
		{"a ##[Error]b]c", Command{"error", nil, "b]c", 2}},
		{"a###[error]b", Command{"error", nil, "b", 2}},
		{"##[error title=a,b;file=c]d", Command{"error", properties{"title": "a,b", "file": "c"}, "d", 2}},
		{"##[error  title=a ]d", Command{"error", properties{" title": "a "}, "d", 2}},
		{"##[error title=%3B%5D%0D%0A%25%3A]%3B%5D%0D%0A%25%3A", Command{"error", properties{"title": ";]\r\n%%3A"}, ";]\r\n%%3A", 2}},
		{"##[\u0301] ##[error]a", Command{"error", nil, "a", 2}},
		{"##[\uff9e] ##[error]a", Command{"error", nil, "a", 2}},

		// grammar 2 where grammar 1 does not match
		{"::unknown::##[error]a", Command{"error", nil, "a", 2}},
		{"::error ##[error]a", Command{"error", nil, "a", 2}},
		{"::error title=A::\u0301##[add-mask]a", Command{"add-mask", nil, "a", 2}},

		// not a command
		{"", Command{}},
		{"::", Command{}},
		{"::::", Command{}},
		{":::error::a", Command{}},
		{"::error:a", Command{}},
		{"a::error::b", Command{}},
		{"\u200b::error::a", Command{}},
		{"\x1b[0m::error::a", Command{}},
		{":: error::a", Command{}},
		{"::error\ttitle=a::b", Command{}},
		{"::unknown::a", Command{}},
		{"::internal-set-repo-path::a", Command{}},
		{"::add-mas\u212a::a", Command{}},
		{"::\u017fet-output name=a::b", Command{}},
		{"#[error]a", Command{}},
		{"##[error", Command{}},
		{"## [error]a", Command{}},
		{"##[ error]a", Command{}},
		{"##\u200b[error]a", Command{}},
		{"##[unknown] ##[error]a", Command{}},
	}
	for _, tt := range tests {
		got, ok := ParseCommand(tt.line)
		if wantOK := tt.want.Name != ""; ok != wantOK || !equal(got, tt.want) {
			t.Errorf("ParseCommand(%q) = %+v, %t; want %+v, %t", tt.line, got, ok, tt.want, wantOK)
		}
	}
}

func equal(a, b Command) bool {
	return a.Name == b.Name && a.Data == b.Data && a.Grammar == b.Grammar && maps.Equal(a.Properties, b.Properties)
}
