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
	t.Run("N1", unknownHost)
	t.Run("N2", nameServerFails)
	t.Run("N3", refused)
	t.Run("N4", refusedTwice)
	t.Run("N5", blackHole)
	t.Run("N6", resetBeforeTheRequest)
	t.Run("N7", lostReply)
	t.Run("N8", silence)
	t.Run("N9", slowHeaders)
	t.Run("N10", slowConfirmation)
	t.Run("N11", slowError)
	t.Run("N13", http2)
	t.Run("N14", proxyAsksForCredentials)
	t.Run("N15", proxyUnreachable)
	t.Run("N16", proxyNotUsed)
}

// The four waits of a change that is never confirmed take so long, where nobody asks to wait longer.
const (
	leastWaits = 7500 * time.Millisecond
	mostWaits  = 15 * time.Second
)

// nameServer answers every question for a name by the response code of RFC 1035, and counts the questions.
func nameServer(t *testing.T, code byte) (dial func(ctx context.Context, network, addr string) (net.Conn, error), asked *atomic.Int64) {
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

func unknownHost(t *testing.T) {
	t.Parallel()
	dial, asked := nameServer(t, nameError)
	for _, address := range []string{"https://api.diga.example", "http://diga", "https://api.diga.example:8443/prefix"} {
		before := asked.Load()
		res := trial{dial: dial, inputs: map[string]string{"api-url": address}}.run(t)
		host := strings.Split(strings.SplitAfter(address, "://")[1], "/")[0]
		res.check(t, unsent("ACTION_NETWORK_ERROR", 1, "The host "+host+" does not exist", "Check api-url"))
		if asked.Load() == before {
			t.Error("the name server was not asked")
		}
	}
}

func nameServerFails(t *testing.T) {
	t.Parallel()
	t.Run("SERVFAIL", func(t *testing.T) {
		t.Parallel()
		dial, _ := nameServer(t, serverFailure)
		res := trial{dial: dial, inputs: map[string]string{"api-url": "https://api.diga.example", "max-retries": "0"}}.run(t)
		res.check(t, unsent("ACTION_NETWORK_ERROR", 1, "looking up the name: server misbehaving", "gave up after 1 attempt", "Check api-url"))
	})
	t.Run("time-out", func(t *testing.T) {
		fail := func(context.Context, int) error {
			return &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "i/o timeout", Name: "diga", IsTimeout: true, IsTemporary: true}}
		}
		w := unsent("ACTION_NETWORK_ERROR", 5, "looking up the name: i/o timeout", "gave up after 5 attempts")
		new(peer).play(t, trial{refuse: fail}, w.within(leastWaits, mostWaits))
	})
	t.Run("no answer", func(t *testing.T) {
		hang := func(ctx context.Context, _ int) error {
			<-ctx.Done()
			return &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "operation was canceled", Name: "diga", IsTimeout: true}}
		}
		w := unsent("ACTION_TIMEOUT", 4, "No connection to diga; gave up after 2m0s")
		new(peer).play(t, trial{refuse: hang}, w.within(2*time.Minute, 2*time.Minute))
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

// dialError is what a dial that met errno ends with.
func dialError(errno syscall.Errno) error {
	return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", errno)}
}

func refused(t *testing.T) {
	t.Parallel()
	t.Run("socket", func(t *testing.T) {
		t.Parallel()
		address := closedPort(t)
		res := trial{inputs: map[string]string{"api-url": "http://" + address, "max-retries": "1"}}.run(t)
		w := unsent("ACTION_NETWORK_ERROR", 2, "No reply from "+address+": connection refused", "gave up after 2 attempts", "Check api-url", "run this step again")
		res.check(t, w.within(500*time.Millisecond, 5*time.Second))
	})
	for _, errno := range []syscall.Errno{syscall.ECONNREFUSED, syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.ETIMEDOUT} {
		t.Run(errno.Error(), func(t *testing.T) {
			w := unsent("ACTION_NETWORK_ERROR", 5, "No reply from diga: "+errno.Error(), "gave up after 5 attempts")
			new(peer).play(t, trial{refuse: func(context.Context, int) error { return dialError(errno) }}, w.within(leastWaits, mostWaits))
		})
	}
}

func refusedTwice(t *testing.T) {
	// The first four connections are for the reads that the step can do without.
	for _, from := range []int{1, 2} {
		p := &peer{before: reply{raw: shows(sandbox.LiveID, "Connection: close").raw, then: hangUp}}
		p.phones = reply{raw: says(http.StatusNotFound, "", "Connection: close").raw, then: hangUp}
		refuse := func(_ context.Context, n int) error {
			if (from == 1 || n > 4) && n <= 6 {
				return dialError(syscall.ECONNREFUSED)
			}
			return nil
		}
		res := trial{refuse: refuse}.runVirtually(t, p)
		res.check(t, want{attempts: 3, least: 1500 * time.Millisecond, most: 3 * time.Second})
		if n := len(p.requests(http.MethodPatch)); n != 1 {
			t.Errorf("%d requests arrived, want 1", n)
		}
		if got, want := res.outputs["previous-version-id"], map[int]string{2: sandbox.LiveID}[from]; got != want {
			t.Errorf("previous-version-id %q, want %q", got, want)
		}
	}
}

func blackHole(t *testing.T) {
	t.Parallel()
	t.Run("virtual", func(t *testing.T) {
		hang := func(ctx context.Context, _ int) error {
			<-ctx.Done()
			_, err := new(net.Dialer).DialContext(ctx, "tcp", "127.0.0.1:1") // the error of a dial whose time was up
			return err
		}
		// 5 s for the first read, then three attempts and what the timeout leaves of the fourth.
		w := unsent("ACTION_TIMEOUT", 4, "No connection to diga; gave up after 2m0s", "Run this step again")
		new(peer).play(t, trial{refuse: hang}, w.within(2*time.Minute, 2*time.Minute))
		w = unsent("ACTION_TIMEOUT", 1, "No connection to diga within 30 s", "gave up after 1 attempt")
		new(peer).play(t, trial{refuse: hang, inputs: map[string]string{"max-retries": "0"}}, w.within(35*time.Second, 35*time.Second))
	})
	t.Run("socket", func(t *testing.T) {
		t.Parallel()
		address := fullPort(t)
		res := trial{inputs: map[string]string{"api-url": "http://" + address, "timeout": "1s"}}.run(t)
		// A quarter of the time for the first read, the rest for the change.
		w := unsent("ACTION_TIMEOUT", 1, "No connection to "+address+"; gave up after 1s")
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

func resetBeforeTheRequest(t *testing.T) {
	t.Parallel()
	t.Run("at once", func(t *testing.T) {
		p := &peer{meet: func(_ int, conn net.Conn) net.Conn { breakOff(conn); return nil }}
		w := unsent("ACTION_NETWORK_ERROR", 5, "No reply from diga", "gave up after 5 attempts")
		p.play(t, trial{}, w.within(leastWaits, mostWaits))
	})
	t.Run("at once, then not", func(t *testing.T) {
		p := &peer{meet: func(n int, conn net.Conn) net.Conn {
			if n <= 4+2 { // four reads, two attempts
				breakOff(conn)
				return nil
			}
			return conn
		}}
		res := trial{}.runVirtually(t, p)
		res.check(t, want{attempts: 3})
	})
	t.Run("in the TLS handshake", func(t *testing.T) {
		t.Parallel()
		p := &peer{meet: func(_ int, conn net.Conn) net.Conn {
			_, _ = io.ReadFull(conn, make([]byte, 100)) // of the ClientHello
			breakOff(conn)
			return nil
		}}
		address := listenOn(t, p)
		res := trial{inputs: map[string]string{"api-url": "https://" + address, "max-retries": "0"}}.run(t)
		res.check(t, unsent("ACTION_NETWORK_ERROR", 1, "No reply from "+address+": connection reset by peer"))
	})
	t.Run("closed in the TLS handshake", func(t *testing.T) {
		t.Parallel()
		p := &peer{meet: func(_ int, conn net.Conn) net.Conn {
			_, _ = conn.Read(make([]byte, 4096))
			conn.Close()
			return nil
		}}
		address := listenOn(t, p)
		res := trial{inputs: map[string]string{"api-url": "https://" + address, "max-retries": "0"}}.run(t)
		res.check(t, unsent("ACTION_NETWORK_ERROR", 1, "No reply from "+address))
	})
}

func lostReply(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]struct {
		then   ending
		reason string
	}{"closed": {hangUp, "the connection was closed"}, "reset": {reset, "connection reset by peer"}} {
		lost := reply{then: end.then}
		t.Run(name, func(t *testing.T) {
			p := &peer{changes: []reply{lost}}
			w := unknown("ACTION_NETWORK_ERROR", 5, "No reply from diga: "+end.reason, "gave up after 5 attempts")
			w.http = "none"
			p.play(t, trial{}, w.within(leastWaits, mostWaits))
		})
		t.Run(name+", but applied", func(t *testing.T) {
			p := &peer{changes: []reply{lost}, after: shows(sandbox.NextID)}
			p.play(t, trial{}, want{
				attempts: 5, says: []string{readBack}, never: []string{stillLive},
			})
		})
		t.Run(name+", and so is the last read", func(t *testing.T) {
			p := &peer{changes: []reply{lost}, after: lost}
			p.play(t, trial{}, want{
				code: "ACTION_NETWORK_ERROR", status: "unknown", attempts: 5, says: []string{notReadable},
			})
		})
		t.Run(name+" once", func(t *testing.T) {
			p := &peer{changes: []reply{lost, confirms}}
			p.play(t, trial{}, want{attempts: 2, least: 500 * time.Millisecond, most: time.Second})
		})
		t.Run(name+" once, then refused", func(t *testing.T) {
			p := &peer{changes: []reply{lost, refuses(404, "AGENT_NOT_FOUND", "There is no such agent")}}
			w := unknown("AGENT_NOT_FOUND", 2, "There is no such agent")
			w.http = "404"
			p.play(t, trial{}, w)
		})
		t.Run("the first read, "+name, func(t *testing.T) {
			p := &peer{before: lost}
			res := p.play(t, trial{}, want{attempts: 1})
			if _, set := res.outputs["previous-version-id"]; set || len(p.requests("GET")) != 4 {
				t.Errorf("previous-version-id %q after %d reads", res.outputs["previous-version-id"], len(p.requests("GET")))
			}
		})
		t.Run("socket, "+name, func(t *testing.T) {
			t.Parallel()
			p := &peer{changes: []reply{lost}}
			w := unknown("ACTION_NETWORK_ERROR", 1, end.reason)
			res := trial{inputs: map[string]string{"api-url": p.listen(t), "max-retries": "0"}}.run(t)
			res.check(t, w)
			p.hears(t, w)
		})
		t.Run("TLS, "+name, func(t *testing.T) {
			t.Parallel()
			p := &peer{changes: []reply{lost}, meet: secured(trustedConfig())}
			w := unknown("ACTION_NETWORK_ERROR", 1)
			res := trial{inputs: map[string]string{"api-url": "https://" + listenOn(t, p), "max-retries": "0"}}.run(t)
			res.check(t, w)
			p.hears(t, w)
		})
	}
	t.Run("between two attempts", func(t *testing.T) {
		// The next attempt opens a connection of its own.
		p := &peer{changes: []reply{{raw: says(503, "").raw, then: hangUp}, confirms}}
		p.play(t, trial{}, want{attempts: 2, most: time.Second})
	})
}

func silence(t *testing.T) {
	t.Parallel()
	t.Run("after the request", func(t *testing.T) {
		p := &peer{changes: []reply{{then: silent}}}
		w := unknown("ACTION_TIMEOUT", 4, "No reply from diga; gave up after 2m0s")
		w.http = "none"
		p.play(t, trial{}, w.within(2*time.Minute, 2*time.Minute))
	})
	t.Run("after the request, one attempt", func(t *testing.T) {
		p := &peer{changes: []reply{{then: silent}}}
		w := unknown("ACTION_TIMEOUT", 1, "No reply from diga within 30 s", "gave up after 1 attempt", "Run this step again")

		p.play(t, trial{inputs: map[string]string{"max-retries": "0"}}, w.within(30*time.Second, 30*time.Second))
	})
	t.Run("after every request", func(t *testing.T) {
		p := &peer{before: reply{then: silent}, changes: []reply{{then: silent}}, after: reply{then: silent}}
		p.play(t, trial{}, want{
			code: "ACTION_TIMEOUT", status: "unknown", attempts: 4, http: "none", says: []string{notReadable},
			least: 2*time.Minute + 5*time.Second, most: 2*time.Minute + 5*time.Second,
		})
	})
	t.Run("once", func(t *testing.T) {
		p := &peer{changes: []reply{{then: silent}, confirms}}
		p.play(t, trial{}, want{attempts: 2, least: 30500 * time.Millisecond, most: 31 * time.Second})
	})
	t.Run("nothing is read", func(t *testing.T) {
		// Whatever fits into the buffers on the way has left this machine, so nobody can tell.
		p := &peer{meet: func(_ int, conn net.Conn) net.Conn { _, _ = io.Copy(io.Discard, conn); return nil }}
		p.play(t, trial{}, want{
			code: "ACTION_TIMEOUT", status: "unknown", attempts: 4, unheard: true, http: "none", says: []string{notReadable},
			least: 2*time.Minute + 5*time.Second, most: 2*time.Minute + 5*time.Second,
		})
	})
	t.Run("after an answer", func(t *testing.T) {
		// What the API said before it fell silent is not lost.
		p := &peer{changes: []reply{refuses(503, "BUSY", "Come back later"), {then: silent}}}
		w := unknown("BUSY", 0, "Come back later", "gave up after 2m0s")
		w.http, w.attempts = "503", 5
		p.play(t, trial{}, w)
	})
	t.Run("socket", func(t *testing.T) {
		t.Parallel()
		p := &peer{changes: []reply{{then: silent}}}
		w := unknown("ACTION_TIMEOUT", 1, "gave up after 1s")
		res := trial{inputs: map[string]string{"api-url": p.listen(t), "timeout": "1s"}}.run(t)
		res.check(t, w.within(time.Second, 10*time.Second))
		p.hears(t, w)
	})
}

func slowHeaders(t *testing.T) {
	slow := says(200, publicationOK, "X-Padding: "+strings.Repeat("x", 200))
	slow.pace = time.Second
	p := &peer{changes: []reply{slow}}
	w := unknown("ACTION_TIMEOUT", 4, "No reply from diga; gave up after 2m0s")
	w.http = "none"
	p.play(t, trial{}, w.within(2*time.Minute, 2*time.Minute))

	// With patience enough for one attempt it is a success.
	slow = says(200, publicationOK)
	slow.pace = 100 * time.Millisecond
	p = &peer{changes: []reply{slow}}
	p.play(t, trial{}, want{attempts: 1, least: 10 * time.Second, most: 30 * time.Second})
}

// forever writes a blank a second, until nobody reads it.
func forever(w io.Writer) {
	for {
		<-time.After(time.Second)
		if _, err := io.WriteString(w, " "); err != nil {
			return
		}
	}
}

func slowConfirmation(t *testing.T) {
	for name, head := range map[string]string{
		"by length":            "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n",
		"to the end":           "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
		"after a whole object": "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + publicationOK,
	} {
		t.Run(name, func(t *testing.T) {
			p := &peer{changes: []reply{{raw: head, stream: forever}}}
			w := unknown("ACTION_TIMEOUT", 4, "No end of the reply from diga; gave up after 2m0s")
			w.http = "200"
			p.play(t, trial{}, w.within(2*time.Minute, 2*time.Minute))
		})
	}
	t.Run("once", func(t *testing.T) {
		p := &peer{changes: []reply{{raw: "HTTP/1.1 200 OK\r\n\r\n", stream: forever}, confirms}}
		p.play(t, trial{}, want{attempts: 2, least: 30500 * time.Millisecond, most: 31 * time.Second})
	})
}

func slowError(t *testing.T) {
	slow := reply{raw: "HTTP/1.1 500 No\r\nContent-Length: 1000000\r\n\r\n{", stream: forever}
	p := &peer{changes: []reply{slow}}
	p.play(t, trial{}, want{
		code: "HTTP_500", status: "unknown", attempts: 5, http: "500", least: 25*time.Second + leastWaits, most: 25*time.Second + mostWaits, verify: time.Second,
		says: []string{"The API answered 500 Internal Server Error", "gave up after 5 attempts", mayBeApplied},
	})
	// The body of a status that is final is not waited for either.
	slow.raw = strings.Replace(slow.raw, "500", "404", 1)
	p = &peer{changes: []reply{slow}}
	p.play(t, trial{}, want{code: "HTTP_404", attempts: 1, http: "404", least: 5 * time.Second, most: 5 * time.Second, says: []string{nothingChanged}})
}

// h2 is an HTTP/2 server of a few bytes. It answers the first request of the first connection as the read that the step
// begins with, and lets answer do as it likes with every other one.
type h2 struct {
	answer func(c h2Conn, n int, stream uint32) (more bool) // n counts the requests after the first, from 1
	asked  atomic.Int64
}

type h2Conn struct{ net.Conn }

// frame writes a frame of RFC 9113, section 4.1.
func (c h2Conn) frame(kind, flags byte, stream uint32, payload []byte) {
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

func (c h2Conn) reply(stream uint32, body string) {
	c.frame(headersFrame, endHeaders, stream, []byte{status200})
	c.frame(dataFrame, endStream, stream, []byte(body))
}

func (c h2Conn) resetStream(stream uint32, code byte) {
	c.frame(resetFrame, 0, stream, []byte{0, 0, 0, code})
}

// goAway tells that the streams after last were not looked at.
func (c h2Conn) goAway(last uint32, code byte) {
	c.frame(goAwayFrame, 0, 0, append(binary.BigEndian.AppendUint32(nil, last), 0, 0, 0, code))
}

func (s *h2) meet(_ int, conn net.Conn) net.Conn {
	config := &tls.Config{Certificates: []tls.Certificate{trusted().issue(nil)}, NextProtos: []string{"h2"}}
	c := h2Conn{tls.Server(conn, config)}
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
				_, body, _ := strings.Cut(shows(sandbox.LiveID).raw, "\r\n\r\n")
				c.reply(stream, body)
			} else if !s.answer(c, int(s.asked.Add(1)), stream) {
				return nil
			}
		}
	}
}

func http2(t *testing.T) {
	t.Parallel()
	ok := func(c h2Conn, stream uint32) bool { c.reply(stream, publicationOK); return true }
	tests := []struct {
		name   string
		answer func(c h2Conn, n int, stream uint32) bool
		want   want
	}{
		{"all is well", func(c h2Conn, _ int, stream uint32) bool { return ok(c, stream) }, want{attempts: 1, most: 1}},
		{"GOAWAY before the stream", func(c h2Conn, n int, stream uint32) bool {
			if n == 1 {
				c.goAway(stream-2, noError)
				return true
			}
			return ok(c, stream)
		}, want{attempts: 1, most: time.Second}},
		{"GOAWAY before the stream, and the end of the connection", func(c h2Conn, n int, stream uint32) bool {
			if n == 1 {
				c.goAway(stream-2, noError)
				return false
			}
			return ok(c, stream)
		}, want{attempts: 1, most: time.Second}},
		{"GOAWAY after the stream", func(c h2Conn, _ int, stream uint32) bool {
			c.goAway(stream, noError)
			return ok(c, stream)
		}, want{attempts: 1}},
		{"GOAWAY for an error, and the end of the connection", func(c h2Conn, n int, stream uint32) bool {
			if n == 1 {
				c.goAway(stream, internalError)
				return false
			}
			return ok(c, stream)
		}, want{attempts: 2, least: 500 * time.Millisecond, most: time.Second}},
		{"RST_STREAM, refused", func(c h2Conn, n int, stream uint32) bool {
			if n == 1 {
				c.resetStream(stream, refusedStream)
				return true
			}
			return ok(c, stream)
		}, want{attempts: 1, most: time.Second}},
		{"RST_STREAM, internal error", func(c h2Conn, n int, stream uint32) bool {
			if n == 1 {
				c.resetStream(stream, internalError)
				return true
			}
			return ok(c, stream)
		}, want{attempts: 2, least: 500 * time.Millisecond, most: time.Second}},
		{"RST_STREAM, cancelled, after the head of a reply", func(c h2Conn, n int, stream uint32) bool {
			if n == 1 {
				c.frame(headersFrame, endHeaders, stream, []byte{status200})
				c.resetStream(stream, cancelled)
				return true
			}
			return ok(c, stream)
		}, want{attempts: 2, least: 500 * time.Millisecond, most: time.Second}},
		{"RST_STREAM, always", func(c h2Conn, n int, stream uint32) bool {
			c.resetStream(stream, internalError)
			return true
		}, unknown("ACTION_NETWORK_ERROR", 5, "No reply from localhost", "gave up after 5 attempts")},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := &h2{answer: test.answer}
			res := trial{inputs: map[string]string{"api-url": "https://localhost"}}.runVirtually(t, &peer{meet: s.meet})
			res.check(t, test.want)
		})
	}
	t.Run("a server of the standard library breaks off", func(t *testing.T) {
		t.Parallel()
		api, server := newSandbox(t, sandbox.Fault{Drop: sandbox.DropReply})
		server.TLSConfig = trustedConfig()
		address := listenOn(t, overTLS{server})
		res := trial{inputs: map[string]string{"api-url": "https://" + address}, env: map[string]string{"RUNNER_DEBUG": "1"}}.run(t)
		res.check(t, want{attempts: 2, least: 500 * time.Millisecond, most: 10 * time.Second})
		if !strings.Contains(res.stdout, "HTTP/2: true") || len(api.Requests()) != 6 {
			t.Errorf("%d requests, want 6 over HTTP/2", len(api.Requests()))
		}
	})
}

// overTLS serves HTTP/1.1 and HTTP/2.
type overTLS struct{ *http.Server }

func (s overTLS) Serve(l net.Listener) error { return s.ServeTLS(l, "", "") }

// proxyPassword must never be seen.
const proxyPassword = "hunter2-of-the-proxy"

// behind is a trial whose proxy for both schemes is at address. LOCALHOST in capitals is a host that resolves to this
// machine and that net/http would not spare from the proxy by itself.
func behind(address, api string, more map[string]string) trial {
	env := map[string]string{"HTTP_PROXY": address, "HTTPS_PROXY": address, "SSL_CERT_FILE": os.Getenv("SSL_CERT_FILE")}
	for name, value := range more {
		env[name] = value
	}
	return trial{env: env, inputs: map[string]string{"api-url": api, "max-retries": "0"}}
}

func proxyAsksForCredentials(t *testing.T) {
	t.Parallel()
	const wanted, https = "407 Proxy Authentication Required", "https://api.diga.example"
	for name, test := range map[string]struct {
		api    string
		reply  reply
		status string
	}{
		"http":               {"http://diga", says(407, "<html>Squid says no</html>", `Proxy-Authenticate: Basic realm="squid"`), wanted},
		"https":              {https, says(407, "Squid says no", `Proxy-Authenticate: Basic realm="squid"`), wanted},
		"https, refused":     {https, says(403, "Squid says no"), "403 Forbidden"},
		"https, status line": {https, reply{raw: "HTTP/1.1 407 " + proxyPassword + "\r\n\r\n"}, wanted},
		"https, with a code": {https, refuses(407, "PROXY", "Squid says no"), wanted},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &peer{before: test.reply, changes: []reply{test.reply}}
			proxy := listenOn(t, p)
			res := behind("http://diga:"+proxyPassword+"@"+proxy, test.api, nil).runBinary(t)
			res.check(t, want{
				code: "ACTION_NETWORK_ERROR", attempts: 1, never: []string{proxyPassword, "Squid"},
				says: []string{"The proxy " + proxy + " answered " + test.status, "Nothing was changed", "Check the proxy's credentials", "NO_PROXY"},
			})
			if len(p.requests("")) != 5 { // one for each request of the step
				t.Errorf("%d requests", len(p.requests("")))
			}
		})
	}
}

func proxyUnreachable(t *testing.T) {
	t.Parallel()
	closed := closedPort(t)
	for name, api := range map[string]string{"http": "http://diga", "https": "https://api.diga.example"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			res := behind("http://diga:"+proxyPassword+"@"+closed, api, nil).runBinary(t)
			w := unsent("ACTION_NETWORK_ERROR", 1, "No connection to the proxy "+closed+": connection refused", "gave up after 1 attempt", "Check the proxy", "NO_PROXY")
			w.never = append(w.never, proxyPassword)
			res.check(t, w)
		})
	}
	t.Run("the proxy finds no way", func(t *testing.T) {
		t.Parallel()
		p := &peer{before: says(502, "")}
		proxy := listenOn(t, p)
		res := behind("http://"+proxy, "https://api.diga.example", nil).runBinary(t)
		res.check(t, unsent("ACTION_NETWORK_ERROR", 1, "The proxy "+proxy+" answered 502 Bad Gateway", "gave up after 1 attempt"))
	})
	t.Run("the proxy's address is none", func(t *testing.T) {
		t.Parallel()
		// net/http takes what it cannot read for no proxy.
		api := &peer{}
		_, port, _ := net.SplitHostPort(listenOn(t, api))
		res := behind("http://diga:"+proxyPassword+"@%zz", "http://LOCALHOST:"+port, nil).runBinary(t)
		res.check(t, want{attempts: 1, never: []string{proxyPassword}})
	})
}

func proxyNotUsed(t *testing.T) {
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
			api, proxy := &peer{}, &peer{}
			_, port, _ := net.SplitHostPort(listenOn(t, api))
			res := behind(proxy.listen(t), "http://"+test.host+":"+port, map[string]string{"NO_PROXY": test.noProxy}).runBinary(t)
			res.check(t, want{attempts: 1})
			direct, through := len(api.requests("")), len(proxy.requests(""))
			if wantDirect := map[bool]int{false: 5, true: 0}[test.used]; direct != wantDirect || through != 5-wantDirect {
				t.Errorf("%d requests went directly and %d through the proxy", direct, through)
			}
		})
	}
	t.Run("https through a proxy", func(t *testing.T) {
		t.Parallel()
		api := &peer{meet: secured(trustedConfig())}
		address := listenOn(t, api)
		_, port, _ := net.SplitHostPort(address)
		tunnels := new(atomic.Int64)
		proxy := &peer{meet: func(_ int, conn net.Conn) net.Conn {
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
		res := behind(proxy.listen(t), "https://LOCALHOST:"+port, nil).runBinary(t)
		res.check(t, want{attempts: 1})
		if tunnels.Load() < 1 || len(api.requests("")) != 5 {
			t.Errorf("%d tunnels, %d requests", tunnels.Load(), len(api.requests("")))
		}
	})
}
