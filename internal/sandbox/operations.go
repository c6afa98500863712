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
	*configuration           // nil: none of its fields is there
}

// page is the document's AgentVersionPage or PhonePage.
type page[T any] struct {
	Data       []T     `json:"data"`
	HasMore    bool    `json:"has_more"`
	FirstID    *string `json:"first_id"`
	LastID     *string `json:"last_id"`
	Current    int     `json:"current_page"`
	TotalPages int     `json:"total_pages"`
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
	query := c.Request.URL.Query()
	switch c.Route.Path {
	case phonePath:
		return s.getPhone(s.look(), strings.ToLower(c.PathParams["phone_id"]))
	case phonesPath:
		return s.listPhones(s.look(), query)
	}
	id := strings.ToLower(c.PathParams["agent_id"])
	a := s.agents[id]
	switch {
	case a == nil:
		return refuse(http.StatusNotFound, "AGENT_NOT_FOUND", "There is no agent %s", id)
	case c.Request.Method == http.MethodPatch:
		return s.publish(id, a, c.body.(map[string]any))
	case strings.HasSuffix(c.Route.Path, "/version"):
		return a.list(s.look()[id].version, query)
	default:
		return a.get(s.look()[id].version, query)
	}
}

// publish puts one version of an agent on the air, or takes the agent off it.
func (s *Sandbox) publish(id string, a *agent, body map[string]any) reply {
	next := s.now.clone()
	wanted, _ := body["version_id"].(string)
	if wanted == "" {
		for _, d := range directions {
			if body[d.field()] != nil {
				return refuse(http.StatusBadRequest, "BAD_PARAMETER", "A phone number needs a version")
			}
		}
		delete(next, id)
	} else {
		i := index(a.versions, wanted)
		if i < 0 {
			return refuse(http.StatusBadRequest, "BAD_PARAMETER", "Agent %s has no version %s", id, wanted)
		}
		if a.versions[i].IsDraft {
			return refuse(http.StatusBadRequest, "BAD_PARAMETER", "Version %s is a draft", wanted)
		}
		next.publish(id, a.versions[i].VersionID)
		for _, d := range directions {
			phone, given := body[d.field()]
			number, _ := phone.(string)
			if given && phone == nil || s.dropLeftOut {
				next.release(id, d)
			}
			if number == "" {
				continue
			}
			if rep, ok := s.usable(strings.ToLower(number), d, id); !ok {
				return rep
			}
			next.bind(strings.ToLower(number), d, id, true)
		}
	}
	if !next.equal(s.now) {
		s.change(next)
	}
	return newReply(http.StatusOK, published{
		id, orNull(next[id].version), orNull(next[id].first(Outbound)), orNull(next[id].first(Inbound)),
	})
}

// usable tells whether an agent can be published on a phone number in a direction, or returns the refusal.
func (s *Sandbox) usable(phoneID string, d Direction, agentID string) (reply, bool) {
	i := s.phone(phoneID)
	if i < 0 {
		return refuse(http.StatusBadRequest, "BAD_PARAMETER", "There is no phone number %s", phoneID), false
	}
	if status := s.phones[i].Status; status != "assigned" {
		return refuse(http.StatusBadRequest, "BAD_PARAMETER", "Phone number %s is %s, not assigned", phoneID, status), false
	}
	if other := s.now.agent(phoneID, d); other != "" && other != agentID && !s.takeInUse {
		return refuse(http.StatusBadRequest, "BAD_PARAMETER", "Phone number %s is bound to the published version of %s", phoneID, s.agents[other].name), false
	}
	return reply{}, true
}

// get reads one version.
func (a *agent) get(live string, query url.Values) reply {
	i := len(a.versions) - 1
	if id := query.Get("version_id"); id != "" {
		i = index(a.versions, id)
	} else if is, _ := strconv.ParseBool(query.Get("is_published")); is {
		i = index(a.versions, live)
	}
	if i < 0 {
		return refuse(http.StatusNotFound, "AGENT_NOT_FOUND", "There is no such version")
	}
	return newReply(http.StatusOK, a.read(live, a.versions[i:i+1])[0])
}

// list reads a page of versions.
func (a *agent) list(live string, query url.Values) reply {
	return paginate(a.read(live, a.versions), func(v version) string { return v.VersionID }, query)
}

// paginate is a page of items, which are given oldest first. The referee has filled in limit and order.
func paginate[T any](items []T, id func(T) string, query url.Values) reply {
	if query.Get("order") == "desc" {
		slices.Reverse(items)
	}
	limit, _ := strconv.Atoi(query.Get("limit"))
	number, _ := strconv.Atoi(query.Get("page"))
	after, before := query.Get("after"), query.Get("before")
	start, end := 0, len(items)
	cursor := slices.IndexFunc(items, func(item T) bool { return strings.EqualFold(id(item), after+before) })
	starts := 0
	for _, name := range []string{"after", "before", "page"} {
		if query.Has(name) {
			starts++
		}
	}
	switch {
	case starts > 1, after+before != "" && cursor < 0:
		return refuse(http.StatusBadRequest, "BAD_PARAMETER", "Want one of after, before and page, and an id of this listing in it")
	case after != "":
		start = cursor + 1
	case before != "":
		start, end = max(cursor-limit, 0), cursor
	case number > 0:
		start = min((min(number, len(items)+1)-1)*limit, len(items))
	}
	end = min(start+limit, end)
	p := page[T]{
		Data:       items[start:end],
		HasMore:    end < len(items),
		Current:    start/limit + 1,
		TotalPages: (len(items) + limit - 1) / limit,
	}
	if start < end {
		first, last := id(items[start]), id(items[end-1])
		p.FirstID, p.LastID = &first, &last
	}
	return newReply(http.StatusOK, p)
}

// read returns copies of versions that tell whether they are the live one.
func (a *agent) read(live string, versions []version) []version {
	versions = slices.Clone(versions)
	for i := range versions {
		versions[i].IsPublished = versions[i].VersionID == live
	}
	return versions
}

// index finds a version by its id, in whichever case it is written; -1 if there is none.
func index(versions []version, id string) int {
	return slices.IndexFunc(versions, func(v version) bool { return strings.EqualFold(v.VersionID, id) })
}

func orNull(id string) *string {
	if id == "" {
		return nil
	}
	return &id
}
