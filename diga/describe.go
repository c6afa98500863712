package diga

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// transportError describes a.err.
func (a *attempt) transportError() *Error {
	e := &Error{Cause: a.cause(), Status: a.status, Err: a.err}
	switch e.Cause {
	case UnknownHost:
		e.Message = fmt.Sprintf("the host %s does not exist", a.host)
	case ProxyUnreachable, ProxyDenied:
		if proxy, ok := errors.AsType[*proxyError](a.err); ok {
			e.Message = fmt.Sprintf("the proxy %s returned %s", a.proxy, StatusText(proxy.status))
		} else {
			e.Message, e.Untrusted = fmt.Sprintf("could not connect to the proxy %s", a.proxy), reason(a.err)
		}
	case ProxyInvalid:
		e.Message, e.Untrusted = "invalid proxy settings in the environment", reason(a.err)
	case CertificateUnknown:
		e.Message = fmt.Sprintf("the certificate of %s was issued by an untrusted CA", a.host)
	case CertificateTime:
		e.Message = fmt.Sprintf("the certificate of %s is expired or not yet valid", a.host)
		if invalid, ok := errors.AsType[x509.CertificateInvalidError](a.err); ok && invalid.Cert != nil {
			const day = "2006-01-02 15:04 MST"
			e.Message += fmt.Sprintf(": valid from %s to %s",
				invalid.Cert.NotBefore.UTC().Format(day), invalid.Cert.NotAfter.UTC().Format(day))
		}
	case CertificateHost:
		e.Message = fmt.Sprintf("the certificate is not valid for %s", a.host)
	case PlainHTTP:
		e.Message = fmt.Sprintf("the server speaks plain HTTP on %s", a.host)
	case TLSFailed:
		e.Message, e.Untrusted = fmt.Sprintf("TLS handshake with %s failed", a.host), reason(a.err)
	case Timeout:
		e.Message = a.progress()
		if !a.hasErrorStatus() { // errorBodyTimeout applies to its body
			e.Message += " within " + seconds(attemptTimeout)
		}
	case InvalidReply:
		e.Message, e.Untrusted = "could not read the response", reason(a.err)
		if a.truncated() {
			e.Message = fmt.Sprintf("the response was cut off after %s", plural(len(a.body), "byte"))
		}
	default:
		e.Message, e.Untrusted = "no response from "+a.host, reason(a.err)
	}
	if e.Untrusted == closed || e.Untrusted == closedEarly {
		e.Message, e.Untrusted = e.Message+": "+e.Untrusted, "" // our own words
	}
	return e
}

// progress says how far an attempt got before it timed out.
func (a *attempt) progress() string {
	switch {
	case !a.connected:
		return "no connection to " + a.host
	case a.status == 0:
		return "no response from " + a.host
	default:
		return "incomplete response from " + a.host
	}
}

const (
	closed      = "the connection was closed"
	closedEarly = "the connection closed early"
)

// reason returns the text of the innermost error. The outer ones repeat the method, the addresses and even the proxy's
// password.
func reason(err error) string {
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return "DNS lookup: " + dns.Err
	}
	if errors.Is(err, errMalformed) {
		return err.Error() // our own
	}
	for inner := err; inner != nil; inner = errors.Unwrap(inner) {
		err = inner
	}
	switch {
	case errors.Is(err, io.EOF):
		return closed
	case errors.Is(err, io.ErrUnexpectedEOF):
		return closedEarly
	}
	return err.Error()
}

// StatusText returns a status with its name, such as "404 Not Found", or without it if it has none.
func StatusText(status int) string {
	if text := http.StatusText(status); text != "" {
		return strconv.Itoa(status) + " " + text
	}
	return strconv.Itoa(status)
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// seconds formats d as in "3600 s" and "1.25 s".
func seconds(d time.Duration) string {
	return strconv.FormatFloat(d.Round(10*time.Millisecond).Seconds(), 'f', -1, 64) + " s"
}
