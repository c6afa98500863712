package publish_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"
)

// dial connects through a network that may be down. Whether it is depends on how many instants there have been at which
// somebody dialled, not on who dialled first.
func (s *simulatedAPI) dial(ctx context.Context, l *memoryNetwork) (net.Conn, error) {
	s.mu.Lock()
	now := time.Now()
	if n := len(s.dials); n == 0 || !s.dials[n-1].at.Equal(now) {
		r := randomFor(s.seed, fmt.Sprint("dial ", n))
		d := dialAttempt{at: now}
		if chance(r, s.rates.connect) {
			d.fault = pick(r, "refused", "refused", "the name cannot be looked up", "black hole")
			s.note("DIAL   %s", d.fault)
		}
		s.dials = append(s.dials, d)
	}
	fault := s.dials[len(s.dials)-1].fault
	s.mu.Unlock()
	switch fault {
	case "refused":
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	case "the name cannot be looked up":
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "server misbehaving", Name: "diga", IsTemporary: true}}
	case "black hole":
		select {
		case <-ctx.Done():
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: context.Cause(ctx)}
		case <-time.After(longestDial): // net/http gives some dials a context that never ends
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ETIMEDOUT)}
		}
	}
	return l.dial(ctx)
}

// Serve answers on the connections that l accepts.
func (s *simulatedAPI) Serve(l net.Listener) error {
	return s.serve(l, func(_ int, conn net.Conn) { s.serveConn(conn) })
}

// serveConn answers the requests of one connection.
func (s *simulatedAPI) serveConn(conn net.Conn) {
	in := bufio.NewReader(conn)
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		if r.Method == http.MethodGet {
			// Reads are sent at the same instant: their order must not depend on the scheduler, but on the seed.
			<-time.After(randomDuration(randomFor(s.seed, "way of "+r.RequestURI), 0, time.Millisecond))
		}
		x := s.handle(r, body)
		gone := make(chan struct{})
		next := make(chan error, 1)
		go func() {
			_, err := in.Peek(1) // a client that waits for its reply sends nothing: what comes first is the end
			if err != nil {
				close(gone)
			}
			next <- err
		}()
		ready := s.answer(conn, x, gone)
		if !ready {
			conn.Close()
		}
		if err := <-next; err != nil || !ready {
			return
		}
	}
}

// answer plays the fate of x and reports whether the connection is ready for another request.
func (s *simulatedAPI) answer(conn net.Conn, x *exchange, gone <-chan struct{}) (ready bool) {
	f := x.outcome
	if f.delay > 0 {
		select {
		case <-time.After(f.delay):
		case <-gone:
			s.finish(x, false)
			return false
		}
	}
	whole := false
	if !f.mute {
		s.mu.Lock()
		reply := f.reply
		if reply.status == 0 {
			if x.apiAnswer.status == 0 { // the beginning of a reply to a change that is not made yet, or never will be
				x.apiAnswer = jsonReply(200, map[string]any{"agent_id": x.agent, "published_version_id": nullable(x.body.version),
					"inbound_phone_number_id": nullable(x.body.number[inboundCalls]), "outbound_phone_number_id": nullable(x.body.number[outboundCalls])})
			}
			reply = x.apiAnswer
		}
		s.mu.Unlock()
		raw := reply.raw()
		whole = f.cut == 0
		if !whole {
			raw = raw[:int(f.cut*float64(len(raw)))]
		}
		out := io.Writer(conn)
		if f.pace > 0 {
			out = slowWriter{conn, f.pace}
		}
		_, err := io.WriteString(out, raw)
		whole = whole && err == nil
	}
	if f.ending == hang {
		<-gone
	}
	s.finish(x, whole)
	if f.ending == resetConn {
		resetConnection(conn)
	}
	return f.ending == keepOpen
}

// finish notes that x is over for its client.
func (s *simulatedAPI) finish(x *exchange, answered bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x.endedAt, x.answered = time.Now(), answered
	what := "no whole reply"
	if answered {
		what = fmt.Sprintf("answered %d", x.status())
		if x.method == http.MethodPatch && x.outcome.fault == "" {
			what += " " + x.apiAnswer.body
		}
		if x.stale {
			what += ", stale"
		}
	}
	s.note("       %s (%d): %s", x.key(), x.n, what)
}
