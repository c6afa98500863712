package diga

import (
	"cmp"
	"context"
	"errors"
	"math"
	"net/http"
	"time"

	"github.com/hashicorp/go-retryablehttp"
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
	counted  int           // the attempts that count against MaxRetries
	last     attempt       // the latest
	reported *Error        // what the latest reply said or, where none came, the latest error; nil: nothing yet
	effect   Effect        // of all of them
	wait     time.Duration // before the next
	stopped  error         // by BeforeRetry
	gaveUp   string        // why there is no next, when there might have been
}

// do sends r until a reply settles it, the policy gives up or ctx ends. It returns the body of a whole 200 and the
// number of attempts; any other end is an *Error.
func (c *Client) do(ctx context.Context, r request) ([]byte, int, error) {
	call := &call{Client: c, request: r}
	req, err := c.newRequest(ctx, r)
	if err != nil {
		return nil, 0, &Error{Cause: Internal, Message: "the request cannot be built", Untrusted: reason(err), Err: err}
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
	if call.last.ok() {
		return call.last.body, call.attempts, nil
	}
	return nil, call.attempts, call.failure(ctx)
}

// RoundTrip makes one attempt and keeps its account. The response that it returns is a shell: without a header there
// is no redirect to follow, and without a body nothing to drain.
func (c *call) RoundTrip(req *http.Request) (*http.Response, error) {
	if c.method == http.MethodPatch && c.attempts > 0 && c.BeforeRetry != nil {
		if c.stopped = c.BeforeRetry(req.Context()); c.stopped != nil {
			return nil, c.stopped
		}
	}
	start := time.Now()
	c.attempts++
	c.last = c.attempt(req)
	if c.OnAttempt != nil {
		c.OnAttempt(Attempt{
			Number: c.attempts, Method: c.method, Path: c.path,
			Status: c.last.status, Err: c.last.failure(), Elapsed: time.Since(start),
			Reused: c.last.reused, HTTP2: c.last.http2,
		})
	}
	if c.last.err != nil {
		return nil, c.last.err
	}
	return &http.Response{StatusCode: c.last.status, Body: http.NoBody, Request: req}, nil
}

// failure is the *Error of a call that ended without a whole 200.
func (c *call) failure(ctx context.Context) *Error {
	e := c.reported
	if c.stopped != nil {
		return &Error{
			Cause: Stopped, Message: "stopped before a retry", LastReply: c.reported, Err: c.stopped,
			Attempts: c.attempts, Effect: c.effect,
		}
	}
	if ended := context.Cause(ctx); ended != nil {
		switch {
		case errors.Is(ctx.Err(), context.Canceled):
			e = &Error{Cause: Cancelled, Message: ended.Error(), LastReply: c.reported, Err: ended}
		case e == nil || e.Status == 0 || e.Status == http.StatusOK:
			e = &Error{Cause: Timeout, Message: ended.Error(), LastReply: c.reported, Err: ended}
			if c.last.cancelled != nil {
				e.Message = c.last.progress() + "; " + ended.Error()
			}
		default:
			c.gaveUp = ended.Error()
		}
		if c.reported != nil {
			e.Status = c.reported.Status
		}
	}
	if e.Cause == Answered && c.last.status == 0 && c.last.cancelled == nil {
		c.gaveUp = cmp.Or(c.gaveUp, "gave up") + "; the last attempt failed differently: " + c.last.transportError().Message // not what others said: GaveUp is shown as it is
	}
	e.Attempts, e.GaveUp = c.attempts, c.gaveUp
	if c.method == http.MethodPatch {
		e.Effect = c.effect
	}
	return e
}
