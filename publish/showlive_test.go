package publish_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"publish-agent-version/internal/sandbox"
)

// showsLive runs show-live against api and checks that it sends nothing but reads, ends with this status and has these
// outputs and no other.
func showsLive(t *testing.T, api *sandbox.Sandbox, inputs map[string]string, outputs map[string]string) result {
	t.Helper()
	asked := map[string]string{"version-id": "", "show-live": "true"}
	maps.Copy(asked, inputs)
	res := scenario{inputs: asked}.runInMemory(t, serverOf(api))
	for _, r := range api.Requests() {
		if r.Method != http.MethodGet {
			t.Errorf("sent a %s", r.Method)
		}
	}
	if !maps.Equal(res.outputs, outputs) {
		t.Errorf("outputs %q, want %q", res.outputs, outputs)
	}
	for _, never := range []string{"Roll back", "00000000-0000-0000", "Configuration fields", "::warning", "Nothing was changed", "asked for"} {
		if strings.Contains(res.stdout+res.summary, never) {
			t.Errorf("says %q:\n%s\n%s", never, res.stdout, res.summary)
		}
	}
	return res
}

// liveOutputs are those of FrontDesk as it is at first, but for the changes; an empty value is one that is not set.
func liveOutputs(changes ...string) map[string]string {
	outputs := map[string]string{
		"status": "live", "agent-id": sandbox.FrontDesk, "version-id": sandbox.LiveID, "version-name": sandbox.LiveName,
		"published-version-id": sandbox.LiveID, "inbound-phone-number-id": sandbox.Reception, "inbound-phone-number": sandbox.ReceptionNumber,
		"outbound-phone-number-id": "",
	}
	for i := 0; i < len(changes); i += 2 {
		outputs[changes[i]] = changes[i+1]
		if changes[i+1] == "not set" {
			delete(outputs, changes[i])
		}
	}
	return outputs
}

func TestShowLive(t *testing.T) {
	says := func(t *testing.T, res result, message, summary string) {
		t.Helper()
		if res.message() != message || !strings.HasPrefix(res.summary, summary) {
			t.Errorf("says %q and\n%s\nwant %q and\n%s", res.message(), res.summary, message, summary)
		}
	}
	t.Run("live", func(t *testing.T) {
		api, _ := newSandbox(t)
		res := showsLive(t, api, nil, liveOutputs())
		says(t, res, "Front desk: v1.22.7 is live on +34 910 000 001 (Reception).",
			"### 📞 `Front desk`: `v1.22.7` is live\n\n|  | now |\n|:--|:--|\n| Version | `v1.22.7` (228) |\n| Inbound | `+34 910 000 001` (`Reception`) |\n\n<details>")
		if n := len(api.Requests()); n != 3 {
			t.Errorf("%d requests", n)
		}
	})
	t.Run("in both directions", func(t *testing.T) {
		api, _ := newSandbox(t)
		api.Bind(sandbox.Callback, sandbox.Outbound, sandbox.FrontDesk)
		res := showsLive(t, api, nil, liveOutputs("outbound-phone-number-id", sandbox.Callback, "outbound-phone-number", sandbox.CallbackNumber))
		says(t, res, "Front desk: v1.22.7 is live on +34 910 000 001 (Reception), calls from +34 910 000 003 (Callback).", "### 📞 `Front desk`: `v1.22.7` is live\n")
	})
	t.Run("several numbers", func(t *testing.T) {
		api, _ := newSandbox(t)
		api.Bind(sandbox.Switch, sandbox.Inbound, sandbox.FrontDesk)
		res := showsLive(t, api, nil, liveOutputs("inbound-phone-number-id", "not set", "inbound-phone-number", "not set"))
		says(t, res, "Front desk: v1.22.7 is live on +34 910 000 002 (Switch) and +34 910 000 001 (Reception).", "### 📞 `Front desk`: `v1.22.7` is live\n")
	})
	t.Run("without a number", func(t *testing.T) {
		api, _ := newSandbox(t)
		api.Bind(sandbox.Reception, sandbox.Inbound, "")
		res := showsLive(t, api, nil, liveOutputs("inbound-phone-number-id", "", "inbound-phone-number", "not set"))
		says(t, res, "Front desk: v1.22.7 is live, without a phone number.", "### 📞 `Front desk`: `v1.22.7` is live\n\n|  | now |\n|:--|:--|\n| Version | `v1.22.7` (228) |\n\n<details>")
	})
	for name, test := range failingPhoneReads {
		t.Run("numbers cannot be read, "+name, func(t *testing.T) {
			test.fault.Method, test.fault.Path, test.fault.Times = http.MethodGet, "/v1/phone/", -1
			api, _ := newSandbox(t, test.fault)
			res := showsLive(t, api, nil, liveOutputs("inbound-phone-number-id", "not set", "inbound-phone-number", "not set", "outbound-phone-number-id", "not set"))
			says(t, res, "Front desk: v1.22.7 is live.",
				"### 📞 `Front desk`: `v1.22.7` is live\n\n|  | now |\n|:--|:--|\n| Version | `v1.22.7` (228) |\n| Inbound | unknown |\n| Outbound | unknown |\n")
			if strings.Count(res.stdout, phonesUnreadable) != 1 || res.elapsed > 6*time.Second {
				t.Errorf("took %s and printed\n%s", res.elapsed, res.stdout)
			}
		})
	}
	for name, faults := range nothingLive {
		t.Run("offline, "+name, func(t *testing.T) {
			api, _ := newSandbox(t)
			takeOffline(api, faults)
			res := showsLive(t, api, nil, map[string]string{
				"status": "offline", "agent-id": sandbox.FrontDesk, "published-version-id": "", "inbound-phone-number-id": "", "outbound-phone-number-id": "",
			})
			says(t, res, "Front desk: no version is live.", "### 📴 `Front desk`: no version is live\n")
		})
	}
	t.Run("offline, with a number", func(t *testing.T) {
		api, _ := newSandbox(t)
		takeOffline(api, nil)
		api.Bind(sandbox.Reception, sandbox.Inbound, sandbox.FrontDesk)
		res := showsLive(t, api, nil, map[string]string{
			"status": "offline", "agent-id": sandbox.FrontDesk, "published-version-id": "", "outbound-phone-number-id": "",
			"inbound-phone-number-id": sandbox.Reception, "inbound-phone-number": sandbox.ReceptionNumber,
		})
		if !strings.Contains(res.summary, "|  | now |\n|:--|:--|\n| Inbound | `+34 910 000 001` (`Reception`) |\n") {
			t.Error(res.summary)
		}
	})
	t.Run("outputs cannot be written", func(t *testing.T) {
		_, server := newSandbox(t)
		const blocks = 64 // so that the summary can still be written
		output, summary := newFile(t, "held="+strings.Repeat("x", blocks*fileLimit(t)-26)+"\n"), newFile(t, "")
		res := scenario{
			inputs: map[string]string{"api-url": "http://" + startServer(t, server), "version-id": "", "show-live": "true"},
			env:    map[string]string{"GITHUB_OUTPUT": output, "GITHUB_STEP_SUMMARY": summary},
		}.process(t, fmt.Sprintf(`ulimit -f %d && exec "$@"`, blocks)).finish(t)
		const wrote = "Could not write published-version-id (" + sandbox.LiveID + ") and the other outputs: file too large."
		if text := readFile(t, summary); res.exit != 1 || !strings.Contains(res.message(), wrote) ||
			!strings.HasPrefix(text, "### ⚠️ `Front desk`: `v1.22.7` is live, but the step failed\n") {
			t.Errorf("exit status %d: %s\n%s", res.exit, res.message(), text)
		}
	})
	t.Run("read at the fifth attempt", func(t *testing.T) {
		api, _ := newSandbox(t, sandbox.Fault{Method: http.MethodGet, Path: publishedRead, Status: 503, Times: 4})
		showsLive(t, api, nil, liveOutputs())
	})
}

func TestShowLiveFails(t *testing.T) {
	for name, test := range failingPhoneReads { // the faults are as bad for a version
		for read, path := range map[string]string{"": anyVersion, ", although the list can": publishedRead} {
			t.Run(name+read, func(t *testing.T) {
				test.fault.Method, test.fault.Path, test.fault.Times = http.MethodGet, path, -1
				api, _ := newSandbox(t, test.fault)
				res := scenario{inputs: map[string]string{"version-id": "", "show-live": "true"}}.runInMemory(t, serverOf(api))
				if res.exit != 1 || res.outputs["status"] != "failed" || res.outputs["error-code"] != test.code {
					t.Errorf("exit status %d, outputs %q", res.exit, res.outputs)
				}
				for output := range res.outputs {
					if output != "status" && output != "http-status" && !strings.HasPrefix(output, "error-") {
						t.Errorf("output %s is set: %q", output, res.outputs[output])
					}
				}
				if !strings.HasPrefix(res.summary, "### ❌ ") || !strings.Contains(res.summary, "`: could not read what is live\n\n**`"+test.code+"`** ") ||
					strings.Contains(res.summary, "00000000-0000-0000") || strings.Contains(res.summary+res.stdout, "Nothing was changed") {
					t.Errorf("%s\n%s", res.stdout, res.summary)
				}
				for _, r := range api.Requests() {
					if r.Method != http.MethodGet {
						t.Errorf("sent a %s", r.Method)
					}
				}
			})
		}
	}
	t.Run("no such agent", func(t *testing.T) {
		api, _ := newSandbox(t)
		inputs := map[string]string{"agent-id": sandbox.NextID, "version-id": "", "show-live": "true"}
		res := scenario{inputs: inputs}.runInMemory(t, serverOf(api))
		if res.exit != 1 || res.outputs["error-code"] != "AGENT_NOT_FOUND" || !strings.Contains(res.message(), "Check agent-id") {
			t.Errorf("exit status %d: %s", res.exit, res.message())
		}
	})
	t.Run("another token", func(t *testing.T) {
		api, _ := newSandbox(t)
		res := scenario{inputs: map[string]string{"token": "another-token", "version-id": "", "show-live": "true"}}.runInMemory(t, serverOf(api))
		if res.exit != 1 || res.outputs["error-code"] != "UNAUTHORIZED" || res.outputs["http-status"] != "401" {
			t.Errorf("exit status %d, outputs %q", res.exit, res.outputs)
		}
	})
	// One that may only read may show what is live.
	t.Run("a token that may read", func(t *testing.T) {
		api, _ := newSandbox(t)
		showsLive(t, api, map[string]string{"token": sandbox.ReadToken}, liveOutputs())
	})
}

func TestShowLiveOutsideActions(t *testing.T) {
	summary := filepath.Join(t.TempDir(), "summary.md")
	for format, want := range map[string]string{
		"plain":  "status=live\nversion-id=" + sandbox.LiveID + "\n",
		"dotenv": "STATUS=live\nVERSION_ID=" + sandbox.LiveID + "\nVERSION_NAME=v1.22.7\nAGENT_ID=" + sandbox.FrontDesk + "\nPUBLISHED_VERSION_ID=" + sandbox.LiveID + "\nINBOUND_PHONE_NUMBER_ID=" + sandbox.Reception + "\nINBOUND_PHONE_NUMBER=+34910000001\nOUTBOUND_PHONE_NUMBER_ID=\n",
		"json":   "",
	} {
		exit, stdout, stderr := runCommandLine(t, []string{"--show-live", "--output=" + format, "--summary=" + summary}, nil)
		if exit != 0 || !strings.HasPrefix(stdout, want) || !strings.HasSuffix(stderr, "notice: Live: Front desk: v1.22.7 is live on +34 910 000 001 (Reception).\n") {
			t.Errorf("%s: exit status %d\n%s%s", format, exit, stdout, stderr)
		}
		var object map[string]string
		if err := json.Unmarshal([]byte(stdout), &object); format == "json" && (err != nil || !maps.Equal(object, liveOutputs())) {
			t.Errorf("%v: %s", err, stdout)
		}
		if text, err := os.ReadFile(summary); err != nil || !strings.HasPrefix(string(text), "### 📞 `Front desk`: `v1.22.7` is live\n") {
			t.Errorf("%v: %s", err, text)
		}
	}
}
