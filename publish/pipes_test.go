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

// pipes is a network in memory with one server in it. It works in virtual time, and only there.
type pipes struct {
	calls chan net.Conn
	turn  chan struct{} // holds the right to wait for everybody else
	ended chan struct{}
	once  sync.Once
}

func newPipes() *pipes {
	return &pipes{calls: make(chan net.Conn), turn: make(chan struct{}, 1), ended: make(chan struct{})}
}

// dial returns when the server has done with the new connection what it does before it hears a word.
func (l *pipes) dial(context.Context) (net.Conn, error) {
	near, err := l.connect()
	if err != nil {
		return nil, err
	}
	l.turn <- struct{}{}
	synctest.Wait()
	<-l.turn
	return near, nil
}

func (l *pipes) connect() (net.Conn, error) {
	near, far := newPipe()
	select {
	case l.calls <- far:
		return near, nil
	case <-l.ended:
		near.Close()
		far.Close()
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	}
}

func (l *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-l.calls:
		return conn, nil
	case <-l.ended:
		return nil, net.ErrClosed
	}
}

func (l *pipes) Close() error {
	l.once.Do(func() { close(l.ended) })
	return nil
}

func (l *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes", Net: "unix"} }

// pipeEnd is one end of a connection in memory. Unlike net.Pipe's it takes what is written before it is read, and its
// errors are those of a socket.
type pipeEnd struct {
	net.Conn
	other *pipeEnd
	link  *pipeLink

	mu      sync.Mutex
	more    *sync.Cond
	waiting []byte // written here, not yet read there
	closed  bool
}

// pipeLink is what the two ends of a connection know of it.
type pipeLink struct {
	gone   atomic.Bool // one end is closed
	broken atomic.Bool // and that was a reset
}

func newPipe() (near, far *pipeEnd) {
	a, b := net.Pipe()
	link := new(pipeLink)
	near, far = &pipeEnd{Conn: a, link: link}, &pipeEnd{Conn: b, link: link}
	near.other, far.other = far, near
	for _, end := range []*pipeEnd{near, far} {
		end.more = sync.NewCond(&end.mu)
		go end.deliver()
	}
	return near, far
}

// deliver hands over what was written, and then the end.
func (c *pipeEnd) deliver() {
	defer c.Conn.Close()
	for {
		c.mu.Lock()
		for len(c.waiting) == 0 && !c.closed {
			c.more.Wait()
		}
		chunk := c.waiting
		c.waiting = nil
		c.mu.Unlock()
		if len(chunk) == 0 || c.link.broken.Load() {
			return
		}
		if _, err := c.Conn.Write(chunk); err != nil {
			return
		}
	}
}

func (c *pipeEnd) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	switch {
	case err == nil:
	case c.isClosed():
		err = &net.OpError{Op: "read", Net: "tcp", Err: net.ErrClosed}
	case c.link.broken.Load():
		err = &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ECONNRESET)}
	}
	return n, err
}

func (c *pipeEnd) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return 0, &net.OpError{Op: "write", Net: "tcp", Err: net.ErrClosed}
	case c.link.broken.Load():
		return 0, &net.OpError{Op: "write", Net: "tcp", Err: os.NewSyscallError("write", syscall.ECONNRESET)}
	case c.link.gone.Load():
		return 0, &net.OpError{Op: "write", Net: "tcp", Err: os.NewSyscallError("write", syscall.EPIPE)}
	}
	c.waiting = append(c.waiting, b...)
	c.more.Signal()
	return len(b), nil
}

// SetDeadline sets that of reads: a write never waits.
func (c *pipeEnd) SetDeadline(t time.Time) error { return c.Conn.SetReadDeadline(t) }

func (c *pipeEnd) SetWriteDeadline(time.Time) error { return nil }

func (c *pipeEnd) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

func (c *pipeEnd) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.link.gone.Store(true)
	c.more.Signal()
	_ = c.other.Conn.SetWriteDeadline(time.Unix(0, 0)) // what is on the way to here is lost
	return c.Conn.SetReadDeadline(time.Unix(0, 0))     // and a reader here is woken up
}
