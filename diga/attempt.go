package diga

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"time"
)

const (
	attemptTimeout   = 30 * time.Second // of one request: connection, headers and body
	errorBodyTimeout = 5 * time.Second  // of the body of a reply whose status already says that it failed
	maxHeaderBytes   = 64 << 10
	maxBodyBytes     = 1 << 20 // after decompression
)

// attempt is the account of one request and its reply.
type attempt struct {
	wire
	host      string // of the API
	proxy     string // host of the proxy on the way; empty: none
	status    int    // of the reply; 0: none came
	header    http.Header
	body      []byte // the whole body when err is nil, else the part that came
	err       error  // what kept a whole reply from coming
	timedOut  bool   // err is the end of the attempt's own time
	cancelled error  // err is the end of the caller's context, for this cause
	sent      bool   // bytes of the request left this machine
}

// attempt sends req once and reads the whole reply, within attemptTimeout.
func (c *Client) attempt(req *http.Request) attempt {
	c.connectOnce.Do(c.connect)
	caller := req.Context()
	ctx, cancel := context.WithTimeout(caller, attemptTimeout)
	defer cancel()
	connected := c.first.enter(ctx, req.URL)
	defer connected()
	trace := wireTrace{connected: connected, http1: &c.http1}
	req = req.WithContext(httptrace.WithClientTrace(ctx, trace.hooks()))
	if c.http1.Load() && (req.Body == nil || req.Body == http.NoBody) {
		// net/http resends a request without a body by itself when a reused connection turns out to be closed, and
		// concurrent requests hand each other such connections without end. A body of unknown length stops that; the
		// encoding "identity" stops net/http from waiting for its first byte, and from sending it in chunks when that byte
		// takes more than 200 ms. Not over HTTP/2: some servers refuse a GET with the frame that ends an empty body.
		req.Body, req.GetBody = io.NopCloser(strings.NewReader("")), nil
		req.TransferEncoding = []string{"identity"}
	}

	a := attempt{host: req.URL.Host}
	if proxy, _ := c.transport.Proxy(req); proxy != nil {
		a.proxy = proxy.Host
	}
	resp, err := c.transport.RoundTrip(req)
	if err == nil {
		a.status, a.header = resp.StatusCode, resp.Header
		if a.status != http.StatusOK {
			// The status is the answer: a body that dawdles must not hold up what follows from it.
			defer time.AfterFunc(errorBodyTimeout, cancel).Stop()
		}
		a.body, err = readBody(resp)
	}
	if a.err = err; err != nil {
		a.cancelled = context.Cause(caller)
		a.timedOut = a.cancelled == nil && ctx.Err() != nil
	}
	a.wire = trace.result()
	a.sent = a.status != 0 || a.written > 0 || (a.connected && a.http2) // HTTP/2 may write after RoundTrip has returned
	if a.status < 200 || a.status > 599 {
		a.status = 0 // no status that HTTP knows the meaning of
	}
	return a
}

// readBody reads the whole decoded body, maxBodyBytes at most, and closes it.
func readBody(resp *http.Response) ([]byte, error) {
	defer resp.Body.Close()
	if resp.StatusCode < 200 || resp.StatusCode > 599 {
		return nil, fmt.Errorf("%w: status %q", errMalformed, resp.Status)
	}
	if coding := resp.Header.Get("Content-Encoding"); coding != "" && coding != "identity" {
		return nil, fmt.Errorf("%w: a body in the encoding %q, which was not asked for", errMalformed, coding)
	}
	var body bytes.Buffer
	n, err := body.ReadFrom(io.LimitReader(resp.Body, maxBodyBytes+1))
	if err == nil && n > maxBodyBytes {
		return nil, errTooLarge
	}
	return body.Bytes(), err
}

// good reports whether a whole 200 came.
func (a *attempt) ok() bool { return a.status == http.StatusOK && a.err == nil }

// answered reports whether a reply came that needs no body to say what it means.
func (a *attempt) hasErrorStatus() bool { return a.status != 0 && a.status != http.StatusOK }

// outcome is the error of an attempt that was not good.
func (a *attempt) toError() *Error {
	if a.hasErrorStatus() {
		return a.replyError()
	}
	return a.transportError()
}

// trouble is what kept the attempt from bringing a whole reply, in words; nil: nothing did.
func (a *attempt) failure() error {
	switch {
	case a.err == nil:
		return nil
	case a.cancelled != nil:
		return a.cancelled
	default:
		return a.transportError()
	}
}
