package publish_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"publish-agent-version/internal/sandbox"
)

// TestFaultsLaunch has the rows D of docs/faults.md.
func TestFaultsLaunch(t *testing.T) {
	t.Parallel()
	const launched = "b1000000-0000-4000-8000-000000000231"
	launch := []string{"version-name", "v2", "launch-draft", "true"}
	post := func(f sandbox.Fault) sandbox.Fault {
		f.Method = http.MethodPost
		return f
	}
	launches := func(t *testing.T, api *sandbox.Sandbox, want int) {
		t.Helper()
		n := 0
		for _, v := range api.State().Versions(sandbox.FrontDesk) {
			if v.Name == "v2" && !v.Draft {
				n++
			}
		}
		if n != want {
			t.Errorf("%d versions are named v2, want %d", n, want)
		}
	}
	yes, no := map[string]string{"launched": "true", "version-id": launched, "version-name": "v2"},
		map[string]string{"launched": "false"}
	d1 := story{name: "D1", inputs: launch, attempts: 1, live: launched, outputs: yes, says: []string{
		"Launched v2 from the draft. Front desk is now on v2 (was v1.22.7) and answers +34 910 000 001 (Reception)"},
		requests: 7}
	d1.run(t)
	t.Run("D2", func(t *testing.T) {
		api, server := newSandbox(t)
		with(launch...).runInMemory(t, server)
		res := with(launch...).check(t, &http.Server{Handler: api}, asUsual)
		if launches(t, api, 1); res.outputs["launched"] != "false" {
			t.Errorf("launched is %q", res.outputs["launched"])
		}
	})
	t.Run("D3", func(t *testing.T) {
		for name, fault := range map[string]sandbox.Fault{
			"lost": {Drop: sandbox.DropReply}, "cut off": {Drop: sandbox.DropBody}, "late": {Delay: time.Hour},
			"a gateway's 502": {Status: 502},
			"the API's 500":   {Status: 500, Body: apiErrorBody}, "408": {Status: 408},
		} {
			fault.Applied = true
			story{name: name, inputs: launch, faults: []sandbox.Fault{post(fault)}, attempts: 1, live: launched,
				outputs: yes}.run(t)
		}
		story{name: "a replica behind", is: sandbox.Behavior{ReplicaLag: 3 * time.Second}, inputs: launch, attempts: 1,
			live: launched, outputs: yes, faults: []sandbox.Fault{post(sandbox.Fault{Drop: sandbox.DropReply,
				Applied: true})}}.run(t)
	})
	t.Run("D4", func(t *testing.T) {
		for name, test := range map[string]struct {
			fault sandbox.Fault
			code  string
		}{
			"lost":            {sandbox.Fault{Drop: sandbox.DropReply}, "ACTION_NETWORK_ERROR"},
			"a gateway's 503": {sandbox.Fault{Status: 503}, "HTTP_503"},
			"late":            {sandbox.Fault{Delay: time.Hour}, "ACTION_TIMEOUT"},
		} {
			story{name: name, inputs: launch, faults: []sandbox.Fault{post(test.fault)}, code: test.code, attempts: -1,
				outputs: no, says: []string{"he version v2 may still appear",
					"un this step again: it finds the version by its name"}}.run(t)
		}
		story{name: "refused after an error of the API's own", inputs: launch, code: "NAME_TAKEN", attempts: -1,
			faults: []sandbox.Fault{post(sandbox.Fault{Status: 500, Body: apiErrorBody}),
				post(sandbox.Fault{Status: 409, Body: `{"status":"error","error_code":"NAME_TAKEN","message":"No."}`})},
			says: []string{"he version v2 may still appear"}}.run(t)
		story{name: "the draft has the name",
			inputs: []string{"version-name", sandbox.DraftName, "launch-draft", "true"},
			faults: []sandbox.Fault{post(sandbox.Fault{Drop: sandbox.DropReply})}, code: "ACTION_NETWORK_ERROR",
			attempts: -1, says: []string{sandbox.DraftName + " may still appear"}}.run(t)
		story{name: "nothing can have come of a 429", inputs: launch, faults: []sandbox.Fault{post(busy("2"))},
			attempts: 1, live: launched, outputs: yes}.run(t)
		story{name: "the list contradicts the API's own error", inputs: launch, attempts: 1, live: launched,
			outputs: yes, faults: []sandbox.Fault{post(sandbox.Fault{Status: 500, Body: apiErrorBody})}}.run(t)
	})
	t.Run("D5", func(t *testing.T) {
		api, server := newSandbox(t, post(sandbox.Fault{Drop: sandbox.DropReply, Applied: true}))
		server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost { // the other job
				api.AddVersion(sandbox.FrontDesk, sandbox.Version{Name: "v2"})
			}
			api.ServeHTTP(w, r)
		})
		with(launch...).check(t, server, expected{code: "ACTION_VERSION_AMBIGUOUS", attempts: -1,
			says: []string{"2 versions are named \"v2\"", launched}})
		checkLive(t, api, sandbox.LiveID)
	})
	t.Run("D6", func(t *testing.T) {
		other := func(name, agent string, draft string) string {
			return `{"agent_id":"` + agent + `","version_id":"` + launched + `","version_name":"` + name +
				`","is_draft":` + draft + `}`
		}
		for name, test := range map[string]struct {
			fault sandbox.Fault
			code  string
		}{
			"403": {sandbox.Fault{Status: 403, Body: apiErrorBody}, "PUBLISH_FAILED"},
			"400": {sandbox.Fault{Status: 400, Body: apiErrorBody}, "PUBLISH_FAILED"},
			"422": {sandbox.Fault{Status: 422, Body: validationErrors("body.version_name", "too long")}, "HTTP_422"},
			"302": {sandbox.Fault{Status: 302}, "ACTION_REDIRECT_REFUSED"},
			"another agent": {sandbox.Fault{Status: 200, Body: other("v2", sandbox.Support, "false")},
				"ACTION_RESPONSE_MISMATCH"},
			"another name": {sandbox.Fault{Status: 201, Body: other("v3", sandbox.FrontDesk, "false")},
				"ACTION_RESPONSE_MISMATCH"},
			"a draft": {sandbox.Fault{Status: 201, Body: other("v2", sandbox.FrontDesk, "true")},
				"ACTION_RESPONSE_MISMATCH"},
			"not JSON": {sandbox.Fault{Status: 201, Body: "OK"}, "ACTION_RESPONSE_INVALID"},
		} {
			var hides []string
			if test.fault.Status >= 300 {
				hides = []string{"may still appear"}
			}
			story{name: name, inputs: launch, faults: []sandbox.Fault{post(test.fault)}, code: test.code, attempts: -1,
				outputs: no, hides: hides, requests: 6, says: []string{": Front desk is on v1.22.7"}}.run(t)
		}
		withIssue := func(api *sandbox.Sandbox) {
			api.AddVersion(sandbox.FrontDesk, sandbox.Version{Name: "v9", Draft: true,
				Issues: []sandbox.Issue{{Code: "X", Message: "No voice."}}})
		}
		story{name: "issues that have nothing to do with it", inputs: launch, setup: withIssue, code: "PUBLISH_FAILED",
			attempts: -1, hides: []string{"No voice."},
			faults: []sandbox.Fault{post(sandbox.Fault{Status: 403, Body: apiErrorBody})}}.run(t)
		story{name: "issues", inputs: launch, setup: withIssue, code: "BAD_PARAMETER", attempts: -1,
			says: []string{"No voice.", "Fix the draft in Diga"}}.run(t)
	})
	t.Run("D7", func(t *testing.T) {
		for _, inputs := range [][]string{{"expect-version-id", sandbox.OldestID},
			{"inbound-phone-number-id", sandbox.Hotline}} {
			api, server := newSandbox(t)
			res := with(append(inputs, launch...)...).runInMemory(t, server)
			if launches(t, api, 0); res.exit != 1 {
				t.Errorf("exit status %d", res.exit)
			}
		}
	})
	t.Run("D8", func(t *testing.T) {
		story{name: "no draft", inputs: launch, code: "ACTION_VERSION_NOT_FOUND", attempts: -1,
			says:  []string{"the agent has no draft to launch"},
			setup: func(api *sandbox.Sandbox) { api.DeleteVersion(sandbox.FrontDesk, sandbox.DraftID) }}.run(t)
		story{name: "the name is the draft's", inputs: []string{"version-name", sandbox.DraftName, "launch-draft",
			"true"}, attempts: 1, live: launched}.run(t)
	})
	t.Run("D9", func(t *testing.T) {
		once := append([]string{"max-retries", "0"}, launch...)
		story{name: "the change fails", inputs: once, attempts: 1, faults: []sandbox.Fault{{Status: 502, Times: -1}},
			code: "HTTP_502", status: "unknown",
			says: []string{"v2 was launched from the draft; Front desk is still on v1.22.7, but the change may still"}}.run(t)
		story{name: "the change fails for certain", inputs: once, attempts: 1, faults: []sandbox.Fault{apiFailing},
			code: "PUBLISH_FAILED", hides: []string{"launched from the draft"},
			says: []string{"v2 was launched and is not live: Front desk is still on v1.22.7"}}.run(t)
		api, server := newSandbox(t, sandbox.Fault{Delay: time.Hour, Times: -1})
		s := with(launch...)
		s.signal, s.signalAt = 2, time.Second
		res := s.runInMemory(t, server)
		if launches(t, api, 1); res.exit != 130 || res.outputs["launched"] != "true" {
			t.Errorf("exit status %d, outputs %q", res.exit, res.outputs)
		}
		_, server = newSandbox(t, post(sandbox.Fault{Delay: 2 * time.Second, Applied: true}))
		res = s.runInMemory(t, server)
		if res.exit != 130 || !strings.Contains(res.message(), "v2") {
			t.Errorf("exit status %d, %q", res.exit, res.message())
		}
		_, server = newSandbox(t, post(sandbox.Fault{Status: 502}))
		if res = s.runInMemory(t, server); res.exit != 130 || !strings.Contains(res.message(), "v2 may still appear") {
			t.Errorf("while it looks: exit status %d, %q", res.exit, res.message())
		}
	})
	t.Run("dry run", func(t *testing.T) {
		story{name: "nothing is launched", inputs: append([]string{"dry-run", "true"}, launch...), status: "dry-run",
			outputs: map[string]string{"launched": "false", "version-id": "", "version-name": "v2"},
			summary: []string{"`v2`, from the draft"},
			says:    []string{"Front desk would be on v2, from the draft"}}.run(t)
	})
}
