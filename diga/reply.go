package diga

import (
	"cmp"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"html"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// reply is what the body of an error says.
type reply struct {
	own     bool   // it has the shape of the API's own errors, OpenAPI's ErrorResponseSchema
	code    string // plain word; empty: none
	text    Foreign
	details []Detail // of a 422
}

// reply parses the body, once.
func (a *attempt) reply() *reply {
	if a.parsed == nil {
		a.parsed = new(reply)
		if a.err == nil {
			*a.parsed = parseReply(a.body)
		}
	}
	return a.parsed
}

// parseReply reads an error in the shape of the API, of its framework or of common gateways, or the text of a page.
func parseReply(body []byte) (r reply) {
	fields, err := object(body)
	if err != nil {
		r.text = pageText(body)
		return r
	}
	detail, _ := object(fields["detail"])
	inner, _ := object(fields["error"])
	var list []json.RawMessage
	_ = json.Unmarshal(fields["errors"], &list)
	var first map[string]json.RawMessage
	if len(list) > 0 {
		first, _ = object(list[0])
	}
	texts := []json.RawMessage{fields["message"], fields["detail"], detail["message"],
		inner["message"], fields["error"], first["message"], fields["title"]}
	for _, f := range []map[string]json.RawMessage{fields, detail} {
		if code := text(f["error_code"]); r.code == "" && isPlainWord(string(code)) {
			r.code, r.own = string(code), isString(f["message"])
			if r.own {
				texts = []json.RawMessage{f["message"]}
			}
		}
	}
	for _, data := range texts {
		r.text = cmp.Or(r.text, text(data))
	}
	r.details = details(fields["detail"])
	return r
}

func isString(data json.RawMessage) bool { return len(data) > 0 && data[0] == '"' }

// text returns a JSON string, trimmed, or "" for anything else.
func text(data json.RawMessage) Foreign {
	var s string
	_ = json.Unmarshal(data, &s)
	return Foreign(strings.TrimSpace(s))
}

// isPlainWord reports whether s is 1 to 64 ASCII letters, digits, underscores, dots and hyphens.
func isPlainWord(s string) bool {
	return 0 < len(s) && len(s) <= 64 && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || 'z' < r) && (r < 'A' || 'Z' < r) && (r < '0' || '9' < r) && !strings.ContainsRune("_.-", r)
	})
}

// details reads OpenAPI's HTTPValidationError, item by item: what cannot be read is left out. It reads only loc and
// msg: input, ctx and url echo the request.
func details(data json.RawMessage) (found []Detail) {
	var items, loc []json.RawMessage
	_ = json.Unmarshal(data, &items)
	for _, item := range items {
		fields, _ := object(item)
		d := Detail{Field: string(text(fields["loc"])), Message: cmp.Or(text(item), text(fields["msg"]))}
		loc = nil
		_ = json.Unmarshal(fields["loc"], &loc)
		for _, part := range loc {
			if part[0] != '{' && part[0] != '[' { // not part of a path, and may echo the request
				d.Field = strings.TrimPrefix(d.Field+"."+strings.Trim(string(part), `"`), ".")
			}
		}
		if d.Message != "" {
			found = append(found, d)
		}
	}
	return found
}

// pageText returns the title of an HTML page, or else its visible text. It returns "" for invalid JSON, which may echo
// the request. The text is not truncated: a truncated secret could no longer be recognized.
func pageText(body []byte) Foreign {
	page := string(body)
	if title := regexp.MustCompile(`(?is)<title[^>]*>(.*?)</title`).FindStringSubmatch(page); title != nil {
		page = title[1]
	}
	page = regexp.MustCompile(`(?is)<!--.*?-->|<style.*?</style|<script.*?</script`).ReplaceAllString(page, " <")
	page = html.UnescapeString(regexp.MustCompile(`<[^>]*>?`).ReplaceAllString(page, " "))
	page = strings.TrimFunc(page, func(r rune) bool { return r == ' ' || !unicode.IsPrint(r) })
	if strings.HasPrefix(page, "{") || strings.HasPrefix(page, "[") {
		return ""
	}
	return Foreign(strings.Join(strings.Fields(page), " "))
}

// describeStatus completes the error of a response that is not a 200, with the API's own message if there is one.
func (a *attempt) describeStatus(e *Error) {
	e.Message = "the API returned " + StatusText(a.status)
	switch e.Cause {
	case ProxyRefused:
		e.Message = fmt.Sprintf("the proxy %s returned %s", a.proxy, StatusText(a.status))
	case InvalidReply:
		e.Message += ", expected 200 OK"
	case Redirected:
		e.Message += " (redirects are not followed)"
		// The host alone: the path and query may be secret.
		if target, err := url.Parse(a.header.Get("Location")); err == nil && target.Host != "" {
			e.Said = Foreign("redirect to " + target.Host)
		}
	default:
		r := a.reply()
		e.Code, e.Details = r.code, r.details
		if string(r.text) != http.StatusText(a.status) {
			e.Said = r.text
		}
	}
}

// invalidReply is the error for a 200 with an unexpected body. If that has the shape of the API's errors, it says what
// the API said.
func invalidReply(wanted string, body []byte, err error, effect Effect) *Error {
	e := &Error{Cause: InvalidReply, Status: http.StatusOK, Said: Foreign(err.Error()), Effect: effect, Err: err}
	e.Message = "the API returned 200 OK, but not " + wanted
	if r := parseReply(body); r.own {
		e.Code, e.Said, e.Message = r.code, r.text, "the API returned 200 OK with an error"
	}
	return e
}

func mismatch(format string, args ...any) *Error {
	return &Error{Cause: Mismatch, Status: http.StatusOK, Message: fmt.Sprintf(format, args...)}
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
	case errors.Is(err, errMalformed), errors.Is(err, errTooLarge):
		return Foreign(err.Error())
	case errors.Is(inner, io.EOF):
		return "the connection was closed"
	case errors.Is(inner, io.ErrUnexpectedEOF):
		return "the connection closed early"
	default:
		return Foreign(inner.Error())
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
	if readErr != nil {
		return "SSL_CERT_FILE cannot be read: " + reason(readErr)
	}
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if _, invalid := x509.ParseCertificate(block.Bytes); invalid == nil {
			return reason(err) + "; SSL_CERT_FILE has another authority's certificate"
		}
	}
	return "the file in SSL_CERT_FILE holds no PEM certificate"
}

// StatusText returns a status with its name, such as "404 Not Found", or without it if it has none.
func StatusText(status int) string {
	return strings.TrimSpace(strconv.Itoa(status) + " " + http.StatusText(status))
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// FormatDuration formats d for a reader: "83 ms", "1.5 s", "61 s", "5 min", "1 h". Long durations are rounded.
func FormatDuration(d time.Duration) string {
	unit, precision, name := time.Hour, time.Hour/10, " h"
	switch {
	case d < time.Second:
		unit, precision, name = time.Millisecond, time.Millisecond, " ms"
	case d < 10*time.Second:
		unit, precision, name = time.Second, time.Second/10, " s"
	case d < 2*time.Minute:
		unit, precision, name = time.Second, time.Second, " s"
	case d < time.Hour:
		unit, precision, name = time.Minute, time.Minute/10, " min"
	}
	rounded := math.Round(max(d, time.Millisecond).Seconds()/precision.Seconds()) * precision.Seconds()
	return strconv.FormatFloat(math.Round(rounded/unit.Seconds()*10)/10, 'f', -1, 64) + name
}
