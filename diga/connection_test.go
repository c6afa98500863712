package diga

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// The API dies with the first connection, and a change gets its answer on a new one.
func TestDeadHTTP2ConnectionIsLeft(t *testing.T) {
	n := &network{}
	n.play(t, func(t *testing.T, c *Client) {
		dead := new(atomic.Bool)
		wrap := func(number int, conn net.Conn) net.Conn {
			if number == 1 {
				return muted{conn, dead}
			}
			return conn
		}
		defer n.serveHTTP2(c, wrap, func(w http.ResponseWriter, r *http.Request) {
			body := map[string]string{http.MethodGet: versionBody, http.MethodPatch: publishedBody}
			_, _ = io.WriteString(w, body[r.Method])
		}).Close()
		if _, err := c.Version(t.Context(), agentID, versionID); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		dead.Store(true)
		_, err := c.Publish(t.Context(), promotion)
		if elapsed := time.Since(n.start); err != nil || n.dials != 2 || elapsed != attemptTimeout+firstBackoff/2 {
			t.Errorf("%d connections in %s: %v", n.dials, elapsed, err)
		}
	})
}

// muted is a connection whose other side hears nothing while it is on.
type muted struct {
	net.Conn
	on *atomic.Bool
}

func (c muted) Write(b []byte) (int, error) {
	if c.on.Load() {
		return len(b), nil
	}
	return c.Conn.Write(b)
}

// A middlebox drops every TLS hello that takes more than one packet, as one with ML-KEM does.
func TestLostHelloIsSentSmaller(t *testing.T) {
	n := &network{answers: []answer{published}, secure: serving()}
	n.secure.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if slices.Contains(hello.SupportedCurves, tls.X25519MLKEM768) {
			_, _ = io.Copy(io.Discard, hello.Conn)
		}
		return nil, nil
	}
	n.play(t, func(t *testing.T, c *Client) {
		c.BaseURL.Scheme = "https"
		_, err := c.Publish(t.Context(), promotion)
		if elapsed := time.Since(n.start); err != nil || n.dials != 2 || elapsed != connectTimeout+firstBackoff/2 {
			t.Errorf("%d connections, after %s: %v", n.dials, elapsed, err)
		}
	})
}

// resetHTTP2 makes the server reset the first stream of every HTTP/2 connection with this code, and counts them. It
// answers over HTTP/1.1.
func (n *network) resetHTTP2(c *Client, code string) (streams *int) {
	c.BaseURL.Scheme, streams = "https", new(int)
	config := serving()
	config.NextProtos = []string{"h2", "http/1.1"}
	n.serve = func(_ int, conn net.Conn) {
		secure := tls.Server(conn, config)
		if secure.Handshake() != nil || secure.ConnectionState().NegotiatedProtocol != "h2" {
			n.talk(secure)
			return
		}
		defer conn.Close()
		in := bufio.NewReader(secure)
		_, _ = in.Discard(len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
		_, _ = io.WriteString(secure, "\x00\x00\x00\x04\x00\x00\x00\x00\x00") // SETTINGS
		for head := make([]byte, 9); ; {
			if _, err := io.ReadFull(in, head); err != nil {
				return
			}
			_, _ = in.Discard(int(binary.BigEndian.Uint32(append([]byte{0}, head[:3]...))))
			if head[3] == 1 { // HEADERS
				*streams++
				_, _ = io.WriteString(secure, "\x00\x00\x04\x03\x00\x00\x00\x00\x01\x00\x00\x00"+code) // RST_STREAM
			}
		}
	}
	return streams
}

// A server that offers HTTP/2 and then refuses it is asked over HTTP/1.1.
func TestHTTP11Required(t *testing.T) {
	n := &network{answers: []answer{published}}
	n.play(t, func(t *testing.T, c *Client) {
		n.resetHTTP2(c, "\x0d")
		if _, err := c.Publish(t.Context(), promotion); err != nil || n.dials != 2 || len(n.heard) != 1 {
			t.Errorf("%d connections, %d requests over HTTP/1.1: %v", n.dials, len(n.heard), err)
		}
	})
}

// nginx resets a stream with PROTOCOL_ERROR for "return 444", whatever became of the request, and net/http would send
// it again at once and for ever.
func TestResetRequestIsNotSentWithoutEnd(t *testing.T) {
	for _, test := range []struct {
		options, want string
		sent          int
	}{
		{"launch", "Unreachable (pending?): no response: connection reset by peer", 1},
		{"", "twice: Unreachable (pending?): no response: connection reset by peer", 2},
		{"read", "twice: Unreachable: no response: connection reset by peer", 2 * maxSends},
	} {
		var streams *int
		setup := func(_ *testing.T, n *network, c *Client) { streams = n.resetHTTP2(c, "\x01") }
		if (story{"", test.options, test.want, setup}).tell(t); *streams != test.sent {
			t.Errorf("%s: sent %d times, want %d", test.options, *streams, test.sent)
		}
	}
}

func TestLostHTTP2StreamsAreRetried(t *testing.T) {
	for lose, fails := range map[int]bool{0: false, 2: false, 9: true} {
		requests := 0
		n := &network{}
		n.play(t, func(t *testing.T, c *Client) {
			defer n.serveHTTP2(c, nil, func(w http.ResponseWriter, _ *http.Request) {
				if requests++; requests <= lose {
					panic(http.ErrAbortHandler)
				}
				_, _ = io.WriteString(w, publishedBody)
			}).Close()
			_, err := c.Publish(t.Context(), promotion)
			if requests != min(lose+1, 5) || n.dials != 1 {
				t.Errorf("%d requests on %d connections", requests, n.dials)
			}
			if got := outcome(err); strings.HasPrefix(got, "Unreachable (pending?)") != fails || (err != nil) != fails {
				t.Errorf("%d lost: %s", lose, got)
			}
		})
	}
}

// The server closes an idle connection when a change has just taken it.
func TestConnectionClosedBeforeUseIsRetried(t *testing.T) {
	n := &network{answers: []answer{{raw: response(200, versionBody).raw, then: hangUp}, published}}
	n.play(t, func(t *testing.T, c *Client) {
		now := make(chan struct{})
		n.serve = func(_ int, conn net.Conn) { n.talk(lateClose{conn, now}) }
		if _, err := c.Version(t.Context(), agentID, versionID); err != nil {
			t.Fatal(err)
		}
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
			if info.Reused {
				close(now)
				synctest.Wait()
			}
		}})
		if _, err := c.Publish(ctx, promotion); err != nil || n.dials != 2 {
			t.Errorf("%d connections: %v", n.dials, err)
		}
	})
}

// lateClose is a connection whose Close waits.
type lateClose struct {
	net.Conn
	now <-chan struct{}
}

func (c lateClose) Close() error {
	<-c.now
	return c.Conn.Close()
}
