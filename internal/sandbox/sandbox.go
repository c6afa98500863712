// Package sandbox implements the Diga API in memory, as an [http.Handler] for tests, local trials and simulations.
//
// [New] returns a [Sandbox] with a fixed set of agents, versions and phone numbers, which the package's constants name;
// [NewEmpty] returns one without any. Faults can be injected into it, and every request and response is checked against
// the OpenAPI document. [Sandbox.Violations] lists whatever does not conform. [Sandbox.State] is the true state at any
// time, and [Sandbox.Changes] is how it came about.
//
// The sources leave some points open. [Behavior] lists those that can go either way, with their defaults. The others
// are resolved as follows:
//   - null in a publish request releases every number that the agent has in that direction.
//   - A number that is reserved, pending verification, released or finished is refused. A draft is refused, and so is a
//     version with validation_issues, and a number in a request that unpublishes.
//   - A publish response names one number in each direction: the one that was published last.
//   - Reading or launching the draft of an agent that has none, or reading a version that it does not have, is a 404.
//   - A launched version gets the next number, the draft's configuration and the time. The draft stays as it is.
//   - Phone numbers are ordered by the time at which they were added. A released one has no agents and is in no list.
//   - A request that does not conform to the document, or that has a field or parameter that the document does not
//     list, is a 422; for the list of phone numbers in the error shape that the document has there.
//   - A key is checked before the request's form, and its permissions after that.
package sandbox

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Sandbox is an in-memory Diga API. It is safe for concurrent use, and also runs in the virtual time of
// testing/synctest.
type Sandbox struct {
	contracts []contract // the document, and in tests another that the responses must be valid by

	mu         sync.Mutex
	behavior   Behavior
	changes    []Change
	floor      int // the oldest change that a replica shows
	faults     []Fault
	serving    int       // how many requests are in progress
	full       time.Time // see excess
	cache      map[string]cached
	requests   []Request
	violations []string
}

// New returns a sandbox that holds the agents, versions and phone numbers described by the constants.
func New() *Sandbox {
	s := NewEmpty()
	s.changes = append(s.changes, Change{time.Now(), -1, newState()})
	return s
}

// NewEmpty returns a sandbox without agents and phone numbers.
func NewEmpty() *Sandbox {
	return &Sandbox{
		contracts: []contract{projectContract()},
		changes:   []Change{{time.Now(), -1, &State{agents: map[string]*agent{}}}},
	}
}

// Request is a request as the sandbox received it.
type Request struct {
	Method   string
	Path     string // with its percent-escapes
	RawQuery string
	Header   http.Header
	Body     string
	Time     time.Time
}

// Change is a change of the state, or a publish request that was performed and found it as it should be.
type Change struct {
	Time    time.Time
	Request int    // the index in Requests of the request that made it, or -1 for a change behind the clients' backs
	State   *State // from then on
}

// call is a request that was read.
type call struct {
	*http.Request

	index   int    // in Requests
	path    string // the document's path
	id      string // the agent's, in the path
	token   string // the bearer token, or ""
	body    map[string]any
	unknown bool      // there is no such operation
	wrong   error     // how it violates the document
	now     time.Time // when it is performed
}

// ServeHTTP responds to r as the API would, unless there is a fault for it.
func (s *Sandbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	c, wait, fault := s.receive(r, body)
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.serving--
	}()
	resp := fault.respond(r.Context(), func() response {
		s.mu.Lock()
		defer s.mu.Unlock()
		if wait > 0 {
			return s.behavior.Limit.refuse(wait)
		}
		return s.perform(c)
	})
	maps.Copy(w.Header(), resp.header)
	if fault.Drop != DropBody {
		w.WriteHeader(resp.status)
		_, _ = w.Write(resp.body)
		return
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(resp.body)))
	w.WriteHeader(resp.status)
	_, _ = w.Write(resp.body[:len(resp.body)/2])
	http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

// receive records r and its violations. It returns how long r must wait under the limit, or else the fault for it.
func (s *Sandbox) receive(r *http.Request, body []byte) (c call, wait time.Duration, fault Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	c = call{Request: r, index: len(s.requests)}
	_, c.token, _ = strings.Cut(strings.Join(r.Header["Authorization"], ", "), "Bearer ")
	c.path, c.id = locate(r.URL.EscapedPath())
	_, known := s.contracts[0][r.Method+" "+c.path]
	c.unknown = !known
	_ = json.Unmarshal(body, &c.body) // if it is malformed, it violates the document
	if !s.behavior.Unchecked {
		c.wrong = s.contracts[0].checkRequest(c, body)
	}
	if c.wrong != nil {
		s.violations = append(s.violations, fmt.Sprintf("%s %s: %v", r.Method, r.URL.RequestURI(), c.wrong))
	}
	received := Request{r.Method, r.URL.EscapedPath(), r.URL.RawQuery, r.Header.Clone(), string(body), now}
	s.requests = append(s.requests, received)
	s.serving++
	if wait := s.excess(now); wait > 0 {
		return c, wait, Fault{}
	}
	fault, ok := s.nextFault(r)
	if decide := s.behavior.Fault; !ok && decide != nil {
		s.mu.Unlock() // it may ask for the state
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		fault = decide(r)
		s.mu.Lock()
	}
	if fault.Late > 0 {
		time.AfterFunc(fault.Late, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.perform(c)
		})
	}
	return c, 0, fault
}

// state returns the state. The caller holds s.mu.
func (s *Sandbox) state() *State { return s.changes[len(s.changes)-1].State }

// change changes the state without a request, as another client would.
func (s *Sandbox) change(edit func(*State)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.state().clone()
	edit(st)
	s.changes = append(s.changes, Change{time.Now(), -1, st})
}

// AddAgent adds an agent with no versions. Its id is in lower case.
func (s *Sandbox) AddAgent(id, name string) {
	s.change(func(st *State) { st.agents[id] = &agent{name: name} })
}

// AddVersion adds a version, or the draft, to an agent and returns its id.
func (s *Sandbox) AddVersion(agentID string, v Version) (id string) {
	s.change(func(st *State) { id = st.edit(agentID).add(agentID, v).ID })
	return id
}

// DeleteVersion deletes a version of an agent, or its draft.
func (s *Sandbox) DeleteVersion(agentID, versionID string) {
	s.change(func(st *State) {
		a := st.edit(agentID)
		a.versions = slices.DeleteFunc(slices.Clone(a.versions), func(v Version) bool { return v.ID == versionID })
	})
}

// SetPhone adds a phone number, or replaces the one that has the same id, and returns its id. Bind sets the agents.
func (s *Sandbox) SetPhone(p Phone) (id string) {
	s.change(func(st *State) { id = st.setPhone(p) })
	return id
}

// SetPublished publishes a version of an agent. The agent keeps its phone numbers. An empty versionID unpublishes the
// agent and releases its numbers.
func (s *Sandbox) SetPublished(agentID, versionID string) {
	s.change(func(st *State) {
		a := st.edit(agentID)
		a.published = versionID
		if versionID == "" {
			a.numbers = [len(directions)][]string{}
		}
	})
}

// Bind moves a phone number to an agent in a direction, regardless of the number's status. It becomes the agent's last
// number. An empty agentID only releases the number.
func (s *Sandbox) Bind(phoneID string, d Direction, agentID string) {
	s.change(func(st *State) { st.bind(phoneID, d, agentID, false) })
}

// State returns the true state.
func (s *Sandbox) State() *State { changes := s.Changes(); return changes[len(changes)-1].State }

// Live is State().Live.
func (s *Sandbox) Live(agentID string) (versionID, inbound, outbound string) {
	return s.State().Live(agentID)
}

// Phones is State().Phones, with the numbers as the API writes them.
func (s *Sandbox) Phones() []Phone { return s.phones(s.State()) }

// Changes returns the changes of the state so far, in order. The first is the empty state.
func (s *Sandbox) Changes() []Change { return snapshot(s, &s.changes) }

// Requests returns the requests received so far, in order.
func (s *Sandbox) Requests() []Request { return snapshot(s, &s.requests) }

// Violations describes, in order, what in the requests and in the sandbox's own responses did not conform to the
// OpenAPI document. Responses made by a fault are not checked.
func (s *Sandbox) Violations() []string { return snapshot(s, &s.violations) }

// snapshot returns what a list of s holds.
func snapshot[T any](s *Sandbox, list *[]T) []T {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clip(*list) // which only grows
}
