package publish_test

import (
	"net/http"
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
	t.Parallel()
	guard := []string{"version-name", sandbox.NextName, "expect-version-id", sandbox.LiveID}
	t.Run("A1", func(t *testing.T) {
		for path, inputs := range map[string][]string{
			"after=": guard, "/v1/phone/": {"expect-version-id", sandbox.LiveID}, "version_id=": {"only-newer", "true"},
		} {
			wait := get(path, busy("60"))
			wait.Times = 1
			s := story{name: path + " waits", inputs: inputs, faults: []sandbox.Fault{wait}, after10s: publishOldest,
				attempts: 1, says: []string{"(was v1.0.0)"},
				outputs: map[string]string{"previous-version-id": sandbox.OldestID}}
			if inputs[0] != "only-newer" {
				s.code, s.attempts, s.live, s.outputs = "ACTION_UNEXPECTED_VERSION", -1, sandbox.OldestID, nil
				s.says = []string{"but v1.0.0 (1) is live", "Nothing was changed: Front desk is on v1.0.0"}
			}
			s.run(t)
		}
		slow := get("is_published", sandbox.Fault{Applied: true, Delay: 15 * time.Second})
		slow.Times = 1
		story{name: "the answer is slow", inputs: guard[2:], faults: []sandbox.Fault{slow}, after10s: publishOldest,
			code: "ACTION_UNEXPECTED_VERSION", attempts: -1, live: sandbox.OldestID,
			says: []string{"but v1.0.0 (1) is live", "Nothing was changed: Front desk is on v1.0.0"}}.run(t)
	})
	t.Run("A2", func(t *testing.T) {
		refusal := sandbox.Fault{Status: 400, Body: apiErrorBody}
		slow := get("after=", busy("60"))
		slow.Times = 1
		story{name: "read back", inputs: []string{"version-name", sandbox.NextName},
			faults: []sandbox.Fault{slow, refusal}, after10s: publishOldest, code: "PUBLISH_FAILED", attempts: 1,
			live: sandbox.OldestID, says: []string{"Nothing was changed: Front desk is still on v1.0.0"}}.run(t)
		unreadable := func(api *sandbox.Sandbox) {
			api.Inject(get("is_published", sandbox.Fault{Status: 503}), noNumbers(503))
		}
		story{name: "not readable", faults: []sandbox.Fault{busy("5"), refusal}, after: unreadable,
			code: "PUBLISH_FAILED", attempts: 2, says: []string{"Front desk was on v1.22.7 when this step read it, "}}.run(t)
	})
	t.Run("A3", func(t *testing.T) {
		story{name: "only-newer", after: publishOldest, inputs: []string{"only-newer", "true"},
			faults: []sandbox.Fault{busy("20"), {Status: 400, Body: apiErrorBody}}, code: "PUBLISH_FAILED", attempts: 2,
			live: sandbox.OldestID, says: []string{"Nothing was changed: Front desk is on v1.0.0"}}.run(t)
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
		story{name: "only before it they cannot be read", code: "PUBLISH_FAILED", hides: []string{"part of it"},
			faults: []sandbox.Fault{get("/v1/phone/", sandbox.Fault{Status: 403, Times: 1}), apiFailing},
			says:   []string{nothingChanged}}.run(t)
	})
	story{name: "A5", is: sandbox.Behavior{ReplicaLag: time.Second}, // the first reading does not show the change
		signal: syscall.SIGTERM, signalAt: 500 * time.Millisecond, setup: bindTwo, attempts: 1,
		inbound: []string{sandbox.Reception, sandbox.Switch}, warns: []string{
			"canceled by SIGTERM), so one that is no longer bound may have gone unnoticed"}}.run(t)
	t.Run("A6", func(t *testing.T) {
		closed := func(api *sandbox.Sandbox) { api.Inject(get("/v1/", busy("30"))) }
		for name, test := range map[string]struct {
			inputs []string
			last   sandbox.Fault
			code   string
		}{
			"429":       {nil, busy("1"), "PUBLISH_FAILED"},
			"unpublish": {[]string{"unpublish", "true"}, busy("1"), "PUBLISH_FAILED"},
			"then 404":  {nil, sandbox.Fault{Status: 404, Body: gatewayPage}, "HTTP_404"},
			"then 302":  {nil, sandbox.Fault{Status: 302}, "ACTION_REDIRECT_REFUSED"},
		} {
			story{name: name, inputs: append(test.inputs, "timeout", "40s"), after: closed, code: test.code,
				faults: append([]sandbox.Fault{busy("1")}, always(test.last)...),
				says:   []string{"Nothing was changed: Front desk was on v1.22.7 when this step read it"}}.run(t)
		}
	})
	t.Run("A7", func(t *testing.T) {
		story{name: "a cache", is: sandbox.Behavior{CacheFor: time.Minute}, faults: []sandbox.Fault{apiApplied},
			inputs: []string{"max-retries", "0"}, attempts: 1, says: []string{readBack}}.run(t) // V10 has replicas
		story{name: "too little time to be sure", inputs: []string{"max-retries", "0", "timeout", "3s"},
			code: "PUBLISH_FAILED", status: "unknown", attempts: 1,
			faults: []sandbox.Fault{{Status: 500, Body: apiErrorBody}}, says: []string{mayBeApplied}}.run(t)
	})
}
