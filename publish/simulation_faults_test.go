package publish_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"
)

// What goes wrong in TestSimulation, and how it is drawn.

// faultRates are the probabilities of faults.
type faultRates struct {
	change, read, connect float64
	kinds                 []int // the faults that occur; indices into faults
}

// A replyMeaning is what a reply says of the request that it answers.
type replyMeaning int

const (
	apiAnswered   replyMeaning = iota // the API's own reply: it has done what the reply says
	neverApplied                      // never applied: 3xx, and 4xx but 408
	appliedOrNot                      // an error with the API's error body: applied by now, or never
	mayApplyLater                     // may be applied at any moment
)

// A simulatedOutcome is what becomes of one request.
type simulatedOutcome struct {
	fault     string // empty: none
	class     replyMeaning
	applies   bool
	after     time.Duration  // since the request came, when it applies
	delay     time.Duration  // before the reply
	reply     simulatedReply // status 0: the API's own
	cut       float64        // the share of the reply that is sent; 0: all of it
	byteDelay time.Duration  // before each of its bytes
	ending    connEnd        // what becomes of the connection
	noReply   bool           // no reply at all
	lag       time.Duration  // of the replica that a read is served from
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
	if f.ending == closeConn && !f.noReply {
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
	{"reset", 4, mayApplyLater, func(_ *rand.Rand, _ *exchange, f *simulatedOutcome) { f.noReply, f.ending = true, resetConn }},
	{"reset after a while", 1, mayApplyLater, func(r *rand.Rand, _ *exchange, f *simulatedOutcome) {
		f.noReply, f.ending, f.delay = true, resetConn, randomDuration(r, time.Second, 20*time.Second)
	}},
	{"closed without a word", 2, mayApplyLater, func(_ *rand.Rand, _ *exchange, f *simulatedOutcome) { f.noReply, f.ending = true, closeConn }},
	{"silence", 2, mayApplyLater, func(_ *rand.Rand, _ *exchange, f *simulatedOutcome) { f.noReply, f.ending = true, hang }},
	{"truncated", 3, mayApplyLater, func(r *rand.Rand, _ *exchange, f *simulatedOutcome) {
		f.cut, f.ending = 0.2+0.7*r.Float64(), pick(r, closeConn, resetConn, hang)
	}},
	{"truncated error", 1, mayApplyLater, func(r *rand.Rand, _ *exchange, f *simulatedOutcome) {
		f.reply = simulatedError(500, "INTERNAL_SERVER_ERROR", strings.Repeat("Error: ", 20))
		f.cut, f.ending = 0.8, pick(r, closeConn, resetConn, hang)
	}},
	{"trickling", 2, apiAnswered, func(r *rand.Rand, _ *exchange, f *simulatedOutcome) {
		f.byteDelay = randomDuration(r, 5*time.Millisecond, 300*time.Millisecond)
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

// drawOutcome draws the outcome of x. The caller holds s.mu.
func (s *simulatedAPI) drawOutcome(x *exchange) simulatedOutcome {
	if s.behavior.perSecond > 0 {
		s.passed = slices.DeleteFunc(s.passed, func(t time.Time) bool { return time.Since(t) >= time.Second })
		if len(s.passed) >= s.behavior.perSecond {
			f := simulatedOutcome{fault: "rate limit", class: neverApplied, reply: simulatedError(429, "RATE_LIMITED", "slow down")}
			if s.behavior.sendsRetryAfter {
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
			return simulatedOutcome{fault: "the API's own 500, always", class: appliedOrNot, reply: simulatedError(500, "INTERNAL_SERVER_ERROR", "Error: Internal Server Error")}
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
