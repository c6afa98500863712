package publish_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"publish-agent-version/internal/sandbox"
)

// newest is the first version that a test adds to FrontDesk.
const newest = "b1000000-0000-4000-8000-000000000231"

// named adds versions with these names to FrontDesk.
func named(names ...string) func(*sandbox.Sandbox) {
	return func(api *sandbox.Sandbox) {
		for _, name := range names {
			api.AddVersion(sandbox.FrontDesk, sandbox.Version{Name: name})
		}
	}
}

// TestFaultsLive has the rows G, Y and L of docs/faults.md.
func TestFaultsLive(t *testing.T) {
	t.Parallel()
	offline := takeOffline
	unexpected := func(says ...string) story {
		return story{code: "ACTION_UNEXPECTED_VERSION", attempts: -1, says: append(says, nothingChanged)}
	}
	refused := func(name string, s story, setup func(*sandbox.Sandbox), inputs ...string) {
		for _, dry := range []string{"false", "true"} {
			s.name, s.setup, s.inputs = name+", dry run "+dry, setup, append(slices.Clone(inputs), "dry-run", dry)
			if setup != nil {
				s.live = "none"
			}
			s.run(t)
		}
	}
	t.Run("G1", func(t *testing.T) {
		refused("G1 another", unexpected("Expected version "+sandbox.OldestID+", but v1.22.7 (228) is live"), nil,
			"expect-version-id", sandbox.OldestID)
		refused("G1 by name", unexpected("Expected version "+sandbox.OldestID), nil, "version-name", sandbox.NextName,
			"expect-version-id", sandbox.OldestID)
		refused("G1 none expected", unexpected("Expected no live version, but v1.22.7 (228) is live"), nil,
			"expect-version-id", "none")
		refused("G1 none live", unexpected("Expected version "+sandbox.LiveID+", but none is live"), offline,
			"expect-version-id", sandbox.LiveID)
		refused("G1 published already", unexpected("v1.22.7 (228) is live, perhaps from an earlier run",
			"remove expect-version-id"), nil, "version-id", sandbox.LiveID, "expect-version-id", sandbox.OldestID)
		story{name: "as expected", inputs: []string{"expect-version-id", sandbox.LiveID}, attempts: 1,
			requests: 4}.run(t)
		story{name: "none, as expected", inputs: []string{"expect-version-id", "none"}, setup: offline, attempts: 1,
			inbound: []string{}, outputs: map[string]string{"previous-version-id": ""}}.run(t)
	})
	t.Run("G2", func(t *testing.T) {
		for _, inputs := range [][]string{{"expect-version-id", sandbox.LiveID}, {"only-newer", "true"},
			{"expect-version-id", "none"}} {
			for _, status := range []int{403, 404, 503} {
				story{name: fmt.Sprint(inputs[0], status), inputs: inputs,
					faults: []sandbox.Fault{get("is_published=true", sandbox.Fault{Status: status})},
					code:   fmt.Sprint("HTTP_", status), attempts: -1}.run(t)
			}
			story{name: inputs[0] + ", the list is not filtered", inputs: inputs,
				is: sandbox.Behavior{IgnorePublished: true}, code: "ACTION_RESPONSE_INVALID", attempts: -1}.run(t)
		}
	})
	t.Run("G3", func(t *testing.T) {
		older := story{code: "ACTION_NOT_NEWER", attempts: -1,
			says: []string{"v1.0.0 (1) is older than v1.22.7 (228), which is live"}}
		refused("G3 by ID", older, nil, "only-newer", "true", "version-id", sandbox.OldestID)
		refused("G3 by name", older, nil, "only-newer", "true", "version-name", sandbox.OldestName)
		story{name: "newer", inputs: []string{"only-newer", "true"}, attempts: 1}.run(t)
		story{name: "none live", inputs: []string{"only-newer", "true", "version-id", sandbox.OldestID}, setup: offline,
			attempts: 1, live: sandbox.OldestID, inbound: []string{}}.run(t)
		story{name: "the live one", inputs: []string{"only-newer", "true", "version-id", sandbox.LiveID}, attempts: 1,
			live: sandbox.LiveID}.run(t)
		unnumbered := `{"agent_id":"` + sandbox.FrontDesk + `","version_id":"` + sandbox.LiveID +
			`","is_published":true}`
		story{name: "the live one, without a number", inputs: []string{"only-newer", "true", "version-id",
			sandbox.LiveID}, attempts: 1,
			live: sandbox.LiveID, faults: []sandbox.Fault{
				get(publishedRead, sandbox.Fault{Body: `{"data":[` + unnumbered + `],"has_more":false}`}),
				get("version_id=", sandbox.Fault{Body: unnumbered}),
			}}.run(t)
		story{name: "the live one has no number, and a draft is to be launched", attempts: -1,
			inputs: []string{"only-newer", "true", "version-name", "v2", "launch-draft", "true"},
			code:   "ACTION_RESPONSE_INVALID", hides: []string{"Launching"}, is: sandbox.Behavior{Unchecked: true},
			faults: []sandbox.Fault{get("/version?limit=100", sandbox.Fault{
				Body: `{"data":[` + unnumbered + `],"has_more":false}`})}}.run(t)
		story{name: "no number", inputs: []string{"only-newer", "true"}, code: "ACTION_RESPONSE_INVALID", attempts: -1,
			says: []string{"a version number is missing"},
			faults: []sandbox.Fault{get("version_id="+sandbox.NextID, sandbox.Fault{
				Body: `{"agent_id":"` + sandbox.FrontDesk + `","version_id":"` + sandbox.NextID + `"}`})}}.run(t)
	})
	t.Run("G4", func(t *testing.T) {
		for _, name := range []string{"version-id", "version-name"} {
			value := map[string]string{"version-id": sandbox.OldestID, "version-name": sandbox.OldestName}[name]
			story{name: name, inputs: []string{name, value}, attempts: 1, live: sandbox.OldestID,
				warns: []string{"v1.0.0 (1) is older than v1.22.7 (228), which was live before this run. Set only-newer: true"}}.run(
				t)
		}
		story{name: "dry run", inputs: []string{"version-id", sandbox.OldestID, "dry-run", "true"}, status: "dry-run",
			warns: []string{"v1.0.0 (1) is older than v1.22.7 (228), which was live before this run. Set only-newer"}}.run(t)
	})
	t.Run("G5", func(t *testing.T) {
		for name, guard := range map[string][2]string{
			"ACTION_UNEXPECTED_VERSION": {"expect-version-id", sandbox.LiveID},
			"ACTION_NOT_NEWER":          {"only-newer", "true"},
		} {
			other := func(version string) func(*sandbox.Sandbox) {
				return func(api *sandbox.Sandbox) { api.SetPublished(sandbox.FrontDesk, version) }
			}
			s := story{inputs: guard[:], faults: []sandbox.Fault{busy("20")}, attempts: 1, code: name, live: newest,
				setup: named("newest"), after: other(newest), says: []string{"Nothing was changed: Front desk is on newest"}}
			s.name = name + ", 429"
			s.run(t)
			s.name, s.faults, s.status = name+", lost", []sandbox.Fault{{Drop: sandbox.DropReply}}, "unknown"
			s.says = []string{"is on newest"}
			s.run(t)
			s.name, s.faults, s.after = name+", our own",
				[]sandbox.Fault{{Status: 500, Body: apiErrorBody, Applied: true}}, nil
			s.code, s.status, s.live, s.says = "", "", "", []string{readBack}
			s.run(t)
		}
		story{name: "the read is refused", inputs: []string{"expect-version-id", sandbox.LiveID}, attempts: 1,
			faults: []sandbox.Fault{{Status: 500, Body: apiErrorBody}}, code: "PUBLISH_FAILED", status: "unknown",
			after: injecting(get(publishedRead, sandbox.Fault{Status: 403, Body: apiErrorBody})),
			says:  []string{"ould not check again what is live"}, hides: []string{"Diga refused"}}.run(t)
		story{name: "the read fails to the end", attempts: 1,
			inputs: []string{"expect-version-id", sandbox.LiveID, "max-retries", "1"},
			faults: []sandbox.Fault{{Status: 500, Body: apiErrorBody}}, code: "PUBLISH_FAILED", status: "unknown",
			after: injecting(get(publishedRead, sandbox.Fault{Status: 503, Body: apiErrorBody})),
			says:  []string{"ould not check again what is live", "gave up after 2 attempts"}}.run(t)
	})
	t.Run("G6", func(t *testing.T) {
		story{name: "a ref", inputs: []string{"version-name", "refs/tags/v1.22.8"}, code: "ACTION_VERSION_NOT_FOUND",
			attempts: -1, says: []string{"github.ref_name"}}.run(t)
		story{name: "with launch-draft", code: "ACTION_VERSION_NOT_FOUND", attempts: -1, hides: []string{"Launching"},
			inputs: []string{"version-name", "refs/tags/v2", "launch-draft", "true"},
			says:   []string{"github.ref_name"}}.run(t)
	})
	t.Run("G7", func(t *testing.T) {
		for _, saved := range []string{" v3 ", "v3\u200b", "\ufeffv3"} {
			id := ""
			story{name: fmt.Sprintf("%q", saved), inputs: []string{"version-name", "v3"}, attempts: 1, live: newest,
				setup: func(api *sandbox.Sandbox) {
					id = api.AddVersion(sandbox.FrontDesk, sandbox.Version{Name: saved})
				}}.run(t)
			if id != newest {
				t.Errorf("the version is %s", id)
			}
		}
	})
	t.Run("Y1", func(t *testing.T) {
		story{name: "digits alone", inputs: []string{"inbound-phone-number", "34910000002"}, attempts: 1,
			inbound: []string{sandbox.Switch, sandbox.Reception}}.run(t)
	})
	t.Run("Y2", func(t *testing.T) {
		story{name: "both", setup: named("1.1", "1.10"), inputs: []string{"version-name", "1.1"}, attempts: 1,
			live: newest, warns: []string{`There is also a version "1.10". YAML reads 1.10 as 1.1`}}.run(t)
		story{name: "launched", setup: named("1.10"), inputs: []string{"version-name", "1.1", "launch-draft", "true"},
			attempts: 1, live: strings.Replace(newest, "231", "232", 1),
			warns: []string{`There is also a version "1.10"`}}.run(t)
		story{name: "another number", setup: named("1.1", "1.11"), inputs: []string{"version-name", "1.1"}, attempts: 1,
			live: newest}.run(t)
	})
	t.Run("Y3", func(t *testing.T) {
		for given, saved := range map[string]string{"1.1": "1.10", "3": "3.0", "2": "2.00", "1.2": "1.200"} {
			story{name: saved, setup: named(saved), inputs: []string{"version-name", given},
				code: "ACTION_VERSION_NOT_FOUND", attempts: -1,
				says: []string{"YAML reads " + saved + " as " + given + ": put the name in quotes"}}.run(t)
		}
		// No number that YAML would write so.
		for _, names := range [][2]string{{"1.1", "1.11"}, {"1", "10"}, {"v1.1", "v1.10"}, {"1.10", "1.1"},
			{"1.1", "1.10-rc"}, {"1", "1."}} {
			story{name: names[1], setup: named(names[1]), inputs: []string{"version-name", names[0]},
				code: "ACTION_VERSION_NOT_FOUND", attempts: -1, hides: []string{"YAML"}}.run(t)
		}
	})
	t.Run("Y4", func(t *testing.T) { // the runner hands over an empty value
		story{name: "expect-version-id", inputs: []string{"expect-version-id", ""}, attempts: 1}.run(t)
		res := with("version-id", "").runOffline(t)
		res.check(t, expected{code: "ACTION_INPUT_INVALID",
			says: []string{"et version-id or version-name: both are empty"}})
	})
	t.Run("G8", func(t *testing.T) {
		for _, s := range []story{
			{inputs: []string{"version-name", "1.22.8"},
				says: []string{`o version is named "1.22.8"; did you mean v1.22.8?`}},
			{inputs: []string{"version-name", "V1.22.8"}, says: []string{"did you mean v1.22.8?"}},
			{inputs: []string{"version-name", "v9"},
				says: []string{"the newest of 230 versions: v1.22.8, v1.22.7, v1.22.6"}},
			{inputs: []string{"version-name", sandbox.DraftName},
				says: []string{"is only a draft", "set launch-draft: true"}},
			{inputs: []string{"version-name", "v2"}, says: []string{"is only a draft"},
				setup: func(api *sandbox.Sandbox) {
					api.AddVersion(sandbox.FrontDesk, sandbox.Version{Draft: true, Name: "v2\u200b"})
				}},
			{inputs: []string{"version-name", "v2 0"}, setup: named("v2\u00a00"), code: "-", live: newest},
			{inputs: []string{"version-name", "a b"}, setup: named("A  b", "A b"),
				says: []string{`did you mean "A b"?`}},
			{inputs: []string{"version-name", sandbox.SharedName}, code: "ACTION_VERSION_AMBIGUOUS",
				says: []string{"2 versions are named", "b1000000-0000-4000-8000-000000000020"}},
		} {
			s.name, s.attempts = s.inputs[1], -1
			switch s.code {
			case "":
				s.code = "ACTION_VERSION_NOT_FOUND"
			case "-":
				s.code, s.attempts = "", 1
			}
			s.run(t)
		}
	})
	t.Run("G9", func(t *testing.T) {
		story{name: "another agent's version", inputs: []string{"version-id", sandbox.NightID},
			code: "ACTION_VERSION_NOT_FOUND", attempts: -1,
			says: []string{"Front desk has no version " + sandbox.NightID, "Check version-id"}}.run(t)
		story{name: "the agent's ID", inputs: []string{"version-id", sandbox.FrontDesk},
			code: "ACTION_VERSION_NOT_FOUND", attempts: -1, says: []string{"Check version-id"}}.run(t)
		story{name: "a draft", inputs: []string{"version-id", sandbox.DraftID}, code: "BAD_PARAMETER",
			attempts: 1}.run(t)
		story{name: "a draft, dry run", inputs: []string{"version-id", sandbox.DraftID, "dry-run", "true"},
			code: "ACTION_VERSION_NOT_FOUND", attempts: -1,
			says: []string{"is a draft, which Diga does not publish", "launch-draft: true"}}.run(t)
	})
	t.Run("L1", func(t *testing.T) {
		list := &endless{path: "/version", item: `{"agent_id":"` + sandbox.FrontDesk + `","version_id":"b%s"}`}
		story{name: "endless", inputs: []string{"version-name", "v1"}, is: list.behavior(),
			code: "ACTION_RESPONSE_INVALID", attempts: -1, says: []string{"more than 20000 items"}}.run(t)
		if list.items != 20_100 {
			t.Errorf("%d items were read", list.items)
		}
	})
	t.Run("L2", func(t *testing.T) {
		large := map[string]any{"prompt": strings.Repeat("x", 1200<<10)}
		story{name: "an old version of more than 1 MiB", inputs: []string{"version-name", sandbox.NextName},
			attempts: 1,
			setup: func(api *sandbox.Sandbox) {
				api.AddVersion(sandbox.FrontDesk, sandbox.Version{Name: "large", Number: 300, Configuration: large})
			}}.run(t)
		story{name: "it is live, and there is a guard", inputs: []string{"expect-version-id", newest}, attempts: 1,
			setup: func(api *sandbox.Sandbox) {
				id := api.AddVersion(sandbox.FrontDesk, sandbox.Version{Name: "large", Configuration: large})
				api.SetPublished(sandbox.FrontDesk, id)
			}, warns: []string{"is older than large (231), which was live before this run"}}.run(t)
		story{name: "pages of more than 4 MiB", inputs: []string{"version-name", sandbox.NextName}, attempts: 1,
			setup: func(api *sandbox.Sandbox) {
				for n := range 8 {
					api.AddVersion(sandbox.FrontDesk, sandbox.Version{Name: fmt.Sprint("large ", n),
						Configuration: large})
				}
			}}.run(t)
	})
	t.Run("L3", func(t *testing.T) {
		story{name: "a refused cursor", inputs: []string{"version-name", sandbox.OldestName}, attempts: 1,
			live: sandbox.OldestID, warns: []string{"older"},
			faults: []sandbox.Fault{get("after=", sandbox.Fault{Status: 404, Body: apiErrorBody, Times: 1})}}.run(t)
		story{name: "a cursor that is always refused", inputs: []string{"version-name", sandbox.OldestName},
			code: "PUBLISH_FAILED", attempts: -1, says: []string{"The publication failed"},
			faults: []sandbox.Fault{get("after=", sandbox.Fault{Status: 404, Body: apiErrorBody})}}.run(t)
	})
	t.Run("H5", func(t *testing.T) {
		for _, path := range []string{"/v1/phone/", "is_published=true", "version_id="} {
			story{name: path, faults: []sandbox.Fault{get(path, sandbox.Fault{Status: 401, Times: 1})},
				code: "HTTP_401", attempts: -1}.run(t)
		}
	})
}

// endless is a list that never ends, with new items on every page.
type endless struct {
	path, item string // the end of its path, and an item but for the end of its id
	items      int
}

func (e *endless) behavior() sandbox.Behavior {
	return sandbox.Behavior{Unchecked: true, Fault: func(r *http.Request) sandbox.Fault {
		if !strings.HasSuffix(r.URL.Path, e.path) || r.URL.Query().Has("is_published") {
			return sandbox.Fault{}
		}
		var page []string
		for range 100 {
			e.items++
			page = append(page, fmt.Sprintf(e.item, fmt.Sprintf("9000000-0000-4000-8000-%012d", e.items)))
		}
		return sandbox.Fault{Status: 200, Body: `{"data":[` + strings.Join(page, ",") + `],"has_more":true}`}
	}}
}
