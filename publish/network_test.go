package publish_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// memoryNetwork is a network in memory with one server. It works in virtual time only.
type memoryNetwork struct {
	latency  time.Duration // of every byte, and twice for a dial; nothing else takes time
	incoming chan net.Conn
	turn     chan struct{} // a lock: one dial at a time may call synctest.Wait
	closed   chan struct{}
	once     sync.Once
}

func newMemoryNetwork(latency time.Duration) *memoryNetwork {
	return &memoryNetwork{latency: latency, incoming: make(chan net.Conn), turn: make(chan struct{}, 1),
		closed: make(chan struct{})}
}

// dial returns when the server waits for the first byte.
func (l *memoryNetwork) dial(context.Context) (net.Conn, error) {
	<-time.After(2 * l.latency)
	near, err := l.connect()
	if err != nil {
		return nil, err
	}
	l.turn <- struct{}{}
	synctest.Wait()
	<-l.turn
	return near, nil
}

func (l *memoryNetwork) connect() (net.Conn, error) {
	near, far := newMemoryConn(l.latency)
	select {
	case l.incoming <- far:
		return near, nil
	case <-l.closed:
		near.Close()
		far.Close()
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	}
}

func (l *memoryNetwork) Accept() (net.Conn, error) {
	select {
	case conn := <-l.incoming:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *memoryNetwork) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *memoryNetwork) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "unix"} }

// memoryConn is one end of a connection in memory. Unlike net.Pipe's it takes what is written before it is read, and
// its errors are those of a socket.
type memoryConn struct {
	net.Conn
	peer    *memoryConn
	link    *connState
	latency time.Duration

	mu     sync.Mutex
	ready  *sync.Cond
	unsent []chunk // written at this end, not yet read at the other
	closed bool
}

// A chunk is what was written at once.
type chunk struct {
	arrives time.Time
	data    []byte
}

// connState is shared by the two ends of a connection.
type connState struct {
	closed atomic.Bool // one end is closed
	reset  atomic.Bool // and that was a reset
}

func newMemoryConn(latency time.Duration) (near, far *memoryConn) {
	a, b := net.Pipe()
	link := new(connState)
	near, far = &memoryConn{Conn: a, link: link, latency: latency}, &memoryConn{Conn: b, link: link, latency: latency}
	near.peer, far.peer = far, near
	for _, end := range []*memoryConn{near, far} {
		end.ready = sync.NewCond(&end.mu)
		go end.deliver()
	}
	return near, far
}

// deliver passes on what was written, and then closes the connection.
func (c *memoryConn) deliver() {
	defer c.Conn.Close()
	for {
		c.mu.Lock()
		for len(c.unsent) == 0 && !c.closed {
			c.ready.Wait()
		}
		chunks := c.unsent
		c.unsent = nil
		c.mu.Unlock()
		if len(chunks) == 0 {
			return
		}
		for _, chunk := range chunks {
			if wait := time.Until(chunk.arrives); wait > 0 {
				<-time.After(wait)
			}
			if c.link.reset.Load() {
				return
			}
			if _, err := c.Conn.Write(chunk.data); err != nil {
				return
			}
		}
	}
}

func (c *memoryConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	switch {
	case err == nil:
	case c.isClosed():
		err = &net.OpError{Op: "read", Net: "tcp", Err: net.ErrClosed}
	case c.link.reset.Load():
		err = &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ECONNRESET)}
	}
	return n, err
}

func (c *memoryConn) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return 0, &net.OpError{Op: "write", Net: "tcp", Err: net.ErrClosed}
	case c.link.reset.Load():
		return 0, &net.OpError{Op: "write", Net: "tcp", Err: os.NewSyscallError("write", syscall.ECONNRESET)}
	case c.link.closed.Load():
		return 0, &net.OpError{Op: "write", Net: "tcp", Err: os.NewSyscallError("write", syscall.EPIPE)}
	}
	c.unsent = append(c.unsent, chunk{time.Now().Add(c.latency), bytes.Clone(b)})
	c.ready.Signal()
	return len(b), nil
}

// SetDeadline sets that of reads: a write never waits.
func (c *memoryConn) SetDeadline(t time.Time) error { return c.Conn.SetReadDeadline(t) }

func (c *memoryConn) SetWriteDeadline(time.Time) error { return nil }

func (c *memoryConn) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

func (c *memoryConn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.link.closed.Store(true)
	c.ready.Signal()
	_ = c.peer.Conn.SetWriteDeadline(time.Unix(0, 0)) // what is on the way to here is lost
	return c.Conn.SetReadDeadline(time.Unix(0, 0))    // and a reader here is woken up
}

// Certificates are valid from notBefore to notAfter. Virtual time begins in the year 2000.
var (
	notBefore = time.Date(1999, time.January, 1, 0, 0, 0, 0, time.UTC)
	notAfter  = time.Date(2099, time.January, 1, 0, 0, 0, 0, time.UTC)
)

// An authority is a CA.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// trusted is the only CA that this process trusts.
var trusted = sync.OnceValue(func() *authority { return newAuthority("trusted") })

func newAuthority(name string) *authority {
	a := &authority{key: newKey()}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: notBefore, NotAfter: notAfter, KeyUsage: x509.KeyUsageCertSign,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, // so that it can sign for itself
	}
	data, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	if err != nil {
		panic(err)
	}
	if a.cert, err = x509.ParseCertificate(data); err != nil {
		panic(err)
	}
	return a
}

func newKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
}

// write writes a's certificate into a file of dir and returns its path.
func (a *authority) write(dir string) string {
	path := filepath.Join(dir, a.cert.Subject.CommonName+".pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw}),
		0o600); err != nil {
		panic(err)
	}
	return path
}

// issue makes a certificate for the loopback address and localhost. change may make it a bad one; it may be nil.
func (a *authority) issue(change func(*x509.Certificate)) tls.Certificate {
	key := newKey()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "server"},
		NotBefore: notBefore, NotAfter: notAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	if change != nil {
		change(template)
	}
	data, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{data}, PrivateKey: key}
}

// trustedConfig is that of a server whose certificate is good.
func trustedConfig() *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{trusted().issue(nil)}}
}

// serveTLS returns an onConnect that speaks TLS with config.
func serveTLS(config *tls.Config) func(int, net.Conn) net.Conn {
	return func(_ int, conn net.Conn) net.Conn { return tls.Server(conn, config) }
}

// dnsServer answers every question for a name by the response code of RFC 1035, and counts the questions.
func dnsServer(t *testing.T, code byte) (dial func(ctx context.Context, network, addr string) (net.Conn, error),
	asked *atomic.Int64) {
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	asked = new(atomic.Int64)
	go func() {
		message := make([]byte, 512)
		for {
			n, from, err := server.ReadFrom(message)
			if err != nil {
				return
			}
			asked.Add(1)
			reply := bytes.Clone(message[:n])
			reply[2] |= 0x80            // a response
			reply[3] = 0x80 | code      // recursion is available
			reply[10], reply[11] = 0, 0 // without the additional record, which requests EDNS
			end := 12 + bytes.IndexByte(reply[12:], 0) + 5
			_, _ = server.WriteTo(reply[:end], from)
		}
	}()
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", server.LocalAddr().String())
	}}
	return (&net.Dialer{Resolver: resolver}).DialContext, asked
}

const (
	serverFailure = 2 // SERVFAIL
	nameError     = 3 // NXDOMAIN
)

// connectError is what a dial that met errno ends with.
func connectError(errno syscall.Errno) error {
	return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", errno)}
}

// tlsServer serves HTTP/1.1 and HTTP/2.
type tlsServer struct{ *http.Server }

func (s tlsServer) Serve(l net.Listener) error { return s.ServeTLS(l, "", "") }
