package publish_test

import (
	"context"
	"maps"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"publish-agent-version/internal/sandbox"
)

// TestFaultsConcurrency has the rows C of docs/faults.md: concurrent steps and other writers.
func TestFaultsConcurrency(t *testing.T) {
	t.Parallel()
	t.Run("C1", func(t *testing.T) {
		api, server := newSandbox(t)
		s := with("inbound-phone-number-id", sandbox.Switch)
		first := s.check(t, server, asUsual)
		second := s.check(t, &http.Server{Handler: api}, asUsual)
		want := maps.Clone(first.outputs)
		// The version is live already, and the sandbox lets the agent keep the number that it had as a second one.
		want["previous-version-id"], want["previous-version-name"], want["changed-fields"] = sandbox.NextID,
			sandbox.NextName, ""
		for name, value := range want {
			if second.outputs[name] != value && name != "summary" && name != "previous-inbound-phone-number-id" {
				t.Errorf("%s is %q the second time, want %q", name, second.outputs[name], value)
			}
		}
		if line := "Front desk is on v1.22.8 and"; strings.Contains(first.stdout, line) ||
			!strings.Contains(second.stdout, line) {
			t.Errorf("printed\n%s\nand then\n%s", first.stdout, second.stdout)
		}
		if live, inbound, _ := api.Live(sandbox.FrontDesk); live != sandbox.NextID || inbound != sandbox.Switch {
			t.Errorf("live is %s on %s", live, inbound)
		}
	})

	// The response is lost, someone else publishes in between, and the second attempt overwrites its change. Only
	// running one job at a time prevents that: the README says so.
	t.Run("C2", func(t *testing.T) {
		api, _ := newSandbox(t, sandbox.Fault{Drop: sandbox.DropReply, Applied: true})
		var once sync.Once
		server := withHookAfterChange(api, func() {
			once.Do(func() {
				api.SetPublished(sandbox.FrontDesk, sandbox.OldestID)
			})
		})
		scenario{}.check(t, server, expected{attempts: 2})
		checkLive(t, api, sandbox.NextID)
	})

	for _, tt := range []struct {
		name       string
		steps      int
		perSecond  int // so that two requests of each step pass in half the time
		retryAfter bool
	}{
		{"C3/Retry-After", 256, 9, true},
		{"C3/no Retry-After", 64, 3, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			api, server := newSandbox(t)
			api.Set(sandbox.Behavior{Limit: sandbox.Limit{Requests: tt.perSecond, Interval: time.Second,
				RetryAfter: tt.retryAfter}})
			var longest time.Duration
			synctest.Test(t, func(t *testing.T) {
				l, stop := serveInMemory(server, 0)
				results, fleet := make([]result, tt.steps), sync.WaitGroup{}
				for i := range results {
					fleet.Go(func() {
						results[i] = scenario{dial: func(context.Context, string, string) (net.Conn, error) {
							return l.dial()
						}}.run(t)
					})
				}
				fleet.Wait()
				stop()
				for _, res := range results {
					res.check(t, expected{maxTime: 2 * time.Minute})
					longest = max(longest, res.elapsed)
				}
			})
			requests := api.Requests()
			t.Logf("%s, %.1f requests a step", longest, float64(len(requests))/float64(tt.steps))
			last, waits := make(map[string]time.Time), make(map[time.Duration]string)
			for _, r := range requests {
				id := r.Header.Get("X-Request-Id")
				if r.Method != "PATCH" {
					continue
				}
				if before, again := last[id]; again {
					wait := r.Time.Sub(before)
					if other, twice := waits[wait]; twice {
						t.Errorf("%s and %s waited %s", id, other, wait)
					}
					waits[wait] = id
				}
				last[id] = r.Time
			}
			if len(last) != tt.steps || len(waits) < tt.steps {
				t.Errorf("%d steps waited %d times", len(last), len(waits))
			}
		})
	}

	t.Run("C4/in flight", func(t *testing.T) {
		fake := replying(apiError(503, "BUSY", "try later"), response{then: hang})
		with("timeout", "20s").check(t, fake, expected{
			code: "BUSY", status: "unknown", httpStatus: "503", attempts: 2, minTime: 15 * time.Second,
			maxTime: 40 * time.Second, verifyTime: lastLook,
			says: []string{"The API returned 503 Service Unavailable: try later; gave up within the timeout of 20 s",
				mayBeApplied, stillLive},
		})
	})
	with("timeout", "10s").test(t, "C4/no reply at all",
		&fakeAPI{replies: []response{{then: hang}}, readsAfter: response{then: hang}}, expected{
			code: "ACTION_TIMEOUT", status: "unknown", httpStatus: "none", attempts: 1, minTime: 15 * time.Second,
			maxTime: 15 * time.Second,
			says:    []string{"No response from diga within the timeout of 10 s", notReadable},
		})
}
