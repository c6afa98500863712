package publish_test

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"publish-agent-version/internal/sandbox"
)

// A world is the API of one made-up day, everything that stands between it and the step, and a record of both. The seed
// decides all of it. A request's fate depends on the seed, the request and how many like it came before.
type world struct {
	*sandbox.Sandbox
	seed  uint64
	is    sandbox.Behavior
	token string
	first *sandbox.State // when the step starts
	rates faultRates
	barred
	outage time.Duration // from the start; all requests fail
	busy   bool          // the API makes the step wait, and other people do something meanwhile

	mu        sync.Mutex
	start     time.Time
	exchanges []*exchange
	ordinals  map[string]int
	dials     int
	broken    []time.Time   // when the network failed
	pace      time.Duration // of the slowest connection
	scheduled []scheduledEvent

	telling sync.Mutex
	story   []string
}

// barred are reads that are refused all day.
type barred struct {
	path  string // part of it; empty: no reads are
	fault sandbox.Fault
}

// faultRates is how much goes wrong: probabilities.
type faultRates struct {
	change, read, connect, conn float64
	kinds                       []int // the faults that occur; indices into faultKinds
}

// A scheduledEvent happens some time after the n-th request has come; after the start for 0.
type scheduledEvent struct {
	n     int
	after time.Duration
	do    func()
}

// An exchange is a request and what became of it.
type exchange struct {
	method, uri, body string
	n                 int // of the requests with this method and URI, from 1
	at, end           time.Time
	kind              string // of the fault; empty: none
	class             replyMeaning
	fault             sandbox.Fault
	reset             bool // instead of closed
	status            int
	reply             bytes.Buffer
	answered          bool // the whole reply went out to a client that was still there
}

// A replyMeaning is what a reply says of the request that it answers.
type replyMeaning int

const (
	apiAnswered   replyMeaning = iota // the API's own reply: it has done what the reply says
	neverApplied                      // 3xx, and 4xx but 408
	appliedOrNot                      // an error in the API's shape: applied by now, or never
	mayApplyLater                     // may be applied at any moment
)

func (x *exchange) is(method string) bool { return x.method == method }

// good reports whether the read was answered as the API's description says; confirmed, whether the change was.
func (x *exchange) good() bool { return x.is(http.MethodGet) && x.confirmed() }
func (x *exchange) confirmed() bool {
	return x.answered && x.class == apiAnswered && x.status == http.StatusOK
}

// refused reports whether the reply says for certain that the request never changes anything; settled, that it is over.
func (x *exchange) refused() bool {
	return x.answered && 300 <= x.status && x.status < 500 && x.status != http.StatusRequestTimeout
}
func (x *exchange) settled() bool {
	return x.refused() || x.answered && (x.class == appliedOrNot || x.class == apiAnswered)
}

func (x *exchange) showsLive() bool {
	return x.is(http.MethodGet) && strings.Contains(x.uri, "/version?")
}
func (x *exchange) showsPhones() bool { return strings.HasPrefix(x.uri, "/v1/phone/") }

// sees reports whether the read shows what is live.
func (x *exchange) sees() bool {
	return x.good() && x.showsLive() && regexp.MustCompile(`"is_published":true|"data":\[\]`).Match(x.reply.Bytes())
}

// random returns the source of what label stands for.
func (w *world) random(label string) *rand.Rand {
	h := fnv.New64a()
	_, _ = io.WriteString(h, label)
	return rand.New(rand.NewPCG(w.seed, h.Sum64()))
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

func chance(r *rand.Rand, probability float64) bool { return r.Float64() < probability }

// between returns a duration of at least least and less than most; least if there is none.
func between(r *rand.Rand, least, most time.Duration) time.Duration {
	if most <= least {
		return least
	}
	return least + time.Duration(r.Int64N(int64(most-least)))
}

func simulatedAgent(n int) string { return fmt.Sprintf("a0000000-0000-4000-8000-%012d", n) }
func simulatedPhone(n int) string { return fmt.Sprintf("c0000000-0000-4000-8000-%012d", n) }

// longPrompt makes a page of a hundred versions larger than a response may be.
var longPrompt = strings.Repeat("Be kind. ", 15_000)

// newWorld makes up the API of a day, for a step that is about agent 1.
func newWorld(seed uint64) *world {
	w := &world{Sandbox: sandbox.NewEmpty(), seed: seed, ordinals: make(map[string]int), start: time.Now()}
	r := w.random("world")
	w.drawBehavior(r)
	for a := 1; a <= 3; a++ {
		agent := simulatedAgent(a)
		w.AddAgent(agent, fmt.Sprint("Agent ", a))
		versions, config := 1+r.IntN(7), map[string]any{}
		if a == 1 && chance(r, 0.03) {
			versions = 90 + r.IntN(150)
			if chance(r, 0.1) {
				versions, config = 70, map[string]any{"prompt": longPrompt}
			}
		}
		for n := 1; n <= versions; n++ {
			name := pick(r, "", "stable", fmt.Sprint("v", n), fmt.Sprint("v", n), fmt.Sprint("v", n),
				fmt.Sprintf(" v%d ", n))
			if config["prompt"] == nil {
				config = map[string]any{"greeting": fmt.Sprint("Hello ", n%3)}
			}
			v := sandbox.Version{Name: name, Configuration: config}
			if chance(r, 0.03) {
				v.Issues = []sandbox.Issue{{Code: "no_voice", Message: "Choose a voice"}}
			}
			w.AddVersion(agent, v)
		}
		if chance(r, 0.85) {
			w.SetPublished(agent, pick(r, w.State().Versions(agent)...).ID)
		}
		if chance(r, 0.75) {
			draft := sandbox.Version{Draft: true, Name: pick(r, "", "", "next", "v1")}
			if chance(r, 0.1) {
				draft.Issues = []sandbox.Issue{{Code: "no_greeting", Message: "Write a greeting"}}
			}
			w.AddVersion(agent, draft)
		}
	}
	phones := 1 + r.IntN(6)
	if chance(r, 0.02) {
		phones = 110
	}
	for n := 1; n <= phones; n++ {
		p := sandbox.Phone{Number: fmt.Sprintf("+34910000%03d", n), Status: "assigned"}
		switch {
		case chance(r, 0.08):
			p.Number = fmt.Sprintf("pbx-%d@sip.example.com", n)
		case n > 1 && chance(r, 0.05):
			p.Number = fmt.Sprintf("+34910000%03d", n-1)
		}
		if chance(r, 0.15) {
			p.Status = pick(r, "reserved", "RELEASED", "finished", "pending_verification", "suspended", "Assigned")
		}
		if at := time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC); chance(r, 0.05) {
			p.ScheduledReleaseAt = &at
		}
		id := w.SetPhone(p)
		for _, d := range bothDirections {
			if owner := pick(r, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2); owner > 0 && p.Status != "RELEASED" {
				w.Bind(id, d, simulatedAgent(owner))
			}
		}
	}
	w.drawFaults(r)
	w.is.Fault = func(r *http.Request) sandbox.Fault { return r.Context().Value(exchangeKey{}).(*exchange).fault }
	w.is.Unchecked = seed%8 != 0
	w.Set(w.is)
	w.first = w.State()
	return w
}

// drawBehavior draws what no source says of the API, and what the key may do.
func (w *world) drawBehavior(r *rand.Rand) {
	w.is = sandbox.Behavior{
		ReleaseOmitted: chance(r, 0.5), DropOthers: chance(r, 0.5), AllowTakeOver: chance(r, 0.5),
		KeepNumbers: chance(r, 0.5),
		OnlyNamed:   chance(r, 0.3), PhonesIfNamed: chance(r, 0.5), IgnorePublished: chance(r, 0.05),
		BarePages:    chance(r, 0.3),
		CursorStatus: pick(r, 0, 400, 404),
	}
	w.is.Notation = pick(r, nil, nil, nil, rfc3966, international, national)
	if chance(r, 0.25) {
		w.is.ReplicaLag = between(r, time.Millisecond, maxLag)
	}
	if chance(r, 0.1) {
		w.is.CacheFor = time.Minute
	}
	switch p := r.Float64(); {
	case p < 0.06:
		w.is.Limit = sandbox.Limit{Requests: 1 + r.IntN(4),
			Interval: pick(r, time.Second, 2*time.Second, 10*time.Second)}
	case p < 0.09:
		w.is.Limit.AtATime = 1
	}
	w.is.Limit.RetryAfter = chance(r, 0.5)
	w.token = sandbox.Token
	if chance(r, 0.08) {
		w.token = pick(r, sandbox.AgentsToken, sandbox.AgentsToken, sandbox.ReadToken, sandbox.PhonesToken,
			"sandbox-token-of-nobody")
	}
}

// maxLag is how far a replica is behind.
const maxLag = 3 * time.Second

// drawFaults draws how much goes wrong.
func (w *world) drawFaults(r *rand.Rand) {
	rate := pick(r, 0, 0.1, 0.3, 0.6)
	w.rates = faultRates{change: rate, read: rate * pick(r, 0, 0.2, 0.5, 1), connect: rate * pick(r, 0, 0, 0.3),
		conn: rate * pick(r, 0, 0, 0.3)}
	for i, k := range faultKinds {
		for range k.weight {
			w.rates.kinds = append(w.rates.kinds, i)
		}
	}
	if chance(r, 0.6) { // a bad day is bad in one or two ways
		w.rates.kinds = []int{pick(r, w.rates.kinds...), pick(r, w.rates.kinds...)}
	}
	if w.busy = chance(r, 0.2); w.busy {
		w.rates = faultRates{change: 0.5, read: pick(r, 0, 0.5),
			kinds: []int{waiting, waiting, pick(r, w.rates.kinds...)}}
	}
	if chance(r, 0.1) {
		w.barred = barred{pick(r, "/v1/phone/", "/v1/phone/", "is_published", "version_id", "/v1/"), pick(r,
			apiFault(403), apiFault(404), sandbox.Fault{Status: 404}, sandbox.Fault{Status: 501},
			sandbox.Fault{Status: 405}, sandbox.Fault{Status: 200, Body: `{"ok":true}`}, sandbox.Fault{Status: 302})}
	}
	if chance(r, 0.04) {
		w.outage = between(r, time.Second, time.Minute)
	}
}

// apiFault is an error in the API's own shape.
func apiFault(status int) sandbox.Fault {
	code := map[int]string{400: "BAD_PARAMETER", 401: "INVALID_API_KEY", 404: "AGENT_NOT_FOUND",
		429: "RATE_LIMITED"}[status]
	return sandbox.Fault{Status: status, Body: fmt.Sprintf(`{"error_code":%q,"message":"No."}`,
		cmp.Or(code, "INTERNAL_SERVER_ERROR"))}
}

func pageFault(status int) sandbox.Fault {
	return sandbox.Fault{Status: status, Body: gatewayPage, Header: http.Header{"Content-Type": {"text/html"}}}
}

// otherReply confirms another change, of this agent or another.
func otherReply(n int) sandbox.Fault {
	return sandbox.Fault{Status: 200, Body: fmt.Sprintf(`{"agent_id":%q,"published_version_id":%q}`, simulatedAgent(n),
		simulatedAgent(9))}
}

// A faultKind is something that can happen to a request. Whether and when a change is made all the same is drawn apart
// from it.
type faultKind struct {
	name   string
	weight int
	class  replyMeaning
	of     []sandbox.Fault // one of these
	delay  time.Duration   // a second at least, and less than this; 0: none
	resets bool            // a connection that is aborted may be reset, instead of closed
	waits  []string        // of these, one is the Retry-After; empty: there is none
}

const waiting = 6 // the index of 429 in faultKinds

var faultKinds = []faultKind{
	{"the API's own 500", 8, appliedOrNot, []sandbox.Fault{apiFault(500)}, 0, false, nil},
	{"the API's own 503", 2, appliedOrNot, []sandbox.Fault{apiFault(503), apiFault(408), apiFault(504)}, 0, false, nil},
	{"a slow 500 of the API's own", 1, appliedOrNot, []sandbox.Fault{apiFault(500)}, 20 * time.Second, false, nil},
	{"the API refuses", 1, neverApplied, []sandbox.Fault{apiFault(400), apiFault(403), apiFault(404)}, 0, false, nil},
	{"the key is revoked", 1, neverApplied, []sandbox.Fault{apiFault(401)}, 0, false, nil},
	{"422", 1, neverApplied, []sandbox.Fault{{Status: 422,
		Body: `{"detail":[{"loc":["body","version_id"],"msg":"no"}]}`}}, 0, false, nil},
	waiting: {"429", 3, neverApplied, []sandbox.Fault{apiFault(429), {Status: 429}, pageFault(429)}, 0, false,
		[]string{"", "", "0", "1", "2.5", "7", "20", "60", "3600"}},
	{"redirect", 1, neverApplied, []sandbox.Fault{{Status: 301}, {Status: 302}, {Status: 307}, {Status: 308}}, 0, false,
		nil},
	{"a gateway refuses", 1, neverApplied, []sandbox.Fault{pageFault(400), pageFault(403), pageFault(404),
		pageFault(413)}, 0, false, nil},
	{"a gateway's page", 8, mayApplyLater, []sandbox.Fault{pageFault(502), pageFault(503), pageFault(504),
		pageFault(500), pageFault(524), {Status: 503}, {Status: 408},
		{Status: 504, Body: `{"message":"Endpoint request timed out"}`}}, 0, false,
		[]string{"", "", "", "", "", "1", "5", "60"}},
	{"a slow gateway", 2, mayApplyLater, []sandbox.Fault{pageFault(504)}, 40 * time.Second, false, nil},
	{"slow", 3, apiAnswered, []sandbox.Fault{{}, {Applied: true}}, 45 * time.Second, false, nil},
	{"lost", 4, mayApplyLater, []sandbox.Fault{{Drop: sandbox.DropReply}}, 0, true, nil},
	{"lost after a while", 1, mayApplyLater, []sandbox.Fault{{Drop: sandbox.DropReply}}, 20 * time.Second, true, nil},
	{"silence", 3, mayApplyLater, []sandbox.Fault{{Drop: sandbox.DropReply, Delay: time.Hour}}, 0, false, nil},
	{"truncated", 3, mayApplyLater, []sandbox.Fault{{Drop: sandbox.DropBody, Applied: true}}, 0, true, nil},
	{"a truncated error", 1, mayApplyLater, []sandbox.Fault{{Drop: sandbox.DropBody, Status: 500,
		Body: apiFault(500).Body}}, 0, true, nil},
	{"nonsense", 2, mayApplyLater, []sandbox.Fault{{Status: 200, Body: "<html>It works!</html>"},
		{Status: 200, Body: "null"}, {Status: 200, Body: `{"agent_id":`}, {Status: 200, Body: "{}"},
		{Status: 202, Body: `["ok"]`}, {Status: 204}}, 0, false, nil},
	{"the reply to something else", 1, mayApplyLater, []sandbox.Fault{otherReply(1), otherReply(2)}, 0, false, nil},
}

// fate draws what becomes of a request.
func (w *world) fate(x *exchange) {
	r := w.random(fmt.Sprint(x.method, x.uri, x.n))
	rate, latest := w.rates.change, pick(r, time.Second, 10*time.Second, 45*time.Second)
	switch x.method {
	case http.MethodGet:
		rate = w.rates.read
	case http.MethodPost: // few days have one, and it must not be sent again while it may still arrive
		rate, latest = max(rate, 0.8), 45*time.Second
	}
	hit, kind := chance(r, rate), faultKinds[pick(r, w.rates.kinds...)]
	switch {
	case w.path != "" && x.is(http.MethodGet) && strings.Contains(x.uri, w.path):
		x.kind, x.class, x.fault = "refused for good", neverApplied, w.fault
		return
	case time.Since(w.start) < w.outage:
		x.kind, x.class, x.fault = "outage", mayApplyLater, pageFault(503)
		return
	case !hit:
		return
	}
	x.kind, x.class, x.reset = kind.name, kind.class, kind.resets && chance(r, 0.6)
	f := pick(r, kind.of...)
	if kind.delay > 0 {
		f.Delay = between(r, time.Second, pick(r, 2*time.Second, 8*time.Second, kind.delay))
	}
	if wait := pick(r, append([]string{""}, kind.waits...)...); wait != "" {
		f.Header = http.Header{"Retry-After": {wait}}
	}
	if !x.is(http.MethodGet) {
		switch {
		case kind.class == appliedOrNot:
			f.Applied = chance(r, 0.5)
		case kind.class != mayApplyLater || f.Applied || !chance(r, 0.6):
		case chance(r, 0.5) && (f.Status != 0 || f.Drop == sandbox.DropReply):
			f.Late = between(r, time.Millisecond, latest)
		default:
			f.Applied = true
		}
	}
	x.fault = f
}

type (
	exchangeKey struct{}
	connKey     struct{}
)

// tee copies what goes to the client.
type tee struct {
	http.ResponseWriter
	x *exchange
}

func (t tee) WriteHeader(status int) { t.x.status = status; t.ResponseWriter.WriteHeader(status) }
func (t tee) Write(b []byte) (int, error) {
	t.x.reply.Write(b)
	return t.ResponseWriter.Write(b)
}
func (t tee) Unwrap() http.ResponseWriter { return t.ResponseWriter }

// ServeHTTP passes a request on to the sandbox, with the fault that is its fate.
func (w *world) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	x := &exchange{method: r.Method, uri: r.URL.RequestURI(), body: string(body), at: time.Now()}
	w.mu.Lock()
	w.exchanges = append(w.exchanges, x)
	w.ordinals[x.method+x.uri]++
	x.n = w.ordinals[x.method+x.uri]
	w.fate(x)
	w.note("%s %s (%d) %s: %s, applied %t, late %s, delay %s", x.method, x.uri, x.n, x.body, x.kind, x.fault.Applied,
		x.fault.Late, x.fault.Delay)
	w.release(len(w.exchanges))
	w.mu.Unlock()
	defer func() {
		failure := recover()
		w.mu.Lock()
		x.end, x.answered = time.Now(), failure == nil && r.Context().Err() == nil
		w.note("   %s (%d): %d, answered %t", x.uri, x.n, x.status, x.answered)
		w.mu.Unlock()
		if conn, ok := r.Context().Value(connKey{}).(net.Conn); failure != nil && x.reset && ok {
			resetConnection(conn)
		}
		if failure != nil {
			panic(failure)
		}
	}()
	w.Sandbox.ServeHTTP(tee{rw, x}, r.WithContext(context.WithValue(r.Context(), exchangeKey{}, x)))
}

// release starts what was to happen after the n-th request. The caller holds w.mu.
func (w *world) release(n int) {
	for _, e := range w.scheduled {
		if e.n == n {
			time.AfterFunc(e.after, e.do)
		}
	}
}

// note adds a line to the story.
func (w *world) note(format string, args ...any) {
	w.telling.Lock()
	defer w.telling.Unlock()
	w.story = append(w.story, fmt.Sprintf("%9.3f ", time.Since(w.start).Seconds())+fmt.Sprintf(format, args...))
}

// dial connects through a network that may be down, to a connection that may go silent or be slow.
func (w *world) dial(ctx context.Context, l *memoryNetwork) (net.Conn, error) {
	w.mu.Lock()
	w.dials++
	r := w.random(fmt.Sprint("dial ", w.dials))
	fault := ""
	if chance(r, w.rates.connect) {
		fault = pick(r, "refused", "refused", "the name cannot be looked up", "black hole")
		w.broken = append(w.broken, time.Now())
		w.note("DIAL %s", fault)
	}
	w.mu.Unlock()
	switch fault {
	case "refused":
		return nil, connectError(syscall.ECONNREFUSED)
	case "the name cannot be looked up":
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "server misbehaving", Name: "diga",
			IsTemporary: true}}
	case "black hole":
		select {
		case <-ctx.Done():
		case <-time.After(time.Minute):
		}
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ETIMEDOUT)}
	}
	conn, err := l.dial()
	if err != nil || !chance(r, w.rates.conn) {
		return conn, err
	}
	lossy := &lossyConn{Conn: conn, world: w, left: 1 << 30}
	if chance(r, 0.7) {
		lossy.left = r.IntN(8)
	} else {
		lossy.pace = between(r, time.Millisecond, 50*time.Millisecond)
		w.mu.Lock()
		w.pace = max(w.pace, lossy.pace)
		w.mu.Unlock()
	}
	return lossy, nil
}

// A lossyConn swallows what is written after some writes, without a word, or delivers slowly.
type lossyConn struct {
	net.Conn
	world *world
	left  int           // writes that get through
	pace  time.Duration // before each few bytes that are read
}

func (c *lossyConn) Write(b []byte) (int, error) {
	if c.left--; c.left >= 0 {
		return c.Conn.Write(b)
	}
	c.world.mu.Lock()
	defer c.world.mu.Unlock()
	c.world.broken = append(c.world.broken, time.Now())
	line, _, _ := strings.Cut(string(b), "\r\n")
	c.world.note("SWALLOWED %s", line)
	return len(b), nil
}

func (c *lossyConn) Read(b []byte) (int, error) {
	if c.pace > 0 {
		time.Sleep(c.pace) //nolint:forbidigo // in virtual time
		b = b[:min(len(b), 64)]
	}
	return c.Conn.Read(b)
}
