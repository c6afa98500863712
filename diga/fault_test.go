package diga

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Every status, with another body and with one of the API's own: the cause, the effect, whether there is a retry, and
// whether the answer to a read is final.
func TestEveryStatus(t *testing.T) {
	refused, unclear, failed := [2]Effect{}, [2]Effect{MaybePending, MaybePending}, [2]Effect{MaybePending, MaybeApplied}
	seen := map[int]bool{} // the first row with a status counts
	for _, row := range []struct {
		from, to int
		cause    [2]*Fault
		effect   [2]Effect
		final    bool
	}{
		{201, 299, [2]*Fault{InvalidReply, InvalidReply}, unclear, false},
		{300, 399, [2]*Fault{Redirected, Redirected}, refused, true},
		{400, 400, [2]*Fault{NotTheAPI, BadRequest}, refused, true},
		{401, 401, [2]*Fault{NotTheAPI, Unauthorized}, refused, false},
		{403, 403, [2]*Fault{NotTheAPI, Forbidden}, refused, true},
		{404, 404, [2]*Fault{NotTheAPI, NotFound}, refused, true},
		{408, 408, [2]*Fault{ServerFault, ServerFault}, failed, false},
		{422, 422, [2]*Fault{NotTheAPI, Unprocessable}, refused, true},
		{429, 429, [2]*Fault{Limited, Limited}, refused, false},
		{400, 499, [2]*Fault{NotTheAPI, Refused}, refused, true},
		{500, 500, [2]*Fault{ServerFault, ServerFault}, failed, false},
		{501, 501, [2]*Fault{ServerError, ServerError}, failed, true},
		{502, 504, [2]*Fault{ServerFault, ServerFault}, failed, false},
		{520, 524, [2]*Fault{ServerFault, ServerFault}, failed, false},
		{500, 599, [2]*Fault{ServerError, ServerError}, failed, false},
		{600, 999, [2]*Fault{InvalidReply, InvalidReply}, unclear, false},
		{101, 101, [2]*Fault{InvalidReply, InvalidReply}, unclear, false},
	} {
		for status := row.from; status <= row.to; status++ {
			for own, a := range []answer{response(status, "<p>because"), apiError(status, "CODE")} {
				if seen[status] {
					continue
				}
				seen[status] = own == 1
				n := &network{answers: []answer{a}}
				n.play(t, func(t *testing.T, c *Client) {
					c.MaxRetries = 1
					// A second retry of a 429 would come later.
					ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
					defer cancel()
					_, err := c.Publish(ctx, promotion)
					e, _ := errors.AsType[*Error](err)
					if retried := len(n.heard) == 2; e == nil || e.Cause != row.cause[own] || e.Effect != row.effect[own] ||
						retried != e.Cause.Retried || e.IsFinal() != row.final ||
						(e.Status == status) != (200 <= status && status <= 599) {
						t.Errorf("%d: %s, retried: %t; want %+v", status, outcome(err), retried, row)
					}
				})
			}
		}
	}
	for _, e := range []Error{ // of a body that is not what it should be, or was cut off, and of a call that ended
		{Cause: Mismatch, Status: 200}, {Cause: InvalidReply, Status: 200, Err: errTooLarge},
		{Cause: TimedOut}, {Cause: Unreachable}, {Cause: InvalidReply}, {Cause: Truncated, Status: 200},
		{Cause: NotTheAPI, Status: 404, Err: io.ErrUnexpectedEOF}, {Cause: Cancelled, Status: 404, Err: errSignal},
	} {
		if want := e.Status == 200 && e.Cause != Truncated; e.IsFinal() != want {
			t.Errorf("%+v: final: %t", e, e.IsFinal())
		}
	}
}

// Whatever happens below HTTP.
func TestNetworkFaults(t *testing.T) {
	type setup func(t *testing.T, n *network, c *Client)
	dial := func(err error) setup {
		return func(_ *testing.T, n *network, _ *Client) {
			n.dial = &net.OpError{Op: "dial", Net: "tcp", Err: err}
		}
	}
	sends := func(raw string) setup {
		return func(_ *testing.T, n *network, _ *Client) { n.answers = []answer{{raw: raw, then: hangUp}} }
	}
	secure := func(change func(*tls.Config)) setup {
		return func(_ *testing.T, n *network, c *Client) {
			c.BaseURL.Scheme, n.secure = "https", serving(ours)
			change(n.secure)
		}
	}
	shows := func(other tls.Certificate) setup {
		return secure(func(c *tls.Config) { c.Certificates = []tls.Certificate{other} })
	}
	hello := func(raw string) setup { // the answer to a TLS hello
		return func(_ *testing.T, n *network, c *Client) {
			c.BaseURL.Scheme = "https"
			n.serve = func(_ int, conn net.Conn) {
				_, _ = conn.Read(make([]byte, 1))
				_, _ = io.WriteString(conn, raw)
				conn.Close()
			}
		}
	}
	proxy := func(s setup) setup { // the URL's password must not appear in any error
		return func(t *testing.T, n *network, c *Client) {
			s(t, n, c)
			c.BaseURL.Scheme = "https"
			c.connection().Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: "proxy.test:3128",
				User: url.UserPassword("user", "hunter2")})
		}
	}
	env := func(name, value string) setup {
		return func(t *testing.T, _ *network, c *Client) {
			t.Setenv(name, value)
			c.BaseURL.Scheme = strings.ToLower(strings.TrimSuffix(strings.ToLower(name), "_proxy"))
		}
	}
	caFile := func(content string) setup {
		return func(t *testing.T, n *network, c *Client) {
			shows(certificate("api.test", time.Hour))(t, n, c)
			file := filepath.Join(t.TempDir(), "ca.pem")
			t.Setenv("SSL_CERT_FILE", file)
			if content != "" && os.WriteFile(file, []byte(content), 0o600) != nil {
				t.Fatal("cannot write")
			}
		}
	}
	const ok, gz = "HTTP/1.1 200 OK\r\n", "Content-Encoding: gzip"
	zipped, mebibyte := zip(publishedBody), publishedBody+strings.Repeat(" ", 1<<20-len(publishedBody))
	pem, err := os.ReadFile(os.Getenv("SSL_CERT_DIR") + "/ca.pem")
	if err != nil {
		t.Fatal(err)
	}
	with := func(raw, header string) setup { return sends(response(200, raw, header).raw) }
	tests := []struct {
		name, want string
		setup      setup
	}{
		{"no such host", "UnknownHost: the host api.test does not exist",
			dial(&net.DNSError{Err: "no such host", Name: "api.test", IsNotFound: true})},
		{"DNS in trouble", "twice: Unreachable: no response: DNS lookup: server misbehaving",
			dial(&net.DNSError{Err: "server misbehaving", IsTemporary: true})},
		{"DNS is late", "twice: TimedOut: no connection within 10 s",
			dial(&net.DNSError{Err: "i/o timeout", IsTimeout: true})},
		{"connecting hangs", "2 in 20.5s: TimedOut: no connection within 10 s; gave up",
			func(_ *testing.T, _ *network, c *Client) {
				c.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
					<-ctx.Done()
					return nil, ctx.Err()
				}
			}},

		{"proxy refused", "twice: ProxyFailed: could not connect to the proxy proxy: connection refused",
			proxy(dial(syscall.ECONNREFUSED))},
		{"proxy 407", "ProxyRefused: the proxy proxy returned 407 Proxy Authentication Required",
			proxy(sends(response(407, "").raw))},
		{"proxy 503", "twice: ProxyFailed: the proxy proxy returned 503 Service Unavailable",
			proxy(sends(response(503, "").raw))},
		{"proxy not HTTP", `InvalidReply: unreadable: malformed HTTP response "SSH-2.0"`,
			proxy(sends("SSH-2.0\r\n\r\n"))},
		{"HTTPS_PROXY in quotes", "ProxyRefused: HTTPS_PROXY is not a URL",
			env("HTTPS_PROXY", "'proxy.test'")},
		{"http_proxy with blanks", "ProxyRefused: HTTP_PROXY is not a URL",
			env("http_proxy", "my proxy")},
		{"HTTPS_PROXY with a password's #", "ProxyRefused: HTTPS_PROXY is not a URL",
			env("HTTPS_PROXY", "http://a:1#c@proxy.test")},

		{"unknown authority", "TLSFailed: x509: certificate signed by unknown authority",
			shows(certificate("api.test", time.Hour))},
		{"SSL_CERT_FILE is missing", "TLSFailed: SSL_CERT_FILE cannot be read: no such file or directory", caFile("")},
		{"SSL_CERT_FILE is DER", "TLSFailed: the file in SSL_CERT_FILE holds no PEM certificate",
			caFile(string(ours.Certificate[0]))},
		{"SSL_CERT_FILE is another's", "TLSFailed: x509: certificate signed by unknown authority", caFile(string(pem))},
		{"expired", "TLSFailed: x509: certificate has expired or is not yet valid: " +
			"current time 2000-01-01T00:00:00Z is after 1999-12-31T23:59:00Z",
			shows(certificate("api.test", -time.Minute))},
		{"another host", "TLSFailed: x509: certificate is valid for other.test, not api.test",
			shows(certificate("other.test", time.Hour))},
		{"TLS 1.1", "TLSFailed: tls: protocol version not supported",
			secure(func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 })},
		{"mTLS, TLS 1.3", "TLSFailed: tls: certificate required",
			secure(func(c *tls.Config) { c.ClientAuth = tls.RequireAnyClientCert })},
		{"plain HTTP", "TLSFailed: the server does not speak TLS on this port",
			hello("HTTP/1.1 400 Bad Request\r\n\r\n")},
		{"a lost hello", "twice: Unreachable: no response: the connection was closed", hello("")},

		{"half of the headers", "twice: Unreachable (pending?): no response: the connection was closed",
			sends(ok + "X: y\r\n")},
		{"not HTTP", `InvalidReply (pending?): unreadable: malformed HTTP response "SSH-2.0"`,
			sends("SSH-2.0\r\n\r\n")},
		{"too many headers",
			"InvalidReply (pending?): unreadable: net/http: server response headers exceeded 65536 bytes; aborted",
			sends(ok + "X: " + strings.Repeat("x", maxHeaderBytes+8192))},
		{"a status without a meaning", `InvalidReply (pending?): unreadable: malformed HTTP: status "999 ::error::"`,
			sends("HTTP/1.1 999 ::error::\r\n\r\n")},
		{"a body cut off", "twice: Truncated 200 (pending?): the response was cut off after 112 bytes",
			sends(published.raw[:len(published.raw)-1])},
		{"a redirect", "Redirected 307", sends(response(307, "", "Location: http://evil.test/").raw)},
		{"a broken chunk", "twice: Truncated 200 (pending?): the response was cut off after 2 bytes",
			sends(ok + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\nzz\r\n")},
		{"no length", "<nil>", sends(ok + "\r\n" + publishedBody)},
		{"brotli", `InvalidReply 200 (pending?): unreadable: malformed HTTP: unexpected Content-Encoding "br"`,
			with(publishedBody, "Content-Encoding: br")},
		{"gzip", "<nil>", with(zipped, gz)},
		{"gzip that is none", "InvalidReply 200 (pending?): unreadable: gzip: invalid header", with(publishedBody, gz)},
		{"gzip with a wrong sum", "InvalidReply 200 (pending?): unreadable: gzip: invalid checksum",
			with(zipped[:len(zipped)-8]+"12345678", gz)},
		{"gzip that is corrupt", "InvalidReply 200 (pending?): unreadable: flate: corrupt input before offset 1",
			with(zipped[:10]+"\xff\xff\xff\xff"+zipped[14:], gz)},
		{"a reset in the body", "twice: Unreachable 200 (pending?): no response: connection reset by peer",
			func(_ *testing.T, n *network, c *Client) {
				n.answers = []answer{{raw: published.raw[:60], then: hangUp}}
				c.Dial = func(context.Context, string, string) (net.Conn, error) {
					conn, err := n.connect()
					return resetting{conn}, err
				}
			}},
		{"half of a gzip", "twice: Truncated 200 (pending?): the response was cut off after 0 bytes",
			with(zipped[:10], gz)},
		{"1 MiB", "<nil>", with(mebibyte, "X: y")},
		{"more after gzip", "InvalidReply 200 (pending?): unreadable: body exceeds 1048576 bytes",
			with(zip(mebibyte+" "), gz)},
	}
	for _, test := range tests {
		t.Run(test.name, story{want: test.want, setup: test.setup}.tell)
	}
}

// resetting is a connection that ends with a reset.
type resetting struct{ net.Conn }

func (c resetting) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err != nil {
		err = &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ECONNRESET)}
	}
	return n, err
}

func zip(text string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = io.WriteString(z, text)
	z.Close()
	return b.String()
}
