package publish_test

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"publish-agent-version/internal/sandbox"
)

// This file is the API of TestSimulation: a small world with a true state, behind a network and a gateway that have a
// bad day. It is written from the API's description alone. It shares nothing with the client, which it puts to the
// test, and takes nothing from the sandbox but a token: an opinion that all three share would never be found out.

// replicaLag is the most that a read may lag behind the true state.
const replicaLag = 900 * time.Millisecond

// longestDial is how long an unanswered connection takes to fail, as on Linux.
const longestDial = 127 * time.Second

// A simulatedAPI is the world, and the server in front of it.
type simulatedAPI struct {
	seed     uint64
	agents   []string // the first is the one that the step is about
	versions map[string][]simulatedVersion
	numbers  []simulatedNumber
	behavior apiBehavior
	rates    faultRates

	pending    sync.WaitGroup // what is still going to happen to the state
	connServer                // its mu guards what follows
	start      time.Time
	history    []stateChange
	exchanges  []*exchange
	ordinals   map[string]int
	passed     []time.Time // requests that the rate limit let through
	dials      []dialAttempt
	scheduled  []scheduledEvent // for a PATCH
	events     []event
	violations []string // what the client must never do
}

// dialAttempt is an instant at which connections were asked for.
type dialAttempt struct {
	at    time.Time
	fault string // empty: the network was up
}

// scheduledEvent is something that happens a while after the n-th PATCH has arrived; n = 0: after the start.
type scheduledEvent struct {
	patch int
	after time.Duration
	do    func()
}

type event struct {
	at   time.Time
	text string
}

// randomFor returns the random numbers for one purpose. Each purpose has its own, so that the order in which concurrent
// requests arrive changes nothing.
func randomFor(seed uint64, purpose string) *rand.Rand {
	h := fnv.New64a()
	_, _ = io.WriteString(h, purpose)
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}

func chance(r *rand.Rand, p float64) bool { return r.Float64() < p }

// note adds a line to the story of the run. The caller holds s.mu.
func (s *simulatedAPI) note(format string, args ...any) {
	s.events = append(s.events, event{time.Now(), shortenIDs(fmt.Sprintf(format, args...))})
}

// newSimulatedAPI draws a world and its day.
func newSimulatedAPI(seed uint64) *simulatedAPI {
	s := &simulatedAPI{seed: seed, versions: make(map[string][]simulatedVersion), ordinals: make(map[string]int)}
	r := randomFor(seed, "world")
	state := apiState{make(map[string]string), make(map[string][2]string)}
	for a := 1; a <= 3; a++ {
		id := simulatedAgentID(a)
		s.agents = append(s.agents, id)
		count := pick(r, 2, 3, 5, 12, 25)
		if a == 1 && chance(r, 0.04) {
			count = 230 // more than any page holds
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
		if n > 1 && chance(r, 0.05) { // a number may come back under a new id
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
	if len(state.numbers(s.agents[0], inboundCalls)) > 1 && chance(r, 0.5) { // one number is the usual case
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

// apply makes the change that x asks for, or refuses it, and returns what the API itself answers. The caller holds s.mu.
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

// handle decides the fate of a request that has arrived. It is decided by the seed, the request and its ordinal alone,
// but for the rate limit.
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

// drawOutcome draws the fate of x. The caller holds s.mu.
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
		f.ending = closeConn // which says nothing about the reply
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

// randomDuration returns a duration of at least least and less than most; least if there is none.
func randomDuration(r *rand.Rand, least, most time.Duration) time.Duration {
	if most <= least {
		return least
	}
	return least + time.Duration(r.Int64N(int64(most-least)))
}

// read answers a read from x.shown.
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

// nothingLive is how the read of what is published answers when nothing is, which is not documented.
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
