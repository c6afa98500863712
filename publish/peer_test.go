package publish_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"publish-agent-version/internal/sandbox"
)

// listening is a server: an *http.Server, a *peer, or something in front of one.
type listening interface {
	Serve(net.Listener) error
	Close() error
}

// A peer is a server that plays a script, byte by byte where need be. The zero value confirms every change that publishes
// sandbox.NextID, and shows sandbox.LiveID as published before it and after it.
type peer struct {
	before  reply   // to reads before the change; the zero value: as the API would
	changes []reply // to the requests for the change, one after the other; the last one stays
	after   reply   // to reads after a request for the change
	phones  reply   // to reads of phone numbers; the zero value: nothing is bound

	// meet is what the n-th connection, from 1, begins with. It returns the connection to speak HTTP on, nil for none; it
	// closes the connection itself in that case. It may be nil.
	meet func(n int, conn net.Conn) net.Conn

	mu       sync.Mutex
	heard    []heard
	conns    []net.Conn
	closed   bool
	serving  sync.WaitGroup
	listener net.Listener
}

// heard is a request as it arrived.
type heard struct {
	*http.Request
	body string
	conn int // the number of its connection
}

// reply is what a peer does when a request has arrived.
type reply struct {
	raw    string
	pace   time.Duration     // before each byte of raw
	stream func(w io.Writer) // writes what follows raw; nil: nothing does
	then   ending            // what becomes of the connection
	first  func()            // called when the request has arrived, before anything else; nil: nothing is
}

type ending int

const (
	stay   ending = iota // ready for the next request
	hangUp               // closed in good order
	reset                // broken off, which the client's next read or write tells it
	silent               // open, and never a word again
)

// says is a whole reply. Each header is a line such as "Retry-After: 2".
func says(status int, body string, headers ...string) reply {
	lines := append([]string{fmt.Sprintf("HTTP/1.1 %03d Text", status), fmt.Sprintf("Content-Length: %d", len(body))}, headers...)
	return reply{raw: strings.Join(lines, "\r\n") + "\r\n\r\n" + body}
}

// refuses is a whole reply with an error in the API's form.
func refuses(status int, code, message string, headers ...string) reply {
	return says(status, fmt.Sprintf(`{"status":"error","error_code":%q,"message":%q}`, code, message), headers...)
}

// shows is the API's answer to the read of what is published.
func shows(id string, headers ...string) reply {
	return says(http.StatusOK, version(id, true), headers...)
}

// version is the API's JSON of a version.
func version(id string, published bool) string {
	name := map[string]string{sandbox.LiveID: sandbox.LiveName, sandbox.NextID: sandbox.NextName}[id]
	number, _ := strconv.Atoi(id[24:])
	return fmt.Sprintf(`{"agent_id":%q,"version_id":%q,"version_name":%q,"name":"Front desk","version_number":%d,"is_draft":false,"is_published":%t}`,
		sandbox.FrontDesk, id, name, number, published)
}

// publicationOK is the body of a confirmation.
const publicationOK = `{"agent_id":"` + sandbox.FrontDesk + `","published_version_id":"` + sandbox.NextID +
	`","inbound_phone_number_id":"` + sandbox.Reception + `","outbound_phone_number_id":null}`

// confirms is the reply to a change that was made.
var confirms = says(http.StatusOK, publicationOK, "Content-Type: application/json")

// listen serves on the loopback address until the test ends, and returns the address as a URL.
func (p *peer) listen(t *testing.T) string {
	t.Helper()
	return "http://" + listenOn(t, p)
}

// listenOn serves on the loopback address until the test ends, and returns host and port.
func listenOn(t *testing.T, server listening) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(l) })
	t.Cleanup(func() {
		_ = server.Close()
		l.Close()
		serving.Wait()
	})
	return l.Addr().String()
}

// newSandbox returns a server for a fresh sandbox with these faults in store. The test fails if what it receives breaks
// the API's contract.
func newSandbox(t *testing.T, faults ...sandbox.Fault) (*sandbox.Sandbox, *http.Server) {
	api := sandbox.New()
	api.Inject(faults...)
	t.Cleanup(func() {
		if broken := api.Violations(); len(broken) > 0 {
			t.Errorf("broke the API's contract: %q", broken)
		}
	})
	return api, &http.Server{Handler: api}
}

// requests returns what has arrived so far, of one method; an empty method means all.
func (p *peer) requests(method string) []heard {
	p.mu.Lock()
	defer p.mu.Unlock()
	var list []heard
	for _, h := range p.heard {
		if method == "" || h.Method == method {
			list = append(list, h)
		}
	}
	return list
}

// Serve answers on the connections that l accepts until Close.
func (p *peer) Serve(l net.Listener) error {
	p.mu.Lock()
	p.listener = l
	p.mu.Unlock()
	defer p.serving.Wait()
	for n := 1; ; n++ {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		p.mu.Lock()
		p.conns = append(p.conns, conn)
		if p.closed {
			conn.Close()
		}
		p.mu.Unlock()
		p.serving.Go(func() {
			defer conn.Close()
			met := conn
			if p.meet != nil {
				met = p.meet(n, conn)
			}
			if met != nil {
				p.converse(n, met, conn)
			}
		})
	}
}

// Close ends every connection.
func (p *peer) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	if p.listener != nil {
		p.listener.Close()
	}
	for _, conn := range p.conns {
		conn.Close()
	}
	return nil
}

// converse answers the requests of one connection. The bare connection is the one beneath TLS.
func (p *peer) converse(n int, conn, bare net.Conn) {
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
		p.mu.Lock()
		p.heard = append(p.heard, heard{r, string(body), n})
		next := p.answer(r)
		p.mu.Unlock()
		if next.first != nil {
			next.first()
		}
		if !next.play(conn, bare) {
			return
		}
	}
}

// answer finds the reply to the request that came last. The caller holds p.mu.
func (p *peer) answer(r *http.Request) reply {
	changes := 0
	for _, h := range p.heard {
		if h.Method == http.MethodPatch {
			changes++
		}
	}
	next := p.before
	switch {
	case r.Method == http.MethodPatch && len(p.changes) == 0:
		return confirms
	case r.Method == http.MethodPatch:
		return p.changes[min(changes, len(p.changes))-1]
	case strings.HasPrefix(r.URL.Path, "/v1/phone/"):
		if p.phones.scripted() {
			return p.phones
		}
		return says(http.StatusOK, `{"data":[],"has_more":false}`)
	case changes > 0:
		next = p.after
	}
	if next.scripted() {
		return next
	}
	switch id := r.URL.Query().Get("version_id"); {
	case id != "":
		return shows(id)
	case strings.HasSuffix(r.URL.Path, "/version"):
		return says(http.StatusOK, `{"data":[`+version(sandbox.NextID, false)+`,`+version(sandbox.LiveID, true)+`],"has_more":false}`)
	default:
		return shows(sandbox.LiveID)
	}
}

// scripted reports whether r is more than the zero value.
func (r reply) scripted() bool { return r.raw != "" || r.stream != nil || r.then != stay }

// play writes r and reports whether the connection is ready for another request.
func (r reply) play(conn, bare net.Conn) bool {
	out := io.Writer(conn)
	if r.pace > 0 {
		out = paced{conn, r.pace}
	}
	if _, err := io.WriteString(out, r.raw); err != nil {
		return false
	}
	if r.stream != nil {
		r.stream(conn)
	}
	switch r.then {
	case reset:
		breakOff(bare)
	case silent:
		_, _ = io.Copy(io.Discard, conn)
	}
	return r.then == stay
}

// breakOff ends a connection with a reset.
func breakOff(conn net.Conn) {
	switch conn := conn.(type) {
	case *net.TCPConn:
		_ = conn.SetLinger(0)
	case *pipeEnd:
		conn.link.broken.Store(true)
	}
	conn.Close()
}

// paced writes one byte at a time, each after a wait.
type paced struct {
	io.Writer
	pace time.Duration
}

func (p paced) Write(b []byte) (int, error) {
	for i := range b {
		<-time.After(p.pace)
		if _, err := p.Writer.Write(b[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(b), nil
}

// play runs tr against p in virtual time and checks w.
func (p *peer) play(t *testing.T, tr trial, w want) result {
	t.Helper()
	res := tr.runVirtually(t, p)
	p.hears(t, w)
	res.check(t, w)
	return res
}

// hears checks how often p was asked to make the change.
func (p *peer) hears(t *testing.T, w want) {
	t.Helper()
	times := max(w.attempts, 0)
	if w.unheard {
		times = 0
	}
	if n := len(p.requests(http.MethodPatch)); n != times {
		t.Errorf("%d requests for the change, want %d", n, times)
	}
}
