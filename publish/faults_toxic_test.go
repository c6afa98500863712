package publish_test

import (
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"publish-agent-version/internal/sandbox"

	"github.com/Shopify/toxiproxy/v2/stream"
	"github.com/Shopify/toxiproxy/v2/toxics"
)

// A toxicProxy stands between the step and a server, and spoils what passes by the toxics of Toxiproxy, in virtual time.
type toxicProxy struct {
	server   listening
	up, down []toxics.Toxic // towards the server, and towards the step

	inner *pipes
	conns sync.WaitGroup
}

func (p *toxicProxy) Serve(l net.Listener) error {
	p.inner = newPipes()
	p.conns.Go(func() { _ = p.server.Serve(p.inner) })
	defer p.conns.Wait()
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		onward, err := p.inner.connect()
		if err != nil {
			return err
		}
		p.conns.Go(func() { carry(onward, conn, p.up) })
		p.conns.Go(func() { carry(conn, onward, p.down) })
	}
}

func (p *toxicProxy) Close() error {
	p.inner.Close()
	return p.server.Close()
}

// carry brings what it reads from src to dst, through each of spoilers, and then the end of it.
func carry(dst, src net.Conn, spoilers []toxics.Toxic) {
	first := make(chan *stream.StreamChunk)
	last := first
	for _, toxic := range spoilers {
		wrapped := &toxics.ToxicWrapper{Toxic: toxic, Toxicity: 1}
		if buffered, ok := toxic.(toxics.BufferedToxic); ok {
			wrapped.BufferSize = buffered.GetBufferSize()
		}
		input, output := last, make(chan *stream.StreamChunk, wrapped.BufferSize)
		stub := toxics.NewToxicStub(input, output)
		if stateful, ok := toxic.(toxics.StatefulToxic); ok {
			stub.State = stateful.NewState()
		}
		go func() {
			stub.Run(wrapped)
			for range input { // which may have more than the toxic let through
			}
		}()
		last = output
	}
	go func() {
		in := stream.NewChanWriter(first)
		_, _ = io.Copy(in, src)
		in.Close()
	}()
	_, _ = io.Copy(dst, stream.NewChanReader(last))
	for _, toxic := range spoilers {
		if _, ok := toxic.(*toxics.ResetToxic); ok {
			breakOff(dst)
		}
	}
	dst.Close()
	for range last { // what dst did not take
	}
}

func list(all ...toxics.Toxic) []toxics.Toxic { return all }

// TestFaultsToxic has the row N12 of docs/faults.md, and some of the others as a bad network brings them about.
func TestFaultsToxic(t *testing.T) {
	latency := func(ms int64) toxics.Toxic { return &toxics.LatencyToxic{Latency: ms} }
	bandwidth := func(kBps int64) toxics.Toxic { return &toxics.BandwidthToxic{Rate: kBps} }
	slicer := func(bytes, microseconds int) toxics.Toxic {
		return &toxics.SlicerToxic{AverageSize: bytes, Delay: microseconds}
	}
	slowClose := &toxics.SlowCloseToxic{Delay: 3_600_000}
	second := time.Second

	t.Run("N12", func(t *testing.T) {
		for name, test := range map[string]struct {
			up, down []toxics.Toxic
			want     want
			https    bool
			closes   bool // the server closes each connection after its reply
			blind    bool // what was published before cannot be read in time
		}{
			"nothing is wrong":  {want: want{most: 1}},
			"latency":           {up: list(latency(2000)), down: list(latency(2000)), want: want{least: 8 * second, most: 9 * second}},
			"more latency":      {up: list(latency(3000)), down: list(latency(3000)), want: want{least: 11 * second, most: 12 * second}, blind: true},
			"latency, TLS":      {up: list(latency(1000)), down: list(latency(1000)), want: want{least: 6 * second, most: 7 * second}, https: true},
			"1 kB/s":            {up: list(bandwidth(1)), down: list(bandwidth(1)), want: want{least: second, most: 5 * second}},
			"1 kB/s, TLS":       {up: list(bandwidth(1)), down: list(bandwidth(1)), want: want{least: 3 * second, most: 10 * second}, https: true},
			"single bytes":      {up: list(slicer(1, 1000)), down: list(slicer(1, 1000)), want: want{least: second / 2, most: 5 * second}},
			"single bytes, TLS": {up: list(slicer(1, 100)), down: list(slicer(1, 100)), want: want{least: second / 4, most: 5 * second}, https: true},
			"a slow close":      {up: list(slowClose), down: list(slowClose), want: want{most: 1}, closes: true},
			"everything": {
				up: list(latency(500), bandwidth(10), slicer(10, 1000)), down: list(latency(500), bandwidth(10), slowClose),
				want: want{least: 3 * second, most: 30 * second}, https: true, closes: true,
			},
		} {
			t.Run(name, func(t *testing.T) {
				p, tr := &peer{}, trial{}
				if test.closes {
					p.before, p.changes = shows(sandbox.LiveID, "Connection: close"), []reply{says(200, publicationOK)}
					p.before.then, p.changes[0].then = hangUp, hangUp
				}
				if test.https {
					p.meet, tr.inputs = secured(trustedConfig()), map[string]string{"api-url": "https://localhost"}
				}
				res := tr.runVirtually(t, &toxicProxy{server: p, up: test.up, down: test.down})
				test.want.attempts = 1
				p.hears(t, test.want)
				res.check(t, test.want)
				if got, want := res.outputs["previous-version-id"], map[bool]string{false: sandbox.LiveID}[test.blind]; got != want && !test.https { // over TLS the reads share the time for two handshakes, one after the other
					t.Errorf("previous-version-id %q, want %q", got, want)
				}
			})
		}
	})

	t.Run("N7", func(t *testing.T) {
		// Each connection is reset half a second after the first byte of its reply.
		p := &peer{}
		res := trial{}.runVirtually(t, &toxicProxy{server: p, down: list(&toxics.ResetToxic{Timeout: 500})})
		w := want{code: "ACTION_NETWORK_ERROR", status: "unknown", attempts: 5, says: []string{"connection reset by peer", notReadable}}
		p.hears(t, w)
		res.check(t, w)
	})
	t.Run("N8", func(t *testing.T) {
		// Nothing gets through, and after ten seconds the connection ends.
		p := &peer{}
		res := trial{}.runVirtually(t, &toxicProxy{server: p, down: list(&toxics.TimeoutToxic{Timeout: 10_000})})
		w := want{code: "ACTION_NETWORK_ERROR", status: "unknown", attempts: 5, says: []string{"the connection was closed", notReadable}}
		p.hears(t, w)
		res.check(t, w.within(50*second, 120*second))
	})
	t.Run("B1", func(t *testing.T) {
		// Each connection is good for 500 bytes of replies: too few for the first confirmation, enough for the second. The
		// reads close theirs, so each attempt has a connection of its own.
		closes := reply{raw: says(http.StatusNotFound, "", "Connection: close").raw, then: hangUp}
		p := &peer{before: closes, phones: closes, changes: []reply{
			says(200, publicationOK, "Padding: "+strings.Repeat("x", 500)), says(200, publicationOK),
		}}
		res := trial{}.runVirtually(t, &toxicProxy{server: p, down: list(&toxics.LimitDataToxic{Bytes: 500})})
		w := want{attempts: 2}
		p.hears(t, w)
		res.check(t, w)
	})
	t.Run("B2", func(t *testing.T) {
		api, server := newSandbox(t)
		res := trial{}.runVirtually(t, &toxicProxy{server: server, down: list(&toxics.LimitDataToxic{Bytes: 200})})
		res.check(t, want{code: "ACTION_RESPONSE_INVALID", status: "unknown", attempts: 5, says: []string{"The reply breaks off after", notReadable}})
		changes := slices.DeleteFunc(api.Requests(), func(r sandbox.Request) bool { return r.Method != http.MethodPatch })
		if live, _, _ := api.Live(sandbox.FrontDesk); live != sandbox.NextID || len(changes) != 5 {
			t.Errorf("live is %s after %d requests for the change", live, len(changes))
		}
	})
}
