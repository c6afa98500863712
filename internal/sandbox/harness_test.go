package sandbox

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	unknownID   = "a0000000-0000-4000-8000-00000000dead"
	agentPath   = "/v1/agent/" + FrontDesk
	listPath    = agentPath + "/version"
	livePath    = listPath + "?is_published=true"
	publishPath = agentPath + "/published_version"
	publishNext = `{"version_id":"` + NextID + `"}`
	inboundID   = `,"inbound_phone_number_id":`
	outboundID  = `,"outbound_phone_number_id":`
)

// vendorContract is the contract of the vendor's own document, if DIGA_OPENAPI names its file, or nil.
var vendorContract = sync.OnceValue(func() contract {
	file := os.Getenv("DIGA_OPENAPI")
	if file == "" {
		return nil
	}
	document, err := os.ReadFile(file)
	if err != nil {
		panic(err)
	}
	return newContract(document)
})

// newSandbox returns a sandbox whose responses must be valid by the vendor's document too, if there is one. At the end of
// the test there must be as many violations as the test has looked for.
func newSandbox(t *testing.T) *Sandbox {
	s := New()
	if vendor := vendorContract(); vendor != nil {
		s.contracts = append(s.contracts, vendor)
	}
	t.Cleanup(func() {
		for _, v := range s.Violations() {
			t.Errorf("violation: %s", v)
		}
	})
	return s
}

// takeViolations returns the violations so far and forgets them.
func (s *Sandbox) takeViolations() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	violations := s.violations
	s.violations = nil
	return violations
}

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
		value, _ := item.(object)[field].(string)
		all = append(all, value)
	}
	return all
}

// short names a response by its status and its code, if it has one.
func short(status int, body object) string {
	if code, ok := body["error_code"]; ok {
		return fmt.Sprint(status, " ", code)
	}
	return fmt.Sprint(status)
}

// summary names an agent's state: version, inbound numbers and outbound numbers by their last digits.
func summary(s *Sandbox, agentID string) string {
	version, _, _ := s.Live(agentID)
	tails := []string{tail(version)}
	for _, d := range directions {
		var numbers []string
		for _, id := range s.State().Numbers(agentID, d) {
			numbers = append(numbers, tail(id))
		}
		tails = append(tails, strings.Join(numbers, " "))
	}
	return strings.Join(tails, "|")
}

// tail is what an id ends with.
func tail(id string) string { return strings.TrimLeft(id[max(0, len(id)-12):], "0") }

func wait(d time.Duration) { <-time.After(d) }
