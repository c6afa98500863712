package sandbox

import (
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func readVersion(t *testing.T, s *Sandbox, agentID, versionID string) map[string]any {
	t.Helper()
	status, body := send(s, newRequest("GET", "/v1/agent/"+agentID+"?version_id="+versionID, ""))
	if status != 200 {
		t.Fatalf("got %d %v", status, body)
	}
	return body
}

func TestConfiguration(t *testing.T) {
	identity := []string{"version_id", "version_number", "version_name", "is_published", "modified_at", "version_created_at"}
	tests := []struct {
		name     string
		from, to string
		changed  []string
	}{
		{"the live version and the next", LiveID, NextID, []string{"call_tools", "prompt", "voice"}},
		{"two older versions", OldestID, LiveID, nil},
	}
	s := New()
	for _, tt := range tests {
		from, to := readVersion(t, s, FrontDesk, tt.from), readVersion(t, s, FrontDesk, tt.to)
		var changed []string
		for field := range from {
			if !slices.Contains(identity, field) && !reflect.DeepEqual(from[field], to[field]) {
				changed = append(changed, field)
			}
		}
		slices.Sort(changed)
		if !slices.Equal(changed, tt.changed) {
			t.Errorf("%s: got the changes %q, want %q", tt.name, changed, tt.changed)
		}
		for _, v := range []map[string]any{from, to} {
			if n := strings.Count(v["prompt"].(string), "\n"); n < 18 || n > 24 {
				t.Errorf("%s: got a prompt of %d lines", tt.name, n)
			}
		}
	}
	lines := func(id string) map[string]bool {
		set := map[string]bool{}
		for line := range strings.Lines(readVersion(t, s, FrontDesk, id)["prompt"].(string)) {
			set[line] = true
		}
		return set
	}
	live, next := lines(LiveID), lines(NextID)
	gone, came := 0, 0
	for line := range live {
		if !next[line] {
			gone++
		}
	}
	for line := range next {
		if !live[line] {
			came++
		}
	}
	if gone != 3 || came != 3 {
		t.Errorf("got %d lines less and %d more in the prompt", gone, came)
	}
	if _, there := readVersion(t, s, NightDesk, NightID)["prompt"]; there {
		t.Error("Night desk has a configuration")
	}
	wantNoViolations(t, s)
}

// The client reads at most 1 MiB; a world that comes near it would test that and nothing else.
func TestPagesAreSmall(t *testing.T) {
	s := New()
	w := httptest.NewRecorder()
	s.ServeHTTP(w, newRequest("GET", listPath+"?limit=100", ""))
	if w.Body.Len() < 100_000 || w.Body.Len() > 400_000 {
		t.Errorf("got %d bytes", w.Body.Len())
	}
	if got := strings.Count(w.Body.String(), integrationKey); got != 100 {
		t.Errorf("got the key %d times", got)
	}
}
