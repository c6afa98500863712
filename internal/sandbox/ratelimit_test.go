package sandbox

import (
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

func TestRateLimit(t *testing.T) {
	type step struct {
		at         time.Duration
		status     int
		retryAfter string
	}
	tests := []struct {
		name       string
		n          int
		interval   time.Duration
		retryAfter bool
		steps      []step
	}{
		{"a burst, then one by one", 3, 30 * time.Second, true, []step{
			{0, 200, ""}, {0, 200, ""}, {0, 200, ""}, {0, 429, "10"}, {time.Second, 429, "9"}, {9500 * time.Millisecond, 429, "1"},
			{10 * time.Second, 200, ""}, {10 * time.Second, 429, "10"}, {time.Minute, 200, ""}, {time.Minute, 200, ""}, {time.Minute, 200, ""}, {time.Minute, 429, "10"},
		}},
		{"without the header", 1, time.Minute, false, []step{{0, 200, ""}, {59 * time.Second, 429, ""}, {time.Minute, 200, ""}}},
		{"an interval that n does not divide", 3, time.Second, true, []step{{0, 200, ""}, {0, 200, ""}, {0, 200, ""}, {0, 429, "1"}, {time.Second, 200, ""}}},
		{"none", 0, time.Minute, true, []step{{0, 200, ""}, {0, 200, ""}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := New()
				s.Limit(1, time.Hour, true)
				s.Limit(tt.n, tt.interval, tt.retryAfter)
				start := time.Now()
				for i, step := range tt.steps {
					<-time.After(step.at - time.Since(start))
					w := httptest.NewRecorder()
					s.ServeHTTP(w, newRequest("PATCH", publishPath, publishNext))
					if w.Code != step.status || w.Header().Get("Retry-After") != step.retryAfter {
						t.Errorf("step %d: got %d, Retry-After %q, want %+v", i+1, w.Code, w.Header().Get("Retry-After"), step)
					}
				}
				wantNoViolations(t, s)
			})
		})
	}
}

func TestRateLimitedRequestsTakeNoFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New()
		s.Limit(1, time.Minute, true)
		s.Inject(Fault{}, Fault{Status: 503})
		get(s, listPath)
		for i, want := range []int{429, 200, 503} {
			if got, _ := patch(s, publishNext); got != want {
				t.Errorf("request %d: got %d, want %d", i+2, got, want)
			}
			wantApplied(t, s, i > 0)
			<-time.After(time.Minute)
		}
	})
}
