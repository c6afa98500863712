package publish_test

import (
	"strings"
	"testing"

	"publish-agent-version/internal/sandbox"
)

// A dry run of unpublishing has no version to look for, and makes sure of the agent and the token all the same.
func TestDryRunOfUnpublishing(t *testing.T) {
	const elsewhere = "a0000000-0000-4000-8000-000000000009"
	for _, test := range []struct{ agent, token, status, code string }{
		{sandbox.FrontDesk, sandbox.Token, "dry-run", ""},
		{sandbox.NightDesk, sandbox.Token, "dry-run", ""}, // which has nothing published
		{elsewhere, sandbox.Token, "failed", "AGENT_NOT_FOUND"},
		{sandbox.FrontDesk, "another-token", "failed", "UNAUTHORIZED"},
	} {
		api, server := newSandbox(t)
		res := scenario{inputs: map[string]string{
			"api-url": "http://" + startServer(t, server), "agent-id": test.agent, "token": test.token, "unpublish": "true", "version-id": "", "dry-run": "true",
		}}.run(t)
		if res.outputs["status"] != test.status || res.outputs["error-code"] != test.code {
			t.Errorf("%s with %s: %q", test.agent, test.token, res.outputs)
		}
		for _, request := range api.Requests() {
			if request.Method != "GET" {
				t.Errorf("a dry run sent a %s", request.Method)
			}
		}
	}
}

func TestDryRunOfDraft(t *testing.T) {
	_, server := newSandbox(t)
	res := scenario{inputs: map[string]string{"api-url": "http://" + startServer(t, server), "version-id": sandbox.DraftID, "dry-run": "true"}}.run(t)
	if res.exit != 0 || !strings.Contains(res.stdout, "It is a draft: Diga may refuse it.") || !strings.Contains(res.summary, "a draft") {
		t.Errorf("exit status %d\n%s\n%s", res.exit, res.stdout, res.summary)
	}
}
