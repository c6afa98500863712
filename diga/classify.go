package diga

import (
	"compress/flate"
	"compress/gzip"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
)

var (
	errMalformed = errors.New("malformed HTTP")
	errTooLarge  = fmt.Errorf("body exceeds %d bytes", maxBodyBytes)
)

// effect returns what this attempt at a change may have done, unless its response is a 200 that confirms the change.
func (a *attempt) effect() Effect {
	switch {
	case !a.sent:
		return NoEffect
	case a.status == 0 && handshakeAlert(a.err):
		return NoEffect // in TLS 1.3 a client writes before the server has verified its certificate
	case 300 <= a.status && a.status < 500 && a.status != http.StatusRequestTimeout:
		return NoEffect // refused
	case a.fromAPI():
		return MaybeApplied
	default:
		// No readable response, a 2xx that confirms nothing, or a gateway's error, which says nothing about the request
		// behind it.
		return MaybePending
	}
}

// fromAPI reports whether the error comes from the API rather than a gateway: its body is OpenAPI's
// ErrorResponseSchema.
func (a *attempt) fromAPI() bool {
	if a.status < 400 || a.err != nil {
		return false
	}
	fields, err := object(a.body)
	if err != nil {
		return false
	}
	var code, message *string
	return json.Unmarshal(fields["error_code"], &code) == nil && code != nil && plainWord(*code) &&
		json.Unmarshal(fields["message"], &message) == nil && message != nil
}

// retryable reports whether another attempt may succeed.
func (a *attempt) retryable() bool {
	switch a.status {
	case 408, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524:
		return true
	case 0, http.StatusOK:
		if a.err == nil {
			return false
		}
	default:
		return false
	}
	switch a.cause() {
	case Unreachable, ProxyUnreachable, Timeout:
		return true
	case InvalidReply:
		return a.truncated()
	default:
		return false
	}
}

// truncated reports whether the body of a 200 ended early or between two chunks.
func (a *attempt) truncated() bool {
	var corrupt flate.CorruptInputError
	return a.status == http.StatusOK && a.err != nil &&
		!errors.Is(a.err, errMalformed) && !errors.Is(a.err, errTooLarge) &&
		!errors.Is(a.err, gzip.ErrHeader) && !errors.Is(a.err, gzip.ErrChecksum) && !errors.As(a.err, &corrupt)
}

// cause classifies a.err, by type where possible.
func (a *attempt) cause() Cause {
	var proxy *proxyError
	var dns *net.DNSError
	var op *net.OpError
	switch {
	case errors.Is(a.err, errMalformed):
		return InvalidReply
	case errors.As(a.err, &proxy):
		if proxy.status == 0 {
			return ProxyInvalid
		}
		if (&attempt{status: proxy.status}).retryable() {
			return ProxyUnreachable
		}
		return ProxyDenied
	case errors.As(a.err, &op) && op.Op == "proxyconnect":
		return ProxyUnreachable
	case errors.As(a.err, &dns):
		if dns.IsNotFound {
			return UnknownHost
		}
		return Unreachable
	case a.timedOut:
		return Timeout
	case a.status != 0:
		if isNetwork(a.err) && !errors.Is(a.err, io.ErrUnexpectedEOF) {
			return Unreachable
		}
		return InvalidReply
	}
	if cause, ok := a.tlsCause(); ok {
		return cause
	}
	// net/http has no error type for a malformed response, but every lost connection has one. HTTP/2 errors affect the
	// stream or the connection; a new connection fixes both.
	if isNetwork(a.err) || a.http2 {
		return Unreachable
	}
	return InvalidReply
}

// tlsCause returns false if a.err did not come from TLS.
func (a *attempt) tlsCause() (Cause, bool) {
	var authority x509.UnknownAuthorityError
	var roots x509.SystemRootsError
	var invalid x509.CertificateInvalidError
	var host x509.HostnameError
	var record tls.RecordHeaderError
	switch {
	case errors.As(a.err, &authority), errors.As(a.err, &roots):
		return CertificateUnknown, true
	case errors.As(a.err, &invalid) && invalid.Reason == x509.Expired:
		return CertificateTime, true
	case errors.As(a.err, &host):
		return CertificateHost, true
	case errors.As(a.err, &record) && string(record.RecordHeader[:]) == "HTTP/":
		return PlainHTTP, true
	case handshakeAlert(a.err), a.handshakeFailed && !isNetwork(a.err):
		return TLSFailed, true
	default:
		return 0, false
	}
}

// handshakeAlert reports whether err is an alert that rejects the client's parameters or certificate. Alerts that can
// arrive at any time, such as internal_error, do not count.
func handshakeAlert(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	if !ok || op.Op != "remote error" {
		return false
	}
	refusals := []tls.AlertError{40, 42, 43, 44, 45, 46, 48, 49, 70, 71, 112, 116, 120} // RFC 8446, section 6.2
	return slices.ContainsFunc(refusals, func(alert tls.AlertError) bool {
		return op.Err.Error() == alert.Error() // the type of a received alert is not exported
	})
}

// isNetwork reports whether err means that there is no connection, or that it was lost.
func isNetwork(err error) bool {
	var network net.Error // includes system errors and net.ErrClosed
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &network) ||
		// net/http's errServerClosedIdle is not exported.
		err != nil && strings.HasSuffix(err.Error(), "server closed idle connection")
}
