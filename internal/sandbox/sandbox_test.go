package sandbox

import (
	"net/http"
	"testing"
	"time"
)

func TestTokens(t *testing.T) {
	tests := []struct {
		name          string
		method        string
		authorization []string
		status        int
		code          string
		violations    int
	}{
		{"none", "PATCH", nil, 401, "UNAUTHORIZED", 1},
		{"another scheme", "PATCH", []string{"Basic " + Token}, 401, "UNAUTHORIZED", 1},
		{"an empty one", "GET", []string{"Bearer "}, 401, "UNAUTHORIZED", 1},
		{"two", "GET", []string{"Bearer " + Token, "Bearer " + ReadToken}, 401, "UNAUTHORIZED", 1},
		{"an unknown one", "PATCH", []string{"Bearer nobody"}, 401, "UNAUTHORIZED", 0},
		{"publishing with one that may read", "PATCH", []string{"Bearer " + ReadToken}, 403, "INTERNAL_SERVER_ERROR", 0},
		{"reading with one that may read", "GET", []string{"Bearer " + ReadToken}, 200, "", 0},
		{"a scheme in lower case", "PATCH", []string{"bearer " + Token}, 200, "", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := New()
			r := newRequest("PATCH", publishPath, publishNext)
			if tt.method == "GET" {
				r = newRequest("GET", agentPath, "")
			}
			r.Header["Authorization"] = tt.authorization
			status, body := send(s, r)
			wantError(t, status, body, tt.status, tt.code)
			if got := s.Violations(); len(got) != tt.violations {
				t.Errorf("violations: got %q, want %d", got, tt.violations)
			}
		})
	}
}

func TestRequestsAreRecorded(t *testing.T) {
	s, start := New(), time.Now()
	patch(s, publishNext)
	get(s, "/v1/agent/front%2Fdesk?limit=1")
	got := s.Requests()
	if len(got) != 2 || got[0].Time.Before(start) || got[1].Time.Before(got[0].Time) {
		t.Fatalf("got %+v", got)
	}
	header := http.Header{"Authorization": {"Bearer " + Token}, "Content-Type": {"application/json"}}
	if r := got[0]; r.Method != "PATCH" || r.Path != publishPath || r.RawQuery != "" || r.Header.Get("Authorization") != header.Get("Authorization") || len(r.Header) != len(header) || r.Body != publishNext {
		t.Errorf("got %+v", r)
	}
	if r := got[1]; r.Method != "GET" || r.Path != "/v1/agent/front%2Fdesk" || r.RawQuery != "limit=1" || r.Body != "" {
		t.Errorf("got %+v, want the target as it was sent", r)
	}
}
