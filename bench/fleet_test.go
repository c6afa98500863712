package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"publish-agent-version/internal/sandbox"
	"publish-agent-version/publish"
)

var firstSeed = flag.Uint64("seed", 0, "the first of five seeds for each row of TestFleets; 0: only one seed")

const (
	steps = 256         // as many as one matrix can have
	ideal = time.Minute // by when a limit lets as many requests pass as the steps need
)

// limit lets so many requests pass in each window of time.
type limit struct {
	window time.Duration
	says   string // in Retry-After; exact: as long as it takes; none: no header
	most   int
}

// fleet is what happened to steps that began at one instant, or the worst of several fleets.
type fleet struct {
	failed, dropped, requests int           // dropped: bound numbers that the change did not name; some APIs release them
	last                      time.Duration // when the last step ended
}

func (f fleet) worse(g fleet) fleet {
	return fleet{max(f.failed, g.failed), max(f.dropped, g.dropped), max(f.requests, g.requests), max(f.last, g.last)}
}

// TestFleets starts 256 steps at one instant, in virtual time, against a limit that counts reads too.
func TestFleets(t *testing.T) {
	var alone, worst fleet
	synctest.Test(t, func(t *testing.T) { alone = play(t, 1, 0, limit{window: time.Hour, most: 100}) })
	fmt.Print("| limit | Retry-After | steps failed | numbers lost | time ÷ ideal | requests a step |\n",
		"|---|---|---|---|---|---|\n")
	limits := []limit{
		{window: time.Second, says: "none"}, {window: time.Second, says: "exact"}, {window: time.Minute, says: "exact"},
		{window: 10 * time.Second, says: "none"}, {window: 10 * time.Second, says: "10"},
	}
	if testing.Short() {
		limits = limits[:1]
	}
	for _, l := range limits {
		var f fleet
		l.most = steps*alone.requests/(int(ideal/l.window)+1) + 1
		for seed := range 1 + 4*min(*firstSeed, 1) {
			synctest.Test(t, func(t *testing.T) { f = f.worse(play(t, steps, *firstSeed+seed, l)) })
		}
		fmt.Printf("| %d in %.0f s | %s | %d | %d | %.2f | %.1f |\n",
			l.most, l.window.Seconds(), l.says, f.failed, f.dropped, f.last.Minutes(), float64(f.requests)/steps)
		worst = worst.worse(f)
	}
	fmt.Printf("worst: %d failed, %.2f × ideal, %d numbers lost\n", worst.failed, worst.last.Minutes(), worst.dropped)
	if worst.failed > 0 || worst.last > ideal*3/2 || worst.dropped > 0 {
		t.Error("want 0 failed, 1.50 × ideal at most, 0 numbers lost")
	}
}

// play plays n steps. Each publishes, in an API of its own, another version of an agent that has a number.
func play(t *testing.T, n int, seed uint64, l limit) (f fleet) {
	var mu sync.Mutex // for the fleet and for these
	start, random, passed := time.Now(), rand.New(rand.NewPCG(seed, 0)), make(map[time.Duration]int)
	jitter := func(limit time.Duration) time.Duration {
		mu.Lock()
		defer mu.Unlock()
		return time.Duration(random.Int64N(int64(limit)))
	}
	env := []string{
		"INPUT_TOKEN=" + sandbox.Token, "INPUT_API-URL=http://localhost",
		"INPUT_AGENT-ID=" + sandbox.FrontDesk, "INPUT_VERSION-ID=" + sandbox.NextID,
	}
	var running sync.WaitGroup
	for range n {
		api := newAPI()
		limited := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			<-time.After(20*time.Millisecond + jitter(60*time.Millisecond)) // the way here
			mu.Lock()
			f.requests++
			now := time.Since(start)
			n := now / l.window
			passed[n]++
			refused := passed[n] > l.most
			mu.Unlock()
			if !refused {
				api.ServeHTTP(rw, r)
				return
			}
			if l.says != "none" {
				wait := int(((n+1)*l.window - now).Seconds()) + 1
				rw.Header().Set("Retry-After", strings.Replace(l.says, "exact", fmt.Sprint(wait), 1))
			}
			rw.WriteHeader(http.StatusTooManyRequests)
		})
		step := publish.Step{
			Environ: env, Stdout: io.Discard, Stderr: io.Discard, Jitter: jitter,
			Dial: func(context.Context, string, string) (net.Conn, error) {
				near, far := net.Pipe()
				go serve(far, limited)
				return near, nil
			},
		}
		running.Go(func() {
			exit := step.Run(t.Context())
			mu.Lock()
			defer mu.Unlock()
			f.last = max(f.last, time.Since(start))
			if exit != 0 {
				f.failed++
			} else if !slices.ContainsFunc(api.Requests(), func(r sandbox.Request) bool {
				return strings.Contains(r.Body, sandbox.Reception)
			}) {
				f.dropped++
			}
		})
	}
	running.Wait()
	return f
}

// serve answers what comes over a connection until its other end is closed.
func serve(conn net.Conn, handler http.Handler) {
	defer conn.Close()
	for in := bufio.NewReader(conn); ; {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, r)
		answer := recorder.Result()
		answer.ContentLength = int64(recorder.Body.Len())
		_ = answer.Write(conn)
	}
}
