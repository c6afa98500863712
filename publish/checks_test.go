package publish_test

import (
	"net/http"
	"testing"

	"publish-agent-version/internal/sandbox"
)

// Only the two responses together show it, whichever comes first.
func TestSwappedIDs(t *testing.T) {
	for name, inputs := range map[string]map[string]string{
		"alone": {}, "dry-run": {"dry-run": "true"}, "only-newer": {"only-newer": "true"},
		"expect-version-id": {"expect-version-id": sandbox.LiveID}, "expecting none": {"expect-version-id": "none"},
		"all": {"dry-run": "true", "only-newer": "true", "expect-version-id": sandbox.LiveID, "inbound-phone-number": sandbox.SwitchNumber},
	} {
		t.Run(name, func(t *testing.T) {
			inputs["agent-id"], inputs["version-id"] = sandbox.NextID, sandbox.FrontDesk
			for range 20 { // the reads are answered in any order
				api, _ := newSandbox(t)
				checkRefused(t, api, inputs, "ACTION_VERSION_NOT_FOUND", "agent-id and version-id are swapped")
			}
		})
	}
}

func TestSameIDTwice(t *testing.T) {
	for _, dry := range []string{"false", "true"} {
		api, _ := newSandbox(t)
		checkRefused(t, api, map[string]string{"version-id": sandbox.FrontDesk, "dry-run": dry}, "ACTION_VERSION_NOT_FOUND",
			"Front desk has no version "+sandbox.FrontDesk)
		res := scenario{inputs: map[string]string{"version-id": sandbox.FrontDesk, "dry-run": dry}}.runInMemory(t, serverOf(api))
		res.check(t, expected{code: "ACTION_VERSION_NOT_FOUND", attempts: -1, says: []string{"Check version-id: it has the value of agent-id."}})
	}
	// No agent has this id, so that nothing shows that it is a version's.
	api, _ := newSandbox(t)
	checkRefused(t, api, map[string]string{"agent-id": sandbox.NextID, "dry-run": "true"}, "AGENT_NOT_FOUND", "There is no agent "+sandbox.NextID)
}

// A plan is refused where the change would be.
func TestVersionOfAnotherAgent(t *testing.T) {
	for _, dry := range []string{"false", "true"} {
		api, _ := newSandbox(t)
		checkRefused(t, api, map[string]string{"version-id": sandbox.NightID, "dry-run": dry}, "ACTION_VERSION_NOT_FOUND", "Front desk has no version "+sandbox.NightID)
	}
}

func serverOf(api *sandbox.Sandbox) *http.Server { return &http.Server{Handler: api} }
