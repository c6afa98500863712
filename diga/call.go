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

// Attempt describes one attempt at a request, for a log.
type Attempt struct {
	Number  int // of the request's attempts, from 1
	Method  string
	Path    string        // from the root
	Status  int           // of the reply; 0: there was none
	Err     error         // why there is no whole reply; nil if there is one, whatever its status
	Elapsed time.Duration // until the reply was read or the attempt failed
	Reused  bool          // the connection had served an earlier request
	HTTP2   bool
}

// Wait describes the wait before the next attempt at a request, for a log.
type Wait struct {
	Method   string
	Path     string // from the root
	After    error  // the error of the last attempt, an *Error
	Duration time.Duration
	Next     int           // number of the next attempt
	Asked    time.Duration // what Retry-After asked for; 0: nothing
}

// call is one request and its attempts. It is the transport and the policy of a retryablehttp.Client, which calls
// RoundTrip and then decide for each attempt.
type call struct {
	*Client
	request

	// Set by RoundTrip.
	attempts int
	last     attempt
	reported *Error // of the last reply; if there was none, of the last attempt that failed
	effect   Effect // the largest of the attempts
	stopped  error  // by BeforeRetry

	// Set by decide.
	counted int           // retries that count against MaxRetries
	wait    time.Duration // before the next attempt
	gaveUp  string        // why there is no next attempt, if the last could have been retried
}

// do sends r and retries it. It returns the body of a whole 200, and the number of attempts. The error is an *Error.
func (c *Client) do(ctx context.Context, r request) ([]byte, int, error) {
	call := &call{Client: c, request: r}
	req, err := c.newRequest(ctx, r)
	if err != nil {
		return nil, 0, &Error{Cause: Internal, Message: "the request cannot be built", Untrusted: reason(err), Err: err}
	}
	call.path = req.URL.Path // from the root, for Attempt and Wait
	if deadline, ok := ctx.Deadline(); ok && r.method == http.MethodPatch && ctx.Err() == nil && time.Until(deadline) < lastAttempt {
		return nil, 0, &Error{Cause: Timeout, Message: "not enough time left to send the change"}
	}
	if ctx.Err() == nil {
		loop := retryablehttp.Client{
			HTTPClient:   &http.Client{Transport: call},
			RetryMax:     math.MaxInt, // decide knows better
			CheckRetry:   call.decide,
			Backoff:      func(_, _ time.Duration, _ int, _ *http.Response) time.Duration { return call.wait },
			ErrorHandler: retryablehttp.PassthroughErrorHandler,
		}
		// call.last knows more than the result.
		_, _ = loop.Do(req) //nolint:bodyclose // RoundTrip returns no body
	}
	if call.last.ok() {
		return call.last.body, call.attempts, nil
	}
	return nil, call.attempts, call.failure(ctx)
}

// RoundTrip makes one attempt, unless BeforeRetry stops it. The response has neither header nor body: there is no redirect for http.Client to follow,
// and nothing for retryablehttp to drain.
func (c *call) RoundTrip(req *http.Request) (*http.Response, error) {
	if c.method == http.MethodPatch && c.attempts > 0 && c.BeforeRetry != nil {
		if c.stopped = c.BeforeRetry(req.Context()); c.stopped != nil {
			return nil, c.stopped
		}
	}
	start := time.Now()
	c.attempts++
	c.last = c.attempt(req)
	c.effect = max(c.effect, c.last.effect())
	if c.last.hasErrorStatus() || c.last.cancelled == nil && !c.last.ok() {
		// An attempt without a reply does not hide what an earlier reply said: that is the API's own word.
		if e := c.last.toError(); e.Status != 0 || c.reported == nil || c.reported.Status == 0 {
			c.reported = e
		}
	}
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

// failure returns the error of a call whose last attempt, if there was one, is not ok.
func (c *call) failure(ctx context.Context) *Error {
	if c.stopped != nil {
		return &Error{
			Cause: Stopped, Message: "stopped before a retry", LastReply: c.reported, Err: c.stopped,
			Attempts: c.attempts, Effect: c.effect,
		}
	}
	e, gaveUp := c.reported, c.gaveUp
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
			gaveUp = ended.Error()
		}
		if c.reported != nil {
			e.Status = c.reported.Status
		}
	}
	if e.Cause == Answered && c.last.status == 0 && c.last.cancelled == nil {
		// Without Untrusted: GaveUp is our own words.
		gaveUp = cmp.Or(gaveUp, "gave up") + "; the last attempt failed differently: " + c.last.transportError().Message
	}
	e.Attempts, e.GaveUp = c.attempts, gaveUp
	if c.method == http.MethodPatch {
		e.Effect = c.effect
	}
	return e
}
