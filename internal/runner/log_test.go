package runner

import (
	"slices"
	"strings"
	"testing"
)

func TestReadLogDisplaysLines(t *testing.T) {
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

func TestFailedCommandsFailTheStep(t *testing.T) {
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
