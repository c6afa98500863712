package diga

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

const (
	firstBackoff = 1 * time.Second
	firstQueued  = 2 * time.Second // after a 429 without Retry-After
	maxBackoff   = 20 * time.Second

	// An attempt at the change needs this much of the budget: one that is begun only to be cut off can turn a plain
	// failure into an unknown outcome.
	lastAttempt = 250 * time.Millisecond
)

// Attempt tells a log what came of one request.
type Attempt struct {
	Number  int // within one call, from 1
	Method  string
	Path    string
	Status  int           // of the reply; 0: none came
	Err     error         // what kept a whole reply from coming; nil: nothing did
	Elapsed time.Duration // until the reply was read or lost
	Reused  bool          // the connection had served an earlier request
	HTTP2   bool
}

// Wait tells a log of the time before the next attempt.
type Wait struct {
	Method   string
	Path     string
	After    error // what the attempt before it ended with
	Duration time.Duration
	Next     int           // the attempt that follows
	Asked    time.Duration // what Retry-After asked for; 0: nothing
}

// call is one request with all its attempts.
type call struct {
	*Client
	request
	attempts int
	retries  int           // the attempts that count against MaxRetries
	last     attempt       // the latest
	known    *Error        // what the latest reply said or, where none came, the latest error; nil: nothing yet
	effect   Effect        // of all of them
	wait     time.Duration // before the next
	gaveUp   string        // why there is no next, when there might have been
}

// do sends r until a reply settles it, the policy gives up or ctx ends. It returns the body of a whole 200 and the
// number of attempts; any other end is an *Error.
func (c *Client) do(ctx context.Context, r request) ([]byte, int, error) {
	call := &call{Client: c, request: r}
	req, err := c.newRequest(ctx, r)
	if err != nil {
		return nil, 0, &Error{Cause: Internal, Message: "the request cannot be built", Said: reason(err), Err: err}
	}
	call.path = req.URL.Path // from the root, for the log
	if deadline, ok := ctx.Deadline(); ok && r.method == http.MethodPatch && ctx.Err() == nil && time.Until(deadline) < lastAttempt {
		return nil, 0, &Error{Cause: Timeout, Message: "too little of the timeout was left to send the change"}
	}
	if ctx.Err() == nil {
		loop := retryablehttp.Client{
			HTTPClient:   &http.Client{Transport: call},
			RetryMax:     math.MaxInt, // decide counts
			CheckRetry:   call.decide,
			Backoff:      func(_, _ time.Duration, _ int, _ *http.Response) time.Duration { return call.wait },
			ErrorHandler: retryablehttp.PassthroughErrorHandler,
		}
		// The call has the account of every attempt, the last one's reply and error included.
		_, _ = loop.Do(req)
	}
	if call.last.good() {
		return call.last.body, call.attempts, nil
	}
	return nil, call.attempts, call.failure(ctx)
}

// RoundTrip makes one attempt and keeps its account. The response that it returns is a shell: without a header there
// is no redirect to follow, and without a body nothing to drain.
func (c *call) RoundTrip(req *http.Request) (*http.Response, error) {
	start := time.Now()
	c.attempts++
	c.last = c.attempt(req)
	if c.Attempted != nil {
		c.Attempted(Attempt{
			Number: c.attempts, Method: c.method, Path: c.path,
			Status: c.last.status, Err: c.last.trouble(), Elapsed: time.Since(start),
			Reused: c.last.reused, HTTP2: c.last.http2,
		})
	}
	if c.last.err != nil {
		return nil, c.last.err
	}
	return &http.Response{StatusCode: c.last.status, Body: http.NoBody, Request: req}, nil
}

// decide says, after each attempt, whether another follows, and sets the wait before it. It is a
// retryablehttp.CheckRetry.
func (c *call) decide(ctx context.Context, _ *http.Response, _ error) (bool, error) {
	c.effect = max(c.effect, c.last.effect())
	if c.last.answered() || c.last.cut == nil && !c.last.good() {
		// What a reply said outlives the attempts after it that bring none: it is the API's own word on the request.
		if e := c.last.outcome(); e.Status != 0 || c.known == nil || c.known.Status == 0 {
			c.known = e
		}
	}
	if c.tries == Once || ctx.Err() != nil || !c.last.worthRetrying() {
		return false, nil
	}
	if c.last.status != http.StatusTooManyRequests {
		if c.retries == c.MaxRetries {
			c.gaveUp = fmt.Sprintf("gave up after %s", plural(c.attempts, "attempt"))
			return false, nil
		}
		c.retries++
	}
	asked, _ := retryAfter(c.last.header, time.Now())
	least, spread := backoff(c.attempts-1, c.last.status, asked)
	if deadline, ok := ctx.Deadline(); ok {
		room := time.Until(deadline) - lastAttempt
		if least > room {
			reason := "the next would wait " + seconds(least)
			if asked > 0 {
				reason = "the reply asked to wait " + seconds(asked)
			}
			c.gaveUp = fmt.Sprintf("gave up after %s: %s, the timeout leaves %s", plural(c.attempts, "attempt"), reason, seconds(max(room, 0)))
			return false, nil
		}
		spread = min(spread, room-least)
	}
	c.wait = least + c.jitter(spread)
	if c.Waiting != nil {
		c.Waiting(Wait{
			Method: c.method, Path: c.path, After: c.last.outcome(),
			Duration: c.wait, Next: c.attempts + 1, Asked: asked,
		})
	}
	return true, nil
}

// backoff returns the minimum wait before retry n (from 0) and the width of the jitter on top of it, given the status of
// the last reply and its Retry-After (0: none). The wait doubles with each retry; half of it is jitter.
//
// Retry-After is a floor. The first jitter is as wide as the floor, because the steps of a matrix start at the same instant
// and are all told the same. Later jitter is a quarter of that each time: they are spread out by then, and more would only
// take longer.
func backoff(n, status int, asked time.Duration) (least, spread time.Duration) {
	first := firstBackoff
	if status == http.StatusTooManyRequests && asked == 0 {
		first = firstQueued
	}
	d := min(first<<min(n, 5), maxBackoff) // a larger shift could overflow
	if asked == 0 {
		return d / 2, d / 2
	}
	least = max(d/2, asked)
	spread = max(min(d, maxBackoff/2), min(asked>>(2*n), maxBackoff))
	return least, min(spread, math.MaxInt64-least) // the sum must not overflow
}

func (c *call) jitter(limit time.Duration) time.Duration {
	switch {
	case limit <= 0:
		return 0
	case c.Jitter != nil:
		return c.Jitter(limit)
	default:
		return rand.N(limit)
	}
}

// retryAfter reads the Retry-After header of RFC 9110, section 10.2.3: a number of seconds, or a date, which counts
// from the reply's own Date when it has one, so that a wrong clock here does no harm. A header that is missing, stands
// twice, says neither, or a number too large for a time.Duration, is no answer: false.
func retryAfter(header http.Header, now time.Time) (time.Duration, bool) {
	values := header.Values("Retry-After")
	if len(values) != 1 {
		return 0, false
	}
	if n, err := strconv.ParseUint(values[0], 10, 63); err == nil && n <= uint64(math.MaxInt64/time.Second) {
		return time.Duration(n) * time.Second, true
	}
	at, err := http.ParseTime(values[0])
	if err != nil {
		return 0, false
	}
	if date, err := http.ParseTime(header.Get("Date")); err == nil {
		now = date
	}
	return max(at.Sub(now), 0), true
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// seconds formats d for a reader: "3600 s", "1.25 s".
func seconds(d time.Duration) string {
	return strconv.FormatFloat(d.Round(10*time.Millisecond).Seconds(), 'f', -1, 64) + " s"
}
