package diga

import (
	"math"
	"net/http"
	"strconv"
	"time"
)

const (
	firstBackoff = 1 * time.Second
	firstQueued  = 2 * time.Second // after a 429 without Retry-After
	maxBackoff   = 20 * time.Second
)

// backoff returns the minimum wait before retry n (from 0) and the width of the jitter on top of it, given the status
// of the last response and its Retry-After (0: none). The wait doubles with each retry; half of it is jitter.
//
// Retry-After is a minimum. The jitter is as wide, because clients that start at the same instant all get the same
// value, but shrinks to a quarter with each retry: by then they are spread out, and it would only cost time.
func backoff(n, status int, asked time.Duration) (least, spread time.Duration) {
	first := firstBackoff
	if status == http.StatusTooManyRequests && asked == 0 {
		first = firstQueued
	}
	half := min(first<<min(n, 5), maxBackoff) / 2 // a larger shift could overflow
	least = max(half, asked)
	spread = min(max(half, asked>>(2*n)), maxBackoff)
	return least, min(spread, math.MaxInt64-least) // the sum must not overflow
}

// retryAfter reads the Retry-After header (RFC 9110, section 10.2.3): a number of seconds, rounded up, or a date
// relative to the response's own Date. It returns 0 if there is none, or none that can be used.
func retryAfter(header http.Header, now time.Time) time.Duration {
	values := header.Values("Retry-After")
	if len(values) != 1 {
		return 0
	}
	if n, err := strconv.ParseFloat(values[0], 64); err == nil {
		if n = math.Ceil(n); !(0 <= n && n < math.MaxInt64/float64(time.Second)) {
			return 0
		}
		return time.Duration(n) * time.Second
	}
	at, err := http.ParseTime(values[0])
	if err != nil {
		return 0
	}
	if date, err := http.ParseTime(header.Get("Date")); err == nil {
		now = date
	}
	return max(at.Sub(now), 0)
}
