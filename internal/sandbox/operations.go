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

// perform performs c at a time, and records a response that violates the document. The caller holds s.mu.
func (s *Sandbox) perform(c call, at time.Time) response {
	resp := s.answer(c, at)
	odd := func(p Phone) bool { return !slices.Contains(phoneStatuses, p.Status) } // on purpose
	if resp.plain || s.behavior.Unchecked || strings.HasPrefix(c.path, phonesPath) && slices.ContainsFunc(s.state().phones, odd) {
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
func (s *Sandbox) answer(c call, at time.Time) response {
	b := s.behavior
	key, known := s.keys[c.token]
	switch {
	case b.PatchOnly && c.Method != http.MethodPatch, b.WithoutPhones && strings.HasPrefix(c.path, phonesPath):
		return framework(http.StatusNotFound, "Not Found")
	case c.lost == http.StatusTemporaryRedirect:
		target := *c.URL
		target.Scheme, target.Host, target.Path = "http", c.Host, otherSlash(target.Path)
		return response{c.lost, http.Header{"Location": {target.String()}}, nil, true}
	case c.lost == http.StatusMethodNotAllowed:
		return framework(c.lost, "Method Not Allowed")
	case c.lost != 0:
		return framework(c.lost, "Not Found")
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
		return s.read(c, at)
	}
	st := s.state().clone()
	if st.agents[c.id] == nil {
		return notFound(c.id)
	}
	var resp response
	if c.Method == http.MethodPatch {
		resp = s.publish(c, st)
	} else {
		resp = launch(c, st, at)
	}
	if resp.status < 300 {
		s.changes = append(s.changes, Change{at, c.index, st})
	}
	return resp
}

// lacks says which permissions for c the key lacks, in the vendor's words, or returns "".
func (k Key) lacks(c call, phonesIfNamed bool) string {
	_, inbound := c.body[Inbound.field()]
	_, outbound := c.body[Outbound.field()]
	switch {
	case strings.HasPrefix(c.path, phonesPath):
		if k.Phones < Read {
			return "Missing required permissions"
		}
	case c.Method == http.MethodGet:
		if k.Agents < Read {
			return "Missing required permissions to view agents"
		}
	case c.Method == http.MethodPost:
		if k.Agents < Write {
			return "Missing required permissions to update agents"
		}
	case k.Agents < Write, k.Phones < Write && (inbound || outbound || !phonesIfNamed):
		return "Missing required permissions to update agents or phones"
	}
	return ""
}

// publish publishes a version of an agent in st, or unpublishes the agent.
func (s *Sandbox) publish(c call, st *State) response {
	b, a := s.behavior, st.edit(c.id)
	wanted, _ := c.body["version_id"].(string)
	if v := a.find(wanted); v != nil {
		a.published = v.ID
		if v.Draft || len(v.Issues) > 0 {
			return unusable("version %s is a draft, or has validation issues", wanted)
		}
	} else if a.published = ""; wanted != "" {
		return unusable("agent %s has no version %s", c.id, wanted)
	}
	answer := map[string]any{"agent_id": c.id, "published_version_id": orNull(a.published)}
	for _, d := range directions {
		field := d.field()
		value, given := c.body[field]
		number, _ := value.(string)
		number = strings.ToLower(number)
		i := st.phone(number)
		a := st.edit(c.id)
		switch other := st.Owner(number, d); {
		case wanted == "" && number != "":
			return unusable("a phone number needs a version")
		case number != "" && i < 0:
			return unusable("there is no phone number %s", number)
		case number != "" && !strings.EqualFold(st.phones[i].Status, "assigned") && slices.Contains(phoneStatuses, strings.ToLower(st.phones[i].Status)):
			return unusable("phone number %s is %s, not assigned", number, st.phones[i].Status)
		case number != "" && other != "" && other != c.id && !b.AllowTakeOver:
			return unusable("phone number %s belongs to %s", number, st.agents[other].name)
		case wanted == "" && !b.KeepNumbers, wanted != "" && number == "" && (given || b.ReleaseOmitted), number != "" && b.DropOthers:
			a.numbers[d] = nil
		}
		if number != "" {
			st.bind(number, d, c.id, true)
		}
		if answer[field] = orNull(st.agents[c.id].first(d)); b.OnlyNamed && number == "" {
			answer[field] = nil
		}
	}
	return success(http.StatusOK, answer)
}

// launch makes a version of an agent's draft in st.
func launch(c call, st *State, at time.Time) response {
	a := st.edit(c.id)
	draft := a.draft()
	if draft == nil {
		return notFound(c.id)
	}
	if len(draft.Issues) > 0 {
		return failure(http.StatusBadRequest, "BAD_PARAMETER", "Invalid version configuration")
	}
	name, _ := c.body["version_name"].(string)
	v := a.add(c.id, Version{Name: name, Configuration: draft.Configuration, Created: at.UTC()})
	return success(http.StatusCreated, a.encode(c.id, v))
}

// read performs a GET on the state that it sees, or repeats what is in the cache.
func (s *Sandbox) read(c call, at time.Time) response {
	key := c.token + " " + c.URL.RequestURI()
	fresh := strings.Contains(c.Header.Get("Cache-Control"), "no-cache")
	if old, ok := s.cache[key]; ok && !fresh && at.Before(old.until) {
		return old.response
	}
	seen := s.changes[s.floor].State
	for _, change := range s.changes[s.floor:] {
		if s.behavior.ReplicaLag == 0 || !change.Time.After(at.Add(-s.behavior.ReplicaLag)) {
			seen = change.State
		}
	}
	resp := s.readState(c, seen)
	if s.behavior.CacheFor > 0 && resp.status == http.StatusOK {
		s.cache[key] = cached{resp, at.Add(s.behavior.CacheFor)}
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
			mode := cmp.Or(v.Configuration["mode"], leastConfiguration["mode"])
			if published && !s.behavior.IgnorePublished && v.ID != a.published || query.Has("mode") && query.Get("mode") != mode {
				continue
			}
			items = append(items, item{v.ID, func() any { return a.encode(c.id, v) }})
		}
		return s.page(items, query, 10)
	case published && query.Has("version_id"):
		return failure(http.StatusBadRequest, "BAD_PARAMETER", "Cannot specify both version_id and is_published parameters together")
	}
	v := a.draft()
	if published {
		v = a.find(a.published)
	} else if query.Has("version_id") {
		v = a.find(query.Get("version_id"))
	}
	if v == nil {
		return notFound(c.id)
	}
	return success(http.StatusOK, a.encode(c.id, v))
}

// phones returns the phone numbers in st as the API writes them.
func (s *Sandbox) phones(st *State) []Phone {
	phones := st.Phones()
	for i, p := range phones {
		if s.behavior.Notation != nil {
			phones[i].Number = s.behavior.Notation(p.Number)
		}
	}
	return phones
}

func (s *Sandbox) listPhones(st *State, query url.Values) response {
	from, _ := time.Parse(time.RFC3339, query.Get("start_assigned_at"))
	to, _ := time.Parse(time.RFC3339, query.Get("end_assigned_at"))
	var items []item
	for _, p := range s.phones(st) {
		shown := !strings.EqualFold(p.Status, "released")
		for name, value := range map[string]*string{"inbound_agent_id": p.InboundAgentID, "outbound_agent_id": p.OutboundAgentID, "status": &p.Status} {
			if want := query.Get(name); want != "" {
				shown = shown && value != nil && strings.EqualFold(*value, want)
			}
		}
		if !from.IsZero() || !to.IsZero() {
			at := p.AssignedAt
			shown = shown && at != nil && !at.Before(from) && (to.IsZero() || !at.After(to))
		}
		if shown {
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
	case slices.ContainsFunc(c.details, func(d detail) bool { return slices.Contains(pagination, d.Loc[len(d.Loc)-1]) }):
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

// tooMany is the response to a request that exceeds the limit.
func (s *Sandbox) tooMany(wait time.Duration) response {
	const status = http.StatusTooManyRequests
	resp := failure(status, "RATE_LIMITED", "Too many requests")
	if s.behavior.Limit.Page {
		resp = response{status: status, header: http.Header{"Content-Type": {"text/html"}}, body: []byte("<html><head><title>429 Too Many Requests</title></head><body><center><h1>429 Too Many Requests</h1></center><hr><center>nginx</center></body></html>\n")}
	}
	if s.behavior.Limit.RetryAfter {
		resp.header.Set("Retry-After", strconv.Itoa(int((wait+time.Second-1)/time.Second)))
	}
	return resp
}
