package diga

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

var errSignal, errBudget = errors.New("cancelled by SIGINT"), errors.New("gave up after 3s")

// An error has the API's last response, whatever ended the call.
func TestLastReplySurvives(t *testing.T) {
	first, second := apiError(500, "FIRST"), apiError(503, "SECOND")
	slow := reply{raw: strings.TrimSuffix(response(500, "12345").raw, "345"), then: silent}
	tests := []struct {
		name    string
		replies []reply
		budget  time.Duration // 0: a minute
		cancel  time.Duration // 0: never
		retries int
		want    Error // Before only by its code
		elapsed time.Duration
	}{
		{"the last of two", []reply{first, second}, 0, 0, 1,
			Error{Cause: Answered, Status: 503, Code: "SECOND", Attempts: 2, Effect: MaybeApplied, GaveUp: "gave up after 2 attempts"}, 500 * time.Millisecond},
		{"a final status after a retry", []reply{first, apiError(404, "GONE")}, 0, 0, 4,
			Error{Cause: Answered, Status: 404, Code: "GONE", Attempts: 2, Effect: MaybeApplied}, 500 * time.Millisecond},
		{"then a lost connection", []reply{first, lost}, 0, 0, 1,
			Error{Cause: Answered, Status: 500, Code: "FIRST", Attempts: 2, Effect: MaybePending,
				GaveUp: "gave up after 2 attempts; the last attempt failed differently: no response from api.test: the connection was closed"}, 500 * time.Millisecond},
		{"then malformed HTTP", []reply{first, {raw: "SSH-2.0\r\n\r\n"}}, 0, 0, 4,
			Error{Cause: Answered, Status: 500, Code: "FIRST", Attempts: 2, Effect: MaybePending,
				GaveUp: "gave up; the last attempt failed differently: could not read the response"}, 500 * time.Millisecond},
		{"a lost connection, then a status", []reply{lost, second}, 0, 0, 1,
			Error{Cause: Answered, Status: 503, Code: "SECOND", Attempts: 2, Effect: MaybePending, GaveUp: "gave up after 2 attempts"}, 500 * time.Millisecond},
		{"the budget ends during an attempt", []reply{first, {then: silent}}, 3 * time.Second, 0, 4,
			Error{Cause: Answered, Status: 500, Code: "FIRST", Attempts: 2, Effect: MaybePending, GaveUp: "gave up after 3s"}, 3 * time.Second},
		{"the budget ends during the first attempt", []reply{{then: silent}}, 3 * time.Second, 0, 4,
			Error{Cause: Timeout, Attempts: 1, Effect: MaybePending, Message: "no response from api.test; gave up after 3s"}, 3 * time.Second},
		{"the budget ends after a lost connection", []reply{lost, {then: silent}}, 3 * time.Second, 0, 4,
			Error{Cause: Timeout, Attempts: 2, Effect: MaybePending, Message: "no response from api.test; gave up after 3s", LastReply: &Error{}}, 3 * time.Second},
		{"the budget ends in an error's body", []reply{slow}, 3 * time.Second, 0, 4,
			Error{Cause: Answered, Status: 500, Attempts: 1, Effect: MaybePending, GaveUp: "gave up after 3s"}, 3 * time.Second},
		{"the budget ends in a 200's body", []reply{{raw: published.raw[:60], then: silent}}, 3 * time.Second, 0, 4,
			Error{Cause: Timeout, Attempts: 1, Effect: MaybePending, Message: "incomplete response from api.test; gave up after 3s"}, 3 * time.Second},
		{"the budget leaves no time to wait", []reply{first}, 2 * time.Second, 0, 4,
			Error{Cause: Answered, Status: 500, Code: "FIRST", Attempts: 3, Effect: MaybeApplied,
				GaveUp: "gave up after 3 attempts: the next wait is 2 s, but only 0.25 s remain"}, 1500 * time.Millisecond},
		{"a cancel while waiting", []reply{first}, 0, time.Second, 4,
			Error{Cause: Cancelled, Status: 500, Attempts: 2, Effect: MaybeApplied, Message: errSignal.Error(), LastReply: &Error{Code: "FIRST"}}, time.Second},
		{"a cancel while waiting after a lost connection", []reply{lost}, 0, time.Second, 4,
			Error{Cause: Cancelled, Attempts: 2, Effect: MaybePending, Message: errSignal.Error(), LastReply: &Error{}}, time.Second},
		{"a cancel in flight", []reply{first, {then: silent}}, 0, time.Second, 4,
			Error{Cause: Cancelled, Status: 500, Attempts: 2, Effect: MaybePending, Message: errSignal.Error(), LastReply: &Error{Code: "FIRST"}}, time.Second},
		{"a cancel in the first flight", []reply{{then: silent}}, 0, time.Second, 4,
			Error{Cause: Cancelled, Attempts: 1, Effect: MaybePending, Message: errSignal.Error()}, time.Second},
		{"a cancel in an error's body", []reply{slow}, 0, time.Second, 4,
			Error{Cause: Cancelled, Status: 500, Attempts: 1, Effect: MaybePending, Message: errSignal.Error(), LastReply: &Error{}}, time.Second},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			n := &network{replies: test.replies}
			n.play(t, func(t *testing.T, c *Client) {
				c.MaxRetries = test.retries
				budget := test.budget
				if budget == 0 {
					budget = time.Minute
				}
				ctx, stop := context.WithTimeoutCause(t.Context(), budget, errBudget)
				defer stop()
				ctx, cancel := context.WithCancelCause(ctx)
				defer cancel(nil)
				if test.cancel > 0 {
					time.AfterFunc(test.cancel, func() { cancel(errSignal) })
				}
				_, _, err := c.Publish(ctx, promotion)
				e, want := failed(t, err), test.want
				if elapsed := time.Since(n.start); elapsed != test.elapsed {
					t.Errorf("took %s", elapsed)
				}
				if test.cancel > 0 && !errors.Is(e, errSignal) {
					t.Error("the error hides the cause of the cancel")
				}
				if (e.LastReply == nil) != (want.LastReply == nil) || e.LastReply != nil && e.LastReply.Code != want.LastReply.Code {
					t.Errorf("before that: %v", e.LastReply)
				}
				got := *e
				got.LastReply, got.Err, got.Untrusted, want.LastReply = nil, nil, "", nil
				if want.Message == "" {
					got.Message = ""
				}
				if !reflect.DeepEqual(got, want) {
					t.Errorf("got  %+v\nwant %+v", got, want)
				}
			})
		})
	}
}

func TestEndedContextSendsNothing(t *testing.T) {
	n := &network{replies: []reply{published}}
	n.play(t, func(t *testing.T, c *Client) {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errSignal)
		_, attempts, err := c.Publish(ctx, promotion)
		if e := failed(t, err); e.Cause != Cancelled || e.Effect != NoEffect || e.Message != errSignal.Error() || attempts != 0 || n.dials() != 0 {
			t.Errorf("%+v, %d dials", e, n.dials())
		}
		ctx, stop := context.WithTimeoutCause(t.Context(), -1, errBudget)
		defer stop()
		_, attempts, err = c.Publish(ctx, promotion)
		if e := failed(t, err); e.Cause != Timeout || e.Effect != NoEffect || e.Message != errBudget.Error() || attempts != 0 || n.dials() != 0 {
			t.Errorf("%+v, %d dials", e, n.dials())
		}
	})
}

func TestAttemptsTimeOut(t *testing.T) {
	const head = "HTTP/1.1 %d What\r\nContent-Length: 1000\r\n\r\n"
	const half, five = 30 * time.Second, 5 * time.Second
	tests := []struct {
		name     string
		reply    reply
		attempts []time.Duration
		log      string // what it says of the first attempt
		message  string
		effect   Effect
	}{
		{"silence", reply{then: silent}, []time.Duration{half, half},
			"no response from api.test within 30 s", "no response from api.test within 30 s", MaybePending},
		{"one byte of the header a second", reply{raw: fmt.Sprintf(head, 200), pace: time.Second}, []time.Duration{half, half},
			"no response from api.test within 30 s", "no response from api.test within 30 s", MaybePending},
		{"one byte of a 200 in turn", reply{raw: fmt.Sprintf(head, 200) + strings.Repeat(" ", 1000), pace: time.Second / 10}, []time.Duration{half, half},
			"incomplete response from api.test within 30 s", "incomplete response from api.test within 30 s", MaybePending},
		{"a 200 that stops", reply{raw: fmt.Sprintf(head, 200), then: silent}, []time.Duration{half, half},
			"incomplete response from api.test within 30 s", "incomplete response from api.test within 30 s", MaybePending},
		{"a 500 that stops", reply{raw: fmt.Sprintf(head, 500), then: silent}, []time.Duration{five, five},
			"incomplete response from api.test", "the API returned 500 Internal Server Error", MaybePending},
		{"a 404 that stops", reply{raw: fmt.Sprintf(head, 404), then: silent}, []time.Duration{five},
			"incomplete response from api.test", "the API returned 404 Not Found", NoEffect},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			n := &network{replies: []reply{test.reply}}
			n.play(t, func(t *testing.T, c *Client) {
				c.MaxRetries = 1
				var attempts []time.Duration
				c.OnAttempt = func(a Attempt) {
					if attempts = append(attempts, a.Elapsed); a.Err == nil || a.Err.Error() != test.log {
						t.Errorf("the log says %v", a.Err)
					}
				}
				_, _, err := c.Publish(t.Context(), promotion)
				if e := failed(t, err); e.Message != test.message || e.Effect != test.effect || !slices.Equal(attempts, test.attempts) {
					t.Errorf("%v, effect %d, attempts of %s", e, e.Effect, attempts)
				}
			})
		})
	}
}

func TestAttemptsAreIdentical(t *testing.T) {
	n := &network{replies: []reply{response(503, "busy"), lost, response(429, ""), response(502, "", "Connection: close"), published}}
	n.play(t, func(t *testing.T, c *Client) {
		if _, attempts, err := c.Publish(t.Context(), promotion); err != nil || attempts != 5 {
			t.Fatal(attempts, err)
		}
	})
	heard := n.heard()
	for _, r := range heard {
		if r.head != heard[0].head || r.body != heard[0].body || !strings.Contains(r.head, "\r\nX-Request-Id: "+requestID.String()+"\r\n") {
			t.Errorf("got\n%s%s\nafter\n%s%s", r.head, r.body, heard[0].head, heard[0].body)
		}
	}
	if len(heard) != 5 || n.dials() != 3 {
		t.Errorf("%d requests on %d connections, want 5 on 3", len(heard), n.dials())
	}
}

func TestCallbacksReportAttemptsAndWaits(t *testing.T) {
	n := &network{replies: []reply{apiError(503, "BUSY", "Retry-After: 4"), lost, {raw: published.raw[:60], pace: time.Second / 10, then: hangUp}, published}}
	var log []string
	n.play(t, func(t *testing.T, c *Client) {
		c.OnAttempt = func(a Attempt) {
			log = append(log, fmt.Sprintf("%s: %d. %s %s: %d (%v) after %s, %t %t", time.Since(n.start), a.Number, a.Method, a.Path, a.Status, a.Err, a.Elapsed, a.Reused, a.HTTP2))
		}
		c.OnWait = func(w Wait) {
			log = append(log, fmt.Sprintf("%s: %s %s (%v): %s before %d, asked %s", time.Since(n.start), w.Method, w.Path, w.After, w.Duration, w.Next, w.Asked))
		}
		if _, _, err := c.Publish(t.Context(), promotion); err != nil {
			t.Fatal(err)
		}
	})
	path := "/v1/agent/" + agentID.String() + "/published_version"
	want := []string{
		"0s: 1. PATCH " + path + ": 503 (<nil>) after 0s, false false",
		"0s: PATCH " + path + " (the API returned 503 Service Unavailable: because): 4s before 2, asked 4s",
		"4s: 2. PATCH " + path + ": 0 (no response from api.test: the connection was closed) after 0s, true false",
		"4s: PATCH " + path + " (no response from api.test: the connection was closed): 1s before 3, asked 0s",
		"11s: 3. PATCH " + path + ": 200 (the response was cut off after 18 bytes: the connection closed early) after 6s, false false",
		"11s: PATCH " + path + " (the response was cut off after 18 bytes: the connection closed early): 2s before 4, asked 0s",
		"13s: 4. PATCH " + path + ": 200 (<nil>) after 0s, false false",
	}
	if !slices.Equal(log, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(log, "\n"), strings.Join(want, "\n"))
	}
}

func TestInvalidRequestsAreNotSent(t *testing.T) {
	n := &network{}
	c := n.client()
	c.BaseURL.Host = "api test"
	_, _, err := c.Publish(t.Context(), promotion)
	if e := failed(t, err); e.Cause != Internal || e.Effect != NoEffect || e.Attempts != 0 {
		t.Errorf("%+v", e)
	}
}

// Only retries of a change are checked, after the wait.
func TestBeforeRetryStopsTheCall(t *testing.T) {
	n := &network{replies: []reply{apiError(503, "BUSY")}}
	n.play(t, func(t *testing.T, c *Client) {
		var asked []time.Duration
		c.BeforeRetry = func(context.Context) error {
			if asked = append(asked, time.Since(n.start)); len(asked) == 2 {
				return errSignal
			}
			return nil
		}
		_, attempts, err := c.Publish(t.Context(), promotion)
		e := failed(t, err)
		if e.Cause != Stopped || !errors.Is(e, errSignal) || e.Status != 503 || e.LastReply.Code != "BUSY" || e.Effect != MaybeApplied || attempts != 2 || len(n.heard()) != 2 {
			t.Errorf("%d attempts, %d requests: %+v", attempts, len(n.heard()), e)
		}
		if want := []time.Duration{500 * time.Millisecond, 1500 * time.Millisecond}; !slices.Equal(asked, want) {
			t.Errorf("asked after %s, want %s", asked, want)
		}
		_, _ = c.Version(t.Context(), WithRetries, agentID, versionID)
		if len(asked) != 2 {
			t.Error("asked before a retry of a read")
		}
	})
}
