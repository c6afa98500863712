package main

import (
	"io"
	"net"
	"sync/atomic"
	"time"
)

// delayingProxy adds a network round trip between a client and a server on this machine. Toxiproxy delays traffic but
// not the TCP handshake, which the local kernel completes at once. This proxy charges a round trip for it by delaying
// the client's first bytes. To a client that sends first, as in TLS and HTTP, that looks the same.
type delayingProxy struct {
	listener    net.Listener
	server      string // host and port
	roundTrip   time.Duration
	connections atomic.Int64
}

// newDelayingProxy starts a proxy on a loopback address. Close stops it, but lets open connections finish.
func newDelayingProxy(server string, roundTrip time.Duration) (*delayingProxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &delayingProxy{listener: listener, server: server, roundTrip: roundTrip}
	go p.accept()
	return p, nil
}

func (p *delayingProxy) Close() error { return p.listener.Close() }

func (p *delayingProxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.connections.Add(1)
		server, err := net.Dial("tcp", p.server)
		if err != nil {
			client.Close()
			continue
		}
		connected := time.Now().Add(p.roundTrip)
		go carry(server.(*net.TCPConn), client, p.roundTrip/2, connected)
		go carry(client.(*net.TCPConn), server, p.roundTrip/2, connected)
	}
}

// carry copies from src to dst, including the end of the stream, with a delay for each chunk. No chunk counts as sent
// before the time connected.
func carry(dst *net.TCPConn, src net.Conn, delay time.Duration, connected time.Time) {
	type chunk struct {
		arrives time.Time
		data    []byte
	}
	chunks := make(chan chunk, 1024)
	go func() {
		defer close(chunks)
		for {
			data := make([]byte, 32<<10)
			n, err := src.Read(data)
			sent := time.Now()
			if sent.Before(connected) {
				sent = connected
			}
			chunks <- chunk{sent.Add(delay), data[:n]}
			if err != nil {
				return
			}
		}
	}()
	for c := range chunks {
		time.Sleep(time.Until(c.arrives))
		if _, err := dst.Write(c.data); err != nil {
			_, _ = io.Copy(io.Discard, src) // until the other end closes too
			break
		}
	}
	_ = dst.CloseWrite()
	for range chunks {
	}
}
