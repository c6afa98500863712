// The harness is a network in memory and in virtual time. A test fills in a network, which is the server and the way to
// it, and lets play run a function with a Client of it:
//
//	n := &network{answers: []answer{lost, response(503, "busy"), published}}
//	n.play(t, func(t *testing.T, c *Client) { … })
//
// Afterwards n.heard has the requests as they arrived. A story does this in one line.

package diga

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
)

var ours = certificate() // the only certificate that the tests trust

func TestMain(m *testing.M) {
	log.SetOutput(io.Discard) // of net/http
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"} {
		os.Unsetenv(name)
		os.Unsetenv(strings.ToLower(name))
	}
	dir := must(os.MkdirTemp("", "diga"))
	root := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ours.Certificate[0]})
	_ = os.WriteFile(filepath.Join(dir, "ca.pem"), root, 0o600)
	os.Setenv("SSL_CERT_DIR", dir)
	os.Setenv("SSL_CERT_FILE", filepath.Join(dir, "ca.pem"))
	_, _ = x509.SystemCertPool() // is cached
	os.Unsetenv("SSL_CERT_FILE")
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

var (
	requestID = uuid.MustParse("99999999-9999-4999-8999-999999999999")
	agentID   = uuid.MustParse("a0000000-0000-4000-8000-000000000001")
	versionID = uuid.MustParse("b0000000-0000-4000-8000-000000000002")
	phoneID   = uuid.MustParse("c0000000-0000-4000-8000-000000000003")

	promotion = Change{Agent: agentID, Version: valid(versionID)} // what most tests publish
	published = response(200, publishedBody)                      // and what confirms it
	lost      = answer{then: hangUp}
	hang      = answer{then: silent}

	errSignal, errBudget = errors.New("canceled by SIGINT"), errors.New("within the timeout of 3 s")
)

const (
	agentField    = `"agent_id":"a0000000-0000-4000-8000-000000000001"`
	versionField  = `"published_version_id":"b0000000-0000-4000-8000-000000000002"`
	publishedBody = "{" + agentField + "," + versionField + "}"
	versionBody   = `{` + agentField + `,"version_id":"b0000000-0000-4000-8000-000000000002","version_number":7,` +
		`"version_name":"v1.2.0","is_draft":false,"is_published":true,"name":"Front desk",` +
		`"version_created_at":"2025-03-01T12:00:00Z"}`
)

// network is a server and the connections to it. The zero value accepts connections and never answers.
type network struct {
	answers []answer                        // one for each request; the last one stays
	dial    error                           // of every connection; nil: they are made
	secure  *tls.Config                     // nil: the server does not speak TLS
	serve   func(number int, conn net.Conn) // instead of answers; number counts from 1

	start   time.Time
	servers sync.WaitGroup

	mu     sync.Mutex
	dials  int        // connections that were made
	played int        // answers
	heard  []received // the requests that arrived
}

// targets returns the methods and targets of the requests that arrived.
func (n *network) targets() (list []string) {
	for _, r := range n.heard {
		list = append(list, r.Method+" "+r.RequestURI)
	}
	return list
}

// answer is what the server does after a request.
type answer struct {
	raw  string
	pace time.Duration // before each byte of raw
	then ending
}

type ending int

const (
	stay   ending = iota // ready for the next request
	hangUp               // closes the connection
	silent               // never writes again
	refuse               // not even a connection
)

// received is a request as it arrived.
type received struct {
	*http.Request
	body string
}

// response returns a complete response. Each header is a line such as "Retry-After: 2".
func response(status int, body string, headers ...string) answer {
	head := fmt.Sprintf("HTTP/1.1 %03d What\r\nContent-Length: %d\r\n", status, len(body))
	for _, header := range headers {
		head += header + "\r\n"
	}
	return answer{raw: head + "\r\n" + body}
}

// apiError returns a complete response in the shape of the API's errors.
func apiError(status int, code string, headers ...string) answer {
	return response(status, fmt.Sprintf(`{"status":"error","error_code":%q,"message":"because"}`, code), headers...)
}

// play runs do in virtual time, and fails if a connection or a goroutine is left behind. The Client has four retries
// and no jitter.
func (n *network) play(t *testing.T, do func(t *testing.T, c *Client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n.start = time.Now()
		c := &Client{
			BaseURL: &url.URL{Scheme: "http", Host: "api.test"}, Token: "sesame", UserAgent: "test/1",
			RequestID: requestID, MaxRetries: 4, Jitter: func(time.Duration) time.Duration { return 0 },
			Dial: func(context.Context, string, string) (net.Conn, error) { return n.connect() },
		}
		defer n.servers.Wait()
		defer c.Close()
		defer synctest.Wait()
		do(t, c)
	})
}

func (n *network) connect() (net.Conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.dials++
	number := n.dials
	switch {
	case n.played < len(n.answers) && n.answers[n.played].then == refuse:
		n.played++
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	case n.dial != nil:
		return nil, n.dial
	}
	near, far := bufferedPipe()
	n.servers.Go(func() {
		switch {
		case n.serve != nil:
			n.serve(number, far)
		case n.secure != nil:
			n.talkTLS(far)
		default:
			n.talk(far)
		}
	})
	return near, nil
}

func (n *network) talkTLS(conn net.Conn) {
	defer conn.Close()
	if secure := tls.Server(lastWriter{conn}, n.secure); secure.Handshake() == nil {
		n.talk(secure)
	}
	_, _ = io.Copy(io.Discard, conn) // closed at once, the connection could be lost before the alert is read
}

// talk serves one connection with the answers.
func (n *network) talk(conn net.Conn) {
	defer conn.Close()
	for in := bufio.NewReader(conn); ; {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil || !n.next(received{r, string(body)}).write(conn) {
			return
		}
	}
}

// next records r and returns the answer to it.
func (n *network) next(r received) answer {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.heard = append(n.heard, r)
	if len(n.answers) == 0 {
		return hang
	}
	n.played++
	return n.answers[min(n.played, len(n.answers))-1]
}

// write reports whether the connection can serve another request.
func (a answer) write(conn net.Conn) bool {
	for len(a.raw) > 0 {
		n := len(a.raw)
		if a.pace > 0 {
			<-time.After(a.pace)
			n = 1
		}
		if _, err := io.WriteString(conn, a.raw[:n]); err != nil {
			return false
		}
		a.raw = a.raw[n:]
	}
	if a.then == silent {
		_, _ = io.Copy(io.Discard, conn)
	}
	return a.then == stay
}

// bufferedPipe is a net.Pipe whose writes do not wait for a reader.
func bufferedPipe() (near, far net.Conn) {
	near, a := net.Pipe()
	b, far := net.Pipe()
	go forward(b, a)
	go forward(a, b)
	return near, far
}

// forward copies src to dst, and closes dst at the end.
func forward(dst, src net.Conn) {
	chunks := make(chan []byte, 10_000)
	go func() {
		defer dst.Close()
		for chunk := range chunks {
			_, _ = dst.Write(chunk)
		}
	}()
	defer close(chunks)
	for buffer := make([]byte, 32<<10); ; {
		n, err := src.Read(buffer)
		if err != nil {
			return
		}
		chunks <- bytes.Clone(buffer[:n])
	}
}

// lastWriter writes when all other goroutines are blocked: by then the client has written everything it will.
type lastWriter struct{ net.Conn }

func (c lastWriter) Write(b []byte) (int, error) {
	synctest.Wait()
	return c.Conn.Write(b)
}

func certificate() tls.Certificate {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	self := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"api.test"},
		NotAfter: time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)} // virtual time begins in 2000
	der := must(x509.CreateCertificate(rand.Reader, self, self, key.Public(), key))
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func serving() *tls.Config { return &tls.Config{Certificates: []tls.Certificate{ours}} }

// listener hands out the connections sent to it.
type listener chan net.Conn

func (l listener) Accept() (net.Conn, error) {
	if conn, ok := <-l; ok {
		return conn, nil
	}
	return nil, net.ErrClosed
}

func (l listener) Close() error   { close(l); return nil }
func (l listener) Addr() net.Addr { return &net.TCPAddr{} }

// serveHTTP2 serves the connections with net/http, TLS and HTTP/2. The caller closes the server. Each connection passes
// through wrap, unless that is nil.
func (n *network) serveHTTP2(c *Client, wrap func(int, net.Conn) net.Conn, handler http.HandlerFunc) *http.Server {
	c.BaseURL.Scheme = "https"
	server, conns := &http.Server{Handler: handler, TLSConfig: serving()}, make(listener)
	n.serve = func(number int, conn net.Conn) {
		if wrap != nil {
			conn = wrap(number, conn)
		}
		conns <- conn
	}
	n.servers.Go(func() { _ = server.ServeTLS(conns, "", "") })
	return server
}

// plays are the answers that a story names. "refused" is a connection that is not made.
var plays = map[string]answer{
	"ok": published, "launched": response(201, versionBody), "lost": lost, "hang": hang, "refused": {then: refuse},
	"cut":      {raw: published.raw[:len(published.raw)-10], then: hangUp},
	"stops":    {raw: published.raw[:len(published.raw)-10], then: silent},
	"slow":     {raw: published.raw, pace: time.Second / 4},
	"SSH":      {raw: "SSH-2.0\r\n\r\n"},
	"other":    response(200, strings.ReplaceAll(publishedBody, versionID.String(), agentID.String())),
	"429":      response(429, "", "Retry-After: 3"),
	"500":      apiError(500, "FIRST"),
	"500stops": {raw: strings.TrimSuffix(response(500, "12345").raw, "345"), then: silent},
	"503":      apiError(503, "SECOND"), "503+2s": apiError(503, "BUSY", "Retry-After: 2"), "502": response(502, ""),
	"404": apiError(404, "GONE"), "409": apiError(409, "TAKEN"),
	"422": apiError(422, "ODD"), "badCursor": apiError(400, "BAD_CURSOR"),
	"5MiB": response(200, strings.Repeat(" ", 5<<20)), "404+5MiB": response(404, strings.Repeat(" ", 5<<20)),
}

// story is a call with one retry and an hour, unless it says otherwise, and what comes of it.
type story struct {
	plays   string // the answers
	options string // see tell
	want    string // requests and time, unless 1 in 0s, and then the outcome; twice: 2 in 500ms, and gave up
	setup   func(t *testing.T, n *network, c *Client)
}

func (s story) tell(t *testing.T) {
	n := &network{}
	for name := range strings.FieldsSeq(s.plays) {
		n.answers = append(n.answers, plays[name])
	}
	n.play(t, func(t *testing.T, c *Client) {
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		attempts := 0
		c.MaxRetries, c.OnAttempt = 1, func(a Attempt) {
			if attempts++; strings.Contains(fmt.Sprint(a.Problem), "hunter2") { // a proxy's password
				t.Errorf("the log shows the password: %v", a.Problem)
			}
		}
		call := func() error { _, err := c.Publish(ctx, promotion); return err }
		for option := range strings.FieldsSeq(s.options) {
			name, value, _ := strings.Cut(option, "=")
			d, _ := time.ParseDuration(value)
			switch name {
			case "budget":
				var stop func()
				ctx, stop = context.WithTimeoutCause(ctx, d, errBudget)
				defer stop()
			case "cancel":
				time.AfterFunc(d, func() { cancel(errSignal) })
			case "once":
				c.MaxRetries = 0
			case "jitter":
				c.Jitter = func(limit time.Duration) time.Duration { return limit - 1 }
			case "read":
				call = func() error { _, err := c.Version(ctx, agentID, versionID); return err }
			case "launch":
				call = func() error { _, err := c.Launch(ctx, agentID, "v1.2.0"); return err }
			default:
				t.Fatalf("no option %s", option)
			}
		}
		if s.setup != nil {
			s.setup(t, n, c)
		}
		err := call()
		got := fmt.Sprintf("%d in %s: ", attempts, time.Since(n.start))
		got = strings.TrimPrefix(got, "1 in 0s: ") + outcome(err)
		if again, ok := strings.CutPrefix(got, "2 in 500ms: "); ok && strings.HasSuffix(again, "; gave up") {
			got = "twice: " + strings.TrimSuffix(again, "; gave up")
		}
		if got != s.want {
			t.Errorf("%s %s:\n got %s\nwant %s", s.plays, s.options, got, s.want)
		}
	})
}

// outcome puts an error in one line.
func outcome(err error) string {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return fmt.Sprint(err)
	}
	s := name(e.Cause)
	if e.Status != 0 {
		s += fmt.Sprint(" ", e.Status)
	}
	if e.Code != "" {
		s += " " + e.Code
	}
	s += [...]string{"", " (applied?)", " (pending?)"}[e.Effect]
	if e.Status < 300 || e.Cause == Cancelled { // the text of others follows from the status and the body
		s += ": " + e.Error()
	}
	if gaveUp := regexp.MustCompile("^gave up after . attempts?").ReplaceAllString(e.GaveUp, "gave up"); gaveUp != "" {
		s += "; " + gaveUp
	}
	for _, d := range e.Details {
		s += "; " + d.Field + ": " + string(d.Message)
	}
	if e.Last != nil {
		s += "; before: " + name(e.Last.Cause)
	}
	return strings.NewReplacer(" from api.test", "", " to api.test", "", "could not read the response", "unreadable",
		"TLS with api.test failed: ", "", "proxy.test:3128", "proxy", errBudget.Error(), "in time").Replace(s)
}

var names = strings.Fields("Internal Stopped Cancelled TimedOut Unreachable UnknownHost ProxyFailed ProxyRefused " +
	"TLSFailed Redirected Truncated InvalidReply Mismatch BadRequest Unauthorized Forbidden NotFound Unprocessable " +
	"Limited Refused NotTheAPI ServerFault ServerError")

// name is the name of a cause.
func name(cause *Fault) string { return names[slices.Index(Faults, cause)] }
