package diga

import (
	"bytes"
	"cmp"
	"compress/flate"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

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
	Cancelled                       // the context was cancelled; context.Cause says by what
	Internal                        // a request that could not even be built
)

// Error is why a call failed.
type Error struct {
	Cause    Cause
	Status   int      // of the last reply that came; 0: none came
	Code     string   // the error_code of that reply when it is a plain word, else empty
	Message  string   // what happened, in our words, without a full stop
	Said     string   // the same in somebody else's words: the server's, or a library's. Clean it before showing it
	Details  []Detail // of a 422; as foreign as Said
	Attempts int      // requests sent
	GaveUp   string   // why it was not tried again, where that was the end of it; else empty
	Before   *Error   // when Cause is Timeout or Cancelled: what the last reply had said; nil: there was none
	Unknown  bool     // the change may have been applied
	Err      error
}

// Detail is one finding of a 422 reply.
type Detail struct {
	Field   string // the path to the field, joined by dots, such as "body.version_id"; may be empty
	Message string
}

func (e *Error) Error() string {
	text := e.Message
	if e.Said != "" {
		text += ": " + e.Said
	}
	if e.GaveUp != "" {
		text += "; " + e.GaveUp
	}
	if e.Before != nil {
		text += "; before that: " + e.Before.Error()
	}
	return text
}

func (e *Error) Unwrap() error { return e.Err }

var (
	errMalformed = errors.New("not HTTP as it should be")
	errTooLarge  = fmt.Errorf("a body of more than %d bytes", maxBodyBytes)
)

// proxyError is a proxy's refusal to connect; or, with status 0, net/http's refusal to use the environment's proxy.
type proxyError struct {
	status int
	err    error
}

func (e *proxyError) Error() string { return "using the proxy" }

func (e *proxyError) Unwrap() error { return e.err }

// mayHaveApplied decides, from what happened on the wire, whether a change may be in force although this attempt
// brought no good reply: it is the one place that does.
func (a *attempt) mayHaveApplied() bool {
	switch {
	case !a.sent:
		return false
	case a.status == 0:
		// The request went out and nothing readable came back. Only a TLS alert about the handshake tells that the
		// server never looked at it: TLS 1.3 lets a client write before the server has judged its certificate.
		return !handshakeAlert(a.err)
	case a.status < 300:
		return true
	case a.status == http.StatusBadGateway, a.status == http.StatusGatewayTimeout, 520 <= a.status && a.status <= 529:
		return true // a gateway does not know what became of the request
	default:
		return false
	}
}

// worthRetrying reports whether another attempt may end better.
func (a *attempt) worthRetrying() bool {
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
		if (&attempt{status: proxy.status}).worthRetrying() {
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
	case a.late:
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

// failure is the *Error of a call that ended without a whole 200.
func (c *call) failure(ctx context.Context) *Error {
	e := c.known
	if ended := context.Cause(ctx); ended != nil {
		switch {
		case errors.Is(ctx.Err(), context.Canceled):
			e = &Error{Cause: Cancelled, Message: ended.Error(), Before: c.known, Err: ended}
		case e == nil || e.Status == 0 || e.Status == http.StatusOK:
			e = &Error{Cause: Timeout, Message: ended.Error(), Before: c.known, Err: ended}
			if c.last.cut != nil {
				e.Message = c.last.silence() + "; " + ended.Error()
			}
		default:
			c.gaveUp = ended.Error()
		}
		if c.known != nil {
			e.Status = c.known.Status
		}
	}
	if e.Cause == Answered && c.last.status == 0 && c.last.cut == nil {
		c.gaveUp = cmp.Or(c.gaveUp, "gave up") + "; the last attempt ended otherwise: " + c.last.transportError().Message // not what others said: GaveUp is shown as it is
	}
	e.Attempts, e.GaveUp = c.attempts, c.gaveUp
	e.Unknown = c.unknown && c.method == http.MethodPatch
	return e
}

// good reports whether a whole 200 came.
func (a *attempt) good() bool { return a.status == http.StatusOK && a.err == nil }

// answered reports whether a reply came that needs no body to say what it means.
func (a *attempt) answered() bool { return a.status != 0 && a.status != http.StatusOK }

// outcome is the error of an attempt that was not good.
func (a *attempt) outcome() *Error {
	if a.answered() {
		return a.answer()
	}
	return a.transportError()
}

// trouble is what kept the attempt from bringing a whole reply, in words; nil: nothing did.
func (a *attempt) trouble() error {
	switch {
	case a.err == nil:
		return nil
	case a.cut != nil:
		return a.cut
	default:
		return a.transportError()
	}
}

// transportError puts a.err into words.
func (a *attempt) transportError() *Error {
	e := &Error{Cause: a.cause(), Status: a.status, Err: a.err}
	var invalid x509.CertificateInvalidError
	var proxy *proxyError
	switch e.Cause {
	case UnknownHost:
		e.Message = fmt.Sprintf("the host %s does not exist", a.host)
	case ProxyUnreachable, ProxyDenied:
		if errors.As(a.err, &proxy) {
			e.Message = fmt.Sprintf("the proxy %s answered %s", a.proxy, StatusText(proxy.status))
		} else {
			e.Message, e.Said = fmt.Sprintf("no connection to the proxy %s", a.proxy), reason(a.err)
		}
	case ProxyInvalid:
		e.Message, e.Said = "the proxy variables in the environment cannot be used", reason(a.err)
	case CertificateUnknown:
		e.Message = fmt.Sprintf("the certificate of %s is from an authority that is not trusted here", a.host)
	case CertificateTime:
		e.Message = fmt.Sprintf("the certificate of %s is not valid at this machine's time", a.host)
		if errors.As(a.err, &invalid) && invalid.Cert != nil {
			const day = "2006-01-02 15:04 MST"
			e.Message += fmt.Sprintf(": it is valid from %s to %s",
				invalid.Cert.NotBefore.UTC().Format(day), invalid.Cert.NotAfter.UTC().Format(day))
		}
	case CertificateHost:
		e.Message = fmt.Sprintf("the certificate is not for %s", a.host)
	case PlainHTTP:
		e.Message = fmt.Sprintf("the server speaks plain HTTP on %s", a.host)
	case TLSFailed:
		e.Message, e.Said = fmt.Sprintf("no secure connection to %s", a.host), reason(a.err)
	case Timeout:
		e.Message = a.silence()
		if !a.answered() { // which has less time for the rest
			e.Message += " within " + seconds(attemptTimeout)
		}
	case InvalidReply:
		e.Message, e.Said = "the reply cannot be read", reason(a.err)
		if a.truncated() {
			e.Message = fmt.Sprintf("the reply breaks off after %s", plural(len(a.body), "byte"))
		}
	default:
		e.Message, e.Said = "no reply from "+a.host, reason(a.err)
	}
	return e
}

// silence says how far an attempt got until its time was up.
func (a *attempt) silence() string {
	switch {
	case !a.got:
		return "no connection to " + a.host
	case a.status == 0:
		return "no reply from " + a.host
	default:
		return "no end of the reply from " + a.host
	}
}

// reason is the innermost cause of err. The layers above it repeat the method, the addresses and, for a proxy, more
// than should be shown.
func reason(err error) string {
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return "looking up the name: " + dns.Err
	}
	for inner := err; inner != nil && inner != errMalformed; inner = errors.Unwrap(inner) {
		err = inner
	}
	switch err {
	case io.EOF:
		return "the connection was closed"
	case io.ErrUnexpectedEOF:
		return "the connection was closed half-way"
	}
	return err.Error()
}

// plainWord reports whether s is 1 to 64 ASCII letters, digits, underscores, dots and hyphens.
func plainWord(s string) bool {
	return 0 < len(s) && len(s) <= 64 && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || 'z' < r) && (r < 'A' || 'Z' < r) && (r < '0' || '9' < r) && !strings.ContainsRune("_.-", r)
	})
}

// answer puts a reply that is not a 200 into words: the API's own where it has some.
func (a *attempt) answer() *Error {
	e := &Error{Cause: Answered, Status: a.status}
	said := "the API answered " + StatusText(a.status)
	switch {
	case a.status == http.StatusProxyAuthRequired && a.proxy != "":
		e.Cause = ProxyDenied
		e.Message = fmt.Sprintf("the proxy %s answered %s", a.proxy, StatusText(a.status))
		return e
	case a.status < 300:
		e.Cause = InvalidReply
		e.Message = said + ", which is not how a publication is confirmed"
		return e
	case a.status < 400:
		e.Cause = Redirected
		e.Message = said + ", a redirect, which is not followed"
		e.Said = a.redirectHost()
		return e
	}
	var text string
	fields, err := object(a.body)
	switch {
	case err != nil && a.err == nil:
		text = plainText(a.body)
	case err == nil:
		var code string
		if json.Unmarshal(fields["error_code"], &code) == nil && plainWord(code) {
			e.Code = code
		}
		_ = json.Unmarshal(fields["message"], &text)
		if detail := fields["detail"]; detail != nil && json.Unmarshal(detail, &text) != nil {
			e.Details = details(detail)
		}
	}
	e.Message, e.Said = said, strings.TrimSpace(text)
	return e
}

// redirectHost is the host of the Location header, and no more of it: a path or a query may hold what is not meant for
// a log. It is empty where there is none.
func (a *attempt) redirectHost() string {
	target, err := url.Parse(a.header.Get("Location"))
	if err != nil || target.Host == "" {
		return ""
	}
	return "to " + target.Host
}

// details reads the findings of a FastAPI validation error. It takes no part of them but loc and msg: input, ctx and
// url repeat what was sent.
func details(data json.RawMessage) []Detail {
	var items []struct {
		Loc []json.RawMessage `json:"loc"`
		Msg string            `json:"msg"`
	}
	if json.Unmarshal(data, &items) != nil {
		return nil
	}
	found := make([]Detail, 0, len(items))
	for _, item := range items {
		var path []string
		for _, part := range item.Loc {
			if part[0] != '{' && part[0] != '[' { // neither is a part of a path, and may repeat what was sent
				path = append(path, strings.Trim(string(part), `"`))
			}
		}
		found = append(found, Detail{Field: strings.Join(path, "."), Message: item.Msg})
	}
	return found
}

// plainText is what a reader sees of a body that is not JSON: an HTML page's title, or else the text between its tags.
// Broken JSON is not shown: what it repeats of the request could not be told from what it says. The text is never cut
// here, and that of a body that broke off never shown: half a secret would pass for harmless.
func plainText(body []byte) string {
	text := string(body)
	if _, rest, ok := strings.Cut(text, "<title>"); ok {
		text, _, _ = strings.Cut(rest, "</title>")
	}
	text = regexp.MustCompile(`<[^>]*>?`).ReplaceAllString(text, " ")
	text = strings.TrimFunc(text, func(r rune) bool { return r == ' ' || !unicode.IsPrint(r) })
	if strings.HasPrefix(text, "{") || strings.HasPrefix(text, "[") {
		return ""
	}
	return strings.Join(strings.Fields(text), " ")
}

// StatusText is a status with its name: "404 Not Found".
func StatusText(status int) string {
	if text := http.StatusText(status); text != "" {
		return strconv.Itoa(status) + " " + text
	}
	return strconv.Itoa(status)
}

// object reads a body that is one JSON object and nothing else. Names are matched exactly and may not stand twice:
// encoding/json would fold their case and let the last one win, and two readers of one reply could then disagree.
func object(body []byte) (map[string]json.RawMessage, error) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	if open, err := decoder.Token(); err != nil || open != json.Delim('{') {
		return nil, errors.New("not a JSON object")
	}
	fields := make(map[string]json.RawMessage)
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		key := name.(string)
		if _, twice := fields[key]; twice {
			return nil, fmt.Errorf("the name %q stands twice", key)
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, err
		}
		fields[key] = value
	}
	if _, err := decoder.Token(); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, errors.New("more text after the JSON object")
	}
	return fields, nil
}
