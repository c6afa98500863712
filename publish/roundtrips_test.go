package publish_test

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"publish-agent-version/internal/sandbox"
)

// TestRoundTrips counts what a publish costs on a network where nothing but distance takes time. Over HTTP/2 all reads take
// one round trip; over HTTP/1.1 they wait for each other on the one connection.
func TestRoundTrips(t *testing.T) {
	const (
		roundTrip = 100 * time.Millisecond
		tcp, tls  = 1, 1 // TLS 1.3
		change    = 1
	)
	for name, test := range map[string]struct {
		inputs []string
		reads  int
	}{
		"by ID": {[]string{"agent-id", sandbox.FrontDesk, "version-id", sandbox.NextID}, 3},
		"by name, number as written": {[]string{"agent-id", sandbox.NightDesk, "version-name", "night-2",
			"inbound-phone-number", sandbox.SwitchNumber}, 2},
	} {
		for _, protocol := range []struct {
			name, scheme string
			http2        bool
			want         int // round trips
		}{
			{"HTTP/2", "https", true, tcp + tls + 1 + change},
			{"HTTP/1.1 over TLS", "https", false, tcp + tls + test.reads + change},
			{"HTTP/1.1", "http", false, tcp + test.reads + change},
		} {
			t.Run(name+", "+protocol.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					api := &farAway{roundTrip: roundTrip, accepted: make(chan net.Conn), closed: make(chan struct{})}
					api.serve(protocol.scheme, protocol.http2)
					defer api.stop()
					s := with(append(test.inputs, "api-url", protocol.scheme+"://localhost")...)
					s.dial = api.dial
					start := time.Now()
					res := s.run(t)
					want := time.Duration(protocol.want) * roundTrip
					if took := time.Since(start); res.exit != 0 || took != want {
						t.Errorf("exit status %d after %s, want 0 after %s:\n%s", res.exit, took, want, res.stdout)
					}
				})
			})
		}
	}
}

// farAway is a server, and the network in front of it, in virtual time: it takes a round trip to connect, and half of
// one for what is sent to arrive.
type farAway struct {
	roundTrip time.Duration
	accepted  chan net.Conn
	closed    chan struct{}
	server    http.Server
	running   sync.WaitGroup
}

// serve answers as the sandbox does.
func (f *farAway) serve(scheme string, http2 bool) {
	var protocols http.Protocols
	protocols.SetHTTP1(!http2)
	protocols.SetHTTP2(http2)
	f.server = http.Server{
		Handler: sandbox.New(), Protocols: &protocols,
		TLSConfig: trustedConfig(), ErrorLog: log.New(io.Discard, "", 0),
	}
	f.running.Go(func() {
		if scheme == "https" {
			_ = f.server.ServeTLS(f, "", "")
		} else {
			_ = f.server.Serve(f)
		}
	})
}

func (f *farAway) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	select {
	case <-time.After(f.roundTrip):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	near, nearWire := net.Pipe()
	far, farWire := net.Pipe()
	f.running.Go(func() { delay(farWire, nearWire, f.roundTrip/2) })
	f.running.Go(func() { delay(nearWire, farWire, f.roundTrip/2) })
	select {
	case f.accepted <- far:
		return near, nil
	case <-f.closed:
		near.Close()
		far.Close()
		return nil, net.ErrClosed
	}
}

// delay copies from src to dst with a delay, including the end of the stream. The sender does not wait.
func delay(dst, src net.Conn, latency time.Duration) {
	type chunk struct {
		arrives time.Time
		data    []byte
	}
	chunks := make(chan chunk, 1000)
	go func() {
		defer close(chunks)
		for {
			data := make([]byte, 16<<10)
			n, err := src.Read(data)
			if err != nil {
				return
			}
			chunks <- chunk{time.Now().Add(latency), data[:n]}
		}
	}()
	for c := range chunks {
		<-time.After(time.Until(c.arrives))
		_, _ = dst.Write(c.data)
	}
	<-time.After(latency)
	dst.Close()
}

func (f *farAway) Accept() (net.Conn, error) {
	select {
	case conn := <-f.accepted:
		return conn, nil
	case <-f.closed:
		return nil, net.ErrClosed
	}
}

func (f *farAway) Addr() net.Addr { return &net.UnixAddr{Name: "far away", Net: "unix"} }

// Close is called once, by the server.
func (f *farAway) Close() error {
	close(f.closed)
	return nil
}

// stop returns when every connection has ended.
func (f *farAway) stop() {
	_ = f.server.Close()
	f.running.Wait()
}
