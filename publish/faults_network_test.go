package publish_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"publish-agent-version/internal/sandbox"
)

// TestFaultsNetwork has the rows N of docs/faults.md but for N12, which is in faults_toxic_test.go. What a wait is part of
// runs in virtual time, and what a socket is part of has real ones.
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
	t.Run("N13", testHTTP2)
	t.Run("N14", testProxyRefuses)
	t.Run("N15", testProxyUnreachable)
	t.Run("N16", testNoProxy)
}

// The four waits of a change that is never confirmed take so long, where nobody asks to wait longer.
const (
	minBackoff = 7500 * time.Millisecond
	maxBackoff = 15 * time.Second
)

// dnsServer answers every question for a name by the response code of RFC 1035, and counts the questions.
func dnsServer(t *testing.T, code byte) (dial func(ctx context.Context, network, addr string) (net.Conn, error), asked *atomic.Int64) {
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	asked = new(atomic.Int64)
	go func() {
		message := make([]byte, 512)
		for {
			n, from, err := server.ReadFrom(message)
			if err != nil {
				return
			}
			asked.Add(1)
			reply := bytes.Clone(message[:n])
			reply[2] |= 0x80            // a response
			reply[3] = 0x80 | code      // recursion is available
			reply[10], reply[11] = 0, 0 // without the additional record, which asked for EDNS
			end := 12 + bytes.IndexByte(reply[12:], 0) + 5
			_, _ = server.WriteTo(reply[:end], from)
		}
	}()
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", server.LocalAddr().String())
	}}
	return (&net.Dialer{Resolver: resolver}).DialContext, asked
}

const (
	serverFailure = 2 // SERVFAIL
	nameError     = 3 // NXDOMAIN
)

func testUnknownHost(t *testing.T) {
	t.Parallel()
	dial, asked := dnsServer(t, nameError)
	for _, address := range []string{"https://api.diga.example", "http://diga", "https://api.diga.example:8443/prefix"} {
		before := asked.Load()
		res := scenario{dial: dial, inputs: map[string]string{"api-url": address}}.run(t)
		host := strings.Split(strings.SplitAfter(address, "://")[1], "/")[0]
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
		res.check(t, notSent("ACTION_NETWORK_ERROR", 1, "looking up the name: server misbehaving", "gave up after 1 attempt", "Check api-url"))
	})
	t.Run("time-out", func(t *testing.T) {
		fail := func(context.Context, int) error {
			return &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "i/o timeout", Name: "diga", IsTimeout: true, IsTemporary: true}}
		}
		w := notSent("ACTION_NETWORK_ERROR", 5, "looking up the name: i/o timeout", "gave up after 5 attempts")
		new(fakeAPI).test(t, scenario{dialError: fail}, w.within(minBackoff, maxBackoff))
	})
	t.Run("no answer", func(t *testing.T) {
		hang := func(ctx context.Context, _ int) error {
			<-ctx.Done()
			return &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "operation was canceled", Name: "diga", IsTimeout: true}}
		}
		w := notSent("ACTION_TIMEOUT", 4, "No connection to diga; gave up after 2m0s")
		new(fakeAPI).test(t, scenario{dialError: hang}, w.within(2*time.Minute, 2*time.Minute))
	})
}

// closedPort is the address of a port on which nobody listens.
func closedPort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// connectError is what a dial that met errno ends with.
func connectError(errno syscall.Errno) error {
	return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", errno)}
}

func testConnectionRefused(t *testing.T) {
	t.Parallel()
	t.Run("socket", func(t *testing.T) {
		t.Parallel()
		address := closedPort(t)
		res := scenario{inputs: map[string]string{"api-url": "http://" + address, "max-retries": "1"}}.run(t)
		w := notSent("ACTION_NETWORK_ERROR", 2, "No reply from "+address+": connection refused", "gave up after 2 attempts", "Check api-url", "run this step again")
		res.check(t, w.within(500*time.Millisecond, 5*time.Second))
	})
	for _, errno := range []syscall.Errno{syscall.ECONNREFUSED, syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.ETIMEDOUT} {
		t.Run(errno.Error(), func(t *testing.T) {
			w := notSent("ACTION_NETWORK_ERROR", 5, "No reply from diga: "+errno.Error(), "gave up after 5 attempts")
			new(fakeAPI).test(t, scenario{dialError: func(context.Context, int) error { return connectError(errno) }}, w.within(minBackoff, maxBackoff))
		})
	}
}

func testConnectionRefusedTwice(t *testing.T) {
	// The first four connections are for the reads that the step can do without.
	for _, from := range []int{1, 2} {
		p := &fakeAPI{readsBefore: response{raw: liveVersion(sandbox.LiveID, "Connection: close").raw, then: closeConn}}
		p.phones = response{raw: respond(http.StatusNotFound, "", "Connection: close").raw, then: closeConn}
		refuse := func(_ context.Context, n int) error {
			if (from == 1 || n > 4) && n <= 6 {
				return connectError(syscall.ECONNREFUSED)
			}
			return nil
		}
		res := scenario{dialError: refuse}.runInMemory(t, p)
		res.check(t, expected{attempts: 3, minTime: 1500 * time.Millisecond, maxTime: 3 * time.Second})
		if n := len(p.requests(http.MethodPatch)); n != 1 {
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
		w := notSent("ACTION_TIMEOUT", 4, "No connection to diga; gave up after 2m0s", "Run this step again")
		new(fakeAPI).test(t, scenario{dialError: hang}, w.within(2*time.Minute, 2*time.Minute))
		w = notSent("ACTION_TIMEOUT", 1, "No connection to diga within 30 s", "gave up after 1 attempt")
		new(fakeAPI).test(t, scenario{dialError: hang, inputs: map[string]string{"max-retries": "0"}}, w.within(35*time.Second, 35*time.Second))
	})
	t.Run("socket", func(t *testing.T) {
		t.Parallel()
		address := fullPort(t)
		res := scenario{inputs: map[string]string{"api-url": "http://" + address, "timeout": "1s"}}.run(t)
		// A quarter of the time for the first read, the rest for the change.
		w := notSent("ACTION_TIMEOUT", 1, "No connection to "+address+"; gave up after 1s")
		res.check(t, w.within(time.Second, 10*time.Second))
	})
}

// fullPort is the address of a port whose queue of connections is full: the kernel drops what asks for one more.
func fullPort(t *testing.T) string {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	if err := errors.Join(syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), syscall.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", name.(*syscall.SockaddrInet4).Port)
	for range 10 {
		conn, err := net.DialTimeout("tcp", address, 100*time.Millisecond)
		if err != nil {
			return address
		}
		t.Cleanup(func() { conn.Close() })
	}
	t.Fatal("the queue is not full after ten connections")
	return ""
}

func testResetBeforeRequest(t *testing.T) {
	t.Parallel()
	t.Run("at once", func(t *testing.T) {
		p := &fakeAPI{onConnect: func(_ int, conn net.Conn) net.Conn { resetConnection(conn); return nil }}
		w := notSent("ACTION_NETWORK_ERROR", 5, "No reply from diga", "gave up after 5 attempts")
		p.test(t, scenario{}, w.within(minBackoff, maxBackoff))
	})
	t.Run("at once, then not", func(t *testing.T) {
		p := &fakeAPI{onConnect: func(n int, conn net.Conn) net.Conn {
			if n <= 4+2 { // four reads, two attempts
				resetConnection(conn)
				return nil
			}
			return conn
		}}
		res := scenario{}.runInMemory(t, p)
		res.check(t, expected{attempts: 3})
	})
	t.Run("in the TLS handshake", func(t *testing.T) {
		t.Parallel()
		p := &fakeAPI{onConnect: func(_ int, conn net.Conn) net.Conn {
			_, _ = io.ReadFull(conn, make([]byte, 100)) // of the ClientHello
			resetConnection(conn)
			return nil
		}}
		address := startServer(t, p)
		res := scenario{inputs: map[string]string{"api-url": "https://" + address, "max-retries": "0"}}.run(t)
		res.check(t, notSent("ACTION_NETWORK_ERROR", 1, "No reply from "+address+": connection reset by peer"))
	})
	t.Run("closed in the TLS handshake", func(t *testing.T) {
		t.Parallel()
		p := &fakeAPI{onConnect: func(_ int, conn net.Conn) net.Conn {
			_, _ = conn.Read(make([]byte, 4096))
			conn.Close()
			return nil
		}}
		address := startServer(t, p)
		res := scenario{inputs: map[string]string{"api-url": "https://" + address, "max-retries": "0"}}.run(t)
		res.check(t, notSent("ACTION_NETWORK_ERROR", 1, "No reply from "+address))
	})
}

func testLostReply(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]struct {
		then   connEnd
		reason string
	}{"closed": {closeConn, "the connection was closed"}, "reset": {resetConn, "connection reset by peer"}} {
		lost := response{then: end.then}
		t.Run(name, func(t *testing.T) {
			p := &fakeAPI{replies: []response{lost}}
			w := unknownOutcome("ACTION_NETWORK_ERROR", 5, "No reply from diga: "+end.reason, "gave up after 5 attempts")
			w.httpStatus = "none"
			p.test(t, scenario{}, w.within(minBackoff, maxBackoff))
		})
		t.Run(name+", but applied", func(t *testing.T) {
			p := &fakeAPI{replies: []response{lost}, readsAfter: liveVersion(sandbox.NextID)}
			p.test(t, scenario{}, expected{
				attempts: 5, says: []string{readBack}, neverShown: []string{stillLive},
			})
		})
		t.Run(name+", and so is the last read", func(t *testing.T) {
			p := &fakeAPI{replies: []response{lost}, readsAfter: lost}
			p.test(t, scenario{}, expected{
				code: "ACTION_NETWORK_ERROR", status: "unknown", attempts: 5, says: []string{notReadable},
			})
		})
		t.Run(name+" once", func(t *testing.T) {
			p := &fakeAPI{replies: []response{lost, confirmation}}
			p.test(t, scenario{}, expected{attempts: 2, minTime: 500 * time.Millisecond, maxTime: time.Second})
		})
		t.Run(name+" once, then refused", func(t *testing.T) {
			p := &fakeAPI{replies: []response{lost, apiError(404, "AGENT_NOT_FOUND", "There is no such agent")}}
			w := unknownOutcome("AGENT_NOT_FOUND", 2, "There is no such agent")
			w.httpStatus = "404"
			p.test(t, scenario{}, w)
		})
		t.Run("the first read, "+name, func(t *testing.T) {
			p := &fakeAPI{readsBefore: lost}
			res := p.test(t, scenario{}, expected{attempts: 1})
			if _, set := res.outputs["previous-version-id"]; set || len(p.requests("GET")) != 4 {
				t.Errorf("previous-version-id %q after %d reads", res.outputs["previous-version-id"], len(p.requests("GET")))
			}
		})
		t.Run("socket, "+name, func(t *testing.T) {
			t.Parallel()
			p := &fakeAPI{replies: []response{lost}}
			w := unknownOutcome("ACTION_NETWORK_ERROR", 1, end.reason)
			res := scenario{inputs: map[string]string{"api-url": p.start(t), "max-retries": "0"}}.run(t)
			res.check(t, w)
			p.checkRequests(t, w)
		})
		t.Run("TLS, "+name, func(t *testing.T) {
			t.Parallel()
			p := &fakeAPI{replies: []response{lost}, onConnect: serveTLS(trustedConfig())}
			w := unknownOutcome("ACTION_NETWORK_ERROR", 1)
			res := scenario{inputs: map[string]string{"api-url": "https://" + startServer(t, p), "max-retries": "0"}}.run(t)
			res.check(t, w)
			p.checkRequests(t, w)
		})
	}
	t.Run("between two attempts", func(t *testing.T) {
		// The next attempt opens a connection of its own.
		p := &fakeAPI{replies: []response{{raw: respond(503, "").raw, then: closeConn}, confirmation}}
		p.test(t, scenario{}, expected{attempts: 2, maxTime: time.Second})
	})
}

func testNoReply(t *testing.T) {
	t.Parallel()
	t.Run("after the request", func(t *testing.T) {
		p := &fakeAPI{replies: []response{{then: hang}}}
		w := unknownOutcome("ACTION_TIMEOUT", 4, "No reply from diga; gave up after 2m0s")
		w.httpStatus = "none"
		p.test(t, scenario{}, w.within(2*time.Minute, 2*time.Minute))
	})
	t.Run("after the request, one attempt", func(t *testing.T) {
		p := &fakeAPI{replies: []response{{then: hang}}}
		w := unknownOutcome("ACTION_TIMEOUT", 1, "No reply from diga within 30 s", "gave up after 1 attempt", "Run this step again")

		p.test(t, scenario{inputs: map[string]string{"max-retries": "0"}}, w.within(30*time.Second, 30*time.Second))
	})
	t.Run("after every request", func(t *testing.T) {
		p := &fakeAPI{readsBefore: response{then: hang}, replies: []response{{then: hang}}, readsAfter: response{then: hang}}
		p.test(t, scenario{}, expected{
			code: "ACTION_TIMEOUT", status: "unknown", attempts: 4, httpStatus: "none", says: []string{notReadable},
			minTime: 2*time.Minute + 5*time.Second, maxTime: 2*time.Minute + 5*time.Second,
		})
	})
	t.Run("once", func(t *testing.T) {
		p := &fakeAPI{replies: []response{{then: hang}, confirmation}}
		p.test(t, scenario{}, expected{attempts: 2, minTime: 30500 * time.Millisecond, maxTime: 31 * time.Second})
	})
	t.Run("nothing is read", func(t *testing.T) {
		// Whatever fits into the buffers on the way has left this machine, so nobody can tell.
		p := &fakeAPI{onConnect: func(_ int, conn net.Conn) net.Conn { _, _ = io.Copy(io.Discard, conn); return nil }}
		p.test(t, scenario{}, expected{
			code: "ACTION_TIMEOUT", status: "unknown", attempts: 4, noRequest: true, httpStatus: "none", says: []string{notReadable},
			minTime: 2*time.Minute + 5*time.Second, maxTime: 2*time.Minute + 5*time.Second,
		})
	})
	t.Run("after an answer", func(t *testing.T) {
		// What the API said before it fell silent is not lost.
		p := &fakeAPI{replies: []response{apiError(503, "BUSY", "Come back later"), {then: hang}}}
		w := unknownOutcome("BUSY", 0, "Come back later", "gave up after 2m0s")
		w.httpStatus, w.attempts = "503", 5
		p.test(t, scenario{}, w)
	})
	t.Run("socket", func(t *testing.T) {
		t.Parallel()
		p := &fakeAPI{replies: []response{{then: hang}}}
		w := unknownOutcome("ACTION_TIMEOUT", 1, "gave up after 1s")
		res := scenario{inputs: map[string]string{"api-url": p.start(t), "timeout": "1s"}}.run(t)
		res.check(t, w.within(time.Second, 10*time.Second))
		p.checkRequests(t, w)
	})
}

func testSlowHeaders(t *testing.T) {
	slow := respond(200, confirmationBody, "X-Padding: "+strings.Repeat("x", 200))
	slow.byteDelay = time.Second
	p := &fakeAPI{replies: []response{slow}}
	w := unknownOutcome("ACTION_TIMEOUT", 4, "No reply from diga; gave up after 2m0s")
	w.httpStatus = "none"
	p.test(t, scenario{}, w.within(2*time.Minute, 2*time.Minute))

	// With patience enough for one attempt it is a success.
	slow = respond(200, confirmationBody)
	slow.byteDelay = 100 * time.Millisecond
	p = &fakeAPI{replies: []response{slow}}
	p.test(t, scenario{}, expected{attempts: 1, minTime: 10 * time.Second, maxTime: 30 * time.Second})
}

// endlessBlanks writes a blank a second, until nobody reads it.
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
		t.Run(name, func(t *testing.T) {
			p := &fakeAPI{replies: []response{{raw: head, stream: endlessBlanks}}}
			w := unknownOutcome("ACTION_TIMEOUT", 4, "No end of the reply from diga; gave up after 2m0s")
			w.httpStatus = "200"
			p.test(t, scenario{}, w.within(2*time.Minute, 2*time.Minute))
		})
	}
	t.Run("once", func(t *testing.T) {
		p := &fakeAPI{replies: []response{{raw: "HTTP/1.1 200 OK\r\n\r\n", stream: endlessBlanks}, confirmation}}
		p.test(t, scenario{}, expected{attempts: 2, minTime: 30500 * time.Millisecond, maxTime: 31 * time.Second})
	})
}

func testEndlessErrorBody(t *testing.T) {
	slow := response{raw: "HTTP/1.1 500 No\r\nContent-Length: 1000000\r\n\r\n{", stream: endlessBlanks}
	p := &fakeAPI{replies: []response{slow}}
	p.test(t, scenario{}, expected{
		code: "HTTP_500", status: "unknown", attempts: 5, httpStatus: "500", minTime: 25*time.Second + minBackoff, maxTime: 25*time.Second + maxBackoff, verifyTime: time.Second,
		says: []string{"The API answered 500 Internal Server Error", "gave up after 5 attempts", mayBeApplied},
	})
	// The body of a status that is final is not waited for either.
	slow.raw = strings.Replace(slow.raw, "500", "404", 1)
	p = &fakeAPI{replies: []response{slow}}
	p.test(t, scenario{}, expected{code: "HTTP_404", attempts: 1, httpStatus: "404", minTime: 5 * time.Second, maxTime: 5 * time.Second, says: []string{nothingChanged}})
}

// http2Server is an HTTP/2 server of a few bytes. It answers the first request of the first connection as the read that the step
// begins with, and lets answer do as it likes with every other one.
type http2Server struct {
	answer   func(c http2Conn, n int, stream uint32) (more bool) // n counts the requests after the first, from 1
	requests atomic.Int64
}

type http2Conn struct{ net.Conn }

// frame writes a frame of RFC 9113, section 4.1.
func (c http2Conn) frame(kind, flags byte, stream uint32, payload []byte) {
	head := binary.BigEndian.AppendUint32(nil, uint32(len(payload))<<8|uint32(kind))
	head = binary.BigEndian.AppendUint32(append(head, flags), stream)
	_, _ = c.Write(append(head, payload...))
}

const (
	dataFrame, headersFrame, resetFrame, settingsFrame, goAwayFrame = 0, 1, 3, 4, 7
	endStream, endHeaders, acknowledged                             = 1, 4, 1
	noError, internalError, refusedStream, cancelled                = 0, 2, 7, 8
	status200                                                       = 0x88 // in HPACK's static table
)

func (c http2Conn) reply(stream uint32, body string) {
	c.frame(headersFrame, endHeaders, stream, []byte{status200})
	c.frame(dataFrame, endStream, stream, []byte(body))
}

func (c http2Conn) resetStream(stream uint32, code byte) {
	c.frame(resetFrame, 0, stream, []byte{0, 0, 0, code})
}

// goAway tells that the streams after last were not looked at.
func (c http2Conn) goAway(last uint32, code byte) {
	c.frame(goAwayFrame, 0, 0, append(binary.BigEndian.AppendUint32(nil, last), 0, 0, 0, code))
}

func (s *http2Server) onConnect(_ int, conn net.Conn) net.Conn {
	config := &tls.Config{Certificates: []tls.Certificate{trusted().issue(nil)}, NextProtos: []string{"h2"}}
	c := http2Conn{tls.Server(conn, config)}
	defer c.Close()
	preface := make([]byte, len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
	if _, err := io.ReadFull(c, preface); err != nil {
		return nil
	}
	c.frame(settingsFrame, 0, 0, nil)
	for head := make([]byte, 9); ; {
		if _, err := io.ReadFull(c, head); err != nil {
			return nil
		}
		length, kind, flags := binary.BigEndian.Uint32(head)>>8, head[3], head[4]
		stream := binary.BigEndian.Uint32(head[5:])
		if _, err := io.CopyN(io.Discard, c, int64(length)); err != nil {
			return nil
		}
		switch {
		case kind == settingsFrame && flags&acknowledged == 0:
			c.frame(settingsFrame, acknowledged, 0, nil)
		case (kind == headersFrame || kind == dataFrame) && flags&endStream != 0:
			if kind == headersFrame { // a read: the change has a body
				_, body, _ := strings.Cut(liveVersion(sandbox.LiveID).raw, "\r\n\r\n")
				c.reply(stream, body)
			} else if !s.answer(c, int(s.requests.Add(1)), stream) {
				return nil
			}
		}
	}
}

func testHTTP2(t *testing.T) {
	t.Parallel()
	ok := func(c http2Conn, stream uint32) bool { c.reply(stream, confirmationBody); return true }
	tests := []struct {
		name   string
		answer func(c http2Conn, n int, stream uint32) bool
		want   expected
	}{
		{"all is well", func(c http2Conn, _ int, stream uint32) bool { return ok(c, stream) }, expected{attempts: 1, maxTime: 1}},
		{"GOAWAY before the stream", func(c http2Conn, n int, stream uint32) bool {
			if n == 1 {
				c.goAway(stream-2, noError)
				return true
			}
			return ok(c, stream)
		}, expected{attempts: 1, maxTime: time.Second}},
		{"GOAWAY before the stream, and the end of the connection", func(c http2Conn, n int, stream uint32) bool {
			if n == 1 {
				c.goAway(stream-2, noError)
				return false
			}
			return ok(c, stream)
		}, expected{attempts: 1, maxTime: time.Second}},
		{"GOAWAY after the stream", func(c http2Conn, _ int, stream uint32) bool {
			c.goAway(stream, noError)
			return ok(c, stream)
		}, expected{attempts: 1}},
		{"GOAWAY for an error, and the end of the connection", func(c http2Conn, n int, stream uint32) bool {
			if n == 1 {
				c.goAway(stream, internalError)
				return false
			}
			return ok(c, stream)
		}, expected{attempts: 2, minTime: 500 * time.Millisecond, maxTime: time.Second}},
		{"RST_STREAM, refused", func(c http2Conn, n int, stream uint32) bool {
			if n == 1 {
				c.resetStream(stream, refusedStream)
				return true
			}
			return ok(c, stream)
		}, expected{attempts: 1, maxTime: time.Second}},
		{"RST_STREAM, internal error", func(c http2Conn, n int, stream uint32) bool {
			if n == 1 {
				c.resetStream(stream, internalError)
				return true
			}
			return ok(c, stream)
		}, expected{attempts: 2, minTime: 500 * time.Millisecond, maxTime: time.Second}},
		{"RST_STREAM, cancelled, after the head of a reply", func(c http2Conn, n int, stream uint32) bool {
			if n == 1 {
				c.frame(headersFrame, endHeaders, stream, []byte{status200})
				c.resetStream(stream, cancelled)
				return true
			}
			return ok(c, stream)
		}, expected{attempts: 2, minTime: 500 * time.Millisecond, maxTime: time.Second}},
		{"RST_STREAM, always", func(c http2Conn, n int, stream uint32) bool {
			c.resetStream(stream, internalError)
			return true
		}, unknownOutcome("ACTION_NETWORK_ERROR", 5, "No reply from localhost", "gave up after 5 attempts")},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := &http2Server{answer: test.answer}
			res := scenario{inputs: map[string]string{"api-url": "https://localhost"}}.runInMemory(t, &fakeAPI{onConnect: s.onConnect})
			res.check(t, test.want)
		})
	}
	t.Run("a server of the standard library breaks off", func(t *testing.T) {
		t.Parallel()
		api, server := newSandbox(t, sandbox.Fault{Drop: sandbox.DropReply})
		server.TLSConfig = trustedConfig()
		address := startServer(t, tlsServer{server})
		res := scenario{inputs: map[string]string{"api-url": "https://" + address}, env: map[string]string{"RUNNER_DEBUG": "1"}}.run(t)
		res.check(t, expected{attempts: 2, minTime: 500 * time.Millisecond, maxTime: 10 * time.Second})
		if !strings.Contains(res.stdout, "HTTP/2: true") || len(api.Requests()) != 6 {
			t.Errorf("%d requests, want 6 over HTTP/2", len(api.Requests()))
		}
	})
}

// tlsServer serves HTTP/1.1 and HTTP/2.
type tlsServer struct{ *http.Server }

func (s tlsServer) Serve(l net.Listener) error { return s.ServeTLS(l, "", "") }

// proxyPassword must never be seen.
const proxyPassword = "hunter2-of-the-proxy"

// withProxy is a trial whose proxy for both schemes is at address. LOCALHOST in capitals is a host that resolves to this
// machine and that net/http would not spare from the proxy by itself.
func withProxy(address, api string, more map[string]string) scenario {
	env := map[string]string{"HTTP_PROXY": address, "HTTPS_PROXY": address, "SSL_CERT_FILE": os.Getenv("SSL_CERT_FILE")}
	for name, value := range more {
		env[name] = value
	}
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
			p := &fakeAPI{readsBefore: test.reply, replies: []response{test.reply}}
			proxy := startServer(t, p)
			res := withProxy("http://diga:"+proxyPassword+"@"+proxy, test.api, nil).runBinary(t)
			res.check(t, expected{
				code: "ACTION_NETWORK_ERROR", attempts: 1, neverShown: []string{proxyPassword, "Squid"},
				says: []string{"The proxy " + proxy + " answered " + test.status, "Nothing was changed", "Check the proxy's credentials", "NO_PROXY"},
			})
			if len(p.requests("")) != 5 { // one for each request of the step
				t.Errorf("%d requests", len(p.requests("")))
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
			w := notSent("ACTION_NETWORK_ERROR", 1, "No connection to the proxy "+closed+": connection refused", "gave up after 1 attempt", "Check the proxy", "NO_PROXY")
			w.neverShown = append(w.neverShown, proxyPassword)
			res.check(t, w)
		})
	}
	t.Run("the proxy finds no way", func(t *testing.T) {
		t.Parallel()
		p := &fakeAPI{readsBefore: respond(502, "")}
		proxy := startServer(t, p)
		res := withProxy("http://"+proxy, "https://api.diga.example", nil).runBinary(t)
		res.check(t, notSent("ACTION_NETWORK_ERROR", 1, "The proxy "+proxy+" answered 502 Bad Gateway", "gave up after 1 attempt"))
	})
	t.Run("the proxy's address is none", func(t *testing.T) {
		t.Parallel()
		// net/http takes what it cannot read for no proxy.
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
