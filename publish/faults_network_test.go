package publish_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"os"
	"syscall"
	"testing"
	"time"

	"publish-agent-version/internal/sandbox"
)

// TestFaultsNetwork has the rows N of docs/faults.md. What ails every connection ends with the first read: nothing is
// sent.
func TestFaultsNetwork(t *testing.T) {
	t.Parallel()
	failing := func(err error) scenario {
		return scenario{dialError: func(context.Context, int) error { return err }}
	}
	t.Run("N1", func(t *testing.T) {
		failing(&net.DNSError{Err: "no such host", Name: "diga", IsNotFound: true}).check(t, &fakeAPI{},
			notSent("ACTION_NETWORK_ERROR", "The host diga does not exist", "Check api-url"))
	})
	t.Run("N2", func(t *testing.T) {
		failing(&net.DNSError{Err: "server misbehaving", Name: "diga", IsTemporary: true}).check(t, &fakeAPI{},
			notSent("ACTION_NETWORK_ERROR", "DNS lookup: server misbehaving", "gave up after 5 attempts"))
		failing(&net.DNSError{Err: "i/o timeout", Name: "diga", IsTimeout: true}).check(t, &fakeAPI{},
			notSent("ACTION_TIMEOUT", "No connection to diga within 10 s"))
	})
	t.Run("N3", func(t *testing.T) {
		for _, errno := range []syscall.Errno{syscall.ECONNREFUSED, syscall.EHOSTUNREACH, syscall.ENETUNREACH} {
			failing(connectError(errno)).check(t, &fakeAPI{},
				notSent("ACTION_NETWORK_ERROR", "No response from diga: "+errno.Error(), "gave up after 5 attempts"))
		}
	})
	t.Run("N4", func(t *testing.T) {
		refused := scenario{dialError: func(_ context.Context, n int) error {
			if n <= 2 {
				return connectError(syscall.ECONNREFUSED)
			}
			return nil
		}}
		refused.check(t, &fakeAPI{}, asUsual)
	})
	t.Run("N5", func(t *testing.T) {
		dropped := with("timeout", "25s")
		dropped.dialError = func(ctx context.Context, _ int) error { <-ctx.Done(); return ctx.Err() }
		dropped.check(t, &fakeAPI{}, notSent("ACTION_TIMEOUT", "No connection to diga within").within(20*time.Second,
			30*time.Second))
	})
	t.Run("N6", func(t *testing.T) {
		reset := &fakeAPI{onConnect: func(_ int, conn net.Conn) net.Conn { resetConnection(conn); return nil }}
		res := with("api-url", "https://"+startServer(t, reset), "max-retries", "0").run(t)
		res.check(t, notSent("ACTION_NETWORK_ERROR", "o response from 127.0.0.1"))
	})
	lost := func(name string, r response, code, says string) {
		t.Run(name, func(t *testing.T) {
			replying(r).check(t, with("max-retries", "1"), unknownOutcome(code, 2, says, isSafe))
		})
	}
	lost("N7/closed", response{then: closeConn}, "ACTION_NETWORK_ERROR", "the connection was closed")
	lost("N7/reset", response{then: resetConn}, "ACTION_NETWORK_ERROR", "connection reset by peer")
	lost("N8", response{then: hang}, "ACTION_TIMEOUT", "No response from diga within 30 s")
	lost("N9", response{raw: confirmation.raw, byteDelay: time.Second}, "ACTION_TIMEOUT",
		"o response from diga within 30 s")
	lost("N10", response{raw: "HTTP/1.1 200 OK\r\n\r\n" + confirmationBody, then: hang}, "ACTION_TIMEOUT",
		"Incomplete response from diga within 30 s")
	t.Run("N11", func(t *testing.T) {
		replying(response{raw: "HTTP/1.1 404 Not Found\r\n\r\n<h1>", then: hang}).check(t, scenario{},
			expected{code: "HTTP_404", attempts: 1, httpStatus: "404", says: []string{nothingChanged},
				minTime: 5 * time.Second, maxTime: 5 * time.Second})
	})
	t.Run("N12", func(t *testing.T) {
		slow := response{raw: confirmation.raw, byteDelay: 50 * time.Millisecond}
		replying(slow).check(t, scenario{}, expected{attempts: 1, minTime: time.Second, maxTime: 30 * time.Second})
	})
	t.Run("N13", func(t *testing.T) { // diga's own tests have lost streams, GOAWAY and HTTP_1_1_REQUIRED
		_, server := newSandbox(t)
		server.TLSConfig = trustedConfig()
		res := with("api-url", "https://"+startServer(t, tlsServer{server})).run(t)
		res.check(t, asUsual)
	})
	t.Run("N14", func(t *testing.T) {
		testProxy(t, "407 Proxy Authentication Required", "returned 407 Proxy Authentication Required")
		proxy := replying(respond(407, `{"message":"user bob"}`))
		proxy.readsBefore, proxy.phones = respond(407, `{"message":"user bob"}`), respond(407, `{"message":"user bob"}`)
		res := withProxy("http://"+startServer(t, proxy), "http://diga").runBinary(t)
		res.check(t, notSent("ACTION_NETWORK_ERROR", "returned 407 Proxy Authentication Required").neverShowing("bob"))
	})
	t.Run("N15", func(t *testing.T) {
		testProxy(t, "502 Bad Gateway", "returned 502 Bad Gateway")
		for _, value := range []string{"http://%zz", `"http://proxy"`, "http://a#b"} {
			res := withProxy(value, "http://diga.example").runBinary(t)
			res.check(t, expected{code: "ACTION_INPUT_INVALID"}) // http to another machine
			res = withProxy(value, "https://diga.example").runBinary(t)
			res.check(t, notSent("ACTION_NETWORK_ERROR", "HTTPS_PROXY is not a URL"))
		}
	})
	t.Run("N16", func(t *testing.T) {
		api := &fakeAPI{}
		_, port, _ := net.SplitHostPort(startServer(t, api))
		for noProxy, direct := range map[string]int{"localhost": 4, "example.com": 0} {
			proxy := &fakeAPI{}
			before := len(api.requests(""))
			s := withProxy("http://"+startServer(t, proxy), "http://LOCALHOST:"+port)
			s.env["NO_PROXY"] = noProxy
			res := s.runBinary(t)
			res.check(t, asUsual)
			if got := len(api.requests("")) - before; got != direct || len(proxy.requests("")) != 4-direct {
				t.Errorf("NO_PROXY=%s: %d requests went directly and %d through the proxy", noProxy, got,
					len(proxy.requests("")))
			}
		}
	})
}

const proxyPassword = "password-of-the-proxy"

// withProxy is a run through a proxy.
func withProxy(proxy, apiURL string) scenario {
	s := with("api-url", apiURL, "max-retries", "0")
	s.env = map[string]string{"HTTP_PROXY": proxy, "HTTPS_PROXY": proxy}
	return s
}

// testProxy runs through a proxy that refuses the tunnel.
func testProxy(t *testing.T, status, says string) {
	proxy := &fakeAPI{onConnect: func(_ int, conn net.Conn) net.Conn {
		_, _ = conn.Read(make([]byte, 4096))
		_, _ = io.WriteString(conn, "HTTP/1.1 "+status+"\r\nContent-Length: 6\r\n\r\nsecret")
		return nil
	}}
	address := startServer(t, proxy)
	res := withProxy("http://user:"+proxyPassword+"@"+address, "https://diga.example").runBinary(t)
	res.check(t, notSent("ACTION_NETWORK_ERROR", "he proxy "+address+" "+says, "NO_PROXY").neverShowing(proxyPassword,
		"secret"))
}

// TestFaultsTLS has the rows T of docs/faults.md.
func TestFaultsTLS(t *testing.T) {
	good := trustedConfig().Certificates
	run := func(name string, config *tls.Config, says ...string) {
		t.Run(name, func(t *testing.T) {
			api := &fakeAPI{onConnect: serveTLS(config)}
			res := with("api-url", "https://"+startServer(t, api), "max-retries", "0").run(t)
			res.check(t, notSent("ACTION_TLS_ERROR", append(says, "TLS with 127.0.0.1")...))
			if n := len(api.requests("PATCH")); n > 0 {
				t.Errorf("%d requests for the change", n)
			}
		})
	}
	issue := func(change func(*x509.Certificate)) *tls.Config {
		return &tls.Config{Certificates: []tls.Certificate{newCertificate(change)}}
	}
	run("T1", &tls.Config{Certificates: []tls.Certificate{newCertificate(nil)}}, "unknown authority",
		"set SSL_CERT_FILE")
	run("T2/expired", issue(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Hour) }), "has expired",
		"the runner's clock")
	run("T2/not yet", issue(func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour) }), "not yet valid")
	run("T3", issue(func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = []string{"other.example"}, nil }),
		"127.0.0.1")
	run("T3/only a common name", issue(func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = nil, nil }),
		"doesn't contain any IP SANs")
	run("T4/an old version", &tls.Config{Certificates: good, MaxVersion: tls.VersionTLS11}, "protocol version")
	run("T4/a client certificate", &tls.Config{Certificates: good, ClientAuth: tls.RequireAnyClientCert}, "certificate")
	t.Run("T5", func(t *testing.T) {
		res := with("api-url", "https://"+startServer(t, &http.Server{Handler: sandbox.New()}), "max-retries",
			"0").run(t)
		res.check(t, notSent("ACTION_TLS_ERROR", "the server does not speak TLS on this port"))
	})
	t.Run("T6", func(t *testing.T) {
		stalls := &fakeAPI{onConnect: func(_ int, conn net.Conn) net.Conn {
			_, _ = io.Copy(io.Discard, conn)
			return nil
		}}
		with("api-url", "https://diga", "timeout", "15s").check(t, stalls,
			notSent("ACTION_TIMEOUT", "o connection to diga within"))
	})
	t.Run("T7", func(t *testing.T) {
		for file, want := range map[string]expected{
			os.Getenv("SSL_CERT_FILE"): asUsual,
			t.TempDir() + "/none.pem": notSent("ACTION_TLS_ERROR",
				"SSL_CERT_FILE cannot be read: no such file or directory"),
			newFile(t, "not PEM"): notSent("ACTION_TLS_ERROR", "the file in SSL_CERT_FILE holds no PEM certificate"),
		} {
			_, server := newSandbox(t)
			server.TLSConfig = trustedConfig()
			s := with("api-url", "https://"+startServer(t, tlsServer{server}), "max-retries", "0")
			s.env = map[string]string{"SSL_CERT_FILE": file, "SSL_CERT_DIR": t.TempDir()}
			res := s.runBinary(t)
			res.check(t, want)
		}
	})
}
