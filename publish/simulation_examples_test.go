package publish_test

import (
	"maps"
	"slices"
	"syscall"
	"testing"
	"time"

	"publish-agent-version/internal/runner"
)

// TestSimulationRules gives the rules accounts of made-up runs: a good one that breaks none, and for each rule one that
// breaks it and no other. A judge that cannot condemn is no judge.
func TestSimulationRules(t *testing.T) {
	asked, live, ours, theirs := simulatedVersionID(1, 2), simulatedVersionID(1, 1), simulatedNumberID(1), simulatedNumberID(2)
	second := time.Second
	tests := []struct {
		name  string
		do    func(a *simulatedRun)
		rules []string // that are broken
	}{
		{"a good run", func(*simulatedRun) {}, nil},
		{"published, and it never was", func(a *simulatedRun) { a.addOtherWrite(0, nil) }, []string{"published means published"}},
		{"published, and the output says another", func(a *simulatedRun) { a.res.outputs["published-version-id"] = live }, []string{"published means published"}},
		{"published, and nothing was sent", func(a *simulatedRun) { a.api.exchanges = nil; a.addOtherWrite(0, nil) }, []string{"published means published"}},
		{"published for a while, then by another writer", func(a *simulatedRun) {
			a.addOtherWrite(2*second, func(s apiState) { s.live[a.agent] = simulatedVersionID(1, 3) })
		}, nil},
		{"published, and a number that was asked for is not bound", func(a *simulatedRun) {
			a.asks[outboundCalls], a.numbers[outboundCalls] = true, []string{theirs}
			a.res.outputs["outbound-phone-number-id"] = theirs
		}, []string{"published means published"}},

		{"failed, and it is in force", func(a *simulatedRun) {
			a.setStatus("failed", 1)
			a.setReply(simulatedError(500, "E", "m"), appliedOrNot)
		},
			[]string{"failed means not in force, now or later"}},
		{"failed, and it comes later", func(a *simulatedRun) {
			a.setStatus("failed", 1)
			a.setReply(simulatedReply{status: 503}, mayApplyLater)
			a.api.history[1].at = a.end.Add(second)
		}, []string{"failed means not in force, now or later"}},
		{"failed, and it was in force before", func(a *simulatedRun) {
			a.setStatus("failed", 1)
			a.setReply(simulatedError(500, "E", "m"), appliedOrNot)
			a.api.history[0].after.live[a.agent] = asked
			a.addOtherWrite(0, nil)
			a.res.outputs["previous-version-id"] = asked
		}, []string{"failed means not in force, now or later"}},
		{"refused, and it was in force before", func(a *simulatedRun) {
			a.setStatus("failed", 1)
			a.setReply(simulatedError(403, "E", "m"), neverApplied)
			a.api.history[0].after.live[a.agent] = asked
			a.addOtherWrite(0, nil)
			a.res.outputs["previous-version-id"] = asked
		}, nil},
		{"failed, and it is not in force", func(a *simulatedRun) {
			a.setStatus("failed", 1)
			a.setReply(simulatedError(500, "E", "m"), appliedOrNot)
			a.addOtherWrite(0, nil)
		}, nil},

		{"another agent's version", func(a *simulatedRun) { a.addOwnWrite(func(s apiState) { s.live[simulatedAgentID(2)] = asked }) }, []string{"nothing else is changed"}},
		{"another agent's number", func(a *simulatedRun) { a.addOwnWrite(func(s apiState) { s.bind(theirs, outboundCalls, "") }) }, []string{"nothing else is changed"}},
		{"a number that nothing asked about", func(a *simulatedRun) { a.addOwnWrite(func(s apiState) { s.bind(ours, inboundCalls, "") }) }, []string{"nothing else is changed"}},
		{"the same, when the numbers cannot be read and the API drops what is left out", func(a *simulatedRun) {
			a.addOwnWrite(func(s apiState) { s.bind(ours, inboundCalls, "") })
			a.api.behavior.dropsLeftOut, a.api.behavior.numberReads = true, "absent"
		}, nil},
		{"the same, when the API keeps what is left out", func(a *simulatedRun) {
			a.addOwnWrite(func(s apiState) { s.bind(ours, inboundCalls, "") })
			a.api.behavior.numberReads = "absent"
		}, []string{"nothing else is changed"}},
		{"taken from another agent", func(a *simulatedRun) {
			a.asks[outboundCalls], a.numbers[outboundCalls] = true, []string{theirs}
			a.res.outputs["outbound-phone-number-id"] = theirs
			a.addOwnWrite(func(s apiState) { s.bind(theirs, outboundCalls, a.agent) })
		}, []string{"nothing else is changed"}},
		{"taken from another agent, as asked", func(a *simulatedRun) {
			a.takeOver, a.asks[outboundCalls], a.numbers[outboundCalls] = true, true, []string{theirs}
			a.res.outputs["outbound-phone-number-id"] = theirs
			a.addOwnWrite(func(s apiState) { s.bind(theirs, outboundCalls, a.agent) })
		}, nil},

		{"one of two numbers, without a word", func(a *simulatedRun) {
			a.api.history[0].after.bind(theirs, inboundCalls, a.agent)
			a.addOtherWrite(0, nil)
			a.addOwnWrite(func(s apiState) { s.live[a.agent] = asked; s.bind(ours, inboundCalls, "") })
		}, []string{"a number that is lost is named"}},
		{"one of two numbers, with a warning", func(a *simulatedRun) {
			a.api.history[0].after.bind(theirs, inboundCalls, a.agent)
			a.addOtherWrite(0, nil)
			a.addOwnWrite(func(s apiState) { s.live[a.agent] = asked; s.bind(ours, inboundCalls, "") })
			a.res.log = runner.ReadLog("::warning title=Lost::+34910000001 is lost\n")
		}, nil},
		{"one of two numbers, and no connection to read them with, without a word", func(a *simulatedRun) { a.losesNumberUnnoticed() }, []string{"a number that is lost is named"}},
		{"one of two numbers, and no connection to read them with", func(a *simulatedRun) {
			a.losesNumberUnnoticed()
			a.res.stdout = "The inbound numbers could not be read after the change"
		}, nil},

		{"unknown without a reason", func(a *simulatedRun) {
			a.setStatus("unknown", 1)
			a.setReply(simulatedError(500, "E", "m"), appliedOrNot)
		}, []string{"unknown has a reason"}},
		{"unknown behind a gateway", func(a *simulatedRun) {
			a.setStatus("unknown", 1)
			a.setReply(simulatedReply{status: 503}, mayApplyLater)
		}, nil},
		{"unknown after a read that failed", func(a *simulatedRun) {
			a.setStatus("unknown", 1)
			a.setReply(simulatedError(500, "E", "m"), appliedOrNot)
			a.api.exchanges[2].outcome.fault = "reset"
		}, nil},

		{"late", func(a *simulatedRun) { a.end = a.start.Add(a.timeout + 7*second) }, []string{"in time"}},
		{"late after a signal", func(a *simulatedRun) { a.signal, a.signalled = syscall.SIGINT, a.end.Add(-2*second) }, []string{"in time"}},

		{"failed with 0", func(a *simulatedRun) {
			a.setStatus("failed", 0)
			a.setReply(simulatedError(400, "E", "m"), neverApplied)
			a.addOtherWrite(0, nil)
		}, []string{"the exit status fits"}},
		{"published with 1", func(a *simulatedRun) { a.res.exit = 1 }, []string{"the exit status fits"}},
		{"130 without a signal", func(a *simulatedRun) {
			a.setStatus("unknown", 130)
			a.setReply(simulatedReply{status: 503}, mayApplyLater)
		}, []string{"the exit status fits"}},
		{"130 after SIGTERM", func(a *simulatedRun) {
			a.setStatus("unknown", 130)
			a.setReply(simulatedReply{status: 503}, mayApplyLater)
			a.signal, a.signalled = syscall.SIGTERM, a.end
		}, []string{"the exit status fits"}},

		{"a change in a dry run", func(a *simulatedRun) { a.dryRun = true }, []string{"nothing is sent that must not be"}},
		{"invalid inputs", func(a *simulatedRun) { a.invalid = true }, []string{"nothing is sent that must not be"}},

		{"a change when only asked what is live", func(a *simulatedRun) { a.showLive = true }, []string{"nothing is sent that must not be"}},
		{"what is live, unasked", func(a *simulatedRun) { a.showsLive("live", live); a.showLive = false }, []string{"nothing is sent that must not be"}},
		{"what is live", func(a *simulatedRun) { a.showsLive("live", live) }, nil},
		{"another version as live", func(a *simulatedRun) { a.showsLive("live", asked) }, []string{"live means live"}},
		{"offline, and it is not", func(a *simulatedRun) { a.showsLive("offline", "") }, []string{"live means live"}},
		{"live, and offline by its id", func(a *simulatedRun) { a.showsLive("live", "") }, []string{"live means live"}},

		{"as expected", func(a *simulatedRun) { a.saw(live); a.expects, a.expect = true, live }, nil},
		{"not as expected", func(a *simulatedRun) { a.saw(live); a.expects, a.expect = true, asked }, []string{"sent only if what it expects was live"}},
		{"none expected, and one live", func(a *simulatedRun) { a.saw(live); a.expects = true }, []string{"sent only if what it expects was live"}},
		{"expected, and never read", func(a *simulatedRun) { a.expects, a.expect = true, live }, []string{"sent only if what it expects was live"}},
		{"expected, and read in vain", func(a *simulatedRun) {
			a.saw(live)
			a.expects, a.expect = true, live
			a.api.exchanges[0].answered = false
		}, []string{"sent only if what it expects was live"}},
		{"newer", func(a *simulatedRun) { a.saw(live); a.onlyNewer = true }, nil},
		{"older", func(a *simulatedRun) { a.saw(simulatedVersionID(1, 3)); a.onlyNewer = true }, []string{"sent only if newer"}},
		{"newer than what was never read", func(a *simulatedRun) { a.onlyNewer = true }, []string{"sent only if newer"}},
		{"refused as unexpected, and it is not", func(a *simulatedRun) { a.refuses("ACTION_UNEXPECTED_VERSION", live); a.expects, a.expect = true, live },
			[]string{"refused for a reason"}},
		{"refused as unexpected, and nothing was expected", func(a *simulatedRun) { a.refuses("ACTION_UNEXPECTED_VERSION", live) }, []string{"refused for a reason"}},
		{"refused as unexpected", func(a *simulatedRun) { a.refuses("ACTION_UNEXPECTED_VERSION", live); a.expects, a.expect = true, asked }, nil},
		{"refused as older, and it is not", func(a *simulatedRun) { a.refuses("ACTION_NOT_NEWER", live); a.onlyNewer = true }, []string{"refused for a reason"}},
		{"refused as older", func(a *simulatedRun) { a.refuses("ACTION_NOT_NEWER", simulatedVersionID(1, 3)); a.onlyNewer = true }, nil},

		{"two changes in flight", func(a *simulatedRun) {
			a.api.exchanges = slices.Insert(a.api.exchanges, 2, &exchange{method: "PATCH", agent: a.agent, n: 2, body: a.patches()[0].body, at: a.start})
			a.api.exchanges[1].endedAt = time.Time{}
			a.res.outputs["attempts"] = "2"
		}, []string{"one change at a time"}},
		{"a change of another agent", func(a *simulatedRun) { a.patches()[0].agent = simulatedAgentID(2) }, []string{"one change at a time"}},
		{"a second change that asks for something else", func(a *simulatedRun) {
			first := a.patches()[0]
			a.api.exchanges = slices.Insert(a.api.exchanges, 2, &exchange{method: "PATCH", agent: a.agent, n: 2, at: first.endedAt.Add(second), answered: true, apiAnswer: first.apiAnswer})
			a.res.outputs["attempts"] = "2"
		}, []string{"one change at a time"}},
		{"more changes than it admits", func(a *simulatedRun) { a.res.outputs["attempts"] = "0" }, []string{"one change at a time"}},
		{"a request that the API does not know", func(a *simulatedRun) { a.api.violations = []string{"DELETE"} }, []string{"one change at a time"}},

		{"a version that never was", func(a *simulatedRun) { a.res.outputs["previous-version-id"] = asked }, []string{"previous means previous"}},
		{"a number that never was", func(a *simulatedRun) { a.res.outputs["previous-inbound-phone-number-id"] = theirs }, []string{"previous means previous"}},
	}
	named := make(map[string]bool)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := goodRun()
			tt.do(a)
			got := a.brokenRules()
			if broken := slices.Sorted(maps.Keys(got)); !slices.Equal(broken, tt.rules) {
				t.Errorf("breaks %q, want %q", got, tt.rules)
			}
		})
		for _, name := range tt.rules {
			named[name] = true
		}
	}
	for _, rule := range rules {
		if !named[rule.name] {
			t.Errorf("nothing breaks the rule %q", rule.name)
		}
	}
}

// goodRun is the account of a run that published version 2 of agent 1 within a second: a read of its numbers, the change,
// and a read of what is published.
func goodRun() *simulatedRun {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	agent, live, asked := simulatedAgentID(1), simulatedVersionID(1, 1), simulatedVersionID(1, 2)
	a := &simulatedRun{
		stepRequest: stepRequest{agent: agent, versions: []string{asked}, timeout: time.Minute},
		start:       start, end: start.Add(time.Second),
		api: &simulatedAPI{
			agents:   []string{agent, simulatedAgentID(2)},
			versions: map[string][]simulatedVersion{agent: {{live, "v1", 1, false}, {asked, "v2", 2, false}, {simulatedVersionID(1, 3), "v3", 3, false}}},
			numbers:  []simulatedNumber{{simulatedNumberID(1), "+34910000001", "assigned"}, {simulatedNumberID(2), "+34910000002", "assigned"}},
		},
		res: result{log: runner.ReadLog(""), outputs: map[string]string{
			"status": "published", "published-version-id": asked, "previous-version-id": live, "attempts": "1",
		}},
	}
	patch := &exchange{method: "PATCH", n: 1, at: start, endedAt: start, agent: agent, body: patchBody{version: asked}, answered: true, apiAnswer: simulatedReply{status: 200}}
	before := apiState{
		map[string]string{agent: live, simulatedAgentID(2): ""},
		map[string][2]string{simulatedNumberID(1): {agent, ""}, simulatedNumberID(2): {"", simulatedAgentID(2)}},
	}
	after := before.clone()
	after.live[agent] = asked
	a.api.history = []stateChange{{at: start, after: before}, {start, patch, before, after}}
	a.api.exchanges = []*exchange{
		{method: "GET", path: "/v1/phone/", n: 1, at: start, endedAt: start, answered: true, apiAnswer: simulatedReply{status: 200}, shownState: before, lastPage: true},
		patch,
		{method: "GET", path: "/v1/agent/" + agent, query: "is_published=true", n: 1, at: a.end, endedAt: a.end, answered: true, apiAnswer: simulatedReply{status: 200}, shownState: after},
	}
	return a
}

// addOtherWrite makes another writer change the state some time after the start; with nil the history begins and ends with
// the first state.
func (a *simulatedRun) addOtherWrite(after time.Duration, change func(apiState)) {
	history := a.api.history
	if change == nil {
		a.api.history = history[:1]
		for _, x := range a.api.exchanges {
			x.shownState = history[0].after
		}
		return
	}
	next := history[len(history)-1].after.clone()
	change(next)
	at := a.start.Add(after)
	a.api.history = append(history, stateChange{at, nil, history[len(history)-1].after, next})
	a.end = at
}

// addOwnWrite makes the request for the change change more.
func (a *simulatedRun) addOwnWrite(change func(apiState)) {
	history := a.api.history
	next := history[len(history)-1].after.clone()
	change(next)
	a.api.history = append(history, stateChange{a.start, a.patches()[0], history[len(history)-1].after, next})
}

// saw puts a read before everything that showed a version as live.
func (a *simulatedRun) saw(id string) {
	shown := a.api.history[0].after.clone()
	shown.live[a.agent] = id
	a.api.exchanges = slices.Insert(a.api.exchanges, 0, &exchange{
		method: "GET", path: "/v1/agent/" + a.agent, query: "is_published=true", agent: a.agent, n: 1, at: a.start, endedAt: a.start,
		answered: true, apiAnswer: simulatedReply{status: 200}, shownState: shown,
	})
}

// showsLive makes the run one of show-live.
func (a *simulatedRun) showsLive(status, id string) {
	a.addOtherWrite(0, nil)
	a.api.exchanges = a.api.exchanges[:1]
	a.showLive = true
	a.res.outputs = map[string]string{"status": status, "published-version-id": id}
}

// refuses makes the run end without a change after it saw a version as live.
func (a *simulatedRun) refuses(code, id string) {
	a.addOtherWrite(0, nil)
	a.api.exchanges = a.api.exchanges[:1]
	a.saw(id)
	a.res.exit, a.res.outputs = 1, map[string]string{"status": "failed", "error-code": code}
}

// losesNumberUnnoticed makes the request for the change release one of two numbers, and no connection come about after it.
func (a *simulatedRun) losesNumberUnnoticed() {
	a.api.history[0].after.bind(simulatedNumberID(2), inboundCalls, a.agent)
	a.addOtherWrite(0, nil)
	a.addOwnWrite(func(s apiState) { s.live[a.agent] = a.versions[0]; s.bind(simulatedNumberID(1), inboundCalls, "") })
	a.api.exchanges = a.api.exchanges[:2]
	a.api.dials = []dialAttempt{{a.end, "refused"}}
}

// setStatus gives the run another end.
func (a *simulatedRun) setStatus(status string, exit int) {
	a.res.exit, a.res.outputs["status"] = exit, status
	delete(a.res.outputs, "published-version-id")
}

// setReply gives the request for the change another reply.
func (a *simulatedRun) setReply(reply simulatedReply, class replyMeaning) {
	a.patches()[0].outcome = simulatedOutcome{fault: "made up", class: class, reply: reply}
}
