// Package diga is a client for the Diga API. It publishes versions of an agent, binds them to phone numbers, launches
// drafts, and reads all of these.
//
// Requests are retried. Errors say what went wrong and, for a change, whether it may have been applied anyway: see
// [Error] and [Effect].
//
// The operations follow the API's OpenAPI document.
package diga

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/go-retryablehttp"
)

// Client calls the API. BaseURL and Token are required; the fields must not change after the first call.
//
// It is safe for concurrent use, over one connection: over HTTP/1.1, concurrent requests wait for each other. It honors
// the proxy variables of the environment, verifies certificates against the system roots, requires TLS 1.2 and follows
// no redirect. Connecting takes at most 10 s, a request at most 30 s. A response may have at most 64 KiB of headers,
// and 4 MiB of body after decompression. [Fault] says what is retried, and backoff when. If a retry could not start at
// least 250 ms before the context's deadline, the call returns the last attempt's error at once.
type Client struct {
	BaseURL   *url.URL // scheme, host and an optional path prefix
	Token     string   // sent as "Authorization: Bearer"
	UserAgent string
	RequestID uuid.UUID // sent as X-Request-Id with every attempt of every request

	// MaxRetries limits the retries of one request. Retries after a 429 do not count: that status means "queue", not
	// "failed".
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

const (
	connectTimeout = 10 * time.Second // for a connection, and again for its TLS handshake
	maxHeaderBytes = 64 << 10
)

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
		Proxy:                  proxyFromEnvironment,
		OnProxyConnectResponse: checkProxy,
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

// reconnectPlainly makes later attempts open a new connection, over HTTP/1.1 and with a small TLS hello: the server
// refused to speak HTTP/2, or a TLS handshake was lost, as some middleboxes drop a hello of more than one packet.
func (c *Client) reconnectPlainly() {
	c.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.plain, c.transport = true, nil
}

// Close closes the connection unless a request is using it.
func (c *Client) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.transport != nil {
		c.transport.CloseIdleConnections()
	}
}

// proxyFromEnvironment is http.ProxyFromEnvironment, except that it fails for a value that is not a URL, which that
// would ignore. It also fails for HTTP_PROXY if REQUEST_METHOD is set, as in a CGI program.
func proxyFromEnvironment(req *http.Request) (*url.URL, error) {
	name := strings.ToUpper(req.URL.Scheme) + "_PROXY"
	value := cmp.Or(os.Getenv(name), os.Getenv(strings.ToLower(name)))
	if !strings.Contains(value, "://") {
		value = "http://" + value
	}
	proxy, err := http.ProxyFromEnvironment(req)
	u, notURL := url.Parse(value)
	if notURL != nil || value != "http://" && u.Hostname() == "" || strings.ContainsAny(value, `"'#`) {
		err = errors.New(name + " is not a URL")
	}
	if err != nil {
		return nil, &Error{Cause: ProxyRefused, Message: "cannot use the proxy", Said: Foreign(err.Error()), Err: err}
	}
	return proxy, nil
}

// checkProxy checks a proxy's response to CONNECT.
func checkProxy(_ context.Context, proxy *url.URL, _ *http.Request, resp *http.Response) error {
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	return proxyError(proxy.Host, resp.StatusCode)
}

// proxyError is the error for a proxy's own response.
func proxyError(host string, status int) *Error {
	e := &Error{Cause: ProxyRefused, Message: "the proxy " + host + " returned " + StatusText(status)}
	if statusCause(status, reply{}) == ServerFault {
		e.Cause = ProxyFailed
	}
	return e
}

// request is what every attempt of a call sends.
type request struct {
	method string
	path   string // below BaseURL; escaped
	query  url.Values
	body   map[string]any // of a change or a launch, sent as JSON; nil: the request is a read
	once   bool           // not idempotent: retried only while nothing can have come of it
}

// newRequest builds r without sending it.
func (c *Client) newRequest(ctx context.Context, r request) (*retryablehttp.Request, error) {
	target := c.BaseURL.JoinPath(r.path)
	target.RawQuery = r.query.Encode()
	var body any
	if r.body != nil {
		data, _ := json.Marshal(r.body) // strings and IDs always can be
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
	} else {
		req.Header.Set("Cache-Control", "no-cache") // an old state is worse than none
	}
	return req, nil
}
