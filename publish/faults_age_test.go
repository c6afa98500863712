package publish_test

import (
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"publish-agent-version/internal/sandbox"
)

// busy is a rate limit that asks to wait.
func busy(seconds string) sandbox.Fault {
	return sandbox.Fault{Status: 429, Header: http.Header{"Retry-After": {seconds}}, Body: apiErrorBody}
}

// publishOldest publishes another version behind the step's back.
func publishOldest(api *sandbox.Sandbox) { api.SetPublished(sandbox.FrontDesk, sandbox.OldestID) }

// TestFaultsAge has the rows A of docs/faults.md: how old a reading may be.
func TestFaultsAge(t *testing.T) {
	guard := []string{"version-name", sandbox.NextName, "expect-version-id", sandbox.LiveID}
	t.Run("A1", func(t *testing.T) {
		for path, inputs := range map[string][]string{
			"after=": guard, "/v1/phone/": {"expect-version-id", sandbox.LiveID}, "version_id=": {"only-newer", "true"},
		} {
			wait := get(path, busy("60"))
			wait.Times = 1
			s := story{name: path + " waits", inputs: inputs, faults: []sandbox.Fault{wait}, after10s: publishOldest,
				attempts: 1,
				says:     []string{"(was v1.0.0)"}, outputs: map[string]string{"previous-version-id": sandbox.OldestID}}
			if inputs[0] != "only-newer" {
				s.code, s.attempts, s.live, s.outputs = "ACTION_UNEXPECTED_VERSION", -1, sandbox.OldestID, nil
				s.says = []string{"but v1.0.0 (1) is live", "Nothing was changed: v1.0.0 is live"}
			}
			s.run(t)
		}
	})
	t.Run("A2", func(t *testing.T) {
		refusal := sandbox.Fault{Status: 400, Body: apiErrorBody}
		slow := get("after=", busy("60"))
		slow.Times = 1
		story{name: "read back", inputs: []string{"version-name", sandbox.NextName},
			faults:   []sandbox.Fault{slow, refusal},
			after10s: publishOldest, code: "PUBLISH_FAILED", attempts: 1, live: sandbox.OldestID,
			says: []string{"Nothing was changed: v1.0.0 is still live"}}.run(t)
		unreadable := func(api *sandbox.Sandbox) {
			api.Inject(get("is_published", sandbox.Fault{Status: 503}), get("/v1/phone/", sandbox.Fault{Status: 503}))
		}
		story{name: "not readable", faults: []sandbox.Fault{busy("5"), refusal}, after: unreadable,
			code: "PUBLISH_FAILED", attempts: 2,
			says: []string{"v1.22.7 was live when this step read it, "}}.run(t)
	})
	t.Run("A3", func(t *testing.T) {
		story{name: "only-newer", after: publishOldest,
			inputs: []string{"only-newer", "true"}, faults: []sandbox.Fault{busy("20"),
				{Status: 400, Body: apiErrorBody}},
			code: "PUBLISH_FAILED", attempts: 2, live: sandbox.OldestID,
			says: []string{"Nothing was changed: v1.0.0 is live"}}.run(t)
		story{name: "expect-version-id", after: publishOldest, inputs: guard, faults: []sandbox.Fault{busy("20")},
			code: "ACTION_UNEXPECTED_VERSION", attempts: 1, live: sandbox.OldestID,
			says: []string{"but v1.0.0 (1) is live"}}.run(t)
		story{name: "the change replaces what somebody else published", after10s: publishOldest,
			inputs: []string{"only-newer", "true"}, faults: []sandbox.Fault{busy("20")}, attempts: 2,
			says:    []string{"Front desk is now on v1.22.8 (was v1.0.0)"},
			outputs: map[string]string{"previous-version-id": sandbox.OldestID}}.run(t)
	})
	t.Run("A4", func(t *testing.T) {
		story{name: "the phones can be read only afterwards", faults: []sandbox.Fault{
			get("/v1/phone/", sandbox.Fault{Status: 403, Times: 1}), {Status: 502, Applied: true},
			{Status: 502, Applied: true},
		}, inputs: []string{"max-retries", "0"}, attempts: 1, says: []string{readBack},
			warns: []string{"could not be protected"}}.run(t)
		api, server := newSandbox(t, get("/v1/phone/", sandbox.Fault{Status: 403, Times: 1}),
			sandbox.Fault{Status: 500, Body: apiErrorBody, Times: -1})
		res := scenario{}.check(t, server, expected{code: "PUBLISH_FAILED", says: []string{nothingChanged}})
		if checkLive(t, api, sandbox.LiveID); strings.Contains(res.message(), "part of it") {
			t.Errorf("says %q", res.message())
		}
	})
	t.Run("A5", func(t *testing.T) {
		_, server := newSandbox(t)
		api := server.Handler.(*sandbox.Sandbox)
		bindTwo(api)
		s := scenario{signal: syscall.SIGTERM, signalAt: 500 * time.Millisecond}
		res := s.check(t, server, expected{attempts: 1})
		if w := res.warnings(); len(w) != 1 || !strings.Contains(w[0],
			"canceled by SIGTERM), so a released one may have gone unnoticed") {
			t.Errorf("warns %q", w)
		}
	})
	t.Run("A6", func(t *testing.T) {
		closed := func(api *sandbox.Sandbox) { api.Inject(get("/v1/", busy("30"))) }
		for name, test := range map[string]struct {
			inputs []string
			last   sandbox.Fault
		}{
			"429": {nil, busy("1")}, "unpublish": {[]string{"unpublish", "true"}, busy("1")},
			"then 404": {nil, sandbox.Fault{Status: 404, Body: gatewayPage}},
			"then 302": {nil, sandbox.Fault{Status: 302}},
		} {
			last := test.last
			last.Times = -1
			s := story{name: name, inputs: append(test.inputs, "timeout", "40s"),
				faults: []sandbox.Fault{busy("1"), last}, after: closed,
				says: []string{"Nothing was changed: v1.22.7 was live when this step read it"}}
			s.code = map[bool]string{true: "PUBLISH_FAILED"}[last.Status == 429]
			if s.code == "" {
				s.code = map[int]string{404: "HTTP_404", 302: "ACTION_REDIRECT_REFUSED"}[last.Status]
			}
			s.run(t)
		}
	})
	t.Run("A7", func(t *testing.T) {
		for name, is := range map[string]sandbox.Behavior{
			"a cache": {CacheFor: time.Minute}, "a replica": {ReplicaLag: 3 * time.Second},
			"a slow replica": {ReplicaLag: 9 * time.Second},
		} {
			story{name: name, is: is, faults: []sandbox.Fault{{Status: 500, Body: apiErrorBody, Applied: true,
				Times: -1}}, inputs: []string{"max-retries", "0"},
				attempts: 1, says: []string{readBack}}.run(t)
		}
		story{name: "too little time to be sure", inputs: []string{"max-retries", "0", "timeout", "3s"},
			code: "PUBLISH_FAILED", status: "unknown", attempts: 1,
			faults: []sandbox.Fault{{Status: 500, Body: apiErrorBody}}, says: []string{mayBeApplied}}.run(t)
	})
}

// TestFaultsLaunch has the rows D of docs/faults.md.
func TestFaultsLaunch(t *testing.T) {
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
		_, server = newSandbox(t)
		server.Handler = api
		res := with(launch...).check(t, server, expected{attempts: 1})
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
			live: launched, outputs: yes,
			faults: []sandbox.Fault{post(sandbox.Fault{Drop: sandbox.DropReply, Applied: true})}}.run(t)
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
				outputs: no,
				says:    []string{"v2 may still appear: run this step again, and it will be found by its name"}}.run(t)
		}
		story{name: "the draft has the name", inputs: []string{"version-name", sandbox.DraftName, "launch-draft",
			"true"},
			faults: []sandbox.Fault{post(sandbox.Fault{Drop: sandbox.DropReply})}, code: "ACTION_NETWORK_ERROR",
			attempts: -1,
			says:     []string{sandbox.DraftName + " may still appear"}}.run(t)
		story{name: "nothing can have come of a 429", inputs: launch, faults: []sandbox.Fault{post(busy("2"))},
			attempts: 1, live: launched, outputs: yes}.run(t)
		story{name: "the list contradicts the API's own error", inputs: launch, attempts: 1, live: launched,
			outputs: yes,
			faults:  []sandbox.Fault{post(sandbox.Fault{Status: 500, Body: apiErrorBody})}}.run(t)
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
			"422": {sandbox.Fault{Status: 422, Body: validationErrors("body.version_name", "too long")},
				"HTTP_422"},
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
				outputs: no,
				hides:   hides, says: []string{nothingChanged + ": v1.22.7 is live"}}.run(t)
		}
		story{name: "issues", inputs: launch, code: "BAD_PARAMETER", attempts: -1, says: []string{"No voice."},
			setup: func(api *sandbox.Sandbox) {
				api.AddVersion(sandbox.FrontDesk, sandbox.Version{Name: "v9", Draft: true,
					Issues: []sandbox.Issue{{Code: "X", Message: "No voice."}}})
			}}.run(t)
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
	})
	t.Run("dry run", func(t *testing.T) {
		story{name: "nothing is launched", inputs: append([]string{"dry-run", "true"}, launch...), status: "dry-run",
			attempts: -1, live: sandbox.LiveID,
			outputs: map[string]string{"launched": "false", "version-id": "", "version-name": "v2"},
			summary: []string{"`v2`, from the draft"},
			says:    []string{"A real run would launch the draft as v2 and put Front desk on it"}}.run(t)
	})
	t.Run("inputs", func(t *testing.T) {
		for _, inputs := range [][]string{{"version-id", sandbox.NextID}, {"unpublish", "true", "version-id", ""},
			{"show-live", "true", "version-id", ""}} {
			res := with(append(inputs, "launch-draft", "true")...).runOffline(t)
			if res.outputs["error-code"] != "ACTION_INPUT_INVALID" || !strings.Contains(res.message(), "launch-draft") {
				t.Errorf("%q: %q", inputs, res.message())
			}
		}
	})
}
