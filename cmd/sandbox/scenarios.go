package main

import (
	"fmt"
	"io"
	"net/http"
	"time"

	"publish-agent-version/internal/sandbox"
)

// scenario is a step to run, with its inputs, what the sandbox does, and the expected result.
type scenario struct {
	name        string
	description string
	inputs      map[string]string // besides token, agent-id and api-url
	setup       func(*sandbox.Sandbox)
	rollback    bool // a second step publishes the first one's previous-version-id

	exit     int
	outputs  map[string]string // outputs not listed may have any value
	live     string            // the version that is published afterwards, or ""
	warnings []string          // text that a warning must contain
	inbound  []string          // Front desk's inbound numbers afterwards; nil: Reception's if a version is live, else none
}

// previousID is the version before the live one.
const previousID = "b1000000-0000-4000-8000-000000000227"

func scenarios() []scenario {
	return []scenario{
		{
			name:        "promotion",
			description: "publish the version that has the tag's name, as a release workflow does",
			inputs:      map[string]string{"version-name": sandbox.NextName},
			outputs:     map[string]string{"status": "published", "published-version-id": sandbox.NextID, "previous-version-id": sandbox.LiveID},
			live:        sandbox.NextID,
		},
		{
			name:        "publish",
			description: "publish a version by its ID on an additional phone number",
			inputs:      map[string]string{"version-id": sandbox.NextID, "inbound-phone-number-id": sandbox.Switch},
			outputs:     map[string]string{"status": "published", "inbound-phone-number-id": sandbox.Switch},
			live:        sandbox.NextID,
			inbound:     []string{sandbox.SwitchNumber, sandbox.ReceptionNumber},
		},
		{
			name:        "by-number",
			description: "publish on a phone number, given as +34 910 000 002 instead of its ID",
			inputs:      map[string]string{"version-id": sandbox.NextID, "inbound-phone-number": "+34 910 000 002"},
			outputs: map[string]string{
				"status": "published", "inbound-phone-number-id": sandbox.Switch, "inbound-phone-number": sandbox.SwitchNumber,
			},
			live:    sandbox.NextID,
			inbound: []string{sandbox.SwitchNumber, sandbox.ReceptionNumber},
		},
		{
			name:        "number-in-use",
			description: "another agent answers the phone number: the step fails before it changes anything",
			inputs:      map[string]string{"version-id": sandbox.NextID, "inbound-phone-number-id": sandbox.Hotline},
			exit:        1,
			outputs:     map[string]string{"status": "failed", "error-code": "ACTION_PHONE_IN_USE", "attempts": ""},
			live:        sandbox.LiveID,
		},
		{
			name:        "take-over",
			description: "another agent answers the phone number, and take-over moves it to this one",
			inputs:      map[string]string{"version-id": sandbox.NextID, "inbound-phone-number-id": sandbox.Hotline, "take-over": "true"},
			setup:       func(s *sandbox.Sandbox) { s.AllowTakeOver(true) },
			outputs:     map[string]string{"status": "published", "inbound-phone-number": sandbox.HotlineNumber},
			live:        sandbox.NextID,
			inbound:     []string{sandbox.HotlineNumber, sandbox.ReceptionNumber},
		},
		{
			name:        "number-dropped",
			description: "the agent answers two numbers and the API releases those that a request omits: the step warns",
			inputs:      map[string]string{"version-id": sandbox.NextID},
			setup: func(s *sandbox.Sandbox) {
				s.Bind(sandbox.Switch, sandbox.Inbound, sandbox.FrontDesk)
				s.ReleaseOmitted(true)
			},
			outputs:  map[string]string{"status": "published", "published-version-id": sandbox.NextID},
			live:     sandbox.NextID,
			warnings: []string{"+34 910 000 001", "+34 910 000 002"},
			inbound:  []string{},
		},
		{
			name:        "retry",
			description: "the API returns 503 once: the step retries",
			inputs:      map[string]string{"version-id": sandbox.NextID},
			setup:       func(s *sandbox.Sandbox) { s.Inject(sandbox.Fault{Status: http.StatusServiceUnavailable}) },
			outputs:     map[string]string{"status": "published", "attempts": "2"},
			live:        sandbox.NextID,
		},
		{
			name:        "lost-reply",
			description: "the change is applied but the response is lost: the second attempt confirms it",
			inputs:      map[string]string{"version-id": sandbox.NextID},
			setup:       func(s *sandbox.Sandbox) { s.Inject(sandbox.Fault{Drop: sandbox.DropReply, Applied: true}) },
			outputs:     map[string]string{"status": "published", "attempts": "2"},
			live:        sandbox.NextID,
		},
		{
			name:        "lost-and-confirmed",
			description: "the change is applied but every response is lost: the step finds the version live by reading it back",
			inputs:      map[string]string{"version-id": sandbox.NextID, "max-retries": "1"},
			setup:       func(s *sandbox.Sandbox) { s.Inject(sandbox.Fault{Drop: sandbox.DropReply, Applied: true, Times: -1}) },
			outputs:     map[string]string{"status": "published", "attempts": "2", "previous-version-id": sandbox.LiveID},
			live:        sandbox.NextID,
		},
		{
			name:        "gateway-503",
			description: "the change is applied but a gateway returns 503 every time: the step finds the version live by reading it back",
			inputs:      map[string]string{"version-id": sandbox.NextID, "max-retries": "1"},
			setup: func(s *sandbox.Sandbox) {
				s.Inject(sandbox.Fault{
					Status: http.StatusServiceUnavailable, Header: http.Header{"Content-Type": {"text/html"}},
					Body: "<html><body><h1>503 Service Temporarily Unavailable</h1></body></html>", Applied: true, Times: -1,
				})
			},
			outputs: map[string]string{"status": "published", "attempts": "2", "previous-version-id": sandbox.LiveID},
			live:    sandbox.NextID,
		},
		{
			name:        "unknown",
			description: "every connection is closed before the change is applied: the step cannot rule out that it will still be applied",
			inputs:      map[string]string{"version-id": sandbox.NextID, "max-retries": "1"},
			setup:       func(s *sandbox.Sandbox) { s.Inject(sandbox.Fault{Drop: sandbox.DropReply, Times: -1}) },
			exit:        1,
			outputs: map[string]string{
				"status": "unknown", "error-code": "ACTION_NETWORK_ERROR", "attempts": "2", "previous-version-id": sandbox.LiveID,
			},
			live: sandbox.LiveID,
		},
		{
			name:        "rate-limit",
			description: "the API allows 4 requests and then one every 2 seconds: the step waits for Retry-After",
			inputs:      map[string]string{"version-id": sandbox.NextID},
			setup:       func(s *sandbox.Sandbox) { s.Limit(4, 8*time.Second, true) },
			outputs:     map[string]string{"status": "published", "attempts": "2"},
			live:        sandbox.NextID,
		},
		{
			name:        "rollback",
			description: "publish a version, then roll back to previous-version-id in a second step",
			inputs:      map[string]string{"version-name": sandbox.NextName},
			rollback:    true,
			outputs:     map[string]string{"status": "published", "published-version-id": sandbox.LiveID, "previous-version-id": sandbox.NextID},
			live:        sandbox.LiveID,
		},
		{
			name:        "unpublish",
			description: "unpublish the agent",
			inputs:      map[string]string{"unpublish": "true"},
			outputs:     map[string]string{"status": "unpublished", "published-version-id": "", "previous-version-id": sandbox.LiveID},
		},
		{
			name:        "dry-run",
			description: "everything is read and checked, nothing is changed",
			inputs:      map[string]string{"version-id": previousID, "dry-run": "true"},
			outputs:     map[string]string{"status": "dry-run", "previous-version-id": sandbox.LiveID},
			live:        sandbox.LiveID,
		},
		{
			name:        "wrong-name",
			description: "no version has the tag's name: the step fails and lists similar names",
			inputs:      map[string]string{"version-name": "1.22.8"},
			exit:        1,
			outputs:     map[string]string{"status": "failed", "error-code": "ACTION_VERSION_NOT_FOUND"},
			live:        sandbox.LiveID,
		},
		{
			name:        "api-error",
			description: "the version is a draft: the API refuses it and the step fails with the API's code",
			inputs:      map[string]string{"version-id": sandbox.DraftID},
			exit:        1,
			outputs:     map[string]string{"status": "failed", "error-code": "BAD_PARAMETER", "http-status": "400", "attempts": "1"},
			live:        sandbox.LiveID,
		},
		{
			name:        "bad-input",
			description: "version-id is empty, as from an undefined variable, and timeout is invalid: nothing is sent",
			inputs:      map[string]string{"version-id": "", "timeout": "soon"},
			exit:        1,
			outputs:     map[string]string{"status": "failed", "error-code": "ACTION_INPUT_INVALID"},
			live:        sandbox.LiveID,
		},
	}
}

// list writes the names and descriptions of the scenarios.
func list(w io.Writer) {
	fmt.Fprintln(w, "scenarios:")
	for _, sc := range scenarios() {
		fmt.Fprintf(w, "  %-18s %s\n", sc.name, sc.description)
	}
}
