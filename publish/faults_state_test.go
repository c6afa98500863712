package publish_test

import (
	"cmp"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"publish-agent-version/internal/sandbox"
)

// apiErrorBody is the API's own error, with an error_code. A gateway's page has none.
const (
	apiErrorBody = `{"status":"error","error_code":"PUBLISH_FAILED","message":"The publication failed."}`
	gatewayPage  = "<html><title>Service Unavailable</title></html>"
)

// withHookAfterChange is a server for api that calls hook when a request for the change has been carried out, and
// before it is answered or its connection ends.
func withHookAfterChange(api *sandbox.Sandbox, hook func()) *http.Server {
	return &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPatch {
			defer hook()
		}
		api.ServeHTTP(w, r)
	})}
}

// TestFaultsState has the rows V of docs/faults.md: the change was not confirmed, and the state decides.
func TestFaultsState(t *testing.T) {
	t.Parallel()
	t.Run("V1", func(t *testing.T) {
		for name, fault := range map[string]sandbox.Fault{
			"lost reply":              {Drop: sandbox.DropReply},
			"truncated reply":         {Drop: sandbox.DropBody},
			"late reply":              {Delay: time.Hour},
			"unreadable reply":        {Body: "OK"},
			"an empty object":         {Body: "{}"},
			"204":                     {Status: 204},
			"408":                     {Status: 408},
			"500, the API's own":      {Status: 500, Body: apiErrorBody},
			"500, a platform's page":  {Status: 500, Body: gatewayPage},
			"501":                     {Status: 501, Body: apiErrorBody},
			"502":                     {Status: 502, Body: gatewayPage},
			"503, Envoy":              {Status: 503, Body: "upstream connect error or disconnect/reset"},
			"504":                     {Status: 504},
			"524":                     {Status: 524},
			"a reply for another one": {Body: strings.ReplaceAll(confirmationBody, sandbox.NextID, sandbox.LiveID)},
		} {
			fault.Applied = true
			for _, retries := range []string{"0", "2"} {
				story{name: name + ", " + retries + " retries", faults: always(fault),
					inputs: []string{"inbound-phone-number-id", sandbox.Switch, "max-retries", retries},
					says: []string{"Front desk is now on v1.22.8 (was v1.22.7) and answers +34 910 000 002",
						"The request failed ("}, inbound: []string{sandbox.Switch, sandbox.Reception},
					outputs: map[string]string{"inbound-phone-number-id": sandbox.Switch}}.run(t)
			}
		}
	})
	story{name: "V2", faults: []sandbox.Fault{apiFailing}, code: "PUBLISH_FAILED", attempts: 5, // H8 has other statuses
		says: []string{": The publication failed", nothingChanged + ": " + stillLive}, hides: []string{mayBeApplied},
		least: minBackoff + lastLook, most: maxBackoff + lastLook}.run(t)
	t.Run("V3", func(t *testing.T) {
		notApplied := story{code: "HTTP_503", status: "unknown", attempts: 5, says: []string{mayBeApplied, isSafe}}
		for name, body := range map[string]string{
			"HTML": gatewayPage, "text": "no healthy upstream", "JSON": `{"message":"no"}`, "empty": "",
		} {
			notApplied.name, notApplied.faults = name, always(sandbox.Fault{Status: 503, Body: body})
			notApplied.run(t)
		}
		notApplied.name, notApplied.code = "once, and then the API's own", "PUBLISH_FAILED"
		notApplied.faults = []sandbox.Fault{{Status: 503, Body: gatewayPage}, apiFailing}
		notApplied.run(t)
	})
	t.Run("V4", func(t *testing.T) {
		for code, fault := range map[string]sandbox.Fault{
			"ACTION_NETWORK_ERROR": {Drop: sandbox.DropReply}, "ACTION_TIMEOUT": {Delay: time.Hour},
		} {
			story{name: code, inputs: []string{"max-retries", "1"}, faults: always(fault), code: code,
				status: "unknown", attempts: 2, says: []string{mayBeApplied, isSafe}}.run(t)
		}
	})
	t.Run("V5", func(t *testing.T) {
		inputs := []string{"inbound-phone-number-id", sandbox.Switch, "max-retries", "0"}
		for path, says := range map[string]string{ // of the reads that fail after the change
			"/v1/": notReadable, "/v1/agent/": notReadable,
			"/v1/phone/": "Front desk is on v1.22.8, but the phone numbers could not be read",
		} {
			story{name: path, inputs: inputs, faults: always(appliedAndLost), attempts: 1, live: sandbox.NextID,
				after: injecting(get(path, sandbox.Fault{Status: 503})), code: "ACTION_NETWORK_ERROR",
				status: "unknown", says: []string{says, isSafe},
				inbound: []string{sandbox.Switch, sandbox.Reception}}.run(t)
		}
		story{name: "the numbers of an agent that is offline", setup: takeOffline, inputs: inputs,
			faults: []sandbox.Fault{{Drop: sandbox.DropReply}}, after: injecting(noNumbers(503)),
			code: "ACTION_NETWORK_ERROR", status: "unknown", attempts: 1, live: "none",
			says: []string{"Front desk is still offline, but the phone numbers could not be read (the API returned 503",
				isSafe}}.run(t)
	})
	t.Run("V6", func(t *testing.T) {
		part := story{inputs: []string{"inbound-phone-number-id", sandbox.Switch}, faults: always(apiApplied),
			code: "PUBLISH_FAILED", status: "unknown", attempts: 5}
		part.name, part.live = "without the number", sandbox.NextID
		part.summary = []string{"**What changed:**"}
		part.after = func(api *sandbox.Sandbox) { api.Bind(sandbox.Switch, sandbox.Inbound, "") }
		part.says = []string{isSafe,
			"Only part of it was applied: Front desk is on v1.22.8 and answers +34 910 000 001 (Reception)"}
		part.run(t)
		part.summary = []string{"**What would change:**"}
		part.name, part.live, part.inbound = "without the version", sandbox.LiveID,
			[]string{sandbox.Switch, sandbox.Reception}
		part.after = publishing(sandbox.LiveID)
		part.says = []string{isSafe,
			"Only part of it was applied: Front desk is still on v1.22.7 and answers +34 910 000 002 (Switch)"}
		part.run(t)
	})
	t.Run("V7", func(t *testing.T) {
		for name, refusal := range map[string]sandbox.Fault{
			"400": {Status: 400,
				Body: `{"status":"error","error_code":"BAD_PARAMETER","message":"Published already."}`},
			"404": {Status: 404, Body: `{"status":"error","error_code":"AGENT_NOT_FOUND","message":"Not there."}`},
		} {
			for kind, body := range map[string]string{"the API's own 500": apiErrorBody,
				"a gateway's 500": gatewayPage} {
				story{name: kind + ", then " + name, attempts: 1, says: []string{"is now on v1.22.8", readBack},
					faults: []sandbox.Fault{{Status: 500, Body: body, Applied: true}, refusal}}.run(t)
			}
		}
	})
	t.Run("V8", func(t *testing.T) {
		unpublish := story{name: "V8", inputs: []string{"unpublish", "true"}, faults: always(appliedAndLost),
			status: "unpublished", attempts: 1, live: "none",
			says: []string{"Front desk is now offline (was v1.22.7).", readBack}}
		unpublish.run(t)
		// Only the list of versions says for certain that none is live.
		unpublish.name, unpublish.after = "the list is not readable",
			injecting(get("/version", sandbox.Fault{Status: 503}))
		unpublish.code, unpublish.status, unpublish.attempts = "ACTION_NETWORK_ERROR", "unknown", 5
		unpublish.says = []string{notReadable}
		unpublish.run(t)
		story{name: "the numbers are read from a replica that is behind", inputs: []string{"unpublish", "true"},
			is:     sandbox.Behavior{OnlyNamed: true, ReplicaLag: 2 * time.Second},
			status: "unpublished", attempts: 1, live: "none", least: 2 * time.Second, most: 4 * time.Second,
			outputs: map[string]string{"inbound-phone-number-id": ""}, summary: []string{"(Reception)` | – |"}}.run(t)
	})
	t.Run("V9", func(t *testing.T) {
		story{name: "V9", faults: always(appliedAndLost), after: publishOldest, live: sandbox.OldestID,
			code: "ACTION_NETWORK_ERROR", status: "unknown", attempts: 5, says: []string{
				"is on " + sandbox.OldestName + ", which this step did not request",
				"Find out who else publishes this agent",
			}}.run(t)
	})
	t.Run("V10", func(t *testing.T) {
		for name, fault := range map[string]sandbox.Fault{
			"lost reply": appliedAndLost, "the API's own 500": apiApplied,
			"a gateway's 504": {Status: 504, Applied: true},
		} {
			for _, lag := range []time.Duration{500 * time.Millisecond, 2500 * time.Millisecond, 9 * time.Second} {
				story{name: fmt.Sprintf("%s, %s behind", name, lag), is: sandbox.Behavior{ReplicaLag: lag},
					inputs: []string{"max-retries", "0"}, faults: []sandbox.Fault{fault}, attempts: 1,
					says: []string{"is now on v1.22.8", readBack}}.run(t)
			}
		}
	})
	t.Run("V11", func(t *testing.T) { // a lost number is a change, even one that nobody asked for
		for _, retries := range []string{"0", "4"} {
			story{name: retries + " retries", inputs: []string{"max-retries", retries},
				faults: []sandbox.Fault{apiFailing},
				after:  func(api *sandbox.Sandbox) { api.Bind(sandbox.Reception, sandbox.Inbound, "") },
				code:   "PUBLISH_FAILED", status: "unknown", inbound: []string{},
				says: []string{"Only part of it was applied: Front desk is still on v1.22.7, without a phone number",
					isSafe}, hides: []string{nothingChanged},
				warns: []string{"Front desk lost the inbound number +34 910 000 001 (Reception)"}}.run(t)
		}
	})
	t.Run("V12", func(t *testing.T) {
		for code, fault := range map[string]sandbox.Fault{
			"PUBLISH_FAILED": {Status: 500, Body: apiErrorBody}, "ACTION_NETWORK_ERROR": {Drop: sandbox.DropReply},
		} {
			story{name: code, inputs: []string{"max-retries", "0"}, faults: []sandbox.Fault{fault}, after: takeOffline,
				code: code, status: "unknown", attempts: 1, live: "none",
				says:  []string{"Front desk is offline, without a phone number", isSafe},
				warns: []string{"Front desk lost the inbound number +34 910 000 001 (Reception)"},
				summary: []string{"### ⚠️ `Front desk` is offline\n",
					"To go back to <code>v1.22.7</code> (228) with"}}.run(t)
		}
	})
	// What was not read before the change cannot be called unchanged after it.
	t.Run("V13", func(t *testing.T) {
		for _, test := range []struct {
			live           string // after the change
			says, headline string
		}{
			{sandbox.LiveID, "Front desk is on v1.22.7", "on `v1.22.7`\n"},
			{sandbox.OldestID, "Front desk is on v1.0.0", "on `v1.0.0`\n"},
			{"", "Front desk is offline", "offline\n"},
		} {
			story{name: test.says, inputs: []string{"max-retries", "0"}, after: publishing(test.live),
				faults: []sandbox.Fault{{Method: http.MethodGet, Path: publishedRead, Status: 503}, apiFailing},
				// Going offline releases a number, which is a change.
				setup: func(api *sandbox.Sandbox) { api.Bind(sandbox.Reception, sandbox.Inbound, "") },
				code:  "PUBLISH_FAILED", attempts: 1, says: []string{test.says}, live: cmp.Or(test.live, "none"),
				inbound: []string{}, hides: []string{nothingChanged, "still live", "still on"},
				summary: []string{"### ❌ `Front desk` is " + test.headline}}.run(t)
		}
		story{name: "none live before it, and then another", setup: takeOffline, faults: []sandbox.Fault{apiFailing},
			after: publishOldest, inputs: []string{"expect-version-id", "none", "max-retries", "0"}, attempts: 1,
			code: "PUBLISH_FAILED", status: "unknown", live: sandbox.OldestID, inbound: []string{},
			hides: []string{nothingChanged},
			says: []string{"Front desk is on v1.0.0, which this step did not request",
				"Find out who else publishes this agent"}}.run(t)
	})
	t.Run("V14", func(t *testing.T) {
		refusal := sandbox.Fault{Status: 400, Body: `{"status":"error","error_code":"BAD_PARAMETER","message":"No."}`}
		for name, test := range map[string]struct {
			wait           string // that a 429 asks for before the refusal
			live           string // published by someone else while the step waits
			says, headline string
		}{
			"at once":            {"", sandbox.LiveID, stillLive, "still on `v1.22.7`\n"},
			"after two seconds":  {"1", sandbox.LiveID, stillLive, "still on `v1.22.7`\n"},
			"after four seconds": {"4", sandbox.OldestID, "Front desk is on v1.0.0", "on `v1.0.0`\n"},
			"although another step published the same": {"4", sandbox.NextID, "Front desk is on v1.22.8", "on `v1.22.8`\n"},
		} {
			faults := []sandbox.Fault{refusal}
			if test.wait != "" {
				faults = []sandbox.Fault{busy(test.wait), refusal}
			}
			story{name: name, faults: faults, after: publishing(test.live), live: test.live, code: "BAD_PARAMETER",
				attempts: len(faults), requests: 3 + len(faults) + 2, outputs: map[string]string{"http-status": "400"},
				says:    []string{"Nothing was changed: " + test.says, "Check that the version is not a draft"},
				summary: []string{"### ❌ Nothing was changed: `Front desk` is " + test.headline}}.run(t)
		}
	})
}

// What becomes of a request for the change.
var (
	appliedAndLost = sandbox.Fault{Drop: sandbox.DropReply, Applied: true}
	apiApplied     = sandbox.Fault{Status: 500, Body: apiErrorBody, Applied: true}
	apiFailing     = sandbox.Fault{Status: 500, Body: apiErrorBody, Times: -1}
)

// always is a fault of every request for the change.
func always(f sandbox.Fault) []sandbox.Fault {
	f.Times = -1
	return []sandbox.Fault{f}
}

// injecting makes the sandbox have these faults.
func injecting(faults ...sandbox.Fault) func(*sandbox.Sandbox) {
	return func(api *sandbox.Sandbox) { api.Inject(faults...) }
}

// publishing publishes another version behind the step's back; empty: none.
func publishing(version string) func(*sandbox.Sandbox) {
	return func(api *sandbox.Sandbox) { api.SetPublished(sandbox.FrontDesk, version) }
}
