// The harness of the tests is a network in memory and in virtual time. A test fills in a network, which is the server and
// the way to it, and lets play run a function with a Client of it:
//
//	n := &network{replies: []reply{lost, response(503, "busy"), published}}
//	n.play(t, func(t *testing.T, c *Client) { … })
//
// Afterwards n.heard() has the requests as they arrived, byte by byte, with their times. A server that should be
// net/http's own is started by serveHTTP or, with TLS and HTTP/2, by authority.serveHTTP2.

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
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
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
)

func TestMain(m *testing.M) {
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"} {
		os.Unsetenv(name)
	}
	os.Exit(m.Run())
}

// network is a server and the connections to it, in memory and in virtual time. The zero value accepts connections and
// never answers.
type network struct {
	replies []reply                 // one for each request; the last one stays
	reply   func(r received) reply  // instead of replies
	dial    func(attempt int) error // attempt counts from 1; nil: every connection is made
	secure  *tls.Config             // nil: the server does not speak TLS
	serve   func(conn net.Conn)     // instead of replies

	start   time.Time
	servers sync.WaitGroup

	mu          sync.Mutex
	connections int
	requests    []received
}

// dials returns the number of connections that were dialed, and heard the requests that arrived.
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

// reply is what the server does after a request.
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

// target returns the method, path and query string of a request.
func (r received) target() (method, path, query string) {
	line, _, _ := strings.Cut(r.head, " HTTP/1.1\r\n")
	method, path, _ = strings.Cut(line, " ")
	path, query, _ = strings.Cut(path, "?")
	return method, path, query
}

// response returns a complete response. Each header is a line such as "Retry-After: 2".
func response(status int, body string, headers ...string) reply {
	lines := append([]string{fmt.Sprintf("HTTP/1.1 %03d What", status), fmt.Sprintf("Content-Length: %d", len(body))}, headers...)
	return reply{raw: strings.Join(lines, "\r\n") + "\r\n\r\n" + body}
}

// apiError returns a complete response in the shape of the API's errors.
func apiError(status int, code string, headers ...string) reply {
	return response(status, fmt.Sprintf(`{"status":"error","error_code":%q,"message":"because"}`, code), headers...)
}

// lost closes the connection without a response.
var lost = reply{then: hangUp}

// play runs do in virtual time, and fails if a connection or a goroutine is left behind.
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

// client returns a Client with four retries and no jitter.
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
	near, far := bufferedPipe()
	switch {
	case n.serve != nil:
		n.servers.Go(func() { n.serve(far) })
	case n.secure != nil:
		n.servers.Go(func() {
			conn := tls.Server(lastWriter{far}, n.secure)
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

// answer serves one connection with the replies.
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

// next records r and returns the reply to it.
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

// write reports whether the connection can serve another request.
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
		defer close(chunks)
		buffer := make([]byte, 32<<10)
		for {
			n, err := src.Read(buffer)
			chunks <- bytes.Clone(buffer[:n])
			if err != nil {
				return
			}
		}
	}()
	defer dst.Close()
	for chunk := range chunks {
		if _, err := dst.Write(chunk); err != nil {
			return
		}
	}
}

// lastWriter writes when all other goroutines are blocked: by then the client has written everything it will.
type lastWriter struct{ net.Conn }

func (c lastWriter) Write(b []byte) (int, error) {
	synctest.Wait()
	return c.Conn.Write(b)
}

// listener hands out the connections sent to it.
type listener chan net.Conn

func (l listener) Accept() (net.Conn, error) {
	if conn, ok := <-l; ok {
		return conn, nil
	}
	return nil, net.ErrClosed
}

func (l listener) Close() error { close(l); return nil }

func (l listener) Addr() net.Addr { return &net.TCPAddr{} }

// serveHTTP serves the connections with net/http. The caller closes the server.
func (n *network) serveHTTP(handler http.Handler) *http.Server {
	server := &http.Server{Handler: handler}
	conns := make(listener)
	n.serve = func(conn net.Conn) { conns <- conn }
	n.servers.Go(func() { _ = server.Serve(conns) })
	return server
}

// authority is a CA for the servers of one test.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) authority {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	self := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: now.Add(-9999 * time.Hour), NotAfter: now.Add(9999 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, self, self, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	self, err = x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return authority{self, key}
}

// issue returns a certificate that is valid for host and now, unless change changes that.
func (a authority) issue(t *testing.T, host string, change func(*x509.Certificate)) []tls.Certificate {
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), DNSNames: []string{host}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	if change != nil {
		change(leaf)
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, a.certificate, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	return []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: a.key}}
}

// trust makes c use TLS and trust the CA.
func (a authority) trust(c *Client) {
	c.BaseURL = &url.URL{Scheme: "https", Host: c.BaseURL.Host}
	c.connectOnce.Do(c.connect)
	c.transport.TLSClientConfig.RootCAs = x509.NewCertPool()
	c.transport.TLSClientConfig.RootCAs.AddCert(a.certificate)
}

// serveHTTP2 serves the connections with net/http, TLS and HTTP/2. The caller closes the server.
func (a authority) serveHTTP2(t *testing.T, n *network, c *Client, handler http.HandlerFunc) *http.Server {
	a.trust(c)
	server := &http.Server{
		Handler: handler, ErrorLog: log.New(io.Discard, "", 0), TLSConfig: &tls.Config{Certificates: a.issue(t, "api.test", nil)},
	}
	conns := make(listener)
	n.serve = func(conn net.Conn) { conns <- conn }
	n.servers.Go(func() { _ = server.ServeTLS(conns, "", "") })
	return server
}

// failed returns err as an *Error, which it must be.
func failed(t *testing.T, err error) *Error {
	t.Helper()
	e, ok := errors.AsType[*Error](err)
	if !ok {
		t.Fatalf("got %T (%v), want an *Error", err, err)
	}
	return e
}

// check compares an error with its cause and text. MaxRetries is 1; again says whether there was a retry.
func check(t *testing.T, err error, cause Cause, text string, again bool) *Error {
	t.Helper()
	e := failed(t, err)
	attempts := 1
	if again {
		attempts = 2
	}
	got := strings.ReplaceAll(e.Error(), "; gave up after 2 attempts", "")
	if e.Cause != cause || got != text || e.Attempts != attempts {
		t.Errorf("cause %d after %d attempts: %s\nwant %d after %d: %s", e.Cause, e.Attempts, got, cause, attempts, text)
	}
	return e
}

// queries returns the query strings of the requests that n heard, all of which must be reads of path without a body.
func queries(t *testing.T, n *network, path string) (list []string) {
	t.Helper()
	for _, r := range n.heard() {
		method, got, query := r.target()
		if method != http.MethodGet || got != path || r.body != "" || strings.Contains(r.head, "Content-") || strings.Contains(r.head, "Transfer-") {
			t.Errorf("%s%s", r.head, r.body)
		}
		list = append(list, query)
	}
	return list
}
