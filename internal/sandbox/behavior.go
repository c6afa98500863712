package sandbox

import (
	"cmp"
	"context"
	"net/http"
	"strings"
	"time"
)

// Behavior is what the sandbox does where no source says what the API does, or what a deployment may do. The zero value
// is the default.
type Behavior struct {
	// Notation writes a phone number that is given in E.164. nil: as it is.
	Notation func(e164 string) string

	ReleaseOmitted bool // a publish request releases a direction's numbers if it names none; default: they stay
	DropOthers     bool // naming a number drops the agent's others in that direction; default: they stay
	AllowTakeOver  bool // a request may take another agent's number; default: it is refused
	KeepNumbers    bool // unpublishing leaves the agent's numbers bound; default: it releases them
	OnlyNamed      bool // a publish response shows the numbers that the request names; default: those that are bound

	PhonesIfNamed   bool // publishing needs Write on Phones if it names a number or null; default: always
	IgnorePublished bool // the list of versions ignores is_published
	BarePages       bool // pages have no first_id, last_id, current_page and total_pages
	CursorStatus    int  // the status for a cursor that is not in the list; 0: 422
	Limit           Limit

	ReplicaLag time.Duration // reads see the state of so long ago, but none from before Set
	CacheFor   time.Duration // a read's 200 is repeated for so long unless a request has Cache-Control: no-cache

	// Fault decides on the fault for a request that no injected fault matches. It may read the body and the State.
	Fault func(r *http.Request) Fault
	// Unchecked leaves out to check requests and responses against the document, which takes most of the time.
	Unchecked bool
}

// Limit limits requests over all methods and keys. What exceeds it gets a 429.
type Limit struct {
	Requests   int           // how many may come in a burst, refilled evenly over Interval (a token bucket); 0: any
	Interval   time.Duration // must be set if Requests is
	AtATime    int           // how many may be in progress; 0: any
	RetryAfter bool          // a 429 says when to come again
}

// Set makes the sandbox behave as b says, from now on.
func (s *Sandbox) Set(b Behavior) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.behavior = b
	s.floor, s.full, s.cache = len(s.changes)-1, time.Time{}, map[string]cached{}
}

// excess takes a token from the bucket and returns 0, or returns how long to wait. s.full is the time at which the
// bucket will be full again (the generic cell rate algorithm). The caller holds s.mu.
func (s *Sandbox) excess(now time.Time) time.Duration {
	l := s.behavior.Limit
	if l.AtATime > 0 && s.serving > l.AtATime {
		return time.Second
	}
	if l.Requests == 0 {
		return 0
	}
	if s.full.Before(now) {
		s.full = now
	}
	step := l.Interval / time.Duration(l.Requests)
	if wait := s.full.Add(step - l.Interval).Sub(now); wait > 0 {
		return wait
	}
	s.full = s.full.Add(step)
	return 0
}

// Fault describes how the sandbox misbehaves on the next requests that match it. The zero value matches one PATCH and
// answers it normally, which skips a request in a sequence of faults. For example:
//
//	Fault{Status: 503}                       rejected with an empty body
//	Fault{Status: 504, Late: time.Minute}    a gateway gives up, and the request is performed a minute later
//	Fault{Drop: DropReply, Applied: true}    applied, then disconnected; not applied without Applied
//	Fault{Body: "{}"}                        applied, with another response body
type Fault struct {
	Method  string        // matches requests with this method; empty means PATCH
	Path    string        // matches requests whose path and query, as sent, contain this
	Status  int           // the response's status, without performing the request; 0 performs it
	Header  http.Header   // added to the response's header
	Body    string        // replaces the response's body; empty keeps it, or is an empty body if Status is set
	Delay   time.Duration // before the response or the disconnection
	Drop    Drop          // where the connection is aborted
	Applied bool          // performs the request before the delay, regardless of Status and Drop
	Late    time.Duration // performs the request so long after it came; needs Status or DropReply
	Times   int           // how many requests to match; 0 means one, negative means all
}

// Drop is the point at which a connection is aborted. The zero value keeps the connection.
type Drop int

const (
	DropReply Drop = iota + 1 // before the first byte of the response
	DropBody                  // in the middle of the response's body
)

// Inject appends faults to a queue. Each request takes the first fault that matches it, unless the rate limit rejects
// the request.
func (s *Sandbox) Inject(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, faults...)
}

// nextFault takes the first matching fault off the queue. The caller holds s.mu.
func (s *Sandbox) nextFault(r *http.Request) (Fault, bool) {
	for i, f := range s.faults {
		if cmp.Or(f.Method, http.MethodPatch) != r.Method || !strings.Contains(r.URL.RequestURI(), f.Path) {
			continue
		}
		switch {
		case f.Times > 1:
			s.faults[i].Times--
		case f.Times >= 0:
			s.faults = append(s.faults[:i:i], s.faults[i+1:]...)
		}
		return f, true
	}
	return Fault{}, false
}

// respond returns the API's response as altered by f, or aborts the connection. It calls answer at most once. A client
// that disconnects during the delay aborts it too.
func (f Fault) respond(ctx context.Context, answer func() response) response {
	var resp response
	if f.Applied {
		resp = answer()
	}
	if f.Delay > 0 {
		timer := time.NewTimer(f.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			panic(http.ErrAbortHandler)
		}
	}
	switch {
	case f.Drop == DropReply:
		panic(http.ErrAbortHandler)
	case f.Status != 0:
		resp = response{status: f.Status, header: http.Header{}}
	case !f.Applied:
		resp = answer()
	}
	if f.Body != "" {
		resp.body = []byte(f.Body)
		resp.header.Set("Content-Type", "application/json")
	}
	for name, values := range f.Header {
		resp.header[http.CanonicalHeaderKey(name)] = values
	}
	return resp
}
