package diga

import "strings"

// Cause is the kind of an [Error].
type Cause int

const (
	Answered           Cause = iota // a response with a status from 400 to 599
	UnknownHost                     // the host name does not exist
	Unreachable                     // the connection was not established, or was lost
	ProxyUnreachable                // could not connect to the proxy, or the proxy could not connect to the API
	ProxyDenied                     // the proxy requires credentials, or denies access
	ProxyInvalid                    // the proxy settings in the environment are invalid
	CertificateUnknown              // the certificate was issued by an unknown CA
	CertificateTime                 // the certificate is expired or not yet valid
	CertificateHost                 // the certificate is for another host
	PlainHTTP                       // the server does not speak TLS
	TLSFailed                       // any other TLS failure
	Timeout                         // the attempt took 30 s, or the context's deadline passed
	Redirected                      // a redirect, which is not followed
	InvalidReply                    // malformed HTTP, a 2xx other than 200, or a 200 whose body is not what the API returns
	Mismatch                        // a 200 for something other than requested
	VersionNotFound                 // no version has the name
	VersionAmbiguous                // several versions have the name
	Stopped                         // BeforeRetry returned an error, which is Err
	Cancelled                       // the context was cancelled; Err is its cause
	Internal                        // the request is invalid and was not sent
)

// Effect is what a failed change may have done, judging by its requests and responses. Over several attempts, the
// largest effect counts.
type Effect int

const (
	NoEffect     Effect = iota // nothing: every attempt was refused, or did not reach the API
	MaybeApplied               // the API itself reported an error: the change may have been applied, but nothing is pending
	MaybePending               // a request may still be in flight and take effect later
)

// Error is the error of every call.
//
// Message and GaveUp are safe to print. Untrusted and Details come from a server, a proxy or a library, and may contain
// anything, including control characters and data that was sent to the server.
type Error struct {
	Cause     Cause
	Status    int      // of the last response; 0: there was none
	Code      string   // error_code of the last response: 1 to 64 letters, digits and "_.-"; empty: it had no such code
	Message   string   // what happened
	Untrusted string   // more about it; may be empty
	Details   []Detail // of a 422 response, or of a Mismatch
	Attempts  int      // requests sent
	GaveUp    string   // why there was no further retry; empty: the error cannot be retried
	LastReply *Error   // if Cause is Timeout, Stopped or Cancelled: the error before that; may be nil
	Effect    Effect   // of a change; NoEffect for a read
	Err       error    // the underlying error; may be nil
}

// Detail is a problem with one field of a request or, in a Mismatch, of a response.
type Detail struct {
	Field   string // a path such as "body.version_id"; may be empty
	Message string
}

// Error returns everything but Code, Attempts and Effect, including the untrusted parts.
func (e *Error) Error() string {
	text := e.Message
	if e.Untrusted != "" {
		text += ": " + e.Untrusted
	}
	var details []string
	for _, d := range e.Details {
		details = append(details, d.Field+": "+d.Message)
	}
	if details != nil {
		text += ": " + strings.Join(details, "; ")
	}
	if e.GaveUp != "" {
		text += "; " + e.GaveUp
	}
	if e.LastReply != nil {
		text += "; before that: " + e.LastReply.Error()
	}
	return text
}

func (e *Error) Unwrap() error { return e.Err }
