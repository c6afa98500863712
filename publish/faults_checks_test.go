package publish_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"publish-agent-version/internal/sandbox"
)

// TestFaultsChecks has the rows G of docs/faults.md: what the checks of the live version refuse, and what they let pass.
func TestFaultsChecks(t *testing.T) {
	t.Run("G1", unexpectedVersion)
	t.Run("G2", unreadableVersion)
	t.Run("G3", notNewer)
	t.Run("G4", olderVersion)
	t.Run("G5", checkedBeforeEachRetry)
}

const (
	publishedRead = "is_published=true"
	anyVersion    = "/v1/agent/" // in every read of versions
)

// nothingLive are the answers to the read of the live version when there is none. The reference does not document them.
var nothingLive = map[string][]sandbox.Fault{
	"404":                 nil,
	"404 of a framework":  {{Status: 404, Body: `{"detail":"Not Found"}`}},
	"null":                {{Status: 200, Body: "null"}},
	"a version, not live": {{Status: 200, Body: versionJSON(sandbox.NextID, false)}},
}

// takeOffline makes FrontDesk's live version none, and its read answer with these faults.
func takeOffline(api *sandbox.Sandbox, faults []sandbox.Fault) {
	api.SetPublished(sandbox.FrontDesk, "")
	for _, f := range faults {
		f.Method, f.Path, f.Times = http.MethodGet, publishedRead, -1
		api.Inject(f)
	}
}

// reads counts the requests that changed nothing.
func reads(api *sandbox.Sandbox) int { return len(api.Requests()) - len(sentBodies(api)) }

// checked runs the step in a real run and a dry one. Refused, both end the same way and send no change; otherwise the real
// run makes the change. Both make the same number of reads: 0 means any.
func checked(t *testing.T, prepare func(*sandbox.Sandbox), inputs map[string]string, w expected, wantReads int) {
	t.Helper()
	for _, dry := range []string{"false", "true"} {
		api, server := newSandbox(t)
		if prepare != nil {
			prepare(api)
		}
		before, _, _ := api.Live(sandbox.FrontDesk)
		asked := maps.Clone(inputs)
		asked["dry-run"] = dry
		res := scenario{inputs: asked}.runInMemory(t, server)
		expected, changes := w, 0
		switch {
		case w.code != "":
			expected.attempts, expected.neverShown = -1, []string{mayBeApplied}
		case dry == "true":
			expected.status, expected.attempts = "dry-run", -1
		default:
			expected.attempts, changes = 1, 1
		}
		res.check(t, expected)
		if sent := sentBodies(api); len(sent) != changes {
			t.Errorf("dry-run: %s: sent %q", dry, sent)
		}
		if live, _, _ := api.Live(sandbox.FrontDesk); changes == 0 && live != before {
			t.Errorf("dry-run: %s: %s is live, was %s", dry, live, before)
		}
		if n := reads(api); wantReads > 0 && n != wantReads {
			t.Errorf("dry-run: %s: %d reads, want %d", dry, n, wantReads)
		}
	}
}

const (
	fourReads    = 4 // the live version, the requested one, and the numbers in each direction
	listOfThree  = 3 // pages of versions
	twoUntouched = "Nothing was changed: v1.22.7 is still live"
)

func unexpectedVersion(t *testing.T) {
	unexpected := func(says ...string) expected {
		return expected{code: "ACTION_UNEXPECTED_VERSION", says: append(says, nothingChanged)}
	}
	t.Run("another one", func(t *testing.T) {
		checked(t, nil, map[string]string{"expect-version-id": sandbox.OldestID},
			unexpected("Expected version "+sandbox.OldestID+" to be live, but v1.22.7 (228) is", twoUntouched), fourReads)
	})
	t.Run("the one that was asked for", func(t *testing.T) {
		checked(t, nil, map[string]string{"expect-version-id": sandbox.NextID},
			unexpected("Expected v1.22.8 (229) to be live, but v1.22.7 (228) is", twoUntouched), fourReads)
	})
	t.Run("the one that is to be published is live already", func(t *testing.T) {
		checked(t, nil, map[string]string{"version-id": sandbox.LiveID, "expect-version-id": sandbox.OldestID},
			unexpected("v1.22.7 is already live: an earlier run may have published it. To bind its numbers too, remove expect-version-id."), fourReads)
	})
	t.Run("by name", func(t *testing.T) {
		checked(t, nil, map[string]string{"version-name": sandbox.NextName, "expect-version-id": sandbox.OldestID},
			unexpected("Expected version "+sandbox.OldestID+" to be live, but v1.22.7 (228) is", twoUntouched), fourReads-1+listOfThree)
	})
	t.Run("unpublishing", func(t *testing.T) {
		checked(t, nil, map[string]string{"unpublish": "true", "expect-version-id": sandbox.OldestID},
			unexpected("Expected version "+sandbox.OldestID+" to be live, but v1.22.7 (228) is", twoUntouched), fourReads-1)
	})
	t.Run("none expected", func(t *testing.T) {
		checked(t, nil, map[string]string{"expect-version-id": "none"},
			unexpected("Expected no version to be live, but v1.22.7 (228) is", twoUntouched), fourReads)
	})
	for name, faults := range nothingLive {
		offline := func(api *sandbox.Sandbox) { takeOffline(api, faults) }
		t.Run("none live, "+name, func(t *testing.T) {
			checked(t, offline, map[string]string{"expect-version-id": sandbox.LiveID},
				unexpected("Expected version "+sandbox.LiveID+" to be live, but none is"), fourReads+listOfThree)
		})
		t.Run("nothing expected, and none live, "+name, func(t *testing.T) {
			api, server := newSandbox(t)
			offline(api)
			res := scenario{}.check(t, server, expected{attempts: 1})
			if id, set := res.outputs["previous-version-id"]; set {
				t.Errorf("%s was live before, it says", id)
			}
		})
		t.Run("none expected or live, "+name, func(t *testing.T) {
			checked(t, offline, map[string]string{"expect-version-id": "none"}, expected{says: []string{"v1.22.8 "}}, fourReads+listOfThree)
		})
	}
	t.Run("as expected", func(t *testing.T) {
		checked(t, nil, map[string]string{"expect-version-id": strings.ToUpper(sandbox.LiveID)}, expected{says: []string{"v1.22.7 → v1.22.8"}}, fourReads)
	})
	t.Run("as expected, by name", func(t *testing.T) {
		checked(t, nil, map[string]string{"version-name": sandbox.NextName, "expect-version-id": sandbox.LiveID},
			expected{says: []string{"v1.22.7 → v1.22.8"}}, fourReads-1+listOfThree)
	})
	t.Run("as expected, unpublishing", func(t *testing.T) {
		api, server := newSandbox(t)
		res := scenario{inputs: map[string]string{"unpublish": "true", "expect-version-id": sandbox.LiveID}}.runInMemory(t, server)
		res.check(t, expected{status: "unpublished", attempts: 1})
		checkSent(t, api, `{"version_id":null}`)
	})
	// The plan of a dry run is applied by its outputs.
	t.Run("somebody publishes between the plan and its application", func(t *testing.T) {
		api, server := newSandbox(t)
		address := "http://" + startServer(t, server)
		plan := scenario{inputs: map[string]string{"api-url": address, "version-name": sandbox.NextName, "dry-run": "true"}}.run(t)
		plan.check(t, expected{status: "dry-run", attempts: -1})
		api.SetPublished(sandbox.FrontDesk, sandbox.OldestID)
		applied := scenario{inputs: map[string]string{
			"api-url": address, "version-id": plan.outputs["version-id"], "expect-version-id": plan.outputs["previous-version-id"],
			"inbound-phone-number-id": plan.outputs["inbound-phone-number-id"], "outbound-phone-number-id": plan.outputs["outbound-phone-number-id"],
		}}.run(t)
		applied.check(t, expected{code: "ACTION_UNEXPECTED_VERSION", attempts: -1, says: []string{"but v1.0.0 (1) is"}})
		if sent := sentBodies(api); len(sent) > 0 {
			t.Errorf("sent %q", sent)
		}
		api.SetPublished(sandbox.FrontDesk, sandbox.LiveID)
		applied = scenario{inputs: map[string]string{
			"api-url": address, "version-id": plan.outputs["version-id"], "expect-version-id": plan.outputs["previous-version-id"],
			"inbound-phone-number-id": plan.outputs["inbound-phone-number-id"], "outbound-phone-number-id": plan.outputs["outbound-phone-number-id"],
		}}.run(t)
		applied.check(t, expected{attempts: 1})
	})
}

func unreadableVersion(t *testing.T) {
	needs := map[string]map[string]string{
		"expect-version-id":  {"expect-version-id": sandbox.LiveID},
		"expecting none":     {"expect-version-id": "none"},
		"only-newer":         {"only-newer": "true"},
		"unpublish, expects": {"unpublish": "true", "expect-version-id": sandbox.LiveID},
	}
	for name, test := range failingPhoneReads { // the faults are as bad for a version
		for input, inputs := range needs {
			for read, path := range map[string]string{"": anyVersion, ", although the list can": publishedRead} {
				t.Run(input+" "+name+read, func(t *testing.T) {
					fault := test.fault
					fault.Method, fault.Path, fault.Times = http.MethodGet, path, -1
					api, _ := newSandbox(t, fault)
					checkRefused(t, api, inputs, test.code, nothingChanged)
				})
			}
		}
	}
	t.Run("the list cannot be read", func(t *testing.T) {
		for name, faults := range nothingLive {
			api, _ := newSandbox(t, sandbox.Fault{Method: http.MethodGet, Path: "/version?", Status: 503, Times: -1})
			takeOffline(api, faults)
			server := serverOf(api)
			res := scenario{inputs: map[string]string{"expect-version-id": "none"}}.runInMemory(t, server)
			res.check(t, expected{code: "HTTP_503", attempts: -1})
			if sent := sentBodies(api); len(sent) > 0 {
				t.Errorf("%s: sent %q", name, sent)
			}
		}
	})
	// A list that does not say of each version of this agent whether it is live does not show that none is.
	for name, item := range map[string]string{
		"the list does not say":              strings.Replace(versionJSON(sandbox.LiveID, true), `,"is_published":true`, "", 1),
		"the list says null":                 strings.Replace(versionJSON(sandbox.LiveID, true), `"is_published":true`, `"is_published":null`, 1),
		"the list is of another agent":       strings.Replace(versionJSON(sandbox.LiveID, false), sandbox.FrontDesk, sandbox.Support, 1),
		"the list is of another agent, live": strings.Replace(versionJSON(sandbox.LiveID, true), sandbox.FrontDesk, sandbox.Support, 1),
	} {
		for input, inputs := range map[string]map[string]string{"show-live": {"show-live": "true", "version-id": ""}, "expecting none": {"expect-version-id": "none"}} {
			t.Run(name+", "+input, func(t *testing.T) {
				page := sandbox.Fault{Method: http.MethodGet, Path: "/version?", Body: pageJSON(false, versionJSON(sandbox.NextID, false), item), Times: -1}
				api, server := newSandbox(t, page)
				takeOffline(api, nil)
				res := scenario{inputs: inputs}.check(t, server, expected{code: "ACTION_RESPONSE_INVALID", attempts: -1, says: []string{"he list of versions does not show whether one is live"}})
				if sent := sentBodies(api); len(sent) > 0 || strings.Contains(res.stdout+res.summary, "no version is live") {
					t.Errorf("sent %q, printed\n%s\n%s", sent, res.stdout, res.summary)
				}
			})
		}
	}
	// An API that fails has not said that nothing is live, even where the list of versions would.
	for _, status := range []int{408, 429, 500, 503} {
		for input, inputs := range map[string]map[string]string{"show-live": {"show-live": "true", "version-id": ""}, "expecting none": {"expect-version-id": "none"}} {
			t.Run(fmt.Sprint(status, ", ", input), func(t *testing.T) {
				api, server := newSandbox(t)
				takeOffline(api, []sandbox.Fault{{Status: status}})
				res := scenario{inputs: inputs}.check(t, server, expected{code: fmt.Sprint("HTTP_", status), attempts: -1, httpStatus: fmt.Sprint(status)})
				if sent := sentBodies(api); len(sent) > 0 || strings.Contains(res.stdout+res.summary, "no version is live") {
					t.Errorf("sent %q, printed\n%s\n%s", sent, res.stdout, res.summary)
				}
			})
		}
	}
	t.Run("and then it can", func(t *testing.T) {
		api, server := newSandbox(t, sandbox.Fault{Method: http.MethodGet, Path: publishedRead, Status: 503, Times: 4})
		res := scenario{inputs: map[string]string{"expect-version-id": sandbox.LiveID, "only-newer": "true"}}.runInMemory(t, server)
		res.check(t, expected{attempts: 1})
		checkState(t, api, sandbox.NextID, sandbox.Reception)
	})
}

// unnumbered is the API's JSON of a version without a number.
func unnumbered(id string) sandbox.Fault {
	return sandbox.Fault{Method: http.MethodGet, Path: "version_id=" + id, Times: -1,
		Body: `{"agent_id":"` + sandbox.FrontDesk + `","version_id":"` + id + `","version_name":"unnumbered","is_published":false}`}
}

func notNewer(t *testing.T) {
	onlyNewer := func(inputs ...string) map[string]string {
		all := map[string]string{"only-newer": "true"}
		for i := 0; i < len(inputs); i += 2 {
			all[inputs[i]] = inputs[i+1]
		}
		return all
	}
	older := expected{code: "ACTION_NOT_NEWER", says: []string{"v1.0.0 (1) is older than v1.22.7 (228), which is live", twoUntouched}}
	t.Run("older", func(t *testing.T) { checked(t, nil, onlyNewer("version-id", sandbox.OldestID), older, fourReads) })
	t.Run("older, by name", func(t *testing.T) {
		checked(t, nil, onlyNewer("version-name", "v1.0.0"), older, fourReads-1+listOfThree)
	})
	t.Run("newer", func(t *testing.T) {
		checked(t, nil, onlyNewer(), expected{says: []string{"v1.22.7 → v1.22.8"}}, fourReads)
	})
	t.Run("the live one", func(t *testing.T) {
		checked(t, nil, onlyNewer("version-id", sandbox.LiveID), expected{says: []string{"v1.22.7 "}}, fourReads)
	})
	for name, faults := range nothingLive {
		t.Run("none live, "+name, func(t *testing.T) {
			checked(t, func(api *sandbox.Sandbox) { takeOffline(api, faults) }, onlyNewer("version-id", sandbox.OldestID),
				expected{says: []string{"v1.0.0 "}}, fourReads+listOfThree)
		})
	}
	t.Run("without a number", func(t *testing.T) {
		checked(t, func(api *sandbox.Sandbox) { api.Inject(unnumbered(sandbox.NextID)) }, onlyNewer(),
			expected{code: "ACTION_RESPONSE_INVALID", says: []string{"a version number is missing", twoUntouched}}, fourReads)
	})
	t.Run("with a negative number", func(t *testing.T) {
		checked(t, func(api *sandbox.Sandbox) {
			fault := unnumbered(sandbox.NextID)
			fault.Body = strings.Replace(fault.Body, `"is_published"`, `"version_number":-1,"is_published"`, 1)
			api.Inject(fault)
		}, onlyNewer(), expected{code: "ACTION_RESPONSE_INVALID", says: []string{"a version number is missing", twoUntouched}}, fourReads)
	})
	t.Run("the live one without a number", func(t *testing.T) {
		checked(t, func(api *sandbox.Sandbox) {
			fault := unnumbered(sandbox.LiveID)
			fault.Path, fault.Body = publishedRead, strings.Replace(fault.Body, "false", "true", 1)
			api.Inject(unnumbered(sandbox.LiveID), fault)
		}, onlyNewer("version-id", sandbox.LiveID), expected{says: []string{"unnumbered "}}, fourReads)
	})
	t.Run("the version can be read late", func(t *testing.T) {
		checked(t, func(api *sandbox.Sandbox) {
			api.Inject(sandbox.Fault{Method: http.MethodGet, Path: "version_id=", Status: 503, Times: 4})
		}, onlyNewer(), expected{says: []string{"v1.22.7 → v1.22.8"}}, fourReads+4)
	})
	t.Run("the version cannot be read", func(t *testing.T) {
		checked(t, func(api *sandbox.Sandbox) {
			api.Inject(sandbox.Fault{Method: http.MethodGet, Path: "version_id=", Status: 503, Times: -1})
		}, onlyNewer(), expected{code: "HTTP_503", says: []string{twoUntouched}}, 0)
	})
	for name, inputs := range map[string]map[string]string{
		"id": onlyNewer("version-id", sandbox.NightID), "id of another agent in a dry run": onlyNewer("version-id", sandbox.SupportID),
	} {
		t.Run("no such "+name, func(t *testing.T) {
			checked(t, nil, inputs, expected{code: "ACTION_VERSION_NOT_FOUND", says: []string{nothingChanged}}, 0)
		})
	}
}

func olderVersion(t *testing.T) {
	const older = "v1.0.0 (1) is older than v1.22.7 (228), which is live. Set only-newer: true to refuse older versions."
	for _, test := range []struct {
		name   string
		inputs map[string]string
		faults []sandbox.Fault
		warns  []string
	}{
		{"older", map[string]string{"version-id": sandbox.OldestID}, nil, []string{older}},
		{"older, by name", map[string]string{"version-name": "v1.0.0"}, nil, []string{older}},
		{"older, and changes not shown", map[string]string{"version-id": sandbox.OldestID, "show-changes": "off"}, nil, []string{older}},
		{"older, as expected", map[string]string{"version-id": sandbox.OldestID, "expect-version-id": sandbox.LiveID}, nil, []string{older}},
		{"newer", map[string]string{}, nil, nil},
		{"the live one", map[string]string{"version-id": sandbox.LiveID}, nil, nil},
		{"without a number", map[string]string{}, []sandbox.Fault{unnumbered(sandbox.NextID)}, nil},
		{"with a negative number", map[string]string{}, []sandbox.Fault{{Method: http.MethodGet, Path: "version_id=" + sandbox.NextID, Times: -1,
			Body: strings.Replace(versionJSON(sandbox.NextID, false), `"version_number":`, `"version_number":-`, 1)}}, nil},
		{"what is live is not known", map[string]string{"version-id": sandbox.OldestID},
			[]sandbox.Fault{{Method: http.MethodGet, Path: publishedRead, Status: 500, Times: -1}}, nil},
	} {
		for _, dry := range []string{"false", "true"} {
			t.Run(test.name+", dry-run: "+dry, func(t *testing.T) {
				api, server := newSandbox(t, test.faults...)
				test.inputs["dry-run"] = dry
				res := scenario{inputs: test.inputs}.runInMemory(t, server)
				var warnings []string
				for _, a := range res.log.Annotations() {
					if a.Level == "warning" {
						warnings = append(warnings, a.Message)
					}
				}
				if !slices.Equal(warnings, test.warns) {
					t.Errorf("warns %q, want %q", warnings, test.warns)
				}
				if sent := sentBodies(api); res.exit != 0 || (len(sent) == 1) != (dry == "false") {
					t.Errorf("exit status %d, sent %q", res.exit, sent)
				}
				if strings.Index(res.stdout, "PATCH") > 0 && len(test.warns) > 0 && strings.Index(res.stdout, "::warning") > strings.Index(res.stdout, "PATCH") {
					t.Errorf("warns after the change:\n%s", res.stdout)
				}
			})
		}
	}
}

// Others may publish while the step waits for its next attempt.
func checkedBeforeEachRetry(t *testing.T) {
	busy := sandbox.Fault{Status: 429, Header: http.Header{"Retry-After": {"2"}}}
	lost := sandbox.Fault{Drop: sandbox.DropReply}
	applied := sandbox.Fault{Drop: sandbox.DropReply, Applied: true}
	const newer = "newer" // than all that were there before
	none, expectsLive, onlyNewer := "", map[string]string{"expect-version-id": sandbox.LiveID}, map[string]string{"only-newer": "true"}
	for name, test := range map[string]struct {
		inputs  map[string]string
		first   sandbox.Fault // the first attempt
		becomes *string       // live after the first attempt; nil: as the attempt leaves it
		changes int           // that are sent
		want    expected
	}{
		"another version than expected": {expectsLive, busy, new(sandbox.OldestID), 1, expected{
			code: "ACTION_UNEXPECTED_VERSION", httpStatus: "429", says: []string{"Expected version " + sandbox.LiveID + " to be live, but v1.0.0 (1) is", "Nothing was changed: v1.0.0 is live"}}},
		"no version, though one is expected": {expectsLive, busy, &none, 1, expected{
			code: "ACTION_UNEXPECTED_VERSION", says: []string{"to be live, but none is", "Nothing was changed: no version is live"}}},
		"a newer one, by only-newer": {onlyNewer, busy, new(newer), 1, expected{
			code: "ACTION_NOT_NEWER", httpStatus: "429", says: []string{"v1.22.8 (229) is older than v3 (231), which is live", "Nothing was changed: v3 is live"}}},
		"another one after a lost request": {expectsLive, lost, new(sandbox.OldestID), 1, expected{
			code: "ACTION_UNEXPECTED_VERSION", status: "unknown", says: []string{"v1.0.0 is live, but it was neither live before nor requested"}}},
		"an older one, by only-newer":            {onlyNewer, busy, new(sandbox.OldestID), 2, expected{}},
		"as expected":                            {expectsLive, busy, nil, 2, expected{}},
		"our own attempt, expected":              {expectsLive, applied, nil, 2, expected{}},
		"our own attempt, by only-newer":         {onlyNewer, applied, nil, 2, expected{}},
		"nothing is asked to be as it was":       {nil, busy, new(sandbox.OldestID), 2, expected{}},
		"a newer one, and nothing asked of that": {nil, busy, new(newer), 2, expected{}},
	} {
		t.Run(name, func(t *testing.T) {
			api, server := newSandbox(t, test.first)
			patches := 0
			server.Handler = withHookAfterChange(api, func() {
				if patches++; patches > 1 || test.becomes == nil {
					return
				}
				version := *test.becomes
				if version == newer {
					version = api.AddVersion(sandbox.FrontDesk, sandbox.Version{Name: "v3", Draft: false})
				}
				api.SetPublished(sandbox.FrontDesk, version)
			}).Handler
			test.want.attempts = test.changes
			scenario{inputs: test.inputs}.check(t, server, test.want)
			if patches != test.changes {
				t.Errorf("%d changes were sent, want %d", patches, test.changes)
			}
		})
	}
	t.Run("and what is live cannot be read", func(t *testing.T) {
		api, server := newSandbox(t, busy)
		server.Handler = withHookAfterChange(api, func() {
			api.Inject(sandbox.Fault{Method: http.MethodGet, Path: anyVersion, Status: 403, Body: `{"error_code":"FORBIDDEN","message":"No."}`, Times: -1})
		}).Handler
		scenario{inputs: expectsLive}.check(t, server, expected{
			code: "FORBIDDEN", attempts: 1, httpStatus: "429", says: []string{"Could not check again what is live: the API returned 403 Forbidden: No", "Nothing was changed: " + stillLive},
		})
		if sent := sentBodies(api); len(sent) != 1 {
			t.Errorf("sent %q", sent)
		}
	})
}
