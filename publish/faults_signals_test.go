package publish_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"publish-agent-version/internal/runner"
	"publish-agent-version/internal/sandbox"
	"publish-agent-version/publish"
)

// onLine calls a function when a line that begins with start is written.
type onLine struct {
	io.Writer
	start string
	call  func()
}

func (l onLine) Write(b []byte) (int, error) {
	if strings.HasPrefix(string(b), l.start) {
		l.call()
	}
	return l.Writer.Write(b)
}

func TestFaultsSignals(t *testing.T) {
	const again = "Run this step again"
	silence := reply{then: silent}
	busy := refuses(503, "BUSY", "try later", "Retry-After: 60")
	tests := []struct {
		name  string
		tr    trial
		p     *peer
		want  want
		sends int // requests for the change
	}{
		{"S1/in flight", trial{at: 2 * time.Second}, &peer{changes: []reply{silence}},
			want{status: "unknown", attempts: 1, http: "none", says: []string{"Cancelled by SIGINT", mayBeApplied, stillLive, again}}, 1},
		{"S1/in flight, and it was applied", trial{at: 2 * time.Second}, &peer{changes: []reply{silence}, after: shows(sandbox.NextID)},
			want{status: "published", attempts: 1, says: []string{"The request failed (cancelled by SIGINT), but reading back confirmed the change"}}, 1},
		{"S1/in flight, and a read that fits", trial{at: 2 * time.Second}, &peer{changes: []reply{silence}, after: slow(shows(sandbox.NextID), 790*time.Millisecond)},
			want{status: "published", attempts: 1, says: []string{readBack}, least: 2790 * time.Millisecond, most: 2790 * time.Millisecond}, 1},
		{"S1/in flight, and a read that does not", trial{at: 2 * time.Second}, &peer{changes: []reply{silence}, after: slow(shows(sandbox.NextID), 810*time.Millisecond)},
			want{status: "unknown", attempts: 1, says: []string{notReadable}, least: 2800 * time.Millisecond, most: 2800 * time.Millisecond}, 1},
		{"S1/in flight, and silence", trial{at: 2 * time.Second}, &peer{changes: []reply{silence}, after: silence},
			want{status: "unknown", attempts: 1, says: []string{notReadable}, least: 2800 * time.Millisecond, most: 2800 * time.Millisecond}, 1},
		{"S1/between the status and the body", trial{at: 2 * time.Second}, &peer{changes: []reply{{raw: "HTTP/1.1 200 OK\r\nContent-Length: 300\r\n\r\n{", then: silent}}},
			want{status: "unknown", attempts: 1, says: []string{"Cancelled by SIGINT", mayBeApplied, stillLive}}, 1},
		{"S1/unpublishing", trial{at: 2 * time.Second, inputs: map[string]string{"unpublish": "true"}}, &peer{changes: []reply{silence}},
			want{status: "unknown", attempts: 1, says: []string{"Cancelled by SIGINT", mayBeApplied}}, 1},
		{"S1/while it connects", trial{at: 7 * time.Second, refuse: func(ctx context.Context, n int) error {
			<-ctx.Done()
			return context.Cause(ctx)
		}}, &peer{}, want{attempts: 1, http: "none", says: []string{"Cancelled by SIGINT", nothingChanged, again}}, 0},

		{"S2/waiting", trial{at: 30 * time.Second}, &peer{changes: []reply{busy}},
			want{status: "unknown", attempts: 1, http: "503", says: []string{"Cancelled by SIGINT; previous response: the API answered 503 Service Unavailable: try later (BUSY)", stillLive + ", but there was no time to check again"}}, 1},
		{"S2/waiting, after a lost reply", trial{at: 300 * time.Millisecond}, &peer{changes: []reply{{then: hangUp}}},
			want{status: "unknown", attempts: 1, http: "none", says: []string{"Cancelled by SIGINT; previous response: no reply from diga: the connection was closed", mayBeApplied, stillLive}}, 1},
		{"S2/waiting, after a gateway's reply", trial{at: 300 * time.Millisecond}, &peer{changes: []reply{refuses(502, "LOST", "gone")}, after: shows(sandbox.NextID)},
			want{status: "published", attempts: 1, says: []string{readBack, "502 Bad Gateway: gone (LOST)"}}, 1},
		{"S2/the second attempt in flight", trial{at: 5 * time.Second}, &peer{changes: []reply{refuses(500, "FIRST", "first"), silence}},
			want{status: "unknown", attempts: 2, http: "500", says: []string{"Cancelled by SIGINT; previous response: the API answered 500 Internal Server Error: first (FIRST)", mayBeApplied, stillLive}}, 2},
		{"S2/waiting in the queue", trial{at: 60 * time.Second}, &peer{changes: []reply{refuses(429, "RATE_LIMITED", "queue", "Retry-After: 40")}},
			want{http: "429", attempts: 2, says: []string{"429 Too Many Requests: queue (RATE_LIMITED)", nothingChanged}}, 2},

		{"S3/SIGTERM in flight", trial{at: 2 * time.Second, signal: syscall.SIGTERM}, &peer{changes: []reply{silence}},
			want{status: "unknown", attempts: 1, says: []string{"Cancelled by SIGTERM", mayBeApplied, stillLive}}, 1},
		{"S3/SIGTERM while waiting", trial{at: 30 * time.Second, signal: syscall.SIGTERM}, &peer{changes: []reply{busy}},
			want{status: "unknown", attempts: 1, says: []string{"Cancelled by SIGTERM; previous response: the API answered 503", "(BUSY)", stillLive}}, 1},

		{"the name is looked up", trial{at: 2 * time.Second, inputs: map[string]string{"version-name": "v1"}}, &peer{before: silence},
			want{attempts: -1, http: "none", says: []string{"Cancelled by SIGINT", nothingChanged}, least: 2 * time.Second, most: 2 * time.Second}, 0},
		{"the lookup waits", trial{at: 30 * time.Second, inputs: map[string]string{"version-name": "v1"}}, &peer{before: busy},
			want{attempts: -1, http: "503", says: []string{"Cancelled by SIGINT; previous response: the API answered 503 Service Unavailable: try later (BUSY)", nothingChanged}}, 0},
		{"the read before", trial{at: 2 * time.Second}, &peer{before: silence},
			want{attempts: -1, http: "none", says: []string{"Cancelled by SIGINT", nothingChanged}, least: 2 * time.Second, most: 2 * time.Second}, 0},
		{"the read of a dry run", trial{at: 8 * time.Second, inputs: map[string]string{"dry-run": "true"}}, &peer{before: silence},
			want{attempts: -1, http: "none", says: []string{"Cancelled by SIGINT", nothingChanged}, least: 8 * time.Second, most: 8 * time.Second}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.tr.signal == 0 {
				tt.tr.signal = syscall.SIGINT
			}
			exit := 128 + int(tt.tr.signal)
			if tt.want.status == "published" {
				exit = 0
			} else {
				tt.want.code = "ACTION_CANCELLED"
			}
			if tt.want.most == 0 {
				tt.want.least, tt.want.most = tt.tr.at, tt.tr.at+time.Second
			}
			res := tt.tr.runVirtually(t, tt.p)
			res.check(t, tt.want)
			if res.exit != exit {
				t.Errorf("exit status %d, want %d", res.exit, exit)
			}
			if n := len(tt.p.requests("PATCH")); n != tt.sends {
				t.Errorf("%d requests for the change, want %d", n, tt.sends)
			}
			if logged := strings.Contains(res.stdout, "\nPATCH "); logged != (res.outputs["attempts"] != "") {
				t.Errorf("the log tells of a change: %v, attempts %q", logged, res.outputs["attempts"])
			}
		})
	}

	// A step that was confirmed tells so, whatever comes then.
	for _, line := range []string{"Attempt 1: 200 OK", "::notice"} {
		t.Run("S4/"+line, func(t *testing.T) {
			p, cancelled := &peer{}, false
			res := trial{}.runTampered(t, p, func(s *publish.Step, cancel context.CancelCauseFunc) {
				s.Stdout = onLine{s.Stdout, line, func() {
					cancel(publish.Signal{Signal: syscall.SIGINT})
					cancelled = true
				}}
			})
			res.check(t, want{attempts: 1, says: []string{"is live"}})
			if !cancelled || res.exit != 0 || len(p.requests("")) != 5 || !strings.Contains(res.summary, "### ✅ ") || len(res.outputs) != 11 {
				t.Errorf("cancelled: %v, exit status %d, %d requests, outputs %q, summary\n%s", cancelled, res.exit, len(p.requests("")), res.outputs, res.summary)
			}
		})
	}

	// The change failed by itself, and its outcome is being looked up when the signal comes.
	t.Run("S1/during the last look", func(t *testing.T) {
		tr := trial{inputs: map[string]string{"max-retries": "0"}, signal: syscall.SIGINT, at: 2 * time.Second}
		res := tr.runVirtually(t, &peer{changes: []reply{{then: hangUp}}, after: silence})
		res.check(t, want{code: "ACTION_NETWORK_ERROR", status: "unknown", attempts: 1, says: []string{notReadable}, least: 2 * time.Second, most: 2 * time.Second})
		if res.exit != 130 {
			t.Errorf("exit status %d", res.exit)
		}
	})

	// Not a signal, and so not one of their exit statuses.
	t.Run("another cause", func(t *testing.T) {
		p := &peer{}
		res := trial{}.runTampered(t, p, func(_ *publish.Step, cancel context.CancelCauseFunc) { cancel(nil) })
		res.check(t, want{code: "ACTION_CANCELLED", says: []string{"Context canceled", nothingChanged}})
		if res.exit != 1 || len(p.requests("")) > 0 {
			t.Errorf("exit status %d after %d requests", res.exit, len(p.requests("")))
		}
	})
}

// slow is r after a time without a byte.
func slow(r reply, wait time.Duration) reply {
	raw := r.raw
	r.raw, r.stream = "", func(w io.Writer) {
		<-time.After(wait)
		_, _ = io.WriteString(w, raw)
	}
	return r
}

// held is a peer that tells of each request for the change, and of each read after it, and answers none of them.
func held() (p *peer, change, read chan struct{}) {
	change, read = make(chan struct{}, 10), make(chan struct{}, 10)
	tells := func(c chan struct{}) reply { return reply{first: func() { c <- struct{}{} }, then: silent} }
	return &peer{changes: []reply{tells(change)}, after: tells(read)}, change, read
}

func TestFaultsSignalsOfAProcess(t *testing.T) {
	start := func(t *testing.T, p *peer, tr trial) *process {
		t.Helper()
		tr.inputs = map[string]string{"api-url": p.listen(t)}
		process := tr.process(t, `exec "$@"`)
		if err := process.Start(); err != nil {
			t.Fatal(err)
		}
		return process
	}
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(fmt.Sprintf("S1/%v", signal), func(t *testing.T) {
			p, change, _ := held()
			process := start(t, p, trial{})
			<-change
			if err := process.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			res := process.finish(t)
			res.check(t, want{code: "ACTION_CANCELLED", status: "unknown", attempts: 1, says: []string{"Cancelled by SIG", notReadable}})
			if res.exit != 128+int(signal) {
				t.Errorf("exit status %d", res.exit)
			}
		})
		t.Run(fmt.Sprintf("S2/%v", signal), func(t *testing.T) {
			answered := make(chan struct{}, 1)
			p := &peer{changes: []reply{refuses(503, "BUSY", "try later", "Retry-After: 60")}}
			p.changes[0].first = func() { answered <- struct{}{} }
			process := start(t, p, trial{})
			<-answered
			// Before the reply is read, or after: it ends at once in either case, though not with the same words.
			if err := process.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			res := process.finish(t)
			res.check(t, want{code: "ACTION_CANCELLED", status: res.outputs["status"], attempts: 1, says: []string{"Cancelled by SIG"}})
			if res.exit != 128+int(signal) {
				t.Errorf("exit status %d", res.exit)
			}
		})
	}
	// A second SIGINT is somebody at a keyboard who wants the end now; a second SIGTERM, as timeout(1) sends it, changes nothing.
	for first, second := range map[syscall.Signal]syscall.Signal{syscall.SIGINT: syscall.SIGINT, syscall.SIGTERM: syscall.SIGTERM} {
		t.Run(fmt.Sprintf("S3/%v twice", first), func(t *testing.T) {
			p, change, read := held()
			outputs, summary := newFile(t, "a=b"), newFile(t, "")
			process := start(t, p, trial{env: map[string]string{"GITHUB_ACTIONS": "", "GITHUB_OUTPUT": outputs, "GITHUB_STEP_SUMMARY": summary}})
			<-change
			if err := process.Process.Signal(first); err != nil {
				t.Fatal(err)
			}
			<-read // the last look is under way
			if err := process.Process.Signal(second); err != nil {
				t.Fatal(err)
			}
			_ = process.Wait()
			reported := strings.Contains(contentOf(t, outputs), "\nstatus=unknown\n") && process.stdout.Len() > 0 && contentOf(t, summary) != ""
			nothing := contentOf(t, outputs) == "a=b" && process.stdout.Len() == 0 && contentOf(t, summary) == ""
			if got := process.ProcessState.ExitCode(); got != 128+int(first) || first == syscall.SIGINT && !nothing || first == syscall.SIGTERM && !reported {
				t.Errorf("exit status %d, outputs %q, printed %q", got, contentOf(t, outputs), &process.stdout)
			}
		})
	}
	t.Run("S6", func(t *testing.T) {
		for _, held := range []string{"", "a=b", "a<<EOF\nb\nEOF\n"} {
			change := make(chan struct{}, 1)
			p := &peer{changes: []reply{{first: func() { change <- struct{}{} }, then: silent}}}
			outputs, summary := newFile(t, held), newFile(t, "")
			process := start(t, p, trial{env: map[string]string{"GITHUB_OUTPUT": outputs, "GITHUB_STEP_SUMMARY": summary}})
			<-change
			if err := process.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = process.Wait()
			if got := contentOf(t, outputs); got != held || contentOf(t, summary) != "" {
				t.Errorf("the outputs are %q, want %q", got, held)
			}
		}
	})
	// Killed at any moment around the end, the file holds all outputs or none.
	t.Run("S6/at the end", func(t *testing.T) {
		for range 10 {
			answered := make(chan struct{}, 1)
			p := &peer{changes: []reply{confirms}}
			p.changes[0].first = func() { answered <- struct{}{} }
			outputs, summary := newFile(t, "a=b\n"), newFile(t, "")
			process := start(t, p, trial{env: map[string]string{"GITHUB_OUTPUT": outputs, "GITHUB_STEP_SUMMARY": summary}})
			<-answered
			_ = process.Process.Kill()
			_ = process.Wait()
			got, err := runner.Outputs(contentOf(t, outputs))
			if err != nil || len(got) != 1 && len(got) != 12 {
				t.Errorf("outputs %q, %v", got, err)
			}
		}
	})
}
