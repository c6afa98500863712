// Package sandbox is the Diga API in memory: an [http.Handler] with a small world of agents, versions and phone numbers,
// with faults to order, and with a referee that holds each request and each reply against the OpenAPI document.
//
// Where the document is silent, the sandbox decides:
//   - A phone number that is left out of a publish request stays with its agent, and so do the agent's other numbers in
//     a direction for which the request names one. DropLeftOut makes the agent lose both.
//   - null in a publish request releases every number that the agent has in that direction.
//   - A number that another agent has in that direction is refused, unless TakeInUse takes it away from that agent.
//   - A number that is not assigned is refused.
//   - A publish reply names one number in each direction: the agent's first, which is the one that was published last.
//   - Unpublishing releases all of the agent's numbers; naming one in the same request is refused.
//   - The published version of an agent that has none, and a version that the agent does not have, are read as 404.
//   - A read that names no version gets the newest one.
//   - A listing takes at most one of after, before and page; has_more tells whether items follow the page in the
//     listing's order, whichever of the three was given. after and before want an id that passes the listing's filters.
//   - Phone numbers are listed in the order in which they came to the platform. A listing for an agent that does not
//     exist is empty.
//   - Every known token may read phone numbers.
//   - A request that does not fit the document is answered with 422, also for a field that the document does not list.
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

	"github.com/getkin/kin-openapi/routers"
)

// maxBody is the largest request body, in bytes, that the sandbox reads; a longer one drops the connection.
const maxBody = 1 << 20

// Sandbox is the API with its state. It is safe for concurrent use, starts no goroutines, and takes the time from
// [time.Now] and [time.NewTimer], so that it also works in the virtual time of testing/synctest.
type Sandbox struct {
	referee *referee

	mu         sync.Mutex
	agents     map[string]*agent
	phones     []Phone
	tokens     map[string]bool // whether the token may change anything
	now        state
	before     state // the last change
	stale      int   // how many more reads see before
	faults     []Fault
	limit      limit
	requests   []Request
	violations []string

	dropLeftOut, takeInUse, withoutPhones bool
	staleReads                            int
}

// Request is what the sandbox received.
type Request struct {
	Method     string
	Path       string // as sent, percent-escapes kept
	RawQuery   string
	Header     http.Header
	Body       string
	Time       time.Time
	RemoteAddr string // the client's end of the connection, the same for all requests of one connection
}

// reply is what goes back to the client.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// ServeHTTP answers r as the API would, unless a fault was ordered for it.
func (s *Sandbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	c := s.referee.request(r, body)
	fault, wait := s.receive(r, string(body), c)
	rep := fault.play(r.Context(), func() reply { return s.answer(c, wait) })

	maps.Copy(w.Header(), rep.header)
	if fault.Drop != DropBody {
		w.WriteHeader(rep.status)
		w.Write(rep.body)
		return
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(rep.body)))
	w.WriteHeader(rep.status)
	w.Write(rep.body[:len(rep.body)/2])
	http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

// receive records r and what is wrong with it, and returns what is in store for it: a fault, or how long the rate limit
// asks it to wait.
func (s *Sandbox) receive(r *http.Request, body string, c call) (Fault, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.requests = append(s.requests, Request{r.Method, r.URL.EscapedPath(), r.URL.RawQuery, r.Header.Clone(), body, now, r.RemoteAddr})
	what := r.Method + " " + r.URL.RequestURI()
	if c.unknown != nil {
		s.violations = append(s.violations, fmt.Sprintf("%s: %v", what, c.unknown))
	}
	for _, d := range c.details {
		s.violations = append(s.violations, fmt.Sprintf("%s: %s: %s", what, strings.Join(d.Loc, "."), d.Msg))
	}
	if wait := s.limit.take(now); wait > 0 {
		return Fault{}, wait
	}
	return s.nextFault(r.Method, r.URL.RequestURI()), 0
}

// answer does what c asks for, unless it must wait, and records what does not fit in the reply.
func (s *Sandbox) answer(c call, wait time.Duration) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.withoutPhones && c.unknown == nil && strings.HasPrefix(c.Route.Path, phonesPath) {
		c.unknown = routers.ErrPathNotFound // the document's rules for this path do not count, either
	}
	rep := s.perform(c, wait)
	if c.unknown == nil {
		if err := s.referee.reply(c, rep); err != nil {
			reason, _, _ := strings.Cut(err.Error(), "\n")
			s.violations = append(s.violations, fmt.Sprintf("reply %d to %s %s: %s", rep.status, c.Request.Method, c.Request.URL.Path, reason))
		}
	}
	return rep
}

// Requests returns what was received so far, in order.
func (s *Sandbox) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Violations returns what in the requests, and in the sandbox's own replies, did not fit the OpenAPI document so far.
// Replies that were ordered as faults are not looked at.
func (s *Sandbox) Violations() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.violations)
}

// newReply is a reply with a JSON body.
func newReply(status int, body any) reply {
	data, err := json.Marshal(body)
	if err != nil {
		panic(err) // only the package's own types come here
	}
	return reply{status, http.Header{"Content-Type": {"application/json"}}, data}
}

// refuse is a reply with the API's error body.
func refuse(status int, code, format string, args ...any) reply {
	return newReply(status, map[string]string{"status": "error", "error_code": code, "message": fmt.Sprintf(format, args...)})
}
