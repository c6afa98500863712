package diga

import (
	"context"
	"fmt"
	"net/http"

	"github.com/google/uuid"
)

// Change is a version and phone numbers of an agent: what is requested, and what the API confirmed.
type Change struct {
	Agent     uuid.UUID
	Version   uuid.NullUUID // null: none
	Unpublish bool          // required in a request without a version, so that the zero value is invalid
	Phones    [Directions]Binding
}

// Binding is a phone number in one direction. Whether a number that a request omits stays bound is not documented.
type Binding struct {
	Stated bool          // false: omitted from the request or the response
	Phone  uuid.NullUUID // null: none
}

func (b Binding) String() string {
	switch {
	case !b.Stated:
		return "nothing"
	case !b.Phone.Valid:
		return "null"
	default:
		return b.Phone.UUID.String()
	}
}

// Publish makes a change (PATCH /v1/agent/{agent_id}/published_version) and returns what the API confirmed. The error
// is an *Error, whose Effect says whether the change may have been applied anyway. Confirmation of a different change
// is an error too. A change is idempotent, so it can safely be sent again.
func (c *Client) Publish(ctx context.Context, change Change) (Change, error) {
	if change.Unpublish == change.Version.Valid {
		return Change{}, &Error{Cause: Internal, Message: "a change must either publish a version or unpublish"}
	}
	body := map[string]any{"version_id": change.Version} // null unpublishes
	for d, b := range change.Phones {
		if b.Stated {
			body[Direction(d).field()] = b.Phone
		}
	}
	r := request{method: http.MethodPatch, path: agentPath(change.Agent) + "/published_version", body: body}
	got, err := fetch(ctx, c, r, "a publication", readPublication)
	if err != nil {
		return Change{}, err
	}
	if differences := got.differences(change); differences != nil {
		err := r.mismatch("the API confirmed a different change than requested")
		err.Details = differences
		return Change{}, err
	}
	return got, nil
}

// field is the name of the phone number in requests and responses.
func (d Direction) field() string { return d.String() + "_phone_number_id" }

// readPublication reads OpenAPI's PublishAgentResponse. Only agent_id is required. A version that is absent means that
// none is published.
func readPublication(body []byte) (Change, error) {
	r := newRecord(body)
	p := Change{Agent: r.id("agent_id"), Version: r.optionalID("published_version_id")}
	for d := range Directions {
		_, stated := r.fields[d.field()]
		p.Phones[d] = Binding{stated, r.optionalID(d.field())}
	}
	p.Unpublish = !p.Version.Valid
	return p, r.err
}

// differences lists where p differs from what was requested. Phone numbers that were not requested are not compared. A
// release that the response does not state is not confirmed: an API that treats null like an absent field would not
// have released the number.
func (p Change) differences(change Change) (list []Detail) {
	check := func(field string, asked, got Binding) {
		if got != asked {
			list = append(list, Detail{field, Foreign(fmt.Sprintf("requested %s, got %s", asked, got))})
		}
	}
	check("path.agent_id", Binding{true, valid(change.Agent)}, Binding{true, valid(p.Agent)})
	check("body.version_id", Binding{true, change.Version}, Binding{true, p.Version})
	for d, b := range change.Phones {
		if b.Stated {
			check("body."+Direction(d).field(), b, p.Phones[d])
		}
	}
	return list
}

func valid(id uuid.UUID) uuid.NullUUID { return uuid.NullUUID{UUID: id, Valid: true} }
