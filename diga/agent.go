package diga

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"time"

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
	Created   time.Time // zero: not known
	Issues    []Foreign // what keeps a draft from being launched

	// Config holds all other fields as JSON, by name: prompt, voice and so on, including any that the API's document does
	// not list. Some may hold credentials. It is nil if it has more than 1 MiB.
	Config map[string]json.RawMessage
}

const maxConfigBytes = 1 << 20

// Live reads the live version of an agent (GET /v1/agent/{agent_id}/version?is_published=true). It returns the zero
// Version if none is live. The error is an *Error.
func (c *Client) Live(ctx context.Context, agent uuid.UUID) (Version, error) {
	query := url.Values{"is_published": {"true"}, "limit": {"1"}}
	body, err := c.do(ctx, request{method: http.MethodGet, path: versionsPath(agent), query: query})
	if err != nil {
		return Version{}, err
	}
	page, err := parsePage(body, readVersion)
	switch {
	case err == nil && len(page.items) == 0 && !page.more:
		return Version{}, nil
	case err == nil && len(page.items) != 1:
		err = fmt.Errorf("%d versions", len(page.items))
	case err == nil && !page.items[0].Published:
		err = errors.New("its version is not published")
	}
	if err != nil {
		return Version{}, invalidReply("the list of published versions", body, err, NoEffect)
	}
	return page.items[0], isOf(agent, page.items[0])
}

// Version reads one version of an agent (GET /v1/agent/{agent_id}?version_id=…). The error is an *Error, with the
// cause NotFound or BadRequest if there is no such version.
func (c *Client) Version(ctx context.Context, agent, version uuid.UUID) (Version, error) {
	v, err := c.version(ctx, agent, url.Values{"version_id": {version.String()}})
	if err == nil && v.ID != version {
		err = mismatch("requested version %s, but the API returned %s", version, v.ID)
	}
	return v, err
}

// Draft reads an agent's draft (GET /v1/agent/{agent_id} without a query). The error is an *Error, with the cause
// NotFound if the agent has none.
func (c *Client) Draft(ctx context.Context, agent uuid.UUID) (Version, error) {
	v, err := c.version(ctx, agent, nil)
	if err == nil && !v.Draft {
		err = &Error{Cause: NotFound, Status: http.StatusOK, Message: "the agent has no draft"}
	}
	return v, err
}

func (c *Client) version(ctx context.Context, agent uuid.UUID, query url.Values) (Version, error) {
	body, err := c.do(ctx, request{method: http.MethodGet, path: "v1/agent/" + agent.String(), query: query})
	if err != nil {
		return Version{}, err
	}
	v, err := readVersion(body)
	if err != nil {
		return Version{}, invalidReply("a version", body, err, NoEffect)
	}
	return v, isOf(agent, v)
}

func isOf(agent uuid.UUID, v Version) error {
	if v.Agent != agent {
		return mismatch("requested agent %s, but the API returned %s", agent, v.Agent)
	}
	return nil
}

func versionsPath(agent uuid.UUID) string { return "v1/agent/" + agent.String() + "/version" }

// Versions reads all versions of an agent, its draft included (GET /v1/agent/{agent_id}/version), the newest first. If
// the list cannot be read to its end, or has more than 20,000 versions, the last pair holds an *Error.
func (c *Client) Versions(ctx context.Context, agent uuid.UUID) iter.Seq2[Version, error] {
	return list(ctx, c, versionsPath(agent), itemKind[Version]{
		plural: "versions", most: 20_000, parse: readVersion,
		id: func(v Version) uuid.UUID { return v.ID },
	})
}

// readVersion reads a version. Only version_id and agent_id are required.
func readVersion(data []byte) (Version, error) {
	fields, err := object(data)
	if err != nil {
		return Version{}, err
	}
	id, err := idField(fields, "version_id")
	agent, agentErr := idField(fields, "agent_id")
	if err := cmp.Or(err, agentErr); err != nil {
		return Version{}, err
	}
	if !id.Valid || !agent.Valid {
		return Version{}, errors.New("version_id or agent_id is missing")
	}
	v := Version{ID: id.UUID, Agent: agent.UUID}
	for _, field := range []struct {
		name string
		to   any
	}{
		{"version_number", &v.Number}, {"version_name", &v.Name}, {"name", &v.AgentName},
		{"is_draft", &v.Draft}, {"is_published", &v.Published},
	} {
		if value, ok := fields[field.name]; ok && json.Unmarshal(value, field.to) != nil {
			return Version{}, fmt.Errorf("%s has the wrong type", field.name)
		}
		delete(fields, field.name)
	}
	v.Number = max(v.Number, 0)
	if v.Created = timeField(fields, "version_created_at"); v.Created.IsZero() {
		v.Created = timeField(fields, "created_at")
	}
	var issues []struct{ Message Foreign }
	_ = json.Unmarshal(fields["validation_issues"], &issues) // optional, and for explanations only
	for _, issue := range issues {
		v.Issues = append(v.Issues, issue.Message)
	}
	const others = "version_id agent_id created_at modified_at version_created_at validation_issues"
	for name := range strings.FieldsSeq(others) {
		delete(fields, name)
	}
	if len(data) <= maxConfigBytes {
		v.Config = fields
	}
	return v, nil
}

// Launch makes a version with this name from an agent's draft (POST /v1/agent/{agent_id}/version) and returns it. It is
// not idempotent: the request is retried only while nothing can have come of it. The error is an *Error, whose Effect
// says whether there may be a new version anyway.
func (c *Client) Launch(ctx context.Context, agent uuid.UUID, name string) (Version, error) {
	body, err := c.do(ctx, request{
		method: http.MethodPost, path: versionsPath(agent), body: map[string]string{"version_name": name}, once: true,
	})
	if err != nil {
		return Version{}, err
	}
	v, err := readVersion(body)
	switch {
	case err != nil:
		return Version{}, invalidReply("a version", body, err, MaybePending)
	case v.Agent != agent || string(v.Name) != name || v.Draft:
		err := mismatch("the API launched something else than the agent's draft under this name")
		err.Effect = MaybePending
		return Version{}, err
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

// IsZero reports whether the binding is omitted from a request.
func (b Binding) IsZero() bool { return !b.Stated }

// MarshalJSON returns the ID as a string, or null.
func (b Binding) MarshalJSON() ([]byte, error) { return json.Marshal(b.Phone) }

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
		return Change{}, &Error{Message: "a change must either publish a version or unpublish"}
	}
	body, err := c.do(ctx, request{
		method: http.MethodPatch,
		path:   "v1/agent/" + change.Agent.String() + "/published_version",
		body: struct {
			Version  uuid.NullUUID `json:"version_id"` // null unpublishes
			Inbound  Binding       `json:"inbound_phone_number_id,omitzero"`
			Outbound Binding       `json:"outbound_phone_number_id,omitzero"`
		}{change.Version, change.Phones[Inbound], change.Phones[Outbound]},
	})
	if err != nil {
		return Change{}, err
	}
	got, err := readPublication(body)
	if err != nil {
		return Change{}, invalidReply("a publication", body, err, MaybePending)
	}
	if differences := got.differences(change); differences != nil {
		err := mismatch("the API confirmed a different change than requested")
		err.Details, err.Effect = differences, MaybePending
		return Change{}, err
	}
	return got, nil
}

// readPublication reads OpenAPI's PublishAgentResponse. Only agent_id is required. A version that is absent means that
// none is published.
func readPublication(body []byte) (Change, error) {
	fields, err := object(body)
	if err != nil {
		return Change{}, err
	}
	agent, err := idField(fields, "agent_id")
	if err == nil && !agent.Valid {
		err = errors.New("agent_id is missing")
	}
	p := Change{Agent: agent.UUID}
	read := func(name string, to *uuid.NullUUID) {
		if err == nil {
			*to, err = idField(fields, name)
		}
	}
	read("published_version_id", &p.Version)
	for d := range Directions {
		name := d.String() + "_phone_number_id"
		_, p.Phones[d].Stated = fields[name]
		read(name, &p.Phones[d].Phone)
	}
	p.Unpublish = !p.Version.Valid
	return p, err
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
			check("body."+Direction(d).String()+"_phone_number_id", b, p.Phones[d])
		}
	}
	return list
}
