// Package diga is a client for the Diga API. It publishes versions of an agent, binds them to phone numbers, and reads
// both.
//
// Requests are retried. Errors report what went wrong and, for a change, whether it may have been applied anyway: see
// [Error] and [Effect].
//
// The publish operation follows the API's OpenAPI document; the reads follow its public reference.
package diga

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/go-retryablehttp"
)

// Client calls the API. BaseURL and Token are required; the fields must not change after the first call.
//
// It is safe for concurrent use and opens as few connections as the protocol allows: one over HTTP/2, otherwise one for
// each request in flight. It honors the proxy variables of the environment, verifies certificates against the system
// roots, requires TLS 1.2 and follows no redirect. A request takes at most 30 s. A response may have at most 64 KiB of
// headers and, after decompression, 1 MiB of body.
//
// A request is retried after connection errors, timeouts, truncated responses and the statuses 408, 429, 500, 502, 503,
// 504 and 520 to 524. The wait before retry n (from 0) is random, from d/2 to d, with d = min(20 s, 1 s × 2ⁿ), or
// min(20 s, 2 s × 2ⁿ) after a 429 without a Retry-After header. If that header is present, it is the minimum, and the
// wait is up to 20 s longer. If a retry could not start at least 250 ms before the context's deadline, the call returns
// the last attempt's error at once.
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

	// BeforeRetry is called before each retry of a change, after the wait. An error ends the call with the cause Stopped.
	// It may be nil.
	BeforeRetry func(context.Context) error

	// OnAttempt is called after each attempt, and OnWait before each wait for the next. Both may be nil. They are
	// called concurrently if requests are sent concurrently, which a single call of VersionNamed may do.
	OnAttempt func(Attempt)
	OnWait    func(Wait)

	connectOnce sync.Once
	transport   *http.Transport
	first       firstConnection
	http1       atomic.Bool // a connection has negotiated HTTP/1.1, or nothing else is possible
}

// request is what every attempt of a call sends.
type request struct {
	method  string
	path    string // below BaseURL; escaped
	query   url.Values
	body    any // sent as JSON; nil means no body
	retries Retries
}

// Retries says whether a failed read is retried. Publish always retries.
type Retries int

const (
	WithRetries Retries = iota // as described at Client
	Once                       // one attempt per request
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

// Close closes the connections that no request is using.
func (c *Client) Close() {
	if c.transport != nil {
		c.transport.CloseIdleConnections()
	}
}
