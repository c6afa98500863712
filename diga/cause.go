package diga

import (
	"cmp"
	"compress/flate"
	"compress/gzip"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
)

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
	case isServerFault(s):
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

// isServerFault reports whether a status may be another one the next time.
func isServerFault(s int) bool {
	return s == http.StatusRequestTimeout || s == 500 || 502 <= s && s <= 504 || 520 <= s && s <= 524
}

// proxyError is the error for a proxy's own response.
func proxyError(proxy string, status int) *Error {
	e := &Error{Cause: ProxyRefused, Message: "the proxy " + proxy + " returned " + StatusText(status)}
	if isServerFault(status) {
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
	case isNetwork && network.Timeout() && a.conn == nil:
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
