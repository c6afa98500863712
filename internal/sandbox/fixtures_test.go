package sandbox

import (
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestVersionsAreAsTheConstantsSay(t *testing.T) {
	s := New()
	names := map[string][]float64{}
	var drafts []float64
	for query := "?limit=100"; query != ""; {
		_, body := get(s, listPath+query)
		for _, item := range body["data"].([]any) {
			v := item.(object)
			name, _ := v["version_name"].(string)
			number := v["version_number"].(float64)
			names[name] = append(names[name], number)
			if v["is_draft"].(bool) {
				drafts = append(drafts, number)
			}
		}
		query = ""
		if body["has_more"].(bool) {
			query = "?limit=100&after=" + body["last_id"].(string)
		}
	}
	if len(s.Requests()) != 3 {
		t.Errorf("got %d pages, want 3", len(s.Requests()))
	}
	for name, want := range map[string][]float64{
		LiveName: {228}, NextName: {229}, DraftName: {230}, OldestName: {1}, SharedName: {200, 20}, "": {226},
	} {
		if !slices.Equal(names[name], want) {
			t.Errorf("versions named %q: got %v, want %v", name, names[name], want)
		}
	}
	if len(names) != Versions-1 || !slices.Equal(drafts, []float64{230, 100}) {
		t.Errorf("got %d names and the drafts %v", len(names), drafts)
	}
	if id := s.AddVersion(NightDesk, NextName, true); id != "b2000000-0000-4000-8000-000000000004" {
		t.Errorf("got the id %s", id)
	}
	wantNoViolations(t, s)
}

func TestConfigurationChangesAfterTheLiveVersion(t *testing.T) {
	s := New()
	read := func(agentID, versionID string) object {
		_, body := get(s, "/v1/agent/"+agentID+"?version_id="+versionID)
		return body
	}
	oldest, live, next := read(FrontDesk, OldestID), read(FrontDesk, LiveID), read(FrontDesk, NextID)
	for _, tt := range []struct {
		from, to object
		want     []string
	}{
		{oldest, live, nil},
		{live, next, []string{"call_tools", "prompt", "voice"}},
	} {
		var changed []string
		for field := range tt.from {
			identity := []string{"version_id", "version_number", "version_name", "is_published", "modified_at", "version_created_at"}
			if !slices.Contains(identity, field) && !reflect.DeepEqual(tt.from[field], tt.to[field]) {
				changed = append(changed, field)
			}
		}
		slices.Sort(changed)
		if !slices.Equal(changed, tt.want) {
			t.Errorf("%v to %v: got the changes %q, want %q", tt.from["version_name"], tt.to["version_name"], changed, tt.want)
		}
	}
	lines := func(v object) []string { return strings.Split(v["prompt"].(string), "\n") }
	missing := func(from, to []string) int {
		return len(slices.DeleteFunc(slices.Clone(from), func(line string) bool { return slices.Contains(to, line) }))
	}
	if removed, added := missing(lines(live), lines(next)), missing(lines(next), lines(live)); removed != 3 || added != 3 {
		t.Errorf("got %d lines removed from the prompt and %d added, want 3 and 3", removed, added)
	}
	for _, v := range []object{oldest, next} {
		if n := len(lines(v)); n < 19 || n > 25 {
			t.Errorf("got a prompt of %d lines", n)
		}
	}
	if _, ok := read(NightDesk, NightID)["prompt"]; ok {
		t.Error("Night desk has a configuration")
	}
	wantNoViolations(t, s)
}

// The client reads at most 1 MiB. Pages near that size would test the limit in every test.
func TestPagesAreSmall(t *testing.T) {
	w := httptest.NewRecorder()
	New().ServeHTTP(w, newRequest("GET", listPath+"?limit=100", ""))
	if w.Body.Len() < 100_000 || w.Body.Len() > 400_000 {
		t.Errorf("got %d bytes", w.Body.Len())
	}
	if got := strings.Count(w.Body.String(), integrationKey); got != 100 {
		t.Errorf("got the key %d times", got)
	}
}
