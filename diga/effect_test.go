package diga

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestEffectOfAnAttempt(t *testing.T) {
	own := []byte(`{"status":"error","error_code":"INTERNAL_SERVER_ERROR","message":"Error: Internal Server Error"}`)
	tests := []struct {
		name string
		attempt
		want Effect
	}{
		{"nothing sent", attempt{err: io.EOF}, NoEffect},
		{"nothing sent in time", attempt{err: context.DeadlineExceeded, timedOut: true}, NoEffect},
		{"nothing sent before a cancel", attempt{err: context.Canceled, cancelled: errSignal}, NoEffect},
		{"lost", attempt{sent: true, err: io.EOF}, MaybePending},
		{"reset", attempt{sent: true, err: syscall.ECONNRESET}, MaybePending},
		{"timed out", attempt{sent: true, err: context.DeadlineExceeded, timedOut: true}, MaybePending},
		{"cancelled", attempt{sent: true, err: context.Canceled, cancelled: errSignal}, MaybePending},
		{"an error of unknown make", attempt{sent: true, err: errors.New("what?")}, MaybePending},
		{"an alert of our own", attempt{sent: true, err: &net.OpError{Op: "local error", Err: tls.AlertError(42)}}, MaybePending},
		{"a truncated 200", attempt{sent: true, status: 200, err: io.ErrUnexpectedEOF}, MaybePending},
		{"a truncated 502", attempt{sent: true, status: 502, err: io.ErrUnexpectedEOF}, MaybePending},
		{"a truncated 500", attempt{sent: true, status: 500, body: own, err: io.ErrUnexpectedEOF}, MaybePending},
		{"the API's own 500", attempt{sent: true, status: 500, body: own}, MaybeApplied},
		{"the API's own 408", attempt{sent: true, status: 408, body: own}, MaybeApplied},
		{"a 201 with an error's body", attempt{sent: true, status: 201, body: own}, MaybePending},
		{"a code without a message", attempt{sent: true, status: 500, body: []byte(`{"error_code":"A"}`)}, MaybePending},
		{"a message without a code", attempt{sent: true, status: 500, body: []byte(`{"message":"Internal server error"}`)}, MaybePending},
		{"null for a code", attempt{sent: true, status: 500, body: []byte(`{"error_code":null,"message":"a"}`)}, MaybePending},
		{"null for a message", attempt{sent: true, status: 500, body: []byte(`{"error_code":"A","message":null}`)}, MaybePending},
		{"a code of more than one word", attempt{sent: true, status: 500, body: []byte(`{"error_code":"A B","message":"a"}`)}, MaybePending},
		{"the API's own 404", attempt{sent: true, status: 404, body: own}, NoEffect},
		{"a 404 cut off", attempt{sent: true, status: 404, err: context.Canceled, cancelled: errSignal}, NoEffect},
	}
	for _, test := range tests {
		if got := test.effect(); got != test.want {
			t.Errorf("%s: %d", test.name, got)
		}
	}
	for number, want := range map[tls.AlertError]Effect{10: MaybePending, 20: MaybePending, 80: MaybePending, 90: MaybePending, 40: NoEffect, 42: NoEffect, 48: NoEffect, 116: NoEffect} {
		if got := (&attempt{sent: true, err: &net.OpError{Op: "remote error", Err: number}}).effect(); got != want {
			t.Errorf("%v: %d", number, got)
		}
	}
	for status := 200; status < 600; status++ {
		want := MaybePending
		if 300 <= status && status < 500 && status != 408 {
			want = NoEffect
		}
		if got := (&attempt{sent: true, status: status}).effect(); got != want {
			t.Errorf("%d: %d", status, got)
		}
		if status >= 400 && want == MaybePending {
			want = MaybeApplied
		}
		if got := (&attempt{sent: true, status: status, body: own}).effect(); got != want {
			t.Errorf("%d in the API's own words: %d", status, got)
		}
	}
}

// Each case runs twice, as a change and as a read. A read never has an effect.
func TestEffectOfACall(t *testing.T) {
	notFound := apiError(404, "AGENT_NOT_FOUND")
	cut := reply{raw: published.raw[:len(published.raw)-10], then: hangUp}
	hang := reply{then: silent}
	other := response(200, strings.ReplaceAll(published.raw[strings.Index(published.raw, "{"):], versionID.String(), agentID.String()))
	refusedBy := func(attempts ...int) func(int) error {
		return func(attempt int) error {
			if slices.Contains(attempts, attempt) {
				return &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
			}
			return nil
		}
	}
	tests := []struct {
		name    string
		dial    func(int) error
		replies []reply
		retries int
		effect  Effect
		status  int // 0: none came
	}{
		{"connection refused", refusedBy(1, 2), nil, 1, NoEffect, 0},
		{"refused, then lost", refusedBy(1), []reply{lost}, 1, MaybePending, 0},
		{"lost, then refused", refusedBy(2), []reply{lost}, 1, MaybePending, 0},
		{"404", nil, []reply{notFound}, 1, NoEffect, 404},
		{"429", nil, []reply{response(429, "", "Retry-After: 3600")}, 1, NoEffect, 429},
		{"500", nil, []reply{response(500, "")}, 1, MaybePending, 500},
		{"truncated 500", nil, []reply{{raw: response(500, "12345").raw[:44], then: hangUp}}, 1, MaybePending, 500},
		{"302", nil, []reply{response(302, "", "Location: http://api.test/v1/agent")}, 1, NoEffect, 302},

		{"the API's own 500", nil, []reply{apiError(500, "BROKEN")}, 1, MaybeApplied, 500},
		{"the API's own 503, then a gateway's", nil, []reply{apiError(503, "BUSY"), response(503, "<html>")}, 1, MaybePending, 503},
		{"the API's own 500, then its 404", nil, []reply{apiError(500, "BROKEN"), notFound}, 1, MaybeApplied, 404},
		{"429, then the API's own 408", nil, []reply{response(429, ""), apiError(408, "SLOW")}, 0, MaybeApplied, 408},

		{"lost", nil, []reply{lost}, 1, MaybePending, 0},
		{"silence", nil, []reply{hang}, 1, MaybePending, 0},
		{"lost in the status line", nil, []reply{{raw: "HTTP/1.1 4", then: hangUp}}, 1, MaybePending, 0},
		{"truncated", nil, []reply{cut}, 1, MaybePending, 200},
		{"bad chunks", nil, []reply{{raw: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", then: hangUp}}, 1, MaybePending, 200},
		{"half of a 200, then silence", nil, []reply{{raw: cut.raw, then: silent}}, 1, MaybePending, 200},
		{"201", nil, []reply{response(201, "{}")}, 1, MaybePending, 201},
		{"no publication", nil, []reply{response(200, "{}")}, 1, MaybePending, 200},
		{"another version", nil, []reply{other}, 1, MaybePending, 200},

		{"lost, then 404", nil, []reply{lost, notFound}, 1, MaybePending, 404},
		{"silence, then 500", nil, []reply{hang, response(500, "")}, 1, MaybePending, 500},
		{"502, then 404", nil, []reply{response(502, ""), notFound}, 1, MaybePending, 404},
		{"truncated, then 400", nil, []reply{cut, response(400, "")}, 1, MaybePending, 400},
		{"500, lost, 503, 429, 403", nil, []reply{response(500, ""), lost, response(503, ""), response(429, ""), response(403, "")}, 4, MaybePending, 403},
		{"502, then another version", nil, []reply{response(502, ""), other}, 1, MaybePending, 200},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for _, read := range []bool{false, true} {
				n := &network{dial: test.dial, replies: test.replies}
				n.play(t, func(t *testing.T, c *Client) {
					c.MaxRetries = test.retries
					ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
					defer cancel()
					want := test.effect
					var err error
					if read {
						want = NoEffect
						_, err = c.Version(ctx, WithRetries, agentID, versionID)
					} else {
						_, _, err = c.Publish(ctx, promotion)
					}
					if e := failed(t, err); e.Effect != want || e.Status != test.status {
						t.Errorf("read: %t, effect %d, status %d: %v", read, e.Effect, e.Status, e)
					}
				})
			}
		})
	}
}

func TestConfirmationSettlesEarlierFailures(t *testing.T) {
	for _, before := range []reply{lost, {then: silent}, response(502, ""), {raw: published.raw[:70], then: hangUp}} {
		n := &network{replies: []reply{before, before, published}}
		n.play(t, func(t *testing.T, c *Client) {
			got, attempts, err := c.Publish(t.Context(), promotion)
			if want := (Publication{Agent: agentID, Version: valid(versionID)}); err != nil || attempts != 3 || got != want {
				t.Errorf("after %.20q: %+v after %d attempts: %v", before.raw, got, attempts, err)
			}
		})
	}
}

func TestChangeMayBePendingFromTheFirstByte(t *testing.T) {
	for takes, effect := range map[int]Effect{0: NoEffect, 1: MaybePending, 100: MaybePending} {
		n := &network{}
		n.play(t, func(t *testing.T, c *Client) {
			c.Dial = func(context.Context, string, string) (net.Conn, error) {
				conn, err := n.connect()
				return &brokenPipe{Conn: conn, takes: takes}, err
			}
			_, attempts, err := c.Publish(t.Context(), promotion)
			if e := failed(t, err); e.Effect != effect || e.Cause != Unreachable || e.Untrusted != "connection reset by peer" || attempts != 5 {
				t.Errorf("%d bytes: effect %d, cause %d after %d attempts: %v", takes, e.Effect, e.Cause, attempts, e)
			}
		})
	}
}

// brokenPipe is a connection that fails after a number of written bytes.
type brokenPipe struct {
	net.Conn
	takes int
}

func (c *brokenPipe) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b[:min(len(b), c.takes)])
	if c.takes -= n; err == nil && n < len(b) {
		err = &net.OpError{Op: "write", Net: "tcp", Err: syscall.ECONNRESET}
	}
	return n, err
}

// Over HTTP/2 a request may still be written after its attempt has timed out.
func TestUnsentHTTP2RequestMayBePending(t *testing.T) {
	n := &network{}
	n.play(t, func(t *testing.T, c *Client) {
		wire := &stalled{}
		c.MaxRetries = 0
		c.Dial = func(context.Context, string, string) (conn net.Conn, err error) {
			wire.Conn, err = n.connect()
			return wire, err
		}
		server := newAuthority(t).serveHTTP2(t, n, c, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, versionBody) })
		defer server.Close()
		if _, err := c.Version(t.Context(), WithRetries, agentID, versionID); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		release := make(chan struct{})
		wire.until.Store(&release)
		_, _, err := c.Publish(t.Context(), promotion)
		if e := failed(t, err); e.Effect != MaybePending || e.Cause != Timeout {
			t.Errorf("%+v", e)
		}
		close(release)
	})
}

// stalled is a connection whose writes wait until a channel is closed.
type stalled struct {
	net.Conn
	until atomic.Pointer[chan struct{}]
}

func (c *stalled) Write(b []byte) (int, error) {
	if until := c.until.Load(); until != nil {
		<-*until
	}
	return c.Conn.Write(b)
}
