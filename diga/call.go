package diga

import (
	"cmp"
	"context"
	"errors"
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

	// lastAttempt is the minimum time for an attempt before the deadline. A change that is cut off has an unknown
	// outcome; one that is not sent has simply failed.
	lastAttempt = 250 * time.Millisecond
)

// Attempt describes one attempt at a request, for a log.
type Attempt struct {
	Number  int // of the request's attempts, from 1
	Method  string
	Path    string        // from the root
	Status  int           // of the response; 0: there was none
	Err     error         // why there is no complete response; nil if there is one, of any status
	Elapsed time.Duration // until the response was read or the attempt failed
}

// Wait describes the wait before the next attempt at a request, for a log.
type Wait struct {
	Method   string
	Path     string // from the root
	After    *Error // of the last attempt
	Duration time.Duration
	Next     int           // number of the next attempt
	Asked    time.Duration // value of Retry-After; 0: none
}

// call is one request and its attempts. It serves as the transport and the policy of a retryablehttp.Client, which
// calls RoundTrip, decide and, before a retry, prepare.
type call struct {
	*Client
	request

	// Set by RoundTrip.
	attempts int
	last     attempt
	reported *Error // of the last response or, if there was none, of the last failed attempt
	effect   Effect // the largest of all attempts

	counted int           // retries that count against MaxRetries
	wait    time.Duration // before the next attempt
	gaveUp  string        // why there is no next attempt, if the last could have been retried
	stopped error         // by BeforeRetry
}

// do sends r and retries it. It returns the body of a complete 200 or 201. The error is an *Error.
func (c *Client) do(ctx context.Context, r request) ([]byte, error) {
	call := &call{Client: c, request: r}
	req, err := c.newRequest(ctx, r)
	if err != nil {
		return nil, &Error{Message: "the request cannot be built", Said: reason(err), Err: err}
	}
	call.path = req.URL.Path // from the root, for Attempt and Wait
	if ctx.Err() == nil {
		loop := retryablehttp.Client{
			HTTPClient:   &http.Client{Transport: call},
			RetryMax:     math.MaxInt, // decide sets the limit
			CheckRetry:   call.decide,
			Backoff:      func(_, _ time.Duration, _ int, _ *http.Response) time.Duration { return call.wait },
			PrepareRetry: call.prepare,
			ErrorHandler: retryablehttp.PassthroughErrorHandler,
		}
		// call.last has more detail than the result.
		_, _ = loop.Do(req) //nolint:bodyclose // RoundTrip returns no body
	}
	if call.last.ok() {
		return call.last.body, nil
	}
	return nil, call.failure(ctx)
}

// timeLeft is the time until the context's deadline.
func timeLeft(ctx context.Context) time.Duration {
	if deadline, ok := ctx.Deadline(); ok {
		return time.Until(deadline)
	}
	return math.MaxInt64
}

// RoundTrip makes one attempt. The response it returns has no headers or body, so there is no redirect for http.Client
// to follow and nothing for retryablehttp to drain.
func (c *call) RoundTrip(req *http.Request) (*http.Response, error) {
	if c.body != nil && timeLeft(req.Context()) < lastAttempt {
		return nil, errNoTime
	}
	start := time.Now()
	c.attempts++
	c.last = c.attempt(req)
	c.effect = max(c.effect, c.last.effect())
	if c.last.hasErrorStatus() || c.last.cancelled == nil && !c.last.ok() {
		// An attempt without a response must not hide an earlier response, which is what the API itself said.
		if e := c.last.toError(); e.Status != 0 || c.reported == nil || c.reported.Status == 0 {
			c.reported = e
		}
	}
	if c.OnAttempt != nil {
		c.OnAttempt(Attempt{
			Number: c.attempts, Method: c.method, Path: c.path,
			Status: c.last.status, Err: c.last.failure(), Elapsed: time.Since(start),
		})
	}
	if c.last.err != nil {
		return nil, c.last.err
	}
	return &http.Response{StatusCode: c.last.status, Body: http.NoBody, Request: req}, nil
}

// decide reports whether another attempt follows, and sets the wait before it. It is a retryablehttp.CheckRetry.
func (c *call) decide(ctx context.Context, _ *http.Response, err error) (bool, error) {
	gaveUp := "gave up after " + plural(c.attempts, "attempt")
	if errors.Is(err, errNoTime) {
		c.gaveUp = gaveUp + ": " + errNoTime.Error()
		return false, nil
	}
	if ctx.Err() != nil || c.last.ok() || !Faults[c.last.cause()].Retried || c.once && c.effect > NoEffect {
		return false, nil
	}
	if c.last.status != http.StatusTooManyRequests {
		if c.counted == c.MaxRetries {
			c.gaveUp = gaveUp
			return false, nil
		}
		c.counted++
	}
	asked := retryAfter(c.last.header, time.Now())
	least, spread := backoff(c.attempts-1, c.last.status, asked)
	room := max(timeLeft(ctx)-lastAttempt, 0)
	if least > room {
		if c.gaveUp = gaveUp + ": too little time left to wait " + FormatDuration(least); asked > 0 {
			c.gaveUp = gaveUp + ": the API asks to wait " + FormatDuration(asked)
		}
		return false, nil
	}
	c.wait = least + c.jitter(min(spread, room-least))
	if c.OnWait != nil {
		c.OnWait(Wait{
			Method: c.method, Path: c.path, After: c.last.toError(), Duration: c.wait, Next: c.attempts + 1, Asked: asked,
		})
	}
	return true, nil
}

// errNoTime stops an attempt that would only be cut off.
var errNoTime = errors.New("too little time left for an attempt")

// prepare runs BeforeRetry before a retry of a change. It is a retryablehttp.PrepareRetry.
func (c *call) prepare(req *http.Request) error {
	if c.body != nil && c.BeforeRetry != nil {
		c.stopped = c.BeforeRetry(req.Context(), c.effect)
	}
	return c.stopped
}

// failure returns the error of a call whose last attempt, if there was one, is not ok.
func (c *call) failure(ctx context.Context) *Error {
	e := c.reported
	ended := context.Cause(ctx)
	switch {
	case c.stopped != nil:
		e = &Error{Cause: Stopped, Message: "stopped before a retry", Last: c.reported, Err: c.stopped}
	case errors.Is(ctx.Err(), context.Canceled):
		e = &Error{Cause: Cancelled, Message: ended.Error(), Last: c.reported, Err: ended}
	case ended != nil && (e == nil || e.Status == 0 || e.Status == http.StatusOK):
		e = &Error{Cause: TimedOut, Message: ended.Error(), Last: c.reported, Err: ended}
		if c.last.cancelled != nil {
			e.Message = c.last.progress() + " " + ended.Error()
		}
	case ended != nil:
		c.gaveUp = "gave up " + ended.Error()
	case e == nil:
		return &Error{Cause: TimedOut, Message: errNoTime.Error()}
	}
	if c.reported != nil {
		e.Status = c.reported.Status
	}
	if e == c.reported && e.Status != 0 && c.last.status == 0 && c.last.cancelled == nil && c.last.err != nil {
		// What the other side said is left out, because GaveUp must be safe to print.
		c.gaveUp = cmp.Or(c.gaveUp, "gave up") + "; the last attempt failed differently: " + c.last.toError().Message
	}
	e.GaveUp = c.gaveUp
	if c.body != nil {
		e.Effect = c.effect
	}
	return e
}

// backoff returns the minimum wait before retry n (from 0) and the width of the jitter on top of it, given the status
// of the last response and its Retry-After (0: none). The wait doubles with each retry, up to maxBackoff; half of it is
// jitter.
//
// Retry-After is a minimum. The first jitter is as wide as that, because clients that start at the same instant all get
// the same value. It shrinks to a quarter with each retry: by then they are spread out, and more jitter would only cost
// time.
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

// retryAfter reads the Retry-After header (RFC 9110, section 10.2.3): a number of seconds, rounded up, or a date
// relative to the Date header or, if there is none, to now. It returns 0 if the header is missing, invalid or repeated,
// or if the seconds overflow a time.Duration.
func retryAfter(header http.Header, now time.Time) time.Duration {
	values := header.Values("Retry-After")
	if len(values) != 1 {
		return 0
	}
	if n, err := strconv.ParseFloat(values[0], 64); err == nil {
		if n = math.Ceil(n); !(0 <= n && n < math.MaxInt64/float64(time.Second)) {
			return 0
		}
		return time.Duration(n) * time.Second
	}
	at, err := http.ParseTime(values[0])
	if err != nil {
		return 0
	}
	if date, err := http.ParseTime(header.Get("Date")); err == nil {
		now = date
	}
	return max(at.Sub(now), 0)
}
