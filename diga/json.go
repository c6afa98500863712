package diga

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/google/uuid"
)

// object parses a body that must be a single JSON object.
func object(body []byte) (map[string]json.RawMessage, error) {
	fields := make(map[string]json.RawMessage)
	err := eachField(body, func(name string, decoder *json.Decoder) error {
		var value json.RawMessage
		err := decoder.Decode(&value)
		fields[name] = value
		return err
	})
	return fields, err
}

// eachField parses a body that must be a single JSON object. For each field, read must take the value from the decoder.
// Names are case-sensitive and must be unique: encoding/json ignores case and lets the last duplicate win, so two
// programs could read the same response differently.
func eachField(body []byte, read func(name string, decoder *json.Decoder) error) error {
	decoder := json.NewDecoder(bytes.NewReader(body))
	if open, err := decoder.Token(); err != nil || open != json.Delim('{') {
		return errors.New("not a JSON object")
	}
	seen := make(map[string]bool)
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return err
		}
		key := name.(string)
		if seen[key] {
			return fmt.Errorf("duplicate field %q", key)
		}
		seen[key] = true
		if err := read(key, decoder); err != nil {
			return err
		}
	}
	if _, err := decoder.Token(); err != nil {
		return err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return errors.New("trailing data after the JSON object")
	}
	return nil
}

// idField reads a UUID. The result is null if the field is null or absent.
func idField(fields map[string]json.RawMessage, name string) (uuid.NullUUID, error) {
	data, there := fields[name]
	if !there || string(data) == "null" {
		return uuid.NullUUID{}, nil
	}
	var text string
	if json.Unmarshal(data, &text) != nil {
		return uuid.NullUUID{}, fmt.Errorf("%s is not a string", name)
	}
	id, err := ParseID(text)
	if err != nil {
		return uuid.NullUUID{}, fmt.Errorf("%s: %w", name, err)
	}
	return valid(id), nil
}

func valid(id uuid.UUID) uuid.NullUUID { return uuid.NullUUID{UUID: id, Valid: true} }

// timeField reads a time, in RFC 3339 or, as the API's framework writes a time without a zone, in UTC. Anything else is
// the zero time.
func timeField(fields map[string]json.RawMessage, name string) time.Time {
	s := string(text(fields[name]))
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
