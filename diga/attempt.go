package diga

import (
	"bytes"
	"cmp"
	"compress/flate"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
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

	unreadable         = "could not read the response"
	closed     Foreign = "the connection was closed"
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

	a := &attempt{Attempt: Attempt{Method: req.Method, Path: req.URL.Path}, host: req.URL.Host, progress: "no connection to "}
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
		lostHandshake := a.handshaking.Load() && a.Problem.Cause != TLSFailed
		if lostHandshake || strings.Contains(err.Error(), "HTTP_1_1_REQUIRED") {
			c.reconnectPlainly()
		}
	}
	return a
}

// trace returns hooks that record the connection, and end the attempt when net/http sends it too often.
func (a *attempt) trace(end context.CancelCauseFunc) *httptrace.ClientTrace {
	sends := 0
	return &httptrace.ClientTrace{
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

// statusError is the error of a response with an error status.
func (a *attempt) statusError() *Error {
	if a.Status == http.StatusProxyAuthRequired && a.proxy != "" { // it is not the API's answer
		return proxyError(a.proxy, a.Status)
	}
	var r reply
	if a.err == nil {
		r = parseReply(a.body)
	}
	failed := MaybePending // a gateway's error says nothing about the request behind it
	if r.own {
		failed = MaybeApplied
	}
	e := &Error{Status: a.Status, Message: "the API returned " + StatusText(a.Status), Err: a.err}
	switch s := a.Status; {
	case s < 300:
		e.Cause, e.Effect, e.Message = InvalidReply, MaybePending, e.Message+", expected 200 OK"
		return e
	case s < 400:
		e.Cause, e.Message = Redirected, e.Message+" (redirects are not followed)"
		// The host alone: the path and query may be secret.
		if target, err := url.Parse(a.header.Get("Location")); err == nil && target.Host != "" {
			e.Said = Foreign("redirect to " + target.Host)
		}
		return e
	case s == http.StatusRequestTimeout, s == 500, 502 <= s && s <= 504, 520 <= s && s <= 524:
		e.Cause, e.Effect = ServerFault, failed
	case s >= 500:
		e.Cause, e.Effect = ServerError, failed
	case s == http.StatusTooManyRequests:
		e.Cause = Limited
	case s == http.StatusUnprocessableEntity && (r.own || len(r.details) > 0):
		e.Cause = Unprocessable
	case !r.own && !(r.brief && (s == http.StatusUnauthorized || s == http.StatusForbidden)):
		e.Cause = NotTheAPI
	default:
		known := map[int]*Fault{400: BadRequest, 401: Unauthorized, 403: Forbidden, 404: NotFound}
		e.Cause = cmp.Or(known[s], Refused)
	}
	if e.Code, e.Details = r.code, r.details; string(r.text) != http.StatusText(a.Status) {
		e.Said = r.text
	}
	return e
}

// proxyError is the error for a proxy's own response.
func proxyError(proxy string, status int) *Error {
	e := &Error{Cause: ProxyRefused, Message: "the proxy " + proxy + " returned " + StatusText(status)}
	if status >= 500 {
		e.Cause = ProxyFailed
	}
	return e
}

// networkError is the error of an attempt without a complete response, classified by type where possible.
func (a *attempt) networkError() *Error {
	e := &Error{Status: a.Status, Said: reason(a.err), Err: a.err}
	network, isNetwork := errors.AsType[net.Error](a.err) // includes system errors and net.ErrClosed
	lost := isNetwork || e.Said == closed
	op, _ := errors.AsType[*net.OpError](a.err)
	alert := op != nil && op.Op == "remote error"
	dns, _ := errors.AsType[*net.DNSError](a.err)
	own, isOwn := errors.AsType[*Error](a.err)
	secure, isTLS := a.conn.(*tls.Conn)

	// In TLS 1.3, a client writes its request before the server has checked the client's certificate.
	if rejected := alert && strings.Contains(op.Err.Error(), "certificate"); a.conn != nil && !rejected {
		e.Effect = MaybePending
	}
	switch {
	case isOwn:
		e.Cause, e.Message, e.Said = own.Cause, own.Message, own.Said
	case a.cut:
		e.Cause, e.Message, e.Said = TimedOut, a.progress+a.host, ""
	case op != nil && op.Op == "proxyconnect":
		e.Cause, e.Message = ProxyFailed, "could not connect to the proxy "+a.proxy
	case dns != nil && dns.IsNotFound:
		e.Cause, e.Message, e.Said = UnknownHost, "the host "+a.host+" does not exist", ""
	case errors.Is(a.err, errLate):
		e.Cause, e.Message, e.Said = TimedOut, a.progress+a.host+" "+errLate.Error(), ""
	case isNetwork && network.Timeout():
		e.Cause, e.Message, e.Said = TimedOut, a.progress+a.host+" within "+FormatDuration(connectTimeout), ""
	case errors.Is(a.err, gzip.ErrHeader), errors.Is(a.err, gzip.ErrChecksum),
		errors.As(a.err, new(flate.CorruptInputError)):
		e.Cause, e.Message = InvalidReply, unreadable
	case a.Status != 0 && op == nil:
		e.Cause, e.Message, e.Said = Truncated, fmt.Sprintf("the response was cut off after %d bytes", len(a.body)), ""
	case a.Status == 0 && alert, a.handshaking.Load() && !lost: // for example a bad certificate
		e.Cause, e.Message, e.Said = TLSFailed, "TLS with "+a.host+" failed", tlsReason(a.err)
	case lost, isTLS && secure.ConnectionState().NegotiatedProtocol == "h2":
		// HTTP/2 errors affect the stream or the connection; a new connection fixes both.
		e.Cause, e.Message = Unreachable, "no response from "+a.host
	default: // net/http has no error type for a malformed response
		e.Cause, e.Message = InvalidReply, unreadable
	}
	return e
}

// tlsReason explains a TLS error. If the authority is unknown, it says what is wrong with SSL_CERT_FILE.
func tlsReason(err error) Foreign {
	if strings.Contains(err.Error(), "first record does not look like a TLS handshake") {
		return "the server does not speak TLS on this port"
	}
	if file := os.Getenv("SSL_CERT_FILE"); file != "" && errors.As(err, new(x509.UnknownAuthorityError)) {
		switch pem, readErr := os.ReadFile(file); { //nolint:gosec // the user names the file
		case readErr != nil:
			return "SSL_CERT_FILE cannot be read: " + reason(readErr)
		case !x509.NewCertPool().AppendCertsFromPEM(pem):
			return "the file in SSL_CERT_FILE holds no PEM certificate"
		}
	}
	return reason(err)
}

// reason returns the text of the innermost error. The outer ones repeat the method, the addresses and even the proxy's
// password.
func reason(err error) Foreign {
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return Foreign("DNS lookup: " + dns.Err)
	}
	for inner := err; inner != nil; inner = errors.Unwrap(inner) {
		err = inner
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		// net/http's errServerClosedIdle is not exported.
		strings.HasSuffix(err.Error(), "server closed idle connection") {
		return closed
	}
	return Foreign(err.Error())
}
