package publish_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"publish-agent-version/internal/sandbox"
	"publish-agent-version/publish"
)

// lineHook calls a function when a line that begins with prefix is written.
type lineHook struct {
	io.Writer
	prefix string
	hook   func()
}

func (l lineHook) Write(b []byte) (int, error) {
	if strings.HasPrefix(string(b), l.prefix) {
		l.hook()
	}
	return l.Writer.Write(b)
}

func TestFaultsSignals(t *testing.T) {
	const again = "Run this step again"
	silence := response{then: hang}
	busy := apiError(503, "BUSY", "try later", "Retry-After: 60")
	tests := []struct {
		name string
		scenario
		api   *fakeAPI
		want  expected
		sends int // requests for the change
	}{
		{"S1/in flight", scenario{signalAt: 2 * time.Second}, replying(silence),
			expected{status: "unknown", attempts: 1, httpStatus: "none", says: []string{"Canceled by SIGINT", mayBeApplied, stillLive, again}}, 1},
		{"S1/in flight, and it was applied", scenario{signalAt: 2 * time.Second}, &fakeAPI{replies: []response{silence}, readsAfter: liveVersion(sandbox.NextID)},
			expected{status: "published", attempts: 1, says: []string{"The request failed (canceled by SIGINT), but reading back confirmed the change"}}, 1},
		{"S1/in flight, and a read that fits", scenario{signalAt: 2 * time.Second}, &fakeAPI{replies: []response{silence}, readsAfter: delayed(liveVersion(sandbox.NextID), 790*time.Millisecond)},
			expected{status: "published", attempts: 1, says: []string{readBack}, minTime: 2790 * time.Millisecond, maxTime: 2790 * time.Millisecond}, 1},
		{"S1/in flight, and a read that does not", scenario{signalAt: 2 * time.Second}, &fakeAPI{replies: []response{silence}, readsAfter: delayed(liveVersion(sandbox.NextID), 810*time.Millisecond)},
			expected{status: "unknown", attempts: 1, says: []string{notReadable}, minTime: 2800 * time.Millisecond, maxTime: 2800 * time.Millisecond}, 1},
		{"S1/in flight, and silence", scenario{signalAt: 2 * time.Second}, &fakeAPI{replies: []response{silence}, readsAfter: silence},
			expected{status: "unknown", attempts: 1, says: []string{notReadable}, minTime: 2800 * time.Millisecond, maxTime: 2800 * time.Millisecond}, 1},
		{"S1/between the status and the body", scenario{signalAt: 2 * time.Second}, replying(response{raw: "HTTP/1.1 200 OK\r\nContent-Length: 300\r\n\r\n{", then: hang}),
			expected{status: "unknown", attempts: 1, says: []string{"Canceled by SIGINT", mayBeApplied, stillLive}}, 1},
		{"S1/unpublishing", scenario{signalAt: 2 * time.Second, inputs: map[string]string{"unpublish": "true"}}, replying(silence),
			expected{status: "unknown", attempts: 1, says: []string{"Canceled by SIGINT", mayBeApplied}}, 1},
		{"S1/while it connects", scenario{signalAt: 7 * time.Second, dialError: func(ctx context.Context, n int) error {
			<-ctx.Done()
			return context.Cause(ctx)
		}}, &fakeAPI{}, expected{attempts: -1, httpStatus: "none", says: []string{"Canceled by SIGINT", nothingChanged, again}}, 0},

		{"S2/waiting", scenario{signalAt: 30 * time.Second}, replying(busy),
			expected{status: "unknown", attempts: 1, httpStatus: "503", says: []string{"Canceled by SIGINT; previous response: the API returned 503 Service Unavailable: try later (BUSY)", mayBeApplied}}, 1},
		{"S2/waiting, after a lost reply", scenario{signalAt: 300 * time.Millisecond}, replying(response{then: closeConn}),
			expected{status: "unknown", attempts: 1, httpStatus: "none", says: []string{"Canceled by SIGINT; previous response: no response from diga: the connection was closed", mayBeApplied, stillLive}}, 1},
		{"S2/waiting, after a gateway's reply", scenario{signalAt: 300 * time.Millisecond}, &fakeAPI{replies: []response{apiError(502, "LOST", "gone")}, readsAfter: liveVersion(sandbox.NextID)},
			expected{status: "published", attempts: 1, says: []string{readBack, "The request failed (canceled by SIGINT)"}}, 1},
		{"S2/the second attempt in flight", scenario{signalAt: 5 * time.Second}, replying(apiError(500, "FIRST", "first"), silence),
			expected{status: "unknown", attempts: 2, httpStatus: "500", says: []string{"Canceled by SIGINT; previous response: the API returned 500 Internal Server Error: first (FIRST)", mayBeApplied, stillLive}}, 2},
		{"S2/waiting in the queue", scenario{signalAt: 60 * time.Second}, replying(apiError(429, "RATE_LIMITED", "queue", "Retry-After: 40")),
			expected{httpStatus: "429", attempts: 2, says: []string{"429 Too Many Requests: queue (RATE_LIMITED)", nothingChanged + ": v1.22.7 was live when this step read it, "}}, 2},

		{"S3/SIGTERM in flight", scenario{signalAt: 2 * time.Second, signal: syscall.SIGTERM}, replying(silence),
			expected{status: "unknown", attempts: 1, says: []string{"Canceled by SIGTERM", mayBeApplied, stillLive}}, 1},
		{"S3/SIGTERM while waiting", scenario{signalAt: 30 * time.Second, signal: syscall.SIGTERM}, replying(busy),
			expected{status: "unknown", attempts: 1, says: []string{"Canceled by SIGTERM; previous response: the API returned 503", "(BUSY)", stillLive}}, 1},

		{"the name is looked up", scenario{signalAt: 2 * time.Second, inputs: map[string]string{"version-name": "v1"}}, &fakeAPI{readsBefore: silence},
			expected{attempts: -1, httpStatus: "none", says: []string{"anceled by SIGINT", nothingChanged}, minTime: 2 * time.Second, maxTime: 2 * time.Second}, 0},
		{"the lookup waits", scenario{signalAt: 30 * time.Second, inputs: map[string]string{"version-name": "v1"}}, &fakeAPI{readsBefore: busy},
			expected{attempts: -1, httpStatus: "503", says: []string{"anceled by SIGINT; previous response: the API returned 503 Service Unavailable: try later (BUSY)", nothingChanged}}, 0},
		{"the read before", scenario{signalAt: 2 * time.Second}, &fakeAPI{readsBefore: silence},
			expected{attempts: -1, httpStatus: "none", says: []string{"Canceled by SIGINT", nothingChanged}, minTime: 2 * time.Second, maxTime: 2 * time.Second}, 0},
		{"the read of a dry run", scenario{signalAt: 8 * time.Second, inputs: map[string]string{"dry-run": "true"}}, &fakeAPI{readsBefore: silence},
			expected{attempts: -1, httpStatus: "none", says: []string{"Canceled by SIGINT", nothingChanged}, minTime: 8 * time.Second, maxTime: 8 * time.Second}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.scenario.signal == 0 {
				tt.scenario.signal = syscall.SIGINT
			}
			exit := 128 + int(tt.scenario.signal)
			if tt.want.status == "published" {
				exit = 0
			} else {
				tt.want.code = "ACTION_CANCELLED"
			}
			if tt.want.maxTime == 0 {
				tt.want.minTime, tt.want.maxTime = tt.scenario.signalAt, tt.scenario.signalAt+time.Second
			}
			res := tt.scenario.check(t, tt.api, tt.want)
			if res.exit != exit {
				t.Errorf("exit status %d, want %d", res.exit, exit)
			}
			if n := len(tt.api.requests("PATCH")); n != tt.sends {
				t.Errorf("%d requests for the change, want %d", n, tt.sends)
			}
			if logged := strings.Contains(res.stdout, "\nPATCH "); logged != (res.outputs["attempts"] != "") {
				t.Errorf("the log has a change: %v, attempts %q", logged, res.outputs["attempts"])
			}
		})
	}

	// A confirmed step reports success, regardless of what follows.
	for _, line := range []string{"Attempt 1: 200 OK", "::notice"} {
		t.Run("S4/"+line, func(t *testing.T) {
			api, cancelled := &fakeAPI{}, false
			res := scenario{}.runModified(t, api, func(s *publish.Step, cancel context.CancelCauseFunc) {
				s.Stdout = lineHook{s.Stdout, line, func() {
					cancel(publish.Signal{Signal: syscall.SIGINT})
					cancelled = true
				}}
			})
			res.check(t, expected{attempts: 1, says: []string{"is now on v1.22.8"}})
			if !cancelled || res.exit != 0 || len(api.requests("")) != 4 || !strings.Contains(res.summary, "### ✅ ") || len(res.outputs) != 16 {
				t.Errorf("cancelled: %v, exit status %d, %d requests, outputs %q, summary\n%s", cancelled, res.exit, len(api.requests("")), res.outputs, res.summary)
			}
		})
	}

	// The change has failed, and the step is reading back its outcome when the signal arrives.
	t.Run("S1/while the state is read back", func(t *testing.T) {
		s := scenario{inputs: map[string]string{"max-retries": "0"}, signal: syscall.SIGINT, signalAt: 2 * time.Second}
		res := s.check(t, &fakeAPI{replies: []response{{then: closeConn}}, readsAfter: silence},
			expected{code: "ACTION_NETWORK_ERROR", status: "unknown", attempts: 1, says: []string{notReadable}, minTime: 2 * time.Second, maxTime: 2 * time.Second})
		if res.exit != 130 {
			t.Errorf("exit status %d", res.exit)
		}
	})

	// Not a signal, and so not one of their exit statuses.
	t.Run("another cause", func(t *testing.T) {
		api := &fakeAPI{}
		res := scenario{}.runModified(t, api, func(_ *publish.Step, cancel context.CancelCauseFunc) { cancel(nil) })
		res.check(t, expected{code: "ACTION_CANCELLED", says: []string{"Context canceled", nothingChanged}})
		if res.exit != 1 || len(api.requests("")) > 0 {
			t.Errorf("exit status %d after %d requests", res.exit, len(api.requests("")))
		}
	})
}

// delayed is r after a time without a byte.
func delayed(r response, wait time.Duration) response {
	raw := r.raw
	r.raw, r.stream = "", func(w io.Writer) {
		<-time.After(wait)
		_, _ = io.WriteString(w, raw)
	}
	return r
}

// newHangingAPI returns an API that never answers. It signals each request for the change, and each read after it.
func newHangingAPI() (api *fakeAPI, change, read chan struct{}) {
	change, read = make(chan struct{}, 10), make(chan struct{}, 10)
	signals := func(c chan struct{}) response { return response{onRequest: func() { c <- struct{}{} }, then: hang} }
	return &fakeAPI{replies: []response{signals(change)}, readsAfter: signals(read)}, change, read
}

func TestFaultsSignalsOfAProcess(t *testing.T) {
	t.Parallel()
	start := func(t *testing.T, api *fakeAPI, s scenario) *process {
		t.Helper()
		s.inputs = map[string]string{"api-url": api.start(t)}
		process := s.process(t, "")
		if err := process.Start(); err != nil {
			t.Fatal(err)
		}
		return process
	}
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(fmt.Sprintf("S1/%v", signal), func(t *testing.T) {
			api, change, _ := newHangingAPI()
			process := start(t, api, scenario{})
			<-change
			if err := process.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			res := process.finish(t)
			res.check(t, expected{code: "ACTION_CANCELLED", status: "unknown", attempts: 1, says: []string{"Canceled by SIG", notReadable}})
			if res.exit != 128+int(signal) {
				t.Errorf("exit status %d", res.exit)
			}
		})
		t.Run(fmt.Sprintf("S2/%v", signal), func(t *testing.T) {
			answered := make(chan struct{}, 1)
			api := replying(apiError(503, "BUSY", "try later", "Retry-After: 60"))
			api.replies[0].onRequest = func() { answered <- struct{}{} }
			process := start(t, api, scenario{})
			<-answered
			// Before or after the response is read: it ends at once either way, with different messages.
			if err := process.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			res := process.finish(t)
			res.check(t, expected{code: "ACTION_CANCELLED", status: res.outputs["status"], attempts: 1, says: []string{"Canceled by SIG"}})
			if res.exit != 128+int(signal) {
				t.Errorf("exit status %d", res.exit)
			}
		})
	}
	// A second SIGINT is a user who wants to stop now; a second SIGTERM, which timeout(1) sends, changes nothing.
	for first, second := range map[syscall.Signal]syscall.Signal{syscall.SIGINT: syscall.SIGINT, syscall.SIGTERM: syscall.SIGTERM} {
		t.Run(fmt.Sprintf("S3/%v twice", first), func(t *testing.T) {
			api, change, read := newHangingAPI()
			outputs, summary := newFile(t, "a=b"), newFile(t, "")
			process := start(t, api, scenario{env: map[string]string{"GITHUB_ACTIONS": "", "GITHUB_OUTPUT": outputs, "GITHUB_STEP_SUMMARY": summary}})
			<-change
			if err := process.Process.Signal(first); err != nil {
				t.Fatal(err)
			}
			<-read // the state is being read back
			if err := process.Process.Signal(second); err != nil {
				t.Fatal(err)
			}
			_ = process.Wait()
			reported := strings.Contains(readFile(t, outputs), "\nstatus=unknown\n") && process.stdout.Len() > 0 && readFile(t, summary) != ""
			nothing := readFile(t, outputs) == "a=b" && process.stdout.Len() == 0 && readFile(t, summary) == ""
			if got := process.ProcessState.ExitCode(); got != 128+int(first) || first == syscall.SIGINT && !nothing || first == syscall.SIGTERM && !reported {
				t.Errorf("exit status %d, outputs %q, printed %q", got, readFile(t, outputs), &process.stdout)
			}
		})
	}
	t.Run("S6", func(t *testing.T) {
		for _, held := range []string{"", "a=b", "a<<EOF\nb\nEOF\n"} {
			change := make(chan struct{}, 1)
			api := replying(response{onRequest: func() { change <- struct{}{} }, then: hang})
			outputs, summary := newFile(t, held), newFile(t, "")
			process := start(t, api, scenario{env: map[string]string{"GITHUB_OUTPUT": outputs, "GITHUB_STEP_SUMMARY": summary}})
			<-change
			if err := process.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = process.Wait()
			if got := readFile(t, outputs); got != held || readFile(t, summary) != "" {
				t.Errorf("the outputs are %q, want %q", got, held)
			}
		}
	})
	// Killed at any moment around the end, the file holds all outputs or none.
	t.Run("S6/at the end", func(t *testing.T) {
		for range 10 {
			answered := make(chan struct{}, 1)
			api := replying(confirmation)
			api.replies[0].onRequest = func() { answered <- struct{}{} }
			outputs, summary := newFile(t, "a=b\n"), newFile(t, "")
			process := start(t, api, scenario{env: map[string]string{"GITHUB_OUTPUT": outputs, "GITHUB_STEP_SUMMARY": summary}})
			<-answered
			_ = process.Process.Kill()
			_ = process.Wait()
			// How many outputs there are depends on the reads before, which a busy machine may cut off: the first and the last stand
			// for all of them.
			got := readFile(t, outputs)
			if got != "a=b\n" && !(strings.HasPrefix(got, "a=b\nstatus=published\n") && strings.Contains(got, "\nsummary<<")) {
				t.Errorf("outputs %q", got)
			}
		}
	})
}
