package main

import (
	"bufio"
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"publish-agent-version/internal/sandbox"
	"publish-agent-version/publish"
)

var firstSeed = flag.Uint64("seed", 0, "try every row of TestFleets on three seeds from this on, instead of one")

const (
	steps = 256         // as many as one matrix can have
	ideal = time.Minute // by when a limit lets as many requests pass as the steps need
)

// A limiter returns for how long it refuses a request that comes at the time now.
type limiter func(now time.Duration) (wait time.Duration)

// bucket lets size requests pass at once, and the others one by one.
func bucket(size int) func(requests int) limiter {
	return func(requests int) limiter {
		interval := ideal / time.Duration(requests-size)
		var full time.Duration // when the bucket will be full again
		return func(now time.Duration) time.Duration {
			full = max(full, now)
			if wait := full - time.Duration(size-1)*interval - now; wait > 0 {
				return wait
			}
			full += interval
			return 0
		}
	}
}

// window lets the same number of requests pass in each window, the first of which begins at once.
func window(length time.Duration) func(requests int) limiter {
	return func(requests int) limiter {
		windows := int(ideal/length) + 1
		passed := make(map[time.Duration]int)
		return func(now time.Duration) time.Duration {
			if n := now / length; passed[n] >= (requests+windows-1)/windows {
				return (n+1)*length - now
			}
			passed[now/length]++
			return 0
		}
	}
}

// fleet is what happened to steps that began at one instant.
type fleet struct {
	sync.Mutex
	requests, failed int
	dropped          int           // changes that do not name the number that is bound: some APIs would release it
	last             time.Duration // when the last step ended
}

// TestFleets starts many steps at one instant, in virtual time, against a limit that counts reads too.
func TestFleets(t *testing.T) {
	var alone *fleet
	api := newWorld().recordings
	synctest.Test(t, func(t *testing.T) {
		alone = play(t, api, 1, 0, func(time.Duration) time.Duration { return 0 }, "")
	})
	if alone.failed > 0 || alone.dropped > 0 {
		t.Fatalf("a step alone: %+v", alone)
	}
	seeds := 1
	if *firstSeed > 0 {
		seeds = 3
	}
	var failed, dropped int
	var slowest time.Duration
	fmt.Println("| limit | Retry-After | steps that failed | numbers lost | last step done, × ideal | requests a step |\n|---|---|---|---|---|---|")
	for _, row := range []struct {
		limit string
		per   func(requests int) limiter
		says  string // in Retry-After; "": as long as it takes, "none": no header
	}{
		{"bucket of 32", bucket(32), "none"},
		{"bucket of 32", bucket(32), ""},
		{"bucket of 10", bucket(10), "10"},
		{"window of 10 s", window(10 * time.Second), "none"},
		{"window of 60 s", window(time.Minute), ""},
	} {
		worst := new(fleet)
		for seed := range uint64(seeds) {
			synctest.Test(t, func(t *testing.T) {
				f := play(t, api, steps, *firstSeed+seed, row.per(steps*alone.requests), row.says)
				worst.failed, worst.dropped = max(worst.failed, f.failed), max(worst.dropped, f.dropped)
				worst.last, worst.requests = max(worst.last, f.last), max(worst.requests, f.requests)
			})
		}
		failed, dropped, slowest = max(failed, worst.failed), max(dropped, worst.dropped), max(slowest, worst.last)
		fmt.Printf("| %s | %s | %d | %d | %.2f | %.1f |\n", row.limit, strings.Replace(row.says+" s", "none s", "none", 1), worst.failed, worst.dropped,
			worst.last.Seconds()/ideal.Seconds(), float64(worst.requests)/steps)
	}
	result := fmt.Sprintf("%d failed, %.2f × ideal, %d numbers lost", failed, slowest.Seconds()/ideal.Seconds(), dropped)
	fmt.Println("worst:", result)
	if failed > 0 || dropped > 0 || slowest > ideal*3/2 {
		t.Errorf("%s; want 0 failed, 1.50 × ideal at most, 0 numbers lost", result)
	}
}

// play starts n steps, each in a world of its own, and waits for them.
func play(t *testing.T, api *recordings, n int, seed uint64, refuse limiter, says string) *fleet {
	f, start := new(fleet), time.Now()
	random := rand.New(rand.NewPCG(seed, 0))
	jitter := func(limit time.Duration) time.Duration {
		f.Lock()
		defer f.Unlock()
		return time.Duration(random.Int64N(int64(limit)))
	}
	var running sync.WaitGroup
	for i := range n {
		output := filepath.Join(t.TempDir(), strconv.Itoa(i))
		if err := os.WriteFile(output, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		env := map[string]string{
			"GITHUB_ACTIONS": "true", "GITHUB_OUTPUT": output, "INPUT_TOKEN": sandbox.Token, "INPUT_API-URL": "http://localhost",
			"INPUT_AGENT-ID": sandbox.FrontDesk, "INPUT_VERSION-ID": sandbox.NextID,
		}
		w := &world{recordings: api}
		limited := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			<-time.After(20*time.Millisecond + jitter(60*time.Millisecond)) // the way here, different for each
			f.Lock()
			f.requests++
			wait := refuse(time.Since(start))
			f.Unlock()
			if wait == 0 {
				w.ServeHTTP(rw, r)
				return
			}
			if says == "" {
				rw.Header().Set("Retry-After", strconv.Itoa(int((wait+time.Second-1)/time.Second)))
			} else if says != "none" {
				rw.Header().Set("Retry-After", says)
			}
			rw.WriteHeader(http.StatusTooManyRequests)
		})
		step := publish.Step{
			Getenv: func(name string) string { return env[name] }, Stdout: io.Discard, Stderr: io.Discard, Jitter: jitter,
			Dial: func(context.Context, string, string) (net.Conn, error) {
				near, far := net.Pipe()
				go serve(far, limited)
				return near, nil
			},
		}
		running.Go(func() {
			exit := step.Run(t.Context())
			f.Lock()
			defer f.Unlock()
			f.last = max(f.last, time.Since(start))
			if exit != 0 {
				f.failed++
			} else if !strings.Contains(fmt.Sprint(w.changes), sandbox.Reception) {
				f.dropped++
			}
		})
	}
	running.Wait()
	return f
}

// serve answers the requests on a connection until its other end closes it.
func serve(conn net.Conn, handler http.Handler) {
	defer conn.Close()
	for in := bufio.NewReader(conn); ; {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		rec := httptest.NewRecorder()
		handler.ServeHTTP(rec, r)
		answer := rec.Result()
		answer.ContentLength = int64(rec.Body.Len())
		var out bytes.Buffer
		_ = answer.Write(&out)
		_, _ = conn.Write(out.Bytes())
	}
}
