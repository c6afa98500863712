package diga

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// After the last attempt, an error has the API's last response, whatever ended the call.
func TestHowCallsEnd(t *testing.T) {
	first, second := apiError(500, "FIRST"), apiError(503, "SECOND")
	slow := answer{raw: strings.TrimSuffix(response(500, "12345").raw, "345"), then: silent}
	const half = 500 * time.Millisecond
	tests := []struct {
		name    string
		answers []answer
		budget  time.Duration // 0: a minute
		cancel  time.Duration // 0: never
		retries int
		want    Error  // without Message, Said, Last and Err
		text    string // how the error's text ends
		last    string // the code of Last; "-": Last is nil
		elapsed time.Duration
	}{
		{"the last of two", []answer{first, second}, 0, 0, 1,
			Error{Cause: ServerFault, Status: 503, Code: "SECOND", Effect: MaybeApplied, GaveUp: "gave up after 2 attempts"},
			"the API returned 503 Service Unavailable: because", "-", half},
		{"a final status after a retry", []answer{first, apiError(404, "GONE")}, 0, 0, 4,
			Error{Cause: NotFound, Status: 404, Code: "GONE", Effect: MaybeApplied}, "404 Not Found: because", "-", half},
		{"then a lost connection", []answer{first, lost}, 0, 0, 1,
			Error{Cause: ServerFault, Status: 500, Code: "FIRST", Effect: MaybePending,
				GaveUp: "gave up after 2 attempts; the last attempt failed differently: no response from api.test"},
			"500 Internal Server Error: because", "-", half},
		{"then malformed HTTP", []answer{first, {raw: "SSH-2.0\r\n\r\n"}}, 0, 0, 4,
			Error{Cause: ServerFault, Status: 500, Code: "FIRST", Effect: MaybePending,
				GaveUp: "gave up; the last attempt failed differently: could not read the response"},
			"500 Internal Server Error: because", "-", half},
		{"a lost connection, then a status", []answer{lost, second}, 0, 0, 1,
			Error{Cause: ServerFault, Status: 503, Code: "SECOND", Effect: MaybePending, GaveUp: "gave up after 2 attempts"},
			"503 Service Unavailable: because", "-", half},
		{"the budget ends during an attempt", []answer{first, hang}, 3 * time.Second, 0, 4,
			Error{Cause: ServerFault, Status: 500, Code: "FIRST", Effect: MaybePending, GaveUp: "gave up after 3 s"},
			"500 Internal Server Error: because", "-", 3 * time.Second},
		{"the budget ends during the first attempt", []answer{hang}, 3 * time.Second, 0, 4,
			Error{Cause: TimedOut, Effect: MaybePending}, "no response from api.test gave up after 3 s", "-", 3 * time.Second},
		{"the budget ends after a lost connection", []answer{lost, hang}, 3 * time.Second, 0, 4,
			Error{Cause: TimedOut, Effect: MaybePending}, "no response from api.test gave up after 3 s", "", 3 * time.Second},
		{"the budget ends in an error's body", []answer{slow}, 3 * time.Second, 0, 4,
			Error{Cause: ServerFault, Status: 500, Effect: MaybePending, GaveUp: "gave up after 3 s"},
			"500 Internal Server Error", "-", 3 * time.Second},
		{"the budget ends in a 200's body", []answer{{raw: published.raw[:60], then: silent}}, 3 * time.Second, 0, 4,
			Error{Cause: TimedOut, Effect: MaybePending},
			"incomplete response from api.test gave up after 3 s", "-", 3 * time.Second},
		{"a cancel while waiting", []answer{first}, 0, time.Second, 4,
			Error{Cause: Cancelled, Status: 500, Effect: MaybeApplied}, errSignal.Error(), "FIRST", time.Second},
		{"a cancel while waiting after a lost connection", []answer{lost}, 0, time.Second, 4,
			Error{Cause: Cancelled, Effect: MaybePending}, errSignal.Error(), "", time.Second},
		{"a cancel in flight", []answer{first, hang}, 0, time.Second, 4,
			Error{Cause: Cancelled, Status: 500, Effect: MaybePending}, errSignal.Error(), "FIRST", time.Second},
		{"a cancel in the first flight", []answer{hang}, 0, time.Second, 4,
			Error{Cause: Cancelled, Effect: MaybePending}, errSignal.Error(), "-", time.Second},
		{"a cancel in an error's body", []answer{slow}, 0, time.Second, 4,
			Error{Cause: Cancelled, Status: 500, Effect: MaybePending}, errSignal.Error(), "", time.Second},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			n := &network{answers: test.answers}
			n.play(t, func(t *testing.T, c *Client) {
				c.MaxRetries = test.retries
				if test.budget == 0 {
					test.budget = time.Minute
				}
				ctx, stop := context.WithTimeoutCause(t.Context(), test.budget, errBudget)
				defer stop()
				ctx, cancel := context.WithCancelCause(ctx)
				defer cancel(nil)
				if test.cancel > 0 {
					time.AfterFunc(test.cancel, func() { cancel(errSignal) })
				}
				_, err := c.Publish(ctx, promotion)
				e, last := failed(t, err), "-"
				if e.Last != nil {
					last = e.Last.Code
				}
				got := fmt.Sprintf("%d %d %q %d %q", e.Cause, e.Status, e.Code, e.Effect, e.GaveUp)
				w := test.want
				want := fmt.Sprintf("%d %d %q %d %q", w.Cause, w.Status, w.Code, w.Effect, w.GaveUp)
				if got != want || !strings.HasSuffix(e.Error(), test.text) || last != test.last {
					t.Errorf("got  %s %s, last %s\nwant %s %s, last %s", got, e, last, want, test.text, test.last)
				}
				if elapsed := time.Since(n.start); elapsed != test.elapsed {
					t.Errorf("took %s", elapsed)
				}
				if test.cancel > 0 && !errors.Is(e, errSignal) {
					t.Error("the error hides the cause of the cancel")
				}
			})
		})
	}
}

func TestEndedContextsSendNothing(t *testing.T) {
	n := &network{answers: []answer{published}}
	n.play(t, func(t *testing.T, c *Client) {
		cancelled, cancel := context.WithCancelCause(t.Context())
		cancel(errSignal)
		over, stop := context.WithTimeoutCause(t.Context(), -1, errBudget)
		defer stop()
		late, stop := context.WithTimeout(t.Context(), lastAttempt-1) // a change could be cut off
		defer stop()
		for _, test := range []struct {
			ctx   context.Context
			cause Cause
			text  string
		}{
			{cancelled, Cancelled, errSignal.Error()}, {over, TimedOut, errBudget.Error()},
			{late, TimedOut, "too little time left for an attempt"},
		} {
			_, err := c.Publish(test.ctx, promotion)
			e := failed(t, err)
			if e.Cause != test.cause || e.Error() != test.text || e.Effect != NoEffect || n.dials() != 0 {
				t.Errorf("%+v, %d dials", e, n.dials())
			}
		}
	})
}

// An attempt takes at most 30 s, and 5 s once an error's status is known.
func TestAttemptsTimeOut(t *testing.T) {
	const head = "HTTP/1.1 %d What\r\nContent-Length: 1000\r\n\r\n"
	const none, part = "no response from api.test within 30 s", "incomplete response from api.test within 30 s"
	tests := []struct {
		name     string
		answer   answer
		attempts []time.Duration
		log      string // what it says of the first attempt
		text     string
		effect   Effect
	}{
		{"silence", hang, []time.Duration{30, 30}, none, none, MaybePending},
		{"a slow header", answer{raw: fmt.Sprintf(head, 200), pace: time.Second}, []time.Duration{30, 30}, none, none,
			MaybePending},
		{"a slow 200", answer{raw: fmt.Sprintf(head, 200) + strings.Repeat(" ", 1000), pace: time.Second / 10},
			[]time.Duration{30, 30}, part, part, MaybePending},
		{"a 200 that stops", answer{raw: fmt.Sprintf(head, 200), then: silent}, []time.Duration{30, 30}, part, part,
			MaybePending},
		{"a 500 that stops", answer{raw: fmt.Sprintf(head, 500), then: silent}, []time.Duration{5, 5},
			"incomplete response from api.test", "the API returned 500 Internal Server Error", MaybePending},
		{"a 404 that stops", answer{raw: fmt.Sprintf(head, 404), then: silent}, []time.Duration{5},
			"incomplete response from api.test", "the API returned 404 Not Found", NoEffect},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			n := &network{answers: []answer{test.answer}}
			n.play(t, func(t *testing.T, c *Client) {
				c.MaxRetries = 1
				var attempts []time.Duration
				c.OnAttempt = func(a Attempt) {
					if attempts = append(attempts, a.Elapsed/time.Second); a.Err == nil || a.Err.Error() != test.log {
						t.Errorf("the log says %v", a.Err)
					}
				}
				_, err := c.Publish(t.Context(), promotion)
				e := failed(t, err)
				if e.Error() != test.text || e.Effect != test.effect || !slices.Equal(attempts, test.attempts) {
					t.Errorf("%v, effect %d, attempts of %d s", e, e.Effect, attempts)
				}
			})
		})
	}
}

func TestAttemptsAreIdentical(t *testing.T) {
	n := &network{answers: []answer{
		response(503, "busy"), lost, response(429, ""), response(502, "", "Connection: close"), published,
	}}
	n.play(t, func(t *testing.T, c *Client) {
		if _, err := c.Publish(t.Context(), promotion); err != nil {
			t.Fatal(err)
		}
	})
	heard := n.heard()
	for _, r := range heard {
		if r.head != heard[0].head || r.body != heard[0].body {
			t.Errorf("got\n%s%s\nafter\n%s%s", r.head, r.body, heard[0].head, heard[0].body)
		}
	}
	if len(heard) != 5 || n.dials() != 3 {
		t.Errorf("%d requests on %d connections, want 5 on 3", len(heard), n.dials())
	}
}

func TestCallbacks(t *testing.T) {
	n := &network{answers: []answer{
		apiError(503, "BUSY", "Retry-After: 4"), lost, {raw: published.raw[:60], pace: time.Second / 10, then: hangUp},
		published,
	}}
	var log []string
	n.play(t, func(t *testing.T, c *Client) {
		add := func(format string, args ...any) {
			log = append(log, fmt.Sprintf("%s: ", time.Since(n.start))+fmt.Sprintf(format, args...))
		}
		c.OnAttempt = func(a Attempt) {
			add("%d. %s %s: %d (%v) after %s", a.Number, a.Method, a.Path[len(a.Path)-18:], a.Status, a.Err, a.Elapsed)
		}
		c.OnWait = func(w Wait) { add("(%v): %s before %d, asked %s", w.After, w.Duration, w.Next, w.Asked) }
		if _, err := c.Publish(t.Context(), promotion); err != nil {
			t.Fatal(err)
		}
	})
	want := []string{
		"0s: 1. PATCH /published_version: 503 (<nil>) after 0s",
		"0s: (the API returned 503 Service Unavailable: because): 4s before 2, asked 4s",
		"4s: 2. PATCH /published_version: 0 (no response from api.test: the connection was closed) after 0s",
		"4s: (no response from api.test: the connection was closed): 1s before 3, asked 0s",
		"11s: 3. PATCH /published_version: 200 (the response was cut off after 18 bytes) after 6s",
		"11s: (the response was cut off after 18 bytes): 2s before 4, asked 0s",
		"13s: 4. PATCH /published_version: 200 (<nil>) after 0s",
	}
	if !slices.Equal(log, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(log, "\n"), strings.Join(want, "\n"))
	}
}

// Only retries of a change are checked, after the wait, and with the effect so far.
func TestBeforeRetry(t *testing.T) {
	n := &network{answers: []answer{response(429, "", "Retry-After: 1"), apiError(503, "BUSY")}}
	n.play(t, func(t *testing.T, c *Client) {
		var log []string
		c.BeforeRetry = func(_ context.Context, effect Effect) error {
			if log = append(log, fmt.Sprint(time.Since(n.start), effect)); len(log) == 2 {
				return errSignal
			}
			return nil
		}
		_, err := c.Publish(t.Context(), promotion)
		e := failed(t, err)
		if e.Cause != Stopped || !errors.Is(e, errSignal) || e.Status != 503 || e.Last.Code != "BUSY" ||
			e.Effect != MaybeApplied || len(n.heard()) != 2 {
			t.Errorf("%d requests: %+v", len(n.heard()), e)
		}
		if want := []string{"1s 0", "2s 1"}; !slices.Equal(log, want) {
			t.Errorf("asked at %s, want %s", log, want)
		}
		_, _ = c.Version(t.Context(), agentID, versionID)
		if len(log) != 2 {
			t.Error("asked before a retry of a read")
		}
		// It may take so long that there is no time for another attempt.
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		c.BeforeRetry = func(context.Context, Effect) error { <-time.After(1300 * time.Millisecond); return nil }
		_, err = c.Publish(ctx, promotion)
		if e := failed(t, err); e.Code != "BUSY" ||
			e.GaveUp != "gave up after 1 attempt: too little time left for an attempt" {
			t.Errorf("%+v", e)
		}
	})
}

// The wait before retry n is random from d/2 to d; d doubles from 1 s to 20 s, and from 2 s after a 429.
func TestWaitsDouble(t *testing.T) {
	gaps := func(status int, jitter func(time.Duration) time.Duration) (list []time.Duration) {
		n := &network{answers: []answer{response(status, "")}}
		n.play(t, func(t *testing.T, c *Client) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			c.MaxRetries, c.Jitter = 7, jitter
			if status == 429 {
				c.OnWait = func(w Wait) {
					if w.Next == 9 {
						cancel()
					}
				}
			}
			_, err := c.Publish(ctx, promotion)
			if e := failed(t, err); status != 429 && e.GaveUp != "gave up after 8 attempts" {
				t.Error(e.GaveUp)
			}
		})
		for i, r := range n.heard()[1:8] {
			list = append(list, r.at-n.heard()[i].at)
		}
		return list
	}
	for status, longest := range map[int][]time.Duration{503: {1, 2, 4, 8, 16, 20, 20}, 429: {2, 4, 8, 16, 20, 20, 20}} {
		least := gaps(status, func(time.Duration) time.Duration { return 0 })
		most := gaps(status, func(limit time.Duration) time.Duration { return limit - 1 })
		var random [][]time.Duration
		for range 40 {
			random = append(random, gaps(status, nil))
		}
		for i, d := range longest {
			d *= time.Second
			if least[i] != d/2 || most[i] != d-1 {
				t.Errorf("%d: retry %d waits %s to %s, d = %s", status, i, least[i], most[i], d)
			}
			short, long := false, false
			for _, gaps := range random {
				if gaps[i] < d/2 || d <= gaps[i] {
					t.Errorf("%d: retry %d waits %s, d = %s", status, i, gaps[i], d)
				}
				short, long = short || gaps[i] < d*3/4, long || gaps[i] >= d*3/4
			}
			if !short || !long { // one time in 2⁴⁰
				t.Errorf("%d: retry %d: 40 random waits are in one half of what is allowed", status, i)
			}
		}
	}
}

// After Retry-After, the first jitter is as wide as what was asked for; it shrinks to a quarter with each retry.
func TestJitterAfterRetryAfter(t *testing.T) {
	const s = time.Second
	for _, test := range []struct {
		n                    int
		asked, least, spread time.Duration
	}{
		{0, 16 * s, 16 * s, 16 * s}, {1, 16 * s, 16 * s, 4 * s}, {2, 16 * s, 16 * s, 4 * s}, {3, 16 * s, 16 * s, 8 * s},
		{0, s / 10, s / 2, s}, {4, s, 8 * s, 10 * s}, {0, time.Hour, time.Hour, 20 * s},
		{0, math.MaxInt64 - 5, math.MaxInt64 - 5, 5},
	} {
		if least, spread := backoff(test.n, 429, test.asked); least != test.least || spread != test.spread {
			t.Errorf("retry %d, asked %s: %s and up to %s more", test.n, test.asked, least, spread)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	const s = time.Second
	const date = "Date: Sat, 01 Jan 2000 10:00:00 GMT"   // ten hours ahead of this machine's clock
	for headers, want := range map[string]time.Duration{ // lines, split at "|"
		"Retry-After: 2": 2 * s, "retry-after:3600": time.Hour, "Retry-After:  \t 7 \t": 7 * s, "Retry-After: 007": 7 * s,
		"Retry-After: 25.5": 26 * s, "Retry-After: 0.001": s, "Retry-After: 0": 0, "Retry-After: 9223372036": 9223372036 * s,

		date + "|Retry-After: Sat, 01 Jan 2000 10:00:09 GMT":    9 * s,
		date + "|Retry-After: Saturday, 01-Jan-00 10:00:09 GMT": 9 * s,
		date + "|Retry-After: Sat Jan  1 10:00:09 2000":         9 * s,
		date + "|Retry-After: Sat, 01 Jan 2000 09:59:59 GMT":    0,
		"Retry-After: Sat, 01 Jan 2000 00:00:09 GMT":            9 * s,
		"Date: soon|Retry-After: Sat, 01 Jan 2000 00:00:09 GMT": 9 * s,
		"Retry-After: Fri, 31 Dec 1999 23:59:59 GMT":            0,
		"X: y": 0, "Retry-After:": 0, "Retry-After: 9223372037": 0, "Retry-After: 9223372036.5": 0, "Retry-After: -1": 0,
		"Retry-After: NaN": 0, "Retry-After: Inf": 0, "Retry-After: 5 s": 0, "Retry-After: 120, 5": 0, "Retry-After: soon": 0,
		"Retry-After: 2000-01-01T00:00:09Z": 0, "Retry-After: 120|Retry-After: 5": 0, "Retry-After: \xff": 0,
	} {
		for _, status := range []int{408, 429, 503} {
			n := &network{answers: []answer{response(status, "", strings.Split(headers, "|")...)}}
			n.play(t, func(t *testing.T, c *Client) {
				ctx, cancel := context.WithCancel(t.Context())
				var got Wait
				c.OnWait = func(w Wait) { got = w; cancel() }
				_, _ = c.Publish(ctx, promotion)
				least := s / 2
				if status == http.StatusTooManyRequests && want == 0 {
					least = s
				}
				if got.Asked != want || got.Duration != max(want, least) {
					t.Errorf("%d with %q: asked for %s, waits %s; want %s", status, headers, got.Asked, got.Duration, want)
				}
			})
		}
	}
}

func TestRetriesAfter429DoNotCount(t *testing.T) {
	busy, queue := response(503, ""), response(429, "", "Retry-After: 3")
	for _, test := range []struct {
		name     string
		retries  int
		budget   time.Duration
		answers  []answer
		attempts int
		elapsed  time.Duration
		status   int // 0: success
	}{
		{"a queue", 0, time.Minute, []answer{queue, queue, queue, published}, 4, 9 * time.Second, 0},
		{"a queue without an end", 0, 10 * time.Second, []answer{queue}, 4, 9 * time.Second, 429},
		{"no retries", 0, time.Minute, []answer{busy, published}, 1, 0, 503},
		{"no retries after a queue", 0, time.Minute, []answer{queue, busy, published}, 2, 3 * time.Second, 503},
		{"one retry and a queue", 1, time.Minute, []answer{queue, busy, queue, published}, 4, 7 * time.Second, 0},
		{"one retry and two failures", 1, time.Minute, []answer{queue, busy, queue, busy, published}, 4, 7 * time.Second,
			503},
	} {
		n := &network{answers: test.answers}
		n.play(t, func(t *testing.T, c *Client) {
			c.MaxRetries = test.retries
			ctx, cancel := context.WithTimeout(t.Context(), test.budget)
			defer cancel()
			_, err := c.Publish(ctx, promotion)
			status := 0
			if err != nil {
				status = failed(t, err).Status
			}
			elapsed := time.Since(n.start)
			if status != test.status || len(n.heard()) != test.attempts || elapsed != test.elapsed {
				t.Errorf("%s: status %d, %d attempts in %s: %v", test.name, status, len(n.heard()), elapsed, err)
			}
		})
	}
}

// A wait leaves 250 ms, jitter included; checked to the nanosecond.
func TestNoWaitBeyondTheDeadline(t *testing.T) {
	const ms = time.Millisecond
	for _, test := range []struct {
		header string
		budget time.Duration
		at     time.Duration // of the second attempt, with all the jitter there is; 0: there is none
		gaveUp string
	}{
		{"X: y", 750 * ms, 500 * ms, ""},
		{"X: y", 750*ms - 1, 0, "gave up after 1 attempt: too little time left to wait 500 ms"},
		{"X: y", 250 * ms, 0, "gave up after 1 attempt: too little time left to wait 500 ms"},
		{"X: y", 1000 * ms, 750*ms - 1, ""},
		{"X: y", time.Minute, 1000*ms - 1, ""},
		{"Retry-After: 2", 2250 * ms, 2000 * ms, ""},
		{"Retry-After: 2", 2250*ms - 1, 0, "gave up after 1 attempt: the API asks to wait 2 s"},
		{"Retry-After: 3600", 2 * time.Minute, 0, "gave up after 1 attempt: the API asks to wait 1 h"},
	} {
		n := &network{answers: []answer{apiError(503, "BUSY", test.header), published}}
		n.play(t, func(t *testing.T, c *Client) {
			c.Jitter = func(limit time.Duration) time.Duration { return limit - 1 }
			ctx, cancel := context.WithTimeout(t.Context(), test.budget)
			defer cancel()
			_, err := c.Publish(ctx, promotion)
			elapsed := time.Since(n.start)
			if test.gaveUp != "" {
				if e := failed(t, err); len(n.heard()) != 1 || elapsed != 0 || e.Code != "BUSY" || e.GaveUp != test.gaveUp {
					t.Errorf("%s, %s: %+v after %s", test.header, test.budget, e, elapsed)
				}
			} else if err != nil || len(n.heard()) != 2 || elapsed != test.at {
				t.Errorf("%s, %s: %d attempts in %s: %v", test.header, test.budget, len(n.heard()), elapsed, err)
			}
		})
	}
}

func TestReadsAreRetried(t *testing.T) {
	page := response(200, `{"data":[],"has_more":false}`)
	for name, test := range map[string]struct {
		read func(context.Context, *Client) error
		good answer
	}{
		"Live": {func(ctx context.Context, c *Client) error { _, err := c.Live(ctx, agentID); return err }, page},
		"Version": {func(ctx context.Context, c *Client) error { _, err := c.Version(ctx, agentID, versionID); return err },
			response(200, versionBody)},
		"Draft": {func(ctx context.Context, c *Client) error { _, err := c.Draft(ctx, agentID); return err },
			response(200, strings.Replace(versionBody, `"is_draft":false`, `"is_draft":true`, 1))},
		"Phones": {func(ctx context.Context, c *Client) error { _, err := c.Phones(ctx); return err }, page},
		"Versions": {func(ctx context.Context, c *Client) (err error) {
			for _, err = range c.Versions(ctx, agentID) {
			}
			return err
		}, page},
	} {
		for _, bad := range []answer{response(503, ""), response(429, ""), lost} {
			n := &network{answers: []answer{bad, test.good}}
			n.play(t, func(t *testing.T, c *Client) {
				if err := test.read(t.Context(), c); err != nil || len(n.heard()) != 2 {
					t.Errorf("%s: %d requests: %v", name, len(n.heard()), err)
				}
				for _, r := range n.heard() {
					if !strings.Contains(r.head, "\r\nCache-Control: no-cache\r\n") || strings.Contains(r.head, "Content-") {
						t.Errorf("%s: %s", name, r.head)
					}
				}
			})
		}
	}
}
