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

// received is what a client receives over a real connection: the status, or 0 if there was no response, and the body, with
// an ellipsis if it was truncated.
type received struct {
	status int
	body   string
}

func patchOver(t *testing.T, server *httptest.Server) (received, http.Header) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "PATCH", server.URL+publishPath, strings.NewReader(publishNext))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = http.Header{"Authorization": {"Bearer " + Token}, "Content-Type": {"application/json"}}
	reply, err := server.Client().Do(r)
	if err != nil {
		return received{}, nil
	}
	defer reply.Body.Close()
	body, err := io.ReadAll(reply.Body)
	if err != nil {
		body = append(body, "…"...)
	}
	return received{reply.StatusCode, string(body)}, reply.Header
}

func TestFaults(t *testing.T) {
	const full = `{"agent_id":"` + FrontDesk + `","published_version_id":"` + NextID + `","outbound_phone_number_id":null,"inbound_phone_number_id":"` + Reception + `"}`
	tests := []struct {
		name    string
		faults  []Fault
		want    []received
		applied []bool // after each request
	}{
		{"none", nil, []received{{200, full}}, []bool{true}},
		{"the zero fault", []Fault{{}, {Status: 503}}, []received{{200, full}, {503, ""}}, []bool{true, true}},
		{"a sequence", []Fault{{Status: 503}, {Status: 500, Body: "{}"}}, []received{{503, ""}, {500, "{}"}, {200, full}}, []bool{false, false, true}},
		{"twice", []Fault{{Status: 503, Times: 2}}, []received{{503, ""}, {503, ""}, {200, full}}, []bool{false, false, true}},
		{"all requests", []Fault{{Status: 503, Times: -1}, {Status: 418}}, []received{{503, ""}, {503, ""}, {503, ""}}, []bool{false, false, false}},
		{"for another method", []Fault{{Method: "GET", Status: 503}}, []received{{200, full}}, []bool{true}},
		{"a gateway that lost the reply", []Fault{{Status: 502, Applied: true}}, []received{{502, ""}}, []bool{true}},
		{"a dropped request", []Fault{{Drop: DropReply}}, []received{{}}, []bool{false}},
		{"a lost reply", []Fault{{Drop: DropReply, Applied: true}}, []received{{}, {200, full}}, []bool{true, true}},
		{"a truncated reply", []Fault{{Drop: DropBody}}, []received{{200, full[:len(full)/2] + "…"}}, []bool{true}},
		{"a truncated error", []Fault{{Drop: DropBody, Status: 500, Body: "12345678"}}, []received{{500, "1234…"}}, []bool{false}},
		{"another reply", []Fault{{Body: "[]"}}, []received{{200, "[]"}}, []bool{true}},
		{"applied at once", []Fault{{Applied: true}}, []received{{200, full}}, []bool{true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := New()
			server := httptest.NewServer(s)
			defer server.Close()
			s.Inject(tt.faults...)
			for i, want := range tt.want {
				// net/http repeats a request by itself if a reused connection breaks.
				server.Client().CloseIdleConnections()
				if got, _ := patchOver(t, server); got != want {
					t.Errorf("request %d: got %+v, want %+v", i+1, got, want)
				}
				wantApplied(t, s, tt.applied[i])
			}
			if got := len(s.Requests()); got != len(tt.want) {
				t.Errorf("got %d requests, want %d", got, len(tt.want))
			}
			wantNoViolations(t, s)
		})
	}
}

func TestFaultsPerformARequestOnce(t *testing.T) {
	for _, f := range []Fault{{}, {Applied: true}, {Applied: true, Status: 502}, {Applied: true, Delay: 1}} {
		calls := 0
		f.respond(t.Context(), func() response { calls++; return errorResponse(404, "A", "b") })
		if calls != 1 {
			t.Errorf("%+v: performed %d times", f, calls)
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
	if _, header := patchOver(t, server); !slices.Equal(header["Retry-After"], []string{"7", "8"}) || header.Get("Content-Type") != "text/html" {
		t.Errorf("got %v", header)
	}
	if _, header := patchOver(t, server); header.Get("Set-Cookie") != "a=b" || header.Get("Content-Type") != "application/json" {
		t.Errorf("got %v", header)
	}
}

func TestFaultsDoNotHideViolations(t *testing.T) {
	s := New()
	s.Inject(Fault{Status: 503})
	patch(s, `{"version":"v1"}`)
	if got := s.Violations(); len(got) != 1 {
		t.Errorf("got %q", got)
	}
}

// serve publishes NextID, and reports whether the connection was aborted.
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
		cancel  time.Duration // when the client disconnects; 0: never
		elapsed time.Duration
		status  int
		applied bool
	}{
		{"a slow reply", Fault{Delay: 5 * time.Second}, 0, 5 * time.Second, 200, true},
		{"a slow error", Fault{Delay: 5 * time.Second, Status: 504}, 0, 5 * time.Second, 504, false},
		{"a slow disconnection", Fault{Delay: 5 * time.Second, Drop: DropReply}, 0, 5 * time.Second, 0, false},
		{"the client disconnects before the change", Fault{Delay: time.Hour}, time.Minute, time.Minute, 0, false},
		{"the client disconnects after the change", Fault{Delay: time.Hour, Applied: true}, time.Minute, time.Minute, 0, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := New()
				s.Inject(tt.fault)
				ctx := t.Context()
				if tt.cancel > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, tt.cancel)
					defer cancel()
				}
				start := time.Now()
				status, aborted := serve(ctx, s)
				if elapsed := time.Since(start); elapsed != tt.elapsed || status != tt.status || aborted != (status == 0) {
					t.Errorf("got %d after %v (aborted: %v), want %d after %v", status, elapsed, aborted, tt.status, tt.elapsed)
				}
				wantApplied(t, s, tt.applied)
				if got := s.Requests()[0].Time; !got.Equal(start) {
					t.Errorf("recorded at %v, want %v", got, start)
				}
			})
		})
	}
}

func TestFaultMatchesMethodAndPath(t *testing.T) {
	const phones = "/v1/phone/?inbound_agent_id=" + FrontDesk
	s := New()
	s.Inject(
		Fault{Method: "GET", Path: "/v1/phone/", Status: 503, Times: 2},
		Fault{Method: "GET", Path: "is_published=true", Status: 502},
		Fault{Path: "/v1/phone/", Status: 500, Times: -1}, // matches no PATCH
	)
	for i, tt := range []struct {
		method, target, body string
		want                 int
	}{
		{"GET", listPath, "", 200}, {"GET", livePath, "", 502}, {"GET", livePath, "", 200}, {"GET", phones, "", 503},
		{"GET", "/v1/phone/" + Switch, "", 503}, {"GET", phones, "", 200}, {"PATCH", publishPath, publishNext, 200},
	} {
		if got, _ := send(s, newRequest(tt.method, tt.target, tt.body)); got != tt.want {
			t.Errorf("request %d: %s: got %d, want %d", i+1, tt.target, got, tt.want)
		}
	}
	wantNoViolations(t, s)
}
