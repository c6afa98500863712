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
	Draft     bool
	Published bool
	Created   time.Time // zero: not known
}

// PublishedVersion reads, in one attempt, the version that is published now. Every end but a version that says so of
// itself is an error: what the API answers when nothing is published is not documented.
func (c *Client) PublishedVersion(ctx context.Context, agent uuid.UUID) (Version, error) {
	v, err := c.version(ctx, agent, url.Values{"is_published": {"true"}}, true)
	if err == nil && !v.Published {
		err = &Error{Cause: InvalidReply, Status: http.StatusOK, Message: "the API answered with a version that is not published"}
	}
	return v, err
}

// Version reads one version of an agent. The error is an *Error; a Status of 404 or 400 says that there is none.
func (c *Client) Version(ctx context.Context, agent, version uuid.UUID) (Version, error) {
	v, err := c.version(ctx, agent, url.Values{"version_id": {version.String()}}, false)
	if err == nil && v.ID != version {
		err = &Error{Cause: Mismatch, Status: http.StatusOK, Message: fmt.Sprintf("asked for version %s, the API answered with %s", version, v.ID)}
	}
	return v, err
}

func (c *Client) version(ctx context.Context, agent uuid.UUID, query url.Values, once bool) (Version, error) {
	body, _, err := c.do(ctx, request{method: http.MethodGet, path: "v1/agent/" + agent.String(), query: query, once: once})
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
	return &Error{Cause: InvalidReply, Status: http.StatusOK, Message: "the API answered 200 OK, but not with " + wanted, Said: err.Error(), Err: err}
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
		"version_number": &v.Number, "version_name": &v.Name, "is_draft": &v.Draft, "is_published": &v.Published,
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

// errLoop ends a listing that would never end, or whose end cannot be reached.
var errLoop = errors.New("the list of versions repeats itself before its end")

// Versions lists every version of an agent, newest first, each once even when the list changes while it is read. The
// last pair carries an error, an *Error, when the list could not be read to its end.
func (c *Client) Versions(ctx context.Context, agent uuid.UUID) iter.Seq2[Version, error] {
	return func(yield func(Version, error) bool) {
		limit := 100 // the most that the API gives at once
		seen := make(map[uuid.UUID]bool)
		for after := ""; ; {
			query := url.Values{"limit": {strconv.Itoa(limit)}}
			if after != "" {
				query.Set("after", after)
			}
			body, _, err := c.do(ctx, request{method: http.MethodGet, path: "v1/agent/" + agent.String() + "/version", query: query})
			if errors.Is(err, errTooLarge) && limit > 1 {
				limit = max(limit/4, 1) // versions carry their whole configuration, and some are long
				continue
			}
			var page page
			if err == nil {
				if page, err = readPage(body); err != nil {
					err = invalidReply("a page of versions", err)
				}
			}
			if err != nil {
				yield(Version{}, err)
				return
			}
			fresh := false
			for _, v := range page.versions {
				if v.Agent != agent || seen[v.ID] {
					continue
				}
				seen[v.ID], fresh = true, true
				if !yield(v, nil) {
					return
				}
			}
			if !page.more {
				return
			}
			if !fresh {
				yield(Version{}, invalidReply("the whole list", errLoop))
				return
			}
			after = page.last
		}
	}
}

type page struct {
	versions []Version
	more     bool
	last     string // the cursor of the next page
}

func readPage(body []byte) (page, error) {
	fields, err := object(body)
	if err != nil {
		return page{}, err
	}
	var p page
	var items []json.RawMessage
	if json.Unmarshal(fields["data"], &items) != nil || items == nil {
		return page{}, errors.New("data is not a list")
	}
	for _, item := range items {
		v, err := readVersion(item)
		if err != nil {
			return page{}, err
		}
		p.versions, p.last = append(p.versions, v), v.ID.String()
	}
	var more *bool
	if json.Unmarshal(fields["has_more"], &more) != nil || more == nil {
		return page{}, errors.New("has_more is not true or false")
	}
	p.more = *more
	last, err := idField(fields, "last_id")
	if last.Valid {
		p.last = last.UUID.String()
	}
	return p, err
}

// VersionNamed finds the one version of an agent that has exactly this name and is not a draft. It reads every page,
// for names need not be unique. The error is an *Error: VersionNotFound and VersionAmbiguous carry a *NameError.
func (c *Client) VersionNamed(ctx context.Context, agent uuid.UUID, name string) (Version, error) {
	var matches, others []Version
	for v, err := range c.Versions(ctx, agent) {
		switch {
		case err != nil:
			return Version{}, err
		case v.Name == name && !v.Draft:
			matches = append(matches, v)
		default:
			others = append(others, v)
		}
	}
	switch len(matches) {
	case 1:
		return matches[0], nil
	case 0:
		return Version{}, &Error{
			Cause: VersionNotFound, Message: "no version of the agent has this name", Said: strconv.Quote(name),
			Err: &NameError{Name: name, Versions: nearest(name, others), Total: len(others)},
		}
	default:
		return Version{}, &Error{
			Cause: VersionAmbiguous, Message: fmt.Sprintf("%d versions of the agent have this name", len(matches)), Said: strconv.Quote(name),
			Err: &NameError{Name: name, Versions: matches, Total: len(matches) + len(others)},
		}
	}
}

// NameError lists the versions that a reader needs to choose another name or an id.
type NameError struct {
	Name     string
	Versions []Version // of the same name, or those with the nearest names, nearest first, five at most
	Total    int       // versions that the agent has
}

func (e *NameError) Error() string { return fmt.Sprintf("%q is not the name of one version", e.Name) }

// nearest picks the versions whose names are most like name, five at most, drafts with the very name first.
func nearest(name string, versions []Version) []Version {
	type candidate struct {
		Version
		distance int
	}
	var candidates []candidate
	for _, v := range versions {
		if v.Name == "" {
			continue
		}
		d := distance(fold(name), fold(v.Name))
		if v.Name == name {
			d = -1 // a draft, or it would have been found
		}
		if d <= max(len(fold(name))/2, 2) {
			candidates = append(candidates, candidate{v, d})
		}
	}
	slices.SortStableFunc(candidates, func(a, b candidate) int { return cmp.Compare(a.distance, b.distance) })
	var list []Version
	for _, c := range candidates[:min(len(candidates), 5)] {
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
