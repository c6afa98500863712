package publish_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"testing"
	"time"

	"publish-agent-version/internal/runner"
	"publish-agent-version/internal/sandbox"
)

// TestSimulationRules gives the rules accounts of made-up runs: a good one that breaks none, and for each rule some that
// break it and no other. A judge that cannot condemn is no judge.
func TestSimulationRules(t *testing.T) {
	const v1, v2, v3 = "b1000000-0000-4000-8000-000000000001", "b1000000-0000-4000-8000-000000000002",
		"b1000000-0000-4000-8000-000000000003"
	ours, theirs := simulatedPhone(1), simulatedPhone(2)
	const in, out = sandbox.Inbound, sandbox.Outbound
	type edit = func(w *world)
	publish := func(id string) edit { return func(w *world) { w.SetPublished(agent, id) } }
	bind := func(phone string, d sandbox.Direction, owner string) edit {
		return func(w *world) { w.Bind(phone, d, owner) }
	}
	asksFor := func(a *day, d sandbox.Direction, phones ...string) { a.asks[d], a.phones[d] = true, phones }
	said := func(pairs ...string) func(a *day) {
		return func(a *day) {
			for i := 0; i < len(pairs); i += 2 {
				a.res.outputs[pairs[i]] = pairs[i+1]
			}
		}
	}
	warned := func(a *day, title, text string) {
		a.res.log = runner.ReadLog("::warning title=" + title + "::" + text + "\n")
	}
	accounts := map[string]map[string]func(a *day){
		"": {
			"a good run": func(*day) {},
			"one of two, with a warning": func(a *day) {
				a.loses(ours, theirs)
				warned(a, "Phone number released",
					"No longer: +34 910 000 001")
			},
			"taken from another agent, as asked": func(a *day) {
				asksFor(a, out, theirs)
				a.takeOver = true
				a.then(2, bind(theirs, out, agent))
				said("outbound-phone-number-id", theirs)(a)
			},
			"as expected":            func(a *day) { a.expects, a.expect = true, v1 },
			"still, after a reading": func(a *day) { a.res.summary = "v1 is still live" },
			"expected until shortly before": func(a *day) {
				a.expects, a.expect = true, v1
				a.meanwhile(9*time.Second, publish(v3))
			},
		},
		"published means published": {
			"it never was": func(a *day) {
				a.fails("published")
				a.res.exit = 0
				said("published-version-id",
					v2)(a)
			},
			"the output says another":        said("published-version-id", v1),
			"the output says another number": said("inbound-phone-number-id", theirs),
			"nothing was sent":               func(a *day) { a.exchanges = nil; a.res.outputs["attempts"] = "0" },
			"a number that was asked for is not bound": func(a *day) {
				asksFor(a, out, theirs)
				said("outbound-phone-number-id", theirs)(a)
			},
			"confirmed, and it says unknown": func(a *day) {
				said("status",
					"unknown")(a)
				a.res.exit = 1
				a.exchanges[3].status = 500
			},
		},
		"failed means that nothing was applied, or will be": {
			"it was": func(a *day) { said("status", "failed")(a); a.res.exit = 1; a.reply(500, appliedOrNot) },
			"it will": func(a *day) {
				said("status", "failed")(a)
				a.res.exit = 1
				a.reply(503, mayApplyLater)
				a.changes[1].Time = a.end.Add(time.Second)
			},
		},
		"nothing else is changed": {
			"another agent's number": func(a *day) { a.then(2, bind(theirs, out, "")) },
			"taken from another agent": func(a *day) {
				asksFor(a, out, theirs)
				a.then(2, bind(theirs, out, agent))
				said("outbound-phone-number-id", theirs)(a)
			},
			"a number that nobody asked for": func(a *day) { a.then(2, bind(simulatedPhone(3), in, agent)) },
			"released, with a warning": func(a *day) {
				a.then(2, bind(ours, in, ""))
				warned(a, "Phone number released",
					"+34 910 000 001")
			},
			"released, and the API only failed": func(a *day) {
				a.is.ReleaseOmitted, a.exchanges[0].status = true, 500
				a.then(2, bind(ours, in, ""))
				warned(a, "Phone numbers not protected", "none")
			},
		},
		"a number that is lost is named": {
			"one of two": func(a *day) { a.loses(ours, theirs) },
		},
		"unknown has a reason": {
			"the API failed, and nothing came of it": func(a *day) { a.fails("unknown"); a.reply(500, appliedOrNot) },
		},
		"in time": {
			"late": func(a *day) { a.end = a.start.Add(a.timeout + 7*time.Second) },
		},
		"the exit status fits": {
			"published with 1":     func(a *day) { a.res.exit = 1 },
			"failed with 0":        func(a *day) { a.fails("failed"); a.reply(403, neverApplied); a.res.exit = 0 },
			"130 without a signal": func(a *day) { a.fails("unknown"); a.reply(503, mayApplyLater); a.res.exit = 130 },
		},
		"nothing is sent that must not be": {
			"a dry run":      func(a *day) { a.dryRun = true },
			"invalid inputs": func(a *day) { a.invalid = true },
			"an unknown key": func(a *day) {
				a.exchanges[0].status, a.exchanges[0].end = 401, a.start
				a.exchanges[2].at = a.start.Add(1)
			},
		},
		"no guard is passed that refuses": {
			"not as expected":     func(a *day) { a.expects, a.expect = true, v2 },
			"older than the live": func(a *day) { a.onlyNewer = true; a.meanwhile(12*time.Second, publish(v3)) },
			"expected long ago":   func(a *day) { a.expects, a.expect = true, v1; a.meanwhile(12*time.Second, publish(v3)) },
		},
		"refused for a reason": {
			"as unexpected":  said("error-code", "ACTION_UNEXPECTED_VERSION"),
			"as older":       said("error-code", "ACTION_NOT_NEWER"),
			"as not found":   said("error-code", "ACTION_VERSION_NOT_FOUND"),
			"no such number": said("error-code", "ACTION_PHONE_NOT_FOUND"),
			"as in use":      said("error-code", "ACTION_PHONE_IN_USE"),
		},
		"launched once": {
			"unasked":              func(a *day) { a.launches(1); a.launch = false },
			"twice":                func(a *day) { a.launches(2) },
			"once, and it says no": func(a *day) { a.launches(1); said("launched", "false")(a) },
		},
		"still is said only of what was read afterwards": {
			"the reading says no": func(a *day) { a.res.summary = "v1 is still on v1"; a.exchanges[3].status = 500 },
		},
		"live means live": {
			"another": func(a *day) { a.shows("live", v2) },
		},
		"one change at a time": {
			"more than it admits": said("attempts", "0"),
			"another agent's":     func(a *day) { a.exchanges[2].uri = "/v1/agent/" + simulatedAgent(2) + "/published_version" },
			"two in flight":       func(a *day) { a.again(a.start, a.exchanges[2].body) },
			"for something else":  func(a *day) { a.again(a.end, `{"version_id":"`+v2+`","inbound_phone_number_id":null}`) },
		},
		"previous means previous": {
			"a version that never was": said("previous-version-id", v3),
			"a number that never was":  said("previous-inbound-phone-number-id", theirs),
		},
	}
	for _, r := range rules {
		if accounts[r.name] == nil {
			t.Errorf("nothing breaks the rule %q", r.name)
		}
	}
	for rule, accounts := range accounts {
		for name, tell := range accounts {
			t.Run(rule+"/"+name, func(t *testing.T) {
				a := goodDay()
				tell(a)
				got := a.brokenRules()
				if broken := slices.Collect(maps.Keys(got)); rule == "" && len(got) > 0 || rule != "" &&
					!slices.Equal(broken, []string{rule}) {
					t.Errorf("breaks %q, want %q", got, rule)
				}
			})
		}
	}
}

// goodDay is the account of a run that published version 2 of the agent within a second: reads of the numbers
// and of what is live, the change, and another read.
func goodDay() *day {
	w := &world{Sandbox: sandbox.NewEmpty()}
	for n := 1; n <= 3; n++ {
		w.AddAgent(simulatedAgent(n), fmt.Sprint("Agent ", n))
		for v := 1; v <= 3; v++ {
			w.AddVersion(simulatedAgent(n), sandbox.Version{Name: fmt.Sprint("v", v)})
		}
		w.SetPhone(sandbox.Phone{Number: fmt.Sprintf("+3491000000%d", n)})
	}
	w.SetPublished(agent, w.State().Versions(agent)[0].ID)
	w.Bind(simulatedPhone(1), sandbox.Inbound, agent)
	w.Bind(simulatedPhone(2), sandbox.Outbound, simulatedAgent(2))
	w.first, w.start = w.State(), time.Now()
	v1, v2 := w.first.Versions(agent)[0].ID, w.first.Versions(agent)[1].ID
	a := &day{world: w, stepRequest: stepRequest{version: v2, timeout: time.Minute}, end: w.start.Add(time.Second)}
	read := `{"data":[{"version_id":%q,"is_published":true}],"has_more":false}`
	a.insert(0, http.MethodGet, "/v1/phone/", "", w.start)
	a.insert(1, http.MethodGet, "/v1/agent/"+agent+"/version?is_published=true", "", w.start)
	a.insert(2, http.MethodPatch, "/v1/agent/"+agent+"/published_version", `{"version_id":"`+v2+`"}`, w.start.Add(2))
	a.insert(3, http.MethodGet, a.exchanges[1].uri, "", a.end)
	fmt.Fprintf(&a.exchanges[1].reply, read, v1)
	fmt.Fprintf(&a.exchanges[3].reply, read, v2)
	a.changes = []sandbox.Change{{Time: w.start, Request: -1, State: w.first}}
	a.then(2, func(w *world) { w.SetPublished(agent, v2) })
	a.res = result{log: runner.ReadLog(""), outputs: map[string]string{
		"status": "published", "published-version-id": v2, "previous-version-id": v1, "attempts": "1", "version-id": v2,
	}}
	return a
}

// then changes the state right after the last change, by a request or, with -1, by another writer.
func (a *day) then(request int, edit func(w *world)) {
	edit(a.world)
	a.changes = append(a.changes, sandbox.Change{Time: a.start.Add(2 + time.Duration(len(a.changes))), Request: request,
		State: a.State()})
}

// meanwhile has the change come half a minute after the start, and another writer some time before it.
func (a *day) meanwhile(before time.Duration, edit func(w *world)) {
	late := 30 * time.Second
	a.exchanges[2].at, a.exchanges[2].end, a.end = a.start.Add(late), a.start.Add(late), a.start.Add(late)
	a.exchanges[3].at = a.end
	a.SetPublished(agent, live(a.first, agent))
	edit(a.world)
	other := sandbox.Change{Time: a.start.Add(late - before), Request: -1, State: a.State()}
	a.SetPublished(agent, a.version)
	a.changes = []sandbox.Change{a.changes[0], other, {Time: a.start.Add(late), Request: 2, State: a.State()}}
}

// loses has two numbers bound, of which the change releases one.
func (a *day) loses(lost, kept string) {
	a.SetPublished(agent, live(a.first, agent))
	a.Bind(kept, sandbox.Inbound, agent)
	a.first = a.State()
	a.changes = []sandbox.Change{{Time: a.start, Request: -1, State: a.first}}
	a.then(2, func(w *world) { w.SetPublished(agent, a.version); w.Bind(lost, sandbox.Inbound, "") })
}

// fails gives the run another end: nothing was applied.
func (a *day) fails(status string) {
	a.changes, a.res.exit, a.res.outputs["status"] = a.changes[:1], 1, status
	delete(a.res.outputs, "published-version-id")
}

// reply gives the change another reply.
func (a *day) reply(status int, class replyMeaning) {
	a.exchanges[2].status, a.exchanges[2].class = status, class
}

// insert adds an exchange to the record.
func (a *day) insert(i int, method, uri, body string, at time.Time) {
	x := &exchange{method: method, uri: uri, body: body, at: at, end: at, status: 200, answered: true}
	a.exchanges, a.requests = slices.Insert(a.exchanges, i, x), slices.Insert(a.requests, i,
		sandbox.Request{Method: method})
}

// again sends the change a second time.
func (a *day) again(at time.Time, body string) {
	a.insert(3, http.MethodPatch, a.exchanges[2].uri, body, at)
	a.res.outputs["attempts"] = "2"
}

// launches has the version launched first, some times.
func (a *day) launches(times int) {
	a.launch, a.name, a.version = true, "v9", ""
	a.changes = a.changes[:1]
	var id string
	for range times {
		a.insert(2, http.MethodPost, "/v1/agent/"+agent+"/version", "", a.start.Add(1))
		a.then(2, func(w *world) { id = w.AddVersion(agent, sandbox.Version{Name: "v9"}) })
	}
	a.exchanges[2+times].body = `{"version_id":"` + id + `"}`
	a.then(2+times, func(w *world) { w.SetPublished(agent, id) })
	a.res.outputs["published-version-id"], a.res.outputs["version-id"], a.res.outputs["launched"] = id, id, "true"
}

// shows makes the run one of show-live.
func (a *day) shows(status, id string) {
	a.showLive, a.exchanges, a.changes = true, a.exchanges[:2], a.changes[:1]
	a.res.outputs = map[string]string{"status": status, "published-version-id": id}
}
