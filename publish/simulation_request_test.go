package publish_test

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"publish-agent-version/internal/sandbox"
	"publish-agent-version/publish"
)

var bothDirections = [...]sandbox.Direction{sandbox.Inbound, sandbox.Outbound}

// A request of a step is what it is asked for.
type stepRequest struct {
	inputs    map[string]string
	version   string // its id, or
	name      string // its name; neither: none is to be published
	launch    bool   // the draft, if no version has the name
	unpublish bool
	asks      [2]bool     // for something in this direction
	phones    [2][]string // ids that fulfil that; nil: no number is to be bound
	takeOver  bool
	dryRun    bool
	showLive  bool // nothing is asked for but what is live

	expects   bool   // expect is what must be live; empty: none
	expect    string // a version
	onlyNewer bool

	invalid bool // the inputs contradict the contract
	timeout time.Duration
}

// agent is the one that every step is about.
var agent = simulatedAgent(1)

func live(st *sandbox.State, agent string) string {
	id, _, _ := st.Live(agent)
	return id
}

func versionOf(st *sandbox.State, id string) (v sandbox.Version) {
	for _, v := range st.Versions(agent) {
		if v.ID == id {
			return v
		}
	}
	return v
}

// wants reports whether the version, or none, is one that is asked for.
func (q stepRequest) wants(st *sandbox.State, id string) bool {
	v := versionOf(st, id)
	return id == q.version && q.name == "" ||
		q.name != "" && id != "" && !v.Draft && strings.TrimSpace(v.Name) == strings.TrimSpace(q.name)
}

// parts reports what of q is in force in a state: the version, and then each direction that was asked for.
func (q stepRequest) parts(st *sandbox.State) []bool {
	parts := []bool{q.wants(st, live(st, agent))}
	for _, d := range bothDirections {
		if !q.asks[d] {
			continue
		}
		bound := st.Numbers(agent, d)
		is := len(bound) == 0
		if q.phones[d] != nil {
			is = slices.ContainsFunc(bound, func(id string) bool { return slices.Contains(q.phones[d], id) })
		}
		parts = append(parts, is)
	}
	return parts
}

func (q stepRequest) inForce(st *sandbox.State) bool { return !slices.Contains(q.parts(st), false) }

// absent reports whether there is no saved version that is asked for.
func (q stepRequest) absent(st *sandbox.State) bool {
	return !slices.ContainsFunc(st.Versions(agent),
		func(v sandbox.Version) bool { return !v.Draft && q.wants(st, v.ID) })
}

// newStepRequest draws what a step is asked for in a world.
func newStepRequest(w *world) stepRequest {
	r := w.random("request")
	q := stepRequest{timeout: pick(r, time.Second, 5*time.Second, 30*time.Second, time.Minute, 2*time.Minute,
		2*time.Minute, 2*time.Minute, 5*time.Minute)}
	q.inputs = map[string]string{
		"token": w.token, "agent-id": agent, "version-id": "", "timeout": q.timeout.String(),
		"max-retries":  strconv.Itoa(pick(r, 0, 0, 0, 1, 2, 4, 4, 4, 10)),
		"show-changes": pick(r, "", "names", "full", "off"),
	}
	if chance(r, 0.05) {
		q.showLive, q.inputs["show-live"] = true, "true"
		return q
	}
	versions := slices.DeleteFunc(w.first.Versions(agent), func(v sandbox.Version) bool {
		return v.Draft && chance(r, 0.8)
	})
	v := pick(r, versions...)
	if id := live(w.first, agent); id != "" && chance(r, 0.15) {
		v = versionOf(w.first, id)
	}
	switch p := r.Float64(); {
	case p < 0.12:
		q.unpublish, q.inputs["unpublish"] = true, "true"
	case p < 0.32:
		q.launch, q.inputs["launch-draft"] = true, "true"
		q.name = pick(r, "v99", "v99", "v99", "v99", cmp.Or(strings.TrimSpace(v.Name), "v98"))
	case p < 0.5 && v.Name != "":
		q.name = strings.TrimSpace(v.Name)
		if chance(r, 0.04) {
			q.name = "refs/tags/" + q.name
		}
	default:
		q.version, q.inputs["version-id"] = v.ID, v.ID
		if chance(r, 0.1) {
			q.inputs["version-id"] = strings.ToUpper(v.ID)
		}
	}
	q.inputs["version-name"] = q.name
	if q.dryRun = chance(r, 0.06); q.dryRun {
		q.inputs["dry-run"] = "true"
	}
	if chance(r, map[bool]float64{true: 0.5, false: 0.2}[w.busy]) {
		q.expects, q.expect = true, live(w.first, agent)
		if chance(r, 0.15) {
			q.expect = pick(r, "", pick(r, versions...).ID)
		}
		q.inputs["expect-version-id"] = cmp.Or(q.expect, "none")
	}
	if !q.unpublish {
		if q.takeOver = chance(r, 0.2); q.takeOver {
			q.inputs["take-over"] = "true"
		}
		for _, d := range bothDirections {
			q.drawPhone(r, w, d)
		}
		if q.onlyNewer = chance(r, map[bool]float64{true: 0.3, false: 0.15}[w.busy]); q.onlyNewer {
			q.inputs["only-newer"] = "true"
		}
	}
	if chance(r, 0.03) {
		q.invalid = true
		wrong := pick(r, slices.DeleteFunc(inputProblems(), func(p inputProblem) bool {
			return p.name == "token" || !strings.Contains(p.want, ", not ") && !strings.Contains(p.want, "is not valid")
		})...)
		q.inputs[wrong.name] = wrong.value
	}
	return q
}

// drawPhone draws what is asked for in one direction.
func (q *stepRequest) drawPhone(r *rand.Rand, w *world, d sandbox.Direction) {
	if chance(r, 0.5) {
		return
	}
	q.asks[d] = true
	all := w.first.Phones()
	phone := pick(r, all...)
	if owner := w.first.Owner(phone.ID, d); !isAssigned(phone) || owner != "" && owner != agent && !q.takeOver {
		phone = pick(r, all...) // it could only be refused
	}
	if own := w.first.Numbers(agent, d); len(own) > 0 && chance(r, 0.3) {
		phone = all[slices.IndexFunc(all, func(p sandbox.Phone) bool { return p.ID == own[0] })]
	}
	switch input := d.String() + "-phone-number"; {
	case chance(r, 0.2):
		q.inputs[input+"-id"] = "none"
	case chance(r, 0.5):
		id := phone.ID
		if chance(r, 0.04) {
			id = simulatedPhone(9999)
		}
		q.inputs[input+"-id"], q.phones[d] = id, []string{id}
	default:
		q.phones[d] = []string{}
		text, matches := w.write(r, phone.Number)
		q.inputs[input] = text
		for _, p := range all {
			if matches && p.Number == phone.Number {
				q.phones[d] = append(q.phones[d], p.ID)
			}
		}
	}
}

// isAssigned reports whether the API has no objection to binding the number.
func isAssigned(p sandbox.Phone) bool {
	return slices.Contains([]string{"assigned", "Assigned", "suspended"}, p.Status)
}

// write writes a number as somebody might, and reports whether it is the same number as the API writes.
func (w *world) write(r *rand.Rand, number string) (text string, matches bool) {
	if !strings.HasPrefix(number, "+") {
		return pick(r, "", "sip:", "SIP:") + pick(r, number, strings.ToUpper(number)) + pick(r, "", ";transport=tcp"),
			true
	}
	apiIsNational := w.is.Notation != nil && w.is.Notation(number) == national(number)
	if chance(r, map[bool]float64{true: 0.9, false: 0.05}[apiIsNational]) {
		return pick(r, national(number), strings.TrimPrefix(number, "+34")), apiIsNational
	}
	spread := ""
	for i, digit := range number {
		if i > 2 && i < len(number)-1 && chance(r, 0.3) {
			spread += pick(r, " ", "-", ".", "\u00a0", "\u2011")
		}
		spread += string(digit)
	}
	return pick(r, number, number[1:], spread, rfc3966(number), international(number),
		"tel:"+number+";ext=12"), !apiIsNational
}

// scheduleOthers has other people change the world at some time, on some days. They never do what the step is asked
// for, but for one who launches the same draft.
func (w *world) scheduleOthers(q stepRequest) {
	r := w.random("others")
	if !w.busy && !chance(r, 0.15) {
		return
	}
	for range 1 + r.IntN(2) {
		v, phone := pick(r, w.first.Versions(agent)...), pick(r, w.first.Phones()...)
		d, owner := pick(r, bothDirections[:]...), pick(r, "", simulatedAgent(1), simulatedAgent(1), simulatedAgent(2))
		what := func() { w.Bind(phone.ID, d, owner) }
		switch p := r.Float64(); {
		case p < 0.55 && !q.wants(w.first, v.ID) && !v.Draft:
			what = func() { w.SetPublished(agent, v.ID) }
		case p < 0.6 && !q.unpublish:
			what = func() { w.SetPublished(agent, "") }
		case p < 0.7 && q.launch:
			what = func() { w.AddVersion(agent, sandbox.Version{Name: q.name}) }
		case phone.Status == "RELEASED":
			continue
		}
		w.scheduled = append(w.scheduled, scheduledEvent{pick(r, 0, 1, 2, 3, 3, 4, 4, 5, 6),
			between(r, 0, pick(r, 100*time.Millisecond, 3*time.Second, 15*time.Second, 60*time.Second)), func() {
				w.note("ANOTHER WRITER")
				what()
			}})
	}
}

// A day is all that is known of a run when everything that it set in motion has come to rest.
type day struct {
	stepRequest
	*world
	changes   []sandbox.Change
	requests  []sandbox.Request
	end       time.Time
	signal    syscall.Signal // 0: none came
	signalled time.Time
	res       result
}

// simulate makes up a day and runs a step in it. It runs in a bubble of virtual time.
func simulate(t *testing.T, seed uint64) *day {
	w := newWorld(seed)
	a := &day{stepRequest: newStepRequest(w), world: w}
	w.scheduleOthers(a.stepRequest)
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	if r := w.random("signal"); chance(r, 0.12) {
		signal := pick(r, syscall.SIGINT, syscall.SIGTERM)
		after := between(r, 0, pick(r, 100*time.Millisecond, 4*time.Second, 50*time.Second))
		w.scheduled = append(w.scheduled, scheduledEvent{pick(r, 0, 1, 2, 3, 4, 4, 5), after, func() {
			w.mu.Lock()
			defer w.mu.Unlock()
			if a.end.IsZero() {
				a.signal, a.signalled = signal, time.Now()
				w.note("SIGNAL %s", signal)
				cancel(publish.Signal{Signal: signal})
			}
		}})
	}
	server := &http.Server{Handler: w, ConnContext: func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, connKey{}, c)
	}}
	l, stop := serveInMemory(server, 0)
	w.release(0)
	a.res = scenario{
		inputs: a.inputs, ctx: ctx,
		dial: func(ctx context.Context, _, _ string) (net.Conn, error) { return w.dial(ctx, l) },
		jitter: func(limit time.Duration) time.Duration { // by the time of day, as concurrent reads ask in any order
			return time.Duration(w.random(fmt.Sprint("jitter ", time.Since(w.start))).Int64N(int64(limit)))
		},
	}.run(t)
	w.mu.Lock()
	a.end = time.Now()
	w.note("END exit status %d", a.res.exit)
	w.mu.Unlock()

	time.Sleep(2 * time.Hour) //nolint:forbidigo // in virtual time: what is still on its way arrives, or ends
	stop()
	a.changes, a.requests = w.Changes(), w.Requests()
	for i, c := range a.changes {
		if c.State == w.first {
			a.changes = a.changes[i:] // that is how the world was made
			break
		}
	}
	return a
}

func (a *day) status() string { return a.res.outputs["status"] }

// sent returns the requests with a method that arrived.
func (a *day) sent(method string) (list []*exchange) {
	for _, x := range a.exchanges {
		if x.is(method) {
			list = append(list, x)
		}
	}
	return list
}

func (a *day) patches() []*exchange { return a.sent(http.MethodPatch) }

// readsAfter returns the reads that came after the last request for the change that arrived, or was lost on its way.
func (a *day) readsAfter() []*exchange {
	var last time.Time
	if patches := a.patches(); len(patches) > 0 {
		last = patches[len(patches)-1].end
	} else if len(a.broken) > 0 {
		last = a.broken[0]
	}
	return slices.DeleteFunc(a.sent(http.MethodGet),
		func(x *exchange) bool { return last.IsZero() || x.at.Before(last) })
}

// at is the true state at a time.
func (a *day) at(t time.Time) *sandbox.State {
	st := a.changes[0].State
	for _, c := range a.changes {
		if !c.Time.After(t) {
			st = c.State
		}
	}
	return st
}

// states are those that were true at a time, and those that followed until another.
func (a *day) states(from, to time.Time) []*sandbox.State {
	if to.Before(from) {
		from = to
	}
	list := []*sandbox.State{a.at(from)}
	for _, c := range a.changes {
		if c.Time.After(from) && !c.Time.After(to) {
			list = append(list, c.State)
		}
	}
	return list
}

// others reports whether another writer changed anything until t.
func (a *day) others(t time.Time) bool {
	return slices.ContainsFunc(a.changes[1:], func(c sandbox.Change) bool { return c.Request < 0 && !c.Time.After(t) })
}
