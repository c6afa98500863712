package diga

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"time"

	"github.com/google/uuid"
)

// Version is one version of an agent.
type Version struct {
	ID             uuid.UUID
	Agent          uuid.UUID
	Number         int    // assigned by the API; 0: not known
	Name           string // may be empty; need not be unique
	AgentName      string // may be empty
	Draft          bool
	Published      bool
	PublishedKnown bool      // the API said whether it is published
	Created        time.Time // zero: not known

	// Config holds all other fields as JSON, by name: prompt, voice and so on, including any that the reference does not
	// list. Some may hold credentials.
	Config map[string]json.RawMessage
}

// PublishedVersion reads the live version of an agent (GET /v1/agent/{agent_id}?is_published=true). The error is an
// *Error. The API's response when no version is live is not documented: anything other than a version marked as
// published is an error.
func (c *Client) PublishedVersion(ctx context.Context, retries Retries, agent uuid.UUID) (Version, error) {
	v, err := c.version(ctx, retries, agent, url.Values{"is_published": {"true"}})
	if err == nil && !v.Published {
		err = &Error{Cause: InvalidReply, Status: http.StatusOK, Message: "the API returned a version that is not published"}
	}
	return v, err
}

// Version reads one version of an agent (GET /v1/agent/{agent_id}?version_id=…). The error is an *Error, whose Status is
// 404 or 400 if there is no such version.
func (c *Client) Version(ctx context.Context, retries Retries, agent, version uuid.UUID) (Version, error) {
	v, err := c.version(ctx, retries, agent, url.Values{"version_id": {version.String()}})
	if err == nil && v.ID != version {
		err = &Error{Cause: Mismatch, Status: http.StatusOK, Message: fmt.Sprintf("requested version %s, but the API returned %s", version, v.ID)}
	}
	return v, err
}

func (c *Client) version(ctx context.Context, retries Retries, agent uuid.UUID, query url.Values) (Version, error) {
	body, _, err := c.do(ctx, request{method: http.MethodGet, path: "v1/agent/" + agent.String(), query: query, retries: retries})
	if err != nil {
		return Version{}, err
	}
	v, err := readVersion(body)
	if err != nil {
		return Version{}, invalidReply("a version", err)
	}
	if v.Agent != agent {
		return Version{}, &Error{Cause: Mismatch, Status: http.StatusOK, Message: fmt.Sprintf("requested agent %s, but the API returned %s", agent, v.Agent)}
	}
	return v, nil
}

// readVersion reads a version. Only version_id and agent_id are required.
func readVersion(data []byte) (Version, error) {
	fields, err := object(data)
	if err != nil {
		return Version{}, err
	}
	id, err := idField(fields, "version_id")
	if err != nil {
		return Version{}, err
	}
	agent, err := idField(fields, "agent_id")
	if err != nil {
		return Version{}, err
	}
	if !id.Valid || !agent.Valid {
		return Version{}, errors.New("version_id or agent_id is missing")
	}
	v := Version{ID: id.UUID, Agent: agent.UUID, Config: fields}
	var published *bool
	for _, field := range []struct {
		name string
		to   any
	}{
		{"version_number", &v.Number}, {"version_name", &v.Name}, {"name", &v.AgentName},
		{"is_draft", &v.Draft}, {"is_published", &published},
	} {
		if value, ok := fields[field.name]; ok && json.Unmarshal(value, field.to) != nil {
			return Version{}, fmt.Errorf("%s has the wrong type", field.name)
		}
	}
	v.Number = max(v.Number, 0)
	if published != nil {
		v.Published, v.PublishedKnown = *published, true
	}
	for _, name := range []string{"created_at", "version_created_at"} { // the later overrides the earlier
		var at time.Time
		if json.Unmarshal(fields[name], &at) == nil && !at.IsZero() {
			v.Created = at
		}
	}
	for _, name := range []string{
		"version_id", "agent_id", "version_number", "version_name", "name", "is_draft", "is_published",
		"created_at", "modified_at", "version_created_at",
	} {
		delete(v.Config, name)
	}
	return v, nil
}

var versionItems = itemKind[Version]{
	plural: "versions",
	most:   100_000,
	parse:  readVersion,
	id:     func(v Version) uuid.UUID { return v.ID },
}

// Versions reads all versions of an agent (GET /v1/agent/{agent_id}/version), each once and in any order, even if the
// list changes in the meantime. At most four requests are in flight. If the list cannot be read to its end, or if it
// has more than 100,000 versions, the last pair holds an *Error. Versions of another agent, which do not belong in the
// list, are passed on as they are.
func (c *Client) Versions(ctx context.Context, retries Retries, agent uuid.UUID) iter.Seq2[Version, error] {
	return list(ctx, c, request{method: http.MethodGet, path: "v1/agent/" + agent.String() + "/version", retries: retries}, versionItems)
}

// invalidReply is the error for a 200 with an unexpected body.
func invalidReply(wanted string, err error) *Error {
	return &Error{Cause: InvalidReply, Status: http.StatusOK, Message: "the API returned 200 OK, but not " + wanted, Untrusted: err.Error(), Err: err}
}
