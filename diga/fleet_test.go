package diga

import (
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
)

var fleetSeeds = flag.Int("fleet-seeds", 3, "number of seeds per row in TestFleet, at most 500")

// firstFleetSeed is outside the seeds on which the rule was chosen (1 to 1000).
const firstFleetSeed = 10_001

// A fleet is the largest possible matrix: as many steps as GitHub allows, all starting at the same instant.
const (
	fleetSize   = 256
	fleetBudget = 2 * time.Minute // the default of the input timeout
	fleetIdeal  = fleetBudget / 2 // by when the limit lets every request of the fleet pass
)

// fleet is 256 steps and their rate limit.
type fleet struct {
	reads  int  // that a step sends once each, at the same instant, before its change
	byName bool // one more read, at the same instant, is retried until it passes
	limit  limit
}

// requests returns how many requests the fleet sends if none is refused. The limit lets as many pass by fleetIdeal.
func (f fleet) requests() int {
	if f.byName {
		return fleetSize * (f.reads + 2)
	}
	return fleetSize * (f.reads + 1)
}

// row returns the first cells of a row of the table.
func (f fleet) row() string {
	what := map[int]string{0: "the change alone", 4: "by id"}[f.reads]
	if f.byName {
		what = "by name"
	}
	limit := fmt.Sprintf("window of %.0f s", f.limit.window.Seconds())
	if f.limit.bucket > 0 {
		limit = fmt.Sprintf("bucket of %d", f.limit.bucket)
	}
	says := map[time.Duration]string{nothing: "none", exactly: "until one can pass"}[f.limit.says]
	return fmt.Sprintf("| %s | %s | %s |", what, limit, cmp.Or(says, seconds(f.limit.says)+" to all"))
}

// limit is a rate limit.
type limit struct {
	bucket int           // the size of a token bucket that is full at first and gets tokens at an even rate; 0: none
	window time.Duration // the length of the windows, each of which lets a fixed number pass; 0: none
	says   time.Duration // in Retry-After: nothing, exactly, or this to everyone
}

const (
	nothing time.Duration = 0
	exactly time.Duration = -1 // how long it is until a request can pass, in whole seconds
)

// limiter lets a request pass at the time now and returns 0, or returns how long it must wait.
type limiter func(now time.Duration) (wait time.Duration)

// limiter returns a limiter that lets so many requests pass by fleetIdeal.
func (l limit) limiter(requests int) limiter {
	if l.window > 0 {
		windows := int(fleetIdeal/l.window) + 1
		most := (requests + windows - 1) / windows
		var current time.Duration
		passed := 0
		return func(now time.Duration) time.Duration {
			if n := now / l.window; n != current {
				current, passed = n, 0
			}
			if passed == most {
				return (current+1)*l.window - now
			}
			passed++
			return 0
		}
	}
	// Steps that were told to wait cannot use the capacity that becomes free meanwhile.
	interval := (fleetIdeal - max(l.says, 0)) / time.Duration(requests-l.bucket)
	var full time.Duration // when the bucket will be full again
	return func(now time.Duration) time.Duration {
		full = max(full, now)
		if wait := full - time.Duration(l.bucket-1)*interval - now; wait > 0 {
			return wait
		}
		full += interval
		return 0
	}
}

// retryAfter returns what the header says to a request that must wait; 0 means no header.
func (l limit) retryAfter(wait time.Duration) time.Duration {
	if l.says == exactly {
		return (wait + time.Second - 1).Truncate(time.Second)
	}
	return l.says
}

// fleetOutcome is the result of a fleet, or the worst of several.
type fleetOutcome struct {
	lost     int           // steps that gave up
	last     time.Duration // when the last of the others was done
	requests int           // of all steps
}

func (o fleetOutcome) worse(p fleetOutcome) fleetOutcome {
	return fleetOutcome{max(o.lost, p.lost), max(o.last, p.last), max(o.requests, p.requests)}
}

func (o fleetOutcome) mean() float64 { return float64(o.requests) / fleetSize }

func (o fleetOutcome) String() string {
	text := fmt.Sprintf("%.0f s, %.2f", o.last.Seconds(), o.mean())
	if o.lost > 0 {
		text += fmt.Sprintf(", %d lost", o.lost)
	}
	return text
}

// missed lists the goals that the outcome misses, given the outcome of the perfect schedule.
func (o fleetOutcome) missed(ideal fleetOutcome) string {
	var list []string
	if o.lost > 0 {
		list = append(list, "all")
	}
	if o.last > fleetIdeal*3/2 {
		list = append(list, "90 s")
	}
	if o.last > ideal.last*3/2 {
		list = append(list, "1.5 × perfect")
	}
	if o.mean() > 6 {
		list = append(list, "6 requests")
	}
	return strings.Join(list, ", ")
}

// chance returns the source of the jitter and the latencies of one step.
func chance(seed uint64, step int) func(limit time.Duration) time.Duration {
	random := rand.New(rand.NewPCG(seed, uint64(step)))
	return func(limit time.Duration) time.Duration { return time.Duration(random.Int64N(int64(limit))) }
}

// way returns the time to connect, or for a response to arrive. It differs for each step, so that the scheduler has no
// influence.
func way(random func(time.Duration) time.Duration) time.Duration {
	return 20*time.Millisecond + random(60*time.Millisecond)
}

// listLate is how much later than its other reads a step's list of versions arrives, so that their order is known.
const listLate = 1 * time.Nanosecond

// rule chooses the wait before retry n (from 0): a random time from least to least+spread, but never less than asked.
type rule struct {
	name string
	wait func(n int, previous, asked time.Duration) (least, spread time.Duration)
}

var rules = []rule{
	{"full jitter", func(n int, _, _ time.Duration) (_, _ time.Duration) {
		return 0, doubled(n)
	}},
	{"equal jitter", func(n int, _, _ time.Duration) (_, _ time.Duration) {
		return doubled(n) / 2, doubled(n) / 2
	}},
	{"decorrelated jitter", func(_ int, previous, _ time.Duration) (_, _ time.Duration) {
		return firstBackoff, min(maxBackoff, 3*max(previous, firstBackoff)) - firstBackoff
	}},
	{"half of Retry-After on top", func(n int, _, asked time.Duration) (_, _ time.Duration) {
		if asked == 0 {
			return doubled(n) / 2, doubled(n) / 2
		}
		return max(doubled(n)/2, asked), min(max(doubled(n), asked/2), maxBackoff/2)
	}},
	{"the client's", clientsRule},
}

func clientsRule(n int, _, asked time.Duration) (least, spread time.Duration) {
	return backoff(n, http.StatusTooManyRequests, asked)
}

func doubled(n int) time.Duration { return min(firstBackoff<<min(n, 5), maxBackoff) }

// model computes the outcome of a fleet under a rule. Without one it follows the perfect schedule, which no rule can
// beat: each step sends its first requests at once, and each refused request once more, as soon as it can pass after
// the shortest wait that the policy and Retry-After allow. By name, the list passes just when the change can follow
// it.
func model(f fleet, wait func(n int, previous, asked time.Duration) (least, spread time.Duration), seed uint64) (o fleetOutcome) {
	type step struct {
		random   func(time.Duration) time.Duration
		next     time.Duration // when the next request comes
		reads    int           // to be sent, once each, at that time
		list     bool          // then the list of versions is to be read
		attempts int           // at the list, then at the change
		wait     time.Duration // the latest
	}
	var steps []*step // in the order of their next requests
	queue := func(s *step) {
		i, _ := slices.BinarySearchFunc(steps, s, func(a, b *step) int { return cmp.Compare(a.next, b.next) })
		steps = slices.Insert(steps, i, s)
	}
	for i := range fleetSize {
		random := chance(seed, i)
		s := &step{random: random, next: way(random), reads: f.reads, list: f.byName}
		queue(s)
	}
	limiter := f.limit.limiter(f.requests())
	for len(steps) > 0 {
		s := steps[0]
		steps = steps[1:]
		if s.reads > 0 {
			for ; s.reads > 0; s.reads-- {
				limiter(s.next)
				o.requests++
			}
			if s.list {
				s.next += listLate
			} else {
				s.next += way(s.random)
			}
			queue(s)
			continue
		}
		refused := limiter(s.next)
		if wait == nil && refused > 0 && (s.attempts > 0 || f.byName && !s.list) {
			s.next += refused
			queue(s)
			continue
		}
		o.requests++
		s.attempts++
		if refused == 0 && !s.list {
			o.last = s.next
			continue
		}
		if refused == 0 {
			s.list, s.attempts = false, 0
			s.next += way(s.random)
			queue(s)
			continue
		}
		asked := f.limit.retryAfter(refused)
		var spread time.Duration
		least := firstBackoff / 2
		if wait != nil {
			least, spread = wait(s.attempts-1, s.wait, asked)
		}
		room := fleetBudget - s.next - lastAttempt
		if max(least, asked) > room {
			o.lost++
			continue
		}
		if spread = min(spread, room-least); spread > 0 {
			least += s.random(spread)
		}
		s.wait = max(least, asked)
		s.next += s.wait
		if s.list {
			s.next += listLate
		}
		queue(s)
	}
	return o
}

// play sends a fleet of clients to a server, in virtual time.
func play(t *testing.T, f fleet, seed uint64) (o fleetOutcome) {
	start := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), fleetBudget)
	defer cancel()

	var mu sync.Mutex
	waits := make(map[time.Duration]int)
	limiter := f.limit.limiter(f.requests())
	version := uuid.UUID{1}
	server := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		agent, list := strings.CutSuffix(strings.TrimPrefix(r.URL.Path, "/v1/agent/"), "/version")
		if list {
			<-time.After(listLate)
		}
		mu.Lock()
		o.requests++
		refused := limiter(time.Since(start))
		mu.Unlock()
		var change struct {
			Version string `json:"version_id"`
		}
		switch {
		case refused > 0:
			if asked := f.limit.retryAfter(refused); asked > 0 {
				w.Header().Set("Retry-After", strconv.Itoa(int(asked/time.Second)))
			}
			w.WriteHeader(http.StatusTooManyRequests)
		case r.URL.Path == "/v1/phone/":
			fmt.Fprint(w, `{"data": [], "has_more": false}`)
		case list:
			fmt.Fprintf(w, `{"data": [{"agent_id": %q, "version_id": %q, "version_name": "v1"}], "has_more": false}`, agent, version)
		case r.Method == http.MethodGet:
			fmt.Fprintf(w, `{"agent_id": %q, "version_id": %q, "is_published": true}`, agent, version)
		case json.NewDecoder(r.Body).Decode(&change) == nil:
			fmt.Fprintf(w, `{"agent_id": %q, "published_version_id": %q}`, strings.TrimSuffix(agent, "/published_version"), change.Version)
		}
	})}
	conns := make(listener)
	go func() { _ = server.Serve(conns) }()
	defer server.Close()

	var running sync.WaitGroup
	for i := range fleetSize {
		running.Go(func() {
			random := chance(seed, i)
			connecting := way(random)
			client := Client{
				BaseURL: &url.URL{Scheme: "http", Host: "localhost"},
				Jitter:  random,
				Dial: func(context.Context, string, string) (net.Conn, error) {
					<-time.After(connecting)
					near, far := net.Pipe()
					conns <- far
					return near, nil
				},
				OnWait: func(w Wait) {
					mu.Lock()
					defer mu.Unlock()
					waits[w.Duration]++
				},
			}
			defer client.Close()
			agent := uuid.UUID{15: byte(i)}
			reads := []func() error{
				func() error { _, err := client.PublishedVersion(ctx, Once, agent); return err },
				func() error { _, err := client.PhonesOf(ctx, Once, agent, Inbound); return err },
				func() error { _, err := client.PhonesOf(ctx, Once, agent, Outbound); return err },
				func() error { _, err := client.Version(ctx, Once, agent, version); return err },
			}[:f.reads]
			var err error
			if f.byName {
				reads = append(reads, func() error { _, err = client.VersionNamed(ctx, WithRetries, agent, "v1"); return err })
			}
			var reading sync.WaitGroup
			for _, read := range reads {
				reading.Go(func() { _ = read() })
			}
			reading.Wait()
			if len(reads) > 0 {
				<-time.After(way(random))
			}
			if err == nil {
				_, _, err = client.Publish(ctx, Change{Agent: agent, Version: uuid.NullUUID{UUID: version, Valid: true}})
			}
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				o.lost++
			} else {
				o.last = max(o.last, time.Since(start))
			}
		})
	}
	running.Wait()
	for wait, n := range waits {
		if n > 1 {
			t.Errorf("%d waits of %s, want no two alike", n, wait)
		}
	}
	return o
}

// goal replaces the goals of a row that cannot meet those of all fleets: none lost, 90 s, 6 requests a step. A zero
// field does not.
type goal struct {
	lost     int
	time     time.Duration
	requests float64
}

// A fleet meets its goals. The table compares rules for waits with the perfect schedule, by the worst of the seeds: go
// test ./diga -run Fleet -v -fleet-seeds 500
func TestFleet(t *testing.T) {
	table := "\n| a step | limit | Retry-After | perfect schedule |"
	for _, rule := range rules {
		table += " " + rule.name + " |"
	}
	table += " missed |\n|---|---|---|---|---|" + strings.Repeat("---|", len(rules)) + "\n"
	for _, row := range fleetRows {
		begin := row.row()
		var ideal, worst fleetOutcome
		seeds := func(wait func(int, time.Duration, time.Duration) (time.Duration, time.Duration)) (worst fleetOutcome) {
			for i := range min(*fleetSeeds, 500) {
				worst = worst.worse(model(row.fleet, wait, firstFleetSeed+uint64(i)))
			}
			return worst
		}
		ideal = seeds(nil)
		table += begin + " " + ideal.String() + " |"
		for _, rule := range rules {
			worst = seeds(rule.wait)
			table += " " + worst.String() + " |"
		}
		table += " " + worst.missed(ideal) + " |\n"
		mostTime, mostRequests := cmp.Or(row.goal.time, fleetIdeal*3/2), cmp.Or(row.goal.requests, 6)
		if worst.lost > row.goal.lost || worst.last > mostTime || worst.mean() > mostRequests {
			t.Errorf("%s %s; want at most %.0f s, %.2f, %d lost", begin, worst, mostTime.Seconds(), mostRequests, row.goal.lost)
		}
	}
	t.Log(table)
}

// Clients on a network do what the model says.
func TestFleetOfClients(t *testing.T) {
	for i, row := range fleetRows {
		if i%4 != 0 {
			continue
		}
		synctest.Test(t, func(t *testing.T) {
			if got, want := play(t, row.fleet, firstFleetSeed), model(row.fleet, clientsRule, firstFleetSeed); got != want {
				t.Errorf("%s %+v from the clients, want %+v", row.row(), got, want)
			}
		})
	}
}

// The change is sent at once, and its waits start from the beginning.
func TestRefusedReadsDoNotDelayTheChange(t *testing.T) {
	n := &network{reply: func(r received) reply {
		if strings.HasPrefix(r.head, "GET") {
			return apiError(http.StatusTooManyRequests, "RATE_LIMITED", "Retry-After: 60")
		}
		if r.at == 0 {
			return apiError(http.StatusServiceUnavailable, "BUSY")
		}
		return published
	}}
	n.play(t, func(t *testing.T, c *Client) {
		ctx, cancel := context.WithTimeout(t.Context(), fleetBudget)
		defer cancel()
		var reads sync.WaitGroup
		reads.Go(func() { _, _ = c.PublishedVersion(ctx, Once, agentID) })
		reads.Go(func() { _, _ = c.PhonesOf(ctx, Once, agentID, Inbound) })
		reads.Go(func() { _, _ = c.PhonesOf(ctx, Once, agentID, Outbound) })
		reads.Go(func() { _, _ = c.Version(ctx, Once, agentID, versionID) })
		reads.Wait()
		_, attempts, err := c.Publish(ctx, promotion)
		if elapsed := time.Since(n.start); err != nil || attempts != 2 || elapsed != firstBackoff/2 || len(n.heard()) != 6 {
			t.Errorf("%d attempts, %d requests in %s and %v; want 2, 6, %s and nil", attempts, len(n.heard()), elapsed, err, firstBackoff/2)
		}
	})
}

// The jitter that spreads a fleet must not cost a single step much.
func TestFleetOfOneWaitsNotMuchLonger(t *testing.T) {
	table := "\n| Retry-After, s | first wait, s | before, s |\n|---|---|---|\n"
	before := rules[len(rules)-2]
	for _, asked := range []time.Duration{0, 1, 2, 5, 10, 20, 60} {
		asked *= time.Second
		text := func(least, spread time.Duration) string {
			return fmt.Sprintf("%.2f (%.1f to %.1f)", (least + spread/2).Seconds(), least.Seconds(), (least + spread).Seconds())
		}
		least, spread := clientsRule(0, 0, asked)
		if least < asked || least+spread > max(2*asked, 2*time.Second) || spread > maxBackoff {
			t.Errorf("asked for %s, waits %s", asked, text(least, spread))
		}
		table += fmt.Sprintf("| %.0f | %s | %s |\n", asked.Seconds(), text(least, spread), text(before.wait(0, 0, asked)))
	}
	t.Log(table)
}

// fleetRows are the rows of the table. Their goals are the worst outcomes of 500 seeds.
var fleetRows = []struct {
	fleet
	goal goal
}{
	{fleet{reads: 4, limit: limit{bucket: 32, says: nothing}}, goal{requests: 7.5}},
	{fleet{reads: 4, limit: limit{bucket: 32, says: exactly}}, goal{requests: 7.7}},
	{fleet{reads: 4, limit: limit{bucket: 32, says: 5 * time.Second}}, goal{requests: 6.5}},
	{fleet{reads: 4, limit: limit{bucket: 32, says: 10 * time.Second}}, goal{requests: 6.1}},
	{fleet{reads: 4, limit: limit{bucket: 32, says: 20 * time.Second}}, goal{}},
	{fleet{reads: 4, limit: limit{bucket: 10, says: nothing}}, goal{requests: 7.8}},
	{fleet{reads: 4, limit: limit{bucket: 10, says: exactly}}, goal{requests: 7.8}},
	{fleet{reads: 4, limit: limit{bucket: 10, says: 5 * time.Second}}, goal{requests: 6.7}},
	{fleet{reads: 4, limit: limit{bucket: 10, says: 10 * time.Second}}, goal{requests: 6.2}},
	{fleet{reads: 4, limit: limit{bucket: 10, says: 20 * time.Second}}, goal{}},
	{fleet{reads: 4, limit: limit{window: 1 * time.Second, says: nothing}}, goal{requests: 7.8}},
	{fleet{reads: 4, limit: limit{window: 1 * time.Second, says: exactly}}, goal{requests: 7.9}},
	{fleet{reads: 4, limit: limit{window: 10 * time.Second, says: nothing}}, goal{requests: 8.5}},
	{fleet{reads: 4, limit: limit{window: 10 * time.Second, says: exactly}}, goal{requests: 6.3}},
	{fleet{reads: 4, limit: limit{window: 60 * time.Second, says: nothing}}, goal{requests: 12}},
	{fleet{reads: 4, limit: limit{window: 60 * time.Second, says: exactly}}, goal{}},
	{fleet{reads: 4, limit: limit{bucket: 1, says: nothing}}, goal{requests: 8.4}},
	{fleet{reads: 4, limit: limit{bucket: 1, says: exactly}}, goal{requests: 8.5}},
	{fleet{reads: 4, limit: limit{bucket: 1, says: 10 * time.Second}}, goal{requests: 6.8}},

	{fleet{reads: 3, byName: true, limit: limit{bucket: 32, says: nothing}}, goal{requests: 8.7}},
	{fleet{reads: 3, byName: true, limit: limit{bucket: 32, says: exactly}}, goal{requests: 9.5}},
	{fleet{reads: 3, byName: true, limit: limit{bucket: 10, says: nothing}}, goal{requests: 8.9}},
	{fleet{reads: 3, byName: true, limit: limit{bucket: 10, says: exactly}}, goal{requests: 9.6}},
	{fleet{reads: 3, byName: true, limit: limit{bucket: 10, says: 10 * time.Second}}, goal{requests: 6.8}},
	{fleet{reads: 3, byName: true, limit: limit{window: 10 * time.Second, says: nothing}}, goal{requests: 9}},
	{fleet{reads: 3, byName: true, limit: limit{window: 10 * time.Second, says: exactly}}, goal{requests: 6.9}},
	{fleet{reads: 3, byName: true, limit: limit{window: 60 * time.Second, says: nothing}}, goal{requests: 12.1}},
	{fleet{reads: 3, byName: true, limit: limit{window: 60 * time.Second, says: exactly}}, goal{}},

	// The API limits changes only, or reads apart from them.
	{fleet{limit: limit{bucket: 32, says: nothing}}, goal{}},
	{fleet{limit: limit{bucket: 32, says: exactly}}, goal{}},
	{fleet{limit: limit{bucket: 32, says: 5 * time.Second}}, goal{}},
	{fleet{limit: limit{bucket: 32, says: 10 * time.Second}}, goal{}},
	{fleet{limit: limit{bucket: 32, says: 20 * time.Second}}, goal{}},
	{fleet{limit: limit{bucket: 10, says: nothing}}, goal{}},
	{fleet{limit: limit{bucket: 10, says: exactly}}, goal{}},
	{fleet{limit: limit{bucket: 10, says: 5 * time.Second}}, goal{}},
	{fleet{limit: limit{bucket: 10, says: 10 * time.Second}}, goal{}},
	{fleet{limit: limit{bucket: 10, says: 20 * time.Second}}, goal{}},
	{fleet{limit: limit{window: 1 * time.Second, says: nothing}}, goal{}},
	{fleet{limit: limit{window: 1 * time.Second, says: exactly}}, goal{}},
	{fleet{limit: limit{window: 10 * time.Second, says: nothing}}, goal{}},
	{fleet{limit: limit{window: 10 * time.Second, says: exactly}}, goal{}},
	{fleet{limit: limit{window: 60 * time.Second, says: nothing}}, goal{}},
	{fleet{limit: limit{window: 60 * time.Second, says: exactly}}, goal{}},
	{fleet{limit: limit{bucket: 1, says: nothing}}, goal{lost: 3, time: fleetBudget, requests: 6.8}},
	{fleet{limit: limit{bucket: 1, says: exactly}}, goal{lost: 1, time: fleetBudget, requests: 6.9}},
	{fleet{limit: limit{bucket: 1, says: 10 * time.Second}}, goal{lost: 1, time: fleetBudget}},
}
