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
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Version is a version of an agent, as far as publishing it is concerned.
type Version struct {
	ID        uuid.UUID
	Agent     uuid.UUID
	Number    int    // assigned by the platform; 0: not known
	Name      string // may be empty; need not be unique
	AgentName string // may be empty
	Draft     bool
	Published bool
	Created   time.Time // zero: not known
}

// PublishedVersion reads the version that is published now (public reference, get-agent-by-id). Any reply but a version
// that says so of itself is an error: what the API answers when nothing is published is not documented.
func (c *Client) PublishedVersion(ctx context.Context, retries Retries, agent uuid.UUID) (Version, error) {
	v, err := c.version(ctx, retries, agent, url.Values{"is_published": {"true"}})
	if err == nil && !v.Published {
		err = &Error{Cause: InvalidReply, Status: http.StatusOK, Message: "the API answered with a version that is not published"}
	}
	return v, err
}

// Version reads one version of an agent. The error is an *Error; a Status of 404 or 400 says that there is none.
func (c *Client) Version(ctx context.Context, retries Retries, agent, version uuid.UUID) (Version, error) {
	v, err := c.version(ctx, retries, agent, url.Values{"version_id": {version.String()}})
	if err == nil && v.ID != version {
		err = &Error{Cause: Mismatch, Status: http.StatusOK, Message: fmt.Sprintf("asked for version %s, the API answered with %s", version, v.ID)}
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
		return Version{}, &Error{Cause: Mismatch, Status: http.StatusOK, Message: fmt.Sprintf("asked for agent %s, the API answered with %s", agent, v.Agent)}
	}
	return v, nil
}

func invalidReply(wanted string, err error) *Error {
	return &Error{Cause: InvalidReply, Status: http.StatusOK, Message: "the API answered 200 OK, but not with " + wanted, Untrusted: err.Error(), Err: err}
}

// readVersion reads an agent version. Only its two ids must be there.
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
	v := Version{ID: id.UUID, Agent: agent.UUID}
	for name, to := range map[string]any{
		"version_number": &v.Number, "version_name": &v.Name, "name": &v.AgentName, "is_draft": &v.Draft, "is_published": &v.Published,
	} {
		if value, there := fields[name]; there && json.Unmarshal(value, to) != nil {
			return Version{}, fmt.Errorf("%s has another type than it should", name)
		}
	}
	for _, name := range []string{"created_at", "version_created_at"} { // the last that can be read
		var at time.Time
		if json.Unmarshal(fields[name], &at) == nil && !at.IsZero() {
			v.Created = at
		}
	}
	return v, nil
}

// maxVersions bounds a listing of versions.
const maxVersions = 100_000

// Versions lists every version of an agent (public reference, list-agent-versions), newest first. The last pair carries
// an *Error when the list could not be read to its end.
func (c *Client) Versions(ctx context.Context, retries Retries, agent uuid.UUID) iter.Seq2[Version, error] {
	r := request{method: http.MethodGet, path: "v1/agent/" + agent.String() + "/version", retries: retries}
	return func(yield func(Version, error) bool) {
		for v, err := range list(ctx, c, r, maxVersions, "versions", readVersion, func(v Version) uuid.UUID { return v.ID }) {
			if err == nil && v.Agent != agent {
				continue
			}
			if !yield(v, err) {
				return
			}
		}
	}
}

// maxListed bounds the versions that an error lists.
const maxListed = 5

// VersionNamed finds the one version of an agent that has exactly this name and is not a draft. It reads every page,
// for names need not be unique, and keeps no more than it returns. The error is an *Error: VersionNotFound and
// VersionAmbiguous carry a *NameError.
func (c *Client) VersionNamed(ctx context.Context, retries Retries, agent uuid.UUID, name string) (Version, error) {
	result := NameError{Name: name}
	var similar similarNames
	for v, err := range c.Versions(ctx, retries, agent) {
		if err != nil {
			return Version{}, err
		}
		result.Total++
		if v.Name != name || v.Draft {
			similar.add(v, name)
			continue
		}
		result.Matches++
		if len(result.Versions) < maxListed {
			result.Versions = append(result.Versions, v)
		}
	}
	switch result.Matches {
	case 1:
		return result.Versions[0], nil
	case 0:
		result.Versions = similar.versions()
		return Version{}, &Error{Cause: VersionNotFound, Message: "no version of the agent has this name", Untrusted: strconv.Quote(name), Err: &result}
	default:
		message := fmt.Sprintf("%d versions of the agent have this name", result.Matches)
		return Version{}, &Error{Cause: VersionAmbiguous, Message: message, Untrusted: strconv.Quote(name), Err: &result}
	}
}

// NameError lists the versions that a reader needs to choose another name or an id.
type NameError struct {
	Name     string
	Matches  int       // versions that have the name and are not drafts
	Versions []Version // those, or else the ones with the most similar names, most similar first; five at most
	Total    int       // versions that the agent has
}

func (e *NameError) Error() string { return fmt.Sprintf("%q is not the name of one version", e.Name) }

// nearest collects the versions whose names are most like a name, a draft with the very name first.
type similarNames []candidate

type candidate struct {
	Version
	distance int
}

func (n *similarNames) add(v Version, name string) {
	if v.Name == "" {
		return
	}
	d := distance(fold(name), fold(v.Name))
	if v.Name == name {
		d = -1 // a draft: another would have been found
	}
	if d > max(len(fold(name))/2, 2) {
		return
	}
	i, _ := slices.BinarySearchFunc(*n, d+1, func(c candidate, d int) int { return cmp.Compare(c.distance, d) }) // after its equals
	*n = slices.Insert(*n, i, candidate{v, d})
	*n = (*n)[:min(len(*n), maxListed)]
}

func (n similarNames) versions() []Version {
	var list []Version
	for _, c := range n {
		list = append(list, c.Version)
	}
	return list
}

// fold takes away what most often sets a tag apart from a version's name: case, blanks and a leading v.
func fold(name string) string {
	return strings.TrimPrefix(strings.ToLower(strings.TrimSpace(name)), "v")
}

// distance is the Levenshtein distance of two strings, in bytes of the first 100 of each.
func distance(a, b string) int {
	const most = 100
	a, b = a[:min(len(a), most)], b[:min(len(b), most)]
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			substitute := diagonal
			if a[i] != b[j] {
				substitute++
			}
			diagonal = row[j+1]
			row[j+1] = min(substitute, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
