package sandbox

import (
	"cmp"
	"context"
	"net/http"
	"strings"
	"time"
)

// Fault is something to go wrong with the next requests of one kind. The zero value lets one PATCH through unharmed,
// which is the way to say "not this one, the next". For example:
//
//	Fault{Status: 503}                       refused, with an empty body
//	Fault{Status: 502, Applied: true}        the change is made, and a gateway loses the reply
//	Fault{Drop: DropReply}                   the connection ends before anything is done
//	Fault{Drop: DropReply, Applied: true}    a lost reply: the change is made, then the connection ends
//	Fault{Drop: DropBody}                    the change is made, half of the reply's body arrives
//	Fault{Body: "{}"}                        the change is made, the reply says something else
//	Fault{Delay: time.Hour}                  silence
//	Fault{Method: "GET", Path: "/v1/phone/", Status: 500, Times: -1}
//	                                         phone numbers can no longer be read
//	Fault{Method: "GET", Path: "is_published=true", Status: 500}
//	                                         the live version cannot be read, once
type Fault struct {
	Method  string        // whose requests; empty: PATCH
	Path    string        // only requests that have this in their path and query, as they were sent; empty: any
	Status  int           // answer this instead of doing what is asked; 0: do it, and answer as the API would
	Header  http.Header   // added to the reply's header
	Body    string        // instead of the reply's body; with neither this nor a Status the API's own body is kept
	Delay   time.Duration // how long the client waits for the reply, or for the end of the connection
	Drop    Drop          // where the connection ends
	Applied bool          // do what is asked at once, before the delay, although Status or Drop may hide it
	Times   int           // how many requests; 0: one; negative: all that come
}

// Drop is the point at which a connection ends.
type Drop int

const (
	DropNothing Drop = iota // the connection stays
	DropReply               // before the first byte of the reply
	DropBody                // in the middle of the reply's body
)

// Order adds faults to the queue. Each request takes the first fault that is for its method and path. Requests that the rate
// limit turns away take none.
func (s *Sandbox) Order(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, faults...)
}

// nextFault takes the first fault for a request off the queue, or returns a harmless one. The caller holds s.mu.
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

// play returns the reply that f makes of the API's answer, which is asked for at most once, or ends the connection. A
// client that leaves during the delay ends it too.
func (f Fault) play(ctx context.Context, answer func() reply) reply {
	var rep reply
	if f.Applied {
		rep = answer()
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
		rep = reply{status: f.Status, header: http.Header{}}
	case !f.Applied:
		rep = answer()
	}
	if f.Body != "" {
		rep.body = []byte(f.Body)
		rep.header.Set("Content-Type", "application/json")
	}
	for name, values := range f.Header {
		rep.header[http.CanonicalHeaderKey(name)] = values
	}
	return rep
}

// limit is a token bucket of n requests that fills up once per interval, kept as the time at which it will be full again
// (the generic cell rate algorithm). The zero value limits nothing.
type limit struct {
	interval   time.Duration
	step       time.Duration // interval/n: how long one request takes to be paid back
	full       time.Time
	retryAfter bool
}

// Limit lets n requests through per interval, of all methods and tokens together, n of them at once after a rest. Those
// above it are answered with 429, and with the seconds to wait in Retry-After if retryAfter is set. n = 0 ends the limit.
func (s *Sandbox) Limit(n int, interval time.Duration, retryAfter bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limit = limit{}
	if n > 0 {
		s.limit = limit{interval: interval, step: interval / time.Duration(n), retryAfter: retryAfter}
	}
}

// take lets a request through and returns 0, or returns how long it is until the next one can pass.
func (l *limit) take(now time.Time) time.Duration {
	if l.full.Before(now) {
		l.full = now
	}
	if wait := l.full.Add(l.step - l.interval).Sub(now); wait > 0 {
		return wait
	}
	l.full = l.full.Add(l.step)
	return 0
}
