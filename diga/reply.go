package diga

import (
	"cmp"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"regexp"
	"strings"
	"unicode"
)

// reply is what the body of an error says.
type reply struct {
	own     bool   // it has the shape of the API's own errors, OpenAPI's ErrorResponseSchema
	brief   bool   // it has only a detail, as the API's framework writes
	code    string // plain word; empty: none
	text    Foreign
	details []Detail // of a 422
}

// isPlainWord reports whether s is 1 to 64 ASCII letters, digits, underscores, dots and hyphens.
func isPlainWord(s string) bool {
	const plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"
	return 0 < len(s) && len(s) <= 64 && strings.Trim(s, plain) == ""
}

// parseReply reads an error in the shape of the API, of its framework or of common gateways, or the text of a page.
func parseReply(data []byte) (r reply) {
	var body map[string]any
	if json.Unmarshal(data, &body) != nil {
		return reply{text: pageText(data)}
	}
	texts := strings.Fields("message detail detail.message error.message error errors.0.message title")
	for _, shape := range []string{"", "detail."} {
		code := string(textAt(body, shape+"error_code"))
		if r.code != "" || !isPlainWord(code) {
			continue
		}
		r.code = code
		if _, r.own = valueAt(body, shape+"message").(string); r.own {
			texts = []string{shape + "message"}
		}
	}
	for _, path := range texts {
		r.text = cmp.Or(r.text, textAt(body, path))
	}
	_, isText := body["detail"].(string)
	r.brief = isText && len(body) == 1
	r.details = details(body["detail"])
	return r
}

// valueAt returns the value at a path such as "errors.0.message", or nil.
func valueAt(value any, path string) any {
	for name := range strings.SplitSeq(path, ".") {
		switch v := value.(type) {
		case map[string]any:
			value = v[name]
		case []any:
			if value = nil; name == "0" && len(v) > 0 {
				value = v[0]
			}
		default:
			return nil
		}
	}
	return value
}

// textAt returns the string at a path, trimmed, or "".
func textAt(value any, path string) Foreign {
	s, _ := valueAt(value, path).(string)
	return Foreign(strings.TrimSpace(s))
}

// details reads OpenAPI's HTTPValidationError, item by item: what cannot be read is left out. It reads only loc and
// msg: input, ctx and url echo the request.
func details(detail any) (found []Detail) {
	items, _ := detail.([]any)
	for _, item := range items {
		d := Detail{Field: string(textAt(item, "loc")), Message: textAt(item, "msg")}
		if s, ok := item.(string); ok {
			d.Message = Foreign(s)
		}
		path, _ := valueAt(item, "loc").([]any)
		for _, part := range path {
			switch part.(type) {
			case string, float64: // anything else is not part of a path, and may echo the request
				d.Field = strings.TrimPrefix(fmt.Sprintf("%s.%v", d.Field, part), ".")
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

// invalidReply is the error for a response that is not what was wanted. If it has the shape of the API's errors, it
// says what the API said.
func (r request) invalidReply(wanted string, body []byte, err error) *Error {
	e := r.mismatch("the API returned 200 OK, but not %s", wanted)
	e.Cause, e.Said, e.Err = InvalidReply, Foreign(err.Error()), err
	if reply := parseReply(body); reply.own {
		e.Code, e.Said, e.Message = reply.code, reply.text, "the API returned 200 OK with an error"
	}
	return e
}

// mismatch is the error for a response that confirms something else.
func (r request) mismatch(format string, args ...any) *Error {
	e := &Error{Cause: Mismatch, Status: http.StatusOK, Message: fmt.Sprintf(format, args...)}
	if r.body != nil {
		e.Effect = MaybePending
	}
	return e
}
