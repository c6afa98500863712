package diga

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

// lastAttempt is the minimum time for an attempt before the deadline. A change that is cut off has an unknown outcome;
// one that is not sent has simply failed.
const lastAttempt = 250 * time.Millisecond

// Attempt describes one attempt at a request, and the wait after it, for a log.
type Attempt struct {
	Number  int // of the request's attempts, from 1
	Method  string
	Path    string        // from the root
	Status  int           // of the response, 200 to 599; 0: there was none with such a status
	Problem *Error        // nil: there is a complete 200 or, after a POST, a 201
	Elapsed time.Duration // until the response was read or the attempt failed
	Wait    time.Duration // before the next attempt; 0: there is none
	Asked   time.Duration // value of Retry-After; 0: none
}

// call is one request and its attempts. It serves as the transport and the policy of a retryablehttp.Client, which
// calls RoundTrip, decide and, before a retry, prepare.
type call struct {
	*Client
	request

	// Set by RoundTrip.
	attempts int
	last     *attempt // nil: none
	reported *Error   // of the last response or, if there was none, of the last failed attempt
	effect   Effect   // of a change: the largest of all attempts

	counted int    // retries that count against MaxRetries
	gaveUp  string // why there is no next attempt, if the last could have been retried
	stopped error  // by BeforeRetry
}

// fetch sends r and parses the response, which is not what was wanted if that fails. The error is an *Error.
func fetch[T any](
	ctx context.Context, c *Client, r request, wanted string, parse func([]byte) (T, error),
) (value T, err error) {
	body, err := c.do(ctx, r)
	if err != nil {
		return value, err
	}
	value, err = parse(body)
	if err != nil {
		return value, r.invalidReply(wanted, body, err)
	}
	return value, nil
}

// do sends r and retries it. It returns the body of a complete 200 or 201. The error is an *Error.
func (c *Client) do(ctx context.Context, r request) ([]byte, error) {
	call := &call{Client: c, request: r}
	req, err := c.newRequest(ctx, r)
	if err != nil {
		return nil, &Error{Cause: Internal, Message: "the request cannot be built", Said: reason(err), Err: err}
	}
	if ctx.Err() == nil {
		loop := retryablehttp.Client{
			HTTPClient:   &http.Client{Transport: call},
			RetryMax:     math.MaxInt, // decide sets the limit
			CheckRetry:   call.decide,
			Backoff:      func(_, _ time.Duration, _ int, _ *http.Response) time.Duration { return call.last.Wait },
			PrepareRetry: call.prepare,
			ErrorHandler: retryablehttp.PassthroughErrorHandler,
		}
		// call.last has more detail than the result.
		_, _ = loop.Do(req) //nolint:bodyclose // RoundTrip returns no body
	}
	if call.last != nil && call.last.Problem == nil {
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

// errNoTime stops an attempt that would only be cut off.
var errNoTime = errors.New("too little time left for an attempt")

// RoundTrip makes one attempt. The response it returns has no headers or body, so there is no redirect for http.Client
// to follow and nothing for retryablehttp to drain.
func (c *call) RoundTrip(req *http.Request) (*http.Response, error) {
	if c.body != nil && timeLeft(req.Context()) < lastAttempt {
		c.giveUp(errNoTime.Error())
		return nil, errNoTime
	}
	c.attempts++
	c.last = c.attempt(req)
	c.last.Number = c.attempts
	if problem := c.last.Problem; problem != nil {
		if c.body != nil {
			c.effect = max(c.effect, problem.Effect)
		}
		// An attempt without a response must not hide an earlier response, which is what the API itself said.
		if !c.last.cut && (problem.Status != 0 || c.reported == nil || c.reported.Status == 0) {
			c.reported = problem
		}
	}
	return &http.Response{StatusCode: c.last.Status, Body: http.NoBody, Request: req}, nil
}

// giveUp records why there is no next attempt.
func (c *call) giveUp(reason string) {
	if c.gaveUp = "gave up after " + Count(c.attempts, "attempt"); reason != "" {
		c.gaveUp += ": " + reason
	}
}

// decide reports whether another attempt follows, and logs the last one. It is a retryablehttp.CheckRetry.
func (c *call) decide(ctx context.Context, _ *http.Response, err error) (bool, error) {
	if err != nil {
		return false, nil // errNoTime
	}
	a := c.last
	if a.Problem != nil && ctx.Err() == nil && a.Problem.Cause.Retried && !(c.once && c.effect > NoEffect) {
		c.plan(timeLeft(ctx) - lastAttempt)
	}
	if c.OnAttempt != nil {
		c.OnAttempt(a.Attempt)
	}
	return a.Wait > 0, nil
}

// plan sets the wait before the next attempt, or why there is none. room is how long it may wait.
func (c *call) plan(room time.Duration) {
	limited := c.last.Problem.Cause == Limited
	asked := retryAfter(c.last.header, time.Now())
	least, spread := backoff(c.attempts-1, c.last.Status, asked)
	switch {
	case !limited && c.counted == c.MaxRetries:
		c.giveUp("")
		return
	case least > room && asked > 0:
		c.giveUp("the API asks to wait " + FormatDuration(asked))
		return
	case least > room:
		c.giveUp("too little time left to wait " + FormatDuration(least))
		return
	case !limited:
		c.counted++
	}
	jitter := c.Jitter
	if jitter == nil {
		jitter = rand.N[time.Duration]
	}
	c.last.Asked, c.last.Wait = asked, least+jitter(max(min(spread, room-least), 1))
}

// prepare runs BeforeRetry before a retry of a change. It is a retryablehttp.PrepareRetry.
func (c *call) prepare(req *http.Request) error {
	if c.body != nil && c.BeforeRetry != nil {
		c.stopped = c.BeforeRetry(req.Context(), c.effect)
	}
	return c.stopped
}

// failure returns the error of a call whose last attempt, if there was one, has a problem.
func (c *call) failure(ctx context.Context) *Error {
	e, ended := c.reported, context.Cause(ctx)
	switch {
	case c.stopped != nil:
		e = &Error{Cause: Stopped, Message: "stopped before a retry", Err: c.stopped}
	case errors.Is(ctx.Err(), context.Canceled):
		e = &Error{Cause: Cancelled, Message: ended.Error(), Err: ended}
	case ended != nil && (e == nil || e.Status == 0 || e.Status == http.StatusOK):
		e = &Error{Cause: TimedOut, Message: ended.Error(), Err: ended}
		if c.last != nil && c.last.cut {
			e.Message = c.last.Problem.Message + " " + e.Message
		}
	case ended != nil:
		c.gaveUp = "gave up " + ended.Error()
	case e == nil:
		e, c.gaveUp = &Error{Cause: TimedOut, Message: errNoTime.Error()}, ""
	}
	if c.reported != nil && e != c.reported {
		e.Last, e.Status = c.reported, c.reported.Status
	}
	e.GaveUp, e.Effect = c.gaveUp, c.effect
	return e
}
