// Package diga is a client for the Diga API. It publishes versions of an agent, binds them to phone numbers, launches
// drafts, and reads all of these.
//
// Requests are retried. Every error is an [*Error]: it says what went wrong and, for a change or a launch, whether it
// may have been made anyway. The operations follow the API's OpenAPI document.
package diga

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

// Client calls the API. BaseURL and Token are required; the fields must not change after the first call.
//
// It is safe for concurrent use, over one connection: over HTTP/1.1, concurrent requests wait for each other. It honors
// the proxy variables of the environment, verifies certificates against the system roots, requires TLS 1.2 and follows
// no redirect. [Fault] says what is retried. If a retry could not start at least 250 ms before the context's deadline,
// the call returns the last attempt's error at once.
type Client struct {
	BaseURL   *url.URL // scheme, host and an optional path prefix
	Token     string   // sent as "Authorization: Bearer"
	UserAgent string
	RequestID uuid.UUID // sent as X-Request-Id with every attempt of every request
	// MaxRetries limits the retries of one request. Retries after a 429, which means "queue", do not count.
	MaxRetries int
	// Dial opens a connection; nil means net.Dialer.DialContext.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Jitter returns a duration in [0, limit) for a limit > 0; nil means uniformly at random.
	Jitter func(limit time.Duration) time.Duration
	// BeforeRetry is called before each retry of a change or a launch, after the wait, with the effect of its attempts
	// so far. An error ends the call with the cause Stopped. It may be nil.
	BeforeRetry func(context.Context, Effect) error
	// OnAttempt is called after each attempt; concurrently if requests are sent concurrently. It may be nil.
	OnAttempt func(Attempt)

	mu        sync.Mutex
	transport *http.Transport // nil: not made yet
	plain     bool            // use neither HTTP/2 nor a TLS hello of more than one packet
}

// connection returns the transport for the next attempt. It opens no connection.
func (c *Client) connection() *http.Transport {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.transport != nil {
		return c.transport
	}
	dial := c.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	if c.BaseURL.Scheme == "https" {
		// Parsing the system roots takes as long as a handshake. Start early; the result is cached.
		go func() { _, _ = x509.SystemCertPool() }()
	}
	c.transport = &http.Transport{
		Proxy: proxyFromEnvironment,
		OnProxyConnectResponse: func(_ context.Context, proxy *url.URL, _ *http.Request, resp *http.Response) error {
			if resp.StatusCode == http.StatusOK {
				return nil
			}
			return proxyError(proxy.Host, resp.StatusCode)
		},
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			// A dial outlives its request, and the next one would wait for it.
			ctx, cancel := context.WithTimeout(ctx, connectTimeout)
			defer cancel()
			return dial(ctx, network, addr)
		},
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    connectTimeout,
		ForceAttemptHTTP2:      !c.plain, // setting DialContext turns it off
		MaxConnsPerHost:        1,
		MaxResponseHeaderBytes: maxHeaderBytes,
	}
	if c.plain {
		c.transport.TLSClientConfig.CurvePreferences = []tls.CurveID{tls.X25519, tls.CurveP256}
	}
	return c.transport
}

// reconnect makes later attempts open a new connection. Plainly means over HTTP/1.1 and with a small TLS hello: the
// server refused to speak HTTP/2, or a TLS handshake was lost, as some middleboxes drop a hello of several packets.
func (c *Client) reconnect(plainly bool) {
	c.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.plain, c.transport = c.plain || plainly, nil
}

// Close closes the connection unless a request is using it.
func (c *Client) Close() { c.connection().CloseIdleConnections() }

// proxyFromEnvironment fails for a value that is not a URL, which http.ProxyFromEnvironment would ignore.
func proxyFromEnvironment(req *http.Request) (*url.URL, error) {
	name := strings.ToUpper(req.URL.Scheme) + "_PROXY"
	value := cmp.Or(os.Getenv(name), os.Getenv(strings.ToLower(name)))
	if !strings.Contains(value, "://") {
		value = "http://" + value
	}
	u, err := url.Parse(value)
	if err != nil || value != "http://" && u.Hostname() == "" || strings.ContainsAny(value, `"'#`) {
		return nil, &Error{Cause: ProxyRefused, Message: name + " is not a URL"}
	}
	proxy, err := http.ProxyFromEnvironment(req)
	if err != nil {
		return nil, &Error{Cause: ProxyRefused, Message: "cannot use the proxy", Said: Foreign(err.Error()), Err: err}
	}
	return proxy, nil
}
