package diga

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/url"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// The server answers when all reads have arrived: with fewer connections they never would.
func TestConcurrentReadsOpenOnlyTheConnectionsTheyNeed(t *testing.T) {
	const reads, rounds = 40, 10
	for name, test := range map[string]struct {
		start func(*httptest.Server)
		http2 bool
		conns int32
	}{
		"plain HTTP": {(*httptest.Server).Start, false, reads},
		"HTTP/1.1":   {(*httptest.Server).StartTLS, false, reads},
		"HTTP/2":     {func(s *httptest.Server) { s.EnableHTTP2 = true; s.StartTLS() }, true, 1},
	} {
		t.Run(name, func(t *testing.T) {
			for range rounds {
				var conns atomic.Int32
				var arrived sync.WaitGroup
				arrived.Add(reads)
				all := make(chan struct{})
				go func() { arrived.Wait(); close(all) }()
				server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.ContentLength != 0 { // some servers refuse a GET that has one, even an empty one
						t.Errorf("a read with a body of %d bytes", r.ContentLength)
					}
					arrived.Done()
					select {
					case <-all:
						_, _ = io.WriteString(w, versionBody)
					case <-r.Context().Done():
					}
				}))
				server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
					if state == http.StateNew {
						conns.Add(1)
					}
				}
				test.start(server)
				c := clientOf(t, server)

				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				var calls sync.WaitGroup
				for range reads {
					calls.Go(func() {
						if _, err := c.Version(ctx, Once, agentID, versionID); err != nil {
							t.Error(err)
						}
					})
				}
				calls.Wait()
				cancel()
				c.Close()
				server.Close()
				if n := conns.Load(); n != test.conns {
					t.Errorf("%d connections for %d reads, want %d", n, reads, test.conns)
				}
				if t.Failed() {
					return
				}
			}
		})
	}
}

// clientOf returns a Client that trusts server. Every attempt must use HTTP/2 if the server speaks it.
func clientOf(t *testing.T, server *httptest.Server) *Client {
	base, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	c := &Client{BaseURL: base, Token: "sesame", OnAttempt: func(a Attempt) {
		if a.Err == nil && a.HTTP2 != server.EnableHTTP2 {
			t.Errorf("HTTP/2: %t", a.HTTP2)
		}
	}}
	c.connectOnce.Do(c.connect)
	if server.TLS != nil {
		c.transport.TLSClientConfig.RootCAs = x509.NewCertPool()
		c.transport.TLSClientConfig.RootCAs.AddCert(server.Certificate())
	}
	return c
}

// The race detector watches every call and both callbacks.
func TestCallsMayRunConcurrently(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, apiBody(r.Method, r.URL.Path))
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	c := clientOf(t, server)
	defer c.Close()
	var attempts atomic.Int32
	c.OnAttempt = func(Attempt) { attempts.Add(1) }
	var calls sync.WaitGroup
	calls.Go(func() {
		if _, _, err := c.Publish(t.Context(), promotion); err != nil {
			t.Error(err)
		}
	})
	for name, read := range reads {
		calls.Go(func() {
			if err := read(t.Context(), c, WithRetries); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	calls.Wait()
	if n := attempts.Load(); n != int32(1+len(reads)) {
		t.Errorf("%d attempts", n)
	}
}

// The first of ten reads opens a connection and fails; the others wait for it.
func TestRequestsWaitForTheFirstTLSConnection(t *testing.T) {
	const second, minute = time.Second, time.Minute
	after := func(text string) func(net.Conn) {
		return func(conn net.Conn) {
			<-time.After(second)
			_, _ = io.WriteString(conn, text)
			conn.Close()
		}
	}
	hang := func(conn net.Conn) { reply{then: silent}.write(conn); conn.Close() }
	tests := []struct {
		name  string
		dial  error               // of the first connection, after a second
		serve func(conn net.Conn) // the first connection

		first time.Duration // the time that the first read has
		cause Cause         // of its error; -1: it succeeds
		ends  time.Duration // when it does

		others time.Duration // the time that each of the others has
		answer Cause         // of their errors; -1: they succeed
		at     time.Duration // when they end
	}{
		{"refused", syscall.ECONNREFUSED, nil, minute, Unreachable, second, minute, -1, second},
		{"closed", nil, after(""), minute, Unreachable, second, minute, -1, second},
		{"not TLS", nil, after("SSH-2.0\r\n"), minute, TLSFailed, second, minute, -1, second},
		{"hangs", nil, hang, minute, -1, firstConnectionWait, minute, -1, firstConnectionWait}, // net/http gives it the connection of another
		{"hangs, others have no more time", nil, hang, 5 * second, Timeout, 5 * second, second / 2, Timeout, second / 2},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			n := &network{dial: func(attempt int) error {
				if attempt == 1 && test.dial != nil {
					<-time.After(second)
					return test.dial
				}
				return nil
			}}
			n.play(t, func(t *testing.T, c *Client) {
				server := newAuthority(t).serveHTTP2(t, n, c, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, versionBody) })
				defer server.Close()
				if good := n.serve; test.serve != nil {
					var once sync.Once // is the first
					n.serve = func(conn net.Conn) {
						first := false
						once.Do(func() { first = true })
						if first {
							test.serve(conn)
						} else {
							good(conn)
						}
					}
				}
				type end struct {
					err error
					at  time.Duration
				}
				ends := make([]end, 10)
				var reads sync.WaitGroup
				read := func(i int, limit time.Duration) {
					reads.Go(func() {
						ctx, cancel := context.WithTimeout(t.Context(), limit)
						defer cancel()
						_, err := c.Version(ctx, Once, agentID, versionID)
						ends[i] = end{err, time.Since(n.start)}
					})
				}
				read(0, test.first)
				synctest.Wait()
				for i := range ends[1:] {
					read(1+i, test.others)
				}
				synctest.Wait()
				if n.dials() != 1 {
					t.Errorf("%d connections, though it is not known yet whether they are needed", n.dials())
				}
				reads.Wait()
				synctest.Wait() // before the server ends, on which connections may still be made
				causeOf := func(err error) Cause {
					if err == nil {
						return -1
					}
					return failed(t, err).Cause
				}
				if cause := causeOf(ends[0].err); cause != test.cause || ends[0].at != test.ends {
					t.Errorf("the first read ended after %s: cause %d, %v", ends[0].at, cause, ends[0].err)
				}
				for _, end := range ends[1:] {
					cause := causeOf(end.err)
					if cause != test.answer || end.at != test.at {
						t.Errorf("another read ended after %s: cause %d, %v", end.at, cause, end.err)
					}
				}
			})
		})
	}
}

// Without TLS there is no handshake to wait for.
func TestPlainHTTPConnectionsAreOpenedAtOnce(t *testing.T) {
	n := &network{replies: []reply{response(200, versionBody)}, dial: func(int) error { <-time.After(time.Second); return nil }}
	n.play(t, func(t *testing.T, c *Client) {
		const reads = 10
		var calls sync.WaitGroup
		for range reads {
			calls.Go(func() {
				if _, err := c.Version(t.Context(), Once, agentID, versionID); err != nil {
					t.Error(err)
				}
			})
		}
		calls.Wait()
		if elapsed := time.Since(n.start); elapsed != time.Second || n.dials() != reads {
			t.Errorf("%d connections in %s", n.dials(), elapsed)
		}
	})
}

func TestWaitForAConnectionEndsWithTheContext(t *testing.T) {
	n := &network{}
	n.play(t, func(t *testing.T, c *Client) {
		newAuthority(t).trust(c)
		ctx, cancel := context.WithCancelCause(t.Context())
		var reads sync.WaitGroup
		reads.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			_, _ = c.Version(ctx, Once, agentID, versionID)
		})
		synctest.Wait()
		time.AfterFunc(time.Second/2, func() { cancel(errSignal) })
		_, _, err := c.Publish(ctx, promotion)
		if e := failed(t, err); e.Cause != Cancelled || e.Effect != NoEffect || time.Since(n.start) != time.Second/2 || n.dials() != 1 {
			t.Errorf("%+v after %s, %d connections", e, time.Since(n.start), n.dials())
		}
		reads.Wait()
	})
}

// net/http would resend a read that is lost on a reused connection, and not count it as an attempt.
func TestNothingIsResentOnReusedConnections(t *testing.T) {
	const reads = 20
	for _, secure := range []bool{false, true} {
		n := &network{}
		n.play(t, func(t *testing.T, c *Client) {
			if secure {
				a := newAuthority(t)
				a.trust(c)
				config := &tls.Config{Certificates: a.issue(t, "api.test", nil)}
				n.serve = func(conn net.Conn) { n.answer(tls.Server(conn, config)) }
			}
			n.reply = func(received) reply {
				if len(n.requests) <= reads {
					return reply{raw: response(200, versionBody).raw, pace: time.Millisecond}
				}
				return lost
			}
			for _, fails := range []bool{false, true} {
				var calls sync.WaitGroup
				for range reads {
					calls.Go(func() {
						if _, err := c.Version(t.Context(), Once, agentID, versionID); (err != nil) != fails {
							t.Errorf("lost: %t, %v", fails, err)
						}
					})
				}
				calls.Wait()
			}
			if len(n.heard()) != 2*reads {
				t.Errorf("TLS: %t, %d requests for %d reads", secure, len(n.heard()), 2*reads)
			}
		})
	}
}

// Two reads start together, and the second takes the connection of the first because its own takes too long.
func TestNothingIsResentOnAConnectionTakenOver(t *testing.T) {
	n := &network{replies: []reply{{raw: response(200, versionBody).raw, pace: time.Millisecond}, lost, response(200, versionBody)}}
	n.play(t, func(t *testing.T, c *Client) {
		done := make(chan struct{})
		n.dial = func(attempt int) error {
			if attempt == 2 {
				<-done
				return syscall.ECONNREFUSED
			}
			<-time.After(time.Millisecond) // until both reads wait for a connection
			return nil
		}
		var lost atomic.Int32
		var calls sync.WaitGroup
		for range 2 {
			calls.Go(func() {
				if _, err := c.Version(t.Context(), Once, agentID, versionID); err != nil {
					lost.Add(1)
				}
			})
		}
		calls.Wait()
		close(done)
		if lost.Load() != 1 || len(n.heard()) != 2 {
			t.Errorf("%d of 2 reads lost, %d requests", lost.Load(), len(n.heard()))
		}
	})
}

func TestPublishReusesTheConnection(t *testing.T) {
	n := &network{replies: []reply{response(200, versionBody), published}}
	n.play(t, func(t *testing.T, c *Client) {
		if _, err := c.PublishedVersion(t.Context(), Once, agentID); err != nil {
			t.Error(err)
		}
		if _, _, err := c.Publish(t.Context(), promotion); err != nil {
			t.Error(err)
		}
		if n.dials() != 1 || len(n.heard()) != 2 {
			t.Errorf("%d connections, %d requests", n.dials(), len(n.heard()))
		}
	})
}

// A change is not sent on a connection that the server has closed, and bytes of an earlier request do not count as its
// own.
func TestClosedIdleConnectionsAreNotUsed(t *testing.T) {
	n := &network{replies: []reply{response(200, versionBody), {raw: response(200, versionBody).raw, then: hangUp}, published}}
	n.play(t, func(t *testing.T, c *Client) {
		for range 2 {
			if _, err := c.Version(t.Context(), WithRetries, agentID, versionID); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if _, attempts, err := c.Publish(t.Context(), promotion); err != nil || attempts != 1 || n.dials() != 2 {
			t.Errorf("%d attempts, %d connections: %v", attempts, n.dials(), err)
		}
	})

	n = &network{replies: []reply{response(200, versionBody)}}
	n.play(t, func(t *testing.T, c *Client) {
		conn := &brokenPipe{takes: 1 << 20}
		c.MaxRetries = 0
		c.Dial = func(context.Context, string, string) (_ net.Conn, err error) {
			if n.dials() > 0 {
				return nil, syscall.ECONNREFUSED
			}
			conn.Conn, err = n.connect()
			return conn, err
		}
		if _, err := c.Version(t.Context(), WithRetries, agentID, versionID); err != nil {
			t.Fatal(err)
		}
		conn.takes = 0
		_, _, err := c.Publish(t.Context(), promotion)
		if e := failed(t, err); e.Effect != NoEffect {
			t.Errorf("effect %d, though nothing was sent: %v", e.Effect, e)
		}
	})
}

// The server closes an idle connection when a change has just taken it.
func TestConnectionClosedBeforeUseIsRetried(t *testing.T) {
	n := &network{replies: []reply{{raw: response(200, versionBody).raw, then: hangUp}, published}}
	n.play(t, func(t *testing.T, c *Client) {
		now := make(chan struct{})
		n.serve = func(conn net.Conn) { n.answer(lateClose{conn, now}) }
		if _, err := c.Version(t.Context(), WithRetries, agentID, versionID); err != nil {
			t.Fatal(err)
		}
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
			if info.Reused {
				close(now)
				synctest.Wait()
			}
		}})
		c.OnWait = func(w Wait) {
			if e := failed(t, w.After); e.Cause != Unreachable || e.Untrusted != "http: server closed idle connection" {
				t.Errorf("%+v", e)
			}
		}
		if _, attempts, err := c.Publish(ctx, promotion); err != nil || attempts != 2 || n.dials() != 2 {
			t.Errorf("%d attempts, %d connections: %v", attempts, n.dials(), err)
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
