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
	attemptTimeout   = 30 * time.Second // for connection, headers and body
	errorBodyTimeout = 5 * time.Second  // for the body, after a status other than 200
	maxHeaderBytes   = 64 << 10
	maxBodyBytes     = 1 << 20 // after decompression
)

// attempt is the result of sending a request once.
type attempt struct {
	wire
	host      string // of the API
	proxy     string // host of the proxy; empty: none
	status    int    // of the response, 200 to 599; 0: no response with such a status
	header    http.Header
	body      []byte // the whole body if err is nil, otherwise the part that was read
	err       error  // why there is no complete response
	timedOut  bool   // err comes from attemptTimeout or errorBodyTimeout
	cancelled error  // why the caller's context ended, if that caused err
	sent      bool   // some of the request may have left this machine
}

// attempt sends req once and reads the whole response, within attemptTimeout.
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
		// net/http silently resends a request without a body if a reused connection turns out to be closed, and
		// concurrent requests can pass such connections around endlessly. A body of unknown length prevents that. The
		// encoding "identity" keeps net/http from waiting for its first byte, and from sending chunks if that byte
		// takes more than 200 ms. HTTP/2 is exempt: some servers reject a GET with the frame that ends an empty body.
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
			// The status is enough to decide what follows; do not wait long for the error message.
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
		a.status = 0 // not an HTTP status
	}
	return a
}

// readBody reads and closes the body. With any error other than errMalformed and errTooLarge, it also returns what it
// could read.
func readBody(resp *http.Response) ([]byte, error) {
	defer resp.Body.Close()
	if resp.StatusCode < 200 || resp.StatusCode > 599 {
		return nil, fmt.Errorf("%w: status %q", errMalformed, resp.Status)
	}
	if coding := resp.Header.Get("Content-Encoding"); coding != "" && coding != "identity" {
		return nil, fmt.Errorf("%w: unexpected Content-Encoding %q", errMalformed, coding) // net/http requests only gzip, and decodes it
	}
	var body bytes.Buffer
	n, err := body.ReadFrom(io.LimitReader(resp.Body, maxBodyBytes+1))
	if err == nil && n > maxBodyBytes {
		return nil, errTooLarge
	}
	return body.Bytes(), err
}

// ok reports whether the response is a complete 200.
func (a *attempt) ok() bool { return a.status == http.StatusOK && a.err == nil }

// hasErrorStatus reports whether there is a response other than a 200. Its status counts even if its body was cut off.
func (a *attempt) hasErrorStatus() bool { return a.status != 0 && a.status != http.StatusOK }

// toError returns the error of an attempt that is not ok.
func (a *attempt) toError() *Error {
	if a.hasErrorStatus() {
		return a.replyError()
	}
	return a.transportError()
}

// failure returns why there is no complete response, for the log; nil if there is one.
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
