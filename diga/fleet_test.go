package diga

import (
	"cmp"
	"context"
	"encoding/json"
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

// A fleet is what a workflow's matrix makes: as many steps as GitHub allows in one, all starting at the same instant.
const (
	fleetSize   = 256
	fleetBudget = 2 * time.Minute // the input timeout, unless it is set
	fleetIdeal  = fleetBudget / 2 // when each of the limits below has let all through that come at the right time
)

// goal is what is asked of a fleet. The zero value asks for nothing lost, 1.5 times the ideal time and six requests a
// step on average.
type goal struct {
	lost     int           // steps that give up, at most
	time     time.Duration // until the last of the others is done, at most
	requests float64       // a step on average, at most
}

// limiter lets a request through at the time now and returns 0, or returns how long it is until one can pass.
type limiter func(now time.Duration) (wait time.Duration)

// api limits requests, so that just as many as a fleet needs can pass by fleetIdeal.
type api struct {
	bucket int           // the size of a token bucket that is full at first and gets tokens at an even rate; 0: none
	window time.Duration // the length of the windows for each of which there is a fixed number; 0: none
	says   time.Duration // in Retry-After: nothing, exactly, or this to everyone
}

const (
	nothing time.Duration = 0
	exactly time.Duration = -1 // how long it is until a request can pass, in whole seconds
)

func (a api) limiter(requests int) limiter {
	if a.window > 0 {
		windows := int(fleetIdeal/a.window) + 1
		most := (requests + windows - 1) / windows
		var current time.Duration
		passed := 0
		return func(now time.Duration) time.Duration {
			if n := now / a.window; n != current {
				current, passed = n, 0
			}
			if passed == most {
				return (current+1)*a.window - now
			}
			passed++
			return 0
		}
	}
	// Whoever is told to stay away cannot use what passes meanwhile.
	interval := (fleetIdeal - max(a.says, 0)) / time.Duration(requests-a.bucket)
	var full time.Duration // when no token will be missing
	return func(now time.Duration) time.Duration {
		full = max(full, now)
		if wait := full - time.Duration(a.bucket-1)*interval - now; wait > 0 {
			return wait
		}
		full += interval
		return 0
	}
}

// retryAfter is what the header says to a request that cannot pass for a time; 0: there is none.
func (a api) retryAfter(wait time.Duration) time.Duration {
	if a.says == exactly {
		return (wait + time.Second - 1).Truncate(time.Second)
	}
	return a.says
}

// row begins a row of the table.
func (a api) row(requests int) string {
	limit := fmt.Sprintf("window of %.0f s", a.window.Seconds())
	if a.bucket > 0 {
		limit = fmt.Sprintf("bucket of %d", a.bucket)
	}
	says := map[time.Duration]string{nothing: "none", exactly: "until one can pass"}[a.says]
	return fmt.Sprintf("| %d | %s | %s |", requests, limit, cmp.Or(says, seconds(a.says)+" to all"))
}

// fleetOutcome is what became of a fleet.
type fleetOutcome struct {
	lost     int           // steps that gave up
	last     time.Duration // when the last of the others was done
	requests int           // of all steps
}

func (o fleetOutcome) mean() float64 { return float64(o.requests) / fleetSize }

func (o fleetOutcome) String() string {
	text := fmt.Sprintf("%.0f s, %.1f", o.last.Seconds(), o.mean())
	if o.lost > 0 {
		text += fmt.Sprintf(", %d lost", o.lost)
	}
	return text
}

// chance is what is random about a step: first its way to the API, then its jitter.
func chance(seed uint64, step int) func(limit time.Duration) time.Duration {
	random := rand.New(rand.NewPCG(seed, uint64(step)))
	return func(limit time.Duration) time.Duration { return time.Duration(random.Int64N(int64(limit))) }
}

// way is how long it takes to connect, or for a reply to come back. No two ways are the same, or else the scheduler would
// decide who is first.
func way(random func(time.Duration) time.Duration) time.Duration {
	return 20*time.Millisecond + random(60*time.Millisecond)
}

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
	{"equal jitter on top of the floor", func(n int, _, asked time.Duration) (_, _ time.Duration) {
		return max(doubled(n)/2, asked), doubled(n) / 2
	}},
	{"the client's", func(n int, _, asked time.Duration) (_, _ time.Duration) {
		return backoff(n, asked)
	}},
}

func doubled(n int) time.Duration { return min(firstBackoff<<min(n, 5), maxBackoff) }

// model works out what becomes of a fleet whose steps send a number of reads, once each, and then the change until it
// passes.
func model(api api, reads int, rule rule, seed uint64) (o fleetOutcome) {
	type step struct {
		random   func(time.Duration) time.Duration
		next     time.Duration // when the next request comes
		wait     time.Duration // the latest
		attempts int           // at the change; negative: reads to come
	}
	var steps []*step // in the order of their next requests
	queue := func(s *step) {
		i, _ := slices.BinarySearchFunc(steps, s, func(a, b *step) int { return cmp.Compare(a.next, b.next) })
		steps = slices.Insert(steps, i, s)
	}
	for i := range fleetSize {
		random := chance(seed, i)
		queue(&step{random: random, next: way(random), attempts: -reads})
	}
	limiter := api.limiter(fleetSize * (reads + 1))
	for len(steps) > 0 {
		s := steps[0]
		steps = steps[1:]
		o.requests++
		s.attempts++
		refused := limiter(s.next)
		if s.attempts <= 0 {
			s.next += way(s.random)
			queue(s)
			continue
		}
		if refused == 0 {
			o.last = s.next
			continue
		}
		asked := api.retryAfter(refused)
		least, spread := rule.wait(s.attempts-1, s.wait, asked)
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
		queue(s)
	}
	return o
}

// play sends a fleet of clients to a server, in the virtual time of a synctest bubble.
func play(t *testing.T, api api, reads int, seed uint64) (o fleetOutcome) {
	start := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), fleetBudget)
	defer cancel()

	var mu sync.Mutex
	waits := make(map[time.Duration]int)
	limiter := api.limiter(fleetSize * (reads + 1))
	server := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		o.requests++
		refused := limiter(time.Since(start))
		mu.Unlock()
		agent := strings.Split(r.URL.Path, "/")[3]
		var change struct {
			Version string `json:"version_id"`
		}
		switch {
		case refused > 0:
			if asked := api.retryAfter(refused); asked > 0 {
				w.Header().Set("Retry-After", strconv.Itoa(int(asked/time.Second)))
			}
			w.WriteHeader(http.StatusTooManyRequests)
		case r.Method == http.MethodGet:
			fmt.Fprintf(w, `{"agent_id": %q, "version_id": %[1]q, "is_published": true}`, agent)
		case json.NewDecoder(r.Body).Decode(&change) == nil:
			fmt.Fprintf(w, `{"agent_id": %q, "published_version_id": %q}`, agent, change.Version)
		}
	})}
	listener := make(pipes)
	go func() { _ = server.Serve(listener) }()
	defer server.Close()

	var fleet sync.WaitGroup
	for i := range fleetSize {
		fleet.Go(func() {
			random := chance(seed, i)
			client := Client{
				BaseURL: &url.URL{Scheme: "http", Host: "localhost"},
				Jitter:  random,
				Dial: func(context.Context, string, string) (net.Conn, error) {
					<-time.After(way(random))
					near, far := net.Pipe()
					listener <- far
					return near, nil
				},
				OnWait: func(w Wait) {
					mu.Lock()
					defer mu.Unlock()
					waits[w.Duration]++
				},
			}
			defer client.Close()
			agent, version := uuid.UUID{15: byte(i)}, uuid.NullUUID{UUID: uuid.UUID{1}, Valid: true}
			for range reads {
				_, _ = client.PublishedVersion(ctx, Once, agent)
				<-time.After(way(random))
			}
			_, _, err := client.Publish(ctx, Change{Agent: agent, Version: version})
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				o.lost++
			} else {
				o.last = max(o.last, time.Since(start))
			}
		})
	}
	fleet.Wait()
	for wait, n := range waits {
		if n > 1 {
			t.Errorf("%d waits of %s, want no two alike", n, wait)
		}
	}
	return o
}

// pipes is a listener for connections that are made in memory.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	if conn, open := <-p; open {
		return conn, nil
	}
	return nil, net.ErrClosed
}

func (p pipes) Close() error {
	close(p)
	return nil
}

func (pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes"} }

// A fleet gets through a limit that leaves room for it. The table compares the client's rule for waits with others, by
// the worst of some seeds; "go test -run Fleet -v" shows it.
func TestFleet(t *testing.T) {
	const seeds = 5
	table := "\n| requests | limit | Retry-After |"
	for _, rule := range rules {
		table += " " + rule.name + " |"
	}
	table += "\n|---|---|---|" + strings.Repeat("---|", len(rules)) + "\n"
	client := rules[len(rules)-1]
	for _, row := range []struct {
		reads int // before the change
		api   api
		goal  goal
	}{
		{0, api{bucket: 32, says: nothing}, goal{}},
		{0, api{bucket: 32, says: exactly}, goal{}},
		{0, api{bucket: 32, says: 5 * time.Second}, goal{}},
		{0, api{bucket: 32, says: 10 * time.Second}, goal{}},
		{0, api{bucket: 32, says: 20 * time.Second}, goal{}},
		{0, api{bucket: 10, says: exactly}, goal{}},
		{0, api{bucket: 10, says: 5 * time.Second}, goal{}},
		{0, api{bucket: 10, says: 10 * time.Second}, goal{}},
		{0, api{window: 1 * time.Second, says: exactly}, goal{}},
		{0, api{window: 10 * time.Second, says: exactly}, goal{}},
		{0, api{window: 60 * time.Second, says: nothing}, goal{}},
		{0, api{window: 60 * time.Second, says: exactly}, goal{}},
		{1, api{bucket: 32, says: exactly}, goal{}},
		{1, api{bucket: 10, says: exactly}, goal{}},
		{1, api{bucket: 10, says: 10 * time.Second}, goal{}},
		{1, api{window: 10 * time.Second, says: exactly}, goal{}},
		{1, api{window: 60 * time.Second, says: exactly}, goal{}},

		// Missed by waits that double to 20 s with every jitter that was tried. Who is told nothing has to ask in order to
		// find out; and a limit that stores little lets its chances pass while nobody asks.
		{0, api{bucket: 10, says: nothing}, goal{requests: 6.4}},
		{0, api{window: 1 * time.Second, says: nothing}, goal{requests: 6.4}},
		{0, api{window: 10 * time.Second, says: nothing}, goal{requests: 6.2}},
		{1, api{bucket: 32, says: nothing}, goal{requests: 6.5}},
		{1, api{bucket: 10, says: nothing}, goal{requests: 6.5}},
		{1, api{window: 10 * time.Second, says: nothing}, goal{requests: 7.2}},
		{1, api{window: 60 * time.Second, says: nothing}, goal{requests: 9.2}},
		{0, api{bucket: 10, says: 20 * time.Second}, goal{time: 100 * time.Second}},
		{0, api{bucket: 1, says: nothing}, goal{lost: 2, time: fleetBudget, requests: 7.6}},
		{0, api{bucket: 1, says: exactly}, goal{time: fleetBudget, requests: 6.8}},
		{0, api{bucket: 1, says: 10 * time.Second}, goal{lost: 1, time: fleetBudget}},
	} {
		begin := row.api.row(row.reads + 1)
		table += begin
		var worst fleetOutcome
		for _, rule := range rules {
			worst = fleetOutcome{}
			for seed := range uint64(seeds) {
				o := model(row.api, row.reads, rule, seed)
				worst = fleetOutcome{max(worst.lost, o.lost), max(worst.last, o.last), max(worst.requests, o.requests)}
			}
			table += " " + worst.String() + " |"
		}
		table += "\n"
		mostTime, mostRequests := cmp.Or(row.goal.time, fleetIdeal*3/2), cmp.Or(row.goal.requests, 6)
		if worst.lost > row.goal.lost || worst.last > mostTime || worst.mean() > mostRequests {
			t.Errorf("%s %s; want at most %.0f s, %.1f, %d lost", begin, worst, mostTime.Seconds(), mostRequests, row.goal.lost)
		}
		if row.goal != (goal{}) {
			continue
		}
		synctest.Test(t, func(t *testing.T) {
			if got, want := play(t, row.api, row.reads, 0), model(row.api, row.reads, client, 0); got != want {
				t.Errorf("%s %+v from the clients, want %+v", begin, got, want)
			}
		})
	}
	t.Log(table)
}
