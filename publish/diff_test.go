package publish

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"publish-agent-version/diga"
)

// config reads a configuration as the client does.
func config(t *testing.T, object string) diga.Version {
	t.Helper()
	var v diga.Version
	if err := json.Unmarshal([]byte(object), &v.Config); err != nil {
		t.Fatal(err)
	}
	return v
}

// plainly shows foreign text as it is, and shout marks it.
var (
	plainly = renderer{literal: func(s string) string { return s }}
	shout   = renderer{literal: func(s string) string { return "«" + s + "»" }}
)

func TestCompareConfig(t *testing.T) {
	long := strings.Repeat("word ", 20) // longer than what is shown whole
	tests := []struct {
		name, before, after string
		names               string   // as the log says it; empty: nothing differs
		full                []string // the lines with show-changes: full
	}{
		{"nothing", `{}`, `{}`, "", nil},
		{"order of keys, spacing", `{"voice":{"id":"a","name":"b"}}`, `{"voice": { "name":"b","id" : "a"} }`, "", nil},
		{"escapes", `{"greeting":"é/<"}`, `{"greeting":"\u00e9\/\u003c"}`, "", nil},
		{"missing and null", `{}`, `{"description":null}`, "", nil},
		{"null and missing", `{"description":null}`, `{}`, "", nil},
		{"null and empty", `{"description":null}`, `{"description":""}`, "description",
			[]string{`description: null → ""`}},
		{"missing and false", `{}`, `{"mode":false}`, "mode", []string{`mode: null → false`}},
		{"null within a value", `{"voice":{"id":null}}`, `{"voice":{}}`, "voice", []string{`voice: {"id":null} → {}`}},
		{"numbers as they are written", `{"volume":1}`, `{"volume":1.0}`, "volume", []string{`volume: 1 → 1.0`}},
		{"numbers beyond a float", `{"volume":9007199254740992}`, `{"volume":9007199254740993}`,
			"volume", []string{`volume: 9007199254740992 → 9007199254740993`}},
		{"order of a list", `{"reminder_messages":["a","b"]}`, `{"reminder_messages":["b","a"]}`, "reminder_messages",
			[]string{`reminder_messages: ["a","b"] → ["b","a"]`}},
		{"another type", `{"mode":"1"}`, `{"mode":1}`, "mode", []string{`mode: "1" → 1`}},
		{"several", `{"mode":"a","language":"b","voice":1}`, `{"mode":"c","language":"d","voice":1}`, "language, mode",
			[]string{`language: "b" → "d"`, `mode: "a" → "c"`}},
		{"line breaks of Windows", `{"prompt":"a\r\nb\r\n"}`, `{"prompt":"a\nb\n"}`, "prompt",
			[]string{"prompt: only line breaks changed"}},
		{"a line without a final line break", `{"prompt":"a\nb"}`, `{"prompt":"a\nb\nc"}`, "prompt (+1 −0 lines)",
			[]string{"prompt:", "@@", " a", " b", "+c"}},
		{"many lines to one", `{"prompt":"a\nb\nc\n"}`, `{"prompt":"c"}`, "prompt (+0 −2 lines)",
			[]string{"prompt:", "@@", "-a", "-b", " c"}},
		{"a text from nothing", `{}`, `{"prompt":"a\nb"}`, "prompt (+2 −0 lines)",
			[]string{"prompt:", "@@", "+a", "+b"}},
		{"a text to null", `{"prompt":"a\nb"}`, `{"prompt":null}`, "prompt (+0 −2 lines)",
			[]string{"prompt:", "@@", "-a", "-b"}},
		{"one long line", `{"prompt":"` + long + `"}`, `{"prompt":"` + long + `more"}`, "prompt (+1 −1 lines)",
			[]string{"prompt:", "@@", "-" + long, "+" + long + "more"}},
		{"a long text to a list", `{"prompt":"` + long + `"}`, `{"prompt":[]}`, "prompt",
			[]string{`prompt: "` + long + `" → []`}},
		{"two hunks, the second moved by the first", `{"prompt":"a\n1\n2\n3\nb\n1\n2\n3\n4\n5\n6\n7\n8\nc\n"}`,
			`{"prompt":"a\nnew\n1\n2\n3\nB\n1\n2\n3\n4\n5\n6\n7\n8\nC\n"}`, "prompt (+3 −2 lines)",
			[]string{"prompt:", "@@", " a", "+new", " 1", " 2", " 3", "-b", "+B", " 1", " 2", " 3",
				"@@", " 6", " 7", " 8", "-c", "+C"}},
		{"values that are never shown",
			`{"call_tools":["a"],"dynamic_variables":{"c":"d"},"flows":[1],"Prompt":"b","new_field":"e"}`,
			`{"integrations":[]}`, "Prompt, call_tools, dynamic_variables, flows, integrations, new_field", []string{
				"Prompt: changed (value not shown)", "call_tools: changed (value not shown)",
				"dynamic_variables: changed (value not shown)", "flows: changed (value not shown)",
				"integrations: changed (value not shown)", "new_field: changed (value not shown)",
			}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before, after := config(t, tt.before), config(t, tt.after)
			changes := compareConfig(before, after)
			names, full := plainly.text(changesText(changes)), fullDiff(changes, newCleaner(""))
			if names != tt.names || !slices.Equal(full, tt.full) {
				t.Errorf("names %q, want %q; full\n%q, want\n%q", names, tt.names, full, tt.full)
			}
			if len(compareConfig(after, after)) > 0 {
				t.Error("differs from itself")
			}
		})
	}
}

func TestChangesAreBounded(t *testing.T) {
	lines := func(n int, word string) string { return strings.Repeat(word+`\n`, n) }
	full := func(before, after string) []string {
		return fullDiff(compareConfig(config(t, before), config(t, after)), newCleaner(""))
	}
	prompt := func(text string) string { return `{"prompt":"` + text + `"}` }

	got := full(prompt(lines(500, "old")), prompt(lines(500, "new")))
	if len(got) != maxDiffLines+1 || got[maxDiffLines] != "… 802 more lines not shown" {
		t.Errorf("%d lines, the last is %q", len(got), got[len(got)-1])
	}
	got = full(`{}`, prompt(lines(maxDiffLines-2, "new")))
	if len(got) != maxDiffLines || strings.HasPrefix(got[maxDiffLines-1], "…") {
		t.Errorf("just as many lines as fit: %d lines, the last is %q", len(got), got[len(got)-1])
	}
	got = full(`{}`, prompt(lines(150, strings.Repeat("é", 2000))))
	if last := []rune(got[len(got)-1]); len(got) != 152 || len(last) != maxDiffLine || last[maxDiffLine-1] != '…' {
		t.Errorf("%d lines, the last has %d characters", len(got), len(last))
	}
	got = full(`{}`, `{"reminder_messages":["`+strings.Repeat("x", 1<<20)+`"]}`)
	if len(got) != 1 || len([]rune(got[0])) > maxDiffLine {
		t.Errorf("a long value: %d lines, %d bytes", len(got), len(got[0]))
	}
	var fields []string
	for i := range 1000 {
		fields = append(fields, fmt.Sprintf(`"field_%03d":%d`, i, i))
	}
	changes := compareConfig(config(t, `{}`), config(t, `{`+strings.Join(fields, ",")+`}`))
	if got := plainly.text(changesText(changes)); !strings.HasSuffix(got, ", field_019, and 980 more") {
		t.Error(got)
	}
}

// Nothing masks a part of the token, so it must be found before a value is truncated.
func TestTokenWhereAValueIsCut(t *testing.T) {
	const token = "token-that-must-not-show"
	for n := maxText - 60; n < maxText+5; n++ {
		changes := compareConfig(config(t, `{}`), config(t,
			`{"reminder_messages":["`+strings.Repeat("x", n)+token+`"],"prompt":"a\n`+
				strings.Repeat("x", maxDiffLine-maxText+n)+token+`"}`))
		if full := strings.Join(fullDiff(changes, newCleaner(token)), "\n"); strings.Contains(full, token[:6]) {
			t.Fatalf("after %d: %s", n, full)
		}
	}
}

// GitHub's renderer counts no more than 255 backticks in the line that opens a block.
func TestFenceCannotBeClosed(t *testing.T) {
	for _, n := range []int{0, 1, 3, 4, 80, 81, 99, 100, 101, 200, 255, 256, 300, 1000} {
		for _, around := range []string{"%s", "   %s", "%s ", "%s\t", "~~~\n%s", "%s\n%[1]s"} {
			block := strings.Split(fence("diff", strings.Split(fmt.Sprintf(around, strings.Repeat("`", n)), "\n")),
				"\n")
			opening, last := strings.TrimSuffix(block[0], "diff"), len(block)-1
			if strings.Trim(opening, "`") != "" || len(opening) < 3 || block[last] != opening {
				t.Fatalf("no fences: %q and %q", block[0], block[last])
			}
			for _, line := range block[1:last] {
				bare := strings.TrimSpace(line)
				if strings.Trim(bare, "`") == "" && len(bare) >= min(len(opening), 255) {
					t.Errorf("%q closes %d backticks", line, len(opening))
				}
			}
		}
	}
}
