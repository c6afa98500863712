package sandbox

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const phonesPath = "/v1/phone/"

// unusable are the words that the document has for a phone number's status, but for assigned.
var unusable = []string{"reserved", "pending_verification", "released", "finished"}

// response is an HTTP response before it is written.
type response struct {
	status int
	header http.Header
	body   []byte
}

// cached is the response to a read.
type cached struct {
	response
	until time.Time
}

// perform performs c, and records a response that violates the document. The API's framework answers where there is no
// operation or no token: the document does not say how. The caller holds s.mu.
func (s *Sandbox) perform(c call) response {
	c.now = time.Now()
	resp := s.answer(c)
	odd := func(p Phone) bool { return p.Status != "assigned" && !slices.Contains(unusable, p.Status) } // on purpose
	if c.unknown || c.token == "" || s.behavior.Unchecked ||
		c.ofPhones() && slices.ContainsFunc(s.state().phones, odd) {
		return resp
	}
	for _, ct := range s.contracts {
		if err := ct.checkResponse(c, resp); err != nil {
			violation := fmt.Sprintf("reply %d to %s %s: %v", resp.status, c.Method, c.URL.Path, err)
			s.violations = append(s.violations, violation)
		}
	}
	return resp
}

// answer checks that there is such an operation, the key, the request's form and the permissions, in this order, and
// runs the operation.
func (s *Sandbox) answer(c call) response {
	b := s.behavior
	key, known := keys[c.token]
	switch {
	case c.unknown:
		return success(http.StatusNotFound, map[string]string{"detail": "Not Found"})
	case c.token == "":
		return success(http.StatusForbidden, map[string]string{"detail": "Not authenticated"})
	case !known:
		return failure(http.StatusUnauthorized, "INVALID_API_KEY", "Invalid API key")
	case c.wrong != nil && c.ofPhones():
		return badPage("%v", c.wrong)
	case c.wrong != nil:
		detail := map[string]any{"loc": []string{"body"}, "msg": c.wrong.Error(), "type": "value_error"}
		return success(http.StatusUnprocessableEntity, map[string]any{"detail": []any{detail}})
	}
	if missing := key.lacks(c, b.PhonesIfNamed); missing != "" {
		return failure(http.StatusForbidden, "INTERNAL_SERVER_ERROR", "%s", missing)
	}
	if c.Method == http.MethodGet {
		return s.read(c)
	}
	st := s.state().clone()
	if st.agents[c.id] == nil {
		return notFound(c.id)
	}
	var resp response
	if c.Method == http.MethodPatch {
		resp = s.publish(c, st)
	} else {
		resp = launch(c, st)
	}
	if resp.status < 300 {
		s.changes = append(s.changes, Change{c.now, c.index, st})
	}
	return resp
}

// ofPhones reports whether c is for the phone numbers.
func (c call) ofPhones() bool { return c.path == phonesPath }

// key is what an API key may do, besides reading agents.
type key struct{ writeAgents, readPhones, writePhones bool }

var keys = map[string]key{
	Token:     {writeAgents: true, readPhones: true, writePhones: true},
	ReadToken: {readPhones: true}, AgentsToken: {writeAgents: true}, PhonesToken: {writeAgents: true, readPhones: true},
}

// lacks says which permissions for c the key lacks, in the vendor's words, or returns "".
func (k key) lacks(c call, phonesIfNamed bool) string {
	const missing = "Missing required permissions"
	_, inbound := c.body[Inbound.field()]
	_, outbound := c.body[Outbound.field()]
	switch {
	case c.ofPhones() && !k.readPhones:
		return missing
	case c.Method == http.MethodPost && !k.writeAgents:
		return missing + " to update agents"
	case c.Method == http.MethodPatch && (!k.writeAgents || !k.writePhones && (inbound || outbound || !phonesIfNamed)):
		return missing + " to update agents or phones"
	}
	return ""
}

// publish publishes a version of an agent in st, or unpublishes the agent.
func (s *Sandbox) publish(c call, st *State) response {
	wanted, _ := c.body["version_id"].(string)
	a := st.edit(c.id)
	v := a.version(wanted)
	switch {
	case wanted == "":
		a.published = ""
	case v == nil:
		return refusal("agent %s has no version %s", c.id, wanted)
	case v.Draft:
		return refusal("version %s is a draft", wanted)
	case len(v.Issues) > 0:
		return refusal("version %s has validation issues", wanted)
	default:
		a.published = v.ID
	}
	answer := map[string]any{"agent_id": c.id, "published_version_id": orNull(a.published)}
	for _, d := range directions {
		if reason := s.assign(c, st, d, wanted != ""); reason != "" {
			return refusal("%s", reason)
		}
		answer[d.field()] = orNull(st.agents[c.id].first(d))
		if s.behavior.OnlyNamed && c.body[d.field()] == nil {
			answer[d.field()] = nil
		}
	}
	return success(http.StatusOK, answer)
}

// assign gives the agent in st the phone number that c names in a direction, or takes those that it has. It returns why
// that is impossible, or "".
func (s *Sandbox) assign(c call, st *State, d Direction, publishes bool) string {
	value, given := c.body[d.field()]
	number, _ := value.(string)
	if number == "" {
		if !publishes && !s.behavior.KeepNumbers || publishes && (given || s.behavior.ReleaseOmitted) {
			st.edit(c.id).numbers[d] = nil
		}
		return ""
	}
	i, owner := st.phone(number), st.Owner(number, d)
	switch {
	case !publishes:
		return "a phone number needs a version"
	case i < 0:
		return "there is no phone number " + number
	case slices.Contains(unusable, strings.ToLower(st.phones[i].Status)):
		return "phone number " + number + " is " + st.phones[i].Status + ", not assigned"
	case owner != "" && owner != c.id && !s.behavior.AllowTakeOver:
		return "phone number " + number + " belongs to " + st.agents[owner].name
	case s.behavior.DropOthers:
		st.edit(c.id).numbers[d] = nil
	}
	st.bind(number, d, c.id, true)
	return ""
}

// launch makes a version of an agent's draft in st.
func launch(c call, st *State) response {
	a := st.edit(c.id)
	draft := a.draft()
	if draft == nil {
		return notFound(c.id)
	}
	if len(draft.Issues) > 0 {
		return failure(http.StatusBadRequest, "BAD_PARAMETER", "Invalid version configuration")
	}
	name, _ := c.body["version_name"].(string)
	v := a.add(c.id, Version{Name: name, Configuration: draft.Configuration, Created: c.now.UTC()})
	return success(http.StatusCreated, a.encode(c.id, v))
}

// read performs a GET on the state that it sees, or repeats what is in the cache.
func (s *Sandbox) read(c call) response {
	key := c.token + " " + c.URL.RequestURI()
	fresh := strings.Contains(c.Header.Get("Cache-Control"), "no-cache")
	if old, ok := s.cache[key]; ok && !fresh && c.now.Before(old.until) {
		return old.response
	}
	seen := s.changes[s.floor]
	for _, change := range s.changes[s.floor:] {
		if lag := s.behavior.ReplicaLag; lag == 0 || c.now.Sub(change.Time) >= lag {
			seen = change
		}
	}
	resp := s.readState(c, seen.State)
	if s.behavior.CacheFor > 0 && resp.status == http.StatusOK {
		s.cache[key] = cached{resp, c.now.Add(s.behavior.CacheFor)}
	}
	return resp
}

// readState performs a GET on st.
func (s *Sandbox) readState(c call, st *State) response {
	query, a, items := c.URL.Query(), st.agents[c.id], []item(nil)
	switch {
	case c.ofPhones():
		for _, p := range s.phones(st) {
			if !strings.EqualFold(p.Status, "released") {
				items = append(items, item{p.ID, p})
			}
		}
		return s.page(items, query, 20)
	case a == nil:
		return notFound(c.id)
	case strings.HasSuffix(c.path, "/version"):
		for _, v := range a.versions {
			if v.ID == a.published || query.Get("is_published") != "true" || s.behavior.IgnorePublished {
				items = append(items, item{v.ID, a.encode(c.id, v)})
			}
		}
		return s.page(items, query, 10)
	}
	v := a.draft()
	if query.Has("version_id") {
		v = a.version(query.Get("version_id"))
	}
	if v == nil {
		return notFound(c.id)
	}
	return success(http.StatusOK, a.encode(c.id, *v))
}

// phones returns the phone numbers in st as the API writes them.
func (s *Sandbox) phones(st *State) []Phone {
	phones := slices.Clone(st.Phones())
	for i, p := range phones {
		if s.behavior.Notation != nil && strings.HasPrefix(p.Number, "+") {
			phones[i].Number = s.behavior.Notation(p.Number)
		}
	}
	return phones
}

// item is an item of a list: its id and its JSON value.
type item struct {
	id    string
	value any
}

// page returns the page of items, which are ordered oldest first, that the query asks for.
func (s *Sandbox) page(items []item, query url.Values, limit int) response {
	slices.Reverse(items)
	if n, _ := strconv.Atoi(query.Get("limit")); n > 0 {
		limit = n
	}
	start := 0
	if after := query.Get("after"); after != "" {
		cursor := slices.IndexFunc(items, func(i item) bool { return i.id == after })
		if cursor < 0 {
			resp := badPage("Item %s not found", after)
			resp.status = cmp.Or(s.behavior.CursorStatus, resp.status)
			return resp
		}
		start = cursor + 1
	}
	end := min(start+limit, len(items))
	data := make([]any, 0, end-start)
	for _, i := range items[start:end] {
		data = append(data, i.value)
	}
	page := map[string]any{"data": data, "has_more": end < len(items)}
	if !s.behavior.BarePages {
		page["first_id"], page["last_id"] = nil, nil
		if start < end {
			page["first_id"], page["last_id"] = items[start].id, items[end-1].id
		}
	}
	return success(http.StatusOK, page)
}

func success(status int, body any) response {
	return response{status, http.Header{"Content-Type": {"application/json"}}, encode(body)}
}

// failure has the API's error body.
func failure(status int, code, format string, args ...any) response {
	message := fmt.Sprintf(format, args...)
	return success(status, map[string]string{"status": "error", "error_code": code, "message": message})
}

func notFound(agentID string) response {
	return failure(http.StatusNotFound, "AGENT_NOT_FOUND", "Agent %s not found", agentID)
}

// refusal refuses a publish request.
func refusal(format string, args ...any) response {
	format = "Invalid phone number configuration or version: " + format
	return failure(http.StatusBadRequest, "BAD_PARAMETER", format, args...)
}

func badPage(format string, args ...any) response {
	return failure(http.StatusUnprocessableEntity, "INVALID_PAGINATION_PARAMETERS", format, args...)
}

// refuse is the response to a request that exceeds the limit.
func (l Limit) refuse(wait time.Duration) response {
	resp := failure(http.StatusTooManyRequests, "RATE_LIMITED", "Too many requests")
	if l.RetryAfter {
		resp.header.Set("Retry-After", strconv.Itoa(int((wait+time.Second-1)/time.Second)))
	}
	return resp
}
