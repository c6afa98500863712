package publish_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"publish-agent-version/internal/sandbox"
	"publish-agent-version/publish"
)

// lineHook calls a function before a line that has this word is written.
type lineHook struct {
	io.Writer
	word string
	hook func()
}

func (l lineHook) Write(b []byte) (int, error) {
	if strings.Contains(string(b), l.word) {
		l.hook()
	}
	return l.Writer.Write(b)
}

func TestFaultsSignals(t *testing.T) {
	silence := response{then: hang}
	busy := apiError(503, "BUSY", "try later", "Retry-After: 60")
	published := liveVersion(sandbox.NextID)
	then := func(reply, read response) *fakeAPI { return &fakeAPI{replies: []response{reply}, readsAfter: read} }
	unknown := func(attempts int, http string, says ...string) expected {
		says = append(says, "Run this step again")
		return expected{code: "ACTION_CANCELLED", status: "unknown", attempts: attempts, httpStatus: http, says: says}
	}
	unchanged := func(http string, says ...string) expected {
		says = append(says, "anceled by SIGINT", nothingChanged)
		return expected{code: "ACTION_CANCELLED", attempts: -1, httpStatus: http, says: says}
	}
	confirmed := expected{attempts: 1, says: []string{"The request failed (canceled by SIGINT", readBack}}
	const (
		canceled = "Canceled by SIGINT"
		after    = canceled + "; previous response: "
		sec, ms  = time.Second, time.Millisecond
	)
	inQueue := unchanged("429", "429 Too Many Requests: queue (RATE_LIMITED)",
		": Front desk was on v1.22.7 when this step read it, ")
	inQueue.attempts = 2
	for _, test := range []struct {
		name string
		at   time.Duration // of the signal
		api  *fakeAPI
		want expected
		scenario
	}{
		{"S1/in flight", 2 * sec, replying(silence), unknown(1, "none", canceled, mayBeApplied), scenario{}},
		{"S1/in flight, and it was applied", 2 * sec, then(silence, published), confirmed, scenario{}},
		{"S1/in flight, and a read that fits", 2 * sec, then(silence, delayed(published, 790*ms)),
			confirmed.within(2790*ms, 2790*ms), scenario{}},
		{"S1/in flight, and a read that does not", 2 * sec, then(silence, delayed(published, 810*ms)),
			unknown(1, "none", notReadable).within(2800*ms, 2800*ms), scenario{}},
		{"S1/in flight, and silence", 2 * sec, then(silence, silence),
			unknown(1, "none", notReadable).within(2800*ms, 2800*ms), scenario{}},
		{"S1/between the status and the body", 2 * sec,
			replying(response{raw: "HTTP/1.1 200 OK\r\nContent-Length: 300\r\n\r\n{", then: hang}),
			unknown(1, "", canceled, mayBeApplied), scenario{}},
		{"S1/unpublishing", 2 * sec, replying(silence), unknown(1, "", canceled, mayBeApplied),
			with("unpublish", "true")},
		{"S1/while it connects", 7 * sec, &fakeAPI{}, unchanged("none", "Run this step again"),
			scenario{dialError: func(ctx context.Context, _ int) error { <-ctx.Done(); return context.Cause(ctx) }}},

		{"S2/waiting", 30 * sec, replying(busy),
			unknown(1, "503", after+"the API returned 503 Service Unavailable: try later (BUSY)", mayBeApplied),
			scenario{}},
		{"S2/in the second after a 503", 1250 * ms, replying(apiError(503, "BUSY", "try later")),
			unknown(1, "503", after+"the API returned 503 Service Unavailable: try later (BUSY)", mayBeApplied),
			scenario{}},
		{"S2/waiting, after a lost reply", 300 * ms, replying(response{then: closeConn}),
			unknown(1, "none", after+"no response from diga: the connection was closed", mayBeApplied), scenario{}},
		{"S2/waiting, after a gateway's reply", 300 * ms, then(apiError(502, "LOST", "gone"), published), confirmed,
			scenario{}},
		{"S2/the second attempt in flight", 5 * sec, replying(apiError(500, "FIRST", "first"), silence),
			unknown(2, "500", after+"the API returned 500 Internal Server Error: first (FIRST)", mayBeApplied),
			scenario{}},
		{"S2/waiting in the queue", 60 * sec, replying(apiError(429, "RATE_LIMITED", "queue", "Retry-After: 40")),
			inQueue, scenario{}},

		{"S3/SIGTERM in flight", 2 * sec, replying(silence), unknown(1, "", "Canceled by SIGTERM", mayBeApplied),
			scenario{signal: syscall.SIGTERM}},
		{"S3/SIGTERM while waiting", 30 * sec, replying(busy),
			unknown(1, "", "Canceled by SIGTERM; previous response: the API returned 503", "(BUSY)", stillLive),
			scenario{signal: syscall.SIGTERM}},

		{"the name is looked up", 2 * sec, &fakeAPI{readsBefore: silence}, unchanged("none").within(2*sec, 2*sec),
			with("version-name", "v1")},
		{"the lookup waits", 30 * sec, &fakeAPI{readsBefore: busy},
			unchanged("503", "previous response: the API returned 503 Service Unavailable: try later (BUSY)"),
			with("version-name", "v1")},
		{"the read before", 2 * sec, &fakeAPI{readsBefore: silence}, unchanged("none").within(2*sec, 2*sec),
			scenario{}},
		{"the read of a dry run", 8 * sec, &fakeAPI{readsBefore: silence}, unchanged("none").within(8*sec, 8*sec),
			with("dry-run", "true")},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := test.scenario
			s.signal, s.signalAt = cmp.Or(s.signal, syscall.SIGINT), test.at
			exit := 128 + int(s.signal)
			if test.want.code == "" {
				exit = 0
			}
			if test.want.maxTime == 0 {
				test.want = test.want.within(test.at, test.at+time.Second)
			}
			res := test.api.check(t, s, test.want)
			if res.exit != exit {
				t.Errorf("exit status %d, want %d", res.exit, exit)
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
			s := scenario{modify: func(s *publish.Step, cancel context.CancelCauseFunc) {
				s.Stdout = lineHook{s.Stdout, line, func() {
					cancel(publish.Signal{Signal: syscall.SIGINT})
					cancelled = true
				}}
			}}
			res := s.check(t, api, expected{attempts: 1, says: []string{"is now on v1.22.8"}})
			if !cancelled || res.exit != 0 || len(api.requests("")) != 4 || !strings.Contains(res.summary, "### ✅ ") ||
				len(res.outputs) != 16 {
				t.Errorf("cancelled: %v, exit status %d, %d requests, outputs %q, summary\n%s", cancelled, res.exit,
					len(api.requests("")), res.outputs, res.summary)
			}
		})
	}

	// The change has failed, and the step is reading back its outcome when the signal arrives.
	t.Run("S1/while the state is read back", func(t *testing.T) {
		s := scenario{inputs: map[string]string{"max-retries": "0"}, signal: syscall.SIGINT, signalAt: 2 * time.Second}
		res := s.check(t, &fakeAPI{replies: []response{{then: closeConn}}, readsAfter: silence},
			expected{code: "ACTION_NETWORK_ERROR", status: "unknown", attempts: 1, says: []string{notReadable},
				minTime: 2 * time.Second, maxTime: 2 * time.Second})
		if res.exit != 130 {
			t.Errorf("exit status %d", res.exit)
		}
	})

	// Not a signal, and so not one of their exit statuses.
	t.Run("another cause", func(t *testing.T) {
		api := &fakeAPI{}
		s := scenario{modify: func(_ *publish.Step, cancel context.CancelCauseFunc) { cancel(nil) }}
		res := s.check(t, api, expected{code: "ACTION_CANCELLED", says: []string{"Context canceled", nothingChanged}})
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

func TestFaultsSignalsOfAProcess(t *testing.T) {
	t.Parallel()
	// A step is a signal that follows something.
	type step struct {
		arrived <-chan struct{}
		signal  syscall.Signal
	}
	interrupt := func(t *testing.T, api *fakeAPI, s scenario, steps ...step) *process {
		t.Helper()
		s.inputs = map[string]string{"api-url": api.start(t)}
		process := s.process(t, "")
		if err := process.Start(); err != nil {
			t.Fatal(err)
		}
		for _, step := range steps {
			<-step.arrived
			if err := process.Process.Signal(step.signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
				t.Fatal(err)
			}
		}
		return process
	}
	// arriving is r, and a channel that says when the request for it has arrived.
	arriving := func(r response) (response, <-chan struct{}) {
		arrived := make(chan struct{}, 10)
		r.onRequest = func() { arrived <- struct{}{} }
		return r, arrived
	}
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		for name, test := range map[string]struct {
			reply response
			want  expected
		}{
			"S1": {response{then: hang}, expected{status: "unknown", says: []string{notReadable}}},
			// Before or after the response is read: it ends at once either way, with different messages.
			"S2": {apiError(503, "BUSY", "try later", "Retry-After: 60"), expected{}},
		} {
			t.Run(fmt.Sprintf("%s/%v", name, signal), func(t *testing.T) {
				reply, change := arriving(test.reply)
				api := &fakeAPI{replies: []response{reply}, readsAfter: response{then: hang}}
				res := interrupt(t, api, scenario{}, step{change, signal}).finish(t)
				test.want.code, test.want.attempts = "ACTION_CANCELLED", 1
				test.want.status = cmp.Or(test.want.status, res.outputs["status"])
				test.want.says = append(test.want.says, "Canceled by SIG")
				if res.check(t, test.want); res.exit != 128+int(signal) {
					t.Errorf("exit status %d", res.exit)
				}
			})
		}
		// A second SIGINT is a user who wants to stop now; a second SIGTERM, which timeout(1) sends, changes nothing.
		t.Run(fmt.Sprintf("S3/%v twice", signal), func(t *testing.T) {
			reply, change := arriving(response{then: hang})
			readBack, read := arriving(response{then: hang})
			outputs, summary := newFile(t, "a=b"), newFile(t, "")
			api := &fakeAPI{replies: []response{reply}, readsAfter: readBack}
			process := interrupt(t, api, scenario{env: map[string]string{
				"GITHUB_ACTIONS": "", "GITHUB_OUTPUT": outputs, "GITHUB_STEP_SUMMARY": summary,
			}}, step{change, signal}, step{read, signal})
			_ = process.Wait()
			text, printed := readFile(t, outputs), process.stdout.Len() > 0
			reported := strings.Contains(text, "\nstatus=unknown\n") && printed && readFile(t, summary) != ""
			nothing := text == "a=b" && !printed && readFile(t, summary) == ""
			right := map[syscall.Signal]bool{syscall.SIGINT: nothing, syscall.SIGTERM: reported}[signal]
			if got := process.ProcessState.ExitCode(); got != 128+int(signal) || !right {
				t.Errorf("exit status %d, outputs %q, printed %q", got, text, &process.stdout)
			}
		})
	}
	// Killed at any moment around the end, the file holds all outputs or none. How many there are depends on the reads
	// before, which a busy machine may cut off: the first and the last stand for all of them.
	t.Run("S6", func(t *testing.T) {
		kill := func(held string, reply response) (outputs, written string) {
			reply, change := arriving(reply)
			path, summary := newFile(t, held), newFile(t, "")
			files := scenario{env: map[string]string{"GITHUB_OUTPUT": path, "GITHUB_STEP_SUMMARY": summary}}
			_ = interrupt(t, replying(reply), files, step{change, syscall.SIGKILL}).Wait()
			return readFile(t, path), readFile(t, summary)
		}
		for _, held := range []string{"", "a=b", "a<<EOF\nb\nEOF\n"} {
			if got, summary := kill(held, response{then: hang}); got != held || summary != "" {
				t.Errorf("the outputs are %q, want %q", got, held)
			}
		}
		for range 10 {
			got, _ := kill("a=b\n", confirmation)
			all := strings.HasPrefix(got, "a=b\nstatus=published\n") && strings.Contains(got, "\nsummary<<")
			if got != "a=b\n" && !all {
				t.Errorf("outputs %q", got)
			}
		}
	})
}
