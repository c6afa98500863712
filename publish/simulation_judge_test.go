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

// TestSimulationRules gives the rules accounts of made-up runs: good ones that break none, and for each rule some that
// break it and no other. A judge that cannot condemn is no judge.
func TestSimulationRules(t *testing.T) {
	const v1, v2, v3 = "b1000000-0000-4000-8000-000000000001", "b1000000-0000-4000-8000-000000000002",
		"b1000000-0000-4000-8000-000000000003"
	ours, theirs, free := simulatedPhone(1), simulatedPhone(2), simulatedPhone(3)
	const in, out = sandbox.Inbound, sandbox.Outbound
	publishes := func(w *world) { w.SetPublished(agent, v3) }
	says := func(output, value string) func(a *day) { return func(a *day) { a.res.outputs[output] = value } }
	binds := func(phone string, d sandbox.Direction, owner string) func(a *day) {
		return func(a *day) { a.then(2, func(w *world) { w.Bind(phone, d, owner) }) }
	}
	asks := func(a *day) {
		a.asks[out], a.phones[out], a.res.outputs["outbound-phone-number-id"] = true, []string{theirs}, theirs
	}
	expects := func(id string) func(a *day) { return func(a *day) { a.expects, a.expect = true, id } }
	warns := func(title, text string) func(a *day) {
		return func(a *day) { a.res.log = runner.ReadLog("::warning title=" + title + "::" + text + "\n") }
	}
	for _, account := range []struct {
		rule, name string
		tell       []tell
	}{
		{"", "a good run", nil},
		{"", "one of two is lost, with a warning",
			[]tell{loses, warns("Phone number unbound", "No longer: +34 910 000 001")}},
		{"", "taken, as asked", []tell{asks, binds(theirs, out, agent), func(a *day) { a.takeOver = true }}},
		{"", "as expected", []tell{expects(v1)}},
		{"", "expected until shortly before",
			[]tell{expects(v1), func(a *day) { a.meanwhile(9*time.Second, publishes) }}},
		{"", "still, after a reading", []tell{func(a *day) { a.res.summary = "A is still on v1" }}},

		{"published means published", "it never was", []tell{fails("published", 0), says("published-version-id", v2)}},
		{"published means published", "another version", []tell{says("published-version-id", v1)}},
		{"published means published", "another number", []tell{says("inbound-phone-number-id", theirs)}},
		{"published means published", "a number is not bound", []tell{asks}},
		{"published means published", "confirmed, and unknown", []tell{says("status", "unknown"),
			func(a *day) { a.res.exit, a.exchanges[3].status = 1, 500 }}},
		{"failed means that nothing was applied, or will be", "it was", []tell{says("status", "failed"),
			func(a *day) { a.res.exit = 1 }, replies(500, appliedOrNot)}},
		{"failed means that nothing was applied, or will be", "it will", []tell{says("status", "failed"),
			func(a *day) { a.res.exit, a.changes[1].Time = 1, a.end.Add(time.Second) }, replies(503, mayApplyLater)}},
		{"nothing else is changed", "another agent's number", []tell{binds(theirs, out, "")}},
		{"nothing else is changed", "taken", []tell{asks, binds(theirs, out, agent)}},
		{"nothing else is changed", "a free number", []tell{binds(free, in, agent)}},
		{"nothing else is changed", "released, with a warning",
			[]tell{binds(ours, in, ""), warns("Phone number unbound", "+34 910 000 001")}},
		{"nothing else is changed", "released, as the read failed", []tell{binds(ours, in, ""),
			warns("Phone numbers not protected", "x"),
			func(a *day) { a.is.ReleaseOmitted, a.exchanges[0].status = true, 500 }}},
		{"a number that is lost is named", "one of two", []tell{loses}},
		{"unknown has a reason", "a 500, and not applied", []tell{fails("unknown", 1), replies(500, appliedOrNot)}},
		{"in time", "late", []tell{func(a *day) { a.end = a.start.Add(a.timeout + 7*time.Second) }}},
		{"the exit status fits", "published with 1", []tell{func(a *day) { a.res.exit = 1 }}},
		{"the exit status fits", "130 without a signal", []tell{fails("unknown", 130), replies(503, mayApplyLater)}},
		{"nothing is sent that must not be", "a dry run", []tell{func(a *day) { a.dryRun = true }}},
		{"nothing is sent that must not be", "invalid inputs", []tell{func(a *day) { a.invalid = true }}},
		{"nothing is sent that must not be", "an unknown key", []tell{func(a *day) { a.exchanges[0].status = 401 }}},
		{"no guard is passed that refuses", "not as expected", []tell{expects(v2)}},
		{"no guard is passed that refuses", "long ago",
			[]tell{expects(v1), func(a *day) { a.meanwhile(12*time.Second, publishes) }}},
		{"no guard is passed that refuses", "older",
			[]tell{func(a *day) { a.onlyNewer = true; a.meanwhile(12*time.Second, publishes) }}},
		{"refused for a reason", "as unexpected", []tell{says("error-code", "ACTION_UNEXPECTED_VERSION")}},
		{"refused for a reason", "as not found", []tell{says("error-code", "ACTION_VERSION_NOT_FOUND")}},
		{"refused for a reason", "no such number", []tell{says("error-code", "ACTION_PHONE_NOT_FOUND")}},
		{"refused for a reason", "as in use", []tell{says("error-code", "ACTION_PHONE_IN_USE")}},
		{"launched once", "unasked", []tell{launches(1), func(a *day) { a.launch = false }}},
		{"launched once", "twice", []tell{launches(2)}},
		{"launched once", "once, and it says no", []tell{launches(1), says("launched", "false")}},
		{"still is said only of what was read afterwards", "unread", []tell{
			func(a *day) { a.res.summary, a.exchanges[3].status = "A is still on v1", 500 }}},
		{"live means live", "another", []tell{func(a *day) {
			a.showLive, a.exchanges, a.changes = true, a.exchanges[:2],
				a.changes[:1]
		},
			says("status", "live")}},
		{"one change at a time", "more than it admits", []tell{says("attempts", "0")}},
		{"one change at a time", "another agent's", []tell{func(a *day) { a.exchanges[2].uri = simulatedAgent(2) }}},
		{"one change at a time", "two in flight", []tell{says("attempts", "2"),
			func(a *day) { a.insert(2, http.MethodPatch, a.exchanges[2].uri, a.exchanges[2].body, a.end) }}},
		{"previous means previous", "a version that never was", []tell{says("previous-version-id", v3)}},
		{"previous means previous", "a number that never was",
			[]tell{says("previous-inbound-phone-number-id", theirs)}},
	} {
		t.Run(account.rule+"/"+account.name, func(t *testing.T) {
			a := goodDay()
			for _, change := range account.tell {
				change(a)
			}
			broken := slices.Collect(maps.Keys(a.brokenRules()))
			if account.rule == "" && len(broken) > 0 || account.rule != "" && !slices.Equal(broken,
				[]string{account.rule}) {
				t.Errorf("breaks %q, want %q", a.brokenRules(), account.rule)
			}
		})
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

// tell changes the account of a run.
type tell = func(a *day)

// loses has two numbers bound, of which the change releases one.
func loses(a *day) {
	lost, kept := simulatedPhone(1), simulatedPhone(2)
	a.SetPublished(agent, live(a.first, agent))
	a.Bind(kept, sandbox.Inbound, agent)
	a.first = a.State()
	a.changes = []sandbox.Change{{Time: a.start, Request: -1, State: a.first}}
	a.then(2, func(w *world) { w.SetPublished(agent, a.version); w.Bind(lost, sandbox.Inbound, "") })
}

// fails gives the run another end: nothing was applied.
func fails(status string, exit int) func(a *day) {
	return func(a *day) {
		a.changes, a.res.exit, a.res.outputs["status"] = a.changes[:1], exit, status
		delete(a.res.outputs, "published-version-id")
	}
}

// replies gives the change another reply.
func replies(status int, class replyMeaning) func(a *day) {
	return func(a *day) { a.exchanges[2].status, a.exchanges[2].class = status, class }
}

// insert adds an exchange to the record.
func (a *day) insert(i int, method, uri, body string, at time.Time) {
	x := &exchange{method: method, uri: uri, body: body, at: at, end: at, status: 200, answered: true}
	a.exchanges, a.requests = slices.Insert(a.exchanges, i, x), slices.Insert(a.requests, i,
		sandbox.Request{Method: method})
}

// launches has the version launched first, some times.
func launches(times int) func(a *day) {
	return func(a *day) {
		var id string
		a.launch, a.name, a.version, a.changes = true, "v9", "", a.changes[:1]
		for range times {
			a.insert(2, http.MethodPost, "/v1/agent/"+agent+"/version", "", a.start.Add(1))
			a.then(2, func(w *world) { id = w.AddVersion(agent, sandbox.Version{Name: "v9"}) })
		}
		a.exchanges[2+times].body = `{"version_id":"` + id + `"}`
		a.then(2+times, func(w *world) { w.SetPublished(agent, id) })
		a.res.outputs["published-version-id"], a.res.outputs["version-id"], a.res.outputs["launched"] = id, id, "true"
	}
}
