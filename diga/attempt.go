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
	maxPageBody      = 4 << 20          // the same, for a read: a page of versions is long
)

// attempt is the result of sending a request once.
type attempt struct {
	Attempt
	wire
	host     string // of the API
	proxy    string // host of the proxy; empty: none
	header   http.Header
	body     []byte // the whole body if err is nil, otherwise the part that was read
	err      error  // why there is no complete response
	timedOut bool   // err comes from attemptTimeout or errorBodyTimeout
	cut      bool   // err comes from the end of the caller's context, and there is no error status
}

// attempt sends req once and reads the whole response, within attemptTimeout.
func (c *Client) attempt(req *http.Request) *attempt {
	start, transport := time.Now(), c.connection()
	caller := req.Context()
	ctx, cancel := context.WithTimeout(caller, attemptTimeout)
	defer cancel()
	var seen atomic.Pointer[wire]
	req = req.WithContext(httptrace.WithClientTrace(ctx, observe(&seen, cancel)))
	if req.Body != nil { // a change is sent once an attempt
		req.GetBody = func() (io.ReadCloser, error) { return nil, errReset }
	}

	a := &attempt{Attempt: Attempt{Method: req.Method, Path: req.URL.Path}, host: req.URL.Host}
	if proxy, _ := transport.Proxy(req); proxy != nil {
		a.proxy = proxy.Host
	}
	resp, err := transport.RoundTrip(req)
	if err == nil {
		if a.header = resp.Header; 200 <= resp.StatusCode && resp.StatusCode <= 599 {
			a.Status = resp.StatusCode
		}
		if a.hasErrorStatus() {
			// The status is enough to decide what follows; do not wait long for the error message.
			defer time.AfterFunc(errorBodyTimeout, cancel).Stop()
		}
		a.body, err = readBody(resp)
	}
	a.Elapsed, a.wire, a.err = time.Since(start), *seen.Load(), err
	if err != nil && ctx.Err() != nil {
		a.timedOut = caller.Err() == nil
		a.cut = !a.timedOut && !a.hasErrorStatus()
		if a.conn != nil {
			_ = a.conn.Close() // it may be dead, and HTTP/2 would keep it for the next attempt
		}
	}
	switch {
	case a.hasErrorStatus():
		a.Problem = a.statusError()
	case err != nil:
		a.Problem = a.networkError()
		lostHandshake := a.handshaking && !a.cut && a.Problem.Cause != TLSFailed
		if lostHandshake || strings.Contains(err.Error(), "HTTP_1_1_REQUIRED") {
			c.reconnectPlainly()
		}
	}
	return a
}

// hasErrorStatus reports whether there is a response with another status than the wanted one. That counts even if its
// body was cut off.
func (a *attempt) hasErrorStatus() bool {
	created := a.Status == http.StatusCreated && a.Method == http.MethodPost
	return a.Status != 0 && a.Status != http.StatusOK && !created
}

const unreadable = "could not read the response"

var errTooLarge = errors.New("body exceeds")

// readBody reads and closes the body. If it could read a part only, it returns that with the error.
func readBody(resp *http.Response) ([]byte, error) {
	defer resp.Body.Close()
	refuse := func(err error) error {
		return &Error{Cause: InvalidReply, Message: unreadable, Said: Foreign(err.Error()), Err: err}
	}
	if resp.StatusCode < 200 || resp.StatusCode > 599 {
		return nil, refuse(fmt.Errorf("malformed HTTP: status %q", resp.Status))
	}
	// net/http asks for gzip, and decodes it.
	if coding := resp.Header.Get("Content-Encoding"); coding != "" && coding != "identity" {
		return nil, refuse(fmt.Errorf("malformed HTTP: unexpected Content-Encoding %q", coding))
	}
	limit := int64(maxBody)
	if resp.Request.Method == http.MethodGet {
		limit = maxPageBody
	}
	var body bytes.Buffer
	n, err := body.ReadFrom(io.LimitReader(resp.Body, limit+1))
	if err == nil && n > limit {
		return nil, refuse(fmt.Errorf("%w %d bytes", errTooLarge, limit))
	}
	return body.Bytes(), err
}

// wire is what is known about an attempt's connection. The zero value means that there was none.
type wire struct {
	sent        bool     // there was a connection, so some of the request may have left this machine
	conn        net.Conn // below TLS
	http2       bool
	handshaking bool // a TLS handshake began and did not succeed
	sends       int  // by net/http, which sends a request again if HTTP/2 resets its stream with PROTOCOL_ERROR
}

// maxSends is how often net/http may send a read in one attempt. It would go on without an end, and without a wait.
const maxSends = 3

var errReset = errors.New("the server reset the request")

// observe returns hooks that keep what they see in w, and that end the attempt when net/http sends it too often. They
// may be called from goroutines that outlive the attempt.
func observe(w *atomic.Pointer[wire], end func()) *httptrace.ClientTrace {
	w.Store(new(wire))
	return &httptrace.ClientTrace{
		TLSHandshakeStart: func() { w.Store(&wire{handshaking: true, sends: w.Load().sends}) },
		TLSHandshakeDone: func(_ tls.ConnectionState, err error) {
			w.Store(&wire{handshaking: err != nil, sends: w.Load().sends})
		},
		GotConn: func(info httptrace.GotConnInfo) {
			got := &wire{sent: true, conn: info.Conn, sends: w.Load().sends + 1}
			if got.sends > maxSends {
				end()
			}
			if secure, ok := info.Conn.(*tls.Conn); ok {
				got.conn, got.http2 = secure.NetConn(), secure.ConnectionState().NegotiatedProtocol == "h2"
			}
			w.Store(got)
		},
	}
}
