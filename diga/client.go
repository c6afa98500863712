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

// Client calls the API for one run of the step. Only BaseURL and Token must be set. It keeps one connection and sends
// one request at a time; it is not safe for concurrent use.
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

	// Attempted hears of each attempt when it is over, and Waiting of each wait before it begins. Both may be nil.
	Attempted func(Attempt)
	Waiting   func(Wait)

	connectOnce sync.Once
	transport   *http.Transport
}

// request is what one call sends, the same on each attempt.
type request struct {
	method string
	path   string // below BaseURL; escaped
	query  url.Values
	body   any  // sent as JSON; nil: none
	once   bool // one attempt and no more
}

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
	host   string // of the API
	proxy  string // host of the proxy on the way; empty: none
	status int    // of the reply; 0: none came
	header http.Header
	body   []byte // the whole body when err is nil, else the part that came
	err    error  // what kept a whole reply from coming
	late   bool   // err is the end of the attempt's own time
	cut    error  // err is the end of the caller's context, for this cause
	sent   bool   // bytes of the request left this machine
}

// attempt sends req once and reads the whole reply, within attemptTimeout.
func (c *Client) attempt(req *http.Request) attempt {
	c.connectOnce.Do(c.connect)
	caller := req.Context()
	ctx, cancel := context.WithTimeout(caller, attemptTimeout)
	defer cancel()
	var trace wireTrace
	req = req.WithContext(httptrace.WithClientTrace(ctx, trace.hooks()))

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
		a.cut = context.Cause(caller)
		a.late = a.cut == nil && ctx.Err() != nil
	}
	a.wire = trace.result()
	a.sent = a.status != 0 || a.written > 0 || (a.got && a.http2) // HTTP/2 may write after RoundTrip has returned
	if a.status < 200 || a.status > 599 {
		a.status = 0 // no status that HTTP knows the meaning of
	}
	return a
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
	got             bool  // there was a connection
	reused          bool  // and an earlier request had opened it
	http2           bool  // and it speaks HTTP/2
	written         int64 // bytes written to it since the attempt got it
	handshakeFailed bool  // there was none, for the TLS handshake failed
}

// wireTrace observes an attempt from inside net/http, which may call its hooks from goroutines that outlive it.
type wireTrace struct {
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
			t.mu.Lock()
			defer t.mu.Unlock()
			t.wire = wire{got: true, reused: info.Reused}
			conn := info.Conn
			if secure, ok := conn.(*tls.Conn); ok {
				t.wire.http2 = secure.ConnectionState().NegotiatedProtocol == "h2"
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
