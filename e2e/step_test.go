package e2e

import (
	"maps"
	"net/http"
	"strings"
	"testing"

	"publish-agent-version/internal/sandbox"
)

// live is FrontDesk's published version and its numbers before each test.
var live = [...]string{sandbox.LiveID, sandbox.Reception, ""}

// changedFields are the configuration fields that differ between the live version and the next one.
const changedFields = "call_tools,prompt,voice"

// outputs adds the outputs that describe FrontDesk before the step to the step's own.
func outputs(own map[string]string) map[string]string {
	all := map[string]string{
		"previous-version-id": sandbox.LiveID, "previous-version-name": sandbox.LiveName,
		"previous-inbound-phone-number-id": sandbox.Reception, "previous-outbound-phone-number-id": "",
	}
	maps.Copy(all, own)
	return all
}

// published returns the outputs of a step that published the version id, called name. inbound and outbound are ids of phone
// numbers or "".
func published(id, name, inbound, outbound, attempts string) map[string]string {
	all := outputs(map[string]string{
		"status": "published", "agent-id": sandbox.FrontDesk, "published-version-id": id, "version-id": id, "version-name": name,
		"changed-fields": "", "inbound-phone-number-id": inbound, "outbound-phone-number-id": outbound, "attempts": attempts,
	})
	if id == sandbox.NextID {
		all["changed-fields"] = changedFields
	}
	numbers := map[string]string{
		sandbox.Reception: sandbox.ReceptionNumber, sandbox.Switch: sandbox.SwitchNumber, sandbox.Callback: sandbox.CallbackNumber,
	}
	for direction, id := range map[string]string{"inbound": inbound, "outbound": outbound} {
		all[direction+"-phone-number"] = numbers[id]
	}
	return all
}

func TestStep(t *testing.T) {
	image(t)
	for _, test := range []struct {
		name     string
		inputs   map[string]string
		faults   []sandbox.Fault
		exit     int
		commands []string
		outputs  map[string]string
		message  string // contained in error-message
		requests string
		live     [3]string // version, inbound and outbound number afterwards
	}{
		{
			name:     "publish by id",
			inputs:   map[string]string{"version-id": sandbox.NextID, "outbound-phone-number-id": sandbox.Callback},
			commands: []string{"add-mask", "notice Published"},
			outputs:  published(sandbox.NextID, sandbox.NextName, sandbox.Reception, sandbox.Callback, "1"),
			requests: "GET GET GET PATCH",
			live:     [3]string{sandbox.NextID, sandbox.Reception, sandbox.Callback},
		},
		{
			name:     "publish by name",
			inputs:   map[string]string{"version-name": sandbox.OldestName, "inbound-phone-number-id": sandbox.Switch},
			commands: []string{"add-mask", "warning Older version", "notice Published"},
			outputs:  published(sandbox.OldestID, sandbox.OldestName, sandbox.Switch, "", "1"),
			requests: "GET GET GET GET PATCH GET GET", // three pages of versions; then what is live, and the numbers
			live:     [3]string{sandbox.OldestID, sandbox.Switch, ""},
		},
		{
			name:     "unpublish",
			inputs:   map[string]string{"unpublish": "true"},
			commands: []string{"add-mask", "notice Unpublished"},
			outputs: outputs(map[string]string{
				"status": "unpublished", "agent-id": sandbox.FrontDesk, "published-version-id": "",
				"inbound-phone-number-id": "", "outbound-phone-number-id": "", "inbound-phone-number": "", "outbound-phone-number": "",
				"attempts": "1",
			}),
			requests: "GET GET PATCH GET",
		},
		{
			name:     "dry run",
			inputs:   map[string]string{"version-id": sandbox.NextID, "dry-run": "true"},
			commands: []string{"add-mask", "notice Dry run"},
			outputs: outputs(map[string]string{
				"status": "dry-run", "agent-id": sandbox.FrontDesk, "version-id": sandbox.NextID, "version-name": sandbox.NextName,
				"changed-fields": changedFields, "inbound-phone-number-id": sandbox.Reception,
				"inbound-phone-number": sandbox.ReceptionNumber, "outbound-phone-number-id": "", "outbound-phone-number": "",
			}),
			requests: "GET GET GET",
			live:     live,
		},
		{
			name:     "an API error",
			inputs:   map[string]string{"version-id": sandbox.NextID, "agent-id": sandbox.Callback}, // not an agent
			exit:     1,
			commands: []string{"add-mask", "error AGENT_NOT_FOUND"},
			outputs: map[string]string{
				"status": "failed", "error-code": "AGENT_NOT_FOUND", "http-status": "404", "attempts": "1",
				"version-id": sandbox.NextID, "previous-inbound-phone-number-id": "", "previous-outbound-phone-number-id": "",
			},
			message:  "Agent " + sandbox.Callback + " not found",
			requests: "GET GET GET PATCH GET GET",
			live:     live,
		},
		{
			name:     "a retry that succeeds",
			inputs:   map[string]string{"version-id": sandbox.NextID},
			faults:   []sandbox.Fault{{Status: http.StatusServiceUnavailable}},
			commands: []string{"add-mask", "notice Published"},
			outputs:  published(sandbox.NextID, sandbox.NextName, sandbox.Reception, "", "2"),
			requests: "GET GET GET PATCH GET GET PATCH",
			live:     [3]string{sandbox.NextID, sandbox.Reception, ""},
		},
		{
			name:     "bad inputs",
			inputs:   map[string]string{"agent-id": "front-desk", "timeout": "30", "max-retries": "11"},
			exit:     1,
			commands: []string{"add-mask", "error ACTION_INPUT_INVALID"},
			outputs:  map[string]string{"status": "failed", "error-code": "ACTION_INPUT_INVALID"},
			message:  "version-id",
			live:     live,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			api := newAPI(t, test.faults...)
			r := newJob(t, api.URL, test.inputs).run()
			r.want(t, test.exit, test.commands, test.outputs)
			if !strings.Contains(r.message, test.message) {
				t.Errorf("error-message %q, want %q in it", r.message, test.message)
			}
			if got := api.methods(); got != test.requests {
				t.Errorf("requests %s, want %s", got, test.requests)
			}
			api.wantLive(t, test.live)
		})
	}
}
