package sandbox

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/getkin/kin-openapi/routers"
)

// agent has its versions in the order of their numbers.
type agent struct {
	name     string
	versions []version
	live     binding
}

// binding is what callers meet; each id is empty when there is none.
type binding struct {
	version, inbound, outbound string
}

// version is the document's AgentVersion.
type version struct {
	AgentID        string    `json:"agent_id"`
	VersionID      string    `json:"version_id"`
	Number         int       `json:"version_number"`
	VersionName    *string   `json:"version_name"`
	IsDraft        bool      `json:"is_draft"`
	IsPublished    bool      `json:"is_published"` // filled in when it is read
	Agent          string    `json:"name"`
	Created        time.Time `json:"created_at"`
	Modified       time.Time `json:"modified_at"`
	VersionCreated time.Time `json:"version_created_at"`
}

// page is the document's AgentVersionPage.
type page struct {
	Data       []version `json:"data"`
	HasMore    bool      `json:"has_more"`
	FirstID    *string   `json:"first_id"`
	LastID     *string   `json:"last_id"`
	Current    int       `json:"current_page"`
	TotalPages int       `json:"total_pages"`
}

// published is the document's PublishAgentResponse.
type published struct {
	AgentID   string  `json:"agent_id"`
	VersionID *string `json:"published_version_id"`
	Outbound  *string `json:"outbound_phone_number_id"`
	Inbound   *string `json:"inbound_phone_number_id"`
}

// perform runs the operation: first whether it is too early, then who asks, then whether the request fits, then whether
// it can be done. The caller holds s.mu.
func (s *Sandbox) perform(c call, wait time.Duration) reply {
	mayChange, known := s.tokens[c.token]
	switch {
	case wait > 0:
		rep := refuse(http.StatusTooManyRequests, "RATE_LIMITED", "Too many requests")
		if s.limit.retryAfter {
			rep.header.Set("Retry-After", strconv.Itoa(int((wait+time.Second-1)/time.Second)))
		}
		return rep
	case errors.Is(c.unknown, routers.ErrMethodNotAllowed):
		return newReply(http.StatusMethodNotAllowed, map[string]string{"detail": "Method Not Allowed"})
	case c.unknown != nil:
		return newReply(http.StatusNotFound, map[string]string{"detail": "Not Found"})
	case !known:
		return refuse(http.StatusUnauthorized, "UNAUTHORIZED", "The token is missing or not known")
	case len(c.details) > 0:
		return newReply(http.StatusUnprocessableEntity, map[string][]detail{"detail": c.details})
	case c.Request.Method == http.MethodPatch && !mayChange:
		return refuse(http.StatusForbidden, "INTERNAL_SERVER_ERROR", "The token may not change agents or phones")
	}
	id := strings.ToLower(c.PathParams["agent_id"])
	a := s.agents[id]
	if a == nil {
		return refuse(http.StatusNotFound, "AGENT_NOT_FOUND", "There is no agent %s", id)
	}
	switch query := c.Request.URL.Query(); {
	case c.Request.Method == http.MethodPatch:
		return s.publish(id, a, c.body.(map[string]any))
	case strings.HasSuffix(c.Route.Path, "/version"):
		return a.list(query)
	default:
		return a.get(query)
	}
}

// publish puts one version of an agent on the air, or takes the agent off it.
func (s *Sandbox) publish(id string, a *agent, body map[string]any) reply {
	next := binding{version: wanted(body, "version_id", "")}
	if next.version == "" {
		if wanted(body, "inbound_phone_number_id", "")+wanted(body, "outbound_phone_number_id", "") != "" {
			return refuse(http.StatusBadRequest, "BAD_PARAMETER", "A phone number needs a version")
		}
	} else {
		next.inbound = wanted(body, "inbound_phone_number_id", a.live.inbound)
		next.outbound = wanted(body, "outbound_phone_number_id", a.live.outbound)
		i := index(a.versions, next.version)
		if i < 0 {
			return refuse(http.StatusBadRequest, "BAD_PARAMETER", "Agent %s has no version %s", id, next.version)
		}
		if a.versions[i].IsDraft {
			return refuse(http.StatusBadRequest, "BAD_PARAMETER", "Version %s is a draft", next.version)
		}
	}
	for _, phone := range []string{next.inbound, next.outbound} {
		if phone != "" && !slices.Contains(s.phones, phone) {
			return refuse(http.StatusBadRequest, "BAD_PARAMETER", "There is no phone number %s", phone)
		}
	}
	for _, other := range s.agents {
		if other != a && other.live.collides(next) {
			return refuse(http.StatusBadRequest, "BAD_PARAMETER", "A phone number is bound to the published version of %s", other.name)
		}
	}
	a.live = next
	return newReply(http.StatusOK, published{id, orNull(next.version), orNull(next.outbound), orNull(next.inbound)})
}

// collides reports whether two agents would answer one phone number, or call from one.
func (b binding) collides(other binding) bool {
	return b.inbound != "" && b.inbound == other.inbound || b.outbound != "" && b.outbound == other.outbound
}

// get reads one version.
func (a *agent) get(query url.Values) reply {
	i := len(a.versions) - 1
	if id := query.Get("version_id"); id != "" {
		i = index(a.versions, id)
	} else if is, _ := strconv.ParseBool(query.Get("is_published")); is {
		i = index(a.versions, a.live.version)
	}
	if i < 0 {
		return refuse(http.StatusNotFound, "AGENT_NOT_FOUND", "There is no such version")
	}
	return newReply(http.StatusOK, a.read(a.versions[i : i+1])[0])
}

// list reads a page of versions. The referee has filled in limit and order.
func (a *agent) list(query url.Values) reply {
	versions := a.read(a.versions)
	if query.Get("order") == "desc" {
		slices.Reverse(versions)
	}
	limit, _ := strconv.Atoi(query.Get("limit"))
	number, _ := strconv.Atoi(query.Get("page"))
	after, before := query.Get("after"), query.Get("before")
	start, end := 0, len(versions)
	cursor := index(versions, after+before)
	switch {
	// Besides limit and order there may be one more.
	case len(query) > 3, after+before != "" && cursor < 0:
		return refuse(http.StatusBadRequest, "BAD_PARAMETER", "Want one of after, before and page, and a version of this agent in it")
	case after != "":
		start = cursor + 1
	case before != "":
		start, end = max(cursor-limit, 0), cursor
	case number > 0:
		start = min((min(number, len(versions)+1)-1)*limit, len(versions))
	}
	end = min(start+limit, end)
	p := page{
		Data:       versions[start:end],
		HasMore:    end < len(versions),
		Current:    start/limit + 1,
		TotalPages: (len(versions) + limit - 1) / limit,
	}
	if start < end {
		p.FirstID, p.LastID = &versions[start].VersionID, &versions[end-1].VersionID
	}
	return newReply(http.StatusOK, p)
}

// read returns copies of versions that tell which of them is published.
func (a *agent) read(versions []version) []version {
	versions = slices.Clone(versions)
	for i := range versions {
		versions[i].IsPublished = versions[i].VersionID == a.live.version
	}
	return versions
}

// index finds a version by its id, in whichever case it is written; -1 if there is none.
func index(versions []version, id string) int {
	return slices.IndexFunc(versions, func(v version) bool { return strings.EqualFold(v.VersionID, id) })
}

// wanted returns the id in a field of a request's body, in lower case: empty for null, absent if the field is not there.
func wanted(body map[string]any, field, absent string) string {
	value, ok := body[field]
	if !ok {
		return absent
	}
	id, _ := value.(string)
	return strings.ToLower(id)
}

func orNull(id string) *string {
	if id == "" {
		return nil
	}
	return &id
}
