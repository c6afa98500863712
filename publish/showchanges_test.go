package publish_test

import (
	"encoding/json"
	"fmt"
	"net/http"
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
		`:1,"` + sandbox.Token + `":2,"a,b=c\nd":3`
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
	prompt := func(word string) string {
		var b strings.Builder
		for i := range 50_000 {
			fmt.Fprintf(&b, `%s %d of 50000\n`, word, i)
		}
		return `"prompt":"` + b.String() + `"`
	}
	for name, after := range map[string]string{
		"every line": prompt("new"), "every other line": strings.ReplaceAll(prompt("old"), `1 of 50000\n`,
			`1 OF 50000\n`), "reversed": `"prompt":"` + strings.Join(reversedLines(prompt("old")), `\n`) + `"`,
	} {
		t.Run(name, func(t *testing.T) {
			api, server := newSandbox(t)
			configured(api, prompt("old"), after)
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

// reversedLines returns the lines of the one text in fields in reverse.
func reversedLines(fields string) []string {
	lines := strings.Split(strings.TrimSuffix(strings.TrimPrefix(fields, `"prompt":"`), `"`), `\n`)
	slices.Reverse(lines)
	return lines
}

// A version that cannot be read costs the list of changes, not the publication.
func TestChangesNotKnown(t *testing.T) {
	for _, path := range []string{publishedRead, "version_id="} {
		_, server := newSandbox(t, sandbox.Fault{Method: http.MethodGet, Path: path, Status: 500, Times: -1})
		res := scenario{inputs: map[string]string{"show-changes": "full"}}.runInMemory(t, server)
		res.check(t, expected{attempts: 1})
		if _, set := res.outputs["changed-fields"]; set || strings.Contains(res.summary, "hat changed") ||
			strings.Count(res.stdout, "Could not read the ") != 1 {
			t.Errorf("%s: %q\n%s\n%s", path, res.outputs, res.stdout, res.summary)
		}
	}
	t.Run("nothing differs", func(t *testing.T) {
		api, server := newSandbox(t)
		configured(api, `"prompt":"a"`, `"prompt":"a"`)
		res := scenario{inputs: map[string]string{"show-changes": "full"}}.runInMemory(t, server)
		if fields, set := res.outputs["changed-fields"]; !set || fields != "" ||
			strings.Contains(res.summary, "What changed") {
			t.Errorf("changed-fields is %q, %t\n%s", fields, set, res.summary)
		}
	})
}

// A cut takes the changes in full and what follows, but not the way back.
func TestSummaryOutputIsCut(t *testing.T) {
	api, server := newSandbox(t)
	lines := func(word string) string { return strings.Repeat(strings.Repeat(word+" ", 150)+`\n`, 90) }
	configured(api, `"prompt":"`+lines("before")+`"`, `"prompt":"`+lines("after")+`"`)
	res := scenario{inputs: map[string]string{"show-changes": "full"}}.runInMemory(t, server)
	short := res.outputs["summary"]
	if res.exit != 0 || len(short) > 60<<10 || len(res.summary) <= 60<<10 ||
		!strings.Contains(short, "<details><summary>Undo") || !strings.Contains(short, "The rest is in the job summary") ||
		strings.Contains(short, "Changes in full") || strings.Count(short, "<details") != strings.Count(short, "</details>") {
		t.Errorf("exit status %d, %d bytes, in the job summary %d:\n%.2000s", res.exit, len(short), len(res.summary), short)
	}
}
