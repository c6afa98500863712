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
	errTooLarge  = fmt.Errorf("a body of more than %d bytes", maxBodyBytes)
)

// effect says what this attempt at a change may have done, although it brought no good reply. It is the one place that
// decides this, from what happened on the wire.
func (a *attempt) effect() Effect {
	switch {
	case !a.sent:
		return NoEffect
	case a.status == 0 && handshakeAlert(a.err):
		return NoEffect // TLS 1.3 lets a client write before the server has judged its certificate
	case 300 <= a.status && a.status < 500 && a.status != http.StatusRequestTimeout:
		return NoEffect // refused
	case a.fromAPI():
		return MaybeApplied
	default:
		// No readable reply, a 2xx that is not a confirmation, or the error page of something in front of the API: the
		// request behind it may be applied already, or later, or never.
		return MaybePending
	}
}

// fromAPI reports whether the API itself wrote this error reply: its body is the contract's ErrorResponseSchema.
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

// worthRetrying reports whether another attempt may end better.
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

// truncated reports whether a 200 began and its body broke off, or broke apart between chunks.
func (a *attempt) truncated() bool {
	var corrupt flate.CorruptInputError
	return a.status == http.StatusOK && a.err != nil &&
		!errors.Is(a.err, errMalformed) && !errors.Is(a.err, errTooLarge) &&
		!errors.Is(a.err, gzip.ErrHeader) && !errors.Is(a.err, gzip.ErrChecksum) && !errors.As(a.err, &corrupt)
}

// cause classifies an attempt that has an error and no status to go by, by the error's type wherever it has one.
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
	// net/http has no type for a reply that it cannot read, but every loss of a connection has one. HTTP/2's own errors
	// are about the stream or the connection, and a new connection is the cure for either.
	if isNetwork(a.err) || a.http2 {
		return Unreachable
	}
	return InvalidReply
}

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

// handshakeAlert reports whether err is an alert by which the server turns this client down, for what it offers or for
// its certificate. The alerts that can come at any time, such as internal_error, are none of these.
func handshakeAlert(err error) bool {
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "remote error" {
		return false
	}
	refusals := []tls.AlertError{40, 42, 43, 44, 45, 46, 48, 49, 70, 71, 112, 116, 120} // RFC 8446, section 6.2
	return slices.ContainsFunc(refusals, func(alert tls.AlertError) bool {
		return op.Err.Error() == alert.Error() // a received alert has a type that crypto/tls keeps to itself
	})
}

// isNetwork reports whether err is the loss or the lack of a connection.
func isNetwork(err error) bool {
	var network net.Error // system errors and net.ErrClosed among them
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &network) ||
		// The one loss without a type: the server closed the connection after the previous reply.
		err != nil && strings.HasSuffix(err.Error(), "server closed idle connection")
}
