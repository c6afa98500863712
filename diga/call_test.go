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

// An error has the API's last response, whatever ended the call, and the largest effect of all attempts.
func TestHowCallsEnd(t *testing.T) {
	for _, s := range []story{
		{"500 503", "", "twice: ServerFault 503 SECOND (applied?)", nil},
		{"500 404", "", "2 in 500ms: NotFound 404 GONE (applied?)", nil},
		{"500 lost", "", "twice: ServerFault 500 FIRST (pending?)", nil},
		{"500 SSH", "", "2 in 500ms: ServerFault 500 FIRST (pending?)", nil},
		{"500 502", "", "twice: ServerFault 502 (pending?)", nil},
		{"lost 503", "", "twice: ServerFault 503 SECOND (pending?)", nil},
		{"lost refused", "", "twice: Unreachable (pending?): no response: connection refused", nil},
		{"refused lost", "", "twice: Unreachable (pending?): no response: the connection was closed", nil},
		{"refused ok", "", "2 in 500ms: <nil>", nil},
		{"hang 404", "", "2 in 30.5s: NotFound 404 GONE (pending?)", nil},
		{"502 other", "", "2 in 500ms: Mismatch 200 (pending?): the API confirmed a different change than requested; " +
			"body.version_id: requested " + versionID.String() + ", got " + agentID.String(), nil},
		{"500 lost", "read", "twice: ServerFault 500 FIRST", nil},

		{"500 hang", "budget=3s", "2 in 3s: ServerFault 500 FIRST (pending?); gave up in time", nil},
		{"hang", "budget=3s", "1 in 3s: TimedOut (pending?): no response in time", nil},
		{"lost hang", "budget=3s", "2 in 3s: TimedOut (pending?): no response in time; before: Unreachable", nil},
		{"500stops", "budget=3s", "1 in 3s: ServerFault 500 (pending?); gave up in time", nil},
		{"stops", "budget=3s", "1 in 3s: TimedOut (pending?): incomplete response in time", nil},
		{"ok", "budget=249ms", "0 in 0s: TimedOut: too little time left for an attempt", nil},
		{"hang", "budget=249ms read", "1 in 249ms: TimedOut: no response in time", nil},
		{"ok", "budget=-1s read", "0 in 0s: TimedOut: in time", nil},
		{"500", "cancel=200ms", "1 in 200ms: Cancelled 500 (applied?): canceled by SIGINT; before: ServerFault", nil},
		{"500 hang", "cancel=1s", "2 in 1s: Cancelled 500 (pending?): canceled by SIGINT; before: ServerFault", nil},
		{"hang", "cancel=1s", "1 in 1s: Cancelled (pending?): canceled by SIGINT", nil},
		{"500stops", "cancel=1s", "1 in 1s: Cancelled 500 (pending?): canceled by SIGINT; before: ServerFault", nil},

		// An attempt has 30 s, and an error's body 5 s.
		{"hang", "", "2 in 1m0.5s: TimedOut (pending?): no response within 30 s; gave up", nil},
		{"slow", "", "2 in 1m0.5s: TimedOut 200 (pending?): incomplete response within 30 s; gave up", nil},
		{"stops", "", "2 in 1m0.5s: TimedOut 200 (pending?): incomplete response within 30 s; gave up", nil},
		{"500stops", "", "2 in 10.5s: ServerFault 500 (pending?); gave up", nil},

		// A retry after a 429 does not count.
		{"429 429 429 ok", "once", "4 in 9s: <nil>", nil},
		{"429", "once budget=10s", "4 in 9s: Limited 429; gave up: the API asks to wait 3 s", nil},
		{"502 ok", "once", "ServerFault 502 (pending?); gave up", nil},
		{"429 502 429 ok", "", "4 in 7s: <nil>", nil},
		{"429 502 429 502 ok", "", "4 in 7s: ServerFault 502 (pending?); gave up", nil},

		// A wait leaves 250 ms, jitter included; checked to the nanosecond.
		{"500 ok", "jitter budget=750ms", "2 in 500ms: <nil>", nil},
		{"500", "budget=749.999999ms",
			"ServerFault 500 FIRST (applied?); gave up: too little time left to wait 500 ms", nil},
		{"500 ok", "jitter budget=1s", "2 in 749.999999ms: <nil>", nil},
		{"500 ok", "jitter budget=2s", "2 in 999.999999ms: <nil>", nil},
		{"503+2s ok", "jitter budget=2250ms", "2 in 2s: <nil>", nil},
		{"503+2s", "budget=2249.999999ms",
			"ServerFault 503 BUSY (applied?); gave up: the API asks to wait 2 s", nil},

		// A launch is sent again only while nothing can have come of it.
		{"refused 429 launched", "launch", "3 in 3.5s: <nil>", nil},
		{"lost launched", "launch", "Unreachable (pending?): no response: the connection was closed", nil},
		{"hang launched", "launch", "1 in 30s: TimedOut (pending?): no response within 30 s", nil},
		{"cut launched", "launch", "Truncated 200 (pending?): the response was cut off after 103 bytes", nil},
		{"502 launched", "launch", "ServerFault 502 (pending?)", nil},
		{"500 launched", "launch", "ServerFault 500 FIRST (applied?)", nil},
		{"409 launched", "launch", "Refused 409 TAKEN", nil},
	} {
		s.tell(t)
	}
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
	for _, r := range n.heard { // every attempt is the same
		if first := n.heard[0]; !reflect.DeepEqual(r.Header, first.Header) || r.body != first.body {
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
		want := "Stopped 503 (applied?); before: ServerFault"
		if outcome(err) != want || !errors.Is(err, errSignal) || len(n.heard) != 2 {
			t.Errorf("%d requests: %s", len(n.heard), outcome(err))
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
		want = "ServerFault 503 BUSY (applied?); gave up: too little time left for an attempt"
		if outcome(err) != want {
			t.Error(outcome(err))
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
		{0, 429, 16 * s, 16 * s, 16 * s}, {1, 503, 16 * s, 16 * s, 4 * s}, {2, 429, 16 * s, 16 * s, 2 * s},
		{3, 429, 16 * s, 16 * s, 4 * s},
		{0, 429, s / 10, s / 2, s / 2}, {4, 429, s, 8 * s, 8 * s}, {0, 429, 3600 * s, 3600 * s, 20 * s},
		{0, 429, most - 5, most - 5, 5},
	} {
		if least, spread := backoff(test.n, test.status, test.asked); least != test.least || spread != test.spread {
			t.Errorf("%+v: %s and up to %s more", test, least, spread)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	const s = time.Second
	now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	const date = "Sat, 01 Jan 2000 10:00:00 GMT" // of the response, ten hours ahead of this machine's clock
	for _, test := range []struct {
		values, date string // values are split at "|"
		want         time.Duration
	}{
		{"2", "", 2 * s}, {"007", "", 7 * s}, {"25.5", "", 26 * s}, {"0.001", "", s}, {"0", "", 0},
		{"9223372036", "", 9223372036 * s}, {"9223372037", "", 0}, {"9223372036.5", "", 0}, {"-1", "", 0},
		{"NaN", "", 0}, {"Inf", "", 0}, {"5 s", "", 0}, {"120, 5", "", 0}, {"soon", "", 0}, {"", "", 0},
		{"120|5", "", 0}, {"\xff", "", 0},
		{"2000-01-01T00:00:09Z", "", 0}, {"Sat, 01 Jan 2000 00:00:09 GMT", "", 9 * s},
		{"Sat, 01 Jan 2000 00:00:09 GMT", "soon", 9 * s}, {"Fri, 31 Dec 1999 23:59:59 GMT", "", 0},
		{"Sat, 01 Jan 2000 10:00:09 GMT", date, 9 * s}, {"Saturday, 01-Jan-00 10:00:09 GMT", date, 9 * s},
		{"Sat Jan  1 10:00:09 2000", date, 9 * s}, {"Sat, 01 Jan 2000 09:59:59 GMT", date, 0},
	} {
		header := http.Header{"Retry-After": strings.Split(test.values, "|"), "Date": {test.date}}
		if got := retryAfter(header, now); got != test.want {
			t.Errorf("%q, %q: %s, want %s", test.values, test.date, got, test.want)
		}
	}
}
