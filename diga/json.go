package diga

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/google/uuid"
)

// object parses a body that must be a single JSON object. Names are case-sensitive and must be unique: encoding/json
// ignores case and lets the last duplicate win, so two programs could read the same response differently.
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
		if _, ok := fields[key]; ok {
			return nil, fmt.Errorf("duplicate field %q", key)
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
		return nil, errors.New("trailing data after the JSON object")
	}
	return fields, nil
}

// A record is a JSON object that is read field by field. The first problem stays in err.
type record struct {
	fields map[string]json.RawMessage
	err    error
}

func newRecord(body []byte) *record {
	fields, err := object(body)
	return &record{fields, err}
}

// get reads an optional field into the variable that to points to, which null leaves as it is; kind is a JSON type.
func (r *record) get(name, kind string, to any) {
	data, ok := r.fields[name]
	if ok && json.Unmarshal(data, to) != nil {
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

// time reads a time, in RFC 3339 or, as the API's framework writes a time without a zone, in UTC. Anything else is the
// zero time.
func (r *record) time(name string) time.Time {
	var s string
	_ = json.Unmarshal(r.fields[name], &s)
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05"} {
		if at, err := time.Parse(layout, s); err == nil {
			return at.UTC()
		}
	}
	return time.Time{}
}

// ParseID parses a UUID of 36 characters: 8-4-4-4-12 hexadecimal digits in either case (RFC 9562, section 4). Unlike
// uuid.Parse, it takes no URN, no braces and no bare digits.
func ParseID(s string) (uuid.UUID, error) {
	if len(s) == 36 {
		if id, err := uuid.Parse(s); err == nil {
			return id, nil
		}
	}
	shown := fmt.Sprintf("a value of %d bytes", len(s)) // a truncated secret could no longer be recognized
	if len(s) <= 60 {
		shown = strconv.Quote(s)
	}
	return uuid.UUID{}, fmt.Errorf("%s is not a UUID such as 123e4567-e89b-42d3-a456-426614174000", shown)
}
