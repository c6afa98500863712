package diga

import "strings"

// Cause is the kind of an [Error].
type Cause int

const (
	Answered           Cause = iota // a reply with a status from 400 to 599
	UnknownHost                     // the host name does not exist
	Unreachable                     // the connection was not established, or was lost
	ProxyUnreachable                // the connection to the proxy was not established, or the proxy has none to the API
	ProxyDenied                     // the proxy requires credentials, or denies access
	ProxyInvalid                    // the proxy variables of the environment cannot be used
	CertificateUnknown              // the certificate is signed by an unknown authority
	CertificateTime                 // the certificate is expired or not yet valid
	CertificateHost                 // the certificate is for another host
	PlainHTTP                       // the server does not speak TLS
	TLSFailed                       // any other failure of TLS
	Timeout                         // the attempt took 30 s, or the context's deadline passed
	Redirected                      // a redirect; they are not followed
	InvalidReply                    // malformed HTTP, a 2xx other than 200, or a 200 whose body is not what the API returns
	Mismatch                        // a 200 for something other than what was asked for
	VersionNotFound                 // no version has the name
	VersionAmbiguous                // several versions have the name
	Stopped                         // BeforeRetry returned an error, which is Err
	Cancelled                       // the context was cancelled; Err is its cause
	Internal                        // the request is invalid and was not sent
)

// Effect is what a failed change may have done, as far as its requests and replies tell. The effect of several attempts
// is the largest of theirs.
type Effect int

const (
	NoEffect     Effect = iota // nothing: every attempt was refused, or did not reach the API
	MaybeApplied               // the API reported a failure of its own: nothing else will happen, but something may have
	MaybePending               // a request may still be on its way, and take effect later
)

// Error is the error of every call.
//
// Message and GaveUp are safe to print. Untrusted and Details repeat what a server, a proxy or a library said, and may
// hold anything, including control characters and what was sent to the server.
type Error struct {
	Cause     Cause
	Status    int      // of the last reply; 0: there was none
	Code      string   // error_code of the last reply: 1 to 64 letters, digits and "_.-"; empty: it had no such code
	Message   string   // what happened
	Untrusted string   // more about it; may be empty
	Details   []Detail // of a 422 reply, or of a Mismatch
	Attempts  int      // requests sent
	GaveUp    string   // why there was no further retry; empty: the error cannot be retried
	LastReply *Error   // if Cause is Timeout, Stopped or Cancelled: the error before that; may be nil
	Effect    Effect   // of a change; NoEffect for a read
	Err       error    // the underlying error; may be nil
}

// Detail is what is wrong with one field of a request or, in a Mismatch, of a reply.
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
