package publish_test

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"publish-agent-version/internal/runner"
)

// The promises that TestSimulation holds the step to, and their own tests.

const (
	graceAfterTimeout = 6 * time.Second // for the read-back and the report
	graceAfterSignal  = time.Second
)

// A rule is a promise of the step. broken returns what is wrong; empty: nothing is.
type rule struct {
	name   string
	broken func(a *simulatedRun) string
}

var rules = []rule{
	{"published means published", func(a *simulatedRun) string {
		if status := a.status(); status != "published" && status != "unpublished" {
			return ""
		}
		patches := a.patches()
		if len(patches) == 0 {
			return "no request for the change arrived"
		}
		if a.unpublish() != (a.status() == "unpublished") {
			return "the wrong word"
		}
		if got := a.res.outputs["published-version-id"]; !slices.Contains(a.versions, got) {
			return "the output published-version-id is " + shortID(got)
		}
		for _, d := range bothDirections {
			got := a.res.outputs[d.String()+"-phone-number-id"]
			if a.asks[d] && got != "" != (a.numbers[d] != nil) || got != "" && a.numbers[d] != nil && !slices.Contains(a.numbers[d], got) {
				return fmt.Sprintf("the output %s-phone-number-id is %s", d, shortID(got))
			}
		}
		if a.inForce(a.api.at(a.end)) {
			return ""
		}
		if !a.otherWriter(a.end) {
			return "what was asked for is not in force"
		}
		// Another writer may come between two reads: each part must have been true, but not at the same time.
		was := make([]bool, len(a.parts(a.api.at(a.end))))
		for _, state := range a.states(patches[0].at.Add(-replicaLag), a.end) {
			for i, is := range a.parts(state) {
				was[i] = was[i] || is
			}
		}
		if slices.Contains(was, false) {
			return "what was asked for was never in force"
		}
		return ""
	}},

	{"failed means not in force, now or later", func(a *simulatedRun) string {
		patches := a.patches()
		if a.status() != "failed" || len(patches) == 0 {
			return ""
		}
		for _, m := range a.api.history {
			if m.by != nil && m.at.After(a.end) && a.inForce(m.after) && !a.inForce(a.api.at(a.end)) {
				return fmt.Sprintf("PATCH %d brought it about %s later", m.by.n, m.at.Sub(a.end))
			}
		}
		switch {
		case !a.inForce(a.api.at(a.end)), a.otherWriter(a.end):
			return ""
		case !slices.ContainsFunc(patches, func(x *exchange) bool { return !x.refused() }) && a.inForce(a.api.at(patches[0].at)):
			return "" // it was in force all the time: a refusal is a failure all the same
		}
		return "what was asked for is in force"
	}},

	{"nothing else is changed", func(a *simulatedRun) string {
		for _, m := range a.api.history {
			if m.by == nil {
				continue
			}
			if what := a.unrequestedChange(m); what != "" {
				return fmt.Sprintf("PATCH %d, %s after the start: %s", m.by.n, m.at.Sub(a.start), what)
			}
		}
		return ""
	}},

	{"a number that is lost is named", func(a *simulatedRun) string {
		patches := a.patches()
		_, _, after := a.reads()
		if a.status() != "published" || len(patches) == 0 || a.otherWriter(a.end) || !a.signalled.IsZero() || a.end.Sub(a.start) >= a.timeout {
			return ""
		}
		if slices.ContainsFunc(after, func(x *exchange) bool { return !x.good() || x.stale }) || len(after) > 0 && !a.readBackWorked() {
			return ""
		}
		if a.networkFailedLate() && strings.Contains(a.res.stdout, "numbers could not be read after the change") {
			return ""
		}
		for _, d := range bothDirections {
			was, is := a.api.at(patches[0].at.Add(-1)).numbers(a.agent, d), a.api.at(a.end).numbers(a.agent, d)
			if a.asks[d] || len(was) < 2 || a.numbersUnreadable(d) {
				continue
			}
			for _, id := range was {
				if !slices.Contains(is, id) && !a.warnsAbout(id) {
					return fmt.Sprintf("%s is lost %s, and no warning says so", shortID(id), d)
				}
			}
		}
		return ""
	}},

	{"unknown has a reason", func(a *simulatedRun) string {
		if a.status() != "unknown" || a.unknownReason() != "" {
			return ""
		}
		return "every request had its answer, and the read-back showed the truth"
	}},

	{"in time", func(a *simulatedRun) string {
		switch took := a.end.Sub(a.start); {
		case took > a.timeout+graceAfterTimeout:
			return fmt.Sprintf("took %s of %s", took, a.timeout)
		case !a.signalled.IsZero() && a.end.Sub(a.signalled) > graceAfterSignal:
			return fmt.Sprintf("took %s after the signal", a.end.Sub(a.signalled))
		}
		return ""
	}},

	{"the exit status fits", func(a *simulatedRun) string {
		good := slices.Contains([]string{"published", "unpublished", "dry-run"}, a.status())
		allowed := []int{1}
		if good {
			allowed = []int{0}
		} else if a.signal != 0 {
			allowed = append(allowed, 128+int(a.signal))
		}
		if !slices.Contains(allowed, a.res.exit) {
			return fmt.Sprintf("exit status %d with status %q and signal %d", a.res.exit, a.status(), a.signal)
		}
		return ""
	}},

	{"nothing is sent that must not be", func(a *simulatedRun) string {
		switch {
		case a.invalid && len(a.api.exchanges) > 0:
			return "the inputs are invalid"
		case a.invalid && a.res.outputs["error-code"] != "ACTION_INPUT_INVALID":
			return "the inputs are invalid, and the code is " + a.res.outputs["error-code"]
		case a.dryRun && len(a.patches()) > 0:
			return "it is a dry run"
		case a.status() == "dry-run" && !a.dryRun:
			return "it is no dry run"
		}
		return ""
	}},

	{"one change at a time", func(a *simulatedRun) string {
		patches := a.patches()
		for i, x := range patches {
			if x.agent != a.agent {
				return "a change of " + shortID(x.agent)
			}
			if i > 0 && (patches[i-1].endedAt.IsZero() || patches[i-1].endedAt.After(x.at)) {
				return fmt.Sprintf("PATCH %d was sent while another was in flight", x.n)
			}
			if x.body != patches[0].body {
				return fmt.Sprintf("PATCH %d asks for another change than the first", x.n)
			}
		}
		if _, between, _ := a.reads(); len(between) > 0 {
			return "a read between two attempts: " + between[0].key()
		}
		if sent, _ := strconv.Atoi(a.res.outputs["attempts"]); sent < len(patches) {
			return fmt.Sprintf("the output attempts is %d, %d arrived", sent, len(patches))
		}
		if len(a.api.violations) > 0 {
			return strings.Join(a.api.violations, "; ")
		}
		return ""
	}},

	{"previous means previous", func(a *simulatedRun) string {
		until := a.end
		if patches := a.patches(); len(patches) > 0 {
			until = patches[0].at.Add(-1) // the change may be made at the instant at which it arrives
		}
		states := a.states(a.start.Add(-replicaLag), until)
		said := func(output string, was func(apiState) string) string {
			value, set := a.res.outputs[output]
			if !set || slices.ContainsFunc(states, func(s apiState) bool { return was(s) == value }) {
				return ""
			}
			return fmt.Sprintf("the output %s is %s", output, shortID(value))
		}
		what := said("previous-version-id", func(s apiState) string { return s.live[a.agent] })
		for _, d := range bothDirections {
			what += said("previous-"+d.String()+"-phone-number-id", func(s apiState) string {
				if bound := s.numbers(a.agent, d); len(bound) == 1 {
					return bound[0]
				}
				return ""
			})
		}
		return what
	}},
}

// unrequestedChange says what a request changed that nothing had asked for.
func (a *simulatedRun) unrequestedChange(m stateChange) string {
	for _, agent := range a.api.agents {
		was, is := m.before.live[agent], m.after.live[agent]
		if was != is && (agent != a.agent || !slices.Contains(a.versions, is)) {
			return fmt.Sprintf("%s has %s", shortID(agent), shortID(is))
		}
	}
	for _, number := range a.api.numbers {
		for _, d := range bothDirections {
			was, is := m.before.bound[number.id][d], m.after.bound[number.id][d]
			if was != is && !a.allowedChange(m, number.id, d, was, is) {
				return fmt.Sprintf("%s is bound to %s %s, was to %s", shortID(number.id), shortID(is), d, shortID(was))
			}
		}
	}
	return ""
}

// allowedChange reports whether a request may have taken a number from was to is in one direction.
func (a *simulatedRun) allowedChange(m stateChange, id string, d direction, was, is string) bool {
	raced := slices.ContainsFunc(a.api.history[1:], func(o stateChange) bool {
		return o.by == nil && !o.at.After(m.at) && slices.ContainsFunc(a.api.numbers, func(n simulatedNumber) bool {
			mine := o.before.bound[n.id][d] == a.agent || o.after.bound[n.id][d] == a.agent
			return o.before.bound[n.id][d] != o.after.bound[n.id][d] && (mine || n.id == id)
		})
	})
	switch {
	case was != a.agent && is != a.agent:
		return false // a number of two others
	case raced:
		return true // it was another writer's, or not bound, when the step looked
	case is == a.agent && !slices.Contains(a.numbers[d], id):
		return false
	case is == a.agent:
		return was == "" || a.takeOver || a.numberUnreadable(id, d)
	case a.unpublish(), a.asks[d]:
		return true // released, or replaced by the number that was asked for
	case len(m.before.numbers(a.agent, d)) > 1:
		return true // which one to send along cannot be known; a warning is due
	default:
		return a.api.behavior.releasesOmitted && a.numbersUnreadable(d)
	}
}

// warnsAbout reports whether a warning names a phone number, by its id or as people write it.
func (a *simulatedRun) warnsAbout(id string) bool {
	number := a.api.numbers[slices.IndexFunc(a.api.numbers, func(n simulatedNumber) bool { return n.id == id })].number
	for _, annotation := range a.res.log.Annotations() {
		if annotation.Level == "warning" && (strings.Contains(annotation.Message, id) || strings.Contains(strings.ReplaceAll(annotation.Message, " ", ""), number)) {
			return true
		}
	}
	return false
}

// unknownReason returns a reason for which the step cannot know what is in force; empty: there is none.
func (a *simulatedRun) unknownReason() string {
	patches := a.patches()
	_, _, after := a.reads()
	asksForNumbers := a.asks[inboundCalls] || a.asks[outboundCalls]
	switch {
	case len(patches) == 0 && len(a.api.dials) > 0:
		return "a request was lost on its way"
	case slices.ContainsFunc(patches, func(x *exchange) bool { return !x.settled() && !x.confirmed() }):
		return "a request had no answer that settles it"
	case !a.readBackWorked() && (len(after) > 0 || a.networkFailedLate() || patches[len(patches)-1].closesAfterReply()):
		return "the read-back failed"
	case asksForNumbers && a.api.behavior.numberReads != "":
		return "the numbers cannot be read"
	case a.otherWriter(a.end):
		return "another writer came in between"
	case !a.signalled.IsZero() && (!a.inForce(a.api.at(a.end)) || slices.ContainsFunc(after, func(x *exchange) bool { return x.stale })):
		return "a signal leaves less time than a replica may lag"
	}
	for _, x := range after {
		if x.shownState.live[a.agent] == "" && strings.HasSuffix(x.query, "is_published=true") {
			return "how the API says that nothing is published is not documented"
		}
		if parts := a.parts(x.shownState); slices.Contains(parts, true) && slices.Contains(parts, false) {
			return "half of it is in force"
		}
	}
	return ""
}

// networkFailedLate reports whether a connection failed after the last request for the change.
func (a *simulatedRun) networkFailedLate() bool {
	patches := a.patches()
	last := patches[len(patches)-1].at
	return slices.ContainsFunc(a.api.dials, func(d dialAttempt) bool { return d.fault != "" && !d.at.Before(last) })
}

// TestSimulationRules tests the rules themselves: a good run breaks none, and for each rule a run breaks it and no other.
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
			a.api.behavior.releasesOmitted, a.api.behavior.numberReads = true, "absent"
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
		{"a read between two changes", func(a *simulatedRun) {
			last := *a.patches()[0]
			last.at = last.endedAt.Add(second)
			a.api.exchanges = append(a.api.exchanges, &last)
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

// goodRun is a run that published version 2 of agent 1 within a second: a read of its numbers, the change,
// and a read of what is published.
func goodRun() *simulatedRun {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	agent, live, asked := simulatedAgentID(1), simulatedVersionID(1, 1), simulatedVersionID(1, 2)
	a := &simulatedRun{
		stepRequest: stepRequest{agent: agent, versions: []string{asked}, timeout: time.Minute},
		start:       start, end: start.Add(time.Second),
		api: &simulatedAPI{
			agents:  []string{agent, simulatedAgentID(2)},
			numbers: []simulatedNumber{{simulatedNumberID(1), "+34910000001", "assigned"}, {simulatedNumberID(2), "+34910000002", "assigned"}},
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
