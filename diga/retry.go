package diga

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

const (
	firstBackoff = 1 * time.Second
	firstQueued  = 2 * time.Second // after a 429 without Retry-After
	maxBackoff   = 20 * time.Second

	// lastAttempt is the minimum time for an attempt before the deadline. A change that is cut off has an unknown
	// outcome; one that is not sent has simply failed.
	lastAttempt = 250 * time.Millisecond
)

// decide reports whether another attempt follows, and sets the wait before it. It is a retryablehttp.CheckRetry.
func (c *call) decide(ctx context.Context, _ *http.Response, _ error) (bool, error) {
	if c.stopped != nil || c.retries == Once || ctx.Err() != nil || !c.last.retryable() {
		return false, nil
	}
	if c.last.status != http.StatusTooManyRequests {
		if c.counted == c.MaxRetries {
			c.gaveUp = fmt.Sprintf("gave up after %s", plural(c.attempts, "attempt"))
			return false, nil
		}
		c.counted++
	}
	asked, _ := retryAfter(c.last.header, time.Now())
	least, spread := backoff(c.attempts-1, c.last.status, asked)
	if deadline, ok := ctx.Deadline(); ok {
		room := time.Until(deadline) - lastAttempt
		if least > room {
			reason := "the next wait is " + seconds(least)
			if asked > 0 {
				reason = "Retry-After is " + seconds(asked)
			}
			c.gaveUp = fmt.Sprintf("gave up after %s: %s, but only %s remain", plural(c.attempts, "attempt"), reason, seconds(max(room, 0)))
			return false, nil
		}
		spread = min(spread, room-least)
	}
	c.wait = least + c.jitter(spread)
	if c.OnWait != nil {
		c.OnWait(Wait{
			Method: c.method, Path: c.path, After: c.last.toError(),
			Duration: c.wait, Next: c.attempts + 1, Asked: asked,
		})
	}
	return true, nil
}

// backoff returns the minimum wait before retry n (from 0) and the width of the jitter on top of it, given the status
// of the last response and its Retry-After (0: none). The wait doubles with each retry, up to maxBackoff; half of it is
// jitter.
//
// Retry-After is a minimum. The first jitter is as wide as that, because clients that start at the same instant all get
// the same value. It shrinks to a quarter with each retry: by then they are spread out, and more jitter would only cost
// time.
func backoff(n, status int, asked time.Duration) (least, spread time.Duration) {
	first := firstBackoff
	if status == http.StatusTooManyRequests && asked == 0 {
		first = firstQueued
	}
	d := min(first<<min(n, 5), maxBackoff) // a larger shift could overflow
	if asked == 0 {
		return d / 2, d / 2
	}
	least = max(d/2, asked)
	spread = max(min(d, maxBackoff/2), min(asked>>(2*n), maxBackoff))
	return least, min(spread, math.MaxInt64-least) // the sum must not overflow
}

func (c *call) jitter(limit time.Duration) time.Duration {
	switch {
	case limit <= 0:
		return 0
	case c.Jitter != nil:
		return c.Jitter(limit)
	default:
		return rand.N(limit)
	}
}

// retryAfter reads the Retry-After header (RFC 9110, section 10.2.3): a number of seconds, or a date relative to the
// Date header or, if there is none, to now. It returns false if the header is missing, invalid or repeated, or if the
// seconds overflow a time.Duration.
func retryAfter(header http.Header, now time.Time) (time.Duration, bool) {
	values := header.Values("Retry-After")
	if len(values) != 1 {
		return 0, false
	}
	if n, err := strconv.ParseUint(values[0], 10, 63); err == nil && n <= uint64(math.MaxInt64/time.Second) {
		return time.Duration(n) * time.Second, true
	}
	at, err := http.ParseTime(values[0])
	if err != nil {
		return 0, false
	}
	if date, err := http.ParseTime(header.Get("Date")); err == nil {
		now = date
	}
	return max(at.Sub(now), 0), true
}
