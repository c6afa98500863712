package publish_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"publish-agent-version/internal/sandbox"
)

// This file is the API of TestSimulation: a small state behind an unreliable network and gateway. It is written from
// the API's description alone. It shares nothing with the client under test, and only a token with the sandbox: a
// mistake shared by all three would never be found.

// replicaLag is the maximum lag of a read behind the true state.
const replicaLag = 900 * time.Millisecond

// longestDial is how long an unanswered connection takes to fail, as on Linux.
const longestDial = 127 * time.Second

// A direction is the direction of calls on a phone number.
type direction int

const (
	inboundCalls direction = iota
	outboundCalls
)

var bothDirections = [2]direction{inboundCalls, outboundCalls}

func (d direction) String() string { return [2]string{"inbound", "outbound"}[d] }

// apiState is everything that a request can change. It is immutable once it is in the history.
type apiState struct {
	live  map[string]string    // the published version of each agent; empty: none
	bound map[string][2]string // the agent of each number in either direction; empty: none
}

func (s apiState) clone() apiState { return apiState{maps.Clone(s.live), maps.Clone(s.bound)} }

// numbers returns the ids of the numbers that are bound to agent, in order.
func (s apiState) numbers(agent string, d direction) []string {
	var ids []string
	for id, owners := range s.bound {
		if owners[d] == agent {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

func (s apiState) bind(id string, d direction, agent string) {
	owners := s.bound[id]
	owners[d] = agent
	s.bound[id] = owners
}

// difference lists the changes from s to next, for the trace.
func (s apiState) difference(next apiState) []string {
	var list []string
	for _, agent := range slices.Sorted(maps.Keys(next.live)) {
		if was, is := s.live[agent], next.live[agent]; was != is {
			list = append(list, fmt.Sprintf("%s: %s → %s", shortID(agent), shortID(was), shortID(is)))
		}
	}
	for _, id := range slices.Sorted(maps.Keys(next.bound)) {
		for _, d := range bothDirections {
			if was, is := s.bound[id][d], next.bound[id][d]; was != is {
				list = append(list, fmt.Sprintf("%s %s: %s → %s", shortID(id), d, shortID(was), shortID(is)))
			}
		}
	}
	return list
}

func (s apiState) String() string {
	empty := apiState{map[string]string{}, map[string][2]string{}}
	return strings.Join(empty.difference(s), ", ")
}

// Simulated IDs are readable: "a…1" is the agent of number 1, "b…1…07" its version 7, "c…3" a phone number. shortID is
// their form in a trace.
func simulatedAgentID(n int) string { return fmt.Sprintf("a0000000-0000-4000-8000-%012d", n) }
func simulatedVersionID(a, n int) string {
	return fmt.Sprintf("b0000000-0000-4000-8000-%04d%08d", a, n)
}
func simulatedNumberID(n int) string { return fmt.Sprintf("c0000000-0000-4000-8000-%012d", n) }

func shortID(id string) string {
	if len(id) != 36 {
		return map[bool]string{true: "none", false: id}[id == ""]
	}
	tail := strings.TrimLeft(id[28:], "0")
	switch id[0] {
	case 'a':
		return "agent " + tail
	case 'b':
		return "version " + strings.TrimLeft(id[24:28], "0") + "/" + tail
	default:
		return "number " + tail
	}
}

// shortenIDs returns text with every simulated ID in its short form.
func shortenIDs(text string) string {
	var out strings.Builder
	for i := 0; i < len(text); i++ {
		if i+36 <= len(text) && strings.HasPrefix(text[i+1:], "0000000-0000-4000-8000-") && text[i] >= 'a' && text[i] <= 'c' {
			out.WriteString("<" + shortID(text[i:i+36]) + ">")
			i += 35
			continue
		}
		out.WriteByte(text[i])
	}
	return out.String()
}

// simulatedVersion and simulatedNumber are never changed by requests.
type simulatedVersion struct {
	id, name string // the name may be empty
	number   int
	draft    bool
}

type simulatedNumber struct{ id, number, status string }

// apiBehavior is the behavior that the API's description leaves open, and that is constant during a run.
type apiBehavior struct {
	dropsLeftOut      bool   // a number that a request omits is released, not kept
	takesInUse        bool   // a number that another agent has is taken from it, not refused
	releasesOthers    bool   // binding one number releases the agent's others in that direction
	unpublishReleases bool   // unpublishing releases the agent's numbers
	tellsKept         bool   // the response names a bound number that the request omitted
	nothingLive       int    // the response to reading the published version when there is none
	numberReads       string // empty: as described; "absent", "forbidden" or "failing"
	lags              bool   // some reads come from a replica
	perSecond         int    // requests allowed per second; 0: no limit
	saysWhen          bool   // a rejected request is told when to retry
}

// faultRates are the probabilities of faults.
type faultRates struct {
	change, read, connect float64
	kinds                 []int // the faults that occur; indices into faults
}

// A stateChange is a change of the true state.
type stateChange struct {
	at            time.Time
	by            *exchange // the request; nil: another writer, or the beginning
	before, after apiState
}

// An exchange is a request and its outcome.
type exchange struct {
	method, path, query string
	n                   int // of the requests with this method, path and query, from 1
	at                  time.Time
	agent               string    // in the path
	body                patchBody // of a PATCH
	outcome             simulatedOutcome
	apiAnswer           simulatedReply // the API's own response
	shownState          apiState
	stale               bool      // shown was no longer true when the request arrived
	lastPage            bool      // a page after which no more follow
	endedAt             time.Time // when the client had its response or disconnected; zero: never
	answered            bool      // the whole response reached a client that was still connected
}

func (x *exchange) key() string {
	key := x.method + " " + x.path
	if x.query != "" {
		key += "?" + x.query
	}
	return key
}

// good reports whether the read was answered at once and as the API's description says.
func (x *exchange) good() bool {
	return x.answered && x.outcome.fault == "" && x.apiAnswer.status == http.StatusOK
}

// settled reports whether the response is proof that this request will change nothing more.
func (x *exchange) settled() bool {
	return x.answered && x.status() != http.StatusOK && x.outcome.class != mayApplyLater
}

// refused reports whether the response was a 3xx, or a 4xx other than 408.
func (x *exchange) refused() bool {
	return x.answered && x.status() >= 300 && x.status() < 500 && x.status() != http.StatusRequestTimeout && x.outcome.class != mayApplyLater
}

// closesAfterReply reports whether the server closed the connection after a complete response, without announcing it.
// The next request on that connection may be lost.
func (x *exchange) closesAfterReply() bool { return x.answered && x.outcome.ending != keepOpen }

// confirmed reports whether the response was the API's own 200.
func (x *exchange) confirmed() bool {
	return x.answered && x.status() == http.StatusOK && x.outcome.class != mayApplyLater
}

func (x *exchange) status() int {
	if x.outcome.fault == "" || x.outcome.reply.status == 0 {
		return x.apiAnswer.status
	}
	return x.outcome.reply.status
}

// patchBody is the body of a PATCH.
type patchBody struct {
	version string
	given   [2]bool   // a direction's field is present
	number  [2]string // its value; empty: null
}

// simulatedReply is a response before it is cut off, slowed down or lost.
type simulatedReply struct {
	status  int
	body    string
	headers []string
}

func (r simulatedReply) raw() string { return respond(r.status, r.body, r.headers...).raw }

const jsonBody = "Content-Type: application/json"

func jsonReply(status int, value any) simulatedReply {
	data, err := json.Marshal(value)
	if err != nil {
		panic(err) // a bug in this test
	}
	return simulatedReply{status, string(data), []string{jsonBody}}
}

// simulatedError is an error with the API's error body.
func simulatedError(status int, code, message string) simulatedReply {
	return jsonReply(status, map[string]string{"status": "error", "error_code": code, "message": message})
}

// A replyMeaning is what a response says about its request.
type replyMeaning int

const (
	apiAnswered   replyMeaning = iota // the API's own response: it has done what the response says
	neverApplied                      // never applied: 3xx, and 4xx except 408
	appliedOrNot                      // an error with the API's error body: applied by now, or never
	mayApplyLater                     // may be applied at any moment
)

// A simulatedOutcome is what happens to one request.
type simulatedOutcome struct {
	fault   string // empty: none
	class   replyMeaning
	applies bool
	after   time.Duration  // after the request arrived, when it is applied
	delay   time.Duration  // before the response
	reply   simulatedReply // status 0: the API's own
	cut     float64        // the fraction of the response that is sent; 0: all of it
	pace    time.Duration  // before each of its bytes
	ending  connEnd        // what happens to the connection
	mute    bool           // no response at all
	lag     time.Duration  // of the replica that a read is served from
}

func (f simulatedOutcome) String() string {
	text := f.fault
	if text == "" {
		text = "none"
	}
	if f.class == mayApplyLater || f.class == appliedOrNot {
		text += map[bool]string{true: fmt.Sprintf(", applied after %s", f.after), false: ", never applied"}[f.applies]
	}
	if f.delay > 0 {
		text += fmt.Sprintf(", answered after %s", f.delay)
	}
	if f.ending == closeConn && !f.mute {
		text += ", then closed"
	}
	if f.lag > 0 {
		text += fmt.Sprintf(", from %s ago", f.lag)
	}
	return text
}

// faults lists everything that can happen to a request, with weights. Whether and when an unanswered request is applied
// is drawn separately.
var faults = []struct {
	name   string
	weight int
	class  replyMeaning
	draw   func(r *rand.Rand, x *exchange, f *simulatedOutcome)
}{
	{"the API's own 500", 5, appliedOrNot, func(r *rand.Rand, _ *exchange, f *simulatedOutcome) {
		f.reply = simulatedError(500, "INTERNAL_SERVER_ERROR", "Error: Internal Server Error")
	}},
	{"the API's own 503 or 408", 2, appliedOrNot, func(r *rand.Rand, _ *exchange, f *simulatedOutcome) {
		f.reply = simulatedError(pick(r, 503, 408, 504), pick(r, "BUSY", "DEADLINE_EXCEEDED"), "try again")
	}},
	{"the API's own 400, 403 or 404", 1, neverApplied, func(r *rand.Rand, _ *exchange, f *simulatedOutcome) {
		f.reply = pick(r, simulatedError(400, "BAD_PARAMETER", "Invalid phone number configuration or version"),
			simulatedError(403, "INTERNAL_SERVER_ERROR", "Missing required permissions"), simulatedError(404, "AGENT_NOT_FOUND", "Agent not found"))
	}},
	{"422", 1, neverApplied, func(_ *rand.Rand, _ *exchange, f *simulatedOutcome) {
		f.reply = simulatedReply{422, `{"detail":[{"loc":["body","version_id"],"msg":"Input should be a valid UUID","type":"uuid_parsing"}]}`, []string{jsonBody}}
	}},
	{"429", 3, neverApplied, func(r *rand.Rand, _ *exchange, f *simulatedOutcome) {
		f.reply = pick(r, simulatedError(429, "RATE_LIMITED", "slow down"), simulatedReply{429, "", nil}, simulatedReply{429, `{"detail":"Too Many Requests"}`, []string{jsonBody}})
		if r.IntN(2) == 0 {
			f.reply.headers = append(f.reply.headers, "Retry-After: "+pick(r, "0", "1", "2", "7", "20", "3600"))
		}
	}},
	{"redirect", 1, neverApplied, func(r *rand.Rand, x *exchange, f *simulatedOutcome) {
		f.reply = simulatedReply{pick(r, 301, 302, 307, 308), "", []string{"Location: " + pick(r, "http://diga"+x.path+"/", "https://sso.example/login", "/")}}
	}},
	{"a gateway's page", 6, mayApplyLater, func(r *rand.Rand, _ *exchange, f *simulatedOutcome) {
		status := pick(r, 502, 503, 503, 504, 504, 500, 520, 524, 408)
		f.reply = pick(r, simulatedReply{status, "<html><head><title>Error</title></head><body><h1>Bad</h1></body></html>", []string{"Content-Type: text/html"}},
			simulatedReply{status, "", nil}, simulatedReply{status, "upstream connect error or disconnect", []string{"Content-Type: text/plain"}},
			simulatedReply{status, `{"message":"Endpoint request timed out"}`, []string{jsonBody}}, simulatedReply{status, `{"detail":"Internal Server Error"}`, []string{jsonBody}})
		if r.IntN(6) == 0 {
			f.reply.headers = append(f.reply.headers, "Retry-After: "+pick(r, "1", "5", "60"))
		}
	}},
	{"slow", 3, apiAnswered, func(r *rand.Rand, _ *exchange, f *simulatedOutcome) {
		f.delay = randomDuration(r, time.Second, pick(r, 2*time.Second, 8*time.Second, 25*time.Second, 45*time.Second))
	}},
	{"slow gateway", 2, mayApplyLater, func(r *rand.Rand, _ *exchange, f *simulatedOutcome) {
		f.delay, f.reply = randomDuration(r, time.Second, 40*time.Second), simulatedReply{504, "<html><body>504 Gateway Time-out</body></html>", []string{"Content-Type: text/html"}}
	}},
	{"slow 500 of the API's own", 1, appliedOrNot, func(r *rand.Rand, _ *exchange, f *simulatedOutcome) {
		f.delay, f.reply = randomDuration(r, time.Second, 20*time.Second), simulatedError(500, "INTERNAL_SERVER_ERROR", "Error: Internal Server Error")
	}},
	{"reset", 4, mayApplyLater, func(_ *rand.Rand, _ *exchange, f *simulatedOutcome) { f.mute, f.ending = true, resetConn }},
	{"reset after a while", 1, mayApplyLater, func(r *rand.Rand, _ *exchange, f *simulatedOutcome) {
		f.mute, f.ending, f.delay = true, resetConn, randomDuration(r, time.Second, 20*time.Second)
	}},
	{"closed without a word", 2, mayApplyLater, func(_ *rand.Rand, _ *exchange, f *simulatedOutcome) { f.mute, f.ending = true, closeConn }},
	{"silence", 2, mayApplyLater, func(_ *rand.Rand, _ *exchange, f *simulatedOutcome) { f.mute, f.ending = true, hang }},
	{"truncated", 3, mayApplyLater, func(r *rand.Rand, _ *exchange, f *simulatedOutcome) {
		f.cut, f.ending = 0.2+0.7*r.Float64(), pick(r, closeConn, resetConn, hang)
	}},
	{"truncated error", 1, mayApplyLater, func(r *rand.Rand, _ *exchange, f *simulatedOutcome) {
		f.reply = simulatedError(500, "INTERNAL_SERVER_ERROR", strings.Repeat("Error: ", 20))
		f.cut, f.ending = 0.8, pick(r, closeConn, resetConn, hang)
	}},
	{"trickling", 2, apiAnswered, func(r *rand.Rand, _ *exchange, f *simulatedOutcome) {
		f.pace = randomDuration(r, 5*time.Millisecond, 300*time.Millisecond)
	}},
	{"nonsense", 2, mayApplyLater, func(r *rand.Rand, _ *exchange, f *simulatedOutcome) {
		f.reply = pick(r, simulatedReply{200, "<html><body>It works!</body></html>", nil}, simulatedReply{200, "", nil}, simulatedReply{200, "null", []string{jsonBody}},
			simulatedReply{200, `{}`, []string{jsonBody}}, simulatedReply{200, `["ok"]`, []string{jsonBody}}, simulatedReply{202, `{"status":"accepted"}`, []string{jsonBody}},
			simulatedReply{204, "", nil}, simulatedReply{200, `{"agent_id":`, []string{jsonBody}})
	}},
	{"of another change", 1, mayApplyLater, func(r *rand.Rand, x *exchange, f *simulatedOutcome) {
		f.reply = jsonReply(200, map[string]any{"agent_id": pick(r, x.agent, simulatedAgentID(2)), "published_version_id": simulatedVersionID(9, 9),
			"inbound_phone_number_id": nil, "outbound_phone_number_id": nil})
	}},
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// A simulatedAPI is the API's state and its server.
type simulatedAPI struct {
	seed     uint64
	agents   []string // the step is about the first
	versions map[string][]simulatedVersion
	numbers  []simulatedNumber
	behavior apiBehavior
	rates    faultRates

	pending    sync.WaitGroup // pending changes of the state
	serving    sync.WaitGroup
	mu         sync.Mutex
	start      time.Time
	history    []stateChange
	exchanges  []*exchange
	ordinals   map[string]int
	passed     []time.Time // requests that the rate limit let through
	dials      []dialAttempt
	scheduled  []scheduledEvent // for a PATCH
	events     []event
	violations []string // forbidden things that the client did
	conns      []net.Conn
	closed     bool
}

// A dialAttempt is an instant at which connections were requested.
type dialAttempt struct {
	at    time.Time
	fault string // empty: the network was up
}

// A scheduledEvent happens some time after the n-th PATCH has arrived; n = 0: after the start.
type scheduledEvent struct {
	patch int
	after time.Duration
	do    func()
}

type event struct {
	at   time.Time
	text string
}

// randomFor returns the random numbers for one purpose. Each purpose has its own, so that the order of concurrent
// requests makes no difference.
func randomFor(seed uint64, purpose string) *rand.Rand {
	h := fnv.New64a()
	_, _ = io.WriteString(h, purpose)
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}

func chance(r *rand.Rand, p float64) bool { return r.Float64() < p }

// note adds a line to the trace. The caller holds s.mu.
func (s *simulatedAPI) note(format string, args ...any) {
	s.events = append(s.events, event{time.Now(), shortenIDs(fmt.Sprintf(format, args...))})
}

// newSimulatedAPI draws the state and the faults of a run.
func newSimulatedAPI(seed uint64) *simulatedAPI {
	s := &simulatedAPI{seed: seed, versions: make(map[string][]simulatedVersion), ordinals: make(map[string]int)}
	r := randomFor(seed, "world")
	state := apiState{make(map[string]string), make(map[string][2]string)}
	for a := 1; a <= 3; a++ {
		id := simulatedAgentID(a)
		s.agents = append(s.agents, id)
		count := pick(r, 2, 3, 5, 12, 25)
		if a == 1 && chance(r, 0.04) {
			count = 230 // more than fit on a page
		}
		for n := 1; n <= count; n++ {
			v := simulatedVersion{simulatedVersionID(a, n), fmt.Sprintf("v1.%d", n), n, n > 1 && chance(r, 0.1)}
			switch {
			case chance(r, 0.05):
				v.name = ""
			case chance(r, 0.05):
				v.name = "stable"
			}
			s.versions[id] = append(s.versions[id], v)
		}
		state.live[id] = ""
		if chance(r, 0.85) {
			state.live[id] = pick(r, slices.DeleteFunc(slices.Clone(s.versions[id]), func(v simulatedVersion) bool { return v.draft })...).id
		}
	}
	count := 2 + r.IntN(7)
	if chance(r, 0.03) {
		count = 130
	}
	for n := 1; n <= count; n++ {
		number := simulatedNumber{simulatedNumberID(n), fmt.Sprintf("+34910%06d", n), "assigned"}
		if chance(r, 0.15) {
			number.status = pick(r, "reserved", "released", "finished")
		}
		if n > 1 && chance(r, 0.05) { // a number may return with a new ID
			number.number = s.numbers[n-2].number
			if chance(r, 0.8) {
				number.status = "released"
			}
		}
		s.numbers = append(s.numbers, number)
		var owners [2]string
		for d := range owners {
			if number.status == "assigned" {
				owners[d] = pick(r, "", "", s.agents[0], s.agents[0], s.agents[1], s.agents[2])
			}
		}
		state.bound[number.id] = owners
	}
	if len(state.numbers(s.agents[0], inboundCalls)) > 1 && chance(r, 0.5) { // usually one number
		for _, d := range bothDirections {
			for i, id := range state.numbers(s.agents[0], d) {
				if i > 0 {
					state.bind(id, d, "")
				}
			}
		}
	}
	s.history = []stateChange{{after: state}}

	s.behavior = apiBehavior{
		dropsLeftOut: chance(r, 0.5), takesInUse: chance(r, 0.5), releasesOthers: chance(r, 0.5), unpublishReleases: chance(r, 0.5),
		tellsKept: chance(r, 0.5), nothingLive: r.IntN(4), lags: chance(r, 0.4), saysWhen: chance(r, 0.5),
	}
	if chance(r, 0.2) {
		s.behavior.numberReads = pick(r, "absent", "absent", "forbidden", "failing")
	}
	if chance(r, 0.08) {
		s.behavior.perSecond = 1 + r.IntN(5)
	}
	severity := pick(r, 0, 0.1+0.3*r.Float64(), 0.1+0.3*r.Float64(), 0.2+0.4*r.Float64(), 0.5+0.5*r.Float64(), 1)
	s.rates = faultRates{change: severity, read: 0.15 * severity * r.Float64(), connect: 0.1 * severity * r.Float64()}
	if chance(r, 0.1) {
		s.rates.read = severity
	}
	seasons := 1 + r.IntN(3)
	if chance(r, 0.4) {
		seasons = len(faults)
	}
	for range seasons {
		s.rates.kinds = append(s.rates.kinds, drawFault(r))
	}
	return s
}

// drawFault returns the index of a fault, by weight.
func drawFault(r *rand.Rand) int {
	total := 0
	for _, f := range faults {
		total += f.weight
	}
	n := r.IntN(total)
	for i, f := range faults {
		if n -= f.weight; n < 0 {
			return i
		}
	}
	panic("the weights do not add up")
}

// startClock starts the clock.
func (s *simulatedAPI) startClock() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.start = time.Now()
	s.history[0].at = s.start
	for _, p := range s.takeScheduled(0) {
		s.later(p.after, p.do)
	}
}

// later does something under the lock after d. The caller holds s.mu, or has not begun to serve.
func (s *simulatedAPI) later(d time.Duration, do func()) {
	s.pending.Add(1)
	time.AfterFunc(d, func() {
		defer s.pending.Done()
		s.mu.Lock()
		defer s.mu.Unlock()
		do()
	})
}

func (s *simulatedAPI) takeScheduled(patch int) []scheduledEvent {
	var due []scheduledEvent
	s.scheduled = slices.DeleteFunc(s.scheduled, func(p scheduledEvent) bool {
		if p.patch == patch {
			due = append(due, p)
		}
		return p.patch == patch
	})
	return due
}

// now returns the true state. The caller holds s.mu.
func (s *simulatedAPI) now() apiState { return s.history[len(s.history)-1].after }

// at returns the state that was true at t; of several changes at the same instant, the last.
func (s *simulatedAPI) at(t time.Time) apiState {
	state := s.history[0].after
	for _, m := range s.history {
		if !m.at.After(t) {
			state = m.after
		}
	}
	return state
}

// setState makes next the true state. The caller holds s.mu.
func (s *simulatedAPI) setState(next apiState, by *exchange) {
	who := "another writer"
	if by != nil {
		who = fmt.Sprintf("PATCH %d", by.n)
	}
	changes := s.now().difference(next)
	if len(changes) == 0 {
		s.note("STATE  %s changes nothing", who)
	} else {
		s.note("STATE  %s: %s", who, strings.Join(changes, "; "))
	}
	s.history = append(s.history, stateChange{time.Now(), by, s.now(), next})
}

// apply makes the change requested by x, or refuses it, and returns the API's own response. The caller holds s.mu.
func (s *simulatedAPI) apply(x *exchange) simulatedReply {
	before, next := s.now(), s.now().clone()
	i := slices.IndexFunc(s.versions[x.agent], func(v simulatedVersion) bool { return v.id == x.body.version })
	switch {
	case !slices.Contains(s.agents, x.agent):
		return simulatedError(404, "AGENT_NOT_FOUND", "Agent "+x.agent+" not found")
	case x.body.version != "" && (i < 0 || s.versions[x.agent][i].draft):
		return simulatedError(400, "BAD_PARAMETER", "No version "+x.body.version+" to publish")
	}
	next.live[x.agent] = x.body.version
	reply := map[string]any{"agent_id": x.agent, "published_version_id": nullable(x.body.version)}
	for _, d := range bothDirections {
		id := x.body.number[d]
		number := slices.IndexFunc(s.numbers, func(n simulatedNumber) bool { return n.id == id })
		releases := s.behavior.dropsLeftOut
		if x.body.version == "" {
			releases = s.behavior.unpublishReleases
		}
		switch owner := before.bound[id][d]; {
		case x.body.given[d] && id != "" && (number < 0 || s.numbers[number].status != "assigned"):
			return simulatedError(400, "BAD_PARAMETER", "No phone number "+id)
		case x.body.given[d] && id != "" && owner != "" && owner != x.agent && !s.behavior.takesInUse:
			return simulatedError(400, "BAD_PARAMETER", "Phone number "+id+" is in use")
		case x.body.given[d] && id != "":
			releases = s.behavior.releasesOthers
		case x.body.given[d]:
			releases = true
		}
		if releases {
			for _, other := range before.numbers(x.agent, d) {
				next.bind(other, d, "")
			}
		}
		if id != "" {
			next.bind(id, d, x.agent)
		}
		told := nullable(id)
		if bound := next.numbers(x.agent, d); !x.body.given[d] && s.behavior.tellsKept && len(bound) == 1 {
			told = &bound[0]
		}
		reply[d.String()+"_phone_number_id"] = told
	}
	s.setState(next, x)
	return jsonReply(200, reply)
}

func nullable(id string) *string {
	if id == "" {
		return nil
	}
	return &id
}

// handle decides the outcome of a request that has arrived. Except for the rate limit, it depends only on the seed, the
// request and its ordinal.
func (s *simulatedAPI) handle(r *http.Request, body []byte) *exchange {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := &exchange{method: r.Method, path: r.URL.Path, query: r.URL.RawQuery, at: time.Now()}
	if parts := strings.Split(strings.TrimPrefix(x.path, "/v1/agent/"), "/"); strings.HasPrefix(x.path, "/v1/agent/") {
		x.agent = parts[0]
	}
	s.ordinals[x.key()]++
	x.n = s.ordinals[x.key()]
	s.exchanges = append(s.exchanges, x)
	if x.method == http.MethodPatch {
		x.body = s.readChange(body)
	}
	x.outcome = s.drawOutcome(x)
	s.note("%s (%d): %s", x.key(), x.n, x.outcome)
	if x.method == http.MethodPatch {
		s.note("       %s", body)
		patches := 0
		for _, other := range s.exchanges {
			if other.method == http.MethodPatch {
				patches++
			}
		}
		for _, p := range s.takeScheduled(patches) {
			s.later(p.after, p.do)
		}
	}

	switch {
	case r.Header.Get("Authorization") != "Bearer "+sandbox.Token:
		x.apiAnswer = simulatedReply{401, `{"detail":"Unauthorized"}`, []string{jsonBody}}
		s.violations = append(s.violations, "a request without the token")
	case x.method == http.MethodGet:
		x.shownState = s.at(x.at.Add(-x.outcome.lag))
		x.stale = len(x.shownState.difference(s.now())) > 0
		x.apiAnswer = s.read(x, r)
	case x.method == http.MethodPatch && x.path == "/v1/agent/"+x.agent+"/published_version":
		if x.outcome.applies && x.outcome.after == 0 {
			x.apiAnswer = s.apply(x)
		} else if x.outcome.applies {
			s.later(x.outcome.after, func() { x.apiAnswer = s.apply(x) })
		}
	default:
		x.apiAnswer = simulatedReply{405, `{"detail":"Method Not Allowed"}`, []string{jsonBody}}
		s.violations = append(s.violations, "a request that the API does not know: "+x.key())
	}
	return x
}

func (s *simulatedAPI) readChange(body []byte) patchBody {
	var c patchBody
	var fields map[string]*string
	if err := json.Unmarshal(body, &fields); err != nil {
		s.violations = append(s.violations, fmt.Sprintf("a body that is not an object of ids: %s", body))
	}
	text := func(id *string) string {
		if id == nil {
			return ""
		}
		return *id
	}
	for name, value := range fields {
		switch name {
		case "version_id":
			c.version = text(value)
		case "inbound_phone_number_id":
			c.given[inboundCalls], c.number[inboundCalls] = true, text(value)
		case "outbound_phone_number_id":
			c.given[outboundCalls], c.number[outboundCalls] = true, text(value)
		default:
			s.violations = append(s.violations, "a field that the API does not know: "+name)
		}
	}
	return c
}

// drawOutcome draws the outcome of x. The caller holds s.mu.
func (s *simulatedAPI) drawOutcome(x *exchange) simulatedOutcome {
	if s.behavior.perSecond > 0 {
		s.passed = slices.DeleteFunc(s.passed, func(t time.Time) bool { return time.Since(t) >= time.Second })
		if len(s.passed) >= s.behavior.perSecond {
			f := simulatedOutcome{fault: "rate limit", class: neverApplied, reply: simulatedError(429, "RATE_LIMITED", "slow down")}
			if s.behavior.saysWhen {
				f.reply.headers = append(f.reply.headers, "Retry-After: 1")
			}
			return f
		}
		s.passed = append(s.passed, time.Now())
	}
	r := randomFor(s.seed, fmt.Sprint(x.key(), " ", x.n))
	if strings.HasPrefix(x.path, "/v1/phone") {
		switch s.behavior.numberReads {
		case "absent":
			return simulatedOutcome{fault: "no such operation", class: neverApplied, reply: simulatedReply{404, `{"detail":"Not Found"}`, []string{jsonBody}}}
		case "forbidden":
			return simulatedOutcome{fault: "not for this token", class: neverApplied, reply: simulatedError(403, "INTERNAL_SERVER_ERROR", "Missing required permissions")}
		case "failing":
			return simulatedOutcome{fault: "the API's own 500, all day", class: appliedOrNot, reply: simulatedError(500, "INTERNAL_SERVER_ERROR", "Error: Internal Server Error")}
		}
	}
	f := simulatedOutcome{applies: true}
	if s.behavior.lags && x.method == http.MethodGet && chance(r, 0.5) {
		f.lag = randomDuration(r, time.Millisecond, replicaLag)
	}
	probability := s.rates.read
	if x.method == http.MethodPatch {
		probability = s.rates.change
	}
	if chance(r, 0.03*s.rates.change) {
		f.ending = closeConn // which says nothing about the response
	}
	if !chance(r, probability) {
		return f
	}
	fault := faults[pick(r, s.rates.kinds...)]
	f.fault, f.class = fault.name, fault.class
	fault.draw(r, x, &f)
	switch fault.class {
	case apiAnswered:
		f.after = randomDuration(r, 0, f.delay)
	case neverApplied:
		f.applies = false
	case appliedOrNot:
		f.applies = chance(r, 0.5)
		f.after = randomDuration(r, 0, f.delay)
	case mayApplyLater:
		f.applies = chance(r, 0.6)
		if chance(r, 0.5) {
			f.after = randomDuration(r, time.Millisecond, pick(r, time.Second, 10*time.Second, 45*time.Second))
		}
	}
	return f
}

// randomDuration returns a duration in [least, most); least if that is empty.
func randomDuration(r *rand.Rand, least, most time.Duration) time.Duration {
	if most <= least {
		return least
	}
	return least + time.Duration(r.Int64N(int64(most-least)))
}

// read responds to a read from x.shown.
func (s *simulatedAPI) read(x *exchange, r *http.Request) simulatedReply {
	query := r.URL.Query()
	number, one := strings.CutPrefix(x.path, "/v1/phone/")
	switch {
	case x.path == "/v1/agent/"+x.agent+"/version":
		var list []map[string]any
		for _, v := range slices.Backward(s.versions[x.agent]) {
			list = append(list, s.versionJSON(x.agent, v, x.shownState))
		}
		return x.page(list, "version_id", query, 10)
	case x.path == "/v1/agent/"+x.agent:
		wanted := query.Get("version_id")
		if query.Get("is_published") == "true" {
			if wanted = x.shownState.live[x.agent]; wanted == "" {
				return s.nothingLive(x)
			}
		}
		for _, v := range s.versions[x.agent] {
			if v.id == wanted {
				return jsonReply(200, s.versionJSON(x.agent, v, x.shownState))
			}
		}
		return simulatedError(404, "AGENT_NOT_FOUND", "There is no such version")
	case x.path == "/v1/phone":
		return simulatedReply{307, "", []string{"Location: /v1/phone/"}}
	case one && number == "":
		var list []map[string]any
		for _, n := range slices.Backward(s.numbers) {
			owners := x.shownState.bound[n.id]
			if in := query.Get("inbound_agent_id"); in != "" && in != owners[inboundCalls] {
				continue
			}
			if out := query.Get("outbound_agent_id"); out != "" && out != owners[outboundCalls] {
				continue
			}
			if status := query.Get("status"); status == "" || status == n.status {
				list = append(list, simulatedPhoneJSON(n, owners))
			}
		}
		return x.page(list, "id", query, 20)
	case one:
		for _, n := range s.numbers {
			if n.id == number {
				return jsonReply(200, simulatedPhoneJSON(n, x.shownState.bound[n.id]))
			}
		}
		return simulatedError(404, "PHONE_NOT_FOUND", "Phone "+number+" not found")
	}
	s.violations = append(s.violations, "a read that the API does not know: "+x.key())
	return simulatedReply{404, `{"detail":"Not Found"}`, []string{jsonBody}}
}

// nothingLive is the response to reading the published version when there is none, which is not documented.
func (s *simulatedAPI) nothingLive(x *exchange) simulatedReply {
	versions := s.versions[x.agent]
	return []simulatedReply{
		simulatedError(404, "AGENT_NOT_FOUND", "No published version"),
		{404, `{"detail":"Not Found"}`, []string{jsonBody}},
		{200, "null", []string{jsonBody}},
		jsonReply(200, s.versionJSON(x.agent, versions[len(versions)-1], x.shownState)),
	}[s.behavior.nothingLive]
}

func (s *simulatedAPI) versionJSON(agent string, v simulatedVersion, state apiState) map[string]any {
	created := time.Date(2026, 1, 1, v.number, 0, 0, 0, time.UTC).Format(time.RFC3339)
	return map[string]any{
		"agent_id": agent, "version_id": v.id, "version_number": v.number, "version_name": nullable(v.name), "is_draft": v.draft,
		"is_published": state.live[agent] == v.id, "name": "Agent", "created_at": created, "modified_at": created, "version_created_at": created,
		"language": "es", "greeting": fmt.Sprintf("Hello %d", v.number%3), "prompt": fmt.Sprintf("Prompt %d", v.number), "voice_speed": 1.1,
	}
}

func simulatedPhoneJSON(n simulatedNumber, owners [2]string) map[string]any {
	return map[string]any{
		"id": n.id, "number": n.number, "nickname": nil, "status": n.status, "telephony_provider": "netelip",
		"inbound_agent_id": nullable(owners[inboundCalls]), "outbound_agent_id": nullable(owners[outboundCalls]),
		"assigned_at": "2026-01-01T00:00:00Z", "released_at": nil,
	}
}

// page is a page of list, which is in descending order.
func (x *exchange) page(list []map[string]any, id string, query map[string][]string, limit int) simulatedReply {
	get := func(name string) string {
		if len(query[name]) == 0 {
			return ""
		}
		return query[name][0]
	}
	if get("order") == "asc" {
		slices.Reverse(list)
	}
	if n, err := strconv.Atoi(get("limit")); err == nil {
		limit = n
	}
	if limit < 1 || limit > 100 {
		return simulatedReply{422, `{"detail":[{"loc":["query","limit"],"msg":"Input should be from 1 to 100","type":"value_error"}]}`, []string{jsonBody}}
	}
	start := 0
	if n, err := strconv.Atoi(get("page")); err == nil {
		start = min((max(n, 1)-1)*limit, len(list))
	}
	if after := get("after"); after != "" {
		i := slices.IndexFunc(list, func(item map[string]any) bool { return item[id] == after })
		if i < 0 {
			return simulatedError(400, "BAD_PARAMETER", "No such cursor")
		}
		start = i + 1
	}
	end := min(start+limit, len(list))
	x.lastPage = end == len(list)
	reply := map[string]any{
		"data": append([]map[string]any{}, list[start:end]...), "has_more": !x.lastPage, "first_id": nil, "last_id": nil,
		"current_page": start/limit + 1, "total_pages": (len(list) + limit - 1) / limit,
	}
	if start < end {
		reply["first_id"], reply["last_id"] = list[start][id], list[end-1][id]
	}
	return jsonReply(200, reply)
}

// dial connects through a network that may be down. Whether it is depends on the number of instants with a dial so far,
// not on which request dialled first.
func (s *simulatedAPI) dial(ctx context.Context, l *memoryNetwork) (net.Conn, error) {
	s.mu.Lock()
	now := time.Now()
	if n := len(s.dials); n == 0 || !s.dials[n-1].at.Equal(now) {
		r := randomFor(s.seed, fmt.Sprint("dial ", n))
		d := dialAttempt{at: now}
		if chance(r, s.rates.connect) {
			d.fault = pick(r, "refused", "refused", "the name cannot be looked up", "black hole")
			s.note("DIAL   %s", d.fault)
		}
		s.dials = append(s.dials, d)
	}
	fault := s.dials[len(s.dials)-1].fault
	s.mu.Unlock()
	switch fault {
	case "refused":
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	case "the name cannot be looked up":
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "server misbehaving", Name: "diga", IsTemporary: true}}
	case "black hole":
		select {
		case <-ctx.Done():
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: context.Cause(ctx)}
		case <-time.After(longestDial): // net/http dials some connections with a context that never ends
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ETIMEDOUT)}
		}
	}
	return l.dial(ctx)
}

// Serve serves the connections that l accepts.
func (s *simulatedAPI) Serve(l net.Listener) error {
	defer s.serving.Wait()
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		s.mu.Lock()
		s.conns = append(s.conns, conn)
		if s.closed {
			conn.Close()
		}
		s.mu.Unlock()
		s.serving.Go(func() {
			defer conn.Close()
			s.serveConn(conn)
		})
	}
}

// Close ends every connection.
func (s *simulatedAPI) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, conn := range s.conns {
		conn.Close()
	}
	return nil
}

// serveConn serves one connection.
func (s *simulatedAPI) serveConn(conn net.Conn) {
	in := bufio.NewReader(conn)
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		if r.Method == http.MethodGet {
			// Reads are sent at the same instant: their order must depend on the seed, not the scheduler.
			<-time.After(randomDuration(randomFor(s.seed, "way of "+r.RequestURI), 0, time.Millisecond))
		}
		x := s.handle(r, body)
		gone := make(chan struct{})
		next := make(chan error, 1)
		go func() {
			_, err := in.Peek(1) // a client that waits for its response sends nothing, so what arrives first is the end
			if err != nil {
				close(gone)
			}
			next <- err
		}()
		ready := s.answer(conn, x, gone)
		if !ready {
			conn.Close()
		}
		if err := <-next; err != nil || !ready {
			return
		}
	}
}

// answer plays the outcome of x and reports whether the connection can serve another request.
func (s *simulatedAPI) answer(conn net.Conn, x *exchange, gone <-chan struct{}) (ready bool) {
	f := x.outcome
	if f.delay > 0 {
		select {
		case <-time.After(f.delay):
		case <-gone:
			s.finish(x, false)
			return false
		}
	}
	whole := false
	if !f.mute {
		s.mu.Lock()
		reply := f.reply
		if reply.status == 0 {
			if x.apiAnswer.status == 0 { // the beginning of a response to a change that is not made yet, or never will be
				x.apiAnswer = jsonReply(200, map[string]any{"agent_id": x.agent, "published_version_id": nullable(x.body.version),
					"inbound_phone_number_id": nullable(x.body.number[inboundCalls]), "outbound_phone_number_id": nullable(x.body.number[outboundCalls])})
			}
			reply = x.apiAnswer
		}
		s.mu.Unlock()
		raw := reply.raw()
		whole = f.cut == 0
		if !whole {
			raw = raw[:int(f.cut*float64(len(raw)))]
		}
		out := io.Writer(conn)
		if f.pace > 0 {
			out = slowWriter{conn, f.pace}
		}
		_, err := io.WriteString(out, raw)
		whole = whole && err == nil
	}
	if f.ending == hang {
		<-gone
	}
	s.finish(x, whole)
	if f.ending == resetConn {
		resetConnection(conn)
	}
	return f.ending == keepOpen
}

// finish notes that x is over for its client.
func (s *simulatedAPI) finish(x *exchange, answered bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x.endedAt, x.answered = time.Now(), answered
	what := "no whole reply"
	if answered {
		what = fmt.Sprintf("answered %d", x.status())
		if x.method == http.MethodPatch && x.outcome.fault == "" {
			what += " " + x.apiAnswer.body
		}
		if x.stale {
			what += ", stale"
		}
	}
	s.note("       %s (%d): %s", x.key(), x.n, what)
}
