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
	"syscall"
	"time"
)

const (
	connectTimeout   = 10 * time.Second // for a connection, and again for its TLS handshake
	attemptTimeout   = 30 * time.Second // for connection, headers and body
	errorBodyTimeout = 5 * time.Second  // for the body, after a status other than the wanted one
	maxHeaderBytes   = 64 << 10
	maxBody          = 1 << 20 // bytes after decompression
	maxPageBody      = 4 << 20 // the same, for a read: a page of versions is long
	// maxSends is how often net/http may send a read in one attempt. It would do so without an end, and without a wait,
	// if HTTP/2 resets the stream with PROTOCOL_ERROR.
	maxSends = 3

	noConnection         = "no connection to "
	unreadable           = "could not read the response"
	closed       Foreign = "the connection was closed"
)

var (
	errLate     = errors.New("within " + FormatDuration(attemptTimeout))
	errReset    = syscall.ECONNRESET // of a stream; another attempt may succeed
	errTooLarge = errors.New("body exceeds")
)

// attempt is the result of sending a request once.
type attempt struct {
	Attempt
	host        string // of the API
	proxy       string // host of the proxy; empty: none
	progress    string // what there was before an error; the host follows
	header      http.Header
	body        []byte      // the whole body if err is nil, otherwise the part that was read
	err         error       // why there is no complete response
	cut         bool        // err comes from the end of the caller's context, and there is no error status
	conn        net.Conn    // on which some of the request may have left this machine; nil: none
	handshaking atomic.Bool // a TLS handshake began and did not succeed; set by a dial, which may outlive the attempt
}

// attempt sends req once and reads the whole response, within attemptTimeout.
func (c *Client) attempt(req *http.Request) *attempt {
	start, transport, caller := time.Now(), c.connection(), req.Context()
	ctx, cancel := context.WithCancelCause(caller)
	defer cancel(nil)
	timeout := func() { cancel(errLate) }
	defer time.AfterFunc(attemptTimeout, timeout).Stop()

	a := &attempt{
		Attempt: Attempt{Method: req.Method, Path: req.URL.Path}, host: req.URL.Host, progress: noConnection,
	}
	req = req.WithContext(httptrace.WithClientTrace(ctx, a.trace(cancel)))
	if req.Body != nil { // net/http must not send a change again
		req.GetBody = func() (io.ReadCloser, error) { return nil, errReset }
	}
	if proxy, _ := transport.Proxy(req); proxy != nil {
		a.proxy = proxy.Host
	}
	resp, err := transport.RoundTrip(req)
	failed := false // there is another status than the wanted one, which counts even if its body was cut off
	if err == nil {
		a.header, a.progress = resp.Header, "incomplete response from "
		if 200 <= resp.StatusCode && resp.StatusCode <= 599 {
			a.Status = resp.StatusCode
			failed = a.Status != http.StatusOK && !(a.Status == http.StatusCreated && a.Method == http.MethodPost)
		}
		if failed {
			// The status is enough to decide what follows; do not wait long for the error message.
			defer time.AfterFunc(errorBodyTimeout, timeout).Stop()
		}
		a.body, err = readBody(resp)
	}
	if a.Elapsed = time.Since(start); err != nil && ctx.Err() != nil {
		err, a.cut = context.Cause(ctx), caller.Err() != nil && !failed
		if a.conn != nil {
			_ = a.conn.Close() // it may be dead, and HTTP/2 would keep it for the next attempt
		}
	}
	switch a.err = err; {
	case failed:
		a.Problem = a.statusError()
	case err != nil:
		a.Problem = a.networkError()
		lostHandshake := a.handshaking.Load() && !a.cut && a.Problem.Cause != TLSFailed
		plainly := lostHandshake || strings.Contains(err.Error(), "HTTP_1_1_REQUIRED")
		if plainly || a.conn == nil && errors.Is(err, errLate) { // a proxy may take a minute to connect
			c.reconnect(plainly)
		}
	}
	return a
}

// trace returns hooks that record the connection, and end the attempt when net/http sends it too often.
func (a *attempt) trace(end context.CancelCauseFunc) *httptrace.ClientTrace {
	sends := 0
	return &httptrace.ClientTrace{
		GetConn:           func(string) { a.conn, a.progress = nil, noConnection }, // perhaps again
		TLSHandshakeStart: func() { a.handshaking.Store(true) },
		TLSHandshakeDone:  func(_ tls.ConnectionState, err error) { a.handshaking.Store(err != nil) },
		GotConn: func(info httptrace.GotConnInfo) {
			a.conn, a.progress = info.Conn, "no response from "
			if sends++; sends > maxSends {
				end(errReset)
			}
		},
	}
}

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
