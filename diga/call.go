package diga

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"net/http"
	"net/url"
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

// request is what every attempt of a call sends.
type request struct {
	method string
	path   string // below BaseURL; escaped
	query  url.Values
	body   map[string]any // of a change or a launch, sent as JSON; nil: the request is a read
	wanted string         // what a 200 should have
}

// fetch sends r and parses the response, which is not what was wanted if that fails. The error is an *Error.
func fetch[T any](ctx context.Context, c *Client, r request, parse func([]byte) (T, error)) (value T, err error) {
	body, err := c.do(ctx, r)
	if err != nil {
		return value, err
	}
	if value, err = parse(body); err != nil {
		err = r.invalidReply(body, err)
	}
	return value, err
}

// call is one request and its attempts. It serves as the transport of a retryablehttp.Client.
type call struct {
	*Client
	request
	attempts int
	failures int      // attempts that were not answered with a 429
	last     *attempt // nil: none
	reported *Error   // of the last response or, if there was none, of the last failed attempt
	effect   Effect   // of a change: the largest of all attempts
	gaveUp   string   // why there is no next attempt, if the last could have been retried
	stopped  error    // by BeforeRetry
}

// do sends r and retries it. It returns the body of a complete 200 or 201. The error is an *Error.
func (c *Client) do(ctx context.Context, r request) ([]byte, error) {
	call := &call{Client: c, request: r}
	loop := retryablehttp.Client{
		HTTPClient: &http.Client{Transport: call},
		RetryMax:   math.MaxInt, // judge sets the limit
		CheckRetry: func(_ context.Context, _ *http.Response, err error) (bool, error) {
			return err == nil && call.last.Wait > 0, nil
		},
		Backoff: func(_, _ time.Duration, _ int, _ *http.Response) time.Duration { return call.last.Wait },
		PrepareRetry: func(*http.Request) error {
			if r.body != nil && c.BeforeRetry != nil {
				call.stopped = c.BeforeRetry(ctx, call.effect)
			}
			return call.stopped
		},
	}
	if ctx.Err() == nil {
		_, _ = loop.Do(c.newRequest(ctx, r)) //nolint:bodyclose // call has the result, and RoundTrip returns no body
	}
	if call.last != nil && call.last.Problem == nil {
		return call.last.body, nil
	}
	return nil, call.failure(ctx)
}

// newRequest builds r without sending it.
func (c *Client) newRequest(ctx context.Context, r request) *retryablehttp.Request {
	target := c.BaseURL.JoinPath("/").JoinPath(r.path) // begins with a slash even if BaseURL has no path
	target.RawQuery = r.query.Encode()
	header := http.Header{
		"Accept": {"application/json"}, "Authorization": {"Bearer " + c.Token}, "User-Agent": {c.UserAgent},
		"X-Request-Id": {c.RequestID.String()}, "Cache-Control": {"no-cache"}, // an old state is worse than none
	}
	req := &http.Request{Method: r.method, URL: target, Header: header}
	again := &retryablehttp.Request{Request: req.WithContext(ctx)}
	if r.body != nil {
		header.Set("Content-Type", "application/json")
		body, _ := json.Marshal(r.body) // strings and IDs always can be
		_ = again.SetBody(body)         // nor can this fail
	}
	return again
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
		c.giveUp(": " + errNoTime.Error())
		return nil, errNoTime
	}
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	c.attempts++
	c.last = c.attempt(req)
	c.last.Number = c.attempts
	if c.last.Problem != nil {
		c.judge(req.Context(), c.last.Problem)
	}
	if c.OnAttempt != nil {
		c.OnAttempt(c.last.Attempt)
	}
	return new(http.Response), nil
}

// judge takes the last attempt's problem into account, and sets the wait before the next one or why there is none.
func (c *call) judge(ctx context.Context, problem *Error) {
	if c.body != nil {
		c.effect = max(c.effect, problem.Effect)
	}
	if problem.Cause != Limited {
		c.failures++
	}
	// An attempt without a response must not hide an earlier response, which is what the API itself said.
	if !c.last.cut && (problem.Status != 0 || c.reported == nil || c.reported.Status == 0) {
		c.reported = problem
	}
	harmless := c.method != http.MethodPost || c.effect == NoEffect // a launch is not idempotent
	if ctx.Err() != nil || !problem.Cause.Retried || !harmless {
		return
	}
	asked := retryAfter(c.last.header, time.Now())
	least, spread := backoff(c.attempts-1, c.last.Status, asked)
	room := timeLeft(ctx) - lastAttempt
	switch {
	case c.failures > c.MaxRetries:
		c.giveUp("")
	case least > room && asked > 0:
		c.giveUp(": the API asks to wait " + FormatDuration(asked))
	case least > room:
		c.giveUp(": too little time left to wait " + FormatDuration(least))
	default:
		jitter := c.Jitter
		if jitter == nil {
			jitter = rand.N[time.Duration]
		}
		c.last.Asked, c.last.Wait = asked, least+jitter(max(min(spread, room-least), 1))
	}
}

// giveUp records why there is no next attempt.
func (c *call) giveUp(why string) { c.gaveUp = "gave up after " + Count(c.attempts, "attempt") + why }

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
