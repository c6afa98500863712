package publish_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestFaultsTLS has the rows T of docs/faults.md, with real servers, except for the one that stalls.
func TestFaultsTLS(t *testing.T) {
	serve := func(cert tls.Certificate) *tls.Config { return &tls.Config{Certificates: []tls.Certificate{cert}} }
	issue := func(change func(*x509.Certificate)) *tls.Config { return serve(trusted().issue(change)) }

	t.Run("T1", func(t *testing.T) {
		says := []string{"was issued by an untrusted CA", "SSL_CERT_FILE"}
		stranger := newAuthority("stranger")
		withRoot := stranger.issue(nil)
		withRoot.Certificate = append(withRoot.Certificate, stranger.cert.Raw)
		itself := tls.Certificate{Certificate: [][]byte{stranger.cert.Raw}, PrivateKey: stranger.key}
		testHandshakeFails(t, "another authority", serve(stranger.issue(nil)), says...)
		testHandshakeFails(t, "another authority, and its certificate", serve(withRoot), says...)
		testHandshakeFails(t, "signed by itself", serve(itself), says...)
		t.Run("no authorities at all", func(t *testing.T) {
			t.Parallel()
			api := &fakeAPI{onConnect: serveTLS(issue(nil))}
			address, none := startServer(t, api), filepath.Join(t.TempDir(), "none")
			res := scenario{
				inputs: map[string]string{"api-url": "https://" + address},
				env:    map[string]string{"SSL_CERT_FILE": none, "SSL_CERT_DIR": none},
			}.runBinary(t)
			res.check(t, notSent("ACTION_TLS_ERROR", 1, append(says, address)...))
		})
	})
	t.Run("T2", func(t *testing.T) {
		const clock = "Check the runner's clock"
		testHandshakeFails(t, "expired", issue(func(c *x509.Certificate) {
			c.NotAfter = time.Date(2020, time.May, 17, 12, 30, 0, 0, time.UTC)
		}), "is expired or not yet valid: valid from 1999-01-01 00:00 UTC to 2020-05-17 12:30 UTC", clock)
		testHandshakeFails(t, "not yet valid", issue(func(c *x509.Certificate) {
			c.NotBefore = time.Date(2098, time.May, 17, 12, 30, 0, 0, time.UTC)
		}), "is expired or not yet valid: valid from 2098-05-17 12:30 UTC to 2099-01-01 00:00 UTC", clock)
		t.Run("a slow clock", func(t *testing.T) {
			// To this process it is the year 2000.
			config := issue(func(c *x509.Certificate) { c.NotBefore = time.Date(2026, time.January, 5, 0, 0, 0, 0, time.UTC) })
			(&fakeAPI{onConnect: serveTLS(config)}).check(t, with("api-url", "https://localhost"),
				notSent("ACTION_TLS_ERROR", 1, "is expired or not yet valid: valid from 2026-01-05 00:00 UTC", clock).within(0, 1))
		})
	})
	t.Run("T3", func(t *testing.T) {
		const advice = "Check the host in api-url: the certificate must cover it"
		testHandshakeFails(t, "another name", issue(func(c *x509.Certificate) {
			c.IPAddresses, c.DNSNames = nil, []string{"api.diga.example"}
		}), "The certificate is not valid for 127.0.0.1:", advice)
		testHandshakeFails(t, "no name", issue(func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = nil, nil }),
			"The certificate is not valid for 127.0.0.1:", advice)
	})
	t.Run("T4", func(t *testing.T) {
		const advice = "Check api-url, and whether the server requires TLS older than 1.2 or a client certificate"
		old := issue(nil)
		old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
		testHandshakeFails(t, "TLS 1.1", old, "TLS handshake with 127.0.0.1:", "protocol version not supported", advice)
		for name, version := range map[string]uint16{"TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13} {
			mutual := issue(nil)
			mutual.ClientAuth, mutual.MinVersion, mutual.MaxVersion = tls.RequireAnyClientCert, version, version
			testHandshakeFails(t, "a client certificate, "+name, mutual, "TLS handshake with 127.0.0.1:", "certificate", advice)
		}
		other := issue(nil)
		other.NextProtos = []string{"smtp"}
		testHandshakeFails(t, "another protocol", other, "TLS handshake with 127.0.0.1:", "no application protocol", advice)
		testHandshakeFails(t, "another purpose", issue(func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}
		}), "TLS handshake with 127.0.0.1:", "certificate", advice)
		t.Run("not TLS", func(t *testing.T) {
			t.Parallel()
			testNotTLS(t, "SSH-2.0-OpenSSH_9.9\r\n", "TLS handshake with 127.0.0.1:", "does not look like a TLS handshake", advice)
		})
	})
	t.Run("T5", func(t *testing.T) {
		says := []string{"The server speaks plain HTTP on 127.0.0.1:", "Check the port in api-url", "http://"}
		for name, answer := range map[string]string{
			"HTTP/1.0": "HTTP/1.0 400 Bad Request\r\n\r\n",
			"HTTP/1.1": "HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<title>400 Bad Request</title>",
			"200":      "HTTP/1.1 200 OK\r\n\r\n" + confirmationBody,
		} {
			t.Run(name, func(t *testing.T) { t.Parallel(); testNotTLS(t, answer, says...) })
		}
		t.Run("a server of the standard library", func(t *testing.T) {
			t.Parallel()
			address := startServer(t, &http.Server{Handler: http.NotFoundHandler(), ErrorLog: log.New(io.Discard, "", 0)})
			res := with("api-url", "https://"+address).run(t)
			res.check(t, notSent("ACTION_TLS_ERROR", 1, says...))
		})
	})
	t.Run("T6", func(t *testing.T) {
		// 5 s for the first read, then three attempts and what the timeout leaves of the fourth.
		stall := &fakeAPI{onConnect: func(_ int, conn net.Conn) net.Conn { _, _ = io.Copy(io.Discard, conn); return nil }}
		w := notSent("ACTION_TIMEOUT", 4, "No connection to localhost; gave up after 2m0s").within(2*time.Minute, 2*time.Minute)
		stall.check(t, with("api-url", "https://localhost"), w)

		stall = &fakeAPI{onConnect: stall.onConnect}
		w = notSent("ACTION_TIMEOUT", 1, "No connection to localhost within 30 s", "gave up after 1 attempt").within(35*time.Second, 35*time.Second)
		stall.check(t, with("api-url", "https://localhost", "max-retries", "0"), w)
	})
	t.Run("T7", func(t *testing.T) {
		private := newAuthority("private")
		for name, test := range map[string]struct{ file, code string }{
			"named":     {private.write(t.TempDir()), ""},
			"not named": {os.Getenv("SSL_CERT_FILE"), "ACTION_TLS_ERROR"},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				api := &fakeAPI{onConnect: serveTLS(serve(private.issue(nil)))}
				res := scenario{
					inputs: map[string]string{"api-url": "https://" + startServer(t, api)},
					env:    map[string]string{"SSL_CERT_FILE": test.file},
				}.runBinary(t)
				res.check(t, expected{code: test.code, attempts: 1})
				if got, want := len(api.requests("")), map[string]int{"": 5}[test.code]; got != want {
					t.Errorf("%d requests, want %d", got, want)
				}
			})
		}
	})
}

// testHandshakeFails runs the step against a server whose TLS ends in an error that is not worth another attempt.
func testHandshakeFails(t *testing.T, name string, config *tls.Config, says ...string) {
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		api := &fakeAPI{onConnect: func(_ int, conn net.Conn) net.Conn {
			secure := tls.Server(conn, config)
			if secure.Handshake() == nil {
				return secure
			}
			_, _ = io.Copy(io.Discard, conn) // closed at once, the connection could be lost before the alert is read
			return nil
		}}
		res := with("api-url", "https://"+startServer(t, api)).run(t)
		res.check(t, notSent("ACTION_TLS_ERROR", 1, says...))
		if n := len(api.requests("")); n != 0 {
			t.Errorf("%d requests", n)
		}
	})
}

// testNotTLS runs the step against a server that answers a TLS handshake with something else.
func testNotTLS(t *testing.T, answer string, says ...string) {
	api := &fakeAPI{onConnect: func(_ int, conn net.Conn) net.Conn {
		_, _ = conn.Read(make([]byte, 4096))
		_, _ = io.WriteString(conn, answer)
		_, _ = io.Copy(io.Discard, conn)
		return nil
	}}
	res := with("api-url", "https://"+startServer(t, api)).run(t)
	w := notSent("ACTION_TLS_ERROR", 1, says...)
	if !strings.HasPrefix(answer, "SSH") {
		w.neverShown = append(w.neverShown, "Bad Request")
	}
	res.check(t, w)
}
