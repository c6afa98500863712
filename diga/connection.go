package diga

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

// connect prepares the transport. It opens no connection.
func (c *Client) connect() {
	dial := c.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	c.http1.Store(c.BaseURL.Scheme == "http")
	if c.BaseURL.Scheme == "https" {
		// Parsing the system roots takes as long as a handshake. Start early; the result is cached.
		go func() { _, _ = x509.SystemCertPool() }()
	}
	c.transport = &http.Transport{
		Proxy: proxyFromEnvironment,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dial(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			return &countingConn{Conn: conn}, nil
		},
		OnProxyConnectResponse: func(_ context.Context, proxy *url.URL, _ *http.Request, resp *http.Response) error {
			if resp.StatusCode == http.StatusOK {
				return nil
			}
			return &proxyError{status: resp.StatusCode}
		},
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2:      true, // setting DialContext turns it off
		MaxResponseHeaderBytes: maxHeaderBytes,
	}
}

// proxyFromEnvironment wraps http.ProxyFromEnvironment to give its errors a type. It fails for an invalid URL, and for
// HTTP_PROXY if REQUEST_METHOD is set, as in a CGI program.
func proxyFromEnvironment(req *http.Request) (*url.URL, error) {
	proxy, err := http.ProxyFromEnvironment(req)
	if err != nil {
		return nil, &proxyError{err: err}
	}
	return proxy, nil
}

// proxyError is a proxy's refusal to connect, or net/http's refusal to use the proxy from the environment.
type proxyError struct {
	status int // of the response to CONNECT; 0: net/http refused, with err
	err    error
}

func (e *proxyError) Error() string { return "using the proxy" }

func (e *proxyError) Unwrap() error { return e.err }

// firstConnectionWait is how long requests wait for another's handshake before they open connections of their own.
const firstConnectionWait = 1500 * time.Millisecond

// firstConnection lets one request open the first TLS connection while the others wait: its handshake shows whether
// they can share it (HTTP/2) or need their own. Plain HTTP does not wait. The zero value is ready for use.
type firstConnection struct {
	mu     sync.Mutex
	opened chan struct{} // made by the first request; closed when it has a connection or could not get one
}

// enter returns when the caller may open a connection, or when ctx ends. The caller must call connected at least once,
// when it has a connection or could not get one.
func (f *firstConnection) enter(ctx context.Context, target *url.URL) (connected func()) {
	if target.Scheme != "https" {
		return func() {}
	}
	f.mu.Lock()
	first := f.opened == nil
	if first {
		f.opened = make(chan struct{})
	}
	f.mu.Unlock()
	if first {
		return sync.OnceFunc(func() { close(f.opened) })
	}
	select {
	case <-f.opened:
	case <-time.After(firstConnectionWait): // one connection that hangs must not take the others with it
	case <-ctx.Done():
	}
	return func() {}
}

// wire is what is known about an attempt's connection. The zero value means that there was none.
type wire struct {
	connected       bool
	reused          bool  // an earlier request had opened it
	http2           bool  // it speaks HTTP/2
	written         int64 // bytes written to it since the attempt got it
	handshakeFailed bool  // the TLS handshake failed, so there was no connection
}

// wireTrace observes an attempt from inside net/http, which may call the hooks from goroutines that outlive the attempt.
type wireTrace struct {
	connected func()       // called when there is a connection
	http1     *atomic.Bool // set when that connection speaks HTTP/1.1

	mu   sync.Mutex
	wire wire
	conn *countingConn
}

func (t *wireTrace) hooks() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		TLSHandshakeDone: func(_ tls.ConnectionState, err error) {
			t.mu.Lock()
			defer t.mu.Unlock()
			t.wire.handshakeFailed = err != nil
		},
		GotConn: func(info httptrace.GotConnInfo) {
			defer t.connected()
			t.mu.Lock()
			defer t.mu.Unlock()
			t.wire = wire{connected: true, reused: info.Reused}
			conn := info.Conn
			if secure, ok := conn.(*tls.Conn); ok {
				t.wire.http2 = secure.ConnectionState().NegotiatedProtocol == "h2"
			}
			if !t.wire.http2 {
				t.http1.Store(true)
			}
			for secure, ok := conn.(*tls.Conn); ok; secure, ok = conn.(*tls.Conn) { // twice, if the proxy speaks TLS
				conn = secure.NetConn()
			}
			if t.conn, _ = conn.(*countingConn); t.conn != nil {
				t.wire.written = -t.conn.written.Load()
			}
		},
	}
}

func (t *wireTrace) result() wire {
	t.mu.Lock()
	defer t.mu.Unlock()
	w := t.wire
	if t.conn != nil {
		w.written += t.conn.written.Load()
	}
	return w
}

// countingConn counts the bytes written to a connection. They show whether a request that got no response can have
// reached the server. httptrace.WroteRequest cannot: it is called while the request is still in a buffer.
type countingConn struct {
	net.Conn
	written atomic.Int64
}

func (c *countingConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.written.Add(int64(n))
	return n, err
}
