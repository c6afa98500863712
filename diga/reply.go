package diga

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"unicode"
)

// replyError describes a response that is not a 200, with the API's own message if there is one.
func (a *attempt) replyError() *Error {
	e := &Error{Cause: Answered, Status: a.status}
	said := "the API returned " + StatusText(a.status)
	switch {
	case a.status == http.StatusProxyAuthRequired && a.proxy != "":
		e.Cause = ProxyDenied
		e.Message = fmt.Sprintf("the proxy %s returned %s", a.proxy, StatusText(a.status))
		return e
	case a.status < 300:
		e.Cause = InvalidReply
		e.Message = said + ", expected 200 OK"
		return e
	case a.status < 400:
		e.Cause = Redirected
		e.Message = said + " (redirects are not followed)"
		e.Untrusted = a.redirectHost()
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
	e.Message = said
	if text = strings.TrimSpace(text); text != http.StatusText(a.status) {
		e.Untrusted = text
	}
	return e
}

// plainWord reports whether s is 1 to 64 ASCII letters, digits, underscores, dots and hyphens.
func plainWord(s string) bool {
	return 0 < len(s) && len(s) <= 64 && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || 'z' < r) && (r < 'A' || 'Z' < r) && (r < '0' || '9' < r) && !strings.ContainsRune("_.-", r)
	})
}

// redirectHost names the host of the Location header, or returns "" if there is none. The path and query may be secret.
func (a *attempt) redirectHost() string {
	target, err := url.Parse(a.header.Get("Location"))
	if err != nil || target.Host == "" {
		return ""
	}
	return "redirect to " + target.Host
}

// details reads OpenAPI's HTTPValidationError. It reads only loc and msg: input, ctx and url echo the request.
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
			if part[0] != '{' && part[0] != '[' { // not part of a path, and may echo the request
				path = append(path, strings.Trim(string(part), `"`))
			}
		}
		found = append(found, Detail{Field: strings.Join(path, "."), Message: item.Msg})
	}
	return found
}

// plainText returns the title of an HTML page, or the text between its tags. It returns "" for invalid JSON, which may
// echo the request. The text is not truncated: a truncated secret could no longer be recognized.
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
