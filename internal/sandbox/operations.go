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

const (
	phonesPath = "/v1/phone/"
	phonePath  = "/v1/phone/{phone_id}"
)

// phoneStatuses are the words that the document has for a phone number's status.
var phoneStatuses = []string{"reserved", "pending_verification", "assigned", "released", "finished"}

// response is an HTTP response before it is written.
type response struct {
	status int
	header http.Header
	body   []byte
	plain  bool // no operation's response: the document does not apply
}

// cached is the response to a read.
type cached struct {
	response
	until time.Time
}

// perform performs c when it is due, and records a response that violates the document. The caller holds s.mu.
func (s *Sandbox) perform(c call) response {
	resp := s.answer(c)
	odd := func(p Phone) bool { return !slices.Contains(phoneStatuses, p.Status) } // on purpose
	if resp.plain || s.behavior.Unchecked || c.ofPhones() && slices.ContainsFunc(s.state().phones, odd) {
		return resp
	}
	for _, ct := range s.contracts {
		if err := ct.checkResponse(c, resp); err != nil {
			reason, _, _ := strings.Cut(err.Error(), "\n")
			s.violate("reply %d to %s %s: %s", resp.status, c.Method, c.URL.Path, reason)
		}
	}
	return resp
}

// answer checks that there is such an operation, the key, the request's form and the permissions, in this order, and runs
// the operation.
func (s *Sandbox) answer(c call) response {
	b := s.behavior
	key, known := s.keys[c.token]
	switch {
	case b.PatchOnly && c.Method != http.MethodPatch, b.WithoutPhones && c.ofPhones():
		return framework(http.StatusNotFound, http.StatusText(http.StatusNotFound))
	case c.lost == http.StatusTemporaryRedirect:
		target := *c.URL
		target.Scheme, target.Host, target.Path = "http", c.Host, otherSlash(target.Path)
		return response{c.lost, http.Header{"Location": {target.String()}}, nil, true}
	case c.lost != 0:
		return framework(c.lost, http.StatusText(c.lost))
	case c.token == "":
		return framework(http.StatusForbidden, "Not authenticated")
	case !known:
		return failure(http.StatusUnauthorized, "INVALID_API_KEY", "Invalid API key")
	case len(c.details) > 0:
		return misshapen(c)
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
		s.changes = append(s.changes, Change{c.due, c.index, st})
	}
	return resp
}

// ofPhones reports whether c is for an operation on phone numbers.
func (c call) ofPhones() bool { return strings.HasPrefix(c.path, phonesPath) }

// lacks says which permissions for c the key lacks, in the vendor's words, or returns "".
func (k Key) lacks(c call, phonesIfNamed bool) string {
	const missing = "Missing required permissions"
	_, inbound := c.body[Inbound.field()]
	_, outbound := c.body[Outbound.field()]
	switch {
	case c.ofPhones() && k.Phones < Read:
		return missing
	case !c.ofPhones() && c.Method == http.MethodGet && k.Agents < Read:
		return missing + " to view agents"
	case c.Method == http.MethodPost && k.Agents < Write:
		return missing + " to update agents"
	case c.Method == http.MethodPatch && (k.Agents < Write || k.Phones < Write && (inbound || outbound || !phonesIfNamed)):
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
		return unusable("agent %s has no version %s", c.id, wanted)
	case v.Draft:
		return unusable("version %s is a draft", wanted)
	case len(v.Issues) > 0:
		return unusable("version %s has validation issues", wanted)
	default:
		a.published = v.ID
	}
	answer := map[string]any{"agent_id": c.id, "published_version_id": orNull(a.published)}
	for _, d := range directions {
		if reason := s.assign(c, st, d, wanted != ""); reason != "" {
			return unusable("%s", reason)
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
	number = strings.ToLower(number)
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
	case slices.Contains([]string{"reserved", "pending_verification", "released", "finished"}, strings.ToLower(st.phones[i].Status)):
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
	v := a.add(c.id, Version{Name: name, Configuration: draft.Configuration, Created: c.due.UTC()})
	return success(http.StatusCreated, a.encode(c.id, v))
}

// read performs a GET on the state that it sees, or repeats what is in the cache.
func (s *Sandbox) read(c call) response {
	key := c.token + " " + c.URL.RequestURI()
	fresh := strings.Contains(c.Header.Get("Cache-Control"), "no-cache")
	if old, ok := s.cache[key]; ok && !fresh && c.due.Before(old.until) {
		return old.response
	}
	seen := s.changes[s.floor]
	for _, change := range s.changes[s.floor:] {
		if lag := s.behavior.ReplicaLag; lag == 0 || c.due.Sub(change.Time) >= lag {
			seen = change
		}
	}
	resp := s.readState(c, seen.State)
	if s.behavior.CacheFor > 0 && resp.status == http.StatusOK {
		s.cache[key] = cached{resp, c.due.Add(s.behavior.CacheFor)}
	}
	return resp
}

// readState performs a GET on st.
func (s *Sandbox) readState(c call, st *State) response {
	query, a := c.URL.Query(), st.agents[c.id]
	published, _ := strconv.ParseBool(query.Get("is_published"))
	switch {
	case c.path == phonesPath:
		return s.listPhones(st, query)
	case c.path == phonePath && st.phone(c.id) < 0:
		return failure(http.StatusNotFound, "PHONE_NOT_FOUND", "Phone %s not found", c.id)
	case c.path == phonePath:
		return success(http.StatusOK, s.phones(st)[st.phone(c.id)])
	case a == nil:
		return notFound(c.id)
	case strings.HasSuffix(c.path, "/version"):
		var items []item
		for _, v := range a.versions {
			mode := cmp.Or(v.Configuration["mode"], readFixtures().Least["mode"])
			if (v.ID == a.published || !published || s.behavior.IgnorePublished) && (!query.Has("mode") || query.Get("mode") == mode) {
				items = append(items, item{v.ID, func() any { return a.encode(c.id, v) }})
			}
		}
		return s.page(items, query, 10)
	case published && query.Has("version_id"):
		return failure(http.StatusBadRequest, "BAD_PARAMETER", "Cannot specify both version_id and is_published parameters together")
	}
	v := a.draft()
	if published || query.Has("version_id") {
		v = a.version(cmp.Or(query.Get("version_id"), a.published))
	}
	if v == nil {
		return notFound(c.id)
	}
	return success(http.StatusOK, a.encode(c.id, v))
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

func (s *Sandbox) listPhones(st *State, query url.Values) response {
	from, _ := time.Parse(time.RFC3339, query.Get("start_assigned_at"))
	to, _ := time.Parse(time.RFC3339, query.Get("end_assigned_at"))
	passes := func(filter string, value *string) bool {
		want := query.Get(filter)
		return want == "" || value != nil && strings.EqualFold(*value, want)
	}
	var items []item
	for _, p := range s.phones(st) {
		at := p.AssignedAt
		if !strings.EqualFold(p.Status, "released") && passes("status", &p.Status) &&
			passes("inbound_agent_id", p.InboundAgentID) && passes("outbound_agent_id", p.OutboundAgentID) &&
			(from.IsZero() || at != nil && !at.Before(from)) && (to.IsZero() || at != nil && !at.After(to)) {
			items = append(items, item{p.ID, func() any { return p }})
		}
	}
	return s.page(items, query, 20)
}

// item is an item of a list: its id and its JSON value.
type item struct {
	id    string
	value func() any
}

// page returns the page of items, which are ordered oldest first, that the query asks for.
func (s *Sandbox) page(items []item, query url.Values, limit int) response {
	if query.Get("order") != "asc" {
		slices.Reverse(items)
	}
	if n, _ := strconv.Atoi(query.Get("limit")); n > 0 {
		limit = n
	}
	number, _ := strconv.Atoi(query.Get("page"))
	after, before := query.Get("after"), query.Get("before")
	start, end := 0, len(items)
	cursor := slices.IndexFunc(items, func(i item) bool { return strings.EqualFold(i.id, after+before) })
	starts := slices.DeleteFunc([]string{"after", "before", "page"}, func(name string) bool { return !query.Has(name) })
	switch {
	case len(starts) > 1:
		return badPage("Cannot specify both '%s' and '%s' parameters", starts[1], starts[0])
	case after+before != "" && cursor < 0:
		resp := badPage("Item %s not found", after+before)
		resp.status = cmp.Or(s.behavior.CursorStatus, resp.status)
		return resp
	case after != "":
		start = cursor + 1
	case before != "":
		start, end = max(cursor-limit, 0), cursor
	case number > 0:
		start = min((min(number, len(items)+1)-1)*limit, len(items))
	}
	end = min(start+limit, end)
	data := make([]any, 0, end-start)
	for _, i := range items[start:end] {
		data = append(data, i.value())
	}
	page := map[string]any{"data": data, "has_more": end < len(items)}
	if !s.behavior.BarePages {
		page["current_page"], page["total_pages"] = start/limit+1, (len(items)+limit-1)/limit
		page["first_id"], page["last_id"] = nil, nil
		if start < end {
			page["first_id"], page["last_id"] = items[start].id, items[end-1].id
		}
	}
	return success(http.StatusOK, page)
}

func success(status int, body any) response {
	return response{status: status, header: http.Header{"Content-Type": {"application/json"}}, body: mustJSON(body)}
}

// failure has the API's error body.
func failure(status int, code, format string, args ...any) response {
	return success(status, map[string]string{"status": "error", "error_code": code, "message": fmt.Sprintf(format, args...)})
}

func notFound(agentID string) response {
	return failure(http.StatusNotFound, "AGENT_NOT_FOUND", "Agent %s not found", agentID)
}

// unusable refuses a publish request.
func unusable(format string, args ...any) response {
	return failure(http.StatusBadRequest, "BAD_PARAMETER", "Invalid phone number configuration or version: "+format, args...)
}

func badPage(format string, args ...any) response {
	return failure(http.StatusUnprocessableEntity, "INVALID_PAGINATION_PARAMETERS", format, args...)
}

// misshapen refuses a request that violates the document.
func misshapen(c call) response {
	pagination := []string{"after", "before", "page", "limit", "order"}
	switch {
	case c.path != phonesPath:
		return success(http.StatusUnprocessableEntity, map[string][]detail{"detail": c.details})
	case slices.Contains(pagination, c.details[0].Loc[1]):
		return badPage("Invalid pagination parameters")
	default:
		return failure(http.StatusBadRequest, "NOT_VALID_FIELD", "Invalid field value in query parameters")
	}
}

// framework is a response of the framework before any operation runs.
func framework(status int, text string) response {
	resp := success(status, map[string]string{"detail": text})
	resp.plain = true
	return resp
}

// refuse is the response to a request that exceeds the limit.
func (l Limit) refuse(wait time.Duration) response {
	resp := failure(http.StatusTooManyRequests, "RATE_LIMITED", "Too many requests")
	if l.Page {
		const page = "<html><head><title>429 Too Many Requests</title></head><body><h1>429 Too Many Requests</h1></body></html>"
		resp.header, resp.body = http.Header{"Content-Type": {"text/html"}}, []byte(page)
	}
	if l.RetryAfter {
		resp.header.Set("Retry-After", strconv.Itoa(int((wait+time.Second-1)/time.Second)))
	}
	return resp
}
