package diga

// Cause is the kind of thing that went wrong: what decides the advice that a reader needs.
type Cause int

// The causes. The API and whatever stands in front of it answer with Answered; all others are found on this side.
const (
	Answered           Cause = iota // a reply whose status is not 200
	UnknownHost                     // the name does not exist
	Unreachable                     // the connection could not be made, or was lost
	ProxyUnreachable                // the same, for the proxy on the way
	ProxyDenied                     // the proxy asks for credentials, or refuses
	ProxyInvalid                    // the environment's proxy variables cannot be used
	CertificateUnknown              // the certificate's authority is not trusted
	CertificateTime                 // the certificate is not valid at this machine's time
	CertificateHost                 // the certificate is for another host
	PlainHTTP                       // the server does not speak TLS
	TLSFailed                       // any other failure of TLS
	Timeout                         // the time of the attempt, or of everything, ran out
	Redirected                      // a redirect, which is not followed
	InvalidReply                    // a reply that cannot be read as HTTP, or a 200 that is no answer to the request
	Mismatch                        // a 200 that describes another publication than was asked for
	VersionNotFound                 // no version has the name
	VersionAmbiguous                // more than one version has it
	Stopped                         // BeforeRetry ended the call; it is the Err
	Cancelled                       // the context was cancelled; context.Cause says by what
	Internal                        // a request that could not even be built
)

// Effect is what is known, from the wire alone, of what a failed change has done.
type Effect int

// The effects, in rising order: that of several attempts is the largest of theirs.
const (
	NoEffect     Effect = iota // no attempt reached the API, or each was refused: nothing was applied
	MaybeApplied               // the API itself said that it failed: applied or not, it is over
	MaybePending               // a request may still be on its way, and take effect later
)

// Error is why a call failed.
type Error struct {
	Cause     Cause
	Status    int      // of the last reply that came; 0: none came
	Code      string   // the error_code of that reply when it is a plain word, else empty
	Message   string   // what happened, in our words, without a full stop
	Untrusted string   // the same in somebody else's words: the server's, or a library's. Clean it before showing it
	Details   []Detail // of a 422 or a Mismatch; as foreign as Untrusted
	Attempts  int      // requests sent
	GaveUp    string   // why it was not tried again, where that was the end of it; else empty
	LastReply *Error   // when Cause is Timeout or Cancelled: what the last reply had said; nil: there was none
	Effect    Effect   // what a change may have done all the same; NoEffect for a read
	Err       error
}

// Detail is one finding of a 422 reply.
type Detail struct {
	Field   string // the path to the field, joined by dots, such as "body.version_id"; may be empty
	Message string
}

func (e *Error) Error() string {
	text := e.Message
	if e.Untrusted != "" {
		text += ": " + e.Untrusted
	}
	for i, d := range e.Details {
		text += [...]string{": ", "; "}[min(i, 1)] + d.Field + ": " + d.Message
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
