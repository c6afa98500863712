package diga

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/google/uuid"
)

// Change is what is to become true of an agent. The zero value is refused: it neither publishes nor unpublishes.
type Change struct {
	Agent     uuid.UUID
	Version   uuid.NullUUID // the version to publish
	Unpublish bool          // true takes the agent offline; Version must then be null

	Bindings [Directions]Binding // of phone numbers
}

// Binding is what a change says about the phone number in one direction. The zero value leaves it out of the request;
// the API does not say whether that keeps or drops what is bound.
type Binding struct {
	Phone   uuid.NullUUID // the number to bind
	Release bool          // true sends null; Phone must then be null
}

// MarshalJSON writes the id, or null.
func (b Binding) MarshalJSON() ([]byte, error) { return json.Marshal(b.Phone) }

// Publication is what the API confirmed.
type Publication struct {
	Agent   uuid.UUID
	Version uuid.NullUUID
	Phones  [Directions]uuid.NullUUID
	Stated  [Directions]bool // the reply has the field of this direction, be it null
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
			Message: "the API answered 200 OK, but not with a publication", Untrusted: err.Error(),
		}
	}
	if silent := got.silentOn(change); silent != "" {
		return Publication{}, attempts, &Error{
			Cause: InvalidReply, Status: http.StatusOK, Attempts: attempts, Effect: MaybePending,
			Message: "the API answered 200 OK, but without " + silent + ", so it did not confirm the release",
		}
	}
	if differences := got.differences(change); differences != nil {
		return Publication{}, attempts, &Error{
			Cause: Mismatch, Status: http.StatusOK, Attempts: attempts, Effect: MaybePending,
			Message: "the API confirmed something else than was asked for", Details: differences,
		}
	}
	return got, attempts, nil
}

// readPublication reads a PublishAgentResponse. By the contract, a version that is absent means "unpublished".
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

// silentOn names the phone number field that the reply lacks although change releases that number; empty: there is none.
// Its absence could mean that the API takes null for absent and released nothing.
func (p Publication) silentOn(change Change) string {
	for d, binding := range change.Bindings {
		if binding.Release && !p.Stated[d] {
			return Direction(d).String() + "_phone_number_id"
		}
	}
	return ""
}

// differences lists what p has other than change asked for. A phone number that was left out may be anything.
func (p Publication) differences(change Change) (list []Detail) {
	check := func(field string, asked, got uuid.NullUUID) {
		if got != asked {
			list = append(list, Detail{Field: field, Message: fmt.Sprintf("asked for %s, got %s", orNull(asked), orNull(got))})
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
