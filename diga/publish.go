package diga

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/google/uuid"
)

// Change is the desired state of an agent. The zero value is invalid: it neither publishes nor unpublishes.
type Change struct {
	Agent     uuid.UUID
	Version   uuid.NullUUID // the version to publish
	Unpublish bool          // true takes the agent offline; Version must then be null

	Bindings [Directions]Binding
}

// Binding is the desired phone number in one direction. The zero value omits it from the request; whether that keeps or
// releases the bound number is not documented.
type Binding struct {
	Phone   uuid.NullUUID // the number to bind
	Release bool          // true sends null, to unbind the number; Phone must then be null
}

// MarshalJSON returns the id as a string, or null.
func (b Binding) MarshalJSON() ([]byte, error) { return json.Marshal(b.Phone) }

// Publication is the state that the API confirmed.
type Publication struct {
	Agent   uuid.UUID
	Version uuid.NullUUID
	Phones  [Directions]uuid.NullUUID
	Stated  [Directions]bool // the response has the phone number's field, which may be null
}

// Publish makes a change (OpenAPI, PATCH /v1/agent/{agent_id}/published_version). It returns what the API confirmed and
// the number of requests sent. The error is an *Error, whose Effect says whether the change may have been applied
// anyway. Confirmation of a different change is an error too.
//
// A change is idempotent, so it can safely be sent again.
func (c *Client) Publish(ctx context.Context, change Change) (Publication, int, error) {
	if change.Unpublish == change.Version.Valid {
		return Publication{}, 0, &Error{Cause: Internal, Message: "a change must either publish a version or unpublish"}
	}
	body, attempts, err := c.do(ctx, request{
		method: http.MethodPatch,
		path:   "v1/agent/" + change.Agent.String() + "/published_version",
		body: struct {
			Version  uuid.NullUUID `json:"version_id"` // null unpublishes
			Inbound  Binding       `json:"inbound_phone_number_id,omitzero"`
			Outbound Binding       `json:"outbound_phone_number_id,omitzero"`
		}{change.Version, change.Bindings[Inbound], change.Bindings[Outbound]},
	})
	if err != nil {
		return Publication{}, attempts, err
	}
	got, err := readPublication(body)
	if err != nil {
		return Publication{}, attempts, &Error{
			Cause: InvalidReply, Status: http.StatusOK, Attempts: attempts, Effect: MaybePending,
			Message: "the API returned 200 OK, but not a publication", Untrusted: err.Error(),
		}
	}
	if missing := got.missingRelease(change); missing != "" {
		return Publication{}, attempts, &Error{
			Cause: InvalidReply, Status: http.StatusOK, Attempts: attempts, Effect: MaybePending,
			Message: "the API returned 200 OK, but without " + missing + ", so the release is not confirmed",
		}
	}
	if differences := got.differences(change); differences != nil {
		return Publication{}, attempts, &Error{
			Cause: Mismatch, Status: http.StatusOK, Attempts: attempts, Effect: MaybePending,
			Message: "the API confirmed a different change than requested", Details: differences,
		}
	}
	return got, attempts, nil
}

// readPublication reads OpenAPI's PublishAgentResponse. Only agent_id is required. A version that is absent
// means that none is published.
func readPublication(body []byte) (p Publication, err error) {
	fields, err := object(body)
	if err != nil {
		return Publication{}, err
	}
	agent, err := idField(fields, "agent_id")
	if err == nil && !agent.Valid {
		err = errors.New("agent_id is missing")
	}
	p.Agent = agent.UUID
	for _, field := range []struct {
		name string
		to   *uuid.NullUUID
	}{
		{"published_version_id", &p.Version},
		{"inbound_phone_number_id", &p.Phones[Inbound]}, {"outbound_phone_number_id", &p.Phones[Outbound]},
	} {
		if err == nil {
			*field.to, err = idField(fields, field.name)
		}
	}
	for d := range Directions {
		_, p.Stated[d] = fields[d.String()+"_phone_number_id"]
	}
	return p, err
}

// missingRelease returns the name of a phone number field that the response lacks although change releases the number,
// or "". An API that treats null like an absent field would not have released it.
func (p Publication) missingRelease(change Change) string {
	for d, binding := range change.Bindings {
		if binding.Release && !p.Stated[d] {
			return Direction(d).String() + "_phone_number_id"
		}
	}
	return ""
}

// differences lists where p differs from change. Phone numbers omitted from change are not compared.
func (p Publication) differences(change Change) (list []Detail) {
	check := func(field string, asked, got uuid.NullUUID) {
		if got != asked {
			list = append(list, Detail{Field: field, Message: fmt.Sprintf("requested %s, got %s", orNull(asked), orNull(got))})
		}
	}
	check("path.agent_id", uuid.NullUUID{UUID: change.Agent, Valid: true}, uuid.NullUUID{UUID: p.Agent, Valid: true})
	check("body.version_id", change.Version, p.Version)
	for d, binding := range change.Bindings {
		if binding != (Binding{}) {
			check("body."+Direction(d).String()+"_phone_number_id", binding.Phone, p.Phones[d])
		}
	}
	return list
}

func orNull(id uuid.NullUUID) string {
	if !id.Valid {
		return "null"
	}
	return id.UUID.String()
}
