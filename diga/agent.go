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

	"github.com/google/uuid"
)

// Version is one version of an agent. The zero value is none.
type Version struct {
	ID        uuid.UUID
	Agent     uuid.UUID
	Number    int     // assigned by the API; 0: not known
	Name      Foreign // may be empty; need not be unique
	AgentName Foreign // may be empty
	Draft     bool
	Published bool
	Issues    []Foreign // what keeps a draft from being launched

	// Config holds all other fields as JSON, by name: prompt, voice and so on, including any that the API's document
	// does not list. Some may hold credentials. It is nil if the version has more than 1 MiB.
	Config map[string]json.RawMessage
}

func (v Version) key() uuid.UUID { return v.ID }

const maxConfigBytes = 1 << 20

// Live reads the live version of an agent (GET /v1/agent/{agent_id}/version?is_published=true): the zero Version if
// none is live.
func (c *Client) Live(ctx context.Context, agent uuid.UUID) (Version, error) {
	query := url.Values{"is_published": {"true"}, "limit": {"1"}}
	r := request{method: http.MethodGet, path: versionsPath(agent), query: query, wanted: "a page of versions"}
	return c.version(ctx, agent, r, func(body []byte) (Version, error) {
		page, err := parsePage(body)
		if err != nil || len(page.items) == 0 && !page.more {
			return Version{}, err
		}
		if len(page.items) != 1 {
			return Version{}, fmt.Errorf("%d versions", len(page.items))
		}
		v, err := readVersion(page.items[0])
		if err == nil && !v.Published {
			err = errors.New("its version is not published")
		}
		return v, err
	})
}

// Version reads one version of an agent (GET /v1/agent/{agent_id}?version_id=…). If there is no such version, the cause
// of the error is NotFound or BadRequest.
func (c *Client) Version(ctx context.Context, agent, version uuid.UUID) (Version, error) {
	query := url.Values{"version_id": {version.String()}}
	r := request{method: http.MethodGet, path: agentPath(agent), query: query, wanted: "a version"}
	v, err := c.version(ctx, agent, r, readVersion)
	if err == nil && v.ID != version {
		err = r.mismatch("requested version %s, but the API returned %s", version, v.ID)
	}
	return v, err
}

// Draft reads an agent's draft (GET /v1/agent/{agent_id}). If there is none, the cause of the error is NotFound.
func (c *Client) Draft(ctx context.Context, agent uuid.UUID) (Version, error) {
	r := request{method: http.MethodGet, path: agentPath(agent), wanted: "a version"}
	v, err := c.version(ctx, agent, r, readVersion)
	if err == nil && !v.Draft {
		err = &Error{Cause: NotFound, Status: http.StatusOK, Message: "the agent has no draft"}
	}
	return v, err
}

// Launch makes a version with this name from an agent's draft (POST /v1/agent/{agent_id}/version) and returns it. It is
// not idempotent: the request is retried only while nothing can have come of it.
func (c *Client) Launch(ctx context.Context, agent uuid.UUID, name string) (Version, error) {
	body := map[string]any{"version_name": name}
	r := request{method: http.MethodPost, path: versionsPath(agent), body: body, wanted: "a version"}
	v, err := c.version(ctx, agent, r, readVersion)
	if err == nil && (string(v.Name) != name || v.Draft) {
		err = r.mismatch("the API launched something other than the agent's draft under this name")
	}
	return v, err
}

// Versions reads all versions of an agent, its draft included (GET /v1/agent/{agent_id}/version), the newest first. If
// the list cannot be read to its end, or has more than 20,000 versions, the last pair holds an *Error.
func (c *Client) Versions(ctx context.Context, agent uuid.UUID) iter.Seq2[Version, error] {
	return list(ctx, c, versionsPath(agent), "versions", 20_000, readVersion)
}

func agentPath(agent uuid.UUID) string    { return "v1/agent/" + agent.String() }
func versionsPath(agent uuid.UUID) string { return agentPath(agent) + "/version" }

// version sends r, and parses the response, which should be about this agent.
func (c *Client) version(
	ctx context.Context, agent uuid.UUID, r request, parse func([]byte) (Version, error),
) (Version, error) {
	v, err := fetch(ctx, c, r, parse)
	if err == nil && v.ID != uuid.Nil && v.Agent != agent {
		err = r.mismatch("requested agent %s, but the API returned %s", agent, v.Agent)
	}
	return v, err
}

// notConfig are the fields of a version that do not configure the agent.
const notConfig = "version_id agent_id version_number version_name name is_draft is_published validation_issues " +
	"created_at modified_at version_created_at"

// readVersion reads a version. Only version_id and agent_id are required.
func readVersion(data []byte) (Version, error) {
	r := newRecord(data)
	v := Version{ID: r.id("version_id"), Agent: r.id("agent_id")}
	r.get("version_number", "an integer", &v.Number)
	r.get("version_name", "a string", &v.Name)
	r.get("name", "a string", &v.AgentName)
	r.get("is_draft", "a boolean", &v.Draft)
	r.get("is_published", "a boolean", &v.Published)
	if r.err != nil {
		return Version{}, r.err
	}
	var issues []struct{ Message Foreign }
	_ = json.Unmarshal(r.fields["validation_issues"], &issues) // optional, and for explanations only
	for _, issue := range issues {
		v.Issues = append(v.Issues, issue.Message)
	}
	if len(data) <= maxConfigBytes {
		for name := range strings.FieldsSeq(notConfig) {
			delete(r.fields, name)
		}
		v.Config = r.fields
	}
	return v, nil
}

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
	if !b.Stated {
		return "nothing"
	}
	text, _ := b.Phone.MarshalText() // "null" for none
	return string(text)
}

// Publish makes a change (PATCH /v1/agent/{agent_id}/published_version) and returns what the API confirmed. It is
// idempotent. Confirmation of a different change is an error. So is a release that the response does not state: an API
// that treats null like an absent field would not have released the number.
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
	path := agentPath(change.Agent) + "/published_version"
	r := request{method: http.MethodPatch, path: path, body: body, wanted: "a publication"}
	got, err := fetch(ctx, c, r, readPublication)
	if err != nil {
		return Change{}, err
	}
	mismatch := r.mismatch("the API confirmed a different change than requested")
	check := func(field string, asked, got Binding) {
		if got != asked {
			said := Foreign(fmt.Sprintf("requested %s, got %s", asked, got))
			mismatch.Details = append(mismatch.Details, Detail{field, said})
		}
	}
	check("path.agent_id", Binding{true, valid(change.Agent)}, Binding{true, valid(got.Agent)})
	check("body.version_id", Binding{true, change.Version}, Binding{true, got.Version})
	for d, b := range change.Phones {
		if b.Stated {
			check("body."+Direction(d).field(), b, got.Phones[d])
		}
	}
	if mismatch.Details != nil {
		return Change{}, mismatch
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

func valid(id uuid.UUID) uuid.NullUUID { return uuid.NullUUID{UUID: id, Valid: true} }
