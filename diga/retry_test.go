package diga

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestOnlySomeStatusesAreRetried(t *testing.T) {
	again := []int{408, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524}
	for status := range 1000 {
		if 0 < status && status < 200 && status != http.StatusSwitchingProtocols {
			continue // not a final response
		}
		n := &network{replies: []reply{response(status, "")}}
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

func TestWaitsDouble(t *testing.T) {
	longest := []time.Duration{1, 2, 4, 8, 16, 20, 20, 20, 20, 20} // seconds
	gaps := func(jitter func(time.Duration) time.Duration) (list []time.Duration) {
		n := &network{replies: []reply{apiError(503, "BUSY")}}
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

// Without the header the first wait is in [0.5 s, 1 s).
func TestRetryAfterIsAMinimum(t *testing.T) {
	const date = "Date: Sat, 01 Jan 2000 10:00:00 GMT" // ten hours ahead of this machine's clock
	type retryAfterCase struct {
		headers string // lines, split at "|"
		want    time.Duration
	}
	tests := []retryAfterCase{
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
	}
	for _, invalid := range []string{
		"Retry-After:", "Retry-After: 9223372037", "Retry-After: -1", "Retry-After: +5", "Retry-After: NaN",
		"Retry-After: 1.5", "Retry-After: 1e3", "Retry-After: 0x10", "Retry-After: 1_000", "Retry-After: 5 s",
		"Retry-After: 120, 5", "Retry-After: soon", "Retry-After: 2000-01-01T00:00:09Z",
		"Retry-After: Sat, 01 Jan 2000 00:00:09 +0100", "Retry-After: \xff\xfe", "Retry-After: 120|Retry-After: 5",
		"Retry-After: 120|Retry-After: 120",
	} {
		tests = append(tests, retryAfterCase{invalid, 0})
	}
	for _, test := range tests {
		for _, status := range []int{408, 429, 500, 503, 524} {
			for _, jitter := range []time.Duration{0, 500*time.Millisecond - 1} {
				n := &network{replies: []reply{response(status, "", strings.Split(test.headers, "|")...)}}
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

func TestRetriesAfter429DoNotCount(t *testing.T) {
	busy, queue := response(503, ""), response(429, "", "Retry-After: 3")
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

// A change with less than 250 ms to go is not sent, and has no effect.
func TestChangeIsNotBegunTooLate(t *testing.T) {
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

// A wait leaves 250 ms, jitter included; checked to the nanosecond.
func TestNoWaitBeyondTheDeadline(t *testing.T) {
	most := func(limit time.Duration) time.Duration { return limit - 1 }
	tests := []struct {
		header string
		budget time.Duration
		at     time.Duration // of the second attempt, with all the jitter there is; 0: there is none
		gaveUp string
	}{
		{"X: y", 750 * time.Millisecond, 500 * time.Millisecond, ""},
		{"X: y", 750*time.Millisecond - 1, 0, "gave up after 1 attempt: the next wait is 0.5 s, but only 0.5 s remain"},
		{"X: y", 250 * time.Millisecond, 0, "gave up after 1 attempt: the next wait is 0.5 s, but only 0 s remain"},
		{"X: y", time.Second, 750*time.Millisecond - 1, ""},
		{"X: y", time.Minute, time.Second - 1, ""},
		{"Retry-After: 2", 2250 * time.Millisecond, 2 * time.Second, ""},
		{"Retry-After: 2", 2250*time.Millisecond - 1, 0, "gave up after 1 attempt: Retry-After is 2 s, but only 2 s remain"},
		{"Retry-After: 3600", 2 * time.Minute, 0, "gave up after 1 attempt: Retry-After is 3600 s, but only 119.75 s remain"},
		{"Retry-After: Thu, 01 Jan 2099 00:00:00 GMT", 2 * time.Minute, 0, "gave up after 1 attempt: Retry-After is 3124224000 s, but only 119.75 s remain"},
	}
	for _, test := range tests {
		t.Run(fmt.Sprint(test.header, test.budget), func(t *testing.T) {
			n := &network{replies: []reply{apiError(503, "BUSY", test.header), published}}
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

func TestReadsAreRetriedOnlyWhereAsked(t *testing.T) {
	for name, read := range reads {
		for _, bad := range []reply{response(503, ""), response(429, ""), lost} {
			for retries, requests := range map[Retries]int{Once: 1, WithRetries: 2} {
				n := &network{}
				n.reply = func(r received) reply {
					if method, path, _ := r.target(); len(n.requests) > 1 {
						return response(200, apiBody(method, path))
					}
					return bad
				}
				n.play(t, func(t *testing.T, c *Client) {
					err := read(t.Context(), c, retries)
					if len(n.heard()) != requests || (err == nil) != (retries == WithRetries) {
						t.Errorf("%s: %d requests, want %d: %v", name, len(n.heard()), requests, err)
					}
					if retries == Once {
						if e := failed(t, err); e.Attempts != 1 || e.GaveUp != "" || e.Effect != NoEffect {
							t.Errorf("%s, once: %+v", name, e)
						}
					}
				})
			}
		}
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
