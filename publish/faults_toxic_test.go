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

// A faultyProxy stands between the step and a server, and spoils what passes by the toxics of Toxiproxy, in virtual time.
type faultyProxy struct {
	server   fakeServer
	up, down []toxics.Toxic // towards the server, and towards the step

	inner *memoryNetwork
	conns sync.WaitGroup
}

func (p *faultyProxy) Serve(l net.Listener) error {
	p.inner = newMemoryNetwork()
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
		p.conns.Go(func() { copyThrough(onward, conn, p.up) })
		p.conns.Go(func() { copyThrough(conn, onward, p.down) })
	}
}

func (p *faultyProxy) Close() error {
	p.inner.Close()
	return p.server.Close()
}

// copyThrough brings what it reads from src to dst, through each of spoilers, and then the end of it.
func copyThrough(dst, src net.Conn, spoilers []toxics.Toxic) {
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
			resetConnection(dst)
		}
	}
	dst.Close()
	for range last { // what dst did not take
	}
}

func toxicList(all ...toxics.Toxic) []toxics.Toxic { return all }

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
			want     expected
			https    bool
			closes   bool // the server closes each connection after its reply
			blind    bool // what was published before cannot be read in time
		}{
			"nothing is wrong":  {want: expected{maxTime: 1}},
			"latency":           {up: toxicList(latency(2000)), down: toxicList(latency(2000)), want: expected{minTime: 8 * second, maxTime: 9 * second}},
			"more latency":      {up: toxicList(latency(3000)), down: toxicList(latency(3000)), want: expected{minTime: 11 * second, maxTime: 12 * second}, blind: true},
			"latency, TLS":      {up: toxicList(latency(1000)), down: toxicList(latency(1000)), want: expected{minTime: 6 * second, maxTime: 7 * second}, https: true},
			"1 kB/s":            {up: toxicList(bandwidth(1)), down: toxicList(bandwidth(1)), want: expected{minTime: second, maxTime: 5 * second}},
			"1 kB/s, TLS":       {up: toxicList(bandwidth(1)), down: toxicList(bandwidth(1)), want: expected{minTime: 3 * second, maxTime: 10 * second}, https: true},
			"single bytes":      {up: toxicList(slicer(1, 1000)), down: toxicList(slicer(1, 1000)), want: expected{minTime: second / 2, maxTime: 5 * second}},
			"single bytes, TLS": {up: toxicList(slicer(1, 100)), down: toxicList(slicer(1, 100)), want: expected{minTime: second / 4, maxTime: 5 * second}, https: true},
			"a slow close":      {up: toxicList(slowClose), down: toxicList(slowClose), want: expected{maxTime: 1}, closes: true},
			"everything": {
				up: toxicList(latency(500), bandwidth(10), slicer(10, 1000)), down: toxicList(latency(500), bandwidth(10), slowClose),
				want: expected{minTime: 3 * second, maxTime: 30 * second}, https: true, closes: true,
			},
		} {
			t.Run(name, func(t *testing.T) {
				p, tr := &fakeAPI{}, scenario{}
				if test.closes {
					p.readsBefore, p.replies = liveVersion(sandbox.LiveID, "Connection: close"), []response{respond(200, confirmationBody)}
					p.readsBefore.then, p.replies[0].then = closeConn, closeConn
				}
				if test.https {
					p.onConnect, tr.inputs = serveTLS(trustedConfig()), map[string]string{"api-url": "https://localhost"}
				}
				res := tr.runInMemory(t, &faultyProxy{server: p, up: test.up, down: test.down})
				test.want.attempts = 1
				p.checkRequests(t, test.want)
				res.check(t, test.want)
				if got, want := res.outputs["previous-version-id"], map[bool]string{false: sandbox.LiveID}[test.blind]; got != want && !test.https { // over TLS the reads share the time for two handshakes, one after the other
					t.Errorf("previous-version-id %q, want %q", got, want)
				}
			})
		}
	})

	t.Run("N7", func(t *testing.T) {
		// Each connection is reset half a second after the first byte of its reply.
		p := &fakeAPI{}
		res := scenario{}.runInMemory(t, &faultyProxy{server: p, down: toxicList(&toxics.ResetToxic{Timeout: 500})})
		w := expected{code: "ACTION_NETWORK_ERROR", status: "unknown", attempts: 5, says: []string{"connection reset by peer", notReadable}}
		p.checkRequests(t, w)
		res.check(t, w)
	})
	t.Run("N8", func(t *testing.T) {
		// Nothing gets through, and after ten seconds the connection ends.
		p := &fakeAPI{}
		res := scenario{}.runInMemory(t, &faultyProxy{server: p, down: toxicList(&toxics.TimeoutToxic{Timeout: 10_000})})
		w := expected{code: "ACTION_NETWORK_ERROR", status: "unknown", attempts: 5, says: []string{"the connection was closed", notReadable}}
		p.checkRequests(t, w)
		res.check(t, w.within(50*second, 120*second))
	})
	t.Run("B1", func(t *testing.T) {
		// Each connection is good for 500 bytes of replies: too few for the first confirmation, enough for the second. The
		// reads close theirs, so each attempt has a connection of its own.
		closes := response{raw: respond(http.StatusNotFound, "", "Connection: close").raw, then: closeConn}
		p := &fakeAPI{readsBefore: closes, phones: closes, replies: []response{
			respond(200, confirmationBody, "Padding: "+strings.Repeat("x", 500)), respond(200, confirmationBody),
		}}
		res := scenario{}.runInMemory(t, &faultyProxy{server: p, down: toxicList(&toxics.LimitDataToxic{Bytes: 500})})
		w := expected{attempts: 2}
		p.checkRequests(t, w)
		res.check(t, w)
	})
	t.Run("B2", func(t *testing.T) {
		api, server := newSandbox(t)
		res := scenario{}.runInMemory(t, &faultyProxy{server: server, down: toxicList(&toxics.LimitDataToxic{Bytes: 200})})
		res.check(t, expected{code: "ACTION_RESPONSE_INVALID", status: "unknown", attempts: 5, says: []string{"The reply breaks off after", notReadable}})
		changes := slices.DeleteFunc(api.Requests(), func(r sandbox.Request) bool { return r.Method != http.MethodPatch })
		if live, _, _ := api.Live(sandbox.FrontDesk); live != sandbox.NextID || len(changes) != 5 {
			t.Errorf("live is %s after %d requests for the change", live, len(changes))
		}
	})
}
