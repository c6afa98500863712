package publish

import (
	"strings"
	"testing"
)

// shout renders a literal so that a test sees which parts of a text are literals.
func shout(s string) string { return "«" + s + "»" }

func TestText(t *testing.T) {
	a, b, c := say("%s", literal("a")), say("b"), say("%d%%", 3)
	tests := []struct {
		name string
		text text
		want string
	}{
		{"nothing", text{}, ""},
		{"our own words", say("a %d %s %t", 1, "b", true), "a 1 b true"},
		{"a literal", say("a %s", literal("b")), "a «b»"},
		{"a literal that is a format", say("a %s", literal("%d %s %!")), "a «%d %s %!»"},
		{"a text in a text", say("a %s", say("b %s", literal("c"))), "a b «c»"},
		{"percent signs", say("100%% of %s", say("5%%")), "100% of 5%"},
		{"no list", list(nil), ""},
		{"a list of one", list([]text{a}), "«a»"},
		{"a list of two", list([]text{a, b}), "«a» and b"},
		{"a list of three", list([]text{a, b, c}), "«a», b and 3%"},
		{"nothing joined", join(nil, "; "), ""},
		{"one joined", join([]text{a}, "; "), "«a»"},
		{"joined by percent signs", join([]text{a, b, c}, " %s "), "«a» %s b %s 3%"},
		{"capitalized", say("a %s", literal("b")).capitalized(), "A «b»"},
		{"capitalized, not ASCII", say("é").capitalized(), "É"},
		{"nothing capitalized", text{}.capitalized(), ""},
		{"nothing within a text capitalized", say("%s b", text{}).capitalized(), " b"},
		{"a text within a text capitalized", say("%s b", say("%s", say("a"))).capitalized(), "A b"},
		{"a string capitalized", say("%s b", "a").capitalized(), "A b"},
		{"an empty string capitalized", say("%s b", "").capitalized(), " b"},
		{"a literal is never capitalized", say("%s b", literal("api-url")).capitalized(), "«api-url» b"},
		{"nor within a text", say("%s b", say("%s", literal("api-url"))).capitalized(), "«api-url» b"},
		{"a number is not capitalized", say("%d b", 1).capitalized(), "1 b"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.text.render(shout); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	first := say("%s", "a")
	if first.capitalized(); first.render(shout) != "a" {
		t.Error("capitalized changes the text itself")
	}
}

func TestSentence(t *testing.T) {
	for s, want := range map[string]string{
		"": "", "a": "a.", "a.": "a.", "a?": "a?", "a!": "a!", "a…": "a…", "`a.`": "`a.`.", "v1.2": "v1.2.",
	} {
		if got := sentence(s); got != want {
			t.Errorf("sentence(%q) = %q, want %q", s, got, want)
		}
	}
}

func TestTruncate(t *testing.T) {
	for _, test := range []struct {
		s    string
		n    int
		want string
	}{
		{"", 0, ""}, {"a", 0, "…"}, {"abc", 3, "abc"}, {"abcd", 3, "ab…"}, {"ééé", 3, "ééé"}, {"éééé", 3, "éé…"}, {"abc", 1, "…"}, {"abc", -5, "…"},
	} {
		if got := truncate(test.s, test.n); got != test.want {
			t.Errorf("truncate(%q, %d) = %q, want %q", test.s, test.n, got, test.want)
		}
	}
}

// An annotation without a list fits in 400 characters, and its first sentence in 120, whatever the server says.
func TestAnnotationLength(t *testing.T) {
	for _, n := range []int{0, 10, 100, 118, 119, 120, 121, 1000} {
		for _, word := range []string{"x", "é", "a ", "🙂"} {
			long := strings.Repeat(word, n)
			f := &failure{code: "CODE", what: say("%s", literal(long)), live: say("%s", literal(long)), advice: say("Run this step again: that is safe.")}
			got := []rune(f.annotation(newCleaner().text))
			if len(got) > maxAnnotation || !strings.HasSuffix(string(got), "that is safe.") {
				t.Errorf("%d times %q: %d characters: %s", n, word, len(got), string(got))
			}
		}
	}
}
