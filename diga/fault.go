package diga

import (
	"compress/flate"
	"compress/gzip"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
)

// Cause is the kind of an [Error]: the index of its row in [Faults].
type Cause int

// The causes of errors.
const (
	Internal Cause = iota
	Stopped
	Cancelled
	TimedOut
	Unreachable
	UnknownHost
	ProxyFailed
	ProxyRefused
	TLSFailed
	Redirected
	Truncated
	InvalidReply
	Mismatch
	BadRequest
	Unauthorized
	Forbidden
	NotFound
	Unprocessable
	Limited
	Refused
	NotTheAPI
	ServerFault
	ServerError
)

// Fault is a kind of failure.
type Fault struct {
	Code    string // of the step; empty: the API's error_code or, without one, HTTP_<status>
	Status  string // HTTP statuses; empty: any or none
	Retried bool   // another attempt may succeed
	Means   string
	Advice  string // what to do; {name} is an input of the step
}

const again, final = true, false // for Fault.Retried

// Faults is everything that can go wrong with a request, by its [Cause]. docs/errors.md is made from it.
var Faults = [...]Fault{
	Internal: {"ACTION_INTERNAL", "", final, "A bug in this action.",
		"Report this as a bug and include this log."},
	Stopped: {"", "", final, "A check no longer passes, so there is no retry.",
		""},
	Cancelled: {"ACTION_CANCELLED", "", final, "The workflow was canceled or timed out.",
		"Run this step again."},
	TimedOut: {"ACTION_TIMEOUT", "", again, "The API did not respond in time.",
		"Run this step again."},
	Unreachable: {"ACTION_NETWORK_ERROR", "", again, "There is no connection to the API, or it was lost.",
		"Check {api-url} and whether this runner can reach it, then run this step again."},
	UnknownHost: {"ACTION_NETWORK_ERROR", "", final, "The API's host is unknown.",
		"Check {api-url}, and whether this runner can resolve the host name."},
	ProxyFailed: {"ACTION_NETWORK_ERROR", "", again, "The proxy is unreachable, or cannot reach the API.",
		"Check the proxy in HTTPS_PROXY or HTTP_PROXY, or list the API's host in NO_PROXY."},
	ProxyRefused: {"ACTION_NETWORK_ERROR", "", final, "The proxy refuses to connect, or its settings are wrong.",
		"Check HTTPS_PROXY or HTTP_PROXY and the proxy's credentials, or list the API's host in NO_PROXY."},
	TLSFailed: {"ACTION_TLS_ERROR", "", final, "The certificate is untrusted or invalid, or the server speaks no TLS.",
		"Check {api-url} and the runner's clock. For a private CA, set SSL_CERT_FILE to a PEM file."},
	Redirected: {"ACTION_REDIRECT_REFUSED", "3xx", final, "A redirect: to follow it would send the token elsewhere.",
		"Set {api-url} to the address of the API itself."},
	Truncated: {"ACTION_RESPONSE_INVALID", "200", again, "The response was cut off.",
		"Run this step again."},
	InvalidReply: {"ACTION_RESPONSE_INVALID", "2xx", final, "The response is not valid HTTP or JSON, or not the API's.",
		"Check that {api-url} points to the API, then run this step again."},
	Mismatch: {"ACTION_RESPONSE_MISMATCH", "2xx", final, "The API confirmed something else than was requested.",
		"Check in Diga what is live before you do anything else."},
	BadRequest: {"", "400", final, "The API refused the version or a phone number: `BAD_PARAMETER`.",
		"Check that the version is not a draft, that each number is yours and free, and that the project has a number."},
	Unauthorized: {"", "401", final, "The API does not know the key: `INVALID_API_KEY`, `UNAUTHORIZED`.",
		"Is {token} complete, of this project, not expired? Keys are in Diga under Settings > Project > API Keys."},
	Forbidden: {"", "403", final, "The key lacks a permission. The API's code for this may be `INTERNAL_SERVER_ERROR`.",
		"Give the key Write on Agents and Phones (Settings > Project > API Keys in Diga). The key stays the same."},
	NotFound: {"", "404", final, "The key's project has no such agent: `AGENT_NOT_FOUND`.",
		"Check {agent-id}, and that {token} belongs to the agent's project."},
	Unprocessable: {"", "422", final, "The API could not read a value.",
		"Correct these inputs."},
	Limited: {"", "429", again, "The rate limit is exceeded. Retries do not count against {max-retries}.",
		"Run this step again later. Run fewer of these steps at once ({max-parallel}), or increase {timeout}."},
	Refused: {"", "other 4xx", final, "The API refused the request.",
		"Check the inputs and {api-url}."},
	NotTheAPI: {"", "400 to 499", final, "A gateway refused the request: the body is not the API's own.",
		"Check {api-url} and {token}: this response is not from the API itself."},
	ServerFault: {"", "408, 500, 502, 503, 504, 520 to 524", again, "The API, or a gateway in front of it, failed.",
		"Try again later. If it persists, contact Diga with the request ID."},
	ServerError: {"", "other 5xx", final, "The API, or a gateway in front of it, failed for good.",
		"Try again later. If it persists, contact Diga with the request ID."},
}

// Effect is what a failed change may have done, judging by its requests and responses. Over several attempts, the
// largest effect counts.
type Effect int

const (
	NoEffect     Effect = iota // nothing: every attempt was refused, or did not reach the API
	MaybeApplied               // the API itself reported an error: applied or not, nothing is pending
	MaybePending               // a request may still be in flight and take effect later
)

// Foreign is text from a server, a proxy or a library. It may contain anything, including control characters and data
// that was sent to the server, so it must be cleaned before it is shown.
type Foreign string

// Error is the error of every call. Message and GaveUp are our own words, safe to print.
type Error struct {
	Cause   Cause
	Status  int      // of the last response; 0: there was none
	Code    string   // error_code of the last response: 1 to 64 letters, digits and "_.-"; empty: it had no such code
	Message string   // what happened
	Said    Foreign  // more about it; may be empty
	Details []Detail // of a 422 response, or of a Mismatch
	GaveUp  string   // why there was no further retry; empty: the error cannot be retried
	Last    *Error   // if Cause is TimedOut, Stopped or Cancelled: the error before that; may be nil
	Effect  Effect   // of a change; NoEffect for a read
	Err     error    // the underlying error; may be nil
}

// Detail is a problem with one field of a request or, in a Mismatch, of a response.
type Detail struct {
	Field   string // a path such as "body.version_id"; may be empty
	Message Foreign
}

// Error returns the message and, unclean, what the other side said.
func (e *Error) Error() string {
	text := e.Message
	if e.Said != "" {
		text += ": " + string(e.Said)
	}
	return text
}

func (e *Error) Unwrap() error { return e.Err }

// Advice says what to do about the error; {name} is an input of the step.
func (e *Error) Advice() string { return Faults[e.Cause].Advice }

// IsFinal reports whether the API, or what stands in front of it, has answered a read in a way that will not change: it
// is not allowed, does not exist here, or returns something else. An answer that was cut off does not count.
func (e *Error) IsFinal() bool {
	switch e.Cause {
	case BadRequest, Forbidden, NotFound, Unprocessable, Refused, NotTheAPI, Redirected, Mismatch:
		return e.Status != http.StatusUnauthorized && e.Err == nil
	case InvalidReply:
		return e.Status == http.StatusOK
	default:
		return e.Status == http.StatusNotImplemented
	}
}

var (
	errMalformed = errors.New("malformed HTTP")
	errTooLarge  = errors.New("body exceeds")
)

// cause classifies the attempt, by type where possible. It is the only place that does.
func (a *attempt) cause() Cause {
	if a.hasErrorStatus() {
		return a.statusCause()
	}
	var proxy *proxyError
	var dns *net.DNSError
	var op *net.OpError
	var network net.Error // includes system errors and net.ErrClosed
	lost := errors.Is(a.err, io.EOF) || errors.Is(a.err, io.ErrUnexpectedEOF) || errors.As(a.err, &network) ||
		// net/http's errServerClosedIdle is not exported.
		a.err != nil && strings.HasSuffix(a.err.Error(), "server closed idle connection")
	switch {
	case errors.Is(a.err, errMalformed), errors.Is(a.err, errTooLarge):
		return InvalidReply
	case errors.As(a.err, &proxy):
		if (&attempt{status: proxy.status}).cause() == ServerFault {
			return ProxyFailed
		}
		return ProxyRefused
	case errors.As(a.err, &op) && op.Op == "proxyconnect":
		return ProxyFailed
	case errors.As(a.err, &dns) && dns.IsNotFound:
		return UnknownHost
	case a.timedOut, network != nil && network.Timeout():
		return TimedOut
	case a.status != 0 && errors.As(a.err, &op):
		return Unreachable // reset in the middle of the body
	case errors.Is(a.err, gzip.ErrHeader), errors.Is(a.err, gzip.ErrChecksum),
		errors.As(a.err, new(flate.CorruptInputError)):
		return InvalidReply
	case a.status != 0:
		return Truncated
	case a.isTLS():
		return TLSFailed
	case lost, a.http2: // HTTP/2 errors affect the stream or the connection; a new connection fixes both
		return Unreachable
	default: // net/http has no error type for a malformed response
		return InvalidReply
	}
}

func (a *attempt) statusCause() Cause {
	own := a.reply().own
	switch s := a.status; {
	case s == http.StatusProxyAuthRequired && a.proxy != "":
		return ProxyRefused
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
	case s == http.StatusUnprocessableEntity && (own || len(a.reply().details) > 0):
		return Unprocessable
	case !own:
		return NotTheAPI
	}
	if cause, ok := map[int]Cause{400: BadRequest, 401: Unauthorized, 403: Forbidden, 404: NotFound}[a.status]; ok {
		return cause
	}
	return Refused
}

// isTLS reports whether TLS failed, rather than the connection below it.
func (a *attempt) isTLS() bool {
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	op, remote := errors.AsType[*net.OpError](a.err)
	return errors.As(a.err, &certificate) || errors.As(a.err, &record) ||
		remote && op.Op == "remote error" || // the type of a received alert is not exported
		a.err != nil && strings.HasPrefix(innermost(a.err).Error(), "tls: ")
}

// effect returns what this attempt at a change may have done, unless its response is a 200 that confirms the change.
func (a *attempt) effect() Effect {
	alert, _ := errors.AsType[*net.OpError](a.err)
	switch {
	case !a.sent:
		return NoEffect
	case alert != nil && alert.Op == "remote error" && strings.Contains(alert.Err.Error(), "certificate"):
		return NoEffect // in TLS 1.3, a client writes its request before the server has checked the client's certificate
	case 300 <= a.status && a.status < 500 && a.status != http.StatusRequestTimeout:
		return NoEffect // refused
	case a.status >= 400 && a.reply().own:
		return MaybeApplied
	default:
		// No readable response, a 2xx that confirms nothing, or a gateway's error, which says nothing about the request
		// behind it.
		return MaybePending
	}
}

// toError returns the error of an attempt that is not ok.
func (a *attempt) toError() *Error {
	e := &Error{Cause: a.cause(), Status: a.status, Err: a.err}
	if a.hasErrorStatus() {
		a.describeStatus(e)
		return e
	}
	switch proxy, _ := errors.AsType[*proxyError](a.err); {
	case proxy != nil && proxy.status != 0:
		e.Message = fmt.Sprintf("the proxy %s returned %s", a.proxy, StatusText(proxy.status))
	case proxy != nil:
		e.Message, e.Said = "cannot use the proxy", Foreign(proxy.reason)
	case e.Cause == ProxyFailed:
		e.Message, e.Said = "could not connect to the proxy "+a.proxy, reason(a.err)
	case e.Cause == UnknownHost:
		e.Message = fmt.Sprintf("the host %s does not exist", a.host)
	case e.Cause == TLSFailed:
		e.Message, e.Said = fmt.Sprintf("TLS with %s failed", a.host), tlsReason(a.err)
	case e.Cause == TimedOut:
		limit := attemptTimeout
		if !a.sent && !a.timedOut {
			limit = connectTimeout
		}
		e.Message = a.progress() + " within " + FormatDuration(limit)
	case e.Cause == Truncated:
		e.Message = fmt.Sprintf("the response was cut off after %d bytes", len(a.body))
	case e.Cause == InvalidReply:
		e.Message, e.Said = "could not read the response", reason(a.err)
	default:
		e.Message, e.Said = "no response from "+a.host, reason(a.err)
	}
	return e
}

// progress says how far an attempt got before it ended.
func (a *attempt) progress() string {
	switch {
	case !a.sent:
		return "no connection to " + a.host
	case a.status == 0:
		return "no response from " + a.host
	default:
		return "incomplete response from " + a.host
	}
}
