// Package diga speaks to the Diga API: it publishes agent versions and reads what is published.
//
// Every call keeps an account of what happened on the wire, so that a change that failed can say whether it may have
// been applied all the same.
package diga

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/go-retryablehttp"
)

const (
	attemptTimeout   = 30 * time.Second // of one request: connection, headers and body
	errorBodyTimeout = 5 * time.Second  // of the body of a reply whose status already says that it failed
	maxHeaderBytes   = 64 << 10
	maxBodyBytes     = 1 << 20 // after decompression
)

// Client calls the API for one run of the step. Only BaseURL and Token must be set. It is safe for concurrent use, and
// opens as few connections as the protocol allows: one over HTTP/2, else one for each request under way.
type Client struct {
	BaseURL   *url.URL // scheme, host and an optional path prefix
	Token     string   // sent as "Authorization: Bearer"
	UserAgent string
	RequestID uuid.UUID // sent with every attempt of every request

	// MaxRetries bounds how often a request is sent again. A 429 does not count: it says "queue", not "failed".
	MaxRetries int

	// Dial opens connections; nil means the network.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)

	// Jitter picks a duration d, 0 ≤ d < limit; nil means uniformly at random. It is not called with limit ≤ 0.
	Jitter func(limit time.Duration) time.Duration

	// Attempted hears of each attempt when it is over, and Waiting of each wait before it begins. Both may be nil. Calls
	// that run at the same time report at the same time.
	OnAttempt func(Attempt)
	OnWait    func(Wait)

	connectOnce sync.Once
	transport   *http.Transport
	first       firstConnection
	http1       atomic.Bool // a connection has turned out to speak HTTP/1.1, or there is no other choice
}

// request is what one call sends, the same on each attempt.
type request struct {
	method  string
	path    string // below BaseURL; escaped
	query   url.Values
	body    any // sent as JSON; nil: none
	retries Retries
}

// Tries says whether a read is tried again when it fails. A change always is.
type Retries int

// What a caller can choose.
const (
	WithRetries Retries = iota // under the retry policy
	Once                       // one attempt and no more
)

// newRequest builds r without sending it.
func (c *Client) newRequest(ctx context.Context, r request) (*retryablehttp.Request, error) {
	target := c.BaseURL.JoinPath(r.path)
	target.RawQuery = r.query.Encode()
	var body any
	if r.body != nil {
		data, err := json.Marshal(r.body)
		if err != nil {
			return nil, err
		}
		body = data
	}
	req, err := retryablehttp.NewRequestWithContext(ctx, r.method, target.String(), body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Authorization", "Bearer "+c.Token)
	req.Header.Set("User-Agent", c.UserAgent)
	req.Header.Set("X-Request-Id", c.RequestID.String())
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, nil
}

// attempt is the account of one request and its reply.
type attempt struct {
	wire
	host      string // of the API
	proxy     string // host of the proxy on the way; empty: none
	status    int    // of the reply; 0: none came
	header    http.Header
	body      []byte // the whole body when err is nil, else the part that came
	err       error  // what kept a whole reply from coming
	timedOut  bool   // err is the end of the attempt's own time
	cancelled error  // err is the end of the caller's context, for this cause
	sent      bool   // bytes of the request left this machine
}

// attempt sends req once and reads the whole reply, within attemptTimeout.
func (c *Client) attempt(req *http.Request) attempt {
	c.connectOnce.Do(c.connect)
	caller := req.Context()
	ctx, cancel := context.WithTimeout(caller, attemptTimeout)
	defer cancel()
	connected := c.first.enter(ctx, req.URL)
	defer connected()
	trace := wireTrace{connected: connected, http1: &c.http1}
	req = req.WithContext(httptrace.WithClientTrace(ctx, trace.hooks()))
	if c.http1.Load() && (req.Body == nil || req.Body == http.NoBody) {
		// net/http sends a request without a body again by itself when a reused connection turns out to be closed, and
		// requests that run at the same time hand each other such connections without end. Not over HTTP/2: there the
		// frame that ends an empty body would be sent, and some servers refuse a GET with one.
		req.Body, req.GetBody = io.NopCloser(strings.NewReader("")), nil
	}

	a := attempt{host: req.URL.Host}
	if proxy, _ := c.transport.Proxy(req); proxy != nil {
		a.proxy = proxy.Host
	}
	resp, err := c.transport.RoundTrip(req)
	if err == nil {
		a.status, a.header = resp.StatusCode, resp.Header
		if a.status != http.StatusOK {
			// The status is the answer: a body that dawdles must not hold up what follows from it.
			defer time.AfterFunc(errorBodyTimeout, cancel).Stop()
		}
		a.body, err = readBody(resp)
	}
	if a.err = err; err != nil {
		a.cancelled = context.Cause(caller)
		a.timedOut = a.cancelled == nil && ctx.Err() != nil
	}
	a.wire = trace.result()
	a.sent = a.status != 0 || a.written > 0 || (a.connected && a.http2) // HTTP/2 may write after RoundTrip has returned
	if a.status < 200 || a.status > 599 {
		a.status = 0 // no status that HTTP knows the meaning of
	}
	return a
}

// firstConnection lets one request open the first TLS connection while the others wait: only its handshake tells whether
// they can share it (HTTP/2) or need their own. Plain HTTP has nothing to wait for. The zero value is ready.
type firstConnection struct {
	mu     sync.Mutex
	opened chan struct{} // closed when there is a connection, or when the first attempt at one has failed
}

// enter returns when the caller may open connections, or when ctx ends. The caller must call the function that it
// returns, which may be called many times, when it has a connection or has failed to get one.
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
	case <-ctx.Done():
	}
	return func() {}
}

// readBody reads the whole decoded body, maxBodyBytes at most, and closes it.
func readBody(resp *http.Response) ([]byte, error) {
	defer resp.Body.Close()
	if resp.StatusCode < 200 || resp.StatusCode > 599 {
		return nil, fmt.Errorf("%w: status %q", errMalformed, resp.Status)
	}
	if coding := resp.Header.Get("Content-Encoding"); coding != "" && coding != "identity" {
		return nil, fmt.Errorf("%w: a body in the encoding %q, which was not asked for", errMalformed, coding)
	}
	var body bytes.Buffer
	n, err := body.ReadFrom(io.LimitReader(resp.Body, maxBodyBytes+1))
	if err == nil && n > maxBodyBytes {
		return nil, errTooLarge
	}
	return body.Bytes(), err
}

// connect prepares the transport. It follows no redirect (only an http.Client does) and reads nothing without a bound.
func (c *Client) connect() {
	dial := c.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	c.http1.Store(c.BaseURL.Scheme == "http")
	if c.BaseURL.Scheme == "https" {
		// Reading a hundred and more root certificates takes as long as a handshake. It is done once in a process, and
		// here while the network is waited for.
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
		ForceAttemptHTTP2:      true, // a DialContext of one's own would turn it off
		MaxResponseHeaderBytes: maxHeaderBytes,
	}
}

// Close closes the connection.
func (c *Client) Close() {
	if c.transport != nil {
		c.transport.CloseIdleConnections()
	}
}

// proxyFromEnvironment is http.ProxyFromEnvironment with a type for its one error: it trusts no HTTP_PROXY where
// REQUEST_METHOD is set, as a web server does for CGI.
func proxyFromEnvironment(req *http.Request) (*url.URL, error) {
	proxy, err := http.ProxyFromEnvironment(req)
	if err != nil {
		return nil, &proxyError{err: err}
	}
	return proxy, nil
}

// wire is what is known of the connection that served an attempt.
type wire struct {
	connected       bool  // there was a connection
	reused          bool  // and an earlier request had opened it
	http2           bool  // and it speaks HTTP/2
	written         int64 // bytes written to it since the attempt got it
	handshakeFailed bool  // there was none, for the TLS handshake failed
}

// wireTrace observes an attempt from inside net/http, which may call its hooks from goroutines that outlive it.
type wireTrace struct {
	connected func()       // called when there is a connection
	http1     *atomic.Bool // set when it speaks HTTP/1.1

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
			for secure, ok := conn.(*tls.Conn); ok; secure, ok = conn.(*tls.Conn) { // two, where a proxy speaks TLS
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

// countingConn counts the bytes written to a connection. They decide whether a request without a reply can have
// reached the server; httptrace.WroteRequest does not, for it is called when the request is still in a buffer.
type countingConn struct {
	net.Conn
	written atomic.Int64
}

func (c *countingConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.written.Add(int64(n))
	return n, err
}
