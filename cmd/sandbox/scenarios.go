package main

import (
	"net/http"

	"publish-agent-version/internal/sandbox"
)

// scenario is a step to run, and what the sandbox does meanwhile.
type scenario struct {
	name, description string
	inputs            map[string]string        // besides token, agent-id and api-url
	setup             func(s *sandbox.Sandbox) // nil: nothing
}

// next are the inputs that publish the next version.
var next = map[string]string{"version-id": sandbox.NextID}

// scenarios are the ways in which a run can go.
var scenarios = []scenario{{
	name: "promotion", description: "publish the version that has the tag's name, as a release workflow does",
	inputs: map[string]string{"version-name": sandbox.NextName},
}, {
	name: "launch", description: "no version has the tag's name: the draft is launched under it and published",
	inputs: map[string]string{"version-name": "v1.23.0", "launch-draft": "true"},
}, {
	name:        "phone-number",
	description: "publish on an additional phone number, given as +34 910 000 002 instead of its ID",
	inputs:      map[string]string{"version-id": sandbox.NextID, "inbound-phone-number": "+34 910 000 002"},
}, {
	name:        "number-in-use",
	description: "another agent answers the phone number: the step fails before it changes anything",
	inputs:      map[string]string{"version-id": sandbox.NextID, "inbound-phone-number-id": sandbox.Hotline},
}, {
	name: "number-dropped", inputs: next,
	description: "the agent answers two numbers and the API unbinds those that a request omits: the step warns",
	setup: func(s *sandbox.Sandbox) {
		s.Set(sandbox.Behavior{ReleaseOmitted: true, DropOthers: true})
		s.Bind(sandbox.Switch, sandbox.Inbound, sandbox.FrontDesk)
	},
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
	name: "dry-run", description: "everything is read and checked, nothing is changed",
	inputs: map[string]string{"version-id": sandbox.OldestID, "dry-run": "true"},
}, {
	name: "wrong-name", description: "no version has the tag's name: the step fails and lists similar names",
	inputs: map[string]string{"version-name": "1.22.8"},
}, {
	name: "read-only-key", description: "the key may only read: the API refuses and the step says what the key lacks",
	inputs: map[string]string{"version-id": sandbox.NextID, "token": sandbox.ReadToken},
}}
