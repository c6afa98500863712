package publish_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"publish-agent-version/internal/sandbox"
)

// ownError is the API's own error, with an error_code. A gateway's page has none.
const (
	ownError    = `{"status":"error","error_code":"PUBLISH_FAILED","message":"The publication failed."}`
	gatewayPage = "<html><title>Service Unavailable</title></html>"
)

// TestFaultsState has the rows V of docs/faults.md: the change was not confirmed, and the state decides.
func TestFaultsState(t *testing.T) {
	t.Run("V1", appliedUnconfirmed)
	t.Run("V2", ownErrorNotApplied)
	t.Run("V3", gatewayNotApplied)
	t.Run("V4", lostNotApplied)
	t.Run("V5", stateUnreadable)
	t.Run("V6", appliedInPart)
	t.Run("V7", refusedAfterApplied)
	t.Run("V8", unpublishedUnconfirmed)
	t.Run("V9", publishedBySomebodyElse)
	t.Run("V10", laggingReplica)
}

// afterChange is a server for api that calls hook when a request for the change has been carried out, and before it is
// answered or its connection ends.
func afterChange(api *sandbox.Sandbox, hook func()) *http.Server {
	return &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPatch {
			defer hook()
		}
		api.ServeHTTP(w, r)
	})}
}

// wantState checks what the sandbox has on the air for FrontDesk: a version, and its first number for inbound calls.
func wantState(t *testing.T, api *sandbox.Sandbox, version, inbound string) {
	t.Helper()
	if gotVersion, gotInbound, _ := api.Live(sandbox.FrontDesk); gotVersion != version || gotInbound != inbound {
		t.Errorf("live is %q on %q, want %q on %q", gotVersion, gotInbound, version, inbound)
	}
}

func appliedUnconfirmed(t *testing.T) {
	for name, fault := range map[string]sandbox.Fault{
		"lost reply":              {Drop: sandbox.DropReply},
		"truncated reply":         {Drop: sandbox.DropBody},
		"late reply":              {Delay: time.Hour},
		"unreadable reply":        {Body: "OK"},
		"204":                     {Status: 204},
		"408":                     {Status: 408},
		"500, the API's own":      {Status: 500, Body: ownError},
		"500, a platform's page":  {Status: 500, Body: gatewayPage},
		"501":                     {Status: 501, Body: ownError},
		"502":                     {Status: 502, Body: gatewayPage},
		"503, Envoy":              {Status: 503, Body: "upstream connect error or disconnect/reset before headers. reset reason: connection termination"},
		"504":                     {Status: 504},
		"524":                     {Status: 524},
		"a reply for another one": {Body: strings.ReplaceAll(publicationOK, sandbox.NextID, sandbox.LiveID)},
	} {
		for _, retries := range []string{"0", "2"} {
			t.Run(name+", "+retries+" retries", func(t *testing.T) {
				fault.Applied, fault.Times = true, -1
				api, server := newSandbox(t, fault)
				res := trial{inputs: map[string]string{
					"inbound-phone-number-id": sandbox.Switch, "max-retries": retries,
				}}.runVirtually(t, server)
				res.check(t, want{says: []string{"v1.22.7 → v1.22.8 is live on +34 910 000 002", "The request failed ("}})
				if got := res.outputs["inbound-phone-number-id"]; got != sandbox.Switch {
					t.Errorf("inbound-phone-number-id is %q", got)
				}
				wantState(t, api, sandbox.NextID, sandbox.Switch)
			})
		}
	}
}

func ownErrorNotApplied(t *testing.T) {
	for _, status := range []int{500, 502, 503, 504} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			api, server := newSandbox(t, sandbox.Fault{Status: status, Body: ownError, Times: -1})
			res := trial{}.runVirtually(t, server)
			res.check(t, want{
				code: "PUBLISH_FAILED", attempts: 5, says: []string{": The publication failed", nothingChanged + ": " + stillLive},
				never: []string{mayBeApplied}, least: leastWaits, most: mostWaits, verify: time.Second,
			})
			wantState(t, api, sandbox.LiveID, sandbox.Reception)
		})
	}
}

func gatewayNotApplied(t *testing.T) {
	for name, body := range map[string]string{"HTML": gatewayPage, "text": "no healthy upstream", "JSON": `{"message":"no"}`, "empty": ""} {
		t.Run(name, func(t *testing.T) {
			api, server := newSandbox(t, sandbox.Fault{Status: 503, Body: body, Times: -1})
			res := trial{}.runVirtually(t, server)
			res.check(t, unknown("HTTP_503", 5, isSafe))
			wantState(t, api, sandbox.LiveID, sandbox.Reception)
		})
	}
	t.Run("once, and then the API's own", func(t *testing.T) {
		_, server := newSandbox(t, sandbox.Fault{Status: 503, Body: gatewayPage}, sandbox.Fault{Status: 500, Body: ownError, Times: -1})
		res := trial{}.runVirtually(t, server)
		res.check(t, unknown("PUBLISH_FAILED", 5, isSafe))
	})
}

func lostNotApplied(t *testing.T) {
	for name, test := range map[string]struct {
		fault sandbox.Fault
		code  string
	}{
		"lost":   {sandbox.Fault{Drop: sandbox.DropReply, Times: -1}, "ACTION_NETWORK_ERROR"},
		"silent": {sandbox.Fault{Delay: time.Hour, Times: -1}, "ACTION_TIMEOUT"},
	} {
		t.Run(name, func(t *testing.T) {
			api, server := newSandbox(t, test.fault)
			res := trial{inputs: map[string]string{"max-retries": "1"}}.runVirtually(t, server)
			res.check(t, unknown(test.code, 2, isSafe))
			wantState(t, api, sandbox.LiveID, sandbox.Reception)
		})
	}
}

func stateUnreadable(t *testing.T) {
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
			server.Handler = afterChange(api, func() {
				api.Inject(sandbox.Fault{Method: http.MethodGet, Path: test.path, Status: 503, Times: -1})
			}).Handler
			res := trial{inputs: map[string]string{
				"inbound-phone-number-id": sandbox.Switch, "max-retries": "0",
			}}.runVirtually(t, server)
			res.check(t, want{code: "ACTION_NETWORK_ERROR", status: "unknown", attempts: 1, says: []string{test.says, isSafe}})
			wantState(t, api, sandbox.NextID, sandbox.Switch)
		})
	}
}

func appliedInPart(t *testing.T) {
	t.Run("without the number", func(t *testing.T) {
		api, server := newSandbox(t, sandbox.Fault{Status: 500, Body: ownError, Applied: true, Times: -1})
		server.Handler = afterChange(api, func() { api.Bind(sandbox.Switch, sandbox.Inbound, "") }).Handler
		res := trial{inputs: map[string]string{"inbound-phone-number-id": sandbox.Switch}}.runVirtually(t, server)
		res.check(t, want{code: "PUBLISH_FAILED", status: "unknown", attempts: 5, says: []string{
			"Only part of it was applied: v1.22.8 is live, but +34 910 000 002 (Switch) is not bound", isSafe,
		}})
	})
	t.Run("without the version", func(t *testing.T) {
		api, server := newSandbox(t, sandbox.Fault{Status: 500, Body: ownError, Applied: true, Times: -1})
		server.Handler = afterChange(api, func() { api.SetPublished(sandbox.FrontDesk, sandbox.LiveID) }).Handler
		res := trial{inputs: map[string]string{"inbound-phone-number-id": sandbox.Switch}}.runVirtually(t, server)
		res.check(t, want{code: "PUBLISH_FAILED", status: "unknown", attempts: 5, says: []string{
			"Only part of it was applied: " + stillLive + ", but +34 910 000 002 (Switch) is bound", isSafe,
		}})
	})
}

func refusedAfterApplied(t *testing.T) {
	for name, refusal := range map[string]sandbox.Fault{
		"400": {Status: 400, Body: `{"status":"error","error_code":"BAD_PARAMETER","message":"Published already."}`},
		"404": {Status: 404, Body: `{"status":"error","error_code":"AGENT_NOT_FOUND","message":"Not there."}`},
	} {
		for kind, body := range map[string]string{"the API's own 500": ownError, "a gateway's 500": gatewayPage} {
			t.Run(kind+", then "+name, func(t *testing.T) {
				api, server := newSandbox(t, sandbox.Fault{Status: 500, Body: body, Applied: true}, refusal)
				res := trial{}.runVirtually(t, server)
				res.check(t, want{attempts: 2, says: []string{"v1.22.8 is live", readBack}})
				wantState(t, api, sandbox.NextID, sandbox.Reception)
			})
		}
	}
}

func unpublishedUnconfirmed(t *testing.T) {
	api, server := newSandbox(t, sandbox.Fault{Drop: sandbox.DropReply, Applied: true, Times: -1})
	res := trial{inputs: map[string]string{"unpublish": "true"}}.runVirtually(t, server)
	res.check(t, want{status: "unpublished", attempts: 5, says: []string{"Front desk is offline: v1.22.7 is no longer live.", readBack}})
	wantState(t, api, "", "")

	// Only the list of versions says for certain that none is live.
	api, server = newSandbox(t, sandbox.Fault{Drop: sandbox.DropReply, Applied: true, Times: -1})
	server.Handler = afterChange(api, func() {
		api.Inject(sandbox.Fault{Method: http.MethodGet, Path: "/version", Status: 503, Times: -1})
	}).Handler
	res = trial{inputs: map[string]string{"unpublish": "true"}}.runVirtually(t, server)
	res.check(t, want{code: "ACTION_NETWORK_ERROR", status: "unknown", attempts: 5, says: []string{notReadable}})
}

func publishedBySomebodyElse(t *testing.T) {
	api, server := newSandbox(t, sandbox.Fault{Drop: sandbox.DropReply, Applied: true, Times: -1})
	server.Handler = afterChange(api, func() { api.SetPublished(sandbox.FrontDesk, sandbox.OldestID) }).Handler
	res := trial{}.runVirtually(t, server)
	res.check(t, want{code: "ACTION_NETWORK_ERROR", status: "unknown", attempts: 5, says: []string{
		sandbox.OldestName + " is live, which was neither live before nor requested", "Find out who else publishes this agent",
	}})
}

func laggingReplica(t *testing.T) {
	for name, fault := range map[string]sandbox.Fault{
		"lost reply":        {Drop: sandbox.DropReply, Applied: true},
		"the API's own 500": {Status: 500, Body: ownError, Applied: true},
		"a gateway's 504":   {Status: 504, Applied: true},
	} {
		for stale := 1; stale <= 2; stale++ { // reading back reads the version and the inbound number, in any order
			t.Run(fmt.Sprintf("%s, %d stale reads", name, stale), func(t *testing.T) {
				api, server := newSandbox(t, fault)
				api.StaleReads(stale)
				res := trial{inputs: map[string]string{"max-retries": "0"}}.runVirtually(t, server)
				w := want{attempts: 1, says: []string{"v1.22.8 is live", readBack}}
				if stale == 2 {
					w = w.within(time.Second, time.Second)
				}
				res.check(t, w)
			})
		}
	}
}
