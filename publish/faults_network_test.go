package publish_test

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"publish-agent-version/internal/sandbox"

	"github.com/Shopify/toxiproxy/v2/toxics"
)

// TestFaultsNetwork has the rows N of docs/faults.md. Waits run in virtual time, sockets are real.
func TestFaultsNetwork(t *testing.T) {
	t.Run("N1", testUnknownHost)
	t.Run("N2", testDNSFailure)
	t.Run("N3", testConnectionRefused)
	t.Run("N4", testConnectionRefusedTwice)
	t.Run("N5", testPacketsDropped)
	t.Run("N6", testResetBeforeRequest)
	t.Run("N7", testLostReply)
	t.Run("N8", testNoReply)
	t.Run("N9", testSlowHeaders)
	t.Run("N10", testEndlessConfirmation)
	t.Run("N11", testEndlessErrorBody)
	t.Run("N12", testBadNetwork)
	t.Run("N13", testHTTP2)
	t.Run("N14", testProxyRefuses)
	t.Run("N15", testProxyUnreachable)
	t.Run("N16", testNoProxy)
}

// The four waits between five attempts add up to this, without a Retry-After.
const (
	minBackoff = 7500 * time.Millisecond
	maxBackoff = 15 * time.Second
)

func testUnknownHost(t *testing.T) {
	t.Parallel()
	dial, asked := dnsServer(t, nameError)
	for _, address := range []string{"https://api.diga.example", "http://diga", "https://api.diga.example:8443/prefix"} {
		before := asked.Load()
		res := scenario{dial: dial, inputs: map[string]string{"api-url": address}}.run(t)
		_, host, _ := strings.Cut(address, "://")
		host, _, _ = strings.Cut(host, "/")
		res.check(t, notSent("ACTION_NETWORK_ERROR", 1, "The host "+host+" does not exist", "Check api-url"))
		if asked.Load() == before {
			t.Error("the name server was not asked")
		}
	}
}

func testDNSFailure(t *testing.T) {
	t.Parallel()
	t.Run("SERVFAIL", func(t *testing.T) {
		t.Parallel()
		dial, _ := dnsServer(t, serverFailure)
		res := scenario{dial: dial, inputs: map[string]string{"api-url": "https://api.diga.example", "max-retries": "0"}}.run(t)
		res.check(t, notSent("ACTION_NETWORK_ERROR", 1, "DNS lookup: server misbehaving", "gave up after 1 attempt", "Check api-url"))
	})
	t.Run("time-out", func(t *testing.T) {
		fail := func(context.Context, int) error {
			return &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "i/o timeout", Name: "diga", IsTimeout: true, IsTemporary: true}}
		}
		new(fakeAPI).check(t, scenario{dialError: fail},
			notSent("ACTION_NETWORK_ERROR", 5, "DNS lookup: i/o timeout", "gave up after 5 attempts").within(minBackoff, maxBackoff))
	})
	t.Run("no answer", func(t *testing.T) {
		hang := func(ctx context.Context, _ int) error {
			<-ctx.Done()
			return &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "operation was canceled", Name: "diga", IsTimeout: true}}
		}
		new(fakeAPI).check(t, scenario{dialError: hang},
			notSent("ACTION_TIMEOUT", 4, "No connection to diga; gave up after 2m0s").within(2*time.Minute, 2*time.Minute))
	})
}

func testConnectionRefused(t *testing.T) {
	t.Parallel()
	t.Run("socket", func(t *testing.T) {
		t.Parallel()
		address := closedPort(t)
		res := with("api-url", "http://"+address, "max-retries", "1").run(t)
		res.check(t, notSent("ACTION_NETWORK_ERROR", 2, "No response from "+address+": connection refused", "gave up after 2 attempts", "Check api-url", "run this step again").within(500*time.Millisecond, busyMachine))
	})
	for _, errno := range []syscall.Errno{syscall.ECONNREFUSED, syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.ETIMEDOUT} {
		new(fakeAPI).test(t, errno.Error(), scenario{dialError: func(context.Context, int) error { return connectError(errno) }},
			notSent("ACTION_NETWORK_ERROR", 5, "No response from diga: "+errno.Error(), "gave up after 5 attempts").within(minBackoff, maxBackoff))
	}
}

func testConnectionRefusedTwice(t *testing.T) {
	// The first four connections are for the reads that the step can do without.
	for _, from := range []int{1, 2} {
		api := &fakeAPI{readsBefore: response{raw: liveVersion(sandbox.LiveID, "Connection: close").raw, then: closeConn}}
		api.phones = response{raw: respond(http.StatusNotFound, "", "Connection: close").raw, then: closeConn}
		refuse := func(_ context.Context, n int) error {
			if (from == 1 || n > 4) && n <= 6 {
				return connectError(syscall.ECONNREFUSED)
			}
			return nil
		}
		res := scenario{dialError: refuse}.check(t, api, expected{attempts: 3, minTime: 1500 * time.Millisecond, maxTime: 3 * time.Second})
		if n := len(api.requests(http.MethodPatch)); n != 1 {
			t.Errorf("%d requests arrived, want 1", n)
		}
		if got, want := res.outputs["previous-version-id"], map[int]string{2: sandbox.LiveID}[from]; got != want {
			t.Errorf("previous-version-id %q, want %q", got, want)
		}
	}
}

func testPacketsDropped(t *testing.T) {
	t.Parallel()
	t.Run("virtual", func(t *testing.T) {
		hang := func(ctx context.Context, _ int) error {
			<-ctx.Done()
			_, err := new(net.Dialer).DialContext(ctx, "tcp", "127.0.0.1:1") // the error of a dial whose time was up
			return err
		}
		// 5 s for the first read, then three attempts and what the timeout leaves of the fourth.
		new(fakeAPI).check(t, scenario{dialError: hang},
			notSent("ACTION_TIMEOUT", 4, "No connection to diga; gave up after 2m0s", "Run this step again").within(2*time.Minute, 2*time.Minute))
		new(fakeAPI).check(t, scenario{dialError: hang, inputs: map[string]string{"max-retries": "0"}},
			notSent("ACTION_TIMEOUT", 1, "No connection to diga within 30 s", "gave up after 1 attempt").within(35*time.Second, 35*time.Second))
	})
	t.Run("socket", func(t *testing.T) {
		t.Parallel()
		address := fullPort(t)
		res := with("api-url", "http://"+address, "timeout", "1s").run(t)
		// A quarter of the time for the first read, the rest for the change.
		res.check(t, notSent("ACTION_TIMEOUT", 1, "No connection to "+address+"; gave up after 1s").within(time.Second, busyMachine))
	})
}

func testResetBeforeRequest(t *testing.T) {
	t.Parallel()
	(&fakeAPI{onConnect: func(_ int, conn net.Conn) net.Conn { resetConnection(conn); return nil }}).test(t, "at once", scenario{},
		notSent("ACTION_NETWORK_ERROR", 5, "No response from diga", "gave up after 5 attempts").within(minBackoff, maxBackoff))
	t.Run("at once, then not", func(t *testing.T) {
		api := &fakeAPI{onConnect: func(n int, conn net.Conn) net.Conn {
			if n <= 4+2 { // four reads, two attempts
				resetConnection(conn)
				return nil
			}
			return conn
		}}
		scenario{}.check(t, api, expected{attempts: 3})
	})
	for name, test := range map[string]struct {
		end  func(net.Conn) // in the middle of the handshake
		says string
	}{
		"in the TLS handshake":        {func(conn net.Conn) { _, _ = io.ReadFull(conn, make([]byte, 100)); resetConnection(conn) }, ": connection reset by peer"},
		"closed in the TLS handshake": {func(conn net.Conn) { _, _ = conn.Read(make([]byte, 4096)); conn.Close() }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := startServer(t, &fakeAPI{onConnect: func(_ int, conn net.Conn) net.Conn { test.end(conn); return nil }})
			res := with("api-url", "https://"+address, "max-retries", "0").run(t)
			res.check(t, notSent("ACTION_NETWORK_ERROR", 1, "No response from "+address+test.says))
		})
	}
}

func testLostReply(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]struct {
		then   connEnd
		reason string
	}{"closed": {closeConn, "the connection was closed"}, "reset": {resetConn, "connection reset by peer"}} {
		lost := response{then: end.then}
		replying(lost).test(t, name, scenario{},
			unknownOutcome("ACTION_NETWORK_ERROR", 5, "No response from diga: "+end.reason, "gave up after 5 attempts").withHTTP("none").within(minBackoff, maxBackoff))
		(&fakeAPI{replies: []response{lost}, readsAfter: liveVersion(sandbox.NextID)}).test(t, name+", but applied", scenario{}, expected{
			attempts: 5, says: []string{readBack}, neverShown: []string{stillLive},
		})
		(&fakeAPI{replies: []response{lost}, readsAfter: lost}).test(t, name+", and so is the last read", scenario{}, expected{
			code: "ACTION_NETWORK_ERROR", status: "unknown", attempts: 5, says: []string{notReadable},
		})
		replying(lost, confirmation).test(t, name+" once", scenario{},
			expected{attempts: 2, minTime: 500 * time.Millisecond, maxTime: time.Second})
		replying(lost, apiError(404, "AGENT_NOT_FOUND", "There is no such agent")).test(t, name+" once, then refused", scenario{},
			unknownOutcome("AGENT_NOT_FOUND", 2, "There is no such agent").withHTTP("404"))
		t.Run("the first read, "+name, func(t *testing.T) {
			api := &fakeAPI{readsBefore: lost}
			res := api.check(t, scenario{}, expected{attempts: 1})
			if _, set := res.outputs["previous-version-id"]; set || len(api.requests("GET")) != 4 {
				t.Errorf("previous-version-id %q after %d reads", res.outputs["previous-version-id"], len(api.requests("GET")))
			}
		})
		t.Run("socket, "+name, func(t *testing.T) {
			t.Parallel()
			replying(lost).checkTCP(t, "http", with("max-retries", "0"), unknownOutcome("ACTION_NETWORK_ERROR", 1, end.reason))
		})
		t.Run("TLS, "+name, func(t *testing.T) {
			t.Parallel()
			api := &fakeAPI{replies: []response{lost}, onConnect: serveTLS(trustedConfig())}
			api.checkTCP(t, "https", with("max-retries", "0"), unknownOutcome("ACTION_NETWORK_ERROR", 1))
		})
	}
	t.Run("between two attempts", func(t *testing.T) {
		// The next attempt opens its own connection.
		replying(response{raw: respond(503, "").raw, then: closeConn}, confirmation).check(t, scenario{},
			expected{attempts: 2, maxTime: time.Second})
	})
}

func testNoReply(t *testing.T) {
	t.Parallel()
	replying(response{then: hang}).test(t, "after the request", scenario{},
		unknownOutcome("ACTION_TIMEOUT", 4, "No response from diga; gave up after 2m0s").withHTTP("none").within(2*time.Minute, 2*time.Minute))
	replying(response{then: hang}).test(t, "after the request, one attempt", with("max-retries", "0"),
		unknownOutcome("ACTION_TIMEOUT", 1, "No response from diga within 30 s", "gave up after 1 attempt", "Run this step again").within(30*time.Second, 30*time.Second))
	(&fakeAPI{readsBefore: response{then: hang}, replies: []response{{then: hang}}, readsAfter: response{then: hang}}).test(t, "after every request", scenario{}, expected{
		code: "ACTION_TIMEOUT", status: "unknown", attempts: 4, httpStatus: "none", says: []string{notReadable},
		minTime: 2*time.Minute + 5*time.Second, maxTime: 2*time.Minute + 5*time.Second,
	})
	replying(response{then: hang}, confirmation).test(t, "once", scenario{},
		expected{attempts: 2, minTime: 30500 * time.Millisecond, maxTime: 31 * time.Second})
	t.Run("nothing is read", func(t *testing.T) {
		// What fits into the buffers has left this machine, so the outcome is unknown.
		(&fakeAPI{onConnect: func(_ int, conn net.Conn) net.Conn { _, _ = io.Copy(io.Discard, conn); return nil }}).check(t, scenario{}, expected{
			code: "ACTION_TIMEOUT", status: "unknown", attempts: 4, noRequest: true, httpStatus: "none", says: []string{notReadable},
			minTime: 2*time.Minute + 5*time.Second, maxTime: 2*time.Minute + 5*time.Second,
		})
	})
	t.Run("after an answer", func(t *testing.T) {
		// What the API said before is not lost.
		replying(apiError(503, "BUSY", "Come back later"), response{then: hang}).check(t, scenario{},
			unknownOutcome("BUSY", 5, "Come back later", "gave up after 2m0s").withHTTP("503"))
	})
	t.Run("socket", func(t *testing.T) {
		t.Parallel()
		replying(response{then: hang}).checkTCP(t, "http", with("timeout", "1s"),
			unknownOutcome("ACTION_TIMEOUT", 1, "gave up after 1s").within(time.Second, busyMachine))
	})
}

func testSlowHeaders(t *testing.T) {
	slow := respond(200, confirmationBody, "X-Padding: "+strings.Repeat("x", 200))
	slow.byteDelay = time.Second
	replying(slow).check(t, scenario{},
		unknownOutcome("ACTION_TIMEOUT", 4, "No response from diga; gave up after 2m0s").withHTTP("none").within(2*time.Minute, 2*time.Minute))

	// If it fits in one attempt, it is a success.
	slow = respond(200, confirmationBody)
	slow.byteDelay = 100 * time.Millisecond
	replying(slow).check(t, scenario{}, expected{attempts: 1, minTime: 10 * time.Second, maxTime: 30 * time.Second})
}

// endlessBlanks writes a blank a second, until the reader is gone.
func endlessBlanks(w io.Writer) {
	for {
		<-time.After(time.Second)
		if _, err := io.WriteString(w, " "); err != nil {
			return
		}
	}
}

func testEndlessConfirmation(t *testing.T) {
	for name, head := range map[string]string{
		"by length":            "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n",
		"to the end":           "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
		"after a whole object": "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + confirmationBody,
	} {
		replying(response{raw: head, stream: endlessBlanks}).test(t, name, scenario{},
			unknownOutcome("ACTION_TIMEOUT", 4, "Incomplete response from diga; gave up after 2m0s").withHTTP("200").within(2*time.Minute, 2*time.Minute))
	}
	replying(response{raw: "HTTP/1.1 200 OK\r\n\r\n", stream: endlessBlanks}, confirmation).test(t, "once", scenario{},
		expected{attempts: 2, minTime: 30500 * time.Millisecond, maxTime: 31 * time.Second})
}

func testEndlessErrorBody(t *testing.T) {
	slow := response{raw: "HTTP/1.1 500 No\r\nContent-Length: 1000000\r\n\r\n{", stream: endlessBlanks}
	replying(slow).check(t, scenario{}, expected{
		code: "HTTP_500", status: "unknown", attempts: 5, httpStatus: "500", minTime: 25*time.Second + minBackoff, maxTime: 25*time.Second + maxBackoff, verifyTime: lastLook,
		says: []string{"The API returned 500 Internal Server Error", "gave up after 5 attempts", mayBeApplied},
	})
	// The body of a status that is final is not waited for either.
	slow.raw = strings.Replace(slow.raw, "500", "404", 1)
	replying(slow).check(t, scenario{},
		expected{code: "HTTP_404", attempts: 1, httpStatus: "404", minTime: 5 * time.Second, maxTime: 5 * time.Second, says: []string{nothingChanged}})
}

func testHTTP2(t *testing.T) {
	t.Parallel()
	ok := func(c http2Conn, _ int, stream uint32) bool { c.reply(stream, confirmationBody); return true }
	first := func(more bool, do func(c http2Conn, stream uint32)) func(c http2Conn, n int, stream uint32) bool {
		return func(c http2Conn, n int, stream uint32) bool {
			if n > 1 {
				return ok(c, n, stream)
			}
			do(c, stream)
			return more
		}
	}
	sameAttempt := expected{attempts: 1, maxTime: time.Second}
	nextAttempt := expected{attempts: 2, minTime: 500 * time.Millisecond, maxTime: time.Second}
	for _, test := range []struct {
		name   string
		answer func(c http2Conn, n int, stream uint32) (more bool)
		want   expected
	}{
		{"all is well", ok, expected{attempts: 1, maxTime: 1}},
		{"GOAWAY before the stream", first(true, func(c http2Conn, stream uint32) { c.goAway(stream-2, noError) }), sameAttempt},
		{"GOAWAY before the stream, and the end of the connection", first(false, func(c http2Conn, stream uint32) { c.goAway(stream-2, noError) }), sameAttempt},
		{"GOAWAY after the stream", func(c http2Conn, n int, stream uint32) bool { c.goAway(stream, noError); return ok(c, n, stream) }, expected{attempts: 1}},
		{"GOAWAY for an error, and the end of the connection", first(false, func(c http2Conn, stream uint32) { c.goAway(stream, internalError) }), nextAttempt},
		{"RST_STREAM, refused", first(true, func(c http2Conn, stream uint32) { c.resetStream(stream, refusedStream) }), sameAttempt},
		{"RST_STREAM, internal error", first(true, func(c http2Conn, stream uint32) { c.resetStream(stream, internalError) }), nextAttempt},
		{"RST_STREAM, cancelled, after the head of a reply", first(true, func(c http2Conn, stream uint32) {
			c.frame(headersFrame, endHeaders, stream, []byte{status200})
			c.resetStream(stream, cancelled)
		}), nextAttempt},
		{"RST_STREAM, always", func(c http2Conn, _ int, stream uint32) bool { c.resetStream(stream, internalError); return true },
			unknownOutcome("ACTION_NETWORK_ERROR", 5, "No response from localhost", "gave up after 5 attempts")},
	} {
		s := &http2Server{answer: test.answer}
		with("api-url", "https://localhost").test(t, test.name, &fakeAPI{onConnect: s.onConnect}, test.want)
	}
	t.Run("a server of the standard library breaks off", func(t *testing.T) {
		t.Parallel()
		api, server := newSandbox(t, sandbox.Fault{Drop: sandbox.DropReply})
		server.TLSConfig = trustedConfig()
		address := startServer(t, tlsServer{server})
		res := scenario{inputs: map[string]string{"api-url": "https://" + address}, env: map[string]string{"RUNNER_DEBUG": "1"}}.run(t)
		res.check(t, expected{attempts: 2, minTime: 500 * time.Millisecond, maxTime: busyMachine})
		if !strings.Contains(res.stdout, "HTTP/2: true") || len(api.Requests()) != 6 {
			t.Errorf("%d requests, want 6 over HTTP/2", len(api.Requests()))
		}
	})
}

// proxyPassword must never be seen.
const proxyPassword = "hunter2-of-the-proxy"

// withProxy is a scenario with a proxy for both schemes. LOCALHOST in capitals resolves to this machine, and net/http does
// not exempt it from the proxy.
func withProxy(address, api string, more map[string]string) scenario {
	env := map[string]string{"HTTP_PROXY": address, "HTTPS_PROXY": address, "SSL_CERT_FILE": os.Getenv("SSL_CERT_FILE")}
	maps.Copy(env, more)
	return scenario{env: env, inputs: map[string]string{"api-url": api, "max-retries": "0"}}
}

func testProxyRefuses(t *testing.T) {
	t.Parallel()
	const wanted, https = "407 Proxy Authentication Required", "https://api.diga.example"
	for name, test := range map[string]struct {
		api    string
		reply  response
		status string
	}{
		"http":               {"http://diga", respond(407, "<html>Squid says no</html>", `Proxy-Authenticate: Basic realm="squid"`), wanted},
		"https":              {https, respond(407, "Squid says no", `Proxy-Authenticate: Basic realm="squid"`), wanted},
		"https, refused":     {https, respond(403, "Squid says no"), "403 Forbidden"},
		"https, status line": {https, response{raw: "HTTP/1.1 407 " + proxyPassword + "\r\n\r\n"}, wanted},
		"https, with a code": {https, apiError(407, "PROXY", "Squid says no"), wanted},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake := &fakeAPI{readsBefore: test.reply, replies: []response{test.reply}}
			proxy := startServer(t, fake)
			res := withProxy("http://diga:"+proxyPassword+"@"+proxy, test.api, nil).runBinary(t)
			res.check(t, expected{
				code: "ACTION_NETWORK_ERROR", attempts: 1, neverShown: []string{proxyPassword, "Squid"},
				says: []string{"The proxy " + proxy + " returned " + test.status, "Nothing was changed", "Check the proxy's credentials", "NO_PROXY"},
			})
			if len(fake.requests("")) != 5 { // one for each request of the step
				t.Errorf("%d requests", len(fake.requests("")))
			}
		})
	}
}

func testProxyUnreachable(t *testing.T) {
	t.Parallel()
	closed := closedPort(t)
	for name, api := range map[string]string{"http": "http://diga", "https": "https://api.diga.example"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			res := withProxy("http://diga:"+proxyPassword+"@"+closed, api, nil).runBinary(t)
			res.check(t, notSent("ACTION_NETWORK_ERROR", 1, "Could not connect to the proxy "+closed+": connection refused", "gave up after 1 attempt", "Check the proxy", "NO_PROXY").neverShowing(proxyPassword))
		})
	}
	t.Run("the proxy finds no way", func(t *testing.T) {
		t.Parallel()
		fake := &fakeAPI{readsBefore: respond(502, "")}
		proxy := startServer(t, fake)
		res := withProxy("http://"+proxy, "https://api.diga.example", nil).runBinary(t)
		res.check(t, notSent("ACTION_NETWORK_ERROR", 1, "The proxy "+proxy+" returned 502 Bad Gateway", "gave up after 1 attempt"))
	})
	t.Run("the proxy's address is none", func(t *testing.T) {
		t.Parallel()
		// net/http ignores a proxy address that is not a URL.
		api := &fakeAPI{}
		_, port, _ := net.SplitHostPort(startServer(t, api))
		res := withProxy("http://diga:"+proxyPassword+"@%zz", "http://LOCALHOST:"+port, nil).runBinary(t)
		res.check(t, expected{attempts: 1, neverShown: []string{proxyPassword}})
	})
}

func testNoProxy(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		host, noProxy string
		used          bool
	}{
		"named":                 {"LOCALHOST", "localhost", false},
		"named among others":    {"LOCALHOST", "example.com, localhost,10.0.0.0/8", false},
		"every host":            {"LOCALHOST", "*", false},
		"not named":             {"LOCALHOST", "example.com", true},
		"the loopback address":  {"127.0.0.1", "", false},
		"the name of loopback ": {"localhost", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api, proxy := &fakeAPI{}, &fakeAPI{}
			_, port, _ := net.SplitHostPort(startServer(t, api))
			res := withProxy(proxy.start(t), "http://"+test.host+":"+port, map[string]string{"NO_PROXY": test.noProxy}).runBinary(t)
			res.check(t, expected{attempts: 1})
			direct, through := len(api.requests("")), len(proxy.requests(""))
			if wantDirect := map[bool]int{false: 5, true: 0}[test.used]; direct != wantDirect || through != 5-wantDirect {
				t.Errorf("%d requests went directly and %d through the proxy", direct, through)
			}
		})
	}
	t.Run("https through a proxy", func(t *testing.T) {
		t.Parallel()
		api := &fakeAPI{onConnect: serveTLS(trustedConfig())}
		address := startServer(t, api)
		_, port, _ := net.SplitHostPort(address)
		tunnels := new(atomic.Int64)
		proxy := &fakeAPI{onConnect: func(_ int, conn net.Conn) net.Conn {
			head := make([]byte, 4096)
			if n, _ := conn.Read(head); !bytes.HasPrefix(head[:n], []byte("CONNECT LOCALHOST:"+port+" ")) {
				return nil
			}
			tunnels.Add(1)
			onward, err := net.Dial("tcp", address)
			if err != nil {
				return nil
			}
			defer onward.Close()
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
			go func() { _, _ = io.Copy(onward, conn); onward.Close() }()
			_, _ = io.Copy(conn, onward)
			return nil
		}}
		res := withProxy(proxy.start(t), "https://LOCALHOST:"+port, nil).runBinary(t)
		res.check(t, expected{attempts: 1})
		if tunnels.Load() < 1 || len(api.requests("")) != 5 {
			t.Errorf("%d tunnels, %d requests", tunnels.Load(), len(api.requests("")))
		}
	})
}

// testBadNetwork runs through the toxics of Toxiproxy.
func testBadNetwork(t *testing.T) {
	latency := func(ms int64) toxics.Toxic { return &toxics.LatencyToxic{Latency: ms} }
	bandwidth := func(kBps int64) toxics.Toxic { return &toxics.BandwidthToxic{Rate: kBps} }
	slicer := func(bytes, microseconds int) toxics.Toxic {
		return &toxics.SlicerToxic{AverageSize: bytes, Delay: microseconds}
	}
	slowClose := &toxics.SlowCloseToxic{Delay: 3_600_000}
	both := func(toxic toxics.Toxic) [2][]toxics.Toxic { return [2][]toxics.Toxic{{toxic}, {toxic}} }
	took := func(least, most time.Duration) expected { return expected{attempts: 1}.within(least, most) }
	const second = time.Second
	for name, test := range map[string]struct {
		toxics  [2][]toxics.Toxic // towards the server, and towards the step
		want    expected
		https   bool
		closes  bool // the server closes each connection after its response
		unknown bool // what was published before cannot be read in time
	}{
		"nothing is wrong":  {want: took(0, 1)},
		"latency":           {toxics: both(latency(2000)), want: took(8*second, 9*second)},
		"more latency":      {toxics: both(latency(3000)), want: took(11*second, 12*second), unknown: true},
		"latency, TLS":      {toxics: both(latency(1000)), want: took(6*second, 7*second), https: true},
		"1 kB/s":            {toxics: both(bandwidth(1)), want: took(second, 5*second)},
		"1 kB/s, TLS":       {toxics: both(bandwidth(1)), want: took(3*second, 10*second), https: true},
		"single bytes":      {toxics: both(slicer(1, 1000)), want: took(second/2, 5*second)},
		"single bytes, TLS": {toxics: both(slicer(1, 100)), want: took(second/4, 5*second), https: true},
		"a slow close":      {toxics: both(slowClose), want: took(0, 1), closes: true},
		"everything": {
			toxics: [2][]toxics.Toxic{{latency(500), bandwidth(10), slicer(10, 1000)}, {latency(500), bandwidth(10), slowClose}},
			want:   took(3*second, 30*second), https: true, closes: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			api, s := &fakeAPI{}, scenario{}
			if test.closes {
				api.readsBefore, api.replies = liveVersion(sandbox.LiveID, "Connection: close"), []response{respond(200, confirmationBody)}
				api.readsBefore.then, api.replies[0].then = closeConn, closeConn
			}
			if test.https {
				api.onConnect, s.inputs = serveTLS(trustedConfig()), map[string]string{"api-url": "https://localhost"}
			}
			res := s.check(t, &faultyProxy{server: api, up: test.toxics[0], down: test.toxics[1]}, test.want)
			api.checkRequests(t, test.want)
			// Over TLS the reads share the time for two handshakes, one after the other.
			if got, want := res.outputs["previous-version-id"], map[bool]string{false: sandbox.LiveID}[test.unknown]; got != want && !test.https {
				t.Errorf("previous-version-id %q, want %q", got, want)
			}
		})
	}
}

// TestFaultsBadNetwork has other rows of docs/faults.md as a bad network causes them.
func TestFaultsBadNetwork(t *testing.T) {
	check := func(id string, fake *fakeAPI, toxic toxics.Toxic, w expected) {
		t.Run(id, func(t *testing.T) {
			scenario{}.check(t, &faultyProxy{server: fake, down: []toxics.Toxic{toxic}}, w)
			fake.checkRequests(t, w)
		})
	}
	lost := func(says string) expected {
		return expected{code: "ACTION_NETWORK_ERROR", status: "unknown", attempts: 5, says: []string{says, notReadable}}
	}
	// Each connection is reset half a second after the first byte of its response.
	check("N7", &fakeAPI{}, &toxics.ResetToxic{Timeout: 500}, lost("connection reset by peer"))
	// Nothing gets through, and after ten seconds the connection ends.
	check("N8", &fakeAPI{}, &toxics.TimeoutToxic{Timeout: 10_000}, lost("the connection was closed").within(50*time.Second, 120*time.Second))
	// Each connection delivers 500 bytes of responses: too few for the first confirmation, enough for the second. The
	// reads close theirs, so each attempt has its own connection.
	closes := response{raw: respond(http.StatusNotFound, "", "Connection: close").raw, then: closeConn}
	check("B1", &fakeAPI{readsBefore: closes, phones: closes, replies: []response{
		respond(200, confirmationBody, "Padding: "+strings.Repeat("x", 500)), respond(200, confirmationBody),
	}}, &toxics.LimitDataToxic{Bytes: 500}, expected{attempts: 2})
	t.Run("B2", func(t *testing.T) {
		api, server := newSandbox(t)
		scenario{}.check(t, &faultyProxy{server: server, down: []toxics.Toxic{&toxics.LimitDataToxic{Bytes: 200}}}, expected{
			code: "ACTION_RESPONSE_INVALID", status: "unknown", attempts: 5, says: []string{"The response was cut off after", notReadable},
		})
		if live, _, _ := api.Live(sandbox.FrontDesk); live != sandbox.NextID || len(sentBodies(api)) != 5 {
			t.Errorf("live is %s after %d requests for the change", live, len(sentBodies(api)))
		}
	})
}
