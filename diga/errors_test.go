package diga

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestTLSErrors(t *testing.T) {
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
	raw := func(text string) func(*testing.T, authority, *network, *Client) {
		return func(_ *testing.T, _ authority, n *network, _ *Client) {
			n.serve = func(conn net.Conn) {
				_, _ = conn.Read(make([]byte, 1))
				_, _ = io.WriteString(conn, text)
				conn.Close()
			}
		}
	}
	const noTLS = "TLS handshake with api.test failed: "
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
		}, CertificateUnknown, "the certificate of api.test was issued by an untrusted CA", false},
		{"expired", certificate(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }), CertificateTime,
			"the certificate of api.test is expired or not yet valid: valid from 1999-12-31 23:00 UTC to 1999-12-31 23:59 UTC", false},
		{"not yet valid", certificate(func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) }), CertificateTime,
			"the certificate of api.test is expired or not yet valid: valid from 2000-01-01 00:01 UTC to 2000-01-01 01:00 UTC", false},
		{"another host", certificate(func(c *x509.Certificate) { c.DNSNames = []string{"other.test"} }), CertificateHost,
			"the certificate is not valid for api.test", false},
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
		}), Unreachable, "no response from api.test: tls: internal error", true},
		{"plain HTTP", raw("HTTP/1.1 400 Bad Request\r\n\r\n"), PlainHTTP, "the server speaks plain HTTP on api.test", false},
		{"SSH", raw("SSH-2.0-OpenSSH_9.9\r\n"), TLSFailed, noTLS + "tls: first record does not look like a TLS handshake", false},
		{"a cipher that was not offered", raw("\x16\x03\x03\x00\x2a\x02\x00\x00\x26\x03\x03" + strings.Repeat("r", 32) + "\x00\x00\x01\x00"), TLSFailed,
			noTLS + "tls: server chose an unconfigured cipher suite", false},
		{"a reset", raw(""), Unreachable, "no response from api.test: the connection was closed", true},
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

// The environment has no CA bundle, or proxy variables that net/http refuses.
func TestErrorsOfTheEnvironment(t *testing.T) {
	for _, test := range []struct {
		err   error
		cause Cause
		text  string
	}{
		{&tls.CertificateVerificationError{Err: x509.SystemRootsError{}}, CertificateUnknown, "the certificate of api.test was issued by an untrusted CA"},
		{&proxyError{err: errors.New("no CGI")}, ProxyInvalid, "invalid proxy settings in the environment: no CGI"},
	} {
		a := attempt{host: "api.test", err: test.err}
		if e := a.toError(); e.Cause != test.cause || e.Error() != test.text || a.retryable() {
			t.Errorf("cause %d: %v", e.Cause, e)
		}
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
		{dial(lookup), Unreachable, "no response from api.test: DNS lookup: server misbehaving", true},
		{dial(&net.DNSError{Err: "i/o timeout", IsTimeout: true}), Unreachable, "no response from api.test: DNS lookup: i/o timeout", true},
		{dial(os.NewSyscallError("connect", syscall.ECONNREFUSED)), Unreachable, "no response from api.test: connection refused", true},
		{dial(os.NewSyscallError("connect", syscall.ENETUNREACH)), Unreachable, "no response from api.test: network is unreachable", true},
		{dial(os.ErrDeadlineExceeded), Unreachable, "no response from api.test: i/o timeout", true},
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

// The proxy's URL contains a password, which must not appear in any error.
func TestProxyErrors(t *testing.T) {
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
		{"refused", "https", refused, "", ProxyUnreachable, "could not connect to the proxy proxy.test:3128: connection refused", true},
		{"refused", "http", refused, "", ProxyUnreachable, "could not connect to the proxy proxy.test:3128: connection refused", true},
		{"unknown", "https", noHost, "", ProxyUnreachable, "could not connect to the proxy proxy.test:3128: DNS lookup: no such host", true},
		{"407", "https", nil, response(407, "").raw, ProxyDenied, "the proxy proxy.test:3128 returned 407 Proxy Authentication Required", false},
		{"407", "http", nil, response(407, "").raw, ProxyDenied, "the proxy proxy.test:3128 returned 407 Proxy Authentication Required", false},
		{"403", "https", nil, response(403, "").raw, ProxyDenied, "the proxy proxy.test:3128 returned 403 Forbidden", false},
		{"503", "https", nil, response(503, "").raw, ProxyUnreachable, "the proxy proxy.test:3128 returned 503 Service Unavailable", true},
		{"503", "http", nil, response(503, "").raw, Answered, "the API returned 503 Service Unavailable", true},
		{"lost", "https", nil, "", Unreachable, "no response from api.test: the connection closed early", true},
		{"not HTTP", "https", nil, "SSH-2.0\r\n\r\n", InvalidReply, `could not read the response: malformed HTTP response "SSH-2.0"`, false},
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

// Behind an HTTPS proxy there is one TLS connection inside another.
func TestBytesSentThroughATLSProxyCount(t *testing.T) {
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
		if e := check(t, err, Unreachable, "no response from api.test: the connection was closed; gave up after 1 attempt", false); e.Effect != MaybePending {
			t.Errorf("effect %d, though the request was sent", e.Effect)
		}
	})
}

func TestMalformedReplies(t *testing.T) {
	body := published.raw[strings.Index(published.raw, "{"):]
	zipped := zip(body)
	const gz, ok, cannot = "Content-Encoding: gzip", "HTTP/1.1 200 OK\r\n", "could not read the response: "
	tests := []struct {
		name  string
		raw   string
		cause Cause
		text  string // empty: success
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
		{"the end of the headers missing", ok + "X: y\r\n", Unreachable, "no response from api.test: the connection closed early", true},
		{"nothing", "", Unreachable, "no response from api.test: the connection was closed", true},
		{"half a body", ok + "Content-Length: 9\r\n\r\n{", InvalidReply, "the response was cut off after 1 byte: the connection closed early", true},
		{"a broken chunk", ok + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\nzz\r\n", InvalidReply,
			"the response was cut off after 2 bytes: invalid byte in chunk length", true},
		{"brotli", response(200, body, "Content-Encoding: br").raw, InvalidReply,
			cannot + `malformed HTTP: unexpected Content-Encoding "br"`, false},
		{"gzip", response(200, zipped, gz).raw, 0, "", false},
		{"gzip that is none", response(200, body, gz).raw, InvalidReply, cannot + "gzip: invalid header", false},
		{"gzip with a wrong sum", response(200, zipped[:len(zipped)-8]+"12345678", gz).raw, InvalidReply, cannot + "gzip: invalid checksum", false},
		{"gzip that is corrupt", response(200, zipped[:10]+"\xff\xff\xff\xff"+zipped[14:], gz).raw, InvalidReply, cannot + "flate: corrupt input before offset 1", false},
		{"half of a gzip", response(200, zipped[:10], gz).raw, InvalidReply, "the response was cut off after 0 bytes: the connection closed early", true},
		{"gzip of 4 MiB", response(200, zip(strings.Repeat(" ", 4<<20)), gz).raw, InvalidReply, cannot + "body exceeds 1048576 bytes", false},
		{"more than 1 MiB", response(200, body+strings.Repeat(" ", 1<<20)).raw, InvalidReply, cannot + "body exceeds 1048576 bytes", false},
		{"1 MiB", response(200, body+strings.Repeat(" ", 1<<20-len(body))).raw, 0, "", false},
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

func zip(text string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = io.WriteString(z, text)
	z.Close()
	return b.String()
}

// The server resets the streams of the first requests.
func TestLostHTTP2StreamsAreRetried(t *testing.T) {
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

// A response with status 999 is not a lost stream.
func TestHTTP2StatusWithoutMeaning(t *testing.T) {
	n := &network{}
	n.play(t, func(t *testing.T, c *Client) {
		server := newAuthority(t).serveHTTP2(t, n, c, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(999) })
		defer server.Close()
		_, _, err := c.Publish(t.Context(), promotion)
		check(t, err, InvalidReply, `could not read the response: malformed HTTP: status "999 "`, false)
	})
}
