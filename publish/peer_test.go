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

// fakeServer is a server: an *http.Server, a *fakeAPI, or something in front of one.
type fakeServer interface {
	Serve(net.Listener) error
	Close() error
}

// A fakeAPI is a server that plays a script, byte by byte where need be. The zero value confirms every change that publishes
// sandbox.NextID, and shows sandbox.LiveID as published before it and after it.
type fakeAPI struct {
	readsBefore response   // to reads before the change; the zero value: as the API would
	replies     []response // to the requests for the change, one after the other; the last one stays
	readsAfter  response   // to reads after a request for the change
	phones      response   // to reads of phone numbers; the zero value: nothing is bound

	// onConnect is what the n-th connection, from 1, begins with. It returns the connection to speak HTTP on, nil for none; it
	// closes the connection itself in that case. It may be nil.
	onConnect func(n int, conn net.Conn) net.Conn

	mu       sync.Mutex
	received []request
	conns    []net.Conn
	closed   bool
	serving  sync.WaitGroup
	listener net.Listener
}

// request is a request as it arrived.
type request struct {
	*http.Request
	body string
	conn int // the number of its connection
}

// response is what a fakeAPI does when a request has arrived.
type response struct {
	raw       string
	byteDelay time.Duration     // before each byte of raw
	stream    func(w io.Writer) // writes what follows raw; nil: nothing does
	then      connEnd           // what becomes of the connection
	onRequest func()            // called when the request has arrived, before anything else; nil: nothing is
}

type connEnd int

const (
	keepOpen  connEnd = iota // ready for the next request
	closeConn                // closed in good order
	resetConn                // broken off, which the client's next read or write tells it
	hang                     // open, and never a word again
)

// respond is a whole reply. Each header is a line such as "Retry-After: 2".
func respond(status int, body string, headers ...string) response {
	lines := append([]string{fmt.Sprintf("HTTP/1.1 %03d Text", status), fmt.Sprintf("Content-Length: %d", len(body))}, headers...)
	return response{raw: strings.Join(lines, "\r\n") + "\r\n\r\n" + body}
}

// apiError is a whole reply with an error in the API's form.
func apiError(status int, code, message string, headers ...string) response {
	return respond(status, fmt.Sprintf(`{"status":"error","error_code":%q,"message":%q}`, code, message), headers...)
}

// liveVersion is the API's answer to the read of what is published.
func liveVersion(id string, headers ...string) response {
	return respond(http.StatusOK, versionJSON(id, true), headers...)
}

// versionJSON is the API's JSON of a version.
func versionJSON(id string, published bool) string {
	name := map[string]string{sandbox.LiveID: sandbox.LiveName, sandbox.NextID: sandbox.NextName}[id]
	number, _ := strconv.Atoi(id[24:])
	return fmt.Sprintf(`{"agent_id":%q,"version_id":%q,"version_name":%q,"name":"Front desk","version_number":%d,"is_draft":false,"is_published":%t}`,
		sandbox.FrontDesk, id, name, number, published)
}

// confirmationBody is the body of a confirmation.
const confirmationBody = `{"agent_id":"` + sandbox.FrontDesk + `","published_version_id":"` + sandbox.NextID +
	`","inbound_phone_number_id":"` + sandbox.Reception + `","outbound_phone_number_id":null}`

// confirmation is the reply to a change that was made.
var confirmation = respond(http.StatusOK, confirmationBody, "Content-Type: application/json")

// start serves on the loopback address until the test ends, and returns the address as a URL.
func (p *fakeAPI) start(t *testing.T) string {
	t.Helper()
	return "http://" + startServer(t, p)
}

// startServer serves on the loopback address until the test ends, and returns host and port.
func startServer(t *testing.T, server fakeServer) string {
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
func (p *fakeAPI) requests(method string) []request {
	p.mu.Lock()
	defer p.mu.Unlock()
	var list []request
	for _, h := range p.received {
		if method == "" || h.Method == method {
			list = append(list, h)
		}
	}
	return list
}

// Serve answers on the connections that l accepts until Close.
func (p *fakeAPI) Serve(l net.Listener) error {
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
			if p.onConnect != nil {
				met = p.onConnect(n, conn)
			}
			if met != nil {
				p.serveConn(n, met, conn)
			}
		})
	}
}

// Close ends every connection.
func (p *fakeAPI) Close() error {
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

// serveConn answers the requests of one connection. The bare connection is the one beneath TLS.
func (p *fakeAPI) serveConn(n int, conn, bare net.Conn) {
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
		p.received = append(p.received, request{r, string(body), n})
		next := p.answer(r)
		p.mu.Unlock()
		if next.onRequest != nil {
			next.onRequest()
		}
		if !next.send(conn, bare) {
			return
		}
	}
}

// answer finds the reply to the request that came last. The caller holds p.mu.
func (p *fakeAPI) answer(r *http.Request) response {
	changes := 0
	for _, h := range p.received {
		if h.Method == http.MethodPatch {
			changes++
		}
	}
	next := p.readsBefore
	switch {
	case r.Method == http.MethodPatch && len(p.replies) == 0:
		return confirmation
	case r.Method == http.MethodPatch:
		return p.replies[min(changes, len(p.replies))-1]
	case strings.HasPrefix(r.URL.Path, "/v1/phone/"):
		if p.phones.isSet() {
			return p.phones
		}
		return respond(http.StatusOK, `{"data":[],"has_more":false}`)
	case changes > 0:
		next = p.readsAfter
	}
	if next.isSet() {
		return next
	}
	switch id := r.URL.Query().Get("version_id"); {
	case id != "":
		return liveVersion(id)
	case strings.HasSuffix(r.URL.Path, "/version"):
		return respond(http.StatusOK, `{"data":[`+versionJSON(sandbox.NextID, false)+`,`+versionJSON(sandbox.LiveID, true)+`],"has_more":false}`)
	default:
		return liveVersion(sandbox.LiveID)
	}
}

// isSet reports whether r is more than the zero value.
func (r response) isSet() bool { return r.raw != "" || r.stream != nil || r.then != keepOpen }

// send writes r and reports whether the connection is ready for another request.
func (r response) send(conn, bare net.Conn) bool {
	out := io.Writer(conn)
	if r.byteDelay > 0 {
		out = slowWriter{conn, r.byteDelay}
	}
	if _, err := io.WriteString(out, r.raw); err != nil {
		return false
	}
	if r.stream != nil {
		r.stream(conn)
	}
	switch r.then {
	case resetConn:
		resetConnection(bare)
	case hang:
		_, _ = io.Copy(io.Discard, conn)
	}
	return r.then == keepOpen
}

// resetConnection ends a connection with a reset.
func resetConnection(conn net.Conn) {
	switch conn := conn.(type) {
	case *net.TCPConn:
		_ = conn.SetLinger(0)
	case *memoryConn:
		conn.link.reset.Store(true)
	}
	conn.Close()
}

// slowWriter writes one byte at a time, each after a wait.
type slowWriter struct {
	io.Writer
	byteDelay time.Duration
}

func (p slowWriter) Write(b []byte) (int, error) {
	for i := range b {
		<-time.After(p.byteDelay)
		if _, err := p.Writer.Write(b[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(b), nil
}

// test runs tr against p in virtual time and checks w.
func (p *fakeAPI) test(t *testing.T, tr scenario, w expected) result {
	t.Helper()
	res := tr.runInMemory(t, p)
	p.checkRequests(t, w)
	res.check(t, w)
	return res
}

// checkRequests checks how often p was asked to make the change.
func (p *fakeAPI) checkRequests(t *testing.T, w expected) {
	t.Helper()
	times := max(w.attempts, 0)
	if w.noRequest {
		times = 0
	}
	if n := len(p.requests(http.MethodPatch)); n != times {
		t.Errorf("%d requests for the change, want %d", n, times)
	}
}
