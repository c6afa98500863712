package publish

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"publish-agent-version/diga"
	"publish-agent-version/internal/runner"
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

// asIs renders a literal without cleaning it.
func asIs(s string) string { return s }

func TestCompareConfig(t *testing.T) {
	long := strings.Repeat("word ", 20) // longer than what is shown whole
	tests := []struct {
		name, before, after string
		names               string   // as the log says it; empty: nothing differs
		full                []string // the lines with show-changes: full
	}{
		{"nothing", `{}`, `{}`, "", nil},
		{"the same", `{"voice":{"id":"a"}}`, `{"voice":{"id":"a"}}`, "", nil},
		{"order of keys", `{"voice":{"id":"a","name":"b"}}`, `{"voice":{"name":"b","id":"a"}}`, "", nil},
		{"spacing", `{"voice":{"id":"a"}}`, `{"voice": { "id" : "a" } }`, "", nil},
		{"escapes", `{"greeting":"é/<"}`, `{"greeting":"\u00e9\/\u003c"}`, "", nil},
		{"missing and null", `{}`, `{"description":null}`, "", nil},
		{"null and missing", `{"description":null}`, `{}`, "", nil},
		{"null and empty", `{"description":null}`, `{"description":""}`, "description", []string{`description: null → ""`}},
		{"missing and false", `{}`, `{"mode":false}`, "mode", []string{`mode: null → false`}},
		{"null within a value", `{"voice":{"id":null}}`, `{"voice":{}}`, "voice", []string{`voice: {"id":null} → {}`}},
		{"numbers as they are written", `{"voice_speed":1}`, `{"voice_speed":1.0}`, "voice_speed", []string{`voice_speed: 1 → 1.0`}},
		{"numbers beyond a float", `{"max_reminder_count":9007199254740992}`, `{"max_reminder_count":9007199254740993}`,
			"max_reminder_count", []string{`max_reminder_count: 9007199254740992 → 9007199254740993`}},
		{"order of a list", `{"boosted_keywords":["a","b"]}`, `{"boosted_keywords":["b","a"]}`, "boosted_keywords", []string{`boosted_keywords: ["a","b"] → ["b","a"]`}},
		{"another type", `{"mode":"1"}`, `{"mode":1}`, "mode", []string{`mode: "1" → 1`}},
		{"several", `{"mode":"a","language":"b","voice":1}`, `{"mode":"c","language":"d","voice":1}`, "language, mode",
			[]string{`language: "b" → "d"`, `mode: "a" → "c"`}},
		{"short texts", `{"greeting":"Hello"}`, `{"greeting":"Good day"}`, "greeting", []string{`greeting: "Hello" → "Good day"`}},
		{"line breaks of Windows", `{"prompt":"a\r\nb\r\n"}`, `{"prompt":"a\nb\n"}`, "prompt", []string{"prompt: only line breaks changed"}},
		{"a final line break", `{"prompt":"a\nb"}`, `{"prompt":"a\nb\n"}`, "prompt", []string{"prompt: only line breaks changed"}},
		{"a line without a final line break", `{"prompt":"a\nb"}`, `{"prompt":"a\nb\nc"}`, "prompt (+1 line)",
			[]string{"prompt:", "@@ -1 +1 @@", " a", " b", "+c"}},
		{"one line to many", `{"prompt":"a"}`, `{"prompt":"a\nb\nc\nd"}`, "prompt (+3 lines)", []string{"prompt:", "@@ -1 +1 @@", " a", "+b", "+c", "+d"}},
		{"many lines to one", `{"prompt":"a\nb\nc\n"}`, `{"prompt":"c"}`, "prompt (−2 lines)", []string{"prompt:", "@@ -1 +1 @@", "-a", "-b", " c"}},
		{"a text from nothing", `{}`, `{"prompt":"a\nb"}`, "prompt (+2 lines)", []string{"prompt:", "@@ -1 +1 @@", "+a", "+b"}},
		{"a text to null", `{"prompt":"a\nb"}`, `{"prompt":null}`, "prompt (−2 lines)", []string{"prompt:", "@@ -1 +1 @@", "-a", "-b"}},
		{"one long line", `{"prompt":"` + long + `"}`, `{"prompt":"` + long + `more"}`, "prompt (+1 −1 lines)",
			[]string{"prompt:", "@@ -1 +1 @@", "-" + long, "+" + long + "more"}},
		{"a long text to a list", `{"prompt":"` + long + `"}`, `{"prompt":[]}`, "prompt", []string{`prompt: "` + long + `" → []`}},
		// The second hunk begins where the first one's changes have moved it.
		{"two hunks", `{"prompt":"a\n1\n2\n3\nb\n1\n2\n3\n4\n5\n6\n7\n8\nc\n"}`, `{"prompt":"a\nnew\n1\n2\n3\nB\n1\n2\n3\n4\n5\n6\n7\n8\nC\n"}`, "prompt (+3 −2 lines)",
			[]string{"prompt:", "@@ -1 +1 @@", " a", "+new", " 1", " 2", " 3", "-b", "+B", " 1", " 2", " 3", "@@ -11 +12 @@", " 6", " 7", " 8", "-c", "+C"}},
		{"values that are never shown", `{"call_tools":["a"],"integrations":["b"],"dynamic_variables":{"c":"d"},"new_field":"e"}`, `{}`,
			"call_tools, dynamic_variables, integrations, new_field", []string{
				"call_tools: changed (value not shown)", "dynamic_variables: changed (value not shown)",
				"integrations: changed (value not shown)", "new_field: changed (value not shown)",
			}},
		{"a listed name in another case", `{"Prompt":"a"}`, `{"Prompt":"b"}`, "Prompt", []string{"Prompt: changed (value not shown)"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before, after := config(t, tt.before), config(t, tt.after)
			changes := compareConfig(before, after)
			names := ""
			if len(changes) > 0 {
				names = changesText(changes).render(asIs)
			}
			if full := fullDiff(changes, newCleaner()); names != tt.names || !slices.Equal(full, tt.full) {
				t.Errorf("names %q, want %q; full\n%q, want\n%q", names, tt.names, full, tt.full)
			}
			if len(compareConfig(after, after)) > 0 {
				t.Error("differs from itself")
			}
		})
	}
}

// The list that may be shown is what the API's reference lists, without the three fields that hold other people's data.
func TestSecretFieldsAreNeverShown(t *testing.T) {
	for _, name := range []string{"integrations", "call_tools", "dynamic_variables"} {
		if slices.Contains(shownFields, name) {
			t.Errorf("%s is shown", name)
		}
	}
}

func TestChangesAreBounded(t *testing.T) {
	lines := func(n int, word string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `%s %d\n`, word, i)
		}
		return b.String()
	}
	t.Run("lines", func(t *testing.T) {
		changes := compareConfig(config(t, `{"prompt":"`+lines(50_000, "old")+`"}`), config(t, `{"prompt":"`+lines(50_000, "new")+`"}`))
		full := fullDiff(changes, newCleaner())
		if len(full) != maxDiffLines+1 || full[maxDiffLines] != "… 99802 more lines not shown" {
			t.Errorf("%d lines, the last is %q", len(full), full[len(full)-1])
		}
		if got := changesText(changes).render(asIs); got != "prompt (+50000 −50000 lines)" {
			t.Error(got)
		}
	})
	t.Run("exactly as many lines", func(t *testing.T) {
		full := fullDiff(compareConfig(config(t, `{}`), config(t, `{"prompt":"`+lines(maxDiffLines-2, "new")+`"}`)), newCleaner())
		if len(full) != maxDiffLines || strings.HasPrefix(full[maxDiffLines-1], "…") {
			t.Errorf("%d lines, the last is %q", len(full), full[len(full)-1])
		}
	})
	t.Run("bytes", func(t *testing.T) {
		changes := compareConfig(config(t, `{}`), config(t, `{"prompt":"`+strings.Repeat(strings.Repeat("é", 2000)+`\n`, 150)+`"}`))
		full := fullDiff(changes, newCleaner())
		if size := len(strings.Join(full, "\n")); size > maxDiffBytes+100 || size < maxDiffBytes-3000 || !strings.HasSuffix(full[len(full)-1], " more lines not shown") {
			t.Errorf("%d bytes in %d lines, the last is %q", size, len(full), full[len(full)-1])
		}
	})
	t.Run("a value", func(t *testing.T) {
		changes := compareConfig(config(t, `{}`), config(t, `{"boosted_keywords":["`+strings.Repeat("x", 1<<20)+`"]}`))
		if full := fullDiff(changes, newCleaner()); len(full) != 1 || len([]rune(full[0])) > maxDiffLine {
			t.Errorf("%d lines: %d bytes", len(full), len(full[0]))
		}
	})
	t.Run("fields", func(t *testing.T) {
		var fields []string
		for i := range 1000 {
			fields = append(fields, fmt.Sprintf(`"field_%03d":%d`, i, i))
		}
		changes := compareConfig(config(t, `{}`), config(t, `{`+strings.Join(fields, ",")+`}`))
		if got := changesText(changes).render(asIs); !strings.HasSuffix(got, ", field_019, and 980 more") {
			t.Error(got)
		}
		if full := fullDiff(changes, newCleaner()); len(full) != maxDiffLines+1 {
			t.Errorf("%d lines", len(full))
		}
	})
}

// Nothing masks a part of the token, so it must be found before a value is truncated.
func TestTokenWhereAValueIsCut(t *testing.T) {
	const token = "token-that-must-not-show"
	for n := maxDiffValue - 60; n < maxDiffValue+5; n++ {
		changes := compareConfig(config(t, `{}`), config(t, `{"boosted_keywords":["`+strings.Repeat("x", n)+token+`"],"prompt":"a\n`+strings.Repeat("x", maxDiffLine-maxDiffValue+n)+token+`"}`))
		if full := strings.Join(fullDiff(changes, newCleaner(token)), "\n"); strings.Contains(full, token[:6]) {
			t.Fatalf("after %d: %s", n, full)
		}
	}
	changes := compareConfig(config(t, `{}`), config(t, `{"`+token+`":1,"greeting":"\u0074`+token[1:]+`"}`))
	full := strings.Join(fullDiff(changes, newCleaner(token)), "\n")
	if names := changesText(changes).render(newCleaner(token).text); strings.Contains(full+names, token[1:]) {
		t.Error(full, names)
	}
}

// closesFence matches a line that ends a fenced code block with at least as many backticks. GitHub's renderer counts no
// more than 255 of them in the line that opens it.
func closesFence(line, fence string) bool {
	bare := strings.TrimRight(line, " \t")
	indent := len(bare) - len(strings.TrimLeft(bare, " "))
	return indent <= 3 && len(bare)-indent >= min(len(fence), 255) && strings.Trim(bare[indent:], "`") == ""
}

// wantFenced checks that a block of Markdown is one fenced code block that shows lines.
func wantFenced(t *testing.T, block string) {
	t.Helper()
	lines := strings.Split(block, "\n")
	fence := strings.TrimSuffix(lines[0], "diff")
	last := len(lines) - 1
	if strings.Trim(fence, "`") != "" || len(fence) < 3 || lines[last] != fence {
		t.Fatalf("no fences: %q and %q", lines[0], lines[last])
	}
	for _, line := range lines[1:last] {
		if closesFence(line, fence) {
			t.Errorf("%q closes %d backticks", line, len(fence))
		}
	}
}

func TestFenceCannotBeClosed(t *testing.T) {
	for _, n := range []int{0, 1, 3, 4, 80, 81, 99, 100, 101, 200, 255, 256, 300, 997, 998, 1000} {
		for _, around := range []string{"%s", "   %s", "    %s", "%s ", "%s\t", "~~~\n%s", "%s\n%[1]s"} {
			text := fmt.Sprintf(around, strings.Repeat("`", n))
			before, _ := json.Marshal("a\n" + text + "\nb\n") // stays, so that no sign but a blank is before it
			after, _ := json.Marshal("A\n" + text + "\nB\n")
			changes := compareConfig(config(t, `{"prompt":`+string(before)+`}`), config(t, `{"prompt":`+string(after)+`}`))
			md := &markdown{cleaner: newCleaner()}
			wantFenced(t, md.fence("diff", fullDiff(changes, md.cleaner)))
		}
	}
}

func TestChangesOfHostileFields(t *testing.T) {
	var before, after []string
	for i, text := range HostileTexts {
		name, _ := json.Marshal(fmt.Sprint(i, text))
		text, _ := json.Marshal(text + "\n" + text)
		before, after = append(before, string(name)+`:1`), append(after, string(name)+`:`+string(text))
		if i < len(shownFields) {
			before, after = append(before, `"`+shownFields[i]+`":`+string(text)), append(after, `"`+shownFields[i]+`":"x"`)
		}
	}
	changes := compareConfig(config(t, `{`+strings.Join(before, ",")+`}`), config(t, `{`+strings.Join(after, ",")+`}`))
	wantHarmless(t, changes, secret)
	if got := regexp.MustCompile(`^[A-Za-z0-9_.,-]+$`); !got.MatchString(fieldNames(changes)) {
		t.Errorf("changed-fields is %q", fieldNames(changes))
	}
}

// wantHarmless checks what becomes of changes in the log and in the summary.
func wantHarmless(t *testing.T, changes []fieldChange, token string) {
	t.Helper()
	p := newTestReport(map[string]string{"GITHUB_ACTIONS": "true"})
	p.mask(secretToken(token))
	masks := len(runner.ReadLog(p.stdout.String()).Commands)
	full := fullDiff(changes, p.cleaner)
	p.logLines(full)
	p.log(changesText(changes))
	log := runner.ReadLog(p.stdout.String())
	if len(log.Commands) != masks || len(log.Failures) > 0 {
		t.Errorf("commands %+v, failures %v", log.Commands, log.Failures)
	}
	if n := len(log.Printed); n != len(full)+1 {
		t.Errorf("%d lines are printed as %d", len(full)+1, n)
	}
	if len(full) > maxDiffLines+1 || len(strings.Join(full, "\n")) > maxDiffBytes+100 {
		t.Errorf("%d lines, %d bytes", len(full), len(strings.Join(full, "\n")))
	}
	md := &markdown{cleaner: p.cleaner}
	block := md.fence("diff", full)
	wantFenced(t, block)
	names := changesText(changes).render(md.codeSpan)
	if rest := OutsideCodeSpans(names); strings.ContainsAny(rest, "<>[]@!\\") {
		t.Errorf("the names are more than text: %q", names)
	}
	everything := strings.Join(log.Printed, "\n") + "\n" + block + "\n" + names
	if len(token) >= 8 && secretToken(token).problem() == "" && !strings.ContainsAny(token, "*`") && len(runner.FindSecret(everything, token)) > 0 { // our own stars and fences may spell a token of them
		t.Errorf("the token shows:\n%s", everything)
	}
}

func FuzzCompareConfig(f *testing.F) {
	add := func(before, after string) { f.Add(before, after, "prompt", secret) }
	add(`"a\nb"`, `"a\r\nb\n"`)
	add(`{"a":1,"b":[null]}`, `{"b": [ null ], "a": 1.0}`)
	add(`null`, `""`)
	add(`"`+strings.Repeat("x", 100)+`"`, `1e400`)
	add(`"\ud800"`, `"\ufffd"`)
	for _, text := range append([]string{secret}, HostileTexts...) {
		quoted, _ := json.Marshal(text + "\n \n" + text)
		add(`"x\n"`, string(quoted))
		add(string(quoted), `["`+strings.Trim(string(quoted), `"`)+`"]`)
		f.Add(`"a"`, `"b"`, text, text)
	}
	f.Fuzz(func(t *testing.T, before, after, name, token string) {
		var was, is any
		if decodeNumbers(before, &was) != nil || decodeNumbers(after, &is) != nil {
			t.Skip("not JSON")
		}
		v := func(value string) diga.Version {
			return diga.Version{Config: map[string]json.RawMessage{name: json.RawMessage(value)}}
		}
		changes := compareConfig(v(before), v(after))
		if same := reflect.DeepEqual(was, is); same != (len(changes) == 0) {
			t.Fatalf("%s and %s: same %t, changes %+v", before, after, same, changes)
		}
		if len(compareConfig(v(after), v(after)))+len(compareConfig(v(before), v(before))) > 0 {
			t.Fatal("a value differs from itself")
		}
		if len(changes) == 0 {
			return
		}
		wantHarmless(t, changes, token)
		if changes[0].diff == nil {
			return
		}
		// The diff has as many lines of each kind as it says, and as the texts' lengths require.
		c, kinds := changes[0], map[byte]int{}
		for _, line := range c.diff {
			kinds[line[0]]++
		}
		lines := func(text any) int { s, _ := text.(string); return strings.Count(endLine(s), "\n") }
		if kinds['+'] != c.added || kinds['-'] != c.removed || lines(is)-lines(was) != c.added-c.removed {
			t.Errorf("%q to %q: +%d −%d, diff %q", was, is, c.added, c.removed, c.diff)
		}
	})
}

// decodeNumbers decodes one JSON value with its numbers as they are written.
func decodeNumbers(text string, to *any) error {
	if !json.Valid([]byte(text)) {
		return fmt.Errorf("%q is not JSON", text)
	}
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	return decoder.Decode(to)
}
