package diga

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/google/uuid"
)

// reply is what the body of an error says.
type reply struct {
	own     bool   // it has the shape of the API's own errors, OpenAPI's ErrorResponseSchema
	brief   bool   // it has only a detail, as the API's framework writes
	code    string // 1 to 64 ASCII letters, digits, underscores, dots and hyphens; empty: none
	text    Foreign
	details []Detail // of a 422
}

// parseReply reads an error in the shape of the API, of its framework or of common gateways, or the text of a page.
func parseReply(data []byte) (r reply) {
	var body map[string]any
	if json.Unmarshal(data, &body) != nil {
		return reply{text: pageText(data)}
	}
	detail, _ := body["detail"].(map[string]any)
	fault, _ := body["error"].(map[string]any)
	list, _ := body["errors"].([]any)
	first, _ := append(list, nil)[0].(map[string]any)
	for _, shape := range []map[string]any{detail, body} { // the last one counts
		code := string(text(shape["error_code"]))
		if regexp.MustCompile(`^[\w.-]{1,64}$`).MatchString(code) {
			_, r.own = shape["message"].(string)
			r.code, r.text = code, text(shape["message"])
		}
	}
	if !r.own {
		r.text = cmp.Or(text(body["message"]), text(body["detail"]), text(detail["message"]), text(fault["message"]),
			text(body["error"]), text(first["message"]), text(body["title"]))
	}
	r.brief = len(body) == 1 && text(body["detail"]) != ""
	r.details = details(body["detail"])
	return r
}

// text returns a string, trimmed, or "" for any other value.
func text(value any) Foreign {
	s, _ := value.(string)
	return Foreign(strings.TrimSpace(s))
}

// details reads OpenAPI's HTTPValidationError, item by item: what cannot be read is left out. It reads only loc and
// msg: input, ctx and url echo the request.
func details(detail any) (found []Detail) {
	items, _ := detail.([]any)
	for _, item := range items {
		fields, _ := item.(map[string]any)
		d := Detail{Field: string(text(fields["loc"])), Message: cmp.Or(text(item), text(fields["msg"]))}
		path, _ := fields["loc"].([]any)
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
	// In two passes: one expression for both would take quadratic time.
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
func (r request) invalidReply(body []byte, err error) *Error {
	e := r.mismatch("the API returned 200 OK, but not %s", r.wanted)
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

// A record is a JSON object that is read field by field. The first problem stays in err.
type record struct {
	fields map[string]json.RawMessage
	err    error
}

// newRecord reads a body that must be a single JSON object. Names are case-sensitive and must be unique: encoding/json
// ignores case and lets the last duplicate win, so two programs could read the same response differently.
func newRecord(body []byte) *record {
	r := &record{fields: make(map[string]json.RawMessage)}
	decoder := json.NewDecoder(bytes.NewReader(body))
	if open, _ := decoder.Token(); open != json.Delim('{') || !json.Valid(body) {
		r.err = errors.New("not a JSON object")
	}
	for r.err == nil && decoder.More() {
		name, _ := decoder.Token() // it is valid
		var value json.RawMessage
		_ = decoder.Decode(&value)
		key := name.(string)
		if r.fields[key] != nil {
			r.err = fmt.Errorf("duplicate field %q", key)
		}
		r.fields[key] = value
	}
	return r
}

// get reads an optional field into the variable that to points to, which null leaves as it is; kind is a JSON type.
func (r *record) get(name, kind string, to any) {
	if data := r.fields[name]; data != nil && json.Unmarshal(data, to) != nil {
		r.err = cmp.Or(r.err, fmt.Errorf("%s is not %s", name, kind))
	}
}

// optionalID reads a UUID. It is null if the field is null or absent.
func (r *record) optionalID(name string) uuid.NullUUID {
	var text *string
	if r.get(name, "a string", &text); text == nil {
		return uuid.NullUUID{}
	}
	id, err := ParseID(*text)
	if err != nil {
		r.err = cmp.Or(r.err, fmt.Errorf("%s: %w", name, err))
	}
	return uuid.NullUUID{UUID: id, Valid: err == nil}
}

// id reads a UUID that must be there.
func (r *record) id(name string) uuid.UUID {
	id := r.optionalID(name)
	if !id.Valid {
		r.err = cmp.Or(r.err, fmt.Errorf("%s is missing", name))
	}
	return id.UUID
}

// time reads a time in RFC 3339. Without a zone, as the API's framework may write it, it is in UTC. Anything else is
// the zero time.
func (r *record) time(name string) time.Time {
	var s string
	_ = json.Unmarshal(r.fields[name], &s)
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		at, _ = time.Parse(time.RFC3339, s+"Z")
	}
	return at.UTC()
}

// ParseID parses a UUID of 36 characters: 8-4-4-4-12 hexadecimal digits in either case (RFC 9562, section 4). Unlike
// uuid.Parse, it takes no URN, no braces and no bare digits.
func ParseID(s string) (uuid.UUID, error) {
	if id, err := uuid.Parse(s); err == nil && len(s) == 36 {
		return id, nil
	}
	shown := fmt.Sprintf("a value of %d bytes", len(s)) // a truncated secret could no longer be recognized
	if len(s) <= 60 {
		shown = strconv.Quote(s)
	}
	return uuid.UUID{}, fmt.Errorf("%s is not a UUID such as 123e4567-e89b-42d3-a456-426614174000", shown)
}
