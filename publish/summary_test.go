package publish_test

import (
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"publish-agent-version/internal/sandbox"
)

var update = flag.Bool("update", false, "write the golden logs and summaries anew")

// goldenRuns are runs whose logs and job summaries are kept as golden files.
func goldenRuns() []story {
	const hostileName = "a|b `c` <img src=x> [d](https://a.example) @octocat"
	shell := map[string]string{"GITHUB_ACTIONS": ""}
	lost := sandbox.Fault{Drop: sandbox.DropReply, Applied: true, Times: -1}
	return []story{
		{name: "published", inputs: []string{"inbound-phone-number-id", sandbox.Reception, "outbound-phone-number-id",
			sandbox.Callback}},
		{name: "published-by-name", inputs: []string{"version-name", sandbox.NextName}},
		{name: "published-already", inputs: []string{"version-id", sandbox.LiveID}},
		{name: "published-for-the-first-time", inputs: []string{"agent-id", sandbox.NightDesk, "version-id",
			sandbox.NightID, "inbound-phone-number-id", sandbox.Switch}},
		{name: "published-after-a-retry", faults: []sandbox.Fault{{Status: 503,
			Body: `{"error_code":"BUSY","message":"Try later"}`}}},
		{name: "unpublished", inputs: []string{"unpublish", "true"}},
		{name: "dry-run", inputs: []string{"dry-run", "true", "outbound-phone-number-id", sandbox.Callback}},
		{name: "dry-run-of-unpublishing", inputs: []string{"dry-run", "true", "unpublish", "true"}},
		{name: "refused", inputs: []string{"version-id", sandbox.DraftID}},
		{name: "refused-token", inputs: []string{"token", sandbox.ReadToken}},
		{name: "refused-by-a-gateway", faults: []sandbox.Fault{{Status: 404,
			Body: "<html><title>Not here</title></html>"}}},
		{name: "failed-after-retries", inputs: []string{"max-retries", "1"},
			faults: []sandbox.Fault{{Status: 503, Body: `{"error_code":"BUSY","message":"Try later"}`, Times: -1}}},
		{name: "told-to-wait", faults: []sandbox.Fault{{Status: 429, Header: http.Header{"Retry-After": {"3600"}},
			Times: -1}}},
		{name: "name-not-found", inputs: []string{"version-name", "v1.22.80"}},
		{name: "name-of-a-draft", inputs: []string{"version-name", sandbox.DraftName}},
		{name: "name-of-two-versions", inputs: []string{"version-name", sandbox.SharedName}},
		{name: "not-confirmed-but-live", inputs: []string{"max-retries", "1"}, faults: []sandbox.Fault{lost}},
		{name: "not-confirmed-and-not-live", inputs: []string{"max-retries", "0"},
			faults: []sandbox.Fault{{Drop: sandbox.DropReply}}},
		{name: "not-confirmed-nor-known", inputs: []string{"max-retries", "0"},
			faults: []sandbox.Fault{lost, {Method: "GET", Times: 3}, {Method: "GET", Status: 500, Times: -1}}},
		{name: "another-confirmed", faults: []sandbox.Fault{{Body: strings.Replace(confirmationBody, sandbox.NextID,
			sandbox.OldestID, 1)}}},
		{name: "canceled", signal: syscall.SIGINT, signalAt: 2 * time.Second,
			faults: []sandbox.Fault{{Delay: time.Minute, Applied: true}}},
		{name: "inputs-invalid", inputs: []string{"token", "", "version-id", "", "timeout", "soon", "api-url",
			"http://api.diga.io"}},
		{name: "input-invalid", inputs: []string{"version-id", "v1.22.8"}},
		{name: "live", inputs: []string{"version-id", "", "show-live", "true"}},
		{name: "offline", inputs: []string{"agent-id", sandbox.NightDesk, "version-id", "", "show-live", "true"}},
		{name: "older", inputs: []string{"version-id", sandbox.OldestID}},
		{name: "not-newer", inputs: []string{"version-id", sandbox.OldestID, "only-newer", "true"}},
		{name: "unexpected-version", inputs: []string{"expect-version-id", sandbox.OldestID}},
		{name: "launched", inputs: []string{"version-name", "v1.23.0", "launch-draft", "true"}},
		{name: "launched-dry-run", inputs: []string{"version-name", "v1.23.0", "launch-draft", "true", "dry-run",
			"true"}},
		{name: "launch-unclear", inputs: []string{"version-name", "v1.23.0", "launch-draft", "true"},
			faults: []sandbox.Fault{{Method: "POST", Status: 502}}},
		{name: "launched-not-published", inputs: []string{"version-name", "v1.23.0", "launch-draft", "true"},
			faults: []sandbox.Fault{{Status: 400, Body: apiErrorBody}}},
		{name: "numbers-lost", is: dropping, setup: bindTwo},
		{name: "numbers-kept", setup: bindTwo, inputs: []string{"inbound-phone-number-id", sandbox.Callback}},
		{name: "numbers-not-readable", faults: []sandbox.Fault{{Method: "GET", Path: "/v1/phone/", Status: 503,
			Times: -1}}},
		{name: "numbers-not-protected", inputs: []string{"token", sandbox.AgentsToken},
			is: sandbox.Behavior{PhonesIfNamed: true}},
		{name: "number-in-national-form", inputs: []string{"inbound-phone-number", "+34 910 00 00 02"},
			is: sandbox.Behavior{Notation: national}},
		{name: "changes-in-full", inputs: []string{"dry-run", "true", "show-changes", "full"}},
		{name: "by-number", inputs: []string{"inbound-phone-number", "+34 910-000-002"}},
		{name: "number-not-found", inputs: []string{"inbound-phone-number", "+34 910 000 009"}},
		{name: "number-in-use", inputs: []string{"inbound-phone-number-id", sandbox.Hotline}},
		{name: "number-unusable", inputs: []string{"inbound-phone-number-id", sandbox.Retired}},
		{name: "number-released", inputs: []string{"inbound-phone-number-id", "none"}},
		{name: "command-line", env: shell, inputs: []string{"outbound-phone-number-id", sandbox.Callback}},
		{name: "command-line-refused", env: shell, inputs: []string{"inbound-phone-number-id", sandbox.Hotline}},
		{name: "number-taken-over", is: sandbox.Behavior{AllowTakeOver: true},
			inputs: []string{"inbound-phone-number-id", sandbox.Hotline, "take-over", "true"}},
		{name: "dry-run-of-several-numbers", setup: bindTwo, inputs: []string{"inbound-phone-number-id",
			sandbox.Callback, "dry-run", "true"}},
		{name: "only-a-number", inputs: []string{"version-id", sandbox.LiveID, "outbound-phone-number-id",
			sandbox.Callback}},
		{name: "part-of-it", setup: func(api *sandbox.Sandbox) { api.SetPublished(sandbox.FrontDesk, sandbox.NextID) },
			inputs: []string{"version-id", sandbox.NextID, "inbound-phone-number-id", sandbox.Switch, "max-retries",
				"0"}, faults: []sandbox.Fault{{Drop: sandbox.DropReply}}},
		{name: "hostile-name", setup: named(hostileName), inputs: []string{"version-name", hostileName}},
		{name: "hostile-message", faults: []sandbox.Fault{{Status: 400,
			Body: `{"error_code":"BAD_PARAMETER","message":"a|b ` + "``c``" +
				` <img src=x>\n::error::forged ##[add-mask]x [d](https://a.example) @octocat ` +
				sandbox.Token + `"}`}}},
	}
}

// requestID is the part of a log or a summary that varies.
var requestID = regexp.MustCompile(`(?i)(Request id(?:<br>)?\W*)[0-9a-f-]{36}`)

// checkGolden compares got with a golden file, or writes it.
func checkGolden(t *testing.T, file, got string) {
	t.Helper()
	got = requestID.ReplaceAllString(got, "${1}ffffffff-ffff-4fff-8fff-ffffffffffff")
	path := filepath.Join("..", "testdata", file)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (go test ./publish -update writes it)", err)
	}
	if got != string(want) {
		t.Errorf("%s (go test ./publish -update accepts it): got\n%s\nwant\n%s", file, got, want)
	}
}

func TestGolden(t *testing.T) {
	t.Parallel()
	kept := make(map[string]bool)
	for _, run := range goldenRuns() {
		t.Run(run.name, func(t *testing.T) {
			_, server, s := run.prepare(t)
			s.jitter = func(limit time.Duration) time.Duration { return limit / 2 }
			res := s.runInMemory(t, server)
			checkGolden(t, "logs/"+run.name+".txt", res.stdout+res.stderr)
			checkGolden(t, "summaries/"+run.name+".md", res.summary)
		})
		kept["logs/"+run.name+".txt"], kept["summaries/"+run.name+".md"] = true, true
	}
	for _, file := range must(filepath.Glob(goldens)) {
		if name := strings.TrimPrefix(filepath.ToSlash(file), "../testdata/"); !kept[name] {
			t.Errorf("%s belongs to no run", name)
		}
	}
}
