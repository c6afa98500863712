package main

import (
	"net"
	"sync/atomic"
	"time"

	"publish-agent-version/internal/sandbox"
)

// newAPI returns a new sandbox without its checks, which would take most of the time.
func newAPI() *sandbox.Sandbox {
	api := sandbox.New()
	api.Set(sandbox.Behavior{Unchecked: true})
	return api
}

// farAway puts a round trip between its clients and a server on this machine, and counts what passes. The kernel
// completes a TCP handshake here at once: a round trip is charged for it by delaying the client's first bytes. To a
// client that sends first, as in TLS, that looks the same.
type farAway struct {
	net.Listener
	connections, sent, received atomic.Int64 // the latter two in bytes, as the client sees it
}

func (f *farAway) serve(addr string) {
	for {
		client, server := must(f.Accept()), must(net.Dial("tcp", addr))
		f.connections.Add(1)
		connected := time.Now().Add(roundTrip)
		go carry(server.(*net.TCPConn), client, connected, &f.sent)
		go carry(client.(*net.TCPConn), server, connected, &f.received)
	}
}

// carry copies src to dst, including its end. It takes half a round trip, and begins no earlier than connected.
func carry(dst *net.TCPConn, src net.Conn, connected time.Time, bytes *atomic.Int64) {
	type chunk struct {
		arrives time.Time
		data    []byte
	}
	chunks := make(chan chunk, 1024)
	go func() {
		for c := range chunks {
			time.Sleep(time.Until(c.arrives))
			_, _ = dst.Write(c.data) // an end that has closed needs no more
		}
		_ = dst.CloseWrite()
	}()
	defer close(chunks)
	for {
		data := make([]byte, 32<<10)
		n, err := src.Read(data)
		bytes.Add(int64(n))
		chunks <- chunk{time.Now().Add(max(0, time.Until(connected)) + roundTrip/2), data[:n]}
		if err != nil {
			return
		}
	}
}
