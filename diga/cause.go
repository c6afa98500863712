package diga

import (
	"compress/flate"
	"compress/gzip"
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

// statusCause classifies a status that is an error, given what its body says.
func statusCause(status int, r reply) *Fault {
	switch s := status; {
	case s < 300:
		return InvalidReply
	case s < 400:
		return Redirected
	case s == http.StatusRequestTimeout, s == 500, 502 <= s && s <= 504, 520 <= s && s <= 524:
		return ServerFault
	case s >= 500:
		return ServerError
	case s == http.StatusTooManyRequests:
		return Limited
	case s == http.StatusUnprocessableEntity && (r.own || len(r.details) > 0):
		return Unprocessable
	case !r.own && !(r.brief && (s == http.StatusUnauthorized || s == http.StatusForbidden)):
		return NotTheAPI
	}
	if cause, ok := map[int]*Fault{400: BadRequest, 401: Unauthorized, 403: Forbidden, 404: NotFound}[status]; ok {
		return cause
	}
	return Refused
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
	e := &Error{Cause: statusCause(a.Status, r), Message: "the API returned " + StatusText(a.Status)}
	switch {
	case e.Cause == InvalidReply:
		e.Message += ", expected 200 OK"
	case e.Cause == Redirected:
		e.Message += " (redirects are not followed)"
		// The host alone: the path and query may be secret.
		if target, err := url.Parse(a.header.Get("Location")); err == nil && target.Host != "" {
			e.Said = Foreign("redirect to " + target.Host)
		}
	default:
		e.Code, e.Details = r.code, r.details
		if string(r.text) != http.StatusText(a.Status) {
			e.Said = r.text
		}
	}
	switch {
	case 300 <= a.Status && a.Status < 500 && a.Status != http.StatusRequestTimeout: // refused
	case a.Status >= 400 && r.own:
		e.Effect = MaybeApplied
	default:
		// A 2xx that confirms nothing, or a gateway's error, which says nothing about the request behind it.
		e.Effect = MaybePending
	}
	e.Status, e.Err = a.Status, a.err
	return e
}

// networkError is the error of an attempt without a complete response, classified by type where possible.
func (a *attempt) networkError() *Error {
	op, _ := errors.AsType[*net.OpError](a.err)
	e := &Error{Status: a.Status, Effect: MaybePending, Err: a.err}
	// In TLS 1.3, a client writes its request before the server has checked the client's certificate.
	rejected := op != nil && op.Op == "remote error" && strings.Contains(op.Err.Error(), "certificate")
	if !a.sent || rejected {
		e.Effect = NoEffect
	}
	is := func(cause *Fault, message string, said Foreign) *Error {
		e.Cause, e.Message, e.Said = cause, message, said
		return e
	}
	var network net.Error // includes system errors and net.ErrClosed
	lost := errors.As(a.err, &network) || errors.Is(a.err, io.EOF) || errors.Is(a.err, io.ErrUnexpectedEOF) ||
		// net/http's errServerClosedIdle is not exported.
		strings.HasSuffix(a.err.Error(), "server closed idle connection")
	dns, _ := errors.AsType[*net.DNSError](a.err)
	own, isOwn := errors.AsType[*Error](a.err)
	switch {
	case a.sends > maxSends, errors.Is(a.err, errReset):
		return is(Unreachable, "no response from "+a.host, Foreign(errReset.Error()))
	case a.cut:
		return is(TimedOut, a.progress(), "")
	case isOwn:
		return is(own.Cause, own.Message, own.Said)
	case op != nil && op.Op == "proxyconnect":
		return is(ProxyFailed, "could not connect to the proxy "+a.proxy, reason(a.err))
	case dns != nil && dns.IsNotFound:
		return is(UnknownHost, fmt.Sprintf("the host %s does not exist", a.host), "")
	case !a.timedOut && !a.sent && network != nil && network.Timeout():
		return is(TimedOut, a.progress()+" within "+FormatDuration(connectTimeout), "")
	case a.timedOut, network != nil && network.Timeout():
		return is(TimedOut, a.progress()+" within "+FormatDuration(attemptTimeout), "")
	case errors.Is(a.err, gzip.ErrHeader), errors.Is(a.err, gzip.ErrChecksum),
		errors.As(a.err, new(flate.CorruptInputError)):
		return is(InvalidReply, unreadable, reason(a.err))
	case a.Status != 0 && op == nil:
		return is(Truncated, fmt.Sprintf("the response was cut off after %d bytes", len(a.body)), "")
	case a.Status == 0 && op != nil && op.Op == "remote error", a.handshaking && !lost: // an alert, a bad certificate
		return is(TLSFailed, fmt.Sprintf("TLS with %s failed", a.host), tlsReason(a.err))
	case lost, a.http2: // HTTP/2 errors affect the stream or the connection; a new connection fixes both
		return is(Unreachable, "no response from "+a.host, reason(a.err))
	default: // net/http has no error type for a malformed response
		return is(InvalidReply, unreadable, reason(a.err))
	}
}

// progress says how far an attempt got before it ended.
func (a *attempt) progress() string {
	switch {
	case !a.sent:
		return "no connection to " + a.host
	case a.Status == 0:
		return "no response from " + a.host
	default:
		return "incomplete response from " + a.host
	}
}

// tlsReason explains a TLS error. If the authority is unknown, it says what is wrong with SSL_CERT_FILE.
func tlsReason(err error) Foreign {
	if record := "first record does not look like a TLS handshake"; strings.Contains(err.Error(), record) {
		return "the server does not speak TLS on this port"
	}
	file := os.Getenv("SSL_CERT_FILE")
	if unknown := new(x509.UnknownAuthorityError); !errors.As(err, unknown) || file == "" {
		return reason(err)
	}
	data, readErr := os.ReadFile(file) //nolint:gosec // the user names the file
	switch {
	case readErr != nil:
		return "SSL_CERT_FILE cannot be read: " + reason(readErr)
	case !x509.NewCertPool().AppendCertsFromPEM(data):
		return "the file in SSL_CERT_FILE holds no PEM certificate"
	default:
		return reason(err) + "; SSL_CERT_FILE has another authority's certificate"
	}
}

// innermost returns the innermost error. The outer ones repeat the method, the addresses and even the proxy's password.
func innermost(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}

// reason returns the text of the innermost error.
func reason(err error) Foreign {
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return Foreign("DNS lookup: " + dns.Err)
	}
	switch inner := innermost(err); {
	case errors.Is(inner, io.EOF), errors.Is(inner, io.ErrUnexpectedEOF):
		return "the connection was closed"
	default:
		return Foreign(inner.Error())
	}
}
