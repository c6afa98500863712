package sandbox

import (
	"cmp"
	"context"
	"net/http"
	"strings"
	"time"
)

// Fault describes how the sandbox misbehaves on the next requests that match it. The zero value matches one PATCH and
// answers it normally, which skips a request in a sequence of faults. For example:
//
//	Fault{Status: 503}                       rejected with an empty body
//	Fault{Status: 502, Applied: true}        applied, but a gateway loses the response
//	Fault{Drop: DropReply}                   disconnected before anything is applied
//	Fault{Drop: DropReply, Applied: true}    applied, then disconnected
//	Fault{Drop: DropBody}                    applied, the response is truncated
//	Fault{Body: "{}"}                        applied, with another response body
//	Fault{Delay: time.Hour}                  no response in time
//	Fault{Method: "GET", Path: "/v1/phone/", Status: 500, Times: -1}
//	                                         phone numbers cannot be read
//	Fault{Method: "GET", Path: "is_published=true", Status: 500}
//	                                         the published version cannot be read, once
type Fault struct {
	Method  string        // matches requests with this method; empty means PATCH
	Path    string        // matches requests whose path and query, as sent, contain this
	Status  int           // the response's status, without performing the request; 0 performs it
	Header  http.Header   // added to the response's header
	Body    string        // replaces the response's body; empty keeps it, or is an empty body if Status is set
	Delay   time.Duration // before the response or the disconnection
	Drop    Drop          // where the connection is aborted
	Applied bool          // performs the request before the delay, regardless of Status and Drop
	Times   int           // how many requests to match; 0 means one, negative means all
}

// Drop is the point at which a connection is aborted. The zero value keeps the connection.
type Drop int

const (
	DropReply Drop = iota + 1 // before the first byte of the response
	DropBody                  // in the middle of the response's body
)

// Inject appends faults to a queue. Each request takes the first fault that matches it, unless the rate limit rejects the
// request.
func (s *Sandbox) Inject(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, faults...)
}

// nextFault takes the first matching fault off the queue, or returns the zero Fault. The caller holds s.mu.
func (s *Sandbox) nextFault(method, uri string) Fault {
	for i, f := range s.faults {
		if cmp.Or(f.Method, http.MethodPatch) != method || !strings.Contains(uri, f.Path) {
			continue
		}
		switch {
		case f.Times > 1:
			s.faults[i].Times--
		case f.Times >= 0:
			s.faults = append(s.faults[:i:i], s.faults[i+1:]...)
		}
		return f
	}
	return Fault{}
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
