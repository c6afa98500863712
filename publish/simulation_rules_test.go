package publish_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"publish-agent-version/internal/runner"
	"publish-agent-version/internal/sandbox"
)

const (
	graceAfterTimeout = 6 * time.Second // for the read-back and the report
	graceAfterSignal  = time.Second
	oldestReading     = 10 * time.Second // that a check may rest on
)

// A rule is a promise of the step. It returns what is wrong; empty: nothing is.
type rule struct {
	name   string
	broken func(a *day) string
}

var rules = []rule{
	{"published means published", func(a *day) string {
		patches := a.patches()
		if status := a.status(); status != "published" && status != "unpublished" {
			if n := len(patches); n > 0 && patches[n-1].confirmed() && a.rates.conn == 0 && a.signal == 0 &&
				a.inTime(patches[n-1].end) {
				return "the API confirmed the change"
			}
			return ""
		}
		last := a.at(a.end)
		switch {
		case len(patches) == 0 && len(a.broken) == 0:
			return "no request for the change arrived"
		case a.unpublish != (a.status() == "unpublished"):
			return "the wrong word"
		case !a.wants(last, a.res.outputs["published-version-id"]):
			return "the output published-version-id is " + a.res.outputs["published-version-id"]
		}
		states := a.states(a.early(), a.end)
		if len(patches) > 0 {
			states = a.states(patches[0].at.Add(-a.is.ReplicaLag), a.end)
		}
		for _, d := range bothDirections {
			got := a.res.outputs[d.String()+"-phone-number-id"]
			was := slices.ContainsFunc(states, func(st *sandbox.State) bool { return st.Owner(got, d) == agent })
			if got != "" && !was || a.asks[d] && (got != "") != (a.phones[d] != nil) || got != "" &&
				a.phones[d] != nil &&
				!slices.Contains(a.phones[d], got) {
				return fmt.Sprintf("the output %s-phone-number-id is %q", d, got)
			}
		}
		if a.inForce(last) || !a.others(a.end) {
			return map[bool]string{false: "what was asked for is not in force"}[a.inForce(last)]
		}
		// Another writer may come between two reads: each part must have been true, but not at the same time.
		was := make([]bool, len(a.parts(last)))
		for _, st := range states {
			for i, is := range a.parts(st) {
				was[i] = was[i] || is
			}
		}
		if slices.Contains(was, false) {
			return "what was asked for was never in force"
		}
		return ""
	}},

	{"failed means that nothing was applied, or will be", func(a *day) string {
		if a.status() != "failed" {
			return ""
		}
		for i, c := range a.changes {
			undone := a.others(a.end) && !c.Time.After(a.end) // perhaps, before the step looked
			if a.isPatch(c) && !undone && !a.others(c.Time) && shape(a.changes[i-1].State) != shape(c.State) {
				return fmt.Sprintf("it was applied %s after the end", c.Time.Sub(a.end))
			}
		}
		return ""
	}},

	{"nothing else is changed", func(a *day) string {
		for i, c := range a.changes {
			if a.isPatch(c) && a.unrequestedChange(a.changes[i-1].State, c) != "" {
				return fmt.Sprintf("%s after the start: %s", c.Time.Sub(a.start),
					a.unrequestedChange(a.changes[i-1].State, c))
			}
		}
		return ""
	}},

	{"a number that is lost is named", func(a *day) string {
		for i, c := range a.changes {
			for _, d := range bothDirections {
				// Nobody could see it, it was asked for, or the step could not know the numbers.
				known, _ := a.phonesKnown()
				hidden := !a.isPatch(c) || c.Time.Add(a.is.ReplicaLag).After(a.end) || a.asks[d] &&
					(a.phones[d] == nil || !known)
				if a.status() != "published" || hidden {
					continue
				}
				for _, id := range a.changes[i-1].State.Numbers(agent, d) {
					first := a.at(a.patches()[0].at.Add(-1)) // it may have been bound since
					lost := first.Owner(id, d) == agent && c.State.Owner(id, d) != agent && a.at(a.end).Owner(id,
						d) != agent
					if lost && !a.raced(c, id, d) && !a.warnsAbout(id) {
						return fmt.Sprintf("%s is lost %s, and no warning says so", id, d)
					}
				}
			}
		}
		return ""
	}},

	{"unknown has a reason", func(a *day) string {
		if a.status() != "unknown" || a.unknownReason() != "" {
			return ""
		}
		return "every request had its answer, and the read-back showed the truth"
	}},

	{"in time", func(a *day) string {
		switch took := a.end.Sub(a.start); {
		case took > a.timeout+graceAfterTimeout:
			return fmt.Sprintf("took %s of %s", took, a.timeout)
		case !a.signalled.IsZero() && a.end.Sub(a.signalled) > graceAfterSignal:
			return fmt.Sprintf("took %s after the signal", a.end.Sub(a.signalled))
		}
		return ""
	}},

	{"the exit status fits", func(a *day) string {
		good := slices.Contains([]string{"published", "unpublished", "dry-run", "live", "offline"}, a.status())
		if a.res.exit == 0 != good || a.res.exit > 1 && (a.signal == 0 || a.res.exit != 128+int(a.signal)) {
			return fmt.Sprintf("exit status %d with status %q and signal %d", a.res.exit, a.status(), a.signal)
		}
		return ""
	}},

	{"nothing is sent that must not be", func(a *day) string {
		changing := append(a.patches(), a.sent(http.MethodPost)...)
		switch {
		case a.invalid && len(a.exchanges) > 0:
			return "the inputs are invalid"
		case a.invalid && a.res.outputs["error-code"] != "ACTION_INPUT_INVALID":
			return "the inputs are invalid, and the code is " + a.res.outputs["error-code"]
		case (a.dryRun || a.showLive) && len(changing) > 0:
			return "it is a dry run, or only shows what is live"
		case (a.status() == "dry-run") && !a.dryRun, (a.status() == "live" || a.status() == "offline") != a.showLive &&
			a.res.exit == 0:
			return "the wrong word: " + a.status()
		}
		first := slices.IndexFunc(a.exchanges, func(x *exchange) bool { return !x.is(http.MethodGet) })
		for _, x := range a.exchanges[:max(first, 0)] {
			if x.status == http.StatusUnauthorized && x.answered && a.rates.conn == 0 {
				return "the key is not known"
			}
		}
		return ""
	}},

	{"no guard is passed that refuses", func(a *day) string {
		for i, x := range a.exchanges {
			if x.is(http.MethodGet) {
				continue
			}
			version := x.publishes()
			number := versionOf(a.at(x.at), version).Number
			states := a.states(x.at.Add(-oldestReading-a.transit()), x.at.Add(-1))
			passes := slices.ContainsFunc(states, func(st *sandbox.State) bool {
				id := live(st, agent)
				again := id == version && slices.ContainsFunc(a.exchanges[:i],
					func(x *exchange) bool { return x.is(http.MethodPatch) })
				newer := id == "" || x.is(http.MethodPost) || versionOf(st, id).Number <= number
				return again || (!a.expects || id == a.expect) && (!a.onlyNewer || newer)
			})
			if !passes {
				return fmt.Sprintf("%s %s after the start: %s was live", x.method, x.at.Sub(a.start),
					live(states[0], agent))
			}
		}
		return ""
	}},

	{"refused for a reason", func(a *day) string {
		states := a.states(a.early(), a.end)
		some := func(is func(st *sandbox.State) bool) bool { return slices.ContainsFunc(states, is) }
		reason := true
		switch a.res.outputs["error-code"] {
		case "ACTION_UNEXPECTED_VERSION":
			reason = a.expects && some(func(st *sandbox.State) bool { return live(st, agent) != a.expect })
		case "ACTION_NOT_NEWER":
			reason = a.onlyNewer && some(func(st *sandbox.State) bool { return live(st, agent) != "" })
		case "ACTION_VERSION_NOT_FOUND":
			refused := func(x *exchange) bool { return strings.Contains(x.uri, "version_id=") && x.refused() }
			reason = a.launch || slices.ContainsFunc(a.exchanges, refused) || some(a.absent)
		case "ACTION_VERSION_AMBIGUOUS":
			reason = a.name != ""
		case "ACTION_PHONE_IN_USE":
			reason = some(func(st *sandbox.State) bool {
				return slices.ContainsFunc(bothDirections[:], func(d sandbox.Direction) bool {
					if !a.asks[d] {
						return !slices.Equal(st.Numbers(agent, d), a.first.Numbers(agent, d))
					}
					return slices.ContainsFunc(a.phones[d], func(id string) bool {
						owner := st.Owner(id, d)
						return owner != "" && owner != agent && !a.takeOver
					})
				})
			})
		case "ACTION_PHONE_NOT_FOUND":
			reason = slices.ContainsFunc(bothDirections[:], func(d sandbox.Direction) bool {
				found := 0
				for _, p := range a.first.Phones() {
					if slices.Contains(a.phones[d], p.ID) && p.Status != "RELEASED" {
						found++
					}
				}
				return a.asks[d] && a.phones[d] != nil && found != 1
			})
		}
		if !reason {
			return a.res.outputs["error-code"] + ": " + a.res.outputs["error-message"]
		}
		return ""
	}},

	{"launched once", func(a *day) string {
		posts, launches := a.sent(http.MethodPost), 0
		for _, c := range a.changes {
			if c.Request >= 0 && !a.isPatch(c) {
				launches++
			}
		}
		said, version := a.res.outputs["launched"], versionOf(a.at(a.end), a.res.outputs["version-id"])
		switch {
		case len(posts) > 0 && !a.launch:
			return "nobody asked for that"
		case launches > 1 && !a.others(a.end):
			return fmt.Sprint(launches, " times")
		case len(posts) > 0 && !slices.ContainsFunc(a.states(a.early(), posts[0].at.Add(-1)), a.absent):
			return "there was one of that name"
		case said == "true" && (len(posts) == 0 && len(a.broken) == 0 || version.Draft || version.Name != a.name),
			a.launch && !a.invalid && said == "", said == "false" && a.status() == "published" && launches > 0 &&
				!a.others(a.end):
			return fmt.Sprintf("the output launched is %q, of %+v", said, version)
		}
		return ""
	}},

	{"still is said only of what was read afterwards", func(a *day) string {
		said := still.FindString(a.res.message() + "\n" + a.res.outputs["error-message"] + "\n" + a.res.summary)
		if said == "" || slices.ContainsFunc(a.readsAfter(), (*exchange).sees) {
			return ""
		}
		return said
	}},

	{"live means live", func(a *day) string {
		said, set := a.res.outputs["published-version-id"]
		was := slices.ContainsFunc(a.states(a.early(), a.end),
			func(st *sandbox.State) bool { return live(st, agent) == said })
		if is := a.status(); (is == "live" || is == "offline") && (!set || !was || (said == "") != (is == "offline")) {
			return fmt.Sprintf("%s: %q", is, said)
		}
		return ""
	}},

	{"one change at a time", func(a *day) string {
		patches := a.patches()
		for i, x := range patches {
			switch {
			case x.uri != "/v1/agent/"+agent+"/published_version":
				return "a change of " + x.uri
			case i > 0 && patches[i-1].end.After(x.at):
				return "a request was sent while another was in flight"
			case x.body != patches[0].body:
				return "it asks for another change than before"
			}
		}
		if sent, _ := strconv.Atoi(a.res.outputs["attempts"]); sent < len(patches) {
			return fmt.Sprintf("the output attempts is %d, %d arrived", sent, len(patches))
		}
		return strings.Join(a.Violations(), "; ")
	}},

	{"previous means previous", func(a *day) string {
		until := a.end
		for _, x := range slices.Backward(a.patches()) {
			if !x.refused() {
				until = x.at.Add(-1) // the change may be made at the instant at which it arrives
			}
		}
		states, what := a.states(a.early(), until), ""
		said := func(output string, was func(*sandbox.State) string) {
			value, set := a.res.outputs[output]
			if set && !slices.ContainsFunc(states, func(st *sandbox.State) bool { return was(st) == value }) {
				what += fmt.Sprintf("the output %s is %q ", output, value)
			}
		}
		said("previous-version-id", func(st *sandbox.State) string { return live(st, agent) })
		for _, d := range bothDirections {
			said("previous-"+d.String()+"-phone-number-id", func(st *sandbox.State) string {
				if bound := st.Numbers(agent, d); len(bound) == 1 {
					return bound[0]
				}
				return ""
			})
		}
		return what
	}},
}

var still = regexp.MustCompile(`\S+ (is|are) still\b.*|still (live|bound)`)

// publishes returns the version in a request for the change.
func (x *exchange) publishes() string {
	var body struct {
		Version string `json:"version_id"`
	}
	_ = json.Unmarshal([]byte(x.body), &body)
	return body.Version
}

// isPatch reports whether a request for the change made c.
func (a *day) isPatch(c sandbox.Change) bool {
	return c.Request >= 0 && a.requests[c.Request].Method == http.MethodPatch
}

// inTime reports whether the timeout was at least a second away.
func (a *day) inTime(t time.Time) bool { return t.Sub(a.start) < a.timeout-time.Second }

// early is before the start, by as much as a replica lags.
func (a *day) early() time.Time { return a.start.Add(-a.is.ReplicaLag - 1) }

// transit is how much older than its arrival what a read shows may be.
func (a *day) transit() time.Duration {
	longest := 0
	for _, x := range a.exchanges {
		longest = max(longest, x.reply.Len())
	}
	return a.is.ReplicaLag + time.Second + time.Duration(longest/64)*a.pace
}

// shape is everything that a request for the change can change.
func shape(st *sandbox.State) (text string) {
	for n := 1; n <= 3; n++ {
		other := simulatedAgent(n)
		in, out := st.Numbers(other, sandbox.Inbound), st.Numbers(other, sandbox.Outbound)
		slices.Sort(in)
		slices.Sort(out)
		text += fmt.Sprintln(live(st, other), in, out)
	}
	return text
}

// unrequestedChange says what a request changed that nothing had asked for.
func (a *day) unrequestedChange(before *sandbox.State, c sandbox.Change) string {
	for n := 1; n <= 3; n++ {
		was, is := live(before, simulatedAgent(n)), live(c.State, simulatedAgent(n))
		if was != is && (n != 1 || !a.wants(c.State, is)) {
			return fmt.Sprintf("agent %d has version %q", n, is)
		}
	}
	for _, p := range a.first.Phones() {
		for _, d := range bothDirections {
			was, is := before.Owner(p.ID, d), c.State.Owner(p.ID, d)
			if was != is && !a.allowedChange(before, c, p.ID, d, was, is) {
				return fmt.Sprintf("%s has agent %q %s, was %q", p.ID, is, d, was)
			}
		}
	}
	return ""
}

// allowedChange reports whether a request may have taken a number from was to is in one direction.
func (a *day) allowedChange(before *sandbox.State, c sandbox.Change, id string, d sandbox.Direction, was,
	is string) bool {
	known, barred := a.phonesKnown()
	usable := slices.ContainsFunc(before.Phones(), func(p sandbox.Phone) bool {
		return p.ID == id && isAssigned(p)
	})
	switch {
	case was != agent && is != agent:
		return false // a number of two others
	case a.raced(c, id, d):
		return true // it was another writer's, or not bound, when the step looked
	case is == agent && was == "" && a.request(c) != a.patches()[0] &&
		slices.Contains(a.changes[0].State.Numbers(agent, d), id):
		return true // as far as the step can know, its own earlier request released it
	case is == agent:
		return slices.Contains(a.phones[d], id) && (was == "" || a.takeOver || !known)
	case a.unpublish, a.asks[d]:
		return true // released, or replaced by the number that was asked for
	default: // which of several to send along cannot be known, and a warning is due
		return len(before.Numbers(agent, d)) > 1 || !usable || barred && a.is.ReleaseOmitted
	}
}

// request returns the exchange that made c.
func (a *day) request(c sandbox.Change) *exchange { return a.exchanges[c.Request] }

// raced reports whether another writer touched the agent's numbers in one direction, or this number, too shortly before
// c for the step to know.
func (a *day) raced(c sandbox.Change, id string, d sandbox.Direction) bool {
	since := a.request(c).at.Add(-oldestReading - a.transit())
	for i, o := range a.changes[1:] {
		before := a.changes[i].State
		changed := !slices.Equal(before.Numbers(agent, d), o.State.Numbers(agent, d)) ||
			before.Owner(id, d) != o.State.Owner(id, d)
		if o.Request < 0 && changed && !o.Time.After(c.Time) && o.Time.After(since) {
			return true
		}
	}
	return false
}

// phonesKnown reports whether the step had read the numbers before its first request for the change; barred, that a
// read was refused for good.
func (a *day) phonesKnown() (known, barred bool) {
	for _, x := range a.exchanges {
		if x.is(http.MethodPatch) {
			break
		}
		if x.showsPhones() {
			known = x.good()
			final := x.refused() && x.status != http.StatusTooManyRequests || x.status == 200 || x.status == 501
			barred = barred || !known && x.answered && final
		}
	}
	// A connection may have lost an answer on its way; the step then says so.
	lost := a.rates.conn > 0 && strings.Contains(a.res.stdout, "Could not read the phone numbers")
	return known && !barred && !lost, barred
}

// warnsAbout reports whether a warning names a phone number, or says that none could be protected.
func (a *day) warnsAbout(id string) bool {
	phones := a.Phones()
	number := phones[slices.IndexFunc(phones, func(p sandbox.Phone) bool { return p.ID == id })].Number
	bare := func(s string) string {
		return strings.TrimPrefix(strings.NewReplacer(" ", "", "-", "", "tel:", "").Replace(s), "+")
	}
	return slices.ContainsFunc(a.res.log.Annotations(), func(n runner.Annotation) bool {
		return n.Level == "warning" && (n.Title == "Phone number unbound" &&
			(strings.Contains(bare(n.Message), bare(number)) || len(n.Message) > 4000) ||
			n.Title == "Phone numbers not protected" || n.Title == "Phone numbers not checked")
	})
}

// readBackWorked reports whether the step looked after its last request for the change, and every read was answered as
// it should be.
func (a *day) readBackWorked() bool {
	after := a.readsAfter()
	return len(after) > 0 && a.rates.conn == 0 && a.rates.connect == 0 &&
		!slices.ContainsFunc(after, func(x *exchange) bool { return !x.good() || x.showsLive() && !x.sees() })
}

// isReadBack reports whether a read-back that worked decided the outcome, not a confirmation.
func (a *day) isReadBack() bool {
	return len(a.patches()) > 0 && a.readBackWorked() && !slices.ContainsFunc(a.patches(), (*exchange).confirmed)
}

// unknownReason returns a reason for which the step cannot know what is in force; empty: there is none.
func (a *day) unknownReason() string {
	patches := a.patches()
	switch {
	case len(a.broken) > 0:
		return "a request was lost on its way"
	case len(patches) == 0:
		return ""
	case slices.ContainsFunc(patches, func(x *exchange) bool { return !x.settled() && !x.confirmed() }),
		a.rates.conn > 0:
		return "a request had no answer that settles it"
	case !a.readBackWorked():
		return "the read-back failed, or a signal or the timeout left no time for it"
	case a.others(a.end):
		return "another writer came in between"
	case !a.inTime(patches[len(patches)-1].end.Add(oldestReading)), a.signal != 0:
		return "no time for readings that span ten seconds"
	}
	for _, st := range a.states(patches[len(patches)-1].end, a.end) {
		if parts := a.parts(st); slices.Contains(parts, true) && slices.Contains(parts, false) {
			return "half of it is in force"
		}
	}
	return ""
}

// brokenRules lists the rules that a run breaks.
func (a *day) brokenRules() map[string]string {
	list := make(map[string]string)
	for _, rule := range rules {
		if what := rule.broken(a); what != "" {
			list[rule.name] = what
		}
	}
	return list
}
