package sandbox

import "time"

// limit is a token bucket of n requests per interval, stored as the time at which it will be full again (the generic
// cell rate algorithm). The zero value limits nothing.
type limit struct {
	interval   time.Duration
	step       time.Duration // interval/n, the time to refill one token
	full       time.Time
	retryAfter bool
}

// Limit allows n requests per interval, with bursts of up to n, over all methods and tokens. Requests above the limit
// get a 429 and, if retryAfter is set, a Retry-After header in seconds. n = 0 removes the limit.
func (s *Sandbox) Limit(n int, interval time.Duration, retryAfter bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limit = limit{}
	if n > 0 {
		s.limit = limit{interval: interval, step: interval / time.Duration(n), retryAfter: retryAfter}
	}
}

// take takes a token and returns 0, or returns how long until one is available.
func (l *limit) take(now time.Time) time.Duration {
	if l.full.Before(now) {
		l.full = now
	}
	if wait := l.full.Add(l.step - l.interval).Sub(now); wait > 0 {
		return wait
	}
	l.full = l.full.Add(l.step)
	return 0
}
