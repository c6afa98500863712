package diga

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// An error has the API's last response, whatever ended the call, and the largest effect of all attempts.
func TestHowCallsEnd(t *testing.T) {
	first, second, queue := apiError(500, "FIRST"), apiError(503, "SECOND"), response(429, "", "Retry-After: 3")
	gateway, notFound := response(502, ""), apiError(404, "GONE")
	slow := answer{raw: strings.TrimSuffix(response(500, "12345").raw, "345"), then: silent}
	cut := answer{raw: published.raw[:len(published.raw)-10], then: hangUp}
	stops := answer{raw: cut.raw, then: silent}
	other := response(200, strings.ReplaceAll(publishedBody, versionID.String(), agentID.String()))
	refused := func(number int) func(*testing.T, *network, *Client) {
		return func(_ *testing.T, n *network, _ *Client) {
			n.dial = func(attempt int) error {
				if attempt == number {
					return &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
				}
				return nil
			}
		}
	}
	never := func(_ *testing.T, _ *network, c *Client) { c.MaxRetries = 0 }
	jitter := func(_ *testing.T, _ *network, c *Client) {
		c.Jitter = func(limit time.Duration) time.Duration { return limit - 1 }
	}
	read := func(ctx context.Context, c *Client) error { _, err := c.Version(ctx, agentID, versionID); return err }
	const s, ms = time.Second, time.Millisecond
	hour := apiError(503, "BUSY", "Retry-After: 3600")
	two := apiError(503, "BUSY", "Retry-After: 2")
	tell(t, []story{
		{name: "the last of two", want: "twice: ServerFault 503 SECOND (applied?)", answers: []answer{first, second}},
		{name: "then a final status", want: "2 in 500ms: NotFound 404 GONE (applied?)",
			answers: []answer{first, notFound}},
		{name: "then a lost connection", want: "twice: ServerFault 500 FIRST (pending?)",
			answers: []answer{first, lost}},
		{name: "then malformed HTTP", want: "2 in 500ms: ServerFault 500 FIRST (pending?)",
			answers: []answer{first, {raw: "SSH-2.0\r\n\r\n"}}},
		{name: "then a gateway", want: "twice: ServerFault 502 (pending?)", answers: []answer{first, gateway}},
		{name: "lost, then a status", want: "twice: ServerFault 503 SECOND (pending?)",
			answers: []answer{lost, second}},
		{name: "lost, then refused", want: "twice: Unreachable (pending?): no response: connection refused",
			answers: []answer{lost, lost}, setup: refused(2)},
		{name: "refused, then lost", want: "twice: Unreachable (pending?): no response: the connection was closed",
			answers: []answer{lost}, setup: refused(1)},
		{name: "refused, then done", want: "2 in 500ms: <nil>", answers: []answer{published}, setup: refused(1)},
		{name: "silence, then 404", want: "2 in 30.5s: NotFound 404 GONE (pending?)",
			answers: []answer{hang, notFound}},
		{name: "cut off, then a gateway's 400", want: "2 in 500ms: NotTheAPI 400 (pending?)",
			answers: []answer{cut, response(400, "")}},
		{name: "lost, then another version", want: "2 in 500ms: Mismatch 200 (pending?): the API confirmed a different change than requested",
			answers: []answer{gateway, other}},
		{name: "lost, then done", want: "2 in 500ms: <nil>", answers: []answer{lost, published}},
		{name: "a read", want: "twice: ServerFault 500 FIRST", answers: []answer{first, lost}, call: read},

		{name: "the budget ends in an attempt", want: "2 in 3s: ServerFault 500 FIRST (pending?); gave up in time",
			answers: []answer{first, hang}, budget: 3 * s},
		{name: "the budget ends in the first attempt", want: "1 in 3s: TimedOut (pending?): no response in time",
			answers: []answer{hang}, budget: 3 * s},
		{name: "the budget ends after a lost connection", want: "2 in 3s: TimedOut (pending?): no response in time; before: Unreachable",
			answers: []answer{lost, hang}, budget: 3 * s},
		{name: "the budget ends in an error's body", want: "1 in 3s: ServerFault 500 (pending?); gave up in time",
			answers: []answer{slow}, budget: 3 * s},
		{name: "the budget ends in a 200's body", want: "1 in 3s: TimedOut (pending?): incomplete response in time",
			answers: []answer{stops}, budget: 3 * s},
		{name: "no time for the first attempt", want: "0 in 0s: TimedOut: too little time left for an attempt",
			budget: lastAttempt - 1},
		{name: "no time for the first read", want: "0 in 0s: TimedOut: in time", budget: -1, call: read},
		{name: "a cancel while waiting", want: "1 in 200ms: Cancelled 500 (applied?): canceled by SIGINT; before: ServerFault",
			answers: []answer{first}, cancel: 200 * ms},
		{name: "a cancel in flight", want: "2 in 1s: Cancelled 500 (pending?): canceled by SIGINT; before: ServerFault",
			answers: []answer{first, hang}, cancel: s},
		{name: "a cancel in the first flight", want: "1 in 1s: Cancelled (pending?): canceled by SIGINT",
			answers: []answer{hang}, cancel: s},
		{name: "a cancel in an error's body", want: "1 in 1s: Cancelled 500 (pending?): canceled by SIGINT; before: ServerFault",
			answers: []answer{slow}, cancel: s},

		// An attempt has 30 s, and an error's body 5 s.
		{name: "silence", want: "2 in 1m0.5s: TimedOut (pending?): no response within 30 s; gave up",
			answers: []answer{hang}},
		{name: "a slow header", want: "2 in 1m0.5s: TimedOut (pending?): no response within 30 s; gave up",
			answers: []answer{{raw: slow.raw, pace: s}}},
		{name: "a slow 200", want: "2 in 1m0.5s: TimedOut 200 (pending?): incomplete response within 30 s; gave up",
			answers: []answer{{raw: published.raw, pace: s / 4}}},
		{name: "a 200 that stops", want: "2 in 1m0.5s: TimedOut 200 (pending?): incomplete response within 30 s; gave up",
			answers: []answer{stops}},
		{name: "a 500 that stops", want: "2 in 10.5s: ServerFault 500 (pending?); gave up", answers: []answer{slow}},

		// A retry after a 429 does not count.
		{name: "a queue", want: "4 in 9s: <nil>", answers: []answer{queue, queue, queue, published}, setup: never},
		{name: "a queue without an end", want: "4 in 9s: Limited 429; gave up: the API asks to wait 3 s",
			answers: []answer{queue}, setup: never, budget: 10 * s},
		{name: "no retries", want: "ServerFault 502 (pending?); gave up",
			answers: []answer{gateway, published}, setup: never},
		{name: "no retries after a queue", want: "2 in 3s: ServerFault 502 (pending?); gave up",
			answers: []answer{queue, gateway, published}, setup: never},
		{name: "one retry and a queue", want: "4 in 7s: <nil>", answers: []answer{queue, gateway, queue, published}},
		{name: "one retry and two failures", want: "4 in 7s: ServerFault 502 (pending?); gave up",
			answers: []answer{queue, gateway, queue, gateway, published}},

		// A wait leaves 250 ms, jitter included; checked to the nanosecond.
		{name: "just enough time", want: "2 in 500ms: <nil>",
			answers: []answer{first, published}, setup: jitter, budget: 750 * ms},
		{name: "just too little", want: "ServerFault 500 FIRST (applied?); gave up: too little time left to wait 500 ms",
			answers: []answer{first, published}, setup: jitter, budget: 750*ms - 1},
		{name: "less jitter", want: "2 in 749.999999ms: <nil>",
			answers: []answer{first, published}, setup: jitter, budget: s},
		{name: "all jitter", want: "2 in 999.999999ms: <nil>",
			answers: []answer{first, published}, setup: jitter, budget: 2 * s},
		{name: "time for Retry-After", want: "2 in 2s: <nil>",
			answers: []answer{two, published}, setup: jitter, budget: 2250 * ms},
		{name: "no time for Retry-After", want: "ServerFault 503 BUSY (applied?); gave up: the API asks to wait 2 s",
			answers: []answer{two, published}, setup: jitter, budget: 2250*ms - 1},
		{name: "no time for an hour", want: "ServerFault 503 BUSY (applied?); gave up: the API asks to wait 1 h",
			answers: []answer{hour, published}, budget: 120 * s},
	})
}

func TestCallbacks(t *testing.T) {
	n := &network{answers: []answer{
		apiError(503, "BUSY", "Retry-After: 4"), lost, {raw: published.raw[:60], pace: time.Second / 10, then: hangUp},
		published,
	}}
	var log []string
	n.play(t, func(t *testing.T, c *Client) {
		c.OnAttempt = func(a Attempt) {
			log = append(log, fmt.Sprintf("%s: %d. %s %s: %d (%v) after %s, then %s, asked %s", time.Since(n.start),
				a.Number, a.Method, a.Path[len(a.Path)-18:], a.Status, a.Problem, a.Elapsed, a.Wait, a.Asked))
		}
		if _, err := c.Publish(t.Context(), promotion); err != nil {
			t.Fatal(err)
		}
	})
	for _, r := range n.heard() { // every attempt is the same
		if first := n.heard()[0]; !reflect.DeepEqual(r.Header, first.Header) || r.body != first.body {
			t.Errorf("got %+v", r)
		}
	}
	const patch = "PATCH /published_version: "
	want := []string{
		"0s: 1. " + patch + "503 (the API returned 503 Service Unavailable: because) after 0s, then 4s, asked 4s",
		"4s: 2. " + patch + "0 (no response from api.test: the connection was closed) after 0s, then 1s, asked 0s",
		"11s: 3. " + patch + "200 (the response was cut off after 18 bytes) after 6s, then 2s, asked 0s",
		"13s: 4. " + patch + "200 (<nil>) after 0s, then 0s, asked 0s",
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

// The wait before retry n is random from d/2 to d; d doubles from 1 s to 20 s, or from 2 s after a 429. Retry-After is
// a minimum: the first jitter is as wide as that, and shrinks to a quarter with each retry.
func TestBackoff(t *testing.T) {
	const s, most = time.Second, math.MaxInt64
	for _, test := range []struct {
		n, status            int
		asked, least, spread time.Duration
	}{
		{0, 503, 0, s / 2, s / 2}, {1, 503, 0, s, s}, {4, 503, 0, 8 * s, 8 * s}, {5, 503, 0, 10 * s, 10 * s},
		{999, 503, 0, 10 * s, 10 * s},
		{0, 429, 0, s, s}, {3, 429, 0, 8 * s, 8 * s}, {4, 429, 0, 10 * s, 10 * s},
		{0, 429, 16 * s, 16 * s, 16 * s}, {1, 503, 16 * s, 16 * s, 4 * s}, {2, 429, 16 * s, 16 * s, 4 * s},
		{3, 429, 16 * s, 16 * s, 8 * s},
		{0, 429, s / 10, s / 2, s}, {4, 429, s, 8 * s, 10 * s}, {0, 429, 3600 * s, 3600 * s, 20 * s},
		{0, 429, most - 5, most - 5, 5},
	} {
		if least, spread := backoff(test.n, test.status, test.asked); least != test.least || spread != test.spread {
			t.Errorf("retry %d after %d, asked %s: %s and up to %s more", test.n, test.status, test.asked, least, spread)
		}
	}
	short, long := false, false
	for range 40 {
		n := &network{answers: []answer{response(503, ""), published}}
		n.play(t, func(t *testing.T, c *Client) {
			c.Jitter = nil
			_, err := c.Publish(t.Context(), promotion)
			wait := time.Since(n.start)
			if err != nil || wait < s/2 || wait >= s {
				t.Errorf("waits %s: %v", wait, err)
			}
			short, long = short || wait < s*3/4, long || wait >= s*3/4
		})
	}
	if !short || !long { // one time in 2⁴⁰
		t.Error("40 random waits are in one half of what is allowed")
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
		n := &network{answers: []answer{response(503, "", strings.Split(headers, "|")...)}}
		n.play(t, func(t *testing.T, c *Client) {
			ctx, cancel := context.WithCancel(t.Context())
			c.OnAttempt = func(a Attempt) {
				if a.Asked != want || a.Wait != max(want, s/2) {
					t.Errorf("%q: asked for %s, waits %s; want %s", headers, a.Asked, a.Wait, want)
				}
				cancel()
			}
			_, _ = c.Publish(ctx, promotion)
		})
	}
}
