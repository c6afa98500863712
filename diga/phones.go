package diga

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"unicode"

	"github.com/google/uuid"
)

// Direction is the direction of the calls that a phone number is bound for.
type Direction int

const (
	Inbound    Direction = iota // calls to the number, which the agent answers
	Outbound                    // calls that the agent makes from the number
	Directions                  // the number of directions: "for d := range Directions" visits all
)

// String returns "inbound" or "outbound".
func (d Direction) String() string { return [...]string{"inbound", "outbound"}[d] }

// Assigned is the only [Phone] status in which a number can take calls.
const Assigned = "assigned"

// Phone is a phone number of the company.
type Phone struct {
	ID       uuid.UUID
	Number   string                    // as the API writes it, normally E.164; may be empty
	Nickname string                    // may be empty
	Status   string                    // reserved, assigned, released or finished
	Agents   [Directions]uuid.NullUUID // that it is bound to; null: none
}

func (p Phone) boundTo(agent uuid.UUID, d Direction) bool {
	return p.Agents[d] == uuid.NullUUID{UUID: agent, Valid: true}
}

const maxPhoneText = 500 // bytes; a list keeps every text in memory

var phoneItems = itemKind[Phone]{
	plural: "phone numbers",
	most:   10_000,
	parse:  readPhone,
	id:     func(p Phone) uuid.UUID { return p.ID },
}

// Phone reads one phone number (GET /v1/phone/{phone_id}). The error is an *Error, whose Status is 404 or 400 if there is
// no such number.
func (c *Client) Phone(ctx context.Context, retries Retries, id uuid.UUID) (Phone, error) {
	body, _, err := c.do(ctx, request{method: http.MethodGet, path: "v1/phone/" + id.String(), retries: retries})
	if err != nil {
		return Phone{}, err
	}
	p, err := readPhone(body)
	if err != nil {
		return Phone{}, invalidReply("a phone number", err)
	}
	if p.ID != id {
		return Phone{}, &Error{Cause: Mismatch, Status: http.StatusOK, Message: fmt.Sprintf("requested phone number %s, but the API returned %s", id, p.ID)}
	}
	return p, nil
}

// Phones reads all phone numbers that the token can access (GET /v1/phone/), in any order. More than 10,000 numbers are
// an error. The error is an *Error.
func (c *Client) Phones(ctx context.Context, retries Retries) ([]Phone, error) {
	return collect(c.listPhones(ctx, retries, nil))
}

// PhonesOf reads the phone numbers that are bound to an agent in one direction (GET /v1/phone/?inbound_agent_id=…), in
// any order. The error is an *Error.
func (c *Client) PhonesOf(ctx context.Context, retries Retries, agent uuid.UUID, d Direction) ([]Phone, error) {
	all, err := collect(c.listPhones(ctx, retries, url.Values{d.String() + "_agent_id": {agent.String()}}))
	var bound []Phone
	for _, p := range all {
		if p.boundTo(agent, d) { // in case the API ignores the filter
			bound = append(bound, p)
		}
	}
	return bound, err
}

func (c *Client) listPhones(ctx context.Context, retries Retries, filter url.Values) iter.Seq2[Phone, error] {
	// Without the trailing slash, the API redirects.
	r := request{method: http.MethodGet, path: "v1/phone/", query: filter, retries: retries}
	return list(ctx, c, r, phoneItems)
}

func collect[T any](items iter.Seq2[T, error]) ([]T, error) {
	var all []T
	for item, err := range items {
		if err != nil {
			return nil, err
		}
		all = append(all, item)
	}
	return all, nil
}

// readPhone reads a phone number. Only its id is required. A text of more than maxPhoneText is left empty.
func readPhone(data []byte) (Phone, error) {
	fields, err := object(data)
	if err != nil {
		return Phone{}, err
	}
	id, err := idField(fields, "id")
	if err != nil {
		return Phone{}, err
	}
	if !id.Valid {
		return Phone{}, errors.New("id is missing")
	}
	p := Phone{ID: id.UUID}
	for d := range Directions {
		if p.Agents[d], err = idField(fields, d.String()+"_agent_id"); err != nil {
			return Phone{}, err
		}
	}
	for _, field := range []struct {
		name string
		to   *string
	}{{"number", &p.Number}, {"nickname", &p.Nickname}, {"status", &p.Status}} {
		if value, there := fields[field.name]; there && json.Unmarshal(value, field.to) != nil {
			return Phone{}, fmt.Errorf("%s is not a string", field.name)
		}
		if len(*field.to) > maxPhoneText {
			*field.to = "" // a truncated text could pass for a complete one
		}
	}
	return p, nil
}

// E164 removes spaces, hyphens, dots and brackets from a phone number. It returns false if the rest is not in the format
// of ITU-T E.164: a plus sign and 2 to 15 digits, the first of which is not 0. A leading 00 is not replaced.
func E164(number string) (string, bool) {
	digits := strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.Is(unicode.Pd, r) || strings.ContainsRune(".()[]", r) {
			return -1
		}
		return r
	}, number)
	rest, plus := strings.CutPrefix(digits, "+")
	ok := plus && 2 <= len(rest) && len(rest) <= 15 && rest[0] != '0' && strings.Trim(rest, "0123456789") == ""
	if !ok {
		return "", false
	}
	return digits, true
}
