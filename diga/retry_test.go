package diga

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestEveryStatus sends a change that each status answers in turn, always, and counts the requests.
func TestEveryStatus(t *testing.T) {
	again := []int{408, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524}
	for status := range 1000 {
		if 0 < status && status < 200 && status != http.StatusSwitchingProtocols {
			continue // not a final reply
		}
		n := &network{replies: []reply{says(status, "")}}
		n.play(t, func(t *testing.T, c *Client) {
			c.MaxRetries = 1
			budget := time.Second
			if status == http.StatusTooManyRequests {
				budget = 2 * time.Second // MaxRetries does not count it
			}
			ctx, cancel := context.WithTimeout(t.Context(), budget)
			defer cancel()
			_, attempts, err := c.Publish(ctx, promotion)
			e := failed(t, err)

			want := 1
			if slices.Contains(again, status) {
				want = 2
			}
			if attempts != want || len(n.heard()) != want || e.Attempts != want {
				t.Errorf("%d: %d attempts, %d requests, %d in the error; want %d", status, attempts, len(n.heard()), e.Attempts, want)
			}
			wantCause, wantStatus := Answered, status
			switch {
			case status < 200, status > 599:
				wantCause, wantStatus = InvalidReply, 0
			case status < 300:
				wantCause = InvalidReply
			case status < 400:
				wantCause = Redirected
			}
			if e.Cause != wantCause || e.Status != wantStatus || e.Code != "" {
				t.Errorf("%d: cause %d, status %d, code %q; want %d, %d and none", status, e.Cause, e.Status, e.Code, wantCause, wantStatus)
			}
		})
	}
}

// TestBackoff measures, at the server, the time between the attempts that a 503 leads to.
func TestBackoff(t *testing.T) {
	longest := []time.Duration{1, 2, 4, 8, 16, 20, 20, 20, 20, 20} // seconds
	gaps := func(jitter func(time.Duration) time.Duration) (list []time.Duration) {
		n := &network{replies: []reply{refuses(503, "BUSY")}}
		n.play(t, func(t *testing.T, c *Client) {
			c.MaxRetries, c.Jitter = len(longest), jitter
			_, _, err := c.Publish(t.Context(), promotion)
			if e := failed(t, err); e.Attempts != 11 || e.GaveUp != "gave up after 11 attempts" {
				t.Errorf("%d attempts, %s", e.Attempts, e.GaveUp)
			}
		})
		for i, r := range n.heard()[1:] {
			list = append(list, r.at-n.heard()[i].at)
		}
		return list
	}
	least := gaps(func(time.Duration) time.Duration { return 0 })
	most := gaps(func(limit time.Duration) time.Duration { return limit - 1 })
	var random [][]time.Duration
	for range 40 {
		random = append(random, gaps(nil))
	}
	for i, d := range longest {
		d *= time.Second
		if least[i] != d/2 || most[i] != d-1 {
			t.Errorf("retry %d waits %s to %s, d = %s", i, least[i], most[i], d)
		}
		short, long := false, false
		for _, gaps := range random {
			if gaps[i] < d/2 || d <= gaps[i] {
				t.Errorf("retry %d waits %s, d = %s", i, gaps[i], d)
			}
			short, long = short || gaps[i] < d*3/4, long || gaps[i] >= d*3/4
		}
		if !short || !long { // one time in 2⁴⁰
			t.Errorf("retry %d: 40 random waits are in one half of what is allowed", i)
		}
	}
}

// TestRetryAfter checks the wait before the first retry, whose own backoff is [0.5 s, 1 s).
func TestRetryAfter(t *testing.T) {
	const date = "Date: Sat, 01 Jan 2000 10:00:00 GMT" // ten hours ahead of this machine's clock
	tests := []struct {
		headers string // lines, split at "|"
		want    time.Duration
	}{
		{"X: y", 0},
		{"Retry-After: 2", 2 * time.Second},
		{"retry-after:3600", time.Hour},
		{"Retry-After:  \t 7 \t", 7 * time.Second},
		{"Retry-After: 007", 7 * time.Second},
		{"Retry-After: 0", 0},
		{"Retry-After: 9223372036", 9223372036 * time.Second},

		{date + "|Retry-After: Sat, 01 Jan 2000 10:00:09 GMT", 9 * time.Second},
		{date + "|Retry-After: Saturday, 01-Jan-00 10:00:09 GMT", 9 * time.Second},
		{date + "|Retry-After: Sat Jan  1 10:00:09 2000", 9 * time.Second},
		{date + "|Retry-After: Sat, 01 Jan 2000 09:59:59 GMT", 0},
		{date + "|Retry-After: Sat, 01 Jan 2000 00:00:09 GMT", 0},
		{date + "|Retry-After: Fri, 31 Dec 9999 23:59:59 GMT", math.MaxInt64},
		{"Retry-After: Sat, 01 Jan 2000 00:00:09 GMT", 9 * time.Second},
		{"Date: yesterday|Retry-After: Sat, 01 Jan 2000 00:00:09 GMT", 9 * time.Second},
		{"Retry-After: Fri, 31 Dec 1999 23:59:59 GMT", 0},
		{"Retry-After: Sat, 01 Jan 0000 00:00:00 GMT", 0},

		{"Retry-After:", 0},
		{"Retry-After: 9223372037", 0},
		{"Retry-After: 1" + strings.Repeat("0", 30), 0},
		{"Retry-After: -1", 0},
		{"Retry-After: +5", 0},
		{"Retry-After: NaN", 0},
		{"Retry-After: 1.5", 0},
		{"Retry-After: 1e3", 0},
		{"Retry-After: 0x10", 0},
		{"Retry-After: 1_000", 0},
		{"Retry-After: 5 s", 0},
		{"Retry-After: 120, 5", 0},
		{"Retry-After: soon", 0},
		{"Retry-After: 2000-01-01T00:00:09Z", 0},
		{"Retry-After: Sat, 01 Jan 2000 00:00:09 +0100", 0},
		{"Retry-After: \xff\xfe", 0},
		{"Retry-After: 120|Retry-After: 5", 0},
		{"Retry-After: 120|Retry-After: 120", 0},
	}
	for _, test := range tests {
		for _, status := range []int{408, 429, 500, 503, 524} {
			for _, jitter := range []time.Duration{0, 500*time.Millisecond - 1} {
				n := &network{replies: []reply{says(status, "", strings.Split(test.headers, "|")...)}}
				n.play(t, func(t *testing.T, c *Client) {
					ctx, cancel := context.WithCancel(t.Context())
					c.Jitter = func(limit time.Duration) time.Duration { return min(jitter, limit-1) }
					var got Wait
					c.OnWait = func(w Wait) { got = w; cancel() }
					_, _, _ = c.Publish(ctx, promotion)

					least := max(test.want, 500*time.Millisecond)
					want := least + min(jitter, math.MaxInt64-least)
					// A span that ends past the year 2292 has no room for all of the jitter.
					if got.Asked != test.want || got.Duration < least || want-got.Duration > 1 {
						t.Errorf("%d with %q: asked for %s, waits %s; want %s, %s", status, test.headers, got.Asked, got.Duration, test.want, want)
					}
				})
			}
		}
	}
}

// TestQueue sees a change through 429s, which MaxRetries does not count.
func TestQueue(t *testing.T) {
	busy, queue := says(503, ""), says(429, "", "Retry-After: 3")
	tests := []struct {
		name     string
		retries  int
		budget   time.Duration // 0: none
		replies  []reply
		attempts int
		elapsed  time.Duration
		status   int // 0: success
	}{
		{"a queue", 0, 0, []reply{queue, queue, queue, published}, 4, 9 * time.Second, 0},
		{"a queue without an end", 0, 10 * time.Second, []reply{queue}, 4, 9 * time.Second, 429},
		{"no retries", 0, 0, []reply{busy, published}, 1, 0, 503},
		{"no retries after a queue", 0, 0, []reply{queue, busy, published}, 2, 3 * time.Second, 503},
		{"one retry and a queue", 1, 0, []reply{queue, busy, queue, published}, 4, 7 * time.Second, 0},
		{"one retry and two failures", 1, 0, []reply{queue, busy, queue, busy, published}, 4, 7 * time.Second, 503},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			n := &network{replies: test.replies}
			n.play(t, func(t *testing.T, c *Client) {
				c.MaxRetries = test.retries
				ctx := t.Context()
				if test.budget > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, test.budget)
					defer cancel()
				}
				_, attempts, err := c.Publish(ctx, promotion)
				status := 0
				if err != nil {
					status = failed(t, err).Status
				}
				if elapsed := time.Since(n.start); status != test.status || attempts != test.attempts || elapsed != test.elapsed {
					t.Errorf("status %d, %d attempts in %s: %v", status, attempts, elapsed, err)
				}
			})
		})
	}
}

// TestTooLateToBegin checks that a change is not begun that could only be cut off, and that it has no effect then.
func TestTooLateToBegin(t *testing.T) {
	n := &network{replies: []reply{published}}
	n.play(t, func(t *testing.T, c *Client) {
		ctx, cancel := context.WithTimeout(t.Context(), 250*time.Millisecond-1)
		defer cancel()
		_, attempts, err := c.Publish(ctx, promotion)
		if e := failed(t, err); e.Cause != Timeout || e.Effect != NoEffect || attempts != 0 {
			t.Errorf("%d attempts: %+v", attempts, e)
		}
	})
}

// TestBudget checks, to the nanosecond, that a wait is begun only if it leaves 250 ms, and that jitter keeps to that.
func TestBudget(t *testing.T) {
	most := func(limit time.Duration) time.Duration { return limit - 1 }
	tests := []struct {
		header string
		budget time.Duration
		at     time.Duration // of the second attempt, with all the jitter there is; 0: there is none
		gaveUp string
	}{
		{"X: y", 750 * time.Millisecond, 500 * time.Millisecond, ""},
		{"X: y", 750*time.Millisecond - 1, 0, "gave up after 1 attempt: the next would wait 0.5 s, the timeout leaves 0.5 s"},
		{"X: y", 250 * time.Millisecond, 0, "gave up after 1 attempt: the next would wait 0.5 s, the timeout leaves 0 s"},
		{"X: y", time.Second, 750*time.Millisecond - 1, ""},
		{"X: y", time.Minute, time.Second - 1, ""},
		{"Retry-After: 2", 2250 * time.Millisecond, 2 * time.Second, ""},
		{"Retry-After: 2", 2250*time.Millisecond - 1, 0, "gave up after 1 attempt: the reply asked to wait 2 s, the timeout leaves 2 s"},
		{"Retry-After: 3600", 2 * time.Minute, 0, "gave up after 1 attempt: the reply asked to wait 3600 s, the timeout leaves 119.75 s"},
		{"Retry-After: Thu, 01 Jan 2099 00:00:00 GMT", 2 * time.Minute, 0, "gave up after 1 attempt: the reply asked to wait 3124224000 s, the timeout leaves 119.75 s"},
	}
	for _, test := range tests {
		t.Run(fmt.Sprint(test.header, test.budget), func(t *testing.T) {
			n := &network{replies: []reply{refuses(503, "BUSY", test.header), published}}
			n.play(t, func(t *testing.T, c *Client) {
				c.Jitter = most
				ctx, cancel := context.WithTimeout(t.Context(), test.budget)
				defer cancel()
				_, attempts, err := c.Publish(ctx, promotion)
				if test.gaveUp != "" {
					e := failed(t, err)
					if attempts != 1 || time.Since(n.start) != 0 || e.Code != "BUSY" || e.Cause != Answered || e.GaveUp != test.gaveUp {
						t.Errorf("%d attempts in %s: %s %v", attempts, time.Since(n.start), e.Code, e)
					}
				} else if err != nil || attempts != 2 || time.Since(n.start) != test.at {
					t.Errorf("%d attempts in %s: %v", attempts, time.Since(n.start), err)
				}
			})
		})
	}
}

var errSignal, errBudget = errors.New("cancelled by SIGINT"), errors.New("gave up after 3s")

// TestLastWord checks what is left of the API's own error when something else ends the call.
func TestLastWord(t *testing.T) {
	first, second := refuses(500, "FIRST"), refuses(503, "SECOND")
	slow := reply{raw: strings.TrimSuffix(says(500, "12345").raw, "345"), then: silent}
	tests := []struct {
		name    string
		replies []reply
		budget  time.Duration // 0: a minute
		cancel  time.Duration // 0: never
		retries int
		want    Error // Before only by its code
		elapsed time.Duration
	}{
		{"the last of two", []reply{first, second}, 0, 0, 1,
			Error{Cause: Answered, Status: 503, Code: "SECOND", Attempts: 2, Effect: MaybeApplied, GaveUp: "gave up after 2 attempts"}, 500 * time.Millisecond},
		{"a final status after a retry", []reply{first, refuses(404, "GONE")}, 0, 0, 4,
			Error{Cause: Answered, Status: 404, Code: "GONE", Attempts: 2, Effect: MaybeApplied}, 500 * time.Millisecond},
		{"then a lost connection", []reply{first, lost}, 0, 0, 1,
			Error{Cause: Answered, Status: 500, Code: "FIRST", Attempts: 2, Effect: MaybePending,
				GaveUp: "gave up after 2 attempts; the last attempt failed differently: no reply from api.test: the connection was closed"}, 500 * time.Millisecond},
		{"then malformed HTTP", []reply{first, {raw: "SSH-2.0\r\n\r\n"}}, 0, 0, 4,
			Error{Cause: Answered, Status: 500, Code: "FIRST", Attempts: 2, Effect: MaybePending,
				GaveUp: "gave up; the last attempt failed differently: the reply cannot be read"}, 500 * time.Millisecond},
		{"a lost connection, then a status", []reply{lost, second}, 0, 0, 1,
			Error{Cause: Answered, Status: 503, Code: "SECOND", Attempts: 2, Effect: MaybePending, GaveUp: "gave up after 2 attempts"}, 500 * time.Millisecond},
		{"the budget ends during an attempt", []reply{first, {then: silent}}, 3 * time.Second, 0, 4,
			Error{Cause: Answered, Status: 500, Code: "FIRST", Attempts: 2, Effect: MaybePending, GaveUp: "gave up after 3s"}, 3 * time.Second},
		{"the budget ends during the first attempt", []reply{{then: silent}}, 3 * time.Second, 0, 4,
			Error{Cause: Timeout, Attempts: 1, Effect: MaybePending, Message: "no reply from api.test; gave up after 3s"}, 3 * time.Second},
		{"the budget ends after a lost connection", []reply{lost, {then: silent}}, 3 * time.Second, 0, 4,
			Error{Cause: Timeout, Attempts: 2, Effect: MaybePending, Message: "no reply from api.test; gave up after 3s", LastReply: &Error{}}, 3 * time.Second},
		{"the budget ends in an error's body", []reply{slow}, 3 * time.Second, 0, 4,
			Error{Cause: Answered, Status: 500, Attempts: 1, Effect: MaybePending, GaveUp: "gave up after 3s"}, 3 * time.Second},
		{"the budget ends in a 200's body", []reply{{raw: published.raw[:60], then: silent}}, 3 * time.Second, 0, 4,
			Error{Cause: Timeout, Attempts: 1, Effect: MaybePending, Message: "no end of the reply from api.test; gave up after 3s"}, 3 * time.Second},
		{"the budget leaves no time to wait", []reply{first}, 2 * time.Second, 0, 4,
			Error{Cause: Answered, Status: 500, Code: "FIRST", Attempts: 3, Effect: MaybeApplied,
				GaveUp: "gave up after 3 attempts: the next would wait 2 s, the timeout leaves 0.25 s"}, 1500 * time.Millisecond},
		{"a cancel while waiting", []reply{first}, 0, time.Second, 4,
			Error{Cause: Cancelled, Status: 500, Attempts: 2, Effect: MaybeApplied, Message: errSignal.Error(), LastReply: &Error{Code: "FIRST"}}, time.Second},
		{"a cancel while waiting after a lost connection", []reply{lost}, 0, time.Second, 4,
			Error{Cause: Cancelled, Attempts: 2, Effect: MaybePending, Message: errSignal.Error(), LastReply: &Error{}}, time.Second},
		{"a cancel in flight", []reply{first, {then: silent}}, 0, time.Second, 4,
			Error{Cause: Cancelled, Status: 500, Attempts: 2, Effect: MaybePending, Message: errSignal.Error(), LastReply: &Error{Code: "FIRST"}}, time.Second},
		{"a cancel in the first flight", []reply{{then: silent}}, 0, time.Second, 4,
			Error{Cause: Cancelled, Attempts: 1, Effect: MaybePending, Message: errSignal.Error()}, time.Second},
		{"a cancel in an error's body", []reply{slow}, 0, time.Second, 4,
			Error{Cause: Cancelled, Status: 500, Attempts: 1, Effect: MaybePending, Message: errSignal.Error(), LastReply: &Error{}}, time.Second},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			n := &network{replies: test.replies}
			n.play(t, func(t *testing.T, c *Client) {
				c.MaxRetries = test.retries
				budget := test.budget
				if budget == 0 {
					budget = time.Minute
				}
				ctx, stop := context.WithTimeoutCause(t.Context(), budget, errBudget)
				defer stop()
				ctx, cancel := context.WithCancelCause(ctx)
				defer cancel(nil)
				if test.cancel > 0 {
					time.AfterFunc(test.cancel, func() { cancel(errSignal) })
				}
				_, _, err := c.Publish(ctx, promotion)
				e, want := failed(t, err), test.want
				if elapsed := time.Since(n.start); elapsed != test.elapsed {
					t.Errorf("took %s", elapsed)
				}
				if test.cancel > 0 && !errors.Is(e, errSignal) {
					t.Error("the error hides the cause of the cancel")
				}
				if (e.LastReply == nil) != (want.LastReply == nil) || e.LastReply != nil && e.LastReply.Code != want.LastReply.Code {
					t.Errorf("before that: %v", e.LastReply)
				}
				got := *e
				got.LastReply, got.Err, got.Untrusted, want.LastReply = nil, nil, "", nil
				if want.Message == "" {
					got.Message = ""
				}
				if !reflect.DeepEqual(got, want) {
					t.Errorf("got  %+v\nwant %+v", got, want)
				}
			})
		})
	}
}

// TestNothingBegins checks a context that has ended already.
func TestNothingBegins(t *testing.T) {
	n := &network{replies: []reply{published}}
	n.play(t, func(t *testing.T, c *Client) {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errSignal)
		_, attempts, err := c.Publish(ctx, promotion)
		if e := failed(t, err); e.Cause != Cancelled || e.Effect != NoEffect || e.Message != errSignal.Error() || attempts != 0 || n.dials() != 0 {
			t.Errorf("%+v, %d dials", e, n.dials())
		}
		ctx, stop := context.WithTimeoutCause(t.Context(), -1, errBudget)
		defer stop()
		_, attempts, err = c.Publish(ctx, promotion)
		if e := failed(t, err); e.Cause != Timeout || e.Effect != NoEffect || e.Message != errBudget.Error() || attempts != 0 || n.dials() != 0 {
			t.Errorf("%+v, %d dials", e, n.dials())
		}
	})
}

// TestAttemptTime measures how long an attempt lasts at most.
func TestAttemptTime(t *testing.T) {
	const head = "HTTP/1.1 %d What\r\nContent-Length: 1000\r\n\r\n"
	const half, five = 30 * time.Second, 5 * time.Second
	tests := []struct {
		name     string
		reply    reply
		attempts []time.Duration
		log      string // what it says of the first attempt
		message  string
		effect   Effect
	}{
		{"silence", reply{then: silent}, []time.Duration{half, half},
			"no reply from api.test within 30 s", "no reply from api.test within 30 s", MaybePending},
		{"one byte of the header a second", reply{raw: fmt.Sprintf(head, 200), pace: time.Second}, []time.Duration{half, half},
			"no reply from api.test within 30 s", "no reply from api.test within 30 s", MaybePending},
		{"one byte of a 200 in turn", reply{raw: fmt.Sprintf(head, 200) + strings.Repeat(" ", 1000), pace: time.Second / 10}, []time.Duration{half, half},
			"no end of the reply from api.test within 30 s", "no end of the reply from api.test within 30 s", MaybePending},
		{"a 200 that stops", reply{raw: fmt.Sprintf(head, 200), then: silent}, []time.Duration{half, half},
			"no end of the reply from api.test within 30 s", "no end of the reply from api.test within 30 s", MaybePending},
		{"a 500 that stops", reply{raw: fmt.Sprintf(head, 500), then: silent}, []time.Duration{five, five},
			"no end of the reply from api.test", "the API answered 500 Internal Server Error", MaybePending},
		{"a 404 that stops", reply{raw: fmt.Sprintf(head, 404), then: silent}, []time.Duration{five},
			"no end of the reply from api.test", "the API answered 404 Not Found", NoEffect},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			n := &network{replies: []reply{test.reply}}
			n.play(t, func(t *testing.T, c *Client) {
				c.MaxRetries = 1
				var attempts []time.Duration
				c.OnAttempt = func(a Attempt) {
					if attempts = append(attempts, a.Elapsed); a.Err == nil || a.Err.Error() != test.log {
						t.Errorf("the log says %v", a.Err)
					}
				}
				_, _, err := c.Publish(t.Context(), promotion)
				if e := failed(t, err); e.Message != test.message || e.Effect != test.effect || !slices.Equal(attempts, test.attempts) {
					t.Errorf("%v, effect %d, attempts of %s", e, e.Effect, attempts)
				}
			})
		})
	}
}

// TestAttemptsAreAlike compares the bytes of every attempt.
func TestAttemptsAreAlike(t *testing.T) {
	n := &network{replies: []reply{says(503, "busy"), lost, says(429, ""), says(502, "", "Connection: close"), published}}
	n.play(t, func(t *testing.T, c *Client) {
		if _, attempts, err := c.Publish(t.Context(), promotion); err != nil || attempts != 5 {
			t.Fatal(attempts, err)
		}
	})
	heard := n.heard()
	for _, r := range heard {
		if r.head != heard[0].head || r.body != heard[0].body || !strings.Contains(r.head, "\r\nX-Request-Id: "+requestID.String()+"\r\n") {
			t.Errorf("got\n%s%s\nafter\n%s%s", r.head, r.body, heard[0].head, heard[0].body)
		}
	}
	if len(heard) != 5 || n.dials() != 3 {
		t.Errorf("%d requests on %d connections, want 5 on 3", len(heard), n.dials())
	}
}

// TestLog compares what the two callbacks tell with what happened.
func TestLog(t *testing.T) {
	n := &network{replies: []reply{refuses(503, "BUSY", "Retry-After: 4"), lost, {raw: published.raw[:60], pace: time.Second / 10, then: hangUp}, published}}
	var log []string
	n.play(t, func(t *testing.T, c *Client) {
		c.OnAttempt = func(a Attempt) {
			log = append(log, fmt.Sprintf("%s: %d. %s %s: %d (%v) after %s, %t %t", time.Since(n.start), a.Number, a.Method, a.Path, a.Status, a.Err, a.Elapsed, a.Reused, a.HTTP2))
		}
		c.OnWait = func(w Wait) {
			log = append(log, fmt.Sprintf("%s: %s %s (%v): %s before %d, asked %s", time.Since(n.start), w.Method, w.Path, w.After, w.Duration, w.Next, w.Asked))
		}
		if _, _, err := c.Publish(t.Context(), promotion); err != nil {
			t.Fatal(err)
		}
	})
	path := "/v1/agent/" + agentID.String() + "/published_version"
	want := []string{
		"0s: 1. PATCH " + path + ": 503 (<nil>) after 0s, false false",
		"0s: PATCH " + path + " (the API answered 503 Service Unavailable: because): 4s before 2, asked 4s",
		"4s: 2. PATCH " + path + ": 0 (no reply from api.test: the connection was closed) after 0s, true false",
		"4s: PATCH " + path + " (no reply from api.test: the connection was closed): 1s before 3, asked 0s",
		"11s: 3. PATCH " + path + ": 200 (the reply breaks off after 18 bytes: the connection closed early) after 6s, false false",
		"11s: PATCH " + path + " (the reply breaks off after 18 bytes: the connection closed early): 2s before 4, asked 0s",
		"13s: 4. PATCH " + path + ": 200 (<nil>) after 0s, false false",
	}
	if !slices.Equal(log, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(log, "\n"), strings.Join(want, "\n"))
	}
}

func TestSeconds(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 s", time.Hour: "3600 s", 1254 * time.Millisecond: "1.25 s", 4 * time.Millisecond: "0 s", math.MaxInt64: "9223372036.85 s",
	} {
		if got := seconds(d); got != want {
			t.Errorf("%d: %s, want %s", d, got, want)
		}
	}
}
