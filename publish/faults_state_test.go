package publish_test

import (
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

// TestFaultsState has the rows V of docs/faults.md: the change was not confirmed, and the state decides.
func TestFaultsState(t *testing.T) {
	t.Run("V1", testAppliedUnconfirmed)
	t.Run("V2", testAPIErrorNotApplied)
	t.Run("V3", testGatewayErrorNotApplied)
	t.Run("V4", testLostNotApplied)
	t.Run("V5", testStateUnreadable)
	t.Run("V6", testAppliedInPart)
	t.Run("V7", testRejectedAfterApplied)
	t.Run("V8", testUnpublishedUnconfirmed)
	t.Run("V9", testPublishedByAnotherWriter)
	t.Run("V10", testLaggingReplica)
	t.Run("V11", testCarriedNumberLost)
	t.Run("V12", testWentOffline)
	t.Run("V13", testStateBeforeUnknown)
	t.Run("V14", testLateRefusal)
}

// withHookAfterChange is a server for api that calls hook when a request for the change has been carried out, and before it is
// answered or its connection ends.
func withHookAfterChange(api *sandbox.Sandbox, hook func()) *http.Server {
	return &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPatch {
			defer hook()
		}
		api.ServeHTTP(w, r)
	})}
}

func testAppliedUnconfirmed(t *testing.T) {
	for name, fault := range map[string]sandbox.Fault{
		"lost reply":              {Drop: sandbox.DropReply},
		"truncated reply":         {Drop: sandbox.DropBody},
		"late reply":              {Delay: time.Hour},
		"unreadable reply":        {Body: "OK"},
		"204":                     {Status: 204},
		"408":                     {Status: 408},
		"500, the API's own":      {Status: 500, Body: apiErrorBody},
		"500, a platform's page":  {Status: 500, Body: gatewayPage},
		"501":                     {Status: 501, Body: apiErrorBody},
		"502":                     {Status: 502, Body: gatewayPage},
		"503, Envoy":              {Status: 503, Body: "upstream connect error or disconnect/reset before headers. reset reason: connection termination"},
		"504":                     {Status: 504},
		"524":                     {Status: 524},
		"a reply for another one": {Body: strings.ReplaceAll(confirmationBody, sandbox.NextID, sandbox.LiveID)},
	} {
		for _, retries := range []string{"0", "2"} {
			t.Run(name+", "+retries+" retries", func(t *testing.T) {
				fault.Applied, fault.Times = true, -1
				api, server := newSandbox(t, fault)
				res := with(
					"inbound-phone-number-id", sandbox.Switch, "max-retries", retries,
				).check(t, server,
					expected{says: []string{"Front desk is now on v1.22.8 (was v1.22.7) and answers +34 910 000 002",
						"The request failed ("}})
				if got := res.outputs["inbound-phone-number-id"]; got != sandbox.Switch {
					t.Errorf("inbound-phone-number-id is %q", got)
				}
				checkState(t, api, sandbox.NextID, sandbox.Switch)
			})
		}
	}
}

func testAPIErrorNotApplied(t *testing.T) {
	for _, status := range []int{500, 502, 503, 504} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			api, server := newSandbox(t, sandbox.Fault{Status: status, Body: apiErrorBody, Times: -1})
			scenario{}.check(t, server, expected{
				code: "PUBLISH_FAILED", attempts: 5, says: []string{": The publication failed",
					nothingChanged + ": " + stillLive},
				neverShown: []string{mayBeApplied}, minTime: minBackoff, maxTime: maxBackoff, verifyTime: lastLook,
			})
			checkState(t, api, sandbox.LiveID, sandbox.Reception)
		})
	}
}

func testGatewayErrorNotApplied(t *testing.T) {
	for name, body := range map[string]string{"HTML": gatewayPage, "text": "no healthy upstream",
		"JSON": `{"message":"no"}`, "empty": ""} {
		t.Run(name, func(t *testing.T) {
			api, server := newSandbox(t, sandbox.Fault{Status: 503, Body: body, Times: -1})
			scenario{}.check(t, server, unknownOutcome("HTTP_503", 5, isSafe))
			checkState(t, api, sandbox.LiveID, sandbox.Reception)
		})
	}
	t.Run("once, and then the API's own", func(t *testing.T) {
		_, server := newSandbox(t, sandbox.Fault{Status: 503, Body: gatewayPage},
			sandbox.Fault{Status: 500, Body: apiErrorBody, Times: -1})
		scenario{}.check(t, server, unknownOutcome("PUBLISH_FAILED", 5, isSafe))
	})
}

func testLostNotApplied(t *testing.T) {
	for name, test := range map[string]struct {
		fault sandbox.Fault
		code  string
	}{
		"lost":   {sandbox.Fault{Drop: sandbox.DropReply, Times: -1}, "ACTION_NETWORK_ERROR"},
		"silent": {sandbox.Fault{Delay: time.Hour, Times: -1}, "ACTION_TIMEOUT"},
	} {
		t.Run(name, func(t *testing.T) {
			api, server := newSandbox(t, test.fault)
			with("max-retries", "1").check(t, server, unknownOutcome(test.code, 2, isSafe))
			checkState(t, api, sandbox.LiveID, sandbox.Reception)
		})
	}
}

func testStateUnreadable(t *testing.T) {
	for name, test := range map[string]struct {
		path string // of the reads that fail after the change
		says string
	}{
		"nothing":     {"/v1/", notReadable},
		"the version": {"/v1/agent/", notReadable},
		"the numbers": {"/v1/phone/", "v1.22.8 is live, but the phone numbers could not be read"},
	} {
		t.Run(name, func(t *testing.T) {
			api, server := newSandbox(t, sandbox.Fault{Drop: sandbox.DropReply, Applied: true, Times: -1})
			server.Handler = withHookAfterChange(api, func() {
				api.Inject(sandbox.Fault{Method: http.MethodGet, Path: test.path, Status: 503, Times: -1})
			}).Handler
			with(
				"inbound-phone-number-id", sandbox.Switch, "max-retries", "0",
			).check(t, server, expected{code: "ACTION_NETWORK_ERROR", status: "unknown", attempts: 1,
				says: []string{test.says, isSafe}})
			checkState(t, api, sandbox.NextID, sandbox.Switch)
		})
	}
	t.Run("the numbers of an agent that is offline", func(t *testing.T) {
		api, server := newSandbox(t, sandbox.Fault{Drop: sandbox.DropReply})
		takeOffline(api)
		server.Handler = withHookAfterChange(api, func() {
			api.Inject(sandbox.Fault{Method: http.MethodGet, Path: "/v1/phone/", Status: 503, Times: -1})
		}).Handler
		with("inbound-phone-number-id", sandbox.Switch, "max-retries", "0").check(t, server, expected{
			code: "ACTION_NETWORK_ERROR", status: "unknown", attempts: 1,
			says: []string{"No version is live, but the phone numbers could not be read (the API returned 503", isSafe},
		})
	})
}

func testAppliedInPart(t *testing.T) {
	t.Run("without the number", func(t *testing.T) {
		api, server := newSandbox(t, sandbox.Fault{Status: 500, Body: apiErrorBody, Applied: true, Times: -1})
		server.Handler = withHookAfterChange(api, func() { api.Bind(sandbox.Switch, sandbox.Inbound, "") }).Handler
		with("inbound-phone-number-id", sandbox.Switch).check(t, server,
			expected{code: "PUBLISH_FAILED", status: "unknown", attempts: 5, says: []string{
				"Only part of it was applied: Front desk is on v1.22.8 and answers +34 910 000 001 (Reception)", isSafe,
			}})
	})
	t.Run("without the version", func(t *testing.T) {
		api, server := newSandbox(t, sandbox.Fault{Status: 500, Body: apiErrorBody, Applied: true, Times: -1})
		server.Handler = withHookAfterChange(api, func() {
			api.SetPublished(sandbox.FrontDesk,
				sandbox.LiveID)
		}).Handler
		with("inbound-phone-number-id", sandbox.Switch).check(t, server,
			expected{code: "PUBLISH_FAILED", status: "unknown", attempts: 5, says: []string{
				"Only part of it was applied: " + "Front desk is still on v1.22.7 and answers +34 910 000 002 (Switch)",
				isSafe,
			}})
	})
}

func testRejectedAfterApplied(t *testing.T) {
	for name, refusal := range map[string]sandbox.Fault{
		"400": {Status: 400, Body: `{"status":"error","error_code":"BAD_PARAMETER","message":"Published already."}`},
		"404": {Status: 404, Body: `{"status":"error","error_code":"AGENT_NOT_FOUND","message":"Not there."}`},
	} {
		for kind, body := range map[string]string{"the API's own 500": apiErrorBody, "a gateway's 500": gatewayPage} {
			t.Run(kind+", then "+name, func(t *testing.T) {
				api, server := newSandbox(t, sandbox.Fault{Status: 500, Body: body, Applied: true}, refusal)
				scenario{}.check(t, server, expected{attempts: 1, says: []string{"is now on v1.22.8", readBack}})
				checkState(t, api, sandbox.NextID, sandbox.Reception)
			})
		}
	}
}

func testUnpublishedUnconfirmed(t *testing.T) {
	api, server := newSandbox(t, sandbox.Fault{Drop: sandbox.DropReply, Applied: true, Times: -1})
	with("unpublish", "true").check(t, server,
		expected{status: "unpublished", attempts: 1, says: []string{"Front desk is offline (was on v1.22.7).",
			readBack}})
	checkState(t, api, "", "")

	// Only the list of versions says for certain that none is live.
	api, server = newSandbox(t, sandbox.Fault{Drop: sandbox.DropReply, Applied: true, Times: -1})
	server.Handler = withHookAfterChange(api, func() {
		api.Inject(sandbox.Fault{Method: http.MethodGet, Path: "/version", Status: 503, Times: -1})
	}).Handler
	with("unpublish", "true").check(t, server,
		expected{code: "ACTION_NETWORK_ERROR", status: "unknown", attempts: 5, says: []string{notReadable}})
}

func testPublishedByAnotherWriter(t *testing.T) {
	api, server := newSandbox(t, sandbox.Fault{Drop: sandbox.DropReply, Applied: true, Times: -1})
	server.Handler = withHookAfterChange(api, func() { api.SetPublished(sandbox.FrontDesk, sandbox.OldestID) }).Handler
	scenario{}.check(t, server, expected{code: "ACTION_NETWORK_ERROR", status: "unknown", attempts: 5, says: []string{
		sandbox.OldestName + " is live, which was neither live before nor requested",
		"Find out who else publishes this agent",
	}})
}

func testLaggingReplica(t *testing.T) {
	for name, fault := range map[string]sandbox.Fault{
		"lost reply":        {Drop: sandbox.DropReply, Applied: true},
		"the API's own 500": {Status: 500, Body: apiErrorBody, Applied: true},
		"a gateway's 504":   {Status: 504, Applied: true},
	} {
		for _, lag := range []time.Duration{500 * time.Millisecond, 2500 * time.Millisecond, 9 * time.Second} {
			t.Run(fmt.Sprintf("%s, %s behind", name, lag), func(t *testing.T) {
				api, server := newSandbox(t, fault)
				api.Set(sandbox.Behavior{ReplicaLag: lag})
				with("max-retries", "0").check(t, server,
					expected{attempts: 1, says: []string{"is now on v1.22.8", readBack}})
			})
		}
	}
}

// A lost number is a change, even one that nobody asked for.
func testCarriedNumberLost(t *testing.T) {
	for _, retries := range []string{"0", "4"} {
		t.Run(retries+" retries", func(t *testing.T) {
			api, server := newSandbox(t, sandbox.Fault{Status: 500, Body: apiErrorBody, Times: -1})
			server.Handler = withHookAfterChange(api, func() {
				api.Bind(sandbox.Reception, sandbox.Inbound,
					"")
			}).Handler
			res := with("max-retries", retries).check(t, server, expected{
				code: "PUBLISH_FAILED", status: "unknown",
				says:       []string{"Only part of it was applied: Front desk is still on v1.22.7, without a phone number", isSafe},
				neverShown: []string{nothingChanged},
			})
			if got := res.warnings(); len(got) != 1 || !strings.Contains(got[0],
				"Front desk no longer answers +34 910 000 001 (Reception)") {
				t.Errorf("warns %q", got)
			}
		})
	}
}

func testWentOffline(t *testing.T) {
	for name, fault := range map[string]sandbox.Fault{"the API's own 500": {Status: 500, Body: apiErrorBody},
		"a lost reply": {Drop: sandbox.DropReply}} {
		t.Run(name, func(t *testing.T) {
			api, server := newSandbox(t, fault)
			server.Handler = withHookAfterChange(api, func() { api.SetPublished(sandbox.FrontDesk, "") }).Handler
			res := with("max-retries", "0").runInMemory(t, server)
			if res.outputs["status"] != "unknown" {
				t.Errorf("status %q", res.outputs["status"])
			}
			if message := res.message(); !strings.Contains(message,
				"Front desk is offline, without a phone number. Run this step again: that is safe.") {
				t.Error(message)
			}
			if !strings.HasPrefix(res.summary, "### ⚠️ `Front desk` is offline\n") ||
				!strings.Contains(res.summary, "To stay on <code>v1.22.7</code> (228) with") {
				t.Error(res.summary)
			}
		})
	}
}

// What was not read before the change cannot be called unchanged after it.
func testStateBeforeUnknown(t *testing.T) {
	unread := sandbox.Fault{Method: http.MethodGet, Path: publishedRead, Status: 503}
	failing := sandbox.Fault{Status: 500, Body: apiErrorBody, Times: -1}
	for name, test := range map[string]struct {
		after    string // the version that is live after the change
		says     string
		headline string
	}{
		"live after it": {sandbox.LiveID, "v1.22.7 is live",
			"### ❌ Not published: `Front desk` is on `v1.22.7`\n"},
		"another live after it": {sandbox.OldestID, "v1.0.0 is live",
			"### ❌ Not published: `Front desk` is on `v1.0.0`\n"},
		"none live after it": {"", "No version is live", "### ❌ Not published: `Front desk` is offline\n"},
	} {
		t.Run(name, func(t *testing.T) {
			api, server := newSandbox(t, unread, failing)
			api.Bind(sandbox.Reception, sandbox.Inbound, "") // going offline releases it, which is a change
			server.Handler = withHookAfterChange(api, func() {
				api.SetPublished(sandbox.FrontDesk,
					test.after)
			}).Handler
			res := with("max-retries", "0").check(t, server, expected{
				code: "PUBLISH_FAILED", attempts: 1, says: []string{test.says},
				neverShown: []string{nothingChanged, "still live", "still on"},
			})
			if !strings.HasPrefix(res.summary, test.headline) {
				t.Error(res.summary)
			}
		})
	}
	t.Run("none live before it, and then another", func(t *testing.T) {
		api, server := newSandbox(t, failing)
		takeOffline(api)
		server.Handler = withHookAfterChange(api, func() {
			api.SetPublished(sandbox.FrontDesk,
				sandbox.OldestID)
		}).Handler
		with("expect-version-id", "none", "max-retries", "0").check(t, server, expected{
			code: "PUBLISH_FAILED", status: "unknown", attempts: 1, neverShown: []string{nothingChanged},
			says: []string{"v1.0.0 is live, which was neither live before nor requested",
				"Find out who else publishes this agent"},
		})
	})
}

func testLateRefusal(t *testing.T) {
	refusal := sandbox.Fault{Status: 400, Body: `{"status":"error","error_code":"BAD_PARAMETER","message":"No."}`}
	for name, test := range map[string]struct {
		wait  string // that a 429 asks for before the refusal
		reads int    // of the live version after the refusal
		live  string // published by someone else while the step waits
		says  string
	}{
		"at once":           {"", 1, "", "Nothing was changed: " + stillLive},
		"after two seconds": {"1", 1, "", "Nothing was changed: " + stillLive},
		"after six seconds": {"6", 1, sandbox.OldestID, "Nothing was changed: v1.0.0 is live"},
		"although another step published the same": {"6", 1, sandbox.NextID, "Nothing was changed: v1.22.8 is live"},
	} {
		t.Run(name, func(t *testing.T) {
			faults := []sandbox.Fault{refusal}
			if test.wait != "" {
				faults = []sandbox.Fault{{Status: 429, Header: http.Header{"Retry-After": {test.wait}}}, refusal}
			}
			api, server := newSandbox(t, faults...)
			if test.live != "" {
				server.Handler = withHookAfterChange(api,
					func() { api.SetPublished(sandbox.FrontDesk, test.live) }).Handler
			}
			s := scenario{jitter: func(time.Duration) time.Duration { return 0 }}
			res := s.check(t, server, expected{code: "BAD_PARAMETER", attempts: len(faults), httpStatus: "400",
				says: []string{test.says, "Check that the version is no draft"}})
			reads := 0
			for _, r := range api.Requests() {
				if strings.Contains(r.RawQuery, publishedRead) {
					reads++
				}
			}
			if reads != 1+test.reads {
				t.Errorf("%d reads of the live version, want %d more than the first", reads, test.reads)
			}
			want := map[string]string{sandbox.OldestID: "is on `v1.0.0`\n", sandbox.NextID: "is on `v1.22.8`\n",
				"": "is still on `v1.22.7`\n"}[test.live]
			if !strings.HasPrefix(res.summary, "### ❌ Not published: `Front desk` "+want) {
				t.Error(res.summary)
			}
		})
	}
}
