package e2e

import (
	"maps"
	"strings"
	"testing"

	"publish-agent-version/internal/sandbox"
)

// outputs adds the outputs that describe FrontDesk before the step to the step's own.
func outputs(own map[string]string) map[string]string {
	all := map[string]string{
		"previous-version-id": sandbox.LiveID, "previous-version-name": sandbox.LiveName,
		"previous-inbound-phone-number-id": sandbox.Reception, "previous-outbound-phone-number-id": "",
		"version-id": sandbox.NextID, "version-name": sandbox.NextName, "attempts": "1",
		"changed-fields": "call_tools,prompt,voice", // those that differ between the live version and the next one
	}
	maps.Copy(all, own)
	return all
}

// published returns the outputs of a step that published the next version. outbound is Callback or "".
func published(outbound string) map[string]string {
	number := map[string]string{sandbox.Callback: sandbox.CallbackNumber}[outbound]
	return outputs(map[string]string{
		"status": "published", "agent-id": sandbox.FrontDesk, "published-version-id": sandbox.NextID,
		"inbound-phone-number-id": sandbox.Reception, "inbound-phone-number": sandbox.ReceptionNumber,
		"outbound-phone-number-id": outbound, "outbound-phone-number": number,
	})
}

// publishes runs a step that publishes the next version, and checks what it says.
func (j *job) publishes(outbound string) {
	j.Helper()
	j.run().want(j.T, 0, []string{"add-mask", "notice Published"}, published(outbound))
}

func TestPublish(t *testing.T) {
	t.Parallel()
	api, url := newAPI(t)
	newJob(t, url, map[string]string{"outbound-phone-number-id": sandbox.Callback}).publishes(sandbox.Callback)
	version, inbound, outbound := api.Live(sandbox.FrontDesk)
	if version != sandbox.NextID || inbound != sandbox.Reception || outbound != sandbox.Callback {
		t.Errorf("live is %s on %s and %s", version, inbound, outbound)
	}
	if got := api.Requests(); len(got) != 4 {
		t.Errorf("%d requests, want 4: %v", len(got), got)
	}
}

func TestFailures(t *testing.T) {
	image(t)
	for code, test := range map[string]struct{ inputs, outputs map[string]string }{
		"AGENT_NOT_FOUND": {map[string]string{"agent-id": sandbox.Callback}, map[string]string{
			"http-status": "404", "attempts": "1", "version-id": sandbox.NextID,
			"previous-inbound-phone-number-id": "", "previous-outbound-phone-number-id": "",
		}},
		"ACTION_INPUT_INVALID": {map[string]string{"agent-id": "front-desk", "timeout": "30"}, map[string]string{}},
	} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			api, url := newAPI(t)
			r := newJob(t, url, test.inputs).run()
			test.outputs["status"], test.outputs["error-code"] = "failed", code
			r.want(t, 1, []string{"add-mask", "error " + code}, test.outputs)
			if !strings.Contains(r.message, test.inputs["agent-id"]) || len(api.Changes()) != 2 {
				t.Errorf("error-message %q, changes %v", r.message, api.Changes())
			}
		})
	}
}
