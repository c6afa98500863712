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

	// Config holds all other fields as JSON, by name: prompt, voice and so on, including any that the API's document
	// does not list. Some may hold credentials. It is nil if the version has more than 1 MiB.
	Config map[string]json.RawMessage
}

const maxConfigBytes = 1 << 20

// Live reads the live version of an agent (GET /v1/agent/{agent_id}/version?is_published=true). It returns the zero
// Version if none is live. The error is an *Error.
func (c *Client) Live(ctx context.Context, agent uuid.UUID) (Version, error) {
	query := url.Values{"is_published": {"true"}, "limit": {"1"}}
	r := request{method: http.MethodGet, path: versionsPath(agent), query: query}
	return c.version(ctx, agent, r, "the list of published versions", func(body []byte) (Version, error) {
		page, err := parsePage(body, readVersion)
		switch {
		case err != nil:
			return Version{}, err
		case len(page.items) == 0 && !page.more:
			return Version{}, nil
		case len(page.items) != 1:
			return Version{}, fmt.Errorf("%d versions", len(page.items))
		case !page.items[0].Published:
			return Version{}, errors.New("its version is not published")
		}
		return page.items[0], nil
	})
}

// Version reads one version of an agent (GET /v1/agent/{agent_id}?version_id=…). The error is an *Error, with the
// cause NotFound or BadRequest if there is no such version.
func (c *Client) Version(ctx context.Context, agent, version uuid.UUID) (Version, error) {
	r := request{method: http.MethodGet, path: agentPath(agent), query: url.Values{"version_id": {version.String()}}}
	v, err := c.version(ctx, agent, r, "a version", readVersion)
	if err == nil && v.ID != version {
		err = r.mismatch("requested version %s, but the API returned %s", version, v.ID)
	}
	return v, err
}

// Draft reads an agent's draft (GET /v1/agent/{agent_id} without a query). The error is an *Error, with the cause
// NotFound if the agent has none.
func (c *Client) Draft(ctx context.Context, agent uuid.UUID) (Version, error) {
	r := request{method: http.MethodGet, path: agentPath(agent)}
	v, err := c.version(ctx, agent, r, "a version", readVersion)
	if err == nil && !v.Draft {
		err = &Error{Cause: NotFound, Status: http.StatusOK, Message: "the agent has no draft"}
	}
	return v, err
}

// Launch makes a version with this name from an agent's draft (POST /v1/agent/{agent_id}/version) and returns it. It is
// not idempotent: the request is retried only while nothing can have come of it. The error is an *Error, whose Effect
// says whether there may be a new version anyway.
func (c *Client) Launch(ctx context.Context, agent uuid.UUID, name string) (Version, error) {
	body := map[string]any{"version_name": name}
	r := request{method: http.MethodPost, path: versionsPath(agent), body: body, once: true}
	v, err := c.version(ctx, agent, r, "a version", readVersion)
	if err == nil && (string(v.Name) != name || v.Draft) {
		err = r.mismatch("the API launched something other than the agent's draft under this name")
	}
	return v, err
}

// Versions reads all versions of an agent, its draft included (GET /v1/agent/{agent_id}/version), the newest first. If
// the list cannot be read to its end, or has more than 20,000 versions, the last pair holds an *Error.
func (c *Client) Versions(ctx context.Context, agent uuid.UUID) iter.Seq2[Version, error] {
	return list(ctx, c, versionsPath(agent), itemKind[Version]{
		plural: "versions", most: 20_000, parse: readVersion,
		id: func(v Version) uuid.UUID { return v.ID },
	})
}

func agentPath(agent uuid.UUID) string    { return "v1/agent/" + agent.String() }
func versionsPath(agent uuid.UUID) string { return agentPath(agent) + "/version" }

// version sends r, and parses the response, which should be about this agent.
func (c *Client) version(
	ctx context.Context, agent uuid.UUID, r request, wanted string, parse func([]byte) (Version, error),
) (Version, error) {
	v, err := fetch(ctx, c, r, wanted, parse)
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
	v := Version{ID: r.id("version_id"), Agent: r.id("agent_id"), Created: r.time("version_created_at")}
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
