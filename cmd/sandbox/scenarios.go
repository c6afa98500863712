package main

import (
	"net/http"

	"publish-agent-version/internal/sandbox"
)

// scenario is a step to run, and what the sandbox does meanwhile.
type scenario struct {
	name        string
	description string
	inputs      map[string]string // besides token, agent-id and api-url
	behavior    sandbox.Behavior
	setup       func(*sandbox.Sandbox) // nil: nothing
}

// next are the inputs that publish the next version, and launch those that launch the draft first.
var (
	next   = map[string]string{"version-id": sandbox.NextID}
	launch = map[string]string{"version-name": "v1.23.0", "launch-draft": "true"}
)

// scenarios are the ways in which a run can go.
var scenarios = []scenario{{
	name: "promotion", description: "publish the version that has the tag's name, as a release workflow does",
	inputs: map[string]string{"version-name": sandbox.NextName},
}, {
	name: "launch", description: "no version has the tag's name: the draft is launched under it and published",
	inputs: launch,
}, {
	name: "launch-again", description: "the same release runs a second time: nothing is launched", inputs: launch,
	setup: func(s *sandbox.Sandbox) { s.AddVersion(sandbox.FrontDesk, sandbox.Version{Name: "v1.23.0"}) },
}, {
	name: "launch-lost", inputs: launch,
	description: "the draft is launched but the response is lost: the step finds the version by its name",
	setup: func(s *sandbox.Sandbox) {
		s.Inject(sandbox.Fault{Method: http.MethodPost, Drop: sandbox.DropReply, Applied: true})
	},
}, {
	name:        "phone-number",
	description: "publish on an additional phone number, given as +34 910 000 002 instead of its ID",
	inputs:      map[string]string{"version-id": sandbox.NextID, "inbound-phone-number": "+34 910 000 002"},
}, {
	name: "imported-number", description: "publish on an imported number, which is a SIP identifier",
	inputs: map[string]string{"version-id": sandbox.NextID, "inbound-phone-number": sandbox.PBXNumber},
}, {
	name: "line-kept", inputs: next,
	description: "the API serves one request at a time and unbinds what it is not sent: the step waits for the numbers",
	behavior:    sandbox.Behavior{ReleaseOmitted: true, DropOthers: true, Limit: sandbox.Limit{AtATime: 1}},
}, {
	name:        "number-in-use",
	description: "another agent answers the phone number: the step fails before it changes anything",
	inputs:      map[string]string{"version-id": sandbox.NextID, "inbound-phone-number-id": sandbox.Hotline},
}, {
	name: "number-dropped", inputs: next,
	description: "the agent answers two numbers and the API unbinds those that a request omits: the step warns",
	behavior:    sandbox.Behavior{ReleaseOmitted: true, DropOthers: true},
	setup:       func(s *sandbox.Sandbox) { s.Bind(sandbox.Switch, sandbox.Inbound, sandbox.FrontDesk) },
}, {
	name: "retry", description: "the API returns 503 once: the step retries", inputs: next,
	setup: func(s *sandbox.Sandbox) { s.Inject(sandbox.Fault{Status: http.StatusServiceUnavailable}) },
}, {
	name: "lost-reply", inputs: next,
	description: "the change is applied but the response is lost: the step finds it in effect before it tries again",
	setup:       func(s *sandbox.Sandbox) { s.Inject(sandbox.Fault{Drop: sandbox.DropReply, Applied: true}) },
}, {
	name: "unknown", inputs: map[string]string{"version-id": sandbox.NextID, "max-retries": "1"},
	description: "every connection is closed before the change is applied: the step cannot rule out that it will be",
	setup:       func(s *sandbox.Sandbox) { s.Inject(sandbox.Fault{Drop: sandbox.DropReply, Times: -1}) },
}, {
	name: "unpublish", description: "unpublish the agent", inputs: map[string]string{"unpublish": "true"},
}, {
	name: "dry-run", description: "everything is read and checked, nothing is changed",
	inputs: map[string]string{"version-id": sandbox.OldestID, "dry-run": "true"},
}, {
	name: "wrong-name", description: "no version has the tag's name: the step fails and lists similar names",
	inputs: map[string]string{"version-name": "1.22.8"},
}, {
	name: "read-only-key", description: "the key may only read: the API refuses and the step says what the key lacks",
	inputs: map[string]string{"version-id": sandbox.NextID, "token": sandbox.ReadToken},
}, {
	name: "api-error", description: "the version is a draft: the API refuses it and the step fails with the API's code",
	inputs: map[string]string{"version-id": sandbox.DraftID},
}}
