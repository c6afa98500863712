package sandbox

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// agent is an agent with its versions, ordered by number.
type agent struct {
	name     string
	versions []version
}

// version is the document's AgentVersion.
type version struct {
	AgentID        string    `json:"agent_id"`
	VersionID      string    `json:"version_id"`
	Number         int       `json:"version_number"`
	VersionName    *string   `json:"version_name"`
	IsDraft        bool      `json:"is_draft"`
	IsPublished    bool      `json:"is_published"` // set when it is read
	Agent          string    `json:"name"`
	Created        time.Time `json:"created_at"`
	Modified       time.Time `json:"modified_at"`
	VersionCreated time.Time `json:"version_created_at"`
	*configuration           // nil omits its fields
}

// AddVersion adds a version to one of the agents, dated an hour after its last one, and returns the version's id. An
// empty name is sent as null.
func (s *Sandbox) AddVersion(agentID, name string, draft bool) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.agents[agentID]
	number := len(a.versions) + 1
	v := version{
		AgentID: agentID,
		// The prefix identifies the agent: b1… for agent …1, b2… for agent …2 and so on.
		VersionID: fmt.Sprintf("b%s000000-0000-4000-8000-%012d", agentID[len(agentID)-1:], number),
		Number:    number,
		IsDraft:   draft,
		Agent:     a.name,
		Created:   time.Date(2026, time.January, 5, 9, 0, 0, 0, time.UTC),
	}
	v.VersionCreated = v.Created.Add(time.Duration(number) * time.Hour)
	v.Modified = v.VersionCreated
	if name != "" {
		v.VersionName = &name
	}
	if agentID == FrontDesk {
		v.configuration = newConfiguration(v.VersionID >= NextID)
	}
	a.versions = append(a.versions, v)
	return v.VersionID
}

// get returns the version that the query asks for; published is the id of the published version.
func (a *agent) get(published string, query url.Values) response {
	i := len(a.versions) - 1
	if id := query.Get("version_id"); id != "" {
		i = index(a.versions, id)
	} else if is, _ := strconv.ParseBool(query.Get("is_published")); is {
		i = index(a.versions, published)
	}
	if i < 0 {
		return errorResponse(http.StatusNotFound, "AGENT_NOT_FOUND", "There is no such version")
	}
	return jsonResponse(http.StatusOK, a.read(published, a.versions[i:i+1])[0])
}

func (a *agent) list(published string, query url.Values) response {
	return paginate(a.read(published, a.versions), func(v version) string { return v.VersionID }, query)
}

// read returns a copy of versions with IsPublished set.
func (a *agent) read(published string, versions []version) []version {
	versions = slices.Clone(versions)
	for i := range versions {
		versions[i].IsPublished = versions[i].VersionID == published
	}
	return versions
}

// index finds a version by its id in any case, or returns -1.
func index(versions []version, id string) int {
	return slices.IndexFunc(versions, func(v version) bool { return strings.EqualFold(v.VersionID, id) })
}
