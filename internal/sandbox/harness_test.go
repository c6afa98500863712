package sandbox

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// The tests serve their requests in memory: send serves a request made by newRequest, and get and patch do both. Only
// faults_test.go uses a real connection, where a fault breaks it. The want functions compare the sandbox with what is
// expected, by its methods and by what it answers.

const (
	unknownID   = "a0000000-0000-4000-8000-00000000dead"
	agentPath   = "/v1/agent/" + FrontDesk
	livePath    = agentPath + "?is_published=true"
	listPath    = agentPath + "/version"
	publishPath = agentPath + "/published_version"
	publishNext = `{"version_id":"` + NextID + `"}`
)

type object = map[string]any

// newRequest is a request with the token that may publish.
func newRequest(method, target, body string) *http.Request {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+Token)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return r
}

// send returns the response's status and its decoded body, which is nil if it is not JSON.
func send(s *Sandbox, r *http.Request) (int, object) {
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	var body object
	_ = json.Unmarshal(w.Body.Bytes(), &body)
	return w.Code, body
}

func get(s *Sandbox, target string) (int, object) { return send(s, newRequest("GET", target, "")) }

func patch(s *Sandbox, body string) (int, object) {
	return send(s, newRequest("PATCH", publishPath, body))
}

// ids returns a field of each item on a page.
func ids(page object, field string) []string {
	var all []string
	for _, item := range page["data"].([]any) {
		all = append(all, item.(object)[field].(string))
	}
	return all
}

func anyOrNil(id string) any {
	if id == "" {
		return nil
	}
	return id
}

func wantError(t *testing.T, status int, body object, wantStatus int, wantCode string) {
	t.Helper()
	if code, _ := body["error_code"].(string); status != wantStatus || code != wantCode {
		t.Errorf("got %d %v, want %d %s", status, body, wantStatus, wantCode)
	}
}

func wantNoViolations(t *testing.T, s *Sandbox) {
	t.Helper()
	for _, v := range s.Violations() {
		t.Errorf("violation: %s", v)
	}
}

// binding is what Live returns.
type binding struct{ version, inbound, outbound string }

func wantLive(t *testing.T, s *Sandbox, agentID string, want binding) {
	t.Helper()
	version, inbound, outbound := s.Live(agentID)
	if got := (binding{version, inbound, outbound}); got != want {
		t.Errorf("live: got %+v, want %+v", got, want)
	}
}

func wantApplied(t *testing.T, s *Sandbox, want bool) {
	t.Helper()
	if version, _, _ := s.Live(FrontDesk); (version == NextID) != want {
		t.Errorf("got %s live, want applied: %v", version, want)
	}
}

// wantNumbers compares an agent's numbers as Numbers, Phones and the list of phone numbers return them.
func wantNumbers(t *testing.T, s *Sandbox, agentID string, inbound, outbound []string) {
	t.Helper()
	for d, want := range map[Direction][]string{Inbound: inbound, Outbound: outbound} {
		if got := s.Numbers(agentID, d); !slices.Equal(got, want) {
			t.Errorf("%s numbers of %s: got %q, want %q", d, agentID, got, want)
		}
		_, page := get(s, "/v1/phone/?"+d.String()+"_agent_id="+agentID)
		if listed := ids(page, "id"); !slices.Equal(slices.Sorted(slices.Values(listed)), slices.Sorted(slices.Values(want))) {
			t.Errorf("%s numbers of %s: listed %q, want %q", d, agentID, listed, want)
		}
		for _, p := range s.Phones() {
			agent := map[Direction]*string{Inbound: p.InboundAgentID, Outbound: p.OutboundAgentID}[d]
			if (orEmpty(agent) == agentID) != slices.Contains(want, p.ID) {
				t.Errorf("%s: got the %s agent %s", p.ID, d, orEmpty(agent))
			}
		}
	}
}
