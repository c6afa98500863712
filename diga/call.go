package diga

import (
	"cmp"
	"context"
	"errors"
	"fmt"
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
	Status  int           // of the response; 0: there was none
	Err     error         // why there is no complete response; nil if there is one, of any status
	Elapsed time.Duration // until the response was read or the attempt failed
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
	Asked    time.Duration // value of Retry-After; 0: none
}

// call is one request and its attempts. It serves as the transport and the policy of a retryablehttp.Client, which
// calls RoundTrip and then decide for each attempt.
type call struct {
	*Client
	request

	// Set by RoundTrip.
	attempts int
	last     attempt
	reported *Error // of the last response or, if there was none, of the last failed attempt
	effect   Effect // the largest of all attempts
	stopped  error  // by BeforeRetry

	// Set by decide.
	counted int           // retries that count against MaxRetries
	wait    time.Duration // before the next attempt
	gaveUp  string        // why there is no next attempt, if the last could have been retried
}

// do sends r and retries it. It returns the body of a complete 200 and the number of attempts. The error is an *Error.
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
			RetryMax:     math.MaxInt, // decide sets the limit
			CheckRetry:   call.decide,
			Backoff:      func(_, _ time.Duration, _ int, _ *http.Response) time.Duration { return call.wait },
			ErrorHandler: retryablehttp.PassthroughErrorHandler,
		}
		// call.last has more detail than the result.
		_, _ = loop.Do(req) //nolint:bodyclose // RoundTrip returns no body
	}
	if call.last.ok() {
		return call.last.body, call.attempts, nil
	}
	return nil, call.attempts, call.failure(ctx)
}

// errNoTime stops a retry that would only be cut off.
var errNoTime = errors.New("not enough time left for another attempt")

// RoundTrip makes one attempt, unless BeforeRetry stops it. The response it returns has no headers or body, so there is
// no redirect for http.Client to follow and nothing for retryablehttp to drain.
func (c *call) RoundTrip(req *http.Request) (*http.Response, error) {
	if c.method == http.MethodPatch && c.attempts > 0 && c.BeforeRetry != nil {
		if c.stopped = c.BeforeRetry(req.Context()); c.stopped != nil {
			return nil, c.stopped
		}
		if deadline, ok := req.Context().Deadline(); ok && time.Until(deadline) < lastAttempt {
			c.stopped = errNoTime
			return nil, c.stopped
		}
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
	if c.stopped != nil && !errors.Is(c.stopped, errNoTime) {
		return &Error{
			Cause: Stopped, Status: c.reported.Status, Message: "stopped before a retry", LastReply: c.reported, Err: c.stopped,
			Attempts: c.attempts, Effect: c.effect,
		}
	}
	e, gaveUp := c.reported, c.gaveUp
	if errors.Is(c.stopped, errNoTime) {
		gaveUp = fmt.Sprintf("gave up after %s: %v", plural(c.attempts, "attempt"), errNoTime)
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
			gaveUp = ended.Error()
		}
		if c.reported != nil {
			e.Status = c.reported.Status
		}
	}
	if e.Cause == Answered && c.last.status == 0 && c.last.cancelled == nil {
		// Untrusted is left out, because GaveUp must be safe to print.
		gaveUp = cmp.Or(gaveUp, "gave up") + "; the last attempt failed differently: " + c.last.transportError().Message
	}
	e.Attempts, e.GaveUp = c.attempts, gaveUp
	if c.method == http.MethodPatch {
		e.Effect = c.effect
	}
	return e
}
