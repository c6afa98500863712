package diga

import (
	"bytes"
	"compress/gzip"
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
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// authority signs certificates for the servers of one test.
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

// issue signs a certificate that is right for host and now, unless change makes it something else.
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

// trust makes c speak TLS and trust the authority.
func (a authority) trust(c *Client) {
	c.BaseURL = &url.URL{Scheme: "https", Host: c.BaseURL.Host}
	c.connectOnce.Do(c.connect)
	c.transport.TLSClientConfig.RootCAs = x509.NewCertPool()
	c.transport.TLSClientConfig.RootCAs.AddCert(a.certificate)
}

// check compares what a test expects of an error with err: its cause, its text, and whether it was tried again.
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

func TestTLS(t *testing.T) {
	config := func(change func(*tls.Config)) func(*testing.T, authority, *network, *Client) {
		return func(t *testing.T, a authority, n *network, c *Client) {
			n.secure = &tls.Config{Certificates: a.issue(t, "api.test", nil)}
			change(n.secure)
		}
	}
	certificate := func(change func(*x509.Certificate)) func(*testing.T, authority, *network, *Client) {
		return func(t *testing.T, a authority, n *network, c *Client) {
			n.secure = &tls.Config{Certificates: a.issue(t, "api.test", change)}
		}
	}
	says := func(text string) func(*testing.T, authority, *network, *Client) {
		return func(_ *testing.T, _ authority, n *network, _ *Client) {
			n.serve = func(conn net.Conn) {
				_, _ = conn.Read(make([]byte, 1))
				_, _ = io.WriteString(conn, text)
				conn.Close()
			}
		}
	}
	const noTLS = "no secure connection to api.test: "
	tests := []struct {
		name   string
		server func(t *testing.T, a authority, n *network, c *Client)
		cause  Cause
		text   string
		again  bool
	}{
		{"unknown authority", func(t *testing.T, a authority, n *network, c *Client) {
			config(func(*tls.Config) {})(t, a, n, c)
			c.transport.TLSClientConfig.RootCAs = x509.NewCertPool()
		}, CertificateUnknown, "the certificate of api.test is from an authority that is not trusted here", false},
		{"expired", certificate(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }), CertificateTime,
			"the certificate of api.test is not valid at this machine's time: it is valid from 1999-12-31 23:00 UTC to 1999-12-31 23:59 UTC", false},
		{"not yet valid", certificate(func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) }), CertificateTime,
			"the certificate of api.test is not valid at this machine's time: it is valid from 2000-01-01 00:01 UTC to 2000-01-01 01:00 UTC", false},
		{"another host", certificate(func(c *x509.Certificate) { c.DNSNames = []string{"other.test"} }), CertificateHost,
			"the certificate is not for api.test", false},
		{"a certificate for clients", certificate(func(c *x509.Certificate) { c.ExtKeyUsage[0] = x509.ExtKeyUsageClientAuth }), TLSFailed,
			noTLS + "x509: certificate specifies an incompatible key usage", false},
		{"TLS 1.1", config(func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }), TLSFailed,
			noTLS + "tls: protocol version not supported", false},
		{"another protocol", config(func(c *tls.Config) { c.NextProtos = []string{"imap"} }), TLSFailed,
			noTLS + "tls: no application protocol", false},
		{"no certificate for the name", config(func(c *tls.Config) { c.Certificates = nil }), TLSFailed,
			noTLS + "tls: unrecognized name", false},
		{"a client certificate, TLS 1.2", config(func(c *tls.Config) {
			c.MaxVersion, c.ClientAuth = tls.VersionTLS12, tls.RequireAnyClientCert
		}), TLSFailed, noTLS + "tls: handshake failure", false},
		{"a client certificate, TLS 1.3", config(func(c *tls.Config) { c.ClientAuth = tls.RequireAnyClientCert }), TLSFailed,
			noTLS + "tls: certificate required", false},
		{"a server in trouble", config(func(c *tls.Config) {
			c.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, errors.New("out of memory") }
		}), Unreachable, "no reply from api.test: tls: internal error", true},
		{"plain HTTP", says("HTTP/1.1 400 Bad Request\r\n\r\n"), PlainHTTP, "the server speaks plain HTTP on api.test", false},
		{"SSH", says("SSH-2.0-OpenSSH_9.9\r\n"), TLSFailed, noTLS + "tls: first record does not look like a TLS handshake", false},
		{"a cipher that was not offered", says("\x16\x03\x03\x00\x2a\x02\x00\x00\x26\x03\x03" + strings.Repeat("r", 32) + "\x00\x00\x01\x00"), TLSFailed,
			noTLS + "tls: server chose an unconfigured cipher suite", false},
		{"a reset", says(""), Unreachable, "no reply from api.test: the connection was closed", true},
		{"a stall", func(_ *testing.T, _ authority, n *network, _ *Client) {
			n.serve = func(conn net.Conn) { reply{then: silent}.write(conn); conn.Close() }
		}, Timeout, "no connection to api.test within 30 s", true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			n := &network{replies: []reply{published}}
			n.play(t, func(t *testing.T, c *Client) {
				a := newAuthority(t)
				a.trust(c)
				c.MaxRetries = 1
				test.server(t, a, n, c)
				_, _, err := c.Publish(t.Context(), promotion)
				if e := check(t, err, test.cause, test.text, test.again); e.Effect != NoEffect {
					t.Errorf("effect %d, though no server took the request", e.Effect)
				}
			})
		})
	}
}

// serveHTTP2 makes the network's server net/http's own, which prefers HTTP/2.
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

// TestHTTP2 loses so many requests by RST_STREAM.
func TestHTTP2(t *testing.T) {
	for lose, fails := range map[int]bool{0: false, 2: false, 9: true} {
		requests := 0
		n := &network{}
		n.play(t, func(t *testing.T, c *Client) {
			server := newAuthority(t).serveHTTP2(t, n, c, func(w http.ResponseWriter, r *http.Request) {
				if requests++; requests <= lose {
					panic(http.ErrAbortHandler)
				}
				_, _ = io.WriteString(w, published.raw[strings.Index(published.raw, "{"):])
			})
			defer server.Close()
			var last Attempt
			c.OnAttempt = func(a Attempt) { last = a }
			_, attempts, err := c.Publish(t.Context(), promotion)
			if !last.HTTP2 || attempts != min(lose+1, 5) || requests != attempts || n.dials() != 1 {
				t.Errorf("%d attempts, %d requests on %d connections; HTTP/2: %t", attempts, requests, n.dials(), last.HTTP2)
			}
			if !fails && err != nil || fails && failed(t, err).Effect != MaybePending {
				t.Errorf("%d lost: %v", lose, err)
			}
		})
	}
}

// TestHTTP2Status checks that a reply without a meaning is not taken for a lost stream.
func TestHTTP2Status(t *testing.T) {
	n := &network{}
	n.play(t, func(t *testing.T, c *Client) {
		server := newAuthority(t).serveHTTP2(t, n, c, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(999) })
		defer server.Close()
		_, _, err := c.Publish(t.Context(), promotion)
		check(t, err, InvalidReply, `the reply cannot be read: malformed HTTP: status "999 "`, false)
	})
}

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

// TestNoRoots has a machine without any authority's certificate, as an image may be that was put together wrongly.
func TestNoRoots(t *testing.T) {
	a := attempt{host: "api.test", err: &tls.CertificateVerificationError{Err: x509.SystemRootsError{}}}
	if got := a.cause(); got != CertificateUnknown {
		t.Errorf("cause %d", got)
	}
}

func TestDialErrors(t *testing.T) {
	dial := func(err error) error {
		return &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 80}, Err: err}
	}
	lookup := &net.DNSError{Err: "server misbehaving", Name: "api.test", Server: "192.0.2.53:53", IsTemporary: true}
	tests := []struct {
		err   error
		cause Cause
		text  string
		again bool
	}{
		{dial(&net.DNSError{Err: "no such host", Name: "api.test", IsNotFound: true}), UnknownHost, "the host api.test does not exist", false},
		{dial(lookup), Unreachable, "no reply from api.test: looking up the name: server misbehaving", true},
		{dial(&net.DNSError{Err: "i/o timeout", IsTimeout: true}), Unreachable, "no reply from api.test: looking up the name: i/o timeout", true},
		{dial(os.NewSyscallError("connect", syscall.ECONNREFUSED)), Unreachable, "no reply from api.test: connection refused", true},
		{dial(os.NewSyscallError("connect", syscall.ENETUNREACH)), Unreachable, "no reply from api.test: network is unreachable", true},
		{dial(os.ErrDeadlineExceeded), Unreachable, "no reply from api.test: i/o timeout", true},
	}
	for _, test := range tests {
		n := &network{dial: func(int) error { return test.err }}
		n.play(t, func(t *testing.T, c *Client) {
			c.MaxRetries = 1
			_, _, err := c.Publish(t.Context(), promotion)
			check(t, err, test.cause, test.text, test.again)
		})
	}
	n := &network{}
	n.play(t, func(t *testing.T, c *Client) {
		c.MaxRetries = 1
		c.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) { <-ctx.Done(); return nil, ctx.Err() }
		_, _, err := c.Publish(t.Context(), promotion)
		check(t, err, Timeout, "no connection to api.test within 30 s", true)
	})
}

// TestProxy goes through a proxy whose address holds a password.
func TestProxy(t *testing.T) {
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	noHost := &net.DNSError{Err: "no such host", Name: "proxy.test", IsNotFound: true}
	tests := []struct {
		name   string
		scheme string // of the API
		dial   error
		raw    string
		cause  Cause
		text   string
		again  bool
	}{
		{"refused", "https", refused, "", ProxyUnreachable, "no connection to the proxy proxy.test:3128: connection refused", true},
		{"refused", "http", refused, "", ProxyUnreachable, "no connection to the proxy proxy.test:3128: connection refused", true},
		{"unknown", "https", noHost, "", ProxyUnreachable, "no connection to the proxy proxy.test:3128: looking up the name: no such host", true},
		{"407", "https", nil, says(407, "").raw, ProxyDenied, "the proxy proxy.test:3128 answered 407 Proxy Authentication Required", false},
		{"407", "http", nil, says(407, "").raw, ProxyDenied, "the proxy proxy.test:3128 answered 407 Proxy Authentication Required", false},
		{"403", "https", nil, says(403, "").raw, ProxyDenied, "the proxy proxy.test:3128 answered 403 Forbidden", false},
		{"503", "https", nil, says(503, "").raw, ProxyUnreachable, "the proxy proxy.test:3128 answered 503 Service Unavailable", true},
		{"503", "http", nil, says(503, "").raw, Answered, "the API answered 503 Service Unavailable", true},
		{"lost", "https", nil, "", Unreachable, "no reply from api.test: the connection closed early", true},
		{"not HTTP", "https", nil, "SSH-2.0\r\n\r\n", InvalidReply, `the reply cannot be read: malformed HTTP response "SSH-2.0"`, false},
	}
	for _, test := range tests {
		t.Run(test.name+" "+test.scheme, func(t *testing.T) {
			n := &network{dial: func(int) error { return test.dial }, replies: []reply{{raw: test.raw, then: hangUp}}}
			n.play(t, func(t *testing.T, c *Client) {
				c.BaseURL.Scheme = test.scheme
				c.MaxRetries = 1
				c.connectOnce.Do(c.connect)
				c.transport.Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: "proxy.test:3128", User: url.UserPassword("user", "hunter2")})
				c.OnAttempt = func(a Attempt) {
					if strings.Contains(fmt.Sprint(a.Err), "hunter2") {
						t.Errorf("the log shows the password: %v", a.Err)
					}
				}
				_, _, err := c.Publish(t.Context(), promotion)
				check(t, err, test.cause, test.text, test.again)
			})
		})
	}
}

// TestProxyTLS loses a change behind a proxy that is itself reached by TLS.
func TestProxyTLS(t *testing.T) {
	n := &network{}
	n.play(t, func(t *testing.T, c *Client) {
		a := newAuthority(t)
		a.trust(c)
		c.MaxRetries = 0
		c.transport.Proxy = http.ProxyURL(&url.URL{Scheme: "https", Host: "proxy.test"})
		outer := &tls.Config{Certificates: a.issue(t, "proxy.test", nil)}
		inner := &tls.Config{Certificates: a.issue(t, "api.test", nil)}
		proxy := &network{replies: []reply{{raw: "HTTP/1.1 200 OK\r\n\r\n"}}}
		n.serve = func(conn net.Conn) {
			defer conn.Close()
			outside := tls.Server(conn, outer)
			head := make([]byte, 4096)
			if k, err := outside.Read(head); err != nil || !bytes.HasPrefix(head[:k], []byte("CONNECT api.test:443 ")) {
				t.Errorf("the proxy got %q: %v", head[:k], err)
				return
			}
			proxy.replies[0].write(outside)
			(&network{replies: []reply{lost}}).answer(tls.Server(outside, inner))
		}
		_, _, err := c.Publish(t.Context(), promotion)
		if e := check(t, err, Unreachable, "no reply from api.test: the connection was closed; gave up after 1 attempt", false); e.Effect != MaybePending {
			t.Errorf("effect %d, though the request was sent", e.Effect)
		}
	})
}

// TestRequestNotBuilt checks what no input of the step can bring about.
func TestRequestNotBuilt(t *testing.T) {
	n := &network{}
	c := n.client()
	c.BaseURL.Host = "api test"
	_, _, err := c.Publish(t.Context(), promotion)
	if e := failed(t, err); e.Cause != Internal || e.Effect != NoEffect || e.Attempts != 0 {
		t.Errorf("%+v", e)
	}
}

func zip(text string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = io.WriteString(z, text)
	z.Close()
	return b.String()
}

// TestMalformed plays replies that are malformed HTTP.
func TestMalformed(t *testing.T) {
	body := published.raw[strings.Index(published.raw, "{"):]
	zipped := zip(body)
	const gz, ok, cannot = "Content-Encoding: gzip", "HTTP/1.1 200 OK\r\n", "the reply cannot be read: "
	tests := []struct {
		name  string
		raw   string
		cause Cause
		text  string // "": it is well
		again bool
	}{
		{"not HTTP", "SSH-2.0\r\n\r\n", InvalidReply, cannot + `malformed HTTP response "SSH-2.0"`, false},
		{"status in words", "HTTP/1.1 two hundred\r\n\r\n", InvalidReply, cannot + `malformed HTTP status code "two"`, false},
		{"four digits", "HTTP/1.1 2000 OK\r\n\r\n", InvalidReply, cannot + `malformed HTTP status code "2000"`, false},
		{"HTTP/3.0 in text", "HTTP/x 200 OK\r\n\r\n", InvalidReply, cannot + `malformed HTTP version "HTTP/x"`, false},
		{"a header without a colon", ok + "hello\r\n\r\n", InvalidReply, cannot + `malformed MIME header: missing colon: "hello"`, false},
		{"two lengths", ok + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", InvalidReply,
			cannot + `http: message cannot contain multiple Content-Length headers; got ["1" "2"]`, false},
		{"a negative length", ok + "Content-Length: -1\r\n\r\n", InvalidReply, cannot + `bad Content-Length "-1"`, false},
		{"another transfer coding", ok + "Transfer-Encoding: rot13\r\n\r\n", InvalidReply, cannot + `unsupported transfer encoding: "rot13"`, false},
		{"too many headers", ok + "X: " + strings.Repeat("x", maxHeaderBytes+8192), InvalidReply,
			cannot + "net/http: server response headers exceeded 65536 bytes; aborted", false},
		{"a status without a meaning", "HTTP/1.1 999 ::error::\r\n\r\n", InvalidReply, cannot + `malformed HTTP: status "999 ::error::"`, false},
		{"the end of the headers missing", ok + "X: y\r\n", Unreachable, "no reply from api.test: the connection closed early", true},
		{"nothing", "", Unreachable, "no reply from api.test: the connection was closed", true},
		{"half a body", ok + "Content-Length: 9\r\n\r\n{", InvalidReply, "the reply breaks off after 1 byte: the connection closed early", true},
		{"a broken chunk", ok + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\nzz\r\n", InvalidReply,
			"the reply breaks off after 2 bytes: invalid byte in chunk length", true},
		{"brotli", says(200, body, "Content-Encoding: br").raw, InvalidReply,
			cannot + `malformed HTTP: a body in the encoding "br", which was not asked for`, false},
		{"gzip", says(200, zipped, gz).raw, 0, "", false},
		{"gzip that is none", says(200, body, gz).raw, InvalidReply, cannot + "gzip: invalid header", false},
		{"gzip with a wrong sum", says(200, zipped[:len(zipped)-8]+"12345678", gz).raw, InvalidReply, cannot + "gzip: invalid checksum", false},
		{"gzip that is corrupt", says(200, zipped[:10]+"\xff\xff\xff\xff"+zipped[14:], gz).raw, InvalidReply, cannot + "flate: corrupt input before offset 1", false},
		{"half of a gzip", says(200, zipped[:10], gz).raw, InvalidReply, "the reply breaks off after 0 bytes: the connection closed early", true},
		{"gzip of 4 MiB", says(200, zip(strings.Repeat(" ", 4<<20)), gz).raw, InvalidReply, cannot + "a body of more than 1048576 bytes", false},
		{"more than 1 MiB", says(200, body+strings.Repeat(" ", 1<<20)).raw, InvalidReply, cannot + "a body of more than 1048576 bytes", false},
		{"1 MiB", says(200, body+strings.Repeat(" ", 1<<20-len(body))).raw, 0, "", false},
		{"no length", ok + "\r\n" + body, 0, "", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			n := &network{replies: []reply{{raw: test.raw, then: hangUp}}}
			n.play(t, func(t *testing.T, c *Client) {
				c.MaxRetries = 1
				_, _, err := c.Publish(t.Context(), promotion)
				if test.text != "" {
					check(t, err, test.cause, test.text, test.again)
				} else if err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestAnswer reads the replies that are errors.
func TestAnswer(t *testing.T) {
	tests := []struct {
		name   string
		status int
		body   string
		want   Error // Cause, Code, Said and Details; Status and Message follow from the status
	}{
		{"as the contract says", 404, `{"status":"error","error_code":"AGENT_NOT_FOUND","message":"Agent x not found"}`,
			Error{Code: "AGENT_NOT_FOUND", Untrusted: "Agent x not found"}},
		{"no body", 401, "", Error{}},
		{"blanks", 401, " \r\n\t ", Error{}},
		{"no code", 403, `{"message":" no "}`, Error{Untrusted: "no"}},
		{"another object", 400, `{"error":"no"}`, Error{}},
		{"names of another case", 400, `{"Error_Code":"A","MESSAGE":"b","Detail":"c"}`, Error{}},
		{"a name twice", 400, `{"error_code":"A","message":"b","error_code":"C"}`, Error{}},
		{"broken JSON", 400, `{"error_code":"A","message":"b"`, Error{}},
		{"JSON and more", 400, `{"error_code":"A","message":"b"}{}`, Error{}},
		{"JSON after a mark", 400, "\ufeff" + `{"error_code":"A","detail":[{"input":"s3cret"}]}`, Error{}},
		{"JSON after NUL", 400, "\x00\x00" + `{"error_code":"A","detail":[{"input":"s3cret"}]}`, Error{}},
		{"a list", 400, `[{"input":"s3cret"}]`, Error{}},
		{"nulls", 400, `{"error_code":null,"message":null,"detail":null}`, Error{}},

		{"a code that is a number", 400, `{"error_code":7,"message":"b"}`, Error{Untrusted: "b"}},
		{"a code that is a list", 400, `{"error_code":["A"],"message":"b"}`, Error{Untrusted: "b"}},
		{"a code that is empty", 400, `{"error_code":"","message":"b"}`, Error{Untrusted: "b"}},
		{"a code that is an emoji", 400, `{"error_code":"💥","message":"b"}`, Error{Untrusted: "b"}},
		{"a code with a line break", 400, `{"error_code":"A\n","message":"b"}`, Error{Untrusted: "b"}},
		{"a code of commands", 400, `{"error_code":"::add-mask::a","message":"b"}`, Error{Untrusted: "b"}},
		{"a code in lower case", 400, `{"error_code":"not_found","message":"b"}`, Error{Code: "not_found", Untrusted: "b"}},
		{"a code of 64", 400, `{"error_code":"` + strings.Repeat("A", 64) + `"}`, Error{Code: strings.Repeat("A", 64)}},
		{"a code of 65", 400, `{"error_code":"` + strings.Repeat("A", 65) + `"}`, Error{}},
		{"a message that is a number", 400, `{"error_code":"A","message":5}`, Error{Code: "A"}},
		{"half a surrogate", 400, `{"error_code":"A","message":"x\ud800y"}`, Error{Code: "A", Untrusted: "x\ufffdy"}},

		{"details", 422, `{"detail":[{"loc":["body","version_id"],"msg":"not a UUID","type":"uuid_parsing","input":"s3cret","ctx":{"error":"s3cret"},"url":"https://s3cret"}]}`,
			Error{Details: []Detail{{"body.version_id", "not a UUID"}}}},
		{"integers in loc", 422, `{"detail":[{"loc":["body",3,"x"],"msg":"a"},{"loc":[],"msg":"b"},{"msg":"c"},{"loc":null,"msg":"d"}]}`,
			Error{Details: []Detail{{"body.3.x", "a"}, {"", "b"}, {"", "c"}, {"", "d"}}}},
		{"detail is a string", 422, `{"detail":"Not Found"}`, Error{Untrusted: "Not Found"}},
		{"detail is an object", 422, `{"detail":{"input":"s3cret","msg":"x"}}`, Error{}},
		{"detail is a number", 422, `{"detail":4}`, Error{}},
		{"detail is empty", 422, `{"detail":[]}`, Error{Details: []Detail{}}},
		{"detail of other types", 422, `{"detail":[{"loc":"body","msg":"x","input":"s3cret"}]}`, Error{}},
		{"10,000 details", 422, `{"detail":[` + strings.Repeat(`{"loc":["a"],"msg":"b"},`, 9999) + `{"loc":["a"],"msg":"b"}]}`,
			Error{Details: slices.Repeat([]Detail{{"a", "b"}}, 10000)}},
		{"10,000 deep", 422, `{"detail":` + strings.Repeat("[", 10000) + strings.Repeat("]", 10000) + `}`, Error{}},

		{"an HTML page", 502, "<html><head><title>502 Bad\nGateway</title></head><body><h1>nginx</h1></body></html>", Error{Untrusted: "502 Bad Gateway"}},
		{"HTML without a title", 502, "<h1>Bad <b>gateway</b></h1><p>nginx", Error{Untrusted: "Bad gateway nginx"}},
		{"half of a tag", 502, "Bad gateway <a href='x", Error{Untrusted: "Bad gateway"}},
		{"plain text", 503, "no healthy upstream\n", Error{Untrusted: "no healthy upstream"}},
		{"a lot of text", 503, strings.Repeat("x ", 1<<19), Error{Untrusted: strings.TrimSpace(strings.Repeat("x ", 1<<19))}}, // who shows it cuts it, and hides a secret first
		{"204", 204, "", Error{Cause: InvalidReply}},
		{"202", 202, `{"error_code":"A","message":"b"}`, Error{Cause: InvalidReply}},
	}
	for _, test := range tests {
		a := attempt{status: test.status, body: []byte(test.body)}
		got, want := a.replyError(), test.want
		want.Status, want.Message = test.status, "the API answered "+StatusText(test.status)
		if want.Cause == InvalidReply {
			want.Message += ", which is not how a publication is confirmed"
		}
		if cut := (attempt{status: test.status, body: a.body, err: io.ErrUnexpectedEOF}); plainText(a.body) != "" && cut.replyError().Untrusted != "" {
			t.Errorf("%s: shows a part of a body that broke off, which may end in half a secret", test.name)
		}
		if !reflect.DeepEqual(*got, want) {
			t.Errorf("%s:\ngot  %.300s\nwant %.300s", test.name, fmt.Sprintf("%+v", *got), fmt.Sprintf("%+v", want))
		}
	}
}

// TestRedirects checks that no redirect is followed, and that of its target only the host is told.
func TestRedirects(t *testing.T) {
	for location, said := range map[string]string{
		"":                                      "",
		"/v1/agent":                             "",
		"http://api.test/v1/agent?token=sesame": "to api.test",
		"https://user:sesame@evil.test:8443/a":  "to evil.test:8443",
		"//evil.test/sesame":                    "to evil.test",
		"http://[::1":                           "",
		"javascript:sesame":                     "",
		"http://evil.test/%zz":                  "",
	} {
		for _, status := range []int{300, 301, 302, 303, 304, 307, 308} {
			n := &network{replies: []reply{says(status, "", "Location: "+location)}}
			n.play(t, func(t *testing.T, c *Client) {
				_, _, err := c.Publish(t.Context(), promotion)
				e := failed(t, err)
				if e.Cause != Redirected || e.Untrusted != said || e.Effect != NoEffect || strings.Contains(e.Error(), "sesame") || len(n.heard()) != 1 || n.dials() != 1 {
					t.Errorf("%d to %q: %+v after %d requests", status, location, e, len(n.heard()))
				}
			})
		}
	}
}
