package publish_test

import (
	"context"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing/synctest"
	"time"
)

// memoryNetwork is a network in memory with one server in it. It works in virtual time, and only there.
type memoryNetwork struct {
	incoming chan net.Conn
	turn     chan struct{} // holds the right to wait for everybody else
	closed   chan struct{}
	once     sync.Once
}

func newMemoryNetwork() *memoryNetwork {
	return &memoryNetwork{incoming: make(chan net.Conn), turn: make(chan struct{}, 1), closed: make(chan struct{})}
}

// dial returns when the server has done with the new connection what it does before it hears a word.
func (l *memoryNetwork) dial(context.Context) (net.Conn, error) {
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
	near, far := newMemoryConn()
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

// memoryConn is one end of a connection in memory. Unlike net.Pipe's it takes what is written before it is read, and its
// errors are those of a socket.
type memoryConn struct {
	net.Conn
	peer *memoryConn
	link *connState

	mu     sync.Mutex
	ready  *sync.Cond
	unsent []byte // written here, not yet read there
	closed bool
}

// connState is what the two ends of a connection know of it.
type connState struct {
	closed atomic.Bool // one end is closed
	reset  atomic.Bool // and that was a reset
}

func newMemoryConn() (near, far *memoryConn) {
	a, b := net.Pipe()
	link := new(connState)
	near, far = &memoryConn{Conn: a, link: link}, &memoryConn{Conn: b, link: link}
	near.peer, far.peer = far, near
	for _, end := range []*memoryConn{near, far} {
		end.ready = sync.NewCond(&end.mu)
		go end.deliver()
	}
	return near, far
}

// deliver hands over what was written, and then the end.
func (c *memoryConn) deliver() {
	defer c.Conn.Close()
	for {
		c.mu.Lock()
		for len(c.unsent) == 0 && !c.closed {
			c.ready.Wait()
		}
		chunk := c.unsent
		c.unsent = nil
		c.mu.Unlock()
		if len(chunk) == 0 || c.link.reset.Load() {
			return
		}
		if _, err := c.Conn.Write(chunk); err != nil {
			return
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
	c.unsent = append(c.unsent, b...)
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
