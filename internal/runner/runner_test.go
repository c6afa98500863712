package runner

import (
	"encoding/base64"
	"maps"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestLines(t *testing.T) {
	tests := []struct {
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
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Lines(tt.output); !slices.Equal(got, tt.want) {
				t.Errorf("Lines(%q) = %q, want %q", tt.output, got, tt.want)
			}
		})
	}
}

func TestParseCommand(t *testing.T) {
	type properties = map[string]string
	tests := []struct {
		line string
		want Command
	}{
		// first grammar: where it starts and ends
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

		// first grammar: properties
		{"::error title=a,line=2::b", Command{"error", properties{"title": "a", "line": "2"}, "b", 1}},
		{"::error  title=a \t::b", Command{"error", properties{"title": "a"}, "b", 1}},
		{"::error title=a, file=b::c", Command{"error", properties{"title": "a", " file": "b"}, "c", 1}},
		{"::error Title=a::b", Command{"error", properties{"title": "a"}, "b", 1}},
		{"::error title=a,TITLE=b::c", Command{"error", properties{"title": "b"}, "c", 1}},
		{"::error ,,title=a,::b", Command{"error", properties{"title": "a"}, "b", 1}},
		{"::error title=,file,=a::b", Command{"error", nil, "b", 1}},
		{"::error title==a=b=::c", Command{"error", properties{"title": "a=b="}, "c", 1}},
		{"::error =title=a::b", Command{"error", properties{"title": "a"}, "b", 1}},

		// first grammar: escapes
		{"::error title=%3A%2C%0D%0A%25%3B::a", Command{"error", properties{"title": ":,\r\n%%3B"}, "a", 1}},
		{"::error::%0D%0A%25%3A%2C", Command{"error", nil, "\r\n%%3A%2C", 1}},
		{"::error::%250A%0a", Command{"error", nil, "%0A%0a", 1}},

		// second grammar
		{"##[error]a", Command{"error", nil, "a", 2}},
		{"a ##[Error]b]c", Command{"error", nil, "b]c", 2}},
		{"a###[error]b", Command{"error", nil, "b", 2}},
		{"##[error title=a,b;file=c]d", Command{"error", properties{"title": "a,b", "file": "c"}, "d", 2}},
		{"##[error  title=a ]d", Command{"error", properties{" title": "a "}, "d", 2}},
		{"##[error title=%3B%5D%0D%0A%25%3A]%3B%5D%0D%0A%25%3A", Command{"error", properties{"title": ";]\r\n%%3A"}, ";]\r\n%%3A", 2}},
		{"##[\u0301] ##[error]a", Command{"error", nil, "a", 2}},
		{"##[\uff9e] ##[error]a", Command{"error", nil, "a", 2}},

		// second grammar after the first has failed
		{"::unknown::##[error]a", Command{"error", nil, "a", 2}},
		{"::error ##[error]a", Command{"error", nil, "a", 2}},
		{"::error title=A::\u0301##[add-mask]a", Command{"add-mask", nil, "a", 2}},

		// no command
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
		got, taken := ParseCommand(tt.line)
		if wantTaken := tt.want.Name != ""; taken != wantTaken || !equal(got, tt.want) {
			t.Errorf("ParseCommand(%q) = %+v, %t; want %+v, %t", tt.line, got, taken, tt.want, wantTaken)
		}
	}
}

func TestEveryCommandName(t *testing.T) {
	known := strings.Fields("add-mask set-output save-state set-env add-path debug notice warning error group endgroup echo add-matcher remove-matcher stop-commands")
	for _, name := range known {
		for number, line := range []string{"::" + strings.ToUpper(name) + "::", "##[" + name + "]"} {
			if got, _ := ParseCommand(line); got.Name != name || got.Grammar != number+1 {
				t.Errorf("ParseCommand(%q) = %+v, want %s in grammar %d", line, got, name, number+1)
			}
		}
	}
}

func equal(a, b Command) bool {
	return a.Name == b.Name && a.Data == b.Data && a.Grammar == b.Grammar && maps.Equal(a.Properties, b.Properties)
}

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
		t.Run(tt.name, func(t *testing.T) {
			got, err := Outputs(tt.content)
			if !slices.Equal(got, tt.want) {
				t.Errorf("Outputs(%q) = %q, want %q", tt.content, got, tt.want)
			}
			switch {
			case err == nil && tt.wantErr != "", err != nil && tt.wantErr == "":
				t.Errorf("Outputs(%q): error %v, want %q", tt.content, err, tt.wantErr)
			case err != nil && !strings.Contains(err.Error(), tt.wantErr):
				t.Errorf("Outputs(%q): error %q, want %q in it", tt.content, err, tt.wantErr)
			}
		})
	}
}

func TestReadLogLines(t *testing.T) {
	tests := []struct {
		name, output string
		want         []string
	}{
		{"plain lines", "a\n\nb", []string{"a", "", "b"}},
		{"annotations", "::error title=T::a%0Ab\n::notice::c", []string{"##[error]a", "b", "##[notice]c"}},
		{"annotation without a message", "::warning title=T::", nil},
		{"group", "::group::a\nb\n::endgroup::c", []string{"##[group]a", "b", "##[endgroup]"}},
		{"not shown", "::debug::a\n::set-output name=a::b\n::add-matcher::c", nil},
		{"unknown command", "::unknown::a", []string{"::unknown::a"}},

		{"mask counts from its line on", "abc\n::add-mask::b\nabc", []string{"abc", "a***c"}},
		{"mask in an annotation", "::add-mask::b\n::error::abc", []string{"##[error]a***c"}},
		{"mask from the middle of a line", "a ##[add-mask]b\nabc", []string{"a***c"}},
		{"mask of several lines", "::add-mask:: ab%0D%0A cd %0A \t%0A\nab cd", []string{"*** ***"}},
		{"mask of nothing", "::add-mask:: \t\nabc", []string{"##[warning]add-mask: nothing to mask", "abc"}},
		{"masks that overlap or touch", "::add-mask::abc\n::add-mask::cd\nabcd abccd ab", []string{"*** *** ab"}},
		{"mask that overlaps itself", "::add-mask::aba\nxababax", []string{"x***x"}},
		{"mask of more than ASCII", "::add-mask::é\ncafés", []string{"caf***s"}},

		{"echo", "::set-output name=a::b\n::echo:: On \n::group::c\n::add-mask::d\n::debug::d\n::error::e\n::echo::off\n::set-output name=f::g",
			[]string{"::group::c", "##[group]c", "::add-mask::***", "##[error]e", "::echo::off"}},

		{"stop", "::stop-commands::tok\n::error::a\n::add-mask::b\nb\n::TOK::\n::error::c",
			[]string{"::stop-commands::tok", "::error::a", "::add-mask::b", "b", "::TOK::", "##[error]c"}},
		{"resume in the second grammar", "##[stop-commands]tok\n a##[tok]\n::error::b", []string{"##[stop-commands]tok", " a##[tok]", "##[error]b"}},
		{"no resume behind a known command", "::stop-commands::tok\n::error::##[tok]\n::error::a", []string{"::stop-commands::tok", "::error::##[tok]", "::error::a"}},
		{"the token counts once", "::stop-commands::tok\n::tok::\n::tok::a", []string{"::stop-commands::tok", "::tok::", "::tok::a"}},
		{"token of six characters", "::stop-commands::sixsix\nsixsix", []string{"::stop-commands::sixsix", "sixsix"}},
		{"token of seven is masked", "::stop-commands::sevenly\nsevenly", []string{"::stop-commands::***", "***"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			log := ReadLog(tt.output)
			if !slices.Equal(log.Lines, tt.want) {
				t.Errorf("ReadLog(%q).Lines = %q, want %q", tt.output, log.Lines, tt.want)
			}
			if len(log.Failures) > 0 {
				t.Errorf("ReadLog(%q).Failures = %q, want none", tt.output, log.Failures)
			}
		})
	}
}

func TestReadLogCollects(t *testing.T) {
	log := ReadLog("a\n::add-mask::one%0A two\nb ##[notice]c\n::stop-commands::tok\n::add-mask::three\n::tok::\n::add-mask::one\n")
	var commands []string
	for _, c := range log.Commands {
		commands = append(commands, c.Name)
	}
	for _, tt := range []struct {
		name      string
		got, want []string
	}{
		{"Commands", commands, []string{"add-mask", "notice", "stop-commands", "add-mask"}},
		{"Masks", log.masks, []string{"one\n two", "one", "two"}},
		{"Printed", log.Printed, []string{"a", "b ##[notice]c", "::stop-commands::tok", "::add-mask::three", "::tok::"}},
	} {
		if !slices.Equal(tt.got, tt.want) {
			t.Errorf("%s = %q, want %q", tt.name, tt.got, tt.want)
		}
	}
}

func TestReadLogFailures(t *testing.T) {
	tests := []struct{ line, want string }{
		{"##[set-env name=a]b", "set-env: disabled unless the workflow allows unsecure commands"},
		{"::add-path::a", "add-path: disabled unless the workflow allows unsecure commands"},
		{"::set-output::a", "set-output: no name"},
		{"::save-state name=::a", "save-state: no name"},
		{"::echo::maybe", `echo: "maybe" is neither on nor off`},
		{"::stop-commands::", `stop-commands: "" cannot be a token`},
		{"::stop-commands::Pause-Logging", `stop-commands: "Pause-Logging" cannot be a token`},
		{"::stop-commands::Error", `stop-commands: "Error" cannot be a token`},
	}
	for _, tt := range tests {
		log := ReadLog(tt.line + "\n::notice::after")
		if len(log.Failures) != 1 || log.Failures[0].Error() != tt.want {
			t.Errorf("ReadLog(%q).Failures = %q, want %q", tt.line, log.Failures, tt.want)
		}
		if len(log.Annotations()) != 1 {
			t.Errorf("ReadLog(%q) does not read on", tt.line)
		}
	}
}

func TestAnnotations(t *testing.T) {
	clef := "\U0001d11e" // two UTF-16 units
	long := "::error::" + strings.Repeat("a", 4095)
	tests := []struct {
		name, output string
		want         []Annotation
	}{
		{"levels", "::error title=T%3A::a%0Ab\n##[warning]c\n::notice::d\n::debug::e",
			[]Annotation{{"error", "T:", "a\nb"}, {"warning", "", "c"}, {"notice", "", "d"}}},
		{"masks cover messages, not titles", "::add-mask::b\n::error title=abc::abc", []Annotation{{"error", "abc", "a***c"}}},
		{"4096 characters", long + "bc", []Annotation{{"error", "", strings.Repeat("a", 4095) + "b"}}},
		{"cut after the mask", "::add-mask::bc\n" + long + "bc", []Annotation{{"error", "", strings.Repeat("a", 4095) + "*"}}},
		{"cut through a pair", long + clef, []Annotation{{"error", "", strings.Repeat("a", 4095) + "\ufffd"}}},
		{"ten of each level", strings.Repeat("::error::a\n::notice::b\n", 11),
			slices.Repeat([]Annotation{{"error", "", "a"}, {"notice", "", "b"}}, 10)},
		{"without a message they count all the same", strings.Repeat("::error:: \n", 9) + "::error::a\n::error::b", []Annotation{{"error", "", "a"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := ReadLog(tt.output).Annotations(); !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestMaskedForms(t *testing.T) {
	const mask = "::add-mask::t\"o<k e/n'\n"
	tests := []struct{ name, line, want string }{
		{"plain", `a t"o<k e/n' b`, "a *** b"},
		{"base64", "dCJvPGsgZS9uJw==", "***"},
		{"base64 less one byte", "SJvPGsgZS9uJw== x Im88ayBlL24n", "SJvPGsgZS9uJw== x ***"},
		{"base64 less two bytes", "bzxrIGUvbic=", "***"},
		{"base64 without padding shows", "bzxrIGUvbic", "bzxrIGUvbic"},
		{"JSON", `t\"o<k e/n'`, "***"},
		{"URL", "t%22o%3Ck%20e%2Fn%27", "***"},
		{"XML", "t&quot;o&lt;k e/n&apos;", "***"},
		{"hex shows", "74226f3c6b20652f6e27", "74226f3c6b20652f6e27"},
		{"another case shows", `T"O<K E/N'`, `T"O<K E/N'`},
	}
	for _, tt := range tests {
		if got := ReadLog(mask + tt.line).Lines; !slices.Equal(got, []string{tt.want}) {
			t.Errorf("%s: %q is shown as %q, want %q", tt.name, tt.line, got, tt.want)
		}
	}
}

func TestVisible(t *testing.T) {
	const secret = "s\"é<c r&e/t?~'>\x01" // holds what each form escapes in its own way
	tests := []struct{ text, want string }{
		{"a s\"é<c r&e/t?~'>\x01 b", "plain at byte 2"},
		{"7322c3a93c63207226652f743f7e273e01", "hex at byte 0"},
		{"7322C3A93C63207226652F743F7E273E01", "upper-case hex at byte 0"},
		{"s%22%C3%A9%3Cc+r%26e%2Ft%3F~%27%3E%01", "URL query at byte 0"},
		{"s%22%C3%A9%3Cc%20r&e%2Ft%3F~%27%3E%01", "URL path at byte 0"},
		{"s%22%C3%A9%3Cc%20r%26e%2Ft%3F~%27%3E%01", "URL data at byte 0"},
		{`{"a":"s\"é<c r&e/t?~'>\u0001"}`, "JSON at byte 6"},
		{`s\"é\u003cc r\u0026e/t?~'\u003e\u0001`, "JSON for HTML at byte 0"},
		{"s&#34;é&lt;c r&amp;e/t?~&#39;&gt;\x01", "HTML at byte 0"},
		{"s&quot;é&lt;c r&amp;e/t?~&apos;&gt;\x01", "XML at byte 0"},
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
	if got := FindSecret("aaa token token", "token"); !slices.Equal(got, []string{"plain at byte 4", "plain at byte 10"}) {
		t.Errorf("two places: got %q", got)
	}
	if got := FindSecret("a", ""); got != nil {
		t.Errorf("no secret: got %q", got)
	}
}

// hostile holds what a server may send to speak to the runner in the action's name.
var hostile = []string{
	"a\n::add-mask::a", "a\r::error::forged", "a\r\n::error::forged",
	"a ##[set-output name=published-version-id]x",
	"\u3000::SET-OUTPUT name=x::y", "\u00a0::SET-OUTPUT name=x::y", "\t::SET-OUTPUT name=x::y",
	"::stop-commands::t", "##[set-env name=PATH]x", "##[add-matcher]x", "::error\u200b::x", "\u0301##[add-mask]a",
	"%0A::add-mask::x", "%250A::add-mask::x", "%3B%5D",
	"_GitHubActionsFileCommandDelimeter_\nx=y", "a=b", "a<<EOF\nb\nEOF\n", "a<<EOF", "=", "\ufeffa=b\r\n",
	"\x1b[31mred\x1b]0;title\a \u202e\u2066\u2028\u0085", "\xff\x00", "***",
}

// escaped writes text as the toolkits do in a command's data, and in its properties too.
var escaped = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
var escapedData = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")

func FuzzLog(f *testing.F) {
	for _, text := range hostile {
		f.Add(text, "token")
		f.Add("::error::a\n"+text+"\nb", text)
	}
	f.Fuzz(func(t *testing.T, output, secret string) {
		lines, log := Lines(output), ReadLog(output)
		for _, line := range slices.Concat(lines, log.Lines, log.Printed) {
			if strings.ContainsAny(line, "\r\n") {
				t.Errorf("line %q of %q is not one line", line, output)
			}
		}
		isMask := func(c Command) bool { return c.Name == "add-mask" }
		masks := slices.DeleteFunc(slices.Clone(log.Commands), func(c Command) bool { return !isMask(c) })
		if len(log.Printed)+len(masks) != len(lines) {
			t.Errorf("%d lines of %q: %d printed, %d masks", len(lines), output, len(log.Printed), len(masks))
		}

		// Escaped, no text can leave the command that it stands in. The guards keep off what is trimmed from a property
		// and the combining marks that would hide the "::" from the runner.
		line := "::error title=<" + escaped.Replace(output) + ">::<" + escapedData.Replace(output) + ">"
		want := Command{"error", map[string]string{"title": "<" + output + ">"}, "<" + output + ">", 1}
		if log := ReadLog(line); len(log.Commands) != 1 || !equal(log.Commands[0], want) {
			t.Errorf("%q is read as %+v, want %+v", line, log.Commands, want)
		}

		if wrapped := base64.StdEncoding.EncodeToString([]byte(output + secret + output)); len(secret) > 1 && FindSecret(wrapped, secret) == nil {
			t.Errorf("FindSecret(%q) does not see %q", wrapped, secret)
		}

		first, _ := utf8.DecodeRuneInString(secret)
		starless := secret != "" && !strings.ContainsFunc(secret, func(c rune) bool { return c == '*' || unicode.IsSpace(c) })
		if starless && !unicode.IsMark(first) && first != '\uff9e' && first != '\uff9f' {
			for _, line := range ReadLog("::add-mask::" + escapedData.Replace(secret) + "\n" + output).Lines {
				if strings.Contains(line, secret) {
					t.Errorf("mask %q shows in %q", secret, line)
				}
			}
		}
	})
}

func FuzzOutputs(f *testing.F) {
	for _, text := range hostile {
		f.Add(text)
		f.Add("a=" + text + "\nb<<EOF\n" + text + "\nEOF\n")
	}
	f.Fuzz(func(t *testing.T, content string) {
		outputs, err := Outputs(content)
		// Written again, the outputs are the same. The first newline keeps a name's own byte order mark.
		again, delimiter := "\n", strings.Repeat("-", len(content)+1)
		for _, o := range outputs {
			if o.Name == "" {
				t.Errorf("Outputs(%q) has an empty name", content)
			}
			if strings.Contains(o.Value, "\n") {
				again += o.Name + "<<" + delimiter + "\n" + o.Value + "\n" + delimiter + "\n"
			} else {
				again += o.Name + "=" + o.Value + "\n"
			}
		}
		if then, err := Outputs(again); err != nil || !slices.Equal(then, outputs) {
			t.Errorf("Outputs(%q) = %q, %v; want %q", again, then, err, outputs)
		}
		if err != nil {
			return
		}
		if then, err := Outputs(content + "\nneither form"); err == nil || !slices.Equal(then, outputs) {
			t.Errorf("after %q a bad line gives %q, %v; want %q and an error", content, then, err, outputs)
		}
	})
}
