package diga

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// Change is what is to become true of an agent. The zero value is refused: it neither publishes nor unpublishes.
type Change struct {
	Agent     uuid.UUID
	Version   uuid.NullUUID // the version to publish
	Unpublish bool          // true takes the agent off the air; Version must then be null

	// Inbound and Outbound are the phone numbers to bind. Null is left out of the request; the API does not say
	// whether that keeps or drops a binding.
	Inbound, Outbound uuid.NullUUID
}

// Publication is what the API confirmed. Null stands for null and for a field that the reply left out.
type Publication struct {
	Agent                      uuid.UUID
	Version, Inbound, Outbound uuid.NullUUID
}

// Publish makes change (OpenAPI operation publish_agent_version) and returns what the API confirmed, checked against
// what was asked for, and the number of requests it took. Sending it twice is harmless: it sets a state.
// The error is an *Error.
func (c *Client) Publish(ctx context.Context, change Change) (Publication, int, error) {
	if change.Unpublish == change.Version.Valid {
		return Publication{}, 0, &Error{Cause: Internal, Message: "a change must either publish a version or unpublish"}
	}
	body, attempts, err := c.do(ctx, request{
		method: http.MethodPatch,
		path:   "v1/agent/" + change.Agent.String() + "/published_version",
		body: struct {
			Version  uuid.NullUUID `json:"version_id"` // null unpublishes
			Inbound  uuid.NullUUID `json:"inbound_phone_number_id,omitzero"`
			Outbound uuid.NullUUID `json:"outbound_phone_number_id,omitzero"`
		}{change.Version, change.Inbound, change.Outbound},
	})
	if err != nil {
		return Publication{}, attempts, err
	}
	got, err := readPublication(body)
	if err != nil {
		return Publication{}, attempts, &Error{
			Cause: InvalidReply, Status: http.StatusOK, Attempts: attempts, Unknown: true,
			Message: "the API answered 200 OK, but not with a publication", Said: err.Error(),
		}
	}
	if differences := got.differences(change); differences != "" {
		return Publication{}, attempts, &Error{
			Cause: Mismatch, Status: http.StatusOK, Attempts: attempts, Unknown: true,
			Message: "the API answered 200 OK with another publication than was asked for: " + differences, // ids only
		}
	}
	return got, attempts, nil
}

// readPublication reads a PublishAgentResponse.
func readPublication(body []byte) (Publication, error) {
	fields, err := object(body)
	if err != nil {
		return Publication{}, err
	}
	agent, err := idField(fields, "agent_id")
	if err == nil && !agent.Valid {
		err = errors.New("agent_id is missing")
	}
	p := Publication{Agent: agent.UUID}
	for _, field := range []struct {
		name string
		to   *uuid.NullUUID
	}{
		{"published_version_id", &p.Version}, {"inbound_phone_number_id", &p.Inbound}, {"outbound_phone_number_id", &p.Outbound},
	} {
		if err == nil {
			*field.to, err = idField(fields, field.name)
		}
	}
	return p, err
}

// idField reads a UUID, which may be null or absent.
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
	return uuid.NullUUID{UUID: id, Valid: true}, nil
}

// differences lists how p is not what change asked for; empty: it is. A phone that was not asked for may be anything.
func (p Publication) differences(change Change) string {
	var list []string
	check := func(name string, asked, got uuid.NullUUID) {
		if got != asked {
			list = append(list, fmt.Sprintf("%s: asked for %s, got %s", name, orNull(asked), orNull(got)))
		}
	}
	check("agent", uuid.NullUUID{UUID: change.Agent, Valid: true}, uuid.NullUUID{UUID: p.Agent, Valid: true})
	check("version", change.Version, p.Version)
	if change.Inbound.Valid {
		check("inbound phone number", change.Inbound, p.Inbound)
	}
	if change.Outbound.Valid {
		check("outbound phone number", change.Outbound, p.Outbound)
	}
	return strings.Join(list, "; ")
}

func orNull(id uuid.NullUUID) string {
	if !id.Valid {
		return "null"
	}
	return id.UUID.String()
}

// ParseID reads a UUID in its one canonical form, 8-4-4-4-12 hexadecimal digits in either case. uuid.Parse alone would
// take URNs, braces and bare digits too.
func ParseID(s string) (uuid.UUID, error) {
	if len(s) == 36 {
		if id, err := uuid.Parse(s); err == nil {
			return id, nil
		}
	}
	shown := fmt.Sprintf("a text of %d bytes", len(s)) // no part of it: a part of a secret would pass for harmless
	if len(s) <= 60 {
		shown = strconv.Quote(s)
	}
	return uuid.UUID{}, fmt.Errorf("%s is not a UUID such as 123e4567-e89b-42d3-a456-426614174000", shown)
}
