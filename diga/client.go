// Package diga is a client for the Diga API. It publishes agent versions and reads what is live.
//
// Each call records what happened on the wire, so that a failed change can say whether it may still have been applied.
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

// Client calls the API. BaseURL and Token are required. It is safe for concurrent use and opens as few connections as the
// protocol allows: one over HTTP/2, otherwise one for each request in flight.
type Client struct {
	BaseURL   *url.URL // scheme, host and an optional path prefix
	Token     string   // sent as "Authorization: Bearer"
	UserAgent string
	RequestID uuid.UUID // sent with every attempt of every request

	// MaxRetries is the most retries of one request. Retries after a 429 do not count: it means "queue", not "failed".
	MaxRetries int

	// Dial opens connections; nil means the network.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)

	// Jitter returns a duration in [0, limit), limit > 0; nil means uniformly at random.
	Jitter func(limit time.Duration) time.Duration

	// BeforeRetry is called before each retry of a change, after the wait. An error ends the call with the cause Stopped.
	// nil: nothing is called.
	BeforeRetry func(context.Context) error

	// OnAttempt is called after each attempt and OnWait before each wait. Both may be nil. Concurrent calls call them
	// concurrently.
	OnAttempt func(Attempt)
	OnWait    func(Wait)

	connectOnce sync.Once
	transport   *http.Transport
	first       firstConnection
	http1       atomic.Bool // a connection has negotiated HTTP/1.1, or nothing else is possible
}

// request is what a call sends, the same on every attempt.
type request struct {
	method  string
	path    string // below BaseURL; escaped
	query   url.Values
	body    any // sent as JSON; nil: none
	retries Retries
}

// Retries says whether a failed read is retried. A change always is.
type Retries int

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

// Close closes idle connections.
func (c *Client) Close() {
	if c.transport != nil {
		c.transport.CloseIdleConnections()
	}
}
