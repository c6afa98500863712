package publish_test

import (
	"net/http"
	"strings"
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

// There is no id to be swapped with the agent's where the version is given by its name.
func TestNameForUnknownAgent(t *testing.T) {
	api, _ := newSandbox(t)
	checkRefused(t, api, map[string]string{"agent-id": sandbox.NextID, "version-name": sandbox.NextName, "expect-version-id": sandbox.LiveID}, "AGENT_NOT_FOUND")
	for _, r := range api.Requests() {
		if strings.Contains(r.Path+r.RawQuery, "00000000-0000-0000-0000-000000000000") {
			t.Errorf("asked for %s?%s", r.Path, r.RawQuery)
		}
	}
}

func TestInvisibleAgentName(t *testing.T) {
	version := strings.Replace(versionJSON(sandbox.LiveID, true), `"Front desk"`, `"\u200b"`, 1)
	invisible := sandbox.Fault{Method: http.MethodGet, Body: strings.Replace(version, `"v1.22.7"`, `" "`, 1), Times: -1}
	invisible.Path = publishedRead
	api, server := newSandbox(t, invisible)
	res := with("version-id", "", "show-live", "true").runInMemory(t, server)
	if want := "Agent " + sandbox.FrontDesk + ": version 228 is live on "; len(api.Requests()) == 0 || !strings.HasPrefix(res.message(), want) && !strings.HasPrefix(res.message(), strings.ToLower(want[:1])+want[1:]) {
		t.Errorf("%q, want %q", res.message(), want)
	}
}

func serverOf(api *sandbox.Sandbox) *http.Server { return &http.Server{Handler: api} }
