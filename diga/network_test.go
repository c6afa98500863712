package diga

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
)

func TestMain(m *testing.M) {
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"} {
		os.Unsetenv(name)
	}
	os.Exit(m.Run())
}

// network is one server, and the way to it, in memory and in virtual time. The zero value accepts every connection and
// never says a word.
type network struct {
	replies []reply                 // one for each request; the last one stays
	reply   func(r received) reply  // instead of the replies
	dial    func(attempt int) error // attempt counts from 1; nil: every connection is made
	secure  *tls.Config             // nil: the server does not speak TLS
	serve   func(conn net.Conn)     // instead of the replies

	start   time.Time
	servers sync.WaitGroup

	mu          sync.Mutex
	connections int
	requests    []received
}

// dials is the number of connections that were asked for, and heard what has arrived on them.
func (n *network) dials() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.connections
}

func (n *network) heard() []received {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.requests)
}

// reply is what the server does when a request has arrived.
type reply struct {
	raw  string
	pace time.Duration // before each byte of raw
	then ending
}

type ending int

const (
	stay   ending = iota // ready for the next request
	hangUp               // closes the connection
	silent               // never writes again
)

// received is a request as it arrived.
type received struct {
	at         time.Duration // since the start
	head, body string
}

// query is the query string of a request.
func (r received) query() string {
	line, _, _ := strings.Cut(r.head, "\r\n")
	_, query, _ := strings.Cut(strings.TrimSuffix(line, " HTTP/1.1"), "?")
	return query
}

// says is a whole reply. Each header is a line such as "Retry-After: 2".
func says(status int, body string, headers ...string) reply {
	lines := append([]string{fmt.Sprintf("HTTP/1.1 %03d What", status), fmt.Sprintf("Content-Length: %d", len(body))}, headers...)
	return reply{raw: strings.Join(lines, "\r\n") + "\r\n\r\n" + body}
}

// refuses is a whole reply in the form that the API gives its errors.
func refuses(status int, code string, headers ...string) reply {
	return says(status, fmt.Sprintf(`{"status":"error","error_code":%q,"message":"because"}`, code), headers...)
}

// lost reads the request and hangs up.
var lost = reply{then: hangUp}

// play runs do against the network in virtual time. It sees to it that no connection and no goroutine is left behind.
func (n *network) play(t *testing.T, do func(t *testing.T, c *Client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n.start = time.Now()
		c := n.client()
		defer n.servers.Wait()
		defer c.Close()
		defer synctest.Wait() // a request that took another's connection may have left its own to be made
		do(t, c)
	})
}

var requestID = uuid.MustParse("99999999-9999-4999-8999-999999999999")

// client is a Client with four retries whose jitter is 0.
func (n *network) client() *Client {
	return &Client{
		BaseURL: &url.URL{Scheme: "http", Host: "api.test"}, Token: "sesame", UserAgent: "test/1", RequestID: requestID,
		MaxRetries: 4, Jitter: func(time.Duration) time.Duration { return 0 },
		Dial: func(context.Context, string, string) (net.Conn, error) { return n.connect() },
	}
}

func (n *network) connect() (net.Conn, error) {
	n.mu.Lock()
	n.connections++
	number := n.connections
	n.mu.Unlock()
	if n.dial != nil {
		if err := n.dial(number); err != nil {
			return nil, err
		}
	}
	near, far := cable()
	switch {
	case n.serve != nil:
		n.servers.Go(func() { n.serve(far) })
	case n.secure != nil:
		n.servers.Go(func() {
			conn := tls.Server(unhurried{far}, n.secure)
			if conn.Handshake() == nil {
				n.answer(conn)
			}
			// Closed at once, the connection could be lost before the alert is read.
			_, _ = io.Copy(io.Discard, far)
			far.Close()
		})
	default:
		n.servers.Go(func() { n.answer(far) })
	}
	return near, nil
}

// serveHTTP makes the network's server net/http's own. Close it.
func (n *network) serveHTTP(handler http.Handler) *http.Server {
	server := &http.Server{Handler: handler}
	conns := make(listener)
	n.serve = func(conn net.Conn) { conns <- conn }
	n.servers.Go(func() { _ = server.Serve(conns) })
	return server
}

// unhurried lets everybody else finish before it writes: whatever the client has to say is said by then.
type unhurried struct{ net.Conn }

func (c unhurried) Write(b []byte) (int, error) {
	synctest.Wait()
	return c.Conn.Write(b)
}

// answer plays the replies to the requests of one connection.
func (n *network) answer(conn net.Conn) {
	defer conn.Close()
	for in := bufio.NewReader(conn); ; {
		var r received
		length := 0
		for !strings.HasSuffix(r.head, "\r\n\r\n") {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			r.head += line
			if name, value, _ := strings.Cut(line, ":"); name == "Content-Length" {
				length, _ = strconv.Atoi(strings.TrimSpace(value))
			}
		}
		body := make([]byte, length)
		if _, err := io.ReadFull(in, body); err != nil {
			return
		}
		r.at, r.body = time.Since(n.start), string(body)
		if !n.next(r).write(conn) {
			return
		}
	}
}

// next keeps r and picks the reply to it.
func (n *network) next(r received) reply {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.requests = append(n.requests, r)
	if n.reply != nil {
		return n.reply(r)
	}
	if len(n.replies) == 0 {
		return reply{then: silent}
	}
	return n.replies[min(len(n.requests), len(n.replies))-1]
}

// write reports whether the connection is ready for another request.
func (r reply) write(conn net.Conn) bool {
	if r.pace == 0 {
		_, _ = io.WriteString(conn, r.raw)
	} else {
		for i := range r.raw {
			<-time.After(r.pace)
			if _, err := io.WriteString(conn, r.raw[i:i+1]); err != nil {
				return false
			}
		}
	}
	if r.then == silent {
		_, _ = io.Copy(io.Discard, conn)
	}
	return r.then == stay
}

// cable returns the two ends of a connection that, unlike net.Pipe's, takes what is written before it is read.
func cable() (near, far net.Conn) {
	near, a := net.Pipe()
	b, far := net.Pipe()
	go forward(b, a)
	go forward(a, b)
	return near, far
}

// forward carries what it reads from src to dst, and then the end of it.
func forward(dst, src net.Conn) {
	var mu sync.Mutex
	var waiting []byte
	ended := false
	more := sync.NewCond(&mu)
	go func() {
		buffer := make([]byte, 32<<10)
		for {
			n, err := src.Read(buffer)
			mu.Lock()
			waiting = append(waiting, buffer[:n]...)
			ended = err != nil
			mu.Unlock()
			more.Signal()
			if err != nil {
				return
			}
		}
	}()
	defer dst.Close()
	for {
		mu.Lock()
		for len(waiting) == 0 && !ended {
			more.Wait()
		}
		chunk := waiting
		waiting = nil
		mu.Unlock()
		if len(chunk) == 0 {
			return
		}
		if _, err := dst.Write(chunk); err != nil {
			return
		}
	}
}

var (
	agentID   = uuid.MustParse("a0000000-0000-4000-8000-000000000001")
	versionID = uuid.MustParse("b0000000-0000-4000-8000-000000000002")
	inbound   = uuid.MustParse("c0000000-0000-4000-8000-000000000003")
	outbound  = uuid.MustParse("d0000000-0000-4000-8000-000000000004")
)

func valid(id uuid.UUID) uuid.NullUUID { return uuid.NullUUID{UUID: id, Valid: true} }

// promotion is the change that most tests make, and published the reply that confirms it.
var promotion = Change{Agent: agentID, Version: valid(versionID)}

var published = says(http.StatusOK, `{"agent_id":"`+agentID.String()+`","published_version_id":"`+versionID.String()+`"}`)

// failed returns err as the *Error that it must be.
func failed(t *testing.T, err error) *Error {
	t.Helper()
	e, ok := err.(*Error)
	if !ok {
		t.Fatalf("got %T (%v), want an *Error", err, err)
	}
	return e
}

// versionBody is what the API says of the version that promotion publishes.
const versionBody = `{"agent_id":"a0000000-0000-4000-8000-000000000001","version_id":"b0000000-0000-4000-8000-000000000002","version_number":7,` +
	`"version_name":"v1.2.0","is_draft":false,"is_published":true,"name":"Front desk","version_created_at":"2025-03-01T12:00:00Z"}`
