package diga

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"syscall"
	"testing"
	"time"
)

// Every status, with another body and with one of the API's own: the cause, the effect, whether there is a retry, and
// whether the answer to a read is final.
func TestEveryStatus(t *testing.T) {
	var refused [2]Effect
	unclear, failed := [2]Effect{MaybePending, MaybePending}, [2]Effect{MaybePending, MaybeApplied}
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
					retried, isStatus := len(n.heard) == 2, 200 <= status && status <= 599
					if e == nil || e.Cause != row.cause[own] || e.Effect != row.effect[own] ||
						e.IsFinal() != row.final || retried != e.Cause.Retried || (e.Status == status) != isStatus {
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

// What happens below HTTP, as far as the step's own tests do not see it: there, the first read fails.
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
	proxy := func(s setup) setup { // the URL's password must not appear in any error
		return func(t *testing.T, n *network, c *Client) {
			s(t, n, c)
			c.BaseURL.Scheme = "https"
			c.connection().Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: "proxy.test:3128",
				User: url.UserPassword("user", "hunter2")})
		}
	}
	for _, test := range []struct {
		name, want string
		setup      setup
	}{
		{"no such host", "UnknownHost: the host api.test does not exist", dial(&net.DNSError{IsNotFound: true})},
		{"DNS in trouble", "twice: Unreachable: no response: DNS lookup: server misbehaving",
			dial(&net.DNSError{Err: "server misbehaving", IsTemporary: true})},
		{"DNS is late", "twice: TimedOut: no connection within 10 s", dial(&net.DNSError{IsTimeout: true})},
		{"connecting hangs", "2 in 20.5s: TimedOut: no connection within 10 s; gave up",
			func(_ *testing.T, _ *network, c *Client) {
				c.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
					<-ctx.Done()
					return nil, ctx.Err()
				}
			}},
		{"proxy refused", "twice: ProxyFailed: could not connect to the proxy proxy: connection refused",
			proxy(dial(syscall.ECONNREFUSED))},
		{"proxy 503", "twice: ProxyFailed: the proxy proxy returned 503 Service Unavailable",
			proxy(sends(response(503, "").raw))},
		{"proxy 408", "twice: ProxyFailed: the proxy proxy returned 408 Request Timeout",
			proxy(sends(response(408, "").raw))},
		{"proxy 501", "ProxyRefused: the proxy proxy returned 501 Not Implemented", proxy(sends(response(501, "").raw))},
		{"proxy not HTTP", `InvalidReply: unreadable: malformed HTTP response "SSH-2.0"`,
			proxy(sends("SSH-2.0\r\n\r\n"))},
		{"http_proxy in quotes", "ProxyRefused: HTTP_PROXY is not a URL",
			func(t *testing.T, _ *network, _ *Client) { t.Setenv("http_proxy", "'proxy.test'") }},
		{"http_proxy in double quotes", "ProxyRefused: HTTP_PROXY is not a URL",
			func(t *testing.T, _ *network, _ *Client) { t.Setenv("http_proxy", `"proxy"`) }},
		{"mTLS, TLS 1.3", "TLSFailed: tls: certificate required",
			func(_ *testing.T, n *network, c *Client) {
				c.BaseURL.Scheme, n.secure = "https", serving()
				n.secure.ClientAuth = tls.RequireAnyClientCert
			}},
		{"a lost hello", "twice: Unreachable: no response: the connection was closed",
			func(_ *testing.T, n *network, c *Client) {
				c.BaseURL.Scheme = "https"
				n.serve = func(_ int, conn net.Conn) { _, _ = conn.Read(make([]byte, 1)); conn.Close() }
			}},
		{"half of the headers", "twice: Unreachable (pending?): no response: the connection was closed",
			sends("HTTP/1.1 200 OK\r\nX: y\r\n")},
	} {
		t.Run(test.name, func(t *testing.T) { story{want: test.want, setup: test.setup}.tell(t) })
	}
}
