package publish_test

import (
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2/stream"
	"github.com/Shopify/toxiproxy/v2/toxics"
	"publish-agent-version/internal/sandbox"
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

// carry brings what it reads from src to dst, through each of list, and then the end of it.
func carry(dst, src net.Conn, list []toxics.Toxic) {
	first := make(chan *stream.StreamChunk)
	last := first
	for _, toxic := range list {
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
	for _, toxic := range list {
		if _, ok := toxic.(*toxics.ResetToxic); ok {
			breakOff(dst)
		}
	}
	dst.Close()
	for range last { // what dst did not take
	}
}

// TestFaultsToxic has the row N12 of docs/faults.md, and some of the others as a bad network brings them about.
func TestFaultsToxic(t *testing.T) {
	latency := func(ms int64) toxics.Toxic { return &toxics.LatencyToxic{Latency: ms} }
	none := []toxics.Toxic(nil)
	https := trial{inputs: map[string]string{"api-url": "https://localhost"}}
	second, minute := time.Second, time.Minute

	t.Run("N12", func(t *testing.T) {
		for name, test := range map[string]struct {
			trial    trial
			up, down []toxics.Toxic
			want     want
			blind    bool // what was published before could not be read in time
		}{
			"nothing is wrong": {trial{}, none, none, want{most: 1}, false},
			"latency":          {trial{}, []toxics.Toxic{latency(2000)}, []toxics.Toxic{latency(2000)}, want{least: 8 * second, most: 9 * second}, false},
			"more latency":     {trial{}, []toxics.Toxic{latency(3000)}, []toxics.Toxic{latency(3000)}, want{least: 11 * second, most: 12 * second}, true},
			"latency and TLS":  {https, []toxics.Toxic{latency(1000)}, []toxics.Toxic{latency(1000)}, want{least: 6 * second, most: 7 * second}, false},
			"1 kB/s":           {trial{}, []toxics.Toxic{&toxics.BandwidthToxic{Rate: 1}}, []toxics.Toxic{&toxics.BandwidthToxic{Rate: 1}}, want{least: second, most: 5 * second}, false},
			"1 kB/s and TLS":   {https, []toxics.Toxic{&toxics.BandwidthToxic{Rate: 1}}, []toxics.Toxic{&toxics.BandwidthToxic{Rate: 1}}, want{least: 3 * second, most: 10 * second}, false},
			"one byte a packet": {trial{}, []toxics.Toxic{&toxics.SlicerToxic{AverageSize: 1, Delay: 1000}},
				[]toxics.Toxic{&toxics.SlicerToxic{AverageSize: 1, Delay: 1000}}, want{least: 500 * time.Millisecond, most: 5 * second}, false},
			"one byte a packet and TLS": {https, []toxics.Toxic{&toxics.SlicerToxic{AverageSize: 1, Delay: 100}},
				[]toxics.Toxic{&toxics.SlicerToxic{AverageSize: 1, Delay: 100}}, want{least: 300 * time.Millisecond, most: 5 * second}, false},
			"a slow close": {trial{}, []toxics.Toxic{&toxics.SlowCloseToxic{Delay: 3_600_000}}, []toxics.Toxic{&toxics.SlowCloseToxic{Delay: 3_600_000}}, want{most: 1}, false},
			"everything": {https, []toxics.Toxic{latency(500), &toxics.BandwidthToxic{Rate: 10}, &toxics.SlicerToxic{AverageSize: 10, Delay: 1000}},
				[]toxics.Toxic{latency(500), &toxics.BandwidthToxic{Rate: 10}, &toxics.SlowCloseToxic{Delay: 60_000}}, want{least: 3 * second, most: minute}, false},
		} {
			t.Run(name, func(t *testing.T) {
				p := &peer{}
				// The server closes each connection after a reply of known length, so that there is a close to wait for.
				p.before, p.changes = shows(sandbox.LiveID), []reply{says(200, publicationOK)}
				if name == "a slow close" {
					p.before.then, p.changes[0].then = hangUp, hangUp
					p.before.raw = strings.Replace(p.before.raw, "\r\n", "\r\nConnection: close\r\n", 1)
				}
				if test.trial.inputs != nil {
					p.meet = secured(trustedConfig())
				}
				res := test.trial.runVirtually(t, &toxicProxy{server: p, up: test.up, down: test.down})
				test.want.attempts = 1
				p.hears(t, test.want)
				res.check(t, test.want)
				if got, want := res.outputs["previous-version-id"], map[bool]string{false: sandbox.LiveID}[test.blind]; got != want {
					t.Errorf("previous-version-id %q, want %q", got, want)
				}
			})
		}
	})

	t.Run("N7", func(t *testing.T) {
		// Each connection is reset half a second after the first byte of its reply.
		p := &peer{}
		res := trial{}.runVirtually(t, &toxicProxy{server: p, down: []toxics.Toxic{&toxics.ResetToxic{Timeout: 500}}})
		w := want{code: "ACTION_NETWORK_ERROR", status: "unknown", attempts: 5, says: []string{"connection reset by peer", mayBeApplied, notReadable}}
		p.hears(t, w)
		res.check(t, w)
	})
	t.Run("N8", func(t *testing.T) {
		// Nothing gets through, and after ten seconds the connection ends.
		p := &peer{}
		res := trial{}.runVirtually(t, &toxicProxy{server: p, down: []toxics.Toxic{&toxics.TimeoutToxic{Timeout: 10_000}}})
		w := want{code: "ACTION_NETWORK_ERROR", status: "unknown", attempts: 5, says: []string{"the connection was closed", mayBeApplied, notReadable}}
		p.hears(t, w)
		res.check(t, w.within(50*second, 2*minute))
	})
	t.Run("B1", func(t *testing.T) {
		// Each connection is good for 500 bytes of replies: the read and half of the confirmation, then a whole one.
		p := &peer{}
		res := trial{}.runVirtually(t, &toxicProxy{server: p, down: []toxics.Toxic{&toxics.LimitDataToxic{Bytes: 500}}})
		w := want{attempts: 2}
		p.hears(t, w)
		res.check(t, w)
	})
	t.Run("B2", func(t *testing.T) {
		api, server := newSandbox(t)
		res := trial{}.runVirtually(t, &toxicProxy{server: server, down: []toxics.Toxic{&toxics.LimitDataToxic{Bytes: 200}}})
		res.check(t, want{code: "ACTION_RESPONSE_INVALID", status: "unknown", attempts: 5, says: []string{"The reply breaks off after", mayBeApplied, notReadable}})
		if live, _, _ := api.Live(sandbox.FrontDesk); live != sandbox.NextID || len(api.Requests()) != 7 {
			t.Errorf("live is %s after %d requests", live, len(api.Requests()))
		}
	})
}
