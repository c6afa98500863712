package publish_test

import (
	"io"
	"log"
	"net/http"
	"testing"
	"time"

	"publish-agent-version/internal/sandbox"
)

// TestRoundTrips counts what a publish costs on a network where nothing but distance takes time. Over HTTP/2 all reads
// take one round trip; over HTTP/1.1 they wait for each other on the one connection.
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
		"by name, number as written": {[]string{"agent-id", sandbox.Support, "version-name", "support-3",
			"inbound-phone-number", sandbox.HotlineNumber}, 2},
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
				var protocols http.Protocols
				protocols.SetHTTP1(!protocol.http2)
				protocols.SetHTTP2(protocol.http2)
				api := &http.Server{
					Handler: sandbox.New(), Protocols: &protocols,
					TLSConfig: trustedConfig(), ErrorLog: log.New(io.Discard, "", 0),
				}
				server := fakeServer(api)
				if protocol.scheme == "https" {
					server = tlsServer{api}
				}
				s := with(append(test.inputs, "api-url", protocol.scheme+"://localhost")...)
				s.latency = roundTrip / 2
				res := s.runInMemory(t, server)
				if want := time.Duration(protocol.want) * roundTrip; res.exit != 0 || res.elapsed != want {
					t.Errorf("exit status %d after %s, want 0 after %s:\n%s", res.exit, res.elapsed, want, res.stdout)
				}
			})
		}
	}
}
