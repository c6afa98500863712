package publish_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"publish-agent-version/internal/sandbox"
)

// configured makes the reads of sandbox.LiveID, as the live version, and of sandbox.NextID show these fields: JSON
// without the braces.
func configured(api *sandbox.Sandbox, before, after string) {
	show := func(path, id string, live bool, fields string) {
		if fields != "" {
			fields = "," + fields
		}
		body := strings.TrimSuffix(versionJSON(id, live), "}") + fields + "}"
		if live {
			body = `{"data":[` + body + `],"has_more":false}`
		}
		api.Inject(sandbox.Fault{Method: http.MethodGet, Path: path, Body: body, Times: -1})
	}
	show(publishedRead, sandbox.LiveID, true, before)
	show("version_id="+sandbox.NextID, sandbox.NextID, false, after)
}

// places are all that a run shows anywhere.
func (res *result) places() string {
	return fmt.Sprint(res.stdout, res.stderr, res.summary, res.outputs)
}

// differing returns what a dry run logs of the fields that differ: their names, and the lines with show-changes: full.
func differing(t *testing.T, before, after string) (names string, full []string) {
	t.Helper()
	api, server := newSandbox(t)
	configured(api, before, after)
	res := with("show-changes", "full", "dry-run", "true").check(t, server, expected{status: "dry-run", attempts: -1})
	_, list, found := strings.Cut(res.stdout, "\nConfiguration fields that differ: ")
	list, _, _ = strings.Cut(list, "\n::notice")
	if !found {
		return "", nil
	}
	lines := strings.Split(list, "\n")
	return strings.TrimSuffix(lines[0], "."), lines[1:]
}

func TestDifferences(t *testing.T) {
	long := strings.Repeat("word ", 20) // longer than what is shown whole
	for _, test := range []struct {
		name, before, after string
		names               string   // as the log says it; empty: nothing differs
		full                []string // the lines with show-changes: full
	}{
		{"nothing", ``, ``, "", nil},
		{"order of keys, spacing", `"voice":{"id":"a","name":"b"}`, `"voice": { "name":"b","id" : "a"} `, "", nil},
		{"escapes", `"greeting":"é/<"`, `"greeting":"\u00e9\/\u003c"`, "", nil},
		{"missing and null", ``, `"description":null`, "", nil},
		{"null and missing", `"description":null`, ``, "", nil},
		{"null and empty", `"description":null`, `"description":""`, "description",
			[]string{`description: null → ""`}},
		{"missing and false", ``, `"mode":false`, "mode", []string{`mode: null → false`}},
		{"null within a value", `"voice":{"id":null}`, `"voice":{}`, "voice", []string{`voice: {"id":null} → {}`}},
		{"numbers as they are written", `"volume":1`, `"volume":1.0`, "volume", []string{`volume: 1 → 1.0`}},
		{"numbers beyond a float", `"volume":9007199254740992`, `"volume":9007199254740993`,
			"volume", []string{`volume: 9007199254740992 → 9007199254740993`}},
		{"order of a list", `"reminder_messages":["a","b"]`, `"reminder_messages":["b","a"]`, "reminder_messages",
			[]string{`reminder_messages: ["a","b"] → ["b","a"]`}},
		{"another type", `"mode":"1"`, `"mode":1`, "mode", []string{`mode: "1" → 1`}},
		{"several", `"mode":"<a>","language":"b","voice":1`, `"mode":"c","language":"d","voice":1`, "language, mode",
			[]string{`language: "b" → "d"`, `mode: "<a>" → "c"`}},
		{"line breaks of Windows", `"prompt":"a\r\nb\r\n"`, `"prompt":"a\nb\n"`, "prompt",
			[]string{"prompt: only line breaks changed"}},
		{"a line without a final line break", `"prompt":"a\nb"`, `"prompt":"a\nb\nc"`, "prompt (+1 −0 lines)",
			[]string{"prompt:", "@@", " a", " b", "+c"}},
		{"many lines to one", `"prompt":"a\nb\nc\n"`, `"prompt":"c"`, "prompt (+0 −2 lines)",
			[]string{"prompt:", "@@", "-a", "-b", " c"}},
		{"a text from nothing", ``, `"prompt":"a\nb"`, "prompt (+2 −0 lines)",
			[]string{"prompt:", "@@", "+a", "+b"}},
		{"a text to null", `"prompt":"a\nb"`, `"prompt":null`, "prompt (+0 −2 lines)",
			[]string{"prompt:", "@@", "-a", "-b"}},
		{"one long line", `"prompt":"` + long + `"`, `"prompt":"` + long + `more"`, "prompt (+1 −1 lines)",
			[]string{"prompt:", "@@", "-" + long, "+" + long + "more"}},
		{"a long text to a list", `"prompt":"` + long + `"`, `"prompt":[]`, "prompt",
			[]string{`prompt: "` + long + `" → []`}},
		{"two hunks, the second moved by the first", `"prompt":"a\n1\n2\n3\nb\n1\n2\n3\n4\n5\n6\n7\n8\nc\n"`,
			`"prompt":"a\nnew\n1\n2\n3\nB\n1\n2\n3\n4\n5\n6\n7\n8\nC\n"`, "prompt (+3 −2 lines)",
			[]string{"prompt:", "@@", " a", "+new", " 1", " 2", " 3", "-b", "+B", " 1", " 2", " 3",
				"@@", " 6", " 7", " 8", "-c", "+C"}},
		{"values that are never shown",
			`"call_tools":["a"],"dynamic_variables":{"c":"d"},"flows":[1],"Prompt":"b","new_field":"e"`,
			`"integrations":[]`, "Prompt, call_tools, dynamic_variables, flows, integrations, new_field", []string{
				"Prompt: changed (value not shown)", "call_tools: changed (value not shown)",
				"dynamic_variables: changed (value not shown)", "flows: changed (value not shown)",
				"integrations: changed (value not shown)", "new_field: changed (value not shown)",
			}},
	} {
		t.Run(test.name, func(t *testing.T) {
			names, full := differing(t, test.before, test.after)
			if names != test.names || !slices.Equal(full, test.full) {
				t.Errorf("names %q, want %q; full\n%q, want\n%q", names, test.names, full, test.full)
			}
		})
	}
}

func TestDifferencesAreBounded(t *testing.T) {
	const most, longest = 200, 1000 // lines, and characters of a line
	prompt := func(n int, line string) string { return `"prompt":"` + strings.Repeat(line+`\n`, n) + `"` }
	_, got := differing(t, prompt(500, "old"), prompt(500, "new"))
	if len(got) != most+1 || got[most] != "… 802 more lines not shown" {
		t.Errorf("%d lines, the last is %q", len(got), got[len(got)-1])
	}
	_, got = differing(t, "", prompt(most-2, "new"))
	if len(got) != most || strings.HasPrefix(got[most-1], "…") {
		t.Errorf("just as many lines as fit: %d lines, the last is %q", len(got), got[len(got)-1])
	}
	_, got = differing(t, "", prompt(150, strings.Repeat("é", 2000)))
	if last := []rune(got[len(got)-1]); len(got) != 152 || len(last) != longest || last[longest-1] != '…' {
		t.Errorf("%d lines, the last has %d characters", len(got), len(last))
	}
	_, got = differing(t, "", `"reminder_messages":["`+strings.Repeat("x", 1<<19)+`"]`)
	if len(got) != 1 || len([]rune(got[0])) > longest {
		t.Errorf("a long value: %d lines, %d bytes", len(got), len(got[0]))
	}
	var fields []string
	for i := range 1000 {
		fields = append(fields, fmt.Sprintf(`"field_%03d":%d`, i, i))
	}
	if names, _ := differing(t, "", strings.Join(fields, ",")); !strings.HasSuffix(names,
		", field_019, and 980 more") {
		t.Error(names)
	}
	// Nothing masks a part of the token, so it must be found before a value is truncated.
	for n := 340; n < 405; n++ {
		_, full := differing(t, "", `"reminder_messages":["`+strings.Repeat("x", n)+sandbox.Token+
			`"],"prompt":"a\n`+strings.Repeat("x", longest-400+n)+sandbox.Token+`"`)
		if shown := strings.Join(full, "\n"); strings.Contains(shown, sandbox.Token[:6]) {
			t.Fatalf("after %d: %s", n, shown)
		}
	}
}

// GitHub's renderer counts no more than 255 backticks in the line that opens a block.
func TestFenceCannotBeClosed(t *testing.T) {
	for _, n := range []int{0, 1, 3, 4, 80, 81, 99, 100, 101, 200, 255, 256, 300, 998} {
		for _, around := range []string{"%s", "   %s", "%s ", "%s\t", "~~~\n%s", "%s\n%[1]s"} {
			text := fmt.Sprintf(around, strings.Repeat("`", n))
			api, server := newSandbox(t)
			configured(api, `"prompt":`+toJSON(text), `"prompt":`+toJSON(text+"\nx"))
			res := with("show-changes", "full").runInMemory(t, server)
			_, block, _ := strings.Cut(res.summary, "Changes in full")
			parts := regexp.MustCompile("(?s)\n(`{3,})diff\n(.*?\n)(`{3,})\n").FindStringSubmatch(block)
			if parts == nil || len(parts[1]) < 3 {
				t.Fatalf("no fences:\n%s", res.summary)
			}
			for line := range strings.Lines(parts[2]) {
				bare := strings.TrimSpace(line)
				if strings.Trim(bare, "`") == "" && len(bare) >= min(len(parts[1]), 255) {
					t.Errorf("%q closes %d backticks", line, len(parts[1]))
				}
			}
			if parts[3] != parts[1] || !strings.Contains(parts[2], "\n+x\n") {
				t.Errorf("%d backticks are closed by\n%s%s", len(parts[1]), parts[2], parts[3])
			}
		}
	}
}

// TestValuesThatAreNeverShown plants a secret wherever one may be, on either side.
func TestValuesThatAreNeverShown(t *testing.T) {
	const planted = "planted-3f9a1c"
	secrets := func(n int) string {
		return fmt.Sprintf(`"call_tools":[{"name":"%[1]s-a%[2]d"}],
			"integrations":[{"api_key":"%[1]s-b%[2]d","%[1]s-c%[2]d":1}],
			"dynamic_variables":{"%[1]s-d%[2]d":"%[1]s-e%[2]d"},
			"webhook":"%[1]s-f%[2]d","nested":{"prompt":"%[1]s-g%[2]d"},"prompt_2":"a\n%[1]s-h%[2]d"`, planted, n)
	}
	fields := "call_tools,dynamic_variables,greeting,integrations,nested,prompt_2,webhook"
	for _, mode := range []string{"", "names", "full", "off"} {
		for _, dry := range []string{"false", "true"} {
			t.Run(mode+" "+dry, func(t *testing.T) {
				api, server := newSandbox(t)
				configured(api, `"greeting":"Hello",`+secrets(1), `"greeting":"Good day",`+secrets(2))
				res := scenario{
					inputs: map[string]string{"show-changes": mode, "dry-run": dry},
					env:    map[string]string{"RUNNER_DEBUG": "1"},
				}.runInMemory(t, server)
				if res.exit != 0 || strings.Contains(res.places(), planted) {
					t.Errorf("exit status %d, shows\n%s", res.exit, res.places())
				}
				got, set := res.outputs["changed-fields"]
				if set == (mode == "off") || set && got != fields {
					t.Errorf("changed-fields is %q, %t", got, set)
				}
				values := strings.Contains(res.summary, "Good day")
				inLog := strings.Contains(res.stdout, "Good day")
				if values != (mode == "full") || inLog != (mode == "full" && dry == "true") {
					t.Errorf("values in the summary: %t, in the log: %t", values, inLog)
				}
				named := strings.Contains(res.stdout, "Configuration fields that differ: call_tools, ") &&
					strings.Contains(res.summary, "`call_tools`, ")
				if named == (mode == "off") {
					t.Errorf("the fields are named: %t", named)
				}
			})
		}
	}
}

// The token and anything the runner could parse as a command may be part of a prompt, or the name of a field. That no
// place shows the token, and that the runner finds no command, is checked of every run.
func TestHostilePrompt(t *testing.T) {
	hostile := "first\n::error::forged\n   ::add-mask::x\n##[set-output name=status]forged\n\u3000" +
		"::stop-commands::t\r::error::forged\n" +
		"</details><img src=x onerror=alert(1)>\n```\n````\n# forged\n[a](https://a.example) @octocat\n" +
		sandbox.Token + "\nlast"
	text := func(s string) string { b, _ := json.Marshal(s); return string(b) }
	before := `"prompt":` + text(hostile) + `,` + text("::error::field") + `:1,"voice":{"id":"` + sandbox.Token + `"}`
	after := `"prompt":` + text(strings.ReplaceAll(hostile, "\n", "\nnew\n")) + `,` + text("##[error]"+sandbox.Token) +
		`:1,"` + sandbox.Token + `":2,"a,b=c\nd":3,"\u0301::add-mask::x":4`
	for _, mode := range []string{"names", "full"} {
		for _, dry := range []string{"false", "true"} {
			api, server := newSandbox(t)
			configured(api, before, after)
			res := scenario{inputs: map[string]string{"show-changes": mode, "dry-run": dry},
				env: map[string]string{"RUNNER_DEBUG": "1"}}.runInMemory(t, server)
			status := map[string]expected{"true": {status: "dry-run", attempts: -1}, "false": {attempts: 1}}[dry]
			res.check(t, status)
			if got := res.outputs["changed-fields"]; got != "prompt,***,voice" {
				t.Errorf("changed-fields is %q", got)
			}
			if mode == "full" && (strings.Count(res.summary, "\n`````diff\n") != 1 ||
				strings.Count(res.summary, "\n`````\n") != 1) {
				t.Errorf("no fence of five backticks:\n%s", res.summary)
			}
			outside, block, _ := strings.Cut(res.summary, "`````diff\n")
			_, rest, _ := strings.Cut(block, "\n`````\n")
			for _, part := range []string{"<img", "# forged", "https://a.example"} {
				if strings.Contains(outside+rest, part) {
					t.Errorf("%q is outside the code block:\n%s", part, res.summary)
				}
			}
		}
	}
}

// A prompt of nearly 1 MiB and 50,000 lines, of which every line changes, is the most that the client reads.
func TestHugePrompts(t *testing.T) {
	const lines = 50_000
	old := func(i int) string { return fmt.Sprintf("old %d of %d", i, lines) }
	prompt := func(line func(i int) string) string {
		var b strings.Builder
		for i := range lines {
			b.WriteString(line(i) + `\n`)
		}
		return `"prompt":"` + b.String() + `"`
	}
	for name, line := range map[string]func(i int) string{
		"every line": func(i int) string { return fmt.Sprint("new ", i) },
		"some lines": func(i int) string { return strings.Replace(old(i), "1 of", "1 OF", 1) },
		"reversed":   func(i int) string { return old(lines - 1 - i) },
	} {
		t.Run(name, func(t *testing.T) {
			api, server := newSandbox(t)
			configured(api, prompt(old), prompt(line))
			address := "http://" + startServer(t, server)
			res := scenario{inputs: map[string]string{"api-url": address, "show-changes": "full",
				"dry-run": "true"}}.runMeasured(t)
			res.check(t, expected{status: "dry-run", attempts: -1, maxTime: 5 * time.Second})
			if !strings.Contains(res.stdout, "prompt (+") || !strings.Contains(res.stdout, " more lines not shown") {
				t.Errorf("printed\n%.2000s", res.stdout)
			}
		})
	}
}

// A version that cannot be read costs the list of changes, not the publication.
func TestChangesNotKnown(t *testing.T) {
	for _, path := range []string{publishedRead, "version_id="} {
		_, server := newSandbox(t, sandbox.Fault{Method: http.MethodGet, Path: path, Status: 500, Times: -1})
		res := scenario{inputs: map[string]string{"show-changes": "full"}}.runInMemory(t, server)
		res.check(t, asUsual)
		if _, set := res.outputs["changed-fields"]; set || strings.Contains(res.summary, "hat changed") ||
			strings.Count(res.stdout, "Could not read the ") != 1 {
			t.Errorf("%s: %q\n%s\n%s", path, res.outputs, res.stdout, res.summary)
		}
	}
}

// A cut takes the changes in full and what follows, but not the way back.
func TestSummaryOutputIsCut(t *testing.T) {
	api, server := newSandbox(t)
	lines := func(word string) string { return strings.Repeat(strings.Repeat(word+" ", 150)+`\n`, 90) }
	configured(api, `"prompt":"`+lines("before")+`"`, `"prompt":"`+lines("after")+`"`)
	res := scenario{inputs: map[string]string{"show-changes": "full"}}.runInMemory(t, server)
	short := res.outputs["summary"]
	if res.exit != 0 || len(short) > 60<<10 || len(res.summary) <= 60<<10 ||
		!strings.Contains(short, "<details><summary>Undo") || strings.Contains(short, "Changes in full") ||
		!strings.Contains(short, "The rest is in the job summary") ||
		strings.Count(short, "<details") != strings.Count(short, "</details>") {
		t.Errorf("%d bytes, in the job summary %d:\n%.2000s", len(short), len(res.summary), short)
	}
}
