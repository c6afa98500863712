package publish_test

import (
	"cmp"
	"context"
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
	"time"

	"publish-agent-version/publish"
)

// A stepRequest is what a step is asked for.
type stepRequest struct {
	inputs   map[string]string
	agent    string
	versions []string    // that fulfil it; one empty one: nothing is to be published
	asks     [2]bool     // for something in this direction
	numbers  [2][]string // ids that fulfil that; nil: no number is to be bound
	byNumber [2]bool     // the number is given as people write it
	takeOver bool
	dryRun   bool
	showLive bool // nothing is asked for but what is live

	expects   bool   // expect is what must be live; empty: none
	expect    string // a version
	onlyNewer bool

	invalid bool // the inputs contradict the contract
	timeout time.Duration
}

func (w stepRequest) unpublish() bool { return slices.Equal(w.versions, []string{""}) }

// parts reports what of w is in force in a state: the version, and then each direction that was asked for.
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

// newStepRequest draws what a step is asked for in the world of s.
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

// drawNumber draws what is asked for in one direction.
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

// spacedNumber spreads a number out: "+34 910-000.002".
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

// scheduleOtherWriter has another writer change the world at some time, on some days. It never does what the step is asked for.
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

// A simulatedRun is all that is known of a run when everything that it set in motion has come to rest.
type simulatedRun struct {
	stepRequest
	api        *simulatedAPI
	start, end time.Time
	signal     syscall.Signal // 0: none came
	signalled  time.Time
	res        result
}

// simulate makes up a day and runs a step in it. It runs in a bubble of virtual time.
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
			// By the time of day, because concurrent reads ask in any order.
			return time.Duration(randomFor(seed, fmt.Sprint("jitter ", time.Since(a.start))).Int64N(int64(limit)))
		},
	}.run(t)
	s.mu.Lock()
	a.end = time.Now()
	s.note("END    exit status %d", a.res.exit)
	s.mu.Unlock()

	s.pending.Wait()                    // what is still on its way arrives
	time.Sleep(longestDial + time.Hour) //nolint:forbidigo // in virtual time: and what nobody waits for any more ends
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

// readBackWorked reports whether the step looked after its last request for the change, and every read was answered as
// it should be.
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

// states are those that were true from a time on, and those that followed until another.
func (a *simulatedRun) states(from, to time.Time) []apiState {
	states := []apiState{a.api.at(from)}
	for _, m := range a.api.history {
		if m.at.After(from) && !m.at.After(to) {
			states = append(states, m.after)
		}
	}
	return states
}

// numbersUnreadable reports whether the agent's numbers in one direction could not be read before the change, although the step
// tried: one that does not try is not excused.
func (a *simulatedRun) numbersUnreadable(d direction) bool {
	return a.readFailed(func(x *exchange) bool {
		query, err := url.ParseQuery(x.query)
		of := query.Get(bothDirections[1-d].String() + "_agent_id")
		return x.path == "/v1/phone/" && err == nil && (of == "" || query.Get(d.String()+"_agent_id") != "")
	})
}

// numberUnreadable reports the same of a number that is given by its id.
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
