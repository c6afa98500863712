package publish_test

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"publish-agent-version/internal/runner"
	"publish-agent-version/publish"
)

var (
	simulations = flag.Int("simulations", 3000, "number of runs in TestSimulation: seeds 1 to this")
	oneSeed     = flag.Uint64("seed", 0, "the only run of TestSimulation, printed with its trace")
)

const (
	graceAfterTimeout = 6 * time.Second // for the read-back and the report
	graceAfterSignal  = time.Second
	maxUnknownShare   = 0.4 // of the runs whose read-back worked; measured: 0.32
)

// A stepRequest is what a step is asked to do.
type stepRequest struct {
	inputs   map[string]string
	agent    string
	versions []string    // that satisfy it; one empty string: unpublish
	asks     [2]bool     // whether it requests anything in this direction
	numbers  [2][]string // IDs that satisfy that; nil: no number is to be bound
	byNumber [2]bool     // the number is given in E.164 form, not by ID
	takeOver bool
	dryRun   bool
	showLive bool // only report what is live

	expects   bool   // expect is what must be live; empty: none
	expect    string // a version
	onlyNewer bool

	invalid bool // the inputs contradict the contract
	timeout time.Duration
}

func (w stepRequest) unpublish() bool { return slices.Equal(w.versions, []string{""}) }

// parts reports which parts of w are in effect in a state: the version, then each requested direction.
func (w stepRequest) parts(s apiState) []bool {
	parts := []bool{slices.Contains(w.versions, s.live[w.agent])}
	for _, d := range bothDirections {
		if !w.asks[d] {
			continue
		}
		bound := s.numbers(w.agent, d)
		is := len(bound) == 0
		if w.numbers[d] != nil {
			is = slices.ContainsFunc(bound, func(id string) bool { return slices.Contains(w.numbers[d], id) })
		}
		parts = append(parts, is)
	}
	return parts
}

func (w stepRequest) inForce(s apiState) bool { return !slices.Contains(w.parts(s), false) }

// newStepRequest draws what a step is asked to do, given the state of s.
func newStepRequest(s *simulatedAPI) stepRequest {
	r := randomFor(s.seed, "wish")
	w := stepRequest{agent: s.agents[0], timeout: pick(r, time.Second, 5*time.Second, 30*time.Second, time.Minute, 2*time.Minute, 2*time.Minute, 2*time.Minute, 5*time.Minute)}
	w.takeOver, w.dryRun = chance(r, 0.2), chance(r, 0.06)
	w.inputs = map[string]string{
		"agent-id": w.agent, "timeout": w.timeout.String(), "max-retries": strconv.Itoa(pick(r, 0, 1, 2, 4, 4, 4, 4, 10)),
		"take-over": strconv.FormatBool(w.takeOver), "dry-run": strconv.FormatBool(w.dryRun),
	}
	state, versions := s.history[0].after, s.versions[w.agent]
	version := pick(r, versions...)
	if live := state.live[w.agent]; live != "" && chance(r, 0.15) {
		version = versions[slices.IndexFunc(versions, func(v simulatedVersion) bool { return v.id == live })]
	}
	switch {
	case chance(r, 0.15):
		w.inputs["unpublish"], w.versions = "true", []string{""}
	case chance(r, 0.35) && version.name != "":
		w.inputs["version-name"] = version.name
		for _, v := range versions {
			if v.name == version.name && !v.draft {
				w.versions = append(w.versions, v.id)
			}
		}
	default:
		w.inputs["version-id"], w.versions = version.id, []string{version.id}
	}
	for _, d := range bothDirections {
		if !w.unpublish() {
			w.drawNumber(r, s, d)
		}
	}
	w.drawSafeguards(s)
	if chance(r, 0.04) {
		w.invalid = true
		maps.Copy(w.inputs, pick(r,
			map[string]string{"version-id": "", "version-name": "", "unpublish": "false"},
			map[string]string{"version-id": versions[0].id, "version-name": "", "unpublish": "true"},
			map[string]string{"inbound-phone-number-id": simulatedNumberID(1), "unpublish": "true", "version-id": "", "version-name": ""},
			map[string]string{"inbound-phone-number-id": simulatedNumberID(1), "inbound-phone-number": "+34910000001"},
			map[string]string{"outbound-phone-number-id": "none", "outbound-phone-number": "+34910000001"},
			map[string]string{"inbound-phone-number-id": "None of them"},
			map[string]string{"agent-id": "front-desk"}, map[string]string{"timeout": "100h"}, map[string]string{"max-retries": "11"},
			map[string]string{"take-over": "yes"}, map[string]string{"dry-run": "1"}, map[string]string{"only-newer": "1"},
			map[string]string{"version-id": versions[0].id, "version-name": "", "show-live": "true"},
			map[string]string{"expect-version-id": "nothing"}, map[string]string{"show-changes": "all"},
		))
	} else if r := randomFor(s.seed, "show-live"); chance(r, 0.05) {
		w = stepRequest{agent: w.agent, timeout: w.timeout, showLive: true, inputs: map[string]string{
			"agent-id": w.agent, "timeout": w.timeout.String(), "max-retries": w.inputs["max-retries"], "version-id": "", "show-live": "true",
		}}
	}
	return w
}

// drawSafeguards draws what must be true for the change to be made, and how much of it is shown.
func (w *stepRequest) drawSafeguards(s *simulatedAPI) {
	r := randomFor(s.seed, "safeguards")
	if chance(r, 0.2) {
		w.expects, w.expect = true, s.history[0].after.live[w.agent]
		if chance(r, 0.25) {
			w.expect = pick(r, "", pick(r, s.versions[w.agent]...).id)
		}
		w.inputs["expect-version-id"] = cmp.Or(w.expect, "none")
	}
	if chance(r, 0.15) && !w.unpublish() {
		w.onlyNewer = true
		w.inputs["only-newer"] = "true"
	}
	w.inputs["show-changes"] = pick(r, "", "names", "full", "off")
}

// drawNumber draws what is requested in one direction.
func (w *stepRequest) drawNumber(r *rand.Rand, s *simulatedAPI, d direction) {
	if chance(r, 0.5) {
		return
	}
	w.asks[d] = true
	number := pick(r, s.numbers...)
	if own := s.history[0].after.numbers(w.agent, d); len(own) > 0 && chance(r, 0.3) {
		number = s.numbers[slices.IndexFunc(s.numbers, func(n simulatedNumber) bool { return n.id == own[0] })]
	}
	switch input := d.String() + "-phone-number"; {
	case chance(r, 0.2):
		w.inputs[input+"-id"] = "none"
	case chance(r, 0.5):
		w.inputs[input+"-id"], w.numbers[d] = number.id, []string{number.id}
		if chance(r, 0.04) {
			w.inputs[input+"-id"], w.numbers[d] = simulatedNumberID(9999), []string{simulatedNumberID(9999)}
		}
	default:
		w.byNumber[d] = true
		w.inputs[input] = spacedNumber(r, number.number)
		for _, n := range s.numbers {
			if n.number == number.number {
				w.numbers[d] = append(w.numbers[d], n.id)
			}
		}
	}
}

// spacedNumber adds separators to a number: "+34 910-000.002".
func spacedNumber(r *rand.Rand, number string) string {
	var text strings.Builder
	for i, digit := range number {
		if i > 2 && i < len(number)-1 && chance(r, 0.3) {
			text.WriteString(pick(r, " ", "-", "."))
		}
		text.WriteRune(digit)
	}
	return text.String()
}

// scheduleOtherWriter makes another writer change the state at some time, in some runs. It never does what the step is
// asked to do.
func (s *simulatedAPI) scheduleOtherWriter(w stepRequest) {
	r := randomFor(s.seed, "another writer")
	if !chance(r, 0.12) {
		return
	}
	for range 1 + r.IntN(2) {
		version := pick(r, s.versions[w.agent]...)
		number, d, owner := pick(r, s.numbers...), pick(r, bothDirections[:]...), pick(r, "", s.agents[0], s.agents[1])
		publishes := chance(r, 0.6) && !slices.Contains(w.versions, version.id) && !version.draft
		s.scheduled = append(s.scheduled, scheduledEvent{pick(r, 0, 1, 1, 2), randomDuration(r, 0, pick(r, 100*time.Millisecond, 3*time.Second, 40*time.Second)), func() {
			next := s.now().clone()
			if publishes {
				next.live[w.agent] = version.id
			} else if number.status == "assigned" {
				next.bind(number.id, d, owner)
			}
			s.setState(next, nil)
		}})
	}
}

// A simulatedRun is everything known about a run once everything that it started has ended.
type simulatedRun struct {
	stepRequest
	api        *simulatedAPI
	start, end time.Time
	signal     syscall.Signal // 0: none came
	signalled  time.Time
	res        result
}

// simulate draws an API and runs a step against it, in virtual time.
func simulate(t *testing.T, seed uint64) *simulatedRun {
	s := newSimulatedAPI(seed)
	a := &simulatedRun{stepRequest: newStepRequest(s), api: s}
	s.scheduleOtherWriter(a.stepRequest)
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	if r := randomFor(seed, "signal"); chance(r, 0.15) {
		signal := pick(r, syscall.SIGINT, syscall.SIGTERM)
		s.scheduled = append(s.scheduled, scheduledEvent{pick(r, 0, 1, 1, 2, 3), randomDuration(r, 0, pick(r, 100*time.Millisecond, 4*time.Second, 50*time.Second)), func() {
			if a.end.IsZero() {
				a.signal, a.signalled = signal, time.Now()
				s.note("SIGNAL %s", signal)
				cancel(publish.Signal{Signal: signal})
			}
		}})
	}

	l := newMemoryNetwork()
	var serving sync.WaitGroup
	serving.Go(func() { _ = s.Serve(l) })
	s.startClock()
	a.start = time.Now()
	a.res = scenario{
		inputs: a.inputs, ctx: ctx,
		dial: func(ctx context.Context, _, _ string) (net.Conn, error) { return s.dial(ctx, l) },
		jitter: func(limit time.Duration) time.Duration {
			// By time, because concurrent reads arrive in any order.
			return time.Duration(randomFor(seed, fmt.Sprint("jitter ", time.Since(a.start))).Int64N(int64(limit)))
		},
	}.run(t)
	s.mu.Lock()
	a.end = time.Now()
	s.note("END    exit status %d", a.res.exit)
	s.mu.Unlock()

	s.pending.Wait()                    // requests in flight arrive
	time.Sleep(longestDial + time.Hour) // and let abandoned work end
	_ = s.Close()
	l.Close()
	serving.Wait()
	return a
}

func (a *simulatedRun) status() string { return a.res.outputs["status"] }

// patches returns the requests for the change that arrived.
func (a *simulatedRun) patches() []*exchange {
	return a.exchanges(func(x *exchange) bool { return x.method == http.MethodPatch })
}

func (a *simulatedRun) exchanges(which func(*exchange) bool) []*exchange {
	var list []*exchange
	for _, x := range a.api.exchanges {
		if which(x) {
			list = append(list, x)
		}
	}
	return list
}

// reads returns the reads before the first request for the change, and those after the last one.
func (a *simulatedRun) reads() (before, between, after []*exchange) {
	left := len(a.patches())
	first := true
	for _, x := range a.api.exchanges {
		switch {
		case x.method == http.MethodPatch:
			left--
			first = false
		case first:
			before = append(before, x)
		case left > 0:
			between = append(between, x)
		default:
			after = append(after, x)
		}
	}
	return before, between, after
}

func (a *simulatedRun) allReads() []*exchange {
	before, between, after := a.reads()
	return slices.Concat(before, between, after)
}

// sawLive lists what reads showed the step as live; empty stands for a whole list of versions in which none
// is published, or which another writer may have changed between two pages.
func (a *simulatedRun) sawLive(reads ...*exchange) (seen []string) {
	for _, x := range reads {
		if !x.answered || x.apiAnswer.status != http.StatusOK || x.outcome.fault != "" && x.outcome.class != apiAnswered {
			continue
		}
		switch live := x.shownState.live[a.agent]; {
		case strings.HasSuffix(x.query, "is_published=true") && live != "":
			seen = append(seen, live)
		case x.path == "/v1/agent/"+a.agent+"/version" && x.lastPage && (live == "" || a.otherWriter(x.at)):
			seen = append(seen, "")
		}
	}
	return seen
}

// isNewer reports whether a version has a higher number than another.
func (a *simulatedRun) isNewer(id, than string) bool {
	number := func(id string) int {
		versions := a.api.versions[a.agent]
		return versions[slices.IndexFunc(versions, func(v simulatedVersion) bool { return v.id == id })].number
	}
	return number(id) > number(than)
}

// readBackWorked reports whether the step read back after its last request for the change, and every read got a correct
// response.
func (a *simulatedRun) readBackWorked() bool {
	patches := a.patches()
	_, _, after := a.reads()
	return len(patches) > 0 && len(after) > 0 && !patches[len(patches)-1].closesAfterReply() && !a.networkFailedLate() &&
		!slices.ContainsFunc(after, func(x *exchange) bool { return !x.good() || x.closesAfterReply() })
}

// otherWriter reports whether another writer changed anything until t.
func (a *simulatedRun) otherWriter(t time.Time) bool {
	return slices.ContainsFunc(a.api.history[1:], func(m stateChange) bool { return m.by == nil && !m.at.After(t) })
}

// states are those that were true between two times.
func (a *simulatedRun) states(from, to time.Time) []apiState {
	states := []apiState{a.api.at(from)}
	for _, m := range a.api.history {
		if m.at.After(from) && !m.at.After(to) {
			states = append(states, m.after)
		}
	}
	return states
}

// numbersUnreadable reports whether the step tried but failed to read the agent's numbers in one direction before the
// change.
func (a *simulatedRun) numbersUnreadable(d direction) bool {
	return a.readFailed(func(x *exchange) bool {
		query, err := url.ParseQuery(x.query)
		of := query.Get(bothDirections[1-d].String() + "_agent_id")
		return x.path == "/v1/phone/" && err == nil && (of == "" || query.Get(d.String()+"_agent_id") != "")
	})
}

// numberUnreadable reports the same for a number given by ID.
func (a *simulatedRun) numberUnreadable(id string, d direction) bool {
	return !a.byNumber[d] && a.readFailed(func(x *exchange) bool { return x.path == "/v1/phone/"+id })
}

// readFailed reports whether a read of this kind, or a connection, may have failed before the change.
func (a *simulatedRun) readFailed(kind func(*exchange) bool) bool {
	before, _, _ := a.reads()
	patches := a.patches()
	return a.api.behavior.numberReads != "" ||
		slices.ContainsFunc(before, func(x *exchange) bool { return kind(x) && !x.good() || x.closesAfterReply() }) ||
		slices.ContainsFunc(a.api.dials, func(d dialAttempt) bool { return d.fault != "" && !d.at.After(patches[0].at) })
}

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
			return "the requested change is not in effect"
		}
		// Another writer may come between two reads: each part must have been true, but not simultaneously.
		was := make([]bool, len(a.parts(a.api.at(a.end))))
		for _, state := range a.states(patches[0].at.Add(-replicaLag), a.end) {
			for i, is := range a.parts(state) {
				was[i] = was[i] || is
			}
		}
		if slices.Contains(was, false) {
			return "the requested change was never in effect"
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
			return "" // it was in effect all the time, but a refusal is still a failure
		}
		return "the requested change is in effect"
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

// unrequestedChange says what a request changed without being asked to.
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

// allowedChange reports whether a request may have changed a number from was to is in one direction.
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
		return true // released, or replaced by the requested number
	case len(m.before.numbers(a.agent, d)) > 1:
		return true // which one to send along cannot be known; a warning is due
	default:
		return a.api.behavior.dropsLeftOut && a.numbersUnreadable(d)
	}
}

// warnsAbout reports whether a warning names a phone number, by its ID or in E.164 form.
func (a *simulatedRun) warnsAbout(id string) bool {
	number := a.api.numbers[slices.IndexFunc(a.api.numbers, func(n simulatedNumber) bool { return n.id == id })].number
	for _, annotation := range a.res.log.Annotations() {
		if annotation.Level == "warning" && (strings.Contains(annotation.Message, id) || strings.Contains(strings.ReplaceAll(annotation.Message, " ", ""), number)) {
			return true
		}
	}
	return false
}

// unknownReason returns why the step cannot know what is in effect; empty: it can.
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

// trace describes a run, for finding out what went wrong.
func (a *simulatedRun) trace() string {
	var text strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&text, format+"\n", args...) }
	line("go test ./publish -run '^TestSimulation$' -seed %d", a.api.seed)
	line("inputs:")
	for _, name := range slices.Sorted(maps.Keys(a.inputs)) {
		line("  %s: %s", name, shortenIDs(a.inputs[name]))
	}
	line("world: %+v\n  %+v", a.api.behavior, a.api.rates)
	line("  at first: %s", a.api.history[0].after)
	for _, n := range a.api.numbers[:min(len(a.api.numbers), 10)] {
		line("  %s: %s, %s", shortID(n.id), n.number, n.status)
	}
	for _, e := range a.api.events {
		line("%9.3f %s", e.at.Sub(a.start).Seconds(), e.text)
	}
	line("log:\n%s", shortenIDs(a.res.stdout+a.res.stderr))
	for _, name := range slices.Sorted(maps.Keys(a.res.outputs)) {
		line("%s=%s", name, shortenIDs(a.res.outputs[name]))
	}
	return text.String()
}

// statistics counts how runs end.
type statistics struct {
	mu       sync.Mutex
	statuses map[string]int
	changing int // a request for the change arrived
	verified int // and its outcome was decided by a read-back that worked
	unknown  int // of these
	broken   map[string]int
	traces   int
}

func (c *statistics) add(a *simulatedRun, broken map[string]string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.statuses[a.status()]++
	if len(a.patches()) > 0 {
		c.changing++
	}
	confirmed := slices.ContainsFunc(a.patches(), (*exchange).confirmed)
	if !confirmed && a.readBackWorked() {
		c.verified++
		if a.status() == "unknown" {
			c.unknown++
		}
	}
	for name := range broken {
		c.broken[name]++
	}
}

// maxTraces is the number of failed runs that are printed in full.
const maxTraces = 5

// TestSimulation runs the step through made-up days, one for each seed, and holds what it says and does against the
// truth, which the simulated API knows.
func TestSimulation(t *testing.T) {
	c := &statistics{statuses: make(map[string]int), broken: make(map[string]int)}
	day := func(t *testing.T, seed uint64) {
		synctest.Test(t, func(t *testing.T) {
			a := simulate(t, seed)
			broken := a.brokenRules()
			c.add(a, broken)
			for _, name := range slices.Sorted(maps.Keys(broken)) {
				t.Errorf("seed %d: %s: %s", seed, name, broken[name])
			}
			if *oneSeed != 0 {
				t.Log(a.trace())
			} else if t.Failed() && c.logsTrace() {
				t.Log(a.trace())
			}
		})
	}
	if *oneSeed != 0 {
		day(t, *oneSeed)
		return
	}
	const shards = 4
	t.Run("days", func(t *testing.T) {
		for shard := range shards {
			t.Run(strconv.Itoa(shard), func(t *testing.T) {
				t.Parallel()
				for seed := 1 + shard; seed <= *simulations; seed += shards {
					t.Run(strconv.Itoa(seed), func(t *testing.T) { day(t, uint64(seed)) })
				}
			})
		}
	})
	t.Logf("%d days: ended %v; the change was sent on %d, its outcome read back on %d and unknown all the same on %d of these",
		*simulations, c.statuses, c.changing, c.verified, c.unknown)
	if len(c.broken) > 0 {
		t.Logf("broken: %v", c.broken)
	}
	if *simulations < 500 { // too few for a share to mean anything
		return
	}
	if float64(c.unknown) > maxUnknownShare*float64(c.verified) {
		t.Errorf("%d of %d outcomes that were read back are unknown", c.unknown, c.verified)
	}
	if c.statuses["offline"] == 0 {
		t.Error("no run found its agent offline")
	}
	for _, status := range []string{"published", "unpublished", "failed", "unknown", "dry-run", "live"} {
		if c.statuses[status] < *simulations/100 {
			t.Errorf("only %d runs of %d ended %s: too few to say anything about", c.statuses[status], *simulations, status)
		}
	}
	if c.changing < *simulations/2 || c.verified < *simulations/50 {
		t.Error("too few runs sent a change, or read its outcome back, to say anything about")
	}
}

// logsTrace reports whether one more trace may be printed.
func (c *statistics) logsTrace() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.traces++
	return c.traces <= maxTraces
}

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

// addOtherWrite makes another writer change the state some time after the start; with nil the history begins and ends
// with the first state.
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

// losesNumberUnnoticed makes the request for the change release one of two numbers, and every later connection fail.
func (a *simulatedRun) losesNumberUnnoticed() {
	a.api.history[0].after.bind(simulatedNumberID(2), inboundCalls, a.agent)
	a.addOtherWrite(0, nil)
	a.addOwnWrite(func(s apiState) { s.live[a.agent] = a.versions[0]; s.bind(simulatedNumberID(1), inboundCalls, "") })
	a.api.exchanges = a.api.exchanges[:2]
	a.api.dials = []dialAttempt{{a.end, "refused"}}
}

// setStatus changes the status that the step reports.
func (a *simulatedRun) setStatus(status string, exit int) {
	a.res.exit, a.res.outputs["status"] = exit, status
	delete(a.res.outputs, "published-version-id")
}

// setReply changes the response to the request for the change.
func (a *simulatedRun) setReply(reply simulatedReply, class replyMeaning) {
	a.patches()[0].outcome = simulatedOutcome{fault: "made up", class: class, reply: reply}
}
