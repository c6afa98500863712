package sandbox

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const publishNext = `{"version_id":"` + NextID + `"}`

// outcome is what a client sees of one request over a real connection: the status, or 0 if the connection ended before
// the reply, and the body, with an ellipsis if the connection ended in it.
type outcome struct {
	status int
	body   string
}

func request(t *testing.T, server *httptest.Server) (outcome, http.Header) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "PATCH", server.URL+publishPath, strings.NewReader(publishNext))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = http.Header{"Authorization": {"Bearer " + Token}, "Content-Type": {"application/json"}}
	reply, err := server.Client().Do(r)
	if err != nil {
		return outcome{}, nil
	}
	defer reply.Body.Close()
	body, err := io.ReadAll(reply.Body)
	if err != nil {
		body = append(body, "…"...)
	}
	return outcome{reply.StatusCode, string(body)}, reply.Header
}

func TestFaults(t *testing.T) {
	const (
		real     = `{"agent_id":"` + FrontDesk + `","published_version_id":"` + NextID + `","outbound_phone_number_id":null,"inbound_phone_number_id":"` + Reception + `"}`
		halfReal = `{"agent_id":"` + FrontDesk + `","published_version_id":"` + NextID + `"`
	)
	tests := []struct {
		name    string
		faults  []Fault
		want    []outcome
		applied []bool // after each request
	}{
		{"none", nil, []outcome{{200, real}}, []bool{true}},
		{"harmless", []Fault{{}, {Status: 503}}, []outcome{{200, real}, {503, ""}}, []bool{true, true}},
		{"a sequence", []Fault{{Status: 503}, {Status: 500, Body: "{}"}}, []outcome{{503, ""}, {500, "{}"}, {200, real}}, []bool{false, false, true}},
		{"twice", []Fault{{Status: 503, Times: 2}}, []outcome{{503, ""}, {503, ""}, {200, real}}, []bool{false, false, true}},
		{"for ever", []Fault{{Status: 503, Times: -1}, {Status: 418}}, []outcome{{503, ""}, {503, ""}, {503, ""}}, []bool{false, false, false}},
		{"for another method", []Fault{{Method: "GET", Status: 503}}, []outcome{{200, real}}, []bool{true}},
		{"a gateway that lost the reply", []Fault{{Status: 502, Applied: true}}, []outcome{{502, ""}}, []bool{true}},
		{"dropped before", []Fault{{Drop: DropReply}}, []outcome{{}}, []bool{false}},
		{"a lost reply", []Fault{{Drop: DropReply, Applied: true}}, []outcome{{}, {200, real}}, []bool{true, true}},
		{"a truncated reply", []Fault{{Drop: DropBody}}, []outcome{{200, real[:len(real)/2] + "…"}}, []bool{true}},
		{"a truncated error", []Fault{{Drop: DropBody, Status: 500, Body: "12345678"}}, []outcome{{500, "1234…"}}, []bool{false}},
		{"another reply", []Fault{{Body: "[]"}}, []outcome{{200, "[]"}}, []bool{true}},
		{"applied at once", []Fault{{Applied: true}}, []outcome{{200, real}}, []bool{true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := New()
			server := httptest.NewServer(s)
			defer server.Close()
			s.Inject(tt.faults...)
			for i, want := range tt.want {
				// A connection of its own for each: the client repeats a request by itself if a used one breaks.
				server.Client().CloseIdleConnections()
				if got, _ := request(t, server); got != want {
					t.Errorf("request %d: got %+v, want %+v", i+1, got, want)
				}
				if version, _, _ := s.Live(FrontDesk); (version == NextID) != tt.applied[i] {
					t.Errorf("request %d: applied: got %s live, want %v", i+1, version, tt.applied[i])
				}
			}
			if got := len(s.Requests()); got != len(tt.want) {
				t.Errorf("got %d requests, want %d", got, len(tt.want))
			}
			wantNoViolations(t, s)
		})
	}
}

func TestFaultsActOnce(t *testing.T) {
	for _, f := range []Fault{{}, {Applied: true}, {Applied: true, Status: 502}, {Applied: true, Delay: 1}} {
		calls := 0
		f.respond(t.Context(), func() response { calls++; return errorResponse(404, "A", "b") })
		if calls != 1 {
			t.Errorf("%+v: acted %d times", f, calls)
		}
	}
}

func TestFaultHeader(t *testing.T) {
	s := New()
	server := httptest.NewServer(s)
	defer server.Close()
	s.Inject(
		Fault{Status: 503, Header: http.Header{"Retry-After": {"7", "8"}, "Content-Type": {"text/html"}}, Body: "<p>"},
		Fault{Header: http.Header{"Set-Cookie": {"a=b"}}},
	)
	if _, header := request(t, server); !slices.Equal(header["Retry-After"], []string{"7", "8"}) || header.Get("Content-Type") != "text/html" {
		t.Errorf("got %v", header)
	}
	if _, header := request(t, server); header.Get("Set-Cookie") != "a=b" || header.Get("Content-Type") != "application/json" {
		t.Errorf("got %v", header)
	}
}

// A request that does not fit is recorded even if a fault hides the sandbox's own answer.
func TestFaultsDoNotHideRequests(t *testing.T) {
	s := New()
	s.Inject(Fault{Status: 503})
	send(s, newRequest("PATCH", publishPath, `{"version":"v1"}`))
	if got := s.Violations(); len(got) != 1 {
		t.Errorf("got %q", got)
	}
}

// serve lets s answer a publish request, and reports whether it ended the connection.
func serve(ctx context.Context, s *Sandbox) (status int, aborted bool) {
	defer func() {
		if err, ok := recover().(error); ok && errors.Is(err, http.ErrAbortHandler) {
			aborted = true
		}
	}()
	w := httptest.NewRecorder()
	s.ServeHTTP(w, newRequest("PATCH", publishPath, publishNext).WithContext(ctx))
	return w.Code, false
}

func TestDelay(t *testing.T) {
	tests := []struct {
		name    string
		fault   Fault
		leave   time.Duration // when the client leaves; 0: never
		elapsed time.Duration
		status  int
		applied bool
	}{
		{"a slow reply", Fault{Delay: 5 * time.Second}, 0, 5 * time.Second, 200, true},
		{"a slow error", Fault{Delay: 5 * time.Second, Status: 504}, 0, 5 * time.Second, 504, false},
		{"a slow end", Fault{Delay: 5 * time.Second, Drop: DropReply}, 0, 5 * time.Second, 0, false},
		{"the client leaves before the change", Fault{Delay: time.Hour}, time.Minute, time.Minute, 0, false},
		{"the client leaves after the change", Fault{Delay: time.Hour, Applied: true}, time.Minute, time.Minute, 0, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := New()
				s.Inject(tt.fault)
				ctx := t.Context()
				if tt.leave > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, tt.leave)
					defer cancel()
				}
				start := time.Now()
				status, aborted := serve(ctx, s)
				if elapsed := time.Since(start); elapsed != tt.elapsed || status != tt.status || aborted != (status == 0) {
					t.Errorf("got %d after %v (aborted: %v), want %d after %v", status, elapsed, aborted, tt.status, tt.elapsed)
				}
				if version, _, _ := s.Live(FrontDesk); (version == NextID) != tt.applied {
					t.Errorf("got %s live, want applied: %v", version, tt.applied)
				}
				if got := s.Requests()[0].Time; !got.Equal(start) {
					t.Errorf("recorded at %v, want %v", got, start)
				}
			})
		})
	}
}

func TestLimit(t *testing.T) {
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

// A request that the limit turns away changes nothing and takes no fault with it.
func TestLimitComesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New()
		s.Limit(1, time.Minute, true)
		s.Inject(Fault{}, Fault{Status: 503})
		send(s, newRequest("GET", listPath, ""))
		for i, want := range []int{429, 200, 503} {
			if got, _ := send(s, newRequest("PATCH", publishPath, publishNext)); got != want {
				t.Errorf("request %d: got %d, want %d", i+2, got, want)
			}
			if version, _, _ := s.Live(FrontDesk); (version == NextID) != (i > 0) {
				t.Errorf("request %d: got %s live", i+2, version)
			}
			<-time.After(time.Minute)
		}
	})
}
