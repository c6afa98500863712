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
			about:   "a version goes live by its id, on another phone number",
			inputs:  map[string]string{"version-id": sandbox.NextID, "inbound-phone-number-id": sandbox.Switch},
			outputs: map[string]string{"status": "published", "inbound-phone-number-id": sandbox.Switch},
			live:    sandbox.NextID,
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
			name:   "unknown",
			about:  "every reply is lost after the change was made: the step fails, and says what the API shows as published",
			inputs: map[string]string{"version-id": sandbox.NextID, "max-retries": "1"},
			order:  func(s *sandbox.Sandbox) { s.Order(sandbox.Fault{Drop: sandbox.DropReply, Applied: true, Times: -1}) },
			exit:   1,
			outputs: map[string]string{
				"status": "unknown", "error-code": "ACTION_NETWORK_ERROR", "attempts": "2", "previous-version-id": sandbox.LiveID,
			},
			live: sandbox.NextID,
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
		fmt.Fprintf(w, "  %-11s %s\n", sc.name, sc.about)
	}
}
