// Package sandbox implements the Diga API in memory, as an [http.Handler] for tests and local trials.
//
// [New] returns a [Sandbox] with a fixed set of agents, versions and phone numbers, which the package's constants name.
// Faults can be injected into it, and every request and response is checked against the OpenAPI document.
// [Sandbox.Violations] lists whatever does not conform.
//
// The document leaves some points open. The sandbox resolves them as follows:
//   - A phone number that a publish request omits stays bound to its agent, and so do the agent's other numbers in a
//     direction for which the request names one. ReleaseOmitted releases both.
//   - null in a publish request releases every number that the agent has in that direction.
//   - A number that another agent has in that direction is refused, unless AllowTakeOver moves it to the new agent.
//   - A number that is not assigned is refused.
//   - A publish response names one number in each direction: the one that was published last.
//   - Unpublishing releases all of the agent's numbers; naming one in the same request is refused.
//   - Reading the published version of an agent that has none, or a version that the agent does not have, is a 404.
//   - A read that names no version returns the newest one.
//   - A list takes at most one of after, before and page. has_more is true if items follow the page in the list's order,
//     whichever of the three was given. The id in after or before must pass the list's filters.
//   - Phone numbers are ordered by the time at which they were added. The list for an unknown agent is empty.
//   - Every known token may read phone numbers.
//   - A request that does not conform to the document, or that has a field the document does not list, is a 422.
package sandbox

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/getkin/kin-openapi/routers"
)

// maxBody is the largest request body in bytes. A larger one aborts the connection.
const maxBody = 1 << 20

// Sandbox is an in-memory Diga API. It is safe for concurrent use. It starts no goroutines and uses only [time.Now] and
// [time.NewTimer], so it also runs in the virtual time of testing/synctest.
type Sandbox struct {
	contract *contract

	mu         sync.Mutex
	agents     map[string]*agent
	phones     []Phone
	tokens     map[string]bool // whether the token may publish
	current    state
	previous   state // before the last change
	staleLeft  int   // how many more reads see previous
	faults     []Fault
	limit      limit
	requests   []Request
	violations []string

	releaseOmitted, allowTakeOver, withoutPhones bool
	staleReads                                   int
}

// New returns a sandbox that holds the agents, versions and phone numbers described by the constants.
func New() *Sandbox {
	contract, err := newContract()
	if err != nil {
		panic(err) // the document is embedded in the program
	}
	s := &Sandbox{contract: contract}
	s.addFixtures()
	return s
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

// ServeHTTP responds to r as the API would, unless a fault was injected for it.
func (s *Sandbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	c := s.contract.parse(r, body)
	fault, wait := s.receive(r, string(body), c)
	resp := fault.respond(r.Context(), func() response { return s.answer(c, wait) })

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

// receive records r and its violations. It returns the fault for r, or how long it must wait under the rate limit.
func (s *Sandbox) receive(r *http.Request, body string, c call) (Fault, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.requests = append(s.requests, Request{r.Method, r.URL.EscapedPath(), r.URL.RawQuery, r.Header.Clone(), body, now})
	target := r.Method + " " + r.URL.RequestURI()
	if c.routeErr != nil {
		s.violations = append(s.violations, fmt.Sprintf("%s: %v", target, c.routeErr))
	}
	for _, d := range c.details {
		s.violations = append(s.violations, fmt.Sprintf("%s: %s: %s", target, strings.Join(d.Loc, "."), d.Msg))
	}
	if wait := s.limit.take(now); wait > 0 {
		return Fault{}, wait
	}
	return s.nextFault(r.Method, r.URL.RequestURI()), 0
}

// answer performs c, or rejects it if wait is positive, and records a response that violates the contract.
func (s *Sandbox) answer(c call, wait time.Duration) response {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.withoutPhones && c.routeErr == nil && strings.HasPrefix(c.Route.Path, phonesPath) {
		c.routeErr = routers.ErrPathNotFound // also exempts the response from the document's rules for this path
	}
	resp := s.perform(c, wait)
	if c.routeErr == nil {
		if err := s.contract.checkResponse(c, resp); err != nil {
			reason, _, _ := strings.Cut(err.Error(), "\n")
			s.violations = append(s.violations, fmt.Sprintf("reply %d to %s %s: %s", resp.status, c.Request.Method, c.Request.URL.Path, reason))
		}
	}
	return resp
}

// Requests returns the requests received so far, in order.
func (s *Sandbox) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Violations describes, in order, what in the requests and in the sandbox's own responses did not conform to the OpenAPI
// document. Responses made by a fault are not checked.
func (s *Sandbox) Violations() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.violations)
}
