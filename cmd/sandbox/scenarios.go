package main

import (
	"fmt"
	"io"
	"net/http"
	"time"

	"publish-agent-version/internal/sandbox"
)

// scenario is a step to play: what it is given, what goes wrong, and what must come of it.
type scenario struct {
	name   string
	about  string
	inputs map[string]string // besides token, agent-id and api-url
	order  func(*sandbox.Sandbox)
	back   bool // then a second step goes back to the first one's previous-version-id

	exit    int
	outputs map[string]string // those that must have a certain value
	live    string            // the version on the air afterwards; empty: none
	warns   []string          // what must be in a warning annotation
	answers []string          // the numbers that Front desk answers afterwards; nil: Reception's while a version is live, else none
}

// previousID is the version before the live one.
const previousID = "b1000000-0000-4000-8000-000000000227"

func scenarios() []scenario {
	return []scenario{
		{
			name:    "promotion",
			about:   "a release: the version that is called like the tag goes live",
			inputs:  map[string]string{"version-name": sandbox.NextName},
			outputs: map[string]string{"status": "published", "published-version-id": sandbox.NextID, "previous-version-id": sandbox.LiveID},
			live:    sandbox.NextID,
		},
		{
			name:    "publish",
			about:   "a version goes live by its id, on one more phone number",
			inputs:  map[string]string{"version-id": sandbox.NextID, "inbound-phone-number-id": sandbox.Switch},
			outputs: map[string]string{"status": "published", "inbound-phone-number-id": sandbox.Switch},
			live:    sandbox.NextID,
			answers: []string{sandbox.SwitchNumber, sandbox.ReceptionNumber},
		},
		{
			name:   "by-number",
			about:  "a version goes live on a phone number that is given as people write it",
			inputs: map[string]string{"version-id": sandbox.NextID, "inbound-phone-number": "+34 910 000 002"},
			outputs: map[string]string{
				"status": "published", "inbound-phone-number-id": sandbox.Switch, "inbound-phone-number": sandbox.SwitchNumber,
			},
			live:    sandbox.NextID,
			answers: []string{sandbox.SwitchNumber, sandbox.ReceptionNumber},
		},
		{
			name:    "number-in-use",
			about:   "another agent answers the phone number: the step refuses before it sends anything",
			inputs:  map[string]string{"version-id": sandbox.NextID, "inbound-phone-number-id": sandbox.Hotline},
			exit:    1,
			outputs: map[string]string{"status": "failed", "error-code": "ACTION_PHONE_IN_USE", "attempts": ""},
			live:    sandbox.LiveID,
		},
		{
			name:   "number-dropped",
			about:  "the agent answers two numbers, and the API drops those that a request leaves out: the step warns",
			inputs: map[string]string{"version-id": sandbox.NextID},
			order: func(s *sandbox.Sandbox) {
				s.Bind(sandbox.Switch, sandbox.Inbound, sandbox.FrontDesk)
				s.DropLeftOut(true)
			},
			outputs: map[string]string{"status": "published", "published-version-id": sandbox.NextID},
			live:    sandbox.NextID,
			warns:   []string{sandbox.ReceptionNumber, sandbox.SwitchNumber},
			answers: []string{},
		},
		{
			name:    "retry",
			about:   "the API is unavailable once (503), then well",
			inputs:  map[string]string{"version-id": sandbox.NextID},
			order:   func(s *sandbox.Sandbox) { s.Order(sandbox.Fault{Status: http.StatusServiceUnavailable}) },
			outputs: map[string]string{"status": "published", "attempts": "2"},
			live:    sandbox.NextID,
		},
		{
			name:    "lost-reply",
			about:   "the change is made, but the connection breaks before the reply; the second try confirms it",
			inputs:  map[string]string{"version-id": sandbox.NextID},
			order:   func(s *sandbox.Sandbox) { s.Order(sandbox.Fault{Drop: sandbox.DropReply, Applied: true}) },
			outputs: map[string]string{"status": "published", "attempts": "2"},
			live:    sandbox.NextID,
		},
		{
			name:    "lost-and-confirmed",
			about:   "every reply is lost after the change was made: the step reads back that the version is live",
			inputs:  map[string]string{"version-id": sandbox.NextID, "max-retries": "1"},
			order:   func(s *sandbox.Sandbox) { s.Order(sandbox.Fault{Drop: sandbox.DropReply, Applied: true, Times: -1}) },
			outputs: map[string]string{"status": "published", "attempts": "2", "previous-version-id": sandbox.LiveID},
			live:    sandbox.NextID,
		},
		{
			name:   "gateway-503",
			about:  "a gateway answers 503 each time after the change was made: the step reads back that the version is live",
			inputs: map[string]string{"version-id": sandbox.NextID, "max-retries": "1"},
			order: func(s *sandbox.Sandbox) {
				s.Order(sandbox.Fault{
					Status: http.StatusServiceUnavailable, Header: http.Header{"Content-Type": {"text/html"}},
					Body: "<html><body><h1>503 Service Temporarily Unavailable</h1></body></html>", Applied: true, Times: -1,
				})
			},
			outputs: map[string]string{"status": "published", "attempts": "2", "previous-version-id": sandbox.LiveID},
			live:    sandbox.NextID,
		},
		{
			name:   "unknown",
			about:  "every connection breaks before the change is made: the step cannot be sure that nothing is still on its way",
			inputs: map[string]string{"version-id": sandbox.NextID, "max-retries": "1"},
			order:  func(s *sandbox.Sandbox) { s.Order(sandbox.Fault{Drop: sandbox.DropReply, Times: -1}) },
			exit:   1,
			outputs: map[string]string{
				"status": "unknown", "error-code": "ACTION_NETWORK_ERROR", "attempts": "2", "previous-version-id": sandbox.LiveID,
			},
			live: sandbox.LiveID,
		},
		{
			name:    "rate-limit",
			about:   "the API takes one request in two seconds and says so with Retry-After",
			inputs:  map[string]string{"version-id": sandbox.NextID},
			order:   func(s *sandbox.Sandbox) { s.Limit(1, 2*time.Second, true) },
			outputs: map[string]string{"status": "published", "attempts": "2"},
			live:    sandbox.NextID,
		},
		{
			name:    "rollback",
			about:   "a promotion, and a second step that goes back to its previous-version-id",
			inputs:  map[string]string{"version-name": sandbox.NextName},
			back:    true,
			outputs: map[string]string{"status": "published", "published-version-id": sandbox.LiveID, "previous-version-id": sandbox.NextID},
			live:    sandbox.LiveID,
		},
		{
			name:    "unpublish",
			about:   "the agent goes off the air",
			inputs:  map[string]string{"unpublish": "true"},
			outputs: map[string]string{"status": "unpublished", "published-version-id": "", "previous-version-id": sandbox.LiveID},
		},
		{
			name:    "dry-run",
			about:   "everything is read and checked, nothing is changed",
			inputs:  map[string]string{"version-id": previousID, "dry-run": "true"},
			outputs: map[string]string{"status": "dry-run", "previous-version-id": sandbox.LiveID},
			live:    sandbox.LiveID,
		},
		{
			name:    "wrong-name",
			about:   "no version is called like the tag: the step fails and lists the nearest names",
			inputs:  map[string]string{"version-name": "1.22.8"},
			exit:    1,
			outputs: map[string]string{"status": "failed", "error-code": "ACTION_VERSION_NOT_FOUND"},
			live:    sandbox.LiveID,
		},
		{
			name:    "api-error",
			about:   "the version is a draft: the API refuses it, the step fails with the API's code",
			inputs:  map[string]string{"version-id": sandbox.DraftID},
			exit:    1,
			outputs: map[string]string{"status": "failed", "error-code": "BAD_PARAMETER", "http-status": "400", "attempts": "1"},
			live:    sandbox.LiveID,
		},
		{
			name:    "bad-input",
			about:   "an undefined variable left version-id empty and the timeout is nonsense: nothing is sent",
			inputs:  map[string]string{"version-id": "", "timeout": "soon"},
			exit:    1,
			outputs: map[string]string{"status": "failed", "error-code": "ACTION_INPUT_INVALID"},
			live:    sandbox.LiveID,
		},
	}
}

// list writes a line for each scenario.
func list(w io.Writer) {
	fmt.Fprintln(w, "scenarios:")
	for _, sc := range scenarios() {
		fmt.Fprintf(w, "  %-18s %s\n", sc.name, sc.about)
	}
}
