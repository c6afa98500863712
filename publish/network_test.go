package publish_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing/synctest"
	"time"
)

// A memoryNetwork is a network in memory with one server. It works in virtual time only.
type memoryNetwork struct {
	latency  time.Duration // of every byte, and twice for a dial; nothing else takes time
	incoming chan net.Conn
	turn     chan struct{} // a lock: one dial at a time may call synctest.Wait
	closed   chan struct{}
}

// serveInMemory serves on a new network until stop is called.
func serveInMemory(server fakeServer, latency time.Duration) (l *memoryNetwork, stop func()) {
	l = &memoryNetwork{latency, make(chan net.Conn), make(chan struct{}, 1), make(chan struct{})}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(l) })
	return l, func() {
		close(l.closed)
		_ = server.Close()
		serving.Wait()
		<-time.After(latency) // what is still under way arrives
	}
}

// dial returns when the server waits for the first byte.
func (l *memoryNetwork) dial() (net.Conn, error) {
	<-time.After(2 * l.latency)
	near, far := l.pipe()
	select {
	case l.incoming <- far:
	case <-l.closed:
		near.Close()
		far.Close()
		return nil, connectError(syscall.ECONNREFUSED)
	}
	l.turn <- struct{}{}
	synctest.Wait()
	<-l.turn
	return near, nil
}

func (l *memoryNetwork) Accept() (net.Conn, error) {
	select {
	case conn := <-l.incoming:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *memoryNetwork) Close() error   { return nil }
func (l *memoryNetwork) Addr() net.Addr { return &net.TCPAddr{} }

// A memoryConn is one end of a connection in memory.
type memoryConn struct {
	net.Conn
	reset *atomic.Bool // shared by the ends: one was closed by a reset
}

func (c memoryConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err != nil && c.reset.Load() {
		err = &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ECONNRESET)}
	}
	return n, err
}

// pipe returns the ends of a connection, on which nobody waits for a reader.
func (l *memoryNetwork) pipe() (near, far memoryConn) {
	a, b := net.Pipe()
	c, d := net.Pipe()
	go l.forward(c, b)
	go l.forward(b, c)
	reset := new(atomic.Bool)
	return memoryConn{a, reset}, memoryConn{d, reset}
}

// forward copies what arrives at src to dst, which it closes at the end.
func (l *memoryNetwork) forward(dst, src net.Conn) {
	type chunk struct {
		arrives time.Time
		data    []byte
	}
	chunks := make(chan chunk, 10_000)
	go func() {
		defer dst.Close()
		for c := range chunks {
			<-time.After(time.Until(c.arrives))
			_, _ = dst.Write(c.data)
		}
	}()
	defer close(chunks)
	for buffer := make([]byte, 32<<10); ; {
		n, err := src.Read(buffer)
		if err != nil {
			return
		}
		chunks <- chunk{time.Now().Add(l.latency), bytes.Clone(buffer[:n])}
	}
}

// resetConnection ends a connection with a reset.
func resetConnection(conn net.Conn) {
	switch conn := conn.(type) {
	case *net.TCPConn:
		_ = conn.SetLinger(0)
	case memoryConn:
		conn.reset.Store(true)
	}
	conn.Close()
}

// trusted is the only certificate that this process trusts.
var trusted = sync.OnceValue(func() tls.Certificate { return newCertificate(nil) })

// newCertificate returns one for the loopback address and localhost. change may make it a bad one; it may be nil.
func newCertificate(change func(*x509.Certificate)) tls.Certificate {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	self := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: rand.Text()},
		NotBefore: time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC), // virtual time begins in the year 2000
		NotAfter:  time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC),
		DNSNames:  []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	if change != nil {
		change(self)
	}
	data := must(x509.CreateCertificate(rand.Reader, self, self, key.Public(), key))
	return tls.Certificate{Certificate: [][]byte{data}, PrivateKey: key}
}

// trustedConfig is that of a server whose certificate is good.
func trustedConfig() *tls.Config { return &tls.Config{Certificates: []tls.Certificate{trusted()}} }

// serveTLS returns an onConnect that speaks TLS with config.
func serveTLS(config *tls.Config) func(int, net.Conn) net.Conn {
	return func(_ int, conn net.Conn) net.Conn { return tls.Server(conn, config) }
}

// connectError is what a dial that met errno ends with.
func connectError(errno syscall.Errno) error {
	return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", errno)}
}

// tlsServer serves HTTP/1.1 and HTTP/2.
type tlsServer struct{ *http.Server }

func (s tlsServer) Serve(l net.Listener) error { return s.ServeTLS(l, "", "") }
