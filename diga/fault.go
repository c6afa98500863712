package diga

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
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

// Everything that can go wrong with a request.
var (
	Internal = &Fault{"ACTION_INTERNAL", "", final, "A bug in this action.",
		"Report this as a bug and include this log."}
	Stopped   = &Fault{"", "", final, "A check no longer passes, so there is no retry.", ""}
	Cancelled = &Fault{"ACTION_CANCELLED", "", final, "The workflow was canceled or timed out.",
		"Run this step again."}
	TimedOut    = &Fault{"ACTION_TIMEOUT", "", again, "The API did not respond in time.", "Run this step again."}
	Unreachable = &Fault{"ACTION_NETWORK_ERROR", "", again, "There is no connection to the API, or it was lost.",
		"Check {api-url} and whether this runner can reach it, then run this step again."}
	UnknownHost = &Fault{"ACTION_NETWORK_ERROR", "", final, "The API's host is unknown.",
		"Check {api-url}, and whether this runner can resolve the host name."}
	ProxyFailed = &Fault{"ACTION_NETWORK_ERROR", "", again, "The proxy is unreachable, or cannot reach the API.",
		"Check the proxy in HTTPS_PROXY or HTTP_PROXY, or list the API's host in NO_PROXY."}
	ProxyRefused = &Fault{"ACTION_NETWORK_ERROR", "", final, "The proxy refuses to connect, or its settings are wrong.",
		"Check HTTPS_PROXY or HTTP_PROXY and the proxy's credentials, or list the API's host in NO_PROXY."}
	TLSFailed = &Fault{"ACTION_TLS_ERROR", "", final,
		"The certificate is untrusted or invalid, or the server does not speak TLS.",
		"Check {api-url} and the runner's clock. For a private CA, set SSL_CERT_FILE to a PEM file."}
	Redirected = &Fault{"ACTION_REDIRECT_REFUSED", "3xx", final,
		"A redirect: following it would send the token elsewhere.", "Set {api-url} to the address of the API itself."}
	Truncated    = &Fault{"ACTION_RESPONSE_INVALID", "200", again, "The response was cut off.", "Run this step again."}
	InvalidReply = &Fault{"ACTION_RESPONSE_INVALID", "2xx", final,
		"The response is not valid HTTP or JSON, or not the API's.",
		"Check that {api-url} points to the API, then run this step again."}
	Mismatch = &Fault{"ACTION_RESPONSE_MISMATCH", "2xx", final,
		"The API confirmed something other than what was requested.",
		"Check in Diga what is live before you do anything else."}
	BadRequest = &Fault{"", "400", final, "The API refused the version or a phone number: `BAD_PARAMETER`.",
		"Check that the version is not a draft, that each number is yours and free, and that the project has a number."}
	Unauthorized = &Fault{"", "401", final, "The API does not know the key: `INVALID_API_KEY`, `UNAUTHORIZED`.",
		"Check that {token} is complete, of this project and not expired (in Diga: Settings > Project > API Keys)."}
	Forbidden = &Fault{"", "403", final,
		"The key lacks a permission. The API's code for this may be `INTERNAL_SERVER_ERROR`.",
		"Give the key Write on Agents and Phones (Settings > Project > API Keys in Diga). The key stays the same."}
	NotFound = &Fault{"", "404", final, "The key's project has no such agent: `AGENT_NOT_FOUND`.",
		"Check {agent-id}, and that {token} belongs to the agent's project."}
	Unprocessable = &Fault{"", "422", final, "The API could not read a value.", "Correct these inputs."}
	Limited       = &Fault{"", "429", again, "The rate limit is exceeded. Retries do not count against {max-retries}.",
		"Run this step again later. Run fewer of these steps at once ({max-parallel}), or increase {timeout}."}
	Refused   = &Fault{"", "other 4xx", final, "The API refused the request.", "Check the inputs and {api-url}."}
	NotTheAPI = &Fault{"", "400 to 499", final, "A gateway refused the request: the body is not the API's own.",
		"Check {api-url} and {token}: this is not one of the API's own answers."}
	ServerFault = &Fault{"", "408, 500, 502, 503, 504, 520 to 524", again,
		"The API, or a gateway in front of it, failed.",
		"Try again later. If it persists, contact Diga with the request ID."}
	ServerError = &Fault{"", "other 5xx", final,
		"The API, or a gateway in front of it, failed with a status that is not retried.",
		"Try again later. If it persists, contact Diga with the request ID."}
)

// Faults lists all faults in the order of docs/errors.md, which is made from it.
var Faults = []*Fault{
	Internal, Stopped, Cancelled, TimedOut, Unreachable, UnknownHost, ProxyFailed, ProxyRefused, TLSFailed, Redirected,
	Truncated, InvalidReply, Mismatch, BadRequest, Unauthorized, Forbidden, NotFound, Unprocessable, Limited, Refused,
	NotTheAPI, ServerFault, ServerError,
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
	Cause   *Fault
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

// IsFinal reports whether the API, or what stands in front of it, has answered a read in a way that will not change: it
// is not allowed, does not exist here, or returns something else. An answer that was cut off does not count.
func (e *Error) IsFinal() bool {
	odd := e.Status == http.StatusOK && (e.Cause == Mismatch || e.Cause == InvalidReply)
	refused := 300 <= e.Status && e.Status < 500 && e.Status != http.StatusUnauthorized
	return odd || (refused || e.Status == http.StatusNotImplemented) && !e.Cause.Retried && e.Err == nil
}

// StatusText returns a status with its name, such as "404 Not Found", or without it if it has none.
func StatusText(status int) string {
	return strings.TrimSpace(strconv.Itoa(status) + " " + http.StatusText(status))
}

// Count returns a number with its noun, such as "1 attempt" or "3 attempts".
func Count(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return strconv.Itoa(n) + " " + noun
}

// FormatDuration formats d for a reader: "83 ms", "1.5 s", "61 s", "2.5 min", "1 h".
func FormatDuration(d time.Duration) string {
	if d >= 10*time.Second {
		d = d.Round(time.Second)
	}
	n, unit := float64(max(d.Milliseconds(), 1)), " ms"
	switch {
	case d >= time.Hour:
		n, unit = d.Hours(), " h"
	case d >= 2*time.Minute:
		n, unit = d.Minutes(), " min"
	case d >= time.Second:
		n, unit = d.Seconds(), " s"
	}
	return strconv.FormatFloat(math.Round(n*10)/10, 'f', -1, 64) + unit
}
