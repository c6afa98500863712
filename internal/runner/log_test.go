package runner

import (
	"fmt"
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
		{"not shown", "::debug::a", nil},
		{"unknown command", "::unknown::a", []string{"::unknown::a"}},

		{"mask counts from its line on", "abc\n::add-mask::b\nabc", []string{"abc", "a***c"}},
		{"mask in an annotation", "::add-mask::b\n::error::abc", []string{"##[error]a***c"}},
		{"mask from the middle of a line", "a ##[add-mask]b\nabc", []string{"a***c"}},
		{"mask of several lines", "::add-mask:: ab%0D%0A cd %0A \t%0A\nab cd", []string{"*** ***"}},
		{"mask of more than ASCII", "::add-mask::é\ncafés", []string{"caf***s"}},
	}
	for _, tt := range tests {
		if log := ReadLog(tt.output); !slices.Equal(log.Lines, tt.want) || len(log.Failures) > 0 {
			t.Errorf("%s: ReadLog(%q) has the lines %q, want %q, and the failures %q", tt.name, tt.output, log.Lines, tt.want, log.Failures)
		}
	}
}

func TestReadLogCollects(t *testing.T) {
	log := ReadLog("a\n::add-mask::one%0A two\nb ##[notice]c\n::add-mask:: \n##[set-env name=a]b\n::stop-commands::t\n::notice::after")
	var commands []string
	for _, c := range log.Commands {
		commands = append(commands, c.Name)
	}
	for _, tt := range []struct {
		name      string
		got, want []string
	}{
		{"Commands", commands, []string{"add-mask", "notice", "add-mask", "set-env", "stop-commands", "notice"}},
		{"masks", log.masks, []string{"one\n two", "one", "two"}},
		{"Printed", log.Printed, []string{"a", "b ##[notice]c", "##[set-env name=a]b", "::stop-commands::t", "::notice::after"}},
	} {
		if !slices.Equal(tt.got, tt.want) {
			t.Errorf("%s = %q, want %q", tt.name, tt.got, tt.want)
		}
	}
	if got := fmt.Sprint(log.Failures); got != `[add-mask: nothing to mask the command set-env in "##[set-env name=a]b" the command stop-commands in "::stop-commands::t"]` {
		t.Errorf("Failures = %s", got)
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
		if got := ReadLog(tt.output).Annotations(); !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}
