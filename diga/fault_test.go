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
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Every status, with a body of the API's own and with another. Statuses are sent, the request is retried as the table
// Faults says, and the error has the cause that this table says.
func TestCauseOfEveryStatus(t *testing.T) {
	type span struct {
		from, to int
		own      Cause // with the API's own body
		other    Cause
	}
	spans := []span{
		{100, 100, TimedOut, TimedOut}, // is no final response
		{101, 101, InvalidReply, InvalidReply},
		{200, 299, InvalidReply, InvalidReply}, {300, 399, Redirected, Redirected},
		{408, 408, ServerFault, ServerFault}, {429, 429, Limited, Limited},
		{400, 400, BadRequest, NotTheAPI}, {401, 401, Unauthorized, NotTheAPI}, {403, 403, Forbidden, NotTheAPI},
		{404, 404, NotFound, NotTheAPI}, {422, 422, Unprocessable, NotTheAPI}, {400, 499, Refused, NotTheAPI},
		{500, 500, ServerFault, ServerFault}, {502, 504, ServerFault, ServerFault}, {520, 524, ServerFault, ServerFault},
		{500, 599, ServerError, ServerError}, {600, 999, InvalidReply, InvalidReply},
	}
	retried := map[Cause]bool{
		TimedOut: true, Unreachable: true, ProxyFailed: true, Truncated: true, Limited: true, ServerFault: true,
	}
	for cause := range Faults {
		if Faults[cause].Retried != retried[Cause(cause)] {
			t.Errorf("cause %d: retried: %t", cause, Faults[cause].Retried)
		}
	}
	seen := map[int]bool{}
	for _, span := range spans {
		for status := span.from; status <= span.to; status++ {
			if seen[status] {
				continue
			}
			seen[status] = true
			for want, a := range map[string]answer{"own": apiError(status, "CODE"), "other": response(status, "<p>because")} {
				cause := span.own
				if want == "other" {
					cause = span.other
				}
				n := &network{answers: []answer{a}}
				n.play(t, func(t *testing.T, c *Client) {
					c.MaxRetries = 1
					limit := time.Second // the second retry of a 429 would come later
					if status == 429 {
						limit = 2 * time.Second
					}
					ctx, cancel := context.WithTimeout(t.Context(), limit)
					defer cancel()
					_, err := c.Publish(ctx, promotion)
					e, attempts := failed(t, err), 1
					if retried[cause] && status != 100 {
						attempts = 2
					}
					if e.Cause != cause || len(n.heard()) != attempts {
						t.Errorf("%d, %s: cause %d after %d attempts, want %d after %d",
							status, want, e.Cause, len(n.heard()), cause, attempts)
					}
					if inRange := 200 <= status && status <= 599; inRange != (e.Status == status) {
						t.Errorf("%d, %s: status %d in the error", status, want, e.Status)
					}
				})
			}
		}
	}
}

func TestIsFinal(t *testing.T) {
	for want, list := range map[bool][]Error{
		true: {{Cause: BadRequest}, {Cause: Forbidden}, {Cause: NotFound}, {Cause: Unprocessable}, {Cause: Refused},
			{Cause: Redirected},
			{Cause: Mismatch}, {Cause: NotTheAPI, Status: 404}, {Cause: InvalidReply, Status: 200},
			{Cause: ServerError, Status: 501}},
		false: {{Cause: Unauthorized, Status: 401}, {Cause: NotTheAPI, Status: 401}, {Cause: Limited, Status: 429},
			{Cause: ServerFault, Status: 503},
			{Cause: TimedOut}, {Cause: Unreachable}, {Cause: InvalidReply}, {Cause: Truncated, Status: 200},
			{Cause: ServerError, Status: 505}},
	} {
		for _, e := range list {
			if e.IsFinal() != want {
				t.Errorf("%+v: final: %t", e, e.IsFinal())
			}
		}
	}
}

// Whatever happens below HTTP: MaxRetries is 1, and again says whether there was a retry.
func TestNetworkFaults(t *testing.T) {
	type setup func(t *testing.T, n *network, c *Client)
	dial := func(err error) setup {
		return func(_ *testing.T, n *network, _ *Client) {
			n.dial = func(int) error { return &net.OpError{Op: "dial", Net: "tcp", Err: err} }
		}
	}
	sends := func(raw string) setup {
		return func(_ *testing.T, n *network, _ *Client) { n.answers = []answer{{raw: raw, then: hangUp}} }
	}
	secure := func(change func(*tls.Config)) setup {
		return func(_ *testing.T, n *network, c *Client) {
			c.BaseURL.Scheme, n.secure = "https", ca.serving(nil)
			change(n.secure)
		}
	}
	certificate := func(change func(*x509.Certificate)) setup {
		return func(_ *testing.T, n *network, c *Client) { c.BaseURL.Scheme, n.secure = "https", ca.serving(change) }
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
	proxy := func(scheme string, s setup) setup { // the URL's password must not appear in any error
		return func(t *testing.T, n *network, c *Client) {
			s(t, n, c)
			c.BaseURL.Scheme = scheme
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
	caFile := func(content string) setup { // the server has another CA's certificate
		return func(t *testing.T, n *network, c *Client) {
			c.BaseURL.Scheme, n.secure = "https", newAuthority("theirs").serving(nil)
			file := filepath.Join(t.TempDir(), "ca.pem")
			t.Setenv("SSL_CERT_FILE", file)
			if content != "" && os.WriteFile(file, []byte(content), 0o600) != nil {
				t.Fatal("cannot write")
			}
		}
	}
	const unreached, cannot, noTLS = "no response from api.test: ", "could not read the response: ",
		"TLS with api.test failed: "
	const ok, gz, half = "HTTP/1.1 200 OK\r\n", "Content-Encoding: gzip", ": the connection closed early"
	const viaProxy, unknown = "could not connect to the proxy proxy.test:3128: ",
		"x509: certificate signed by unknown authority"
	zipped := zip(publishedBody)
	cut := published.raw[:len(published.raw)-1]
	root := os.Getenv("SSL_CERT_DIR") + "/ca.pem"
	pem, err := os.ReadFile(root)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name  string
		setup setup
		cause Cause
		text  string // empty: success
		again bool
		sent  Effect // of the change
	}{
		// Connecting.
		{"no such host", dial(&net.DNSError{Err: "no such host", Name: "api.test", IsNotFound: true}), UnknownHost,
			"the host api.test does not exist", false, 0},
		{"DNS in trouble", dial(&net.DNSError{Err: "server misbehaving", IsTemporary: true}), Unreachable,
			unreached + "DNS lookup: server misbehaving", true, 0},
		{"DNS is late", dial(&net.DNSError{Err: "i/o timeout", IsTimeout: true}), TimedOut,
			"no connection to api.test within 10 s", true, 0},
		{"refused", dial(os.NewSyscallError("connect", syscall.ECONNREFUSED)), Unreachable, unreached + "connection refused",
			true, 0},
		{"no route", dial(os.NewSyscallError("connect", syscall.ENETUNREACH)), Unreachable,
			unreached + "network is unreachable", true, 0},
		{"connecting hangs", func(_ *testing.T, _ *network, c *Client) {
			c.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) { <-ctx.Done(); return nil, ctx.Err() }
		}, TimedOut, "no connection to api.test within 10 s", true, 0},

		// Proxies.
		{"proxy refused", proxy("https", dial(syscall.ECONNREFUSED)), ProxyFailed, viaProxy + "connection refused", true, 0},
		{"proxy refused, http", proxy("http", dial(syscall.ECONNREFUSED)), ProxyFailed, viaProxy + "connection refused",
			true, 0},
		{"proxy unknown", proxy("https", dial(&net.DNSError{Err: "no such host", IsNotFound: true})), ProxyFailed,
			viaProxy + "DNS lookup: no such host", true, 0},
		{"proxy 407", proxy("https", sends(response(407, "").raw)), ProxyRefused,
			"the proxy proxy.test:3128 returned 407 Proxy Authentication Required", false, 0},
		{"proxy 407, http", proxy("http", sends(response(407, "").raw)), ProxyRefused,
			"the proxy proxy.test:3128 returned 407 Proxy Authentication Required", false, 0},
		{"proxy 403", proxy("https", sends(response(403, "").raw)), ProxyRefused,
			"the proxy proxy.test:3128 returned 403 Forbidden", false, 0},
		{"proxy 503", proxy("https", sends(response(503, "").raw)), ProxyFailed,
			"the proxy proxy.test:3128 returned 503 Service Unavailable", true, 0},
		{"proxy 503, http", proxy("http", sends(response(503, "").raw)), ServerFault,
			"the API returned 503 Service Unavailable", true, MaybePending},
		{"proxy lost", proxy("https", sends("")), Unreachable, "no response from api.test" + half, true, 0},
		{"proxy not HTTP", proxy("https", sends("SSH-2.0\r\n\r\n")), InvalidReply,
			cannot + `malformed HTTP response "SSH-2.0"`, false, 0},
		{"HTTPS_PROXY in quotes", env("HTTPS_PROXY", `"http://proxy.test"`), ProxyRefused,
			"cannot use the proxy: HTTPS_PROXY is not a URL", false, 0},
		{"http_proxy with blanks", env("http_proxy", "my proxy"), ProxyRefused,
			"cannot use the proxy: HTTP_PROXY is not a URL", false, 0},
		{"HTTPS_PROXY without a host", env("HTTPS_PROXY", "http://:3128"), ProxyRefused,
			"cannot use the proxy: HTTPS_PROXY is not a URL", false, 0},
		{"HTTPS_PROXY with a password's #", env("HTTPS_PROXY", "http://a:b#c@proxy.test"), ProxyRefused,
			"cannot use the proxy: HTTPS_PROXY is not a URL", false, 0},

		// TLS.
		{"unknown authority", func(t *testing.T, n *network, c *Client) {
			c.BaseURL.Scheme, n.secure = "https", newAuthority("theirs").serving(nil)
		},
			TLSFailed, noTLS + unknown, false, 0},
		{"SSL_CERT_FILE is missing", caFile(""), TLSFailed,
			noTLS + "SSL_CERT_FILE cannot be read: no such file or directory", false, 0},
		{"SSL_CERT_FILE is DER", caFile(string(ca.certificate.Raw)), TLSFailed,
			noTLS + "the file in SSL_CERT_FILE holds no PEM certificate", false, 0},
		{"SSL_CERT_FILE is broken", caFile("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), TLSFailed,
			noTLS + "the file in SSL_CERT_FILE holds no PEM certificate", false, 0},
		{"SSL_CERT_FILE is another's", caFile(string(pem)), TLSFailed, noTLS + unknown +
			"; SSL_CERT_FILE has another authority's certificate", false, 0},
		{"expired", certificate(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }), TLSFailed,
			noTLS + "x509: certificate has expired or is not yet valid: current time 2000-01-01T00:00:00Z is after 1999-12-31T23:59:00Z", false, 0},
		{"another host", certificate(func(c *x509.Certificate) { c.DNSNames = []string{"other.test"} }), TLSFailed,
			noTLS + "x509: certificate is valid for other.test, not api.test", false, 0},
		{"a client's certificate", certificate(func(c *x509.Certificate) { c.ExtKeyUsage[0] = x509.ExtKeyUsageClientAuth }),
			TLSFailed,
			noTLS + "x509: certificate specifies an incompatible key usage", false, 0},
		{"TLS 1.1", secure(func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }),
			TLSFailed, noTLS + "tls: protocol version not supported", false, 0},
		{"mTLS, TLS 1.2", secure(func(c *tls.Config) {
			c.MaxVersion, c.ClientAuth = tls.VersionTLS12,
				tls.RequireAnyClientCert
		}), TLSFailed, noTLS + "tls: handshake failure", false, 0},
		{"mTLS, TLS 1.3", secure(func(c *tls.Config) { c.ClientAuth = tls.RequireAnyClientCert }), TLSFailed,
			noTLS + "tls: certificate required", false, 0},
		{"plain HTTP", hello("HTTP/1.1 400 Bad Request\r\n\r\n"), TLSFailed,
			noTLS + "the server does not speak TLS on this port", false, 0},
		{"SSH", hello("SSH-2.0-OpenSSH_9.9\r\n"), TLSFailed, noTLS + "the server does not speak TLS on this port", false, 0},
		{"a lost hello", hello(""), Unreachable, unreached + "the connection was closed", true, 0},

		// HTTP.
		{"nothing", sends(""), Unreachable, unreached + "the connection was closed", true, MaybePending},
		{"half of the headers", sends(ok + "X: y\r\n"), Unreachable, unreached + "the connection closed early", true,
			MaybePending},
		{"half of the status", sends("HTTP/1.1 4"), InvalidReply, cannot + `malformed HTTP status code "4"`, false,
			MaybePending},
		{"not HTTP", sends("SSH-2.0\r\n\r\n"), InvalidReply, cannot + `malformed HTTP response "SSH-2.0"`, false,
			MaybePending},
		{"two lengths", sends(ok + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"), InvalidReply,
			cannot + `http: message cannot contain multiple Content-Length headers; got ["1" "2"]`, false, MaybePending},
		{"too many headers", sends(ok + "X: " + strings.Repeat("x", maxHeaderBytes+8192)), InvalidReply,
			cannot + "net/http: server response headers exceeded 65536 bytes; aborted", false, MaybePending},
		{"a status without a meaning", sends("HTTP/1.1 999 ::error::\r\n\r\n"), InvalidReply,
			cannot + `malformed HTTP: status "999 ::error::"`, false, MaybePending},
		{"a body cut off", sends(cut), Truncated, fmt.Sprintf("the response was cut off after %d bytes",
			len(publishedBody)-1), true, MaybePending},
		{"an error cut off", sends(response(502, "12345").raw[:44]), ServerFault, "the API returned 502 Bad Gateway", true,
			MaybePending},
		{"a broken chunk", sends(ok + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\nzz\r\n"), Truncated,
			"the response was cut off after 2 bytes", true, MaybePending},
		{"no length", sends(ok + "\r\n" + publishedBody), 0, "", false, 0},
		{"gzip", sends(response(200, zipped, gz).raw), 0, "", false, 0},
		{"brotli", sends(response(200, publishedBody, "Content-Encoding: br").raw), InvalidReply,
			cannot + `malformed HTTP: unexpected Content-Encoding "br"`, false, MaybePending},
		{"gzip that is none", sends(response(200, publishedBody, gz).raw), InvalidReply, cannot + "gzip: invalid header",
			false, MaybePending},
		{"gzip with a wrong sum", sends(response(200, zipped[:len(zipped)-8]+"12345678", gz).raw), InvalidReply,
			cannot + "gzip: invalid checksum", false, MaybePending},
		{"gzip that is corrupt", sends(response(200, zipped[:10]+"\xff\xff\xff\xff"+zipped[14:], gz).raw), InvalidReply,
			cannot + "flate: corrupt input before offset 1", false, MaybePending},
		{"half of a gzip", sends(response(200, zipped[:10], gz).raw), Truncated, "the response was cut off after 0 bytes",
			true, MaybePending},
		{"1 MiB", sends(response(200, publishedBody+strings.Repeat(" ", 1<<20-len(publishedBody))).raw), 0, "", false, 0},
		{"more", sends(response(200, publishedBody+strings.Repeat(" ", 8<<20)).raw), InvalidReply,
			cannot + "body exceeds 1048576 bytes", false, MaybePending},
		{"more after gzip", sends(response(200, zip(strings.Repeat(" ", 9<<20)), gz).raw), InvalidReply,
			cannot + "body exceeds 1048576 bytes", false, MaybePending},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			n := &network{answers: []answer{published}}
			n.play(t, func(t *testing.T, c *Client) {
				c.MaxRetries = 1
				attempts := 0
				c.OnAttempt = func(a Attempt) {
					if attempts++; strings.Contains(fmt.Sprint(a.Err), "hunter2") {
						t.Errorf("the log shows the password: %v", a.Err)
					}
				}
				test.setup(t, n, c)
				_, err := c.Publish(t.Context(), promotion)
				if test.text == "" {
					if err != nil || attempts != 1 {
						t.Errorf("%d attempts: %v", attempts, err)
					}
					return
				}
				e := failed(t, err)
				if e.Cause != test.cause || e.Error() != test.text || (attempts == 2) != test.again || e.Effect != test.sent {
					t.Errorf("cause %d, effect %d after %d attempts: %s\nwant %d, %d, retried: %t: %s",
						e.Cause, e.Effect, attempts, e, test.cause, test.sent, test.again, test.text)
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

// net/http refuses to use HTTP_PROXY in what looks like a CGI program.
func TestOtherProxyErrors(t *testing.T) {
	a := attempt{host: "api.test", err: &proxyError{reason: "no CGI"}}
	if e := a.toError(); e.Cause != ProxyRefused || e.Error() != "cannot use the proxy: no CGI" {
		t.Errorf("%+v", e)
	}
}

// The effect of one attempt at a change.
func TestEffectOfAnAttempt(t *testing.T) {
	own := []byte(`{"status":"error","error_code":"INTERNAL_SERVER_ERROR","message":"Error: Internal Server Error"}`)
	body := func(s string) attempt { return attempt{wire: wire{sent: true}, status: 500, body: []byte(s)} }
	sent := func(status int, body []byte, err error) attempt {
		return attempt{wire: wire{sent: true}, status: status, body: body, err: err}
	}
	alert := func(number tls.AlertError) attempt {
		return sent(0, nil, &net.OpError{Op: "remote error", Err: number})
	}
	for want, list := range map[Effect][]attempt{
		NoEffect: {
			{err: io.EOF}, {err: context.DeadlineExceeded, timedOut: true}, {err: context.Canceled, cancelled: errSignal},
			sent(404, own, nil), sent(404, nil, io.ErrUnexpectedEOF), alert(42), alert(48), alert(116),
		},
		MaybeApplied: {
			sent(500, own, nil), sent(408, own, nil), body(`{"detail":{"error_code":"A","message":"b"}}`),
		},
		MaybePending: {
			sent(0, nil, io.EOF), sent(0, nil, syscall.ECONNRESET), sent(0, nil, context.Canceled),
			sent(0, nil, errors.New("what?")),
			sent(200, nil, io.ErrUnexpectedEOF), sent(502, nil, io.ErrUnexpectedEOF), sent(500, own, io.ErrUnexpectedEOF),
			sent(201, own, nil), sent(0, nil, &net.OpError{Op: "local error", Err: tls.AlertError(42)}), alert(10), alert(80),
			alert(90),
			body(`{"error_code":"A"}`), body(`{"message":"Internal server error"}`), body(`{"error_code":null,"message":"a"}`),
			body(`{"error_code":"A","message":null}`), body(`{"error_code":"A B","message":"a"}`),
			body(`{"error_code":"A","detail":{"message":"a"}}`),
		},
	} {
		for i, a := range list {
			if got := a.effect(); got != want {
				t.Errorf("%d of %d: %d", i, want, got)
			}
		}
	}
	for status := 200; status < 600; status++ {
		want := MaybePending
		if 300 <= status && status < 500 && status != 408 {
			want = NoEffect
		}
		for _, text := range [][]byte{nil, own} {
			if status >= 400 && want == MaybePending && text != nil {
				want = MaybeApplied
			}
			if a := sent(status, text, nil); a.effect() != want {
				t.Errorf("%d %s: %d", status, text, a.effect())
			}
		}
	}
}

// The largest effect of all attempts counts. A read never has one.
func TestEffectOfACall(t *testing.T) {
	notFound, gateway, own := apiError(404, "AGENT_NOT_FOUND"), response(502, ""), apiError(500, "BROKEN")
	cut := answer{raw: published.raw[:len(published.raw)-10], then: hangUp}
	other := response(200, strings.ReplaceAll(publishedBody, versionID.String(), agentID.String()))
	refusedAt := func(number int) func(int) error {
		return func(attempt int) error {
			if attempt == number {
				return &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
			}
			return nil
		}
	}
	for _, test := range []struct {
		name    string
		dial    func(int) error
		answers []answer
		effect  Effect
		status  int // 0: none came
	}{
		{"refused, then lost", refusedAt(1), []answer{lost}, MaybePending, 0},
		{"lost, then refused", refusedAt(2), []answer{lost, notFound}, MaybePending, 404},
		{"404", nil, []answer{notFound}, NoEffect, 404},
		{"302", nil, []answer{response(302, "", "Location: http://api.test/v1/agent")}, NoEffect, 302},
		{"a gateway's 502", nil, []answer{gateway}, MaybePending, 502},
		{"the API's own 500", nil, []answer{own}, MaybeApplied, 500},
		{"the API's own 500, then its 404", nil, []answer{own, notFound}, MaybeApplied, 404},
		{"the API's own 500, then a gateway's", nil, []answer{own, gateway}, MaybePending, 502},
		{"429, then the API's own 408", nil, []answer{response(429, ""), apiError(408, "SLOW")}, MaybeApplied, 408},
		{"silence, then 404", nil, []answer{hang, notFound}, MaybePending, 404},
		{"502, then 404", nil, []answer{gateway, notFound}, MaybePending, 404},
		{"truncated, then 400", nil, []answer{cut, response(400, "")}, MaybePending, 400},
		{"no publication", nil, []answer{response(200, "{}")}, MaybePending, 200},
		{"another version", nil, []answer{other}, MaybePending, 200},
	} {
		for _, read := range []bool{false, true} {
			n := &network{dial: test.dial, answers: test.answers}
			n.play(t, func(t *testing.T, c *Client) {
				want := test.effect
				_, err := Change{}, error(nil)
				if read {
					want = NoEffect
					_, err = c.Version(t.Context(), agentID, versionID)
				} else {
					_, err = c.Publish(t.Context(), promotion)
				}
				if e := failed(t, err); e.Effect != want || e.Status != test.status {
					t.Errorf("%s: read: %t, effect %d, status %d: %v", test.name, read, e.Effect, e.Status, e)
				}
			})
		}
	}
	for _, before := range []answer{lost, hang, gateway, cut} {
		n := &network{answers: []answer{before, before, published}}
		n.play(t, func(t *testing.T, c *Client) {
			if got, err := c.Publish(t.Context(), promotion); err != nil || got != promotion || len(n.heard()) != 3 {
				t.Errorf("after %.20q: %+v: %v", before.raw, got, err)
			}
		})
	}
}
