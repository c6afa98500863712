package publish_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A rule is a promise of the step. It returns what is wrong; empty: nothing is.
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
		good := slices.Contains([]string{"published", "unpublished", "dry-run", "live", "offline"}, a.status())
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
		case a.showLive && len(a.patches()) > 0:
			return "it only shows what is live"
		case a.status() == "dry-run" && !a.dryRun:
			return "it is no dry run"
		case (a.status() == "live" || a.status() == "offline") && !a.showLive:
			return "it was not asked to show what is live"
		}
		return ""
	}},

	{"sent only if what it expects was live", func(a *simulatedRun) string {
		before, between, _ := a.reads()
		seen := a.sawLive(before...)
		if patches := a.patches(); a.expects && len(patches) > 1 {
			// Before a later attempt it looks again, and may find that an earlier one was applied.
			again := a.sawLive(slices.DeleteFunc(between, func(x *exchange) bool { return x.at.After(patches[len(patches)-1].at) })...)
			seen = append(seen, slices.DeleteFunc(again, func(id string) bool { return id == patches[0].body.version })...)
		}
		switch {
		case !a.expects || len(a.patches()) == 0:
			return ""
		case !slices.Contains(seen, a.expect), slices.ContainsFunc(seen, func(id string) bool { return id != "" && id != a.expect }):
			return fmt.Sprintf("expected %s, and saw %s", shortID(a.expect), shortenIDs(fmt.Sprintf("%q", seen)))
		}
		return ""
	}},

	{"sent only if newer", func(a *simulatedRun) string {
		before, _, _ := a.reads()
		seen := a.sawLive(before...)
		switch patches := a.patches(); {
		case !a.onlyNewer || len(patches) == 0:
			return ""
		case len(seen) == 0, slices.ContainsFunc(seen, func(id string) bool { return id != "" && a.isNewer(id, patches[0].body.version) }):
			return fmt.Sprintf("sent %s, and saw %s", shortID(patches[0].body.version), shortenIDs(fmt.Sprintf("%q", seen)))
		}
		return ""
	}},

	{"refused for a reason", func(a *simulatedRun) string {
		seen := slices.DeleteFunc(a.sawLive(a.allReads()...), func(id string) bool { return id == "" })
		switch code := a.res.outputs["error-code"]; {
		case code == "ACTION_UNEXPECTED_VERSION" && (!a.expects || len(seen) == 0 && a.expect == "" || len(seen) > 0 && !slices.ContainsFunc(seen, func(id string) bool { return id != a.expect })):
			return "what it expects was live"
		case code == "ACTION_NOT_NEWER" && (!a.onlyNewer || !slices.ContainsFunc(seen, func(id string) bool {
			return slices.ContainsFunc(a.versions, func(version string) bool { return a.isNewer(id, version) })
		})):
			return "the version is not older"
		}
		return ""
	}},

	{"live means live", func(a *simulatedRun) string {
		if a.status() != "live" && a.status() != "offline" {
			return ""
		}
		said, set := a.res.outputs["published-version-id"]
		was := slices.ContainsFunc(a.states(a.start.Add(-replicaLag), a.end), func(s apiState) bool { return s.live[a.agent] == said })
		if !set || (said == "") != (a.status() == "offline") || !was && !a.otherWriter(a.end) {
			return fmt.Sprintf("%s: %s", a.status(), shortID(said))
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
		// Between two attempts, only what the checks depend on is read again.
		if _, between, _ := a.reads(); slices.ContainsFunc(between, func(x *exchange) bool { return x.method != "GET" }) {
			return "a request between two attempts that is no read"
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
		return a.api.behavior.dropsLeftOut && a.numbersUnreadable(d)
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

// brokenRules lists the rules that a run breaks.
func (a *simulatedRun) brokenRules() map[string]string {
	list := make(map[string]string)
	for _, rule := range rules {
		if what := rule.broken(a); what != "" {
			list[rule.name] = what
		}
	}
	return list
}
