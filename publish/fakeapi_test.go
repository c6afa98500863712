package publish_test

import (
	"bufio"
	"bytes"
	"cmp"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"publish-agent-version/internal/sandbox"
)

// A fakeServer is an *http.Server, a *fakeAPI, or something in front of one.
type fakeServer interface {
	Serve(net.Listener) error
	Close() error
}

// A fakeAPI is a server that plays a script, byte by byte where need be. The zero value confirms every change that
// publishes sandbox.NextID, and shows sandbox.LiveID, without a number, as published before it and after it.
type fakeAPI struct {
	readsBefore response   // to reads before the change; the zero value: the sandbox's
	replies     []response // to the requests for the change, one after the other; the last one stays
	readsAfter  response   // to reads after a request for the change
	phones      response   // to reads of phone numbers

	// onConnect is called with the n-th connection, from 1, and returns the one to speak HTTP on; nil if it has closed
	// it. It may be nil.
	onConnect func(n int, conn net.Conn) net.Conn

	mu       sync.Mutex
	received []request
	changes  int // of them
	conns    []net.Conn
	closed   bool
	serving  sync.WaitGroup
}

// unbound is the sandbox with no number bound to FrontDesk.
var unbound = sync.OnceValue(func() *sandbox.Sandbox {
	api := sandbox.New()
	api.Set(sandbox.Behavior{Unchecked: true})
	api.Bind(sandbox.Reception, sandbox.Inbound, "")
	return api
})

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
	closeConn                // closed in order
	resetConn                // reset: the client's next read or write fails
	hang                     // left open, without another byte
)

// respond is a whole reply. Each header is a line such as "Retry-After: 2".
func respond(status int, body string, headers ...string) response {
	lines := append([]string{fmt.Sprintf("HTTP/1.1 %03d Text", status), fmt.Sprintf("Content-Length: %d", len(body))},
		headers...)
	return response{raw: strings.Join(lines, "\r\n") + "\r\n\r\n" + body}
}

// apiError is a whole reply with the API's error body.
func apiError(status int, code, message string, headers ...string) response {
	return respond(status, fmt.Sprintf(`{"status":"error","error_code":%q,"message":%q}`, code, message), headers...)
}

// liveVersion is the API's answer to the read of what is published.
func liveVersion(id string, headers ...string) response {
	return respond(http.StatusOK, `{"data":[`+versionJSON(id, true)+`],"has_more":false}`, headers...)
}

// versionJSON is the API's JSON of a version.
func versionJSON(id string, published bool) string {
	name := map[string]string{sandbox.LiveID: sandbox.LiveName, sandbox.NextID: sandbox.NextName}[id]
	number, _ := strconv.Atoi(id[24:])
	return fmt.Sprintf(
		`{"agent_id":%q,"version_id":%q,"version_name":%q,"name":"Front desk","version_number":%d,`+
			`"is_draft":false,"is_published":%t}`,
		sandbox.FrontDesk, id, name, number, published)
}

// confirmationBody is the body of a confirmation.
const confirmationBody = `{"agent_id":"` + sandbox.FrontDesk + `","published_version_id":"` + sandbox.NextID +
	`","inbound_phone_number_id":"` + sandbox.Reception + `","outbound_phone_number_id":null}`

// confirmation is the reply to a change that was made.
var confirmation = respond(http.StatusOK, confirmationBody, "Content-Type: application/json")

// start serves on the loopback address until the test ends, and returns the address as a URL.
func (api *fakeAPI) start(t *testing.T) string {
	t.Helper()
	return "http://" + startServer(t, api)
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

// newSandbox returns a new sandbox that injects these faults, and its server. The test fails if a request breaks the
// API's contract.
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

// replying returns a fakeAPI that answers the requests for the change with these responses; the last one stays.
func replying(responses ...response) *fakeAPI { return &fakeAPI{replies: responses} }

// checkLive checks the version of FrontDesk that is published in the sandbox; empty: none.
func checkLive(t *testing.T, api *sandbox.Sandbox, version string) {
	t.Helper()
	if live, _, _ := api.Live(sandbox.FrontDesk); live != version {
		t.Errorf("live is %q, want %q", live, version)
	}
}

// requests returns the requests so far, of one method; an empty method means all.
func (api *fakeAPI) requests(method string) []request {
	api.mu.Lock()
	defer api.mu.Unlock()
	var list []request
	for _, h := range api.received {
		if method == "" || h.Method == method {
			list = append(list, h)
		}
	}
	return list
}

// Serve answers on the connections that l accepts until Close.
func (api *fakeAPI) Serve(l net.Listener) error {
	defer api.serving.Wait()
	for n := 1; ; n++ {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		api.mu.Lock()
		api.conns = append(api.conns, conn)
		if api.closed {
			conn.Close()
		}
		api.mu.Unlock()
		api.serving.Go(func() {
			defer conn.Close()
			met := conn
			if api.onConnect != nil {
				met = api.onConnect(n, conn)
			}
			if met != nil {
				api.serveConn(n, met, conn)
			}
		})
	}
}

// Close ends every connection. The caller closes the listener.
func (api *fakeAPI) Close() error {
	api.mu.Lock()
	defer api.mu.Unlock()
	api.closed = true
	for _, conn := range api.conns {
		conn.Close()
	}
	return nil
}

// serveConn answers the requests of one connection. bare is the connection below TLS.
func (api *fakeAPI) serveConn(n int, conn, bare net.Conn) {
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
		api.mu.Lock()
		api.received = append(api.received, request{r, string(body), n})
		next := api.answer(r)
		api.mu.Unlock()
		if next.onRequest != nil {
			next.onRequest()
		}
		if !next.send(conn, bare) {
			return
		}
	}
}

// answer finds the reply to the request that came last. The caller holds api.mu.
func (api *fakeAPI) answer(r *http.Request) response {
	next := api.readsBefore
	switch {
	case r.Method == http.MethodPatch && len(api.replies) == 0:
		api.changes++
		return confirmation
	case r.Method == http.MethodPatch:
		api.changes++
		return api.replies[min(api.changes, len(api.replies))-1]
	case strings.HasPrefix(r.URL.Path, "/v1/phone/"):
		next = api.phones
	case api.changes > 0:
		next = api.readsAfter
	}
	if next.isSet() {
		return next
	}
	_, path, _ := strings.Cut(r.URL.RequestURI(), "/v1/")
	read, got := httptest.NewRequest(r.Method, "/v1/"+path, nil), httptest.NewRecorder()
	read.Header.Set("Authorization", "Bearer "+sandbox.Token) // whatever the step's is
	unbound().ServeHTTP(got, read)
	return respond(got.Code, got.Body.String())
}

// isSet reports whether r is more than the zero value.
func (r response) isSet() bool { return r.raw != "" || r.stream != nil || r.then != keepOpen }

// send writes r and reports whether the connection is ready for another request.
func (r response) send(conn, bare net.Conn) bool {
	for raw, n := r.raw, len(r.raw); len(raw) > 0; raw = raw[n:] {
		if r.byteDelay > 0 {
			<-time.After(r.byteDelay)
			n = 1
		}
		if _, err := io.WriteString(conn, raw[:n]); err != nil {
			return false
		}
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

// check and test are those of s with api as the server.
func (api *fakeAPI) check(t *testing.T, s scenario, w expected) result {
	t.Helper()
	return s.check(t, api, w)
}
func (api *fakeAPI) test(t *testing.T, name string, s scenario, w expected) { s.test(t, name, api, w) }

// testMeasured is test with the binary, on the loopback address, and a check of the memory that it takes.
func (api *fakeAPI) testMeasured(t *testing.T, name string, w expected, inputs ...string) {
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		res := with(append(inputs, "api-url", api.start(t), "timeout", "20s")...).runMeasured(t)
		res.check(t, w.within(0, busyMachine))
		api.checkAttempts(t, res)
	})
}

// checkAttempts checks that the output attempts is how many requests for the change api received.
func (api *fakeAPI) checkAttempts(t *testing.T, res result) {
	t.Helper()
	if n := len(api.requests(http.MethodPatch)); cmp.Or(res.outputs["attempts"], "0") != strconv.Itoa(n) {
		t.Errorf("%d requests for the change, attempts %q", n, res.outputs["attempts"])
	}
}

// repeatText writes text n times, or until the reader is gone.
func repeatText(text string, n int) func(io.Writer) {
	return func(w io.Writer) {
		block := bytes.Repeat([]byte(text), max(64<<10/len(text), 1))
		for written := 0; written < n*len(text); written += len(block) {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	}
}
