package diga

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"time"
)

const (
	attemptTimeout   = 30 * time.Second // for connection, headers and body
	errorBodyTimeout = 5 * time.Second  // for the body, after a status other than 200
	maxBody          = 1 << 20          // bytes after decompression
	maxPageBody      = 4 << 20          // of a read: a page of versions, or one that is very long
)

// attempt is the result of sending a request once.
type attempt struct {
	wire
	method    string
	host      string // of the API
	proxy     string // host of the proxy; empty: none
	status    int    // of the response, 200 to 599; 0: no response with such a status
	header    http.Header
	body      []byte // the whole body if err is nil, otherwise the part that was read
	err       error  // why there is no complete response
	timedOut  bool   // err comes from attemptTimeout or errorBodyTimeout
	cancelled error  // why the caller's context ended, if that caused err
	parsed    *reply // of an error status; see reply
}

// attempt sends req once and reads the whole response, within attemptTimeout.
func (c *Client) attempt(req *http.Request) attempt {
	transport := c.connection()
	caller := req.Context()
	ctx, cancel := context.WithTimeout(caller, attemptTimeout)
	defer cancel()
	var seen atomic.Pointer[wire]
	req = req.WithContext(httptrace.WithClientTrace(ctx, observe(&seen)))

	a := attempt{method: req.Method, host: req.URL.Host}
	if proxy, _ := transport.Proxy(req); proxy != nil {
		a.proxy = proxy.Host
	}
	resp, err := transport.RoundTrip(req)
	if err == nil {
		a.status, a.header = resp.StatusCode, resp.Header
		if a.hasErrorStatus() {
			// The status is enough to decide what follows; do not wait long for the error message.
			defer time.AfterFunc(errorBodyTimeout, cancel).Stop()
		}
		a.body, err = readBody(resp)
	}
	if a.status < 200 || a.status > 599 {
		a.status = 0 // not an HTTP status
	}
	a.wire = *seen.Load()
	if a.err = err; err == nil {
		return a
	}
	a.cancelled = context.Cause(caller)
	a.timedOut = a.cancelled == nil && ctx.Err() != nil
	if ctx.Err() != nil && a.conn != nil {
		_ = a.conn.Close() // it may be dead, and HTTP/2 would keep it for the next attempt
	}
	smallHello := a.handshaking && a.cancelled == nil && !a.isTLS()
	if http1 := strings.Contains(err.Error(), "HTTP_1_1_REQUIRED"); http1 || smallHello {
		c.reconnect(http1, smallHello)
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
	// net/http asks for gzip, and decodes it.
	if coding := resp.Header.Get("Content-Encoding"); coding != "" && coding != "identity" {
		return nil, fmt.Errorf("%w: unexpected Content-Encoding %q", errMalformed, coding)
	}
	limit := int64(maxBody)
	if resp.Request.Method == http.MethodGet && resp.StatusCode == http.StatusOK {
		limit = maxPageBody
	}
	var body bytes.Buffer
	n, err := body.ReadFrom(io.LimitReader(resp.Body, limit+1))
	if err == nil && n > limit {
		return nil, fmt.Errorf("%w %d bytes", errTooLarge, limit)
	}
	return body.Bytes(), err
}

// ok reports whether the response is complete, and a 200 or, after a POST, a 201.
func (a *attempt) ok() bool { return a.status != 0 && !a.hasErrorStatus() && a.err == nil }

// hasErrorStatus reports whether there is a response with another status. That counts even if its body was cut off.
func (a *attempt) hasErrorStatus() bool {
	created := a.status == http.StatusCreated && a.method == http.MethodPost
	return a.status != 0 && a.status != http.StatusOK && !created
}

// failure returns why there is no complete response, for the log; nil if there is one.
func (a *attempt) failure() error {
	switch {
	case a.err == nil:
		return nil
	case a.cancelled != nil:
		return a.cancelled
	case a.hasErrorStatus():
		return errors.New(a.progress())
	default:
		return a.toError()
	}
}

// wire is what is known about an attempt's connection. The zero value means that there was none.
type wire struct {
	sent        bool     // there was a connection, so some of the request may have left this machine
	conn        net.Conn // below TLS
	http2       bool
	handshaking bool // a TLS handshake began and did not succeed
}

// observe returns hooks that keep what they see in w. net/http may call them from goroutines that outlive the attempt.
func observe(w *atomic.Pointer[wire]) *httptrace.ClientTrace {
	w.Store(new(wire))
	return &httptrace.ClientTrace{
		TLSHandshakeStart: func() { w.Store(&wire{handshaking: true}) },
		TLSHandshakeDone:  func(_ tls.ConnectionState, err error) { w.Store(&wire{handshaking: err != nil}) },
		GotConn: func(info httptrace.GotConnInfo) {
			got := &wire{sent: true, conn: info.Conn}
			if secure, ok := info.Conn.(*tls.Conn); ok {
				got.conn, got.http2 = secure.NetConn(), secure.ConnectionState().NegotiatedProtocol == "h2"
			}
			w.Store(got)
		},
	}
}
