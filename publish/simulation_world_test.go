package publish_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"
)

// A direction is that of the calls on a phone number.
type direction int

const (
	inboundCalls direction = iota
	outboundCalls
)

var bothDirections = [2]direction{inboundCalls, outboundCalls}

func (d direction) String() string { return [2]string{"inbound", "outbound"}[d] }

// apiState is all of the world that a request for a change can change. It is never written to once it is in the history.
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

// difference lists what became of s in next, in a form for a reader.
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

// The ids of the simulated world say what they are: "a…1" is the agent of number 1, "b…1…07" its version 7, "c…3" a
// phone number. shortID is how the story of a run calls them.
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

// shortenIDs is text with every id of the simulated world in its short form.
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

// simulatedVersion and simulatedNumber are what no request changes.
type simulatedVersion struct {
	id, name string // the name may be empty
	number   int
	draft    bool
}

type simulatedNumber struct{ id, number, status string }

// apiBehavior are the answers to what the API's description leaves open, and what stays the same all day.
type apiBehavior struct {
	dropsLeftOut      bool   // a number that a request leaves out is released, not kept
	takesInUse        bool   // a number that another agent has is taken from it, not refused
	releasesOthers    bool   // binding one number releases the agent's others in that direction
	unpublishReleases bool   // unpublishing releases the agent's numbers
	tellsKept         bool   // the reply names a number that was left out of the request and is bound
	nothingLive       int    // how the read of what is published answers when nothing is
	numberReads       string // empty: as described; "absent", "forbidden" or "failing"
	lags              bool   // some reads come from a replica
	perSecond         int    // requests that pass in a second; 0: no limit
	saysWhen          bool   // a request that does not pass is told when to come again
}

// faultRates is how much goes wrong: probabilities.
type faultRates struct {
	change, read, connect float64
	kinds                 []int // the faults that occur; indices into faults
}

// A stateChange is when the true state changed.
type stateChange struct {
	at            time.Time
	by            *exchange // the request; nil: another writer, or the beginning
	before, after apiState
}

// An exchange is a request and what became of it.
type exchange struct {
	method, path, query string
	n                   int // of the requests with this method, path and query, from 1
	at                  time.Time
	agent               string    // in the path
	body                patchBody // of a PATCH
	outcome             simulatedOutcome
	apiAnswer           simulatedReply // what the API itself answers
	shownState          apiState
	stale               bool      // shown is not what was true when the request came
	lastPage            bool      // a page after which no more follow
	endedAt             time.Time // when the client had its answer, or had gone; zero: never
	answered            bool      // the whole reply went out to a client that was still there
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

// settled reports whether the reply says for certain that this request will not change anything any more.
func (x *exchange) settled() bool {
	return x.answered && x.status() != http.StatusOK && x.outcome.class != mayApplyLater
}

// refused reports whether the reply was a 3xx, or a 4xx other than 408.
func (x *exchange) refused() bool {
	return x.answered && x.status() >= 300 && x.status() < 500 && x.status() != http.StatusRequestTimeout && x.outcome.class != mayApplyLater
}

// closesAfterReply reports whether the server closed the connection after a whole reply, without a word in the reply. A request
// that was to go the same way next may be lost.
func (x *exchange) closesAfterReply() bool { return x.answered && x.outcome.ending != keepOpen }

// confirmed reports whether the reply was the API's own 200.
func (x *exchange) confirmed() bool {
	return x.answered && x.status() == http.StatusOK && x.outcome.class != mayApplyLater
}

func (x *exchange) status() int {
	if x.outcome.fault == "" || x.outcome.reply.status == 0 {
		return x.apiAnswer.status
	}
	return x.outcome.reply.status
}

// patchBody is what a PATCH asks for.
type patchBody struct {
	version string
	given   [2]bool   // a direction's field is there
	number  [2]string // and holds this; empty: null
}

// simulatedReply is a reply before it is cut, slowed down or lost.
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
		panic(err) // of our own making
	}
	return simulatedReply{status, string(data), []string{jsonBody}}
}

// simulatedError is an error in the API's own shape.
func simulatedError(status int, code, message string) simulatedReply {
	return jsonReply(status, map[string]string{"status": "error", "error_code": code, "message": message})
}

// A replyMeaning is what a reply says of the request that it answers.
type replyMeaning int

const (
	apiAnswered   replyMeaning = iota // the API's own reply: it has done what the reply says
	neverApplied                      // never applied: 3xx, and 4xx but 408
	appliedOrNot                      // an error in the API's shape: applied by now, or never
	mayApplyLater                     // may be applied at any moment
)

// A simulatedOutcome is what becomes of one request.
type simulatedOutcome struct {
	fault   string // empty: none
	class   replyMeaning
	applies bool
	after   time.Duration  // since the request came, when it applies
	delay   time.Duration  // before the reply
	reply   simulatedReply // status 0: the API's own
	cut     float64        // the share of the reply that is sent; 0: all of it
	pace    time.Duration  // before each of its bytes
	ending  connEnd        // what becomes of the connection
	mute    bool           // no reply at all
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

// faults are all that can happen to a request, with weights. Whether and when an unanswered request is applied is drawn
// apart from them.
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
