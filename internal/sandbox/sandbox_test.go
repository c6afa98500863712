package sandbox

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

const (
	unknown     = "a0000000-0000-4000-8000-00000000dead"
	publishPath = "/v1/agent/" + FrontDesk + "/published_version"
	listPath    = "/v1/agent/" + FrontDesk + "/version"
)

// newRequest is a request with the token that may publish.
func newRequest(method, target, body string) *http.Request {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+Token)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return r
}

// send serves one request in memory and returns the status and the decoded body.
func send(s *Sandbox, r *http.Request) (int, map[string]any) {
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	var body map[string]any
	_ = json.Unmarshal(w.Body.Bytes(), &body) // some faults answer without JSON
	return w.Code, body
}

func wantNoViolations(t *testing.T, s *Sandbox) {
	t.Helper()
	for _, v := range s.Violations() {
		t.Errorf("violation: %s", v)
	}
}

// binding is what Live returns.
type binding struct {
	version, inbound, outbound string
}

func TestPublish(t *testing.T) {
	tests := []struct {
		name   string
		agent  string
		body   string
		status int
		code   string
		live   binding // of the agent, afterwards
	}{
		{"an omitted phone keeps its binding", FrontDesk, `{"version_id":"` + NextID + `"}`, 200, "", binding{NextID, Reception, ""}},
		{"a null phone is released", FrontDesk, `{"version_id":"` + NextID + `","inbound_phone_number_id":null}`, 200, "", binding{NextID, "", ""}},
		{"both phones", FrontDesk, `{"version_id":"` + OldestID + `","inbound_phone_number_id":"` + Switch + `","outbound_phone_number_id":"` + Callback + `"}`, 200, "", binding{OldestID, Switch, Callback}},
		{"ids in upper case", FrontDesk, `{"version_id":"` + strings.ToUpper(NextID) + `"}`, 200, "", binding{NextID, Reception, ""}},
		{"the agent in upper case", strings.ToUpper(FrontDesk), `{"version_id":"` + NextID + `"}`, 200, "", binding{}},
		{"a version named null unpublishes", FrontDesk, `{"version_id":null}`, 200, "", binding{}},
		{"no version unpublishes", FrontDesk, `{}`, 200, "", binding{}},
		{"no version but a phone", FrontDesk, `{"inbound_phone_number_id":"` + Switch + `"}`, 400, "BAD_PARAMETER", binding{LiveID, Reception, ""}},
		{"a draft", FrontDesk, `{"version_id":"` + DraftID + `"}`, 400, "BAD_PARAMETER", binding{LiveID, Reception, ""}},
		{"an unknown version", FrontDesk, `{"version_id":"` + unknown + `"}`, 400, "BAD_PARAMETER", binding{LiveID, Reception, ""}},
		{"another agent's version", FrontDesk, `{"version_id":"` + NightID + `"}`, 400, "BAD_PARAMETER", binding{LiveID, Reception, ""}},
		{"an unknown phone", FrontDesk, `{"version_id":"` + NextID + `","outbound_phone_number_id":"` + unknown + `"}`, 400, "BAD_PARAMETER", binding{LiveID, Reception, ""}},
		{"a phone that another agent answers", NightDesk, `{"version_id":"` + NightID + `","inbound_phone_number_id":"` + Reception + `"}`, 400, "BAD_PARAMETER", binding{}},
		{"calling from a phone that another agent answers", NightDesk, `{"version_id":"` + NightID + `","outbound_phone_number_id":"` + Reception + `"}`, 200, "", binding{NightID, "", Reception}},
		{"an unknown agent", unknown, `{"version_id":"` + NextID + `"}`, 404, "AGENT_NOT_FOUND", binding{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := New()
			status, body := send(s, newRequest("PATCH", "/v1/agent/"+tt.agent+"/published_version", tt.body))
			if code, _ := body["error_code"].(string); status != tt.status || code != tt.code {
				t.Errorf("got %d %v, want %d %s", status, body, tt.status, tt.code)
			}
			version, inbound, outbound := s.Live(tt.agent)
			if got := (binding{version, inbound, outbound}); got != tt.live {
				t.Errorf("live: got %+v, want %+v", got, tt.live)
			}
			if status == 200 && tt.live.version != "" {
				if got := []any{body["agent_id"], body["published_version_id"], body["inbound_phone_number_id"]}; !slices.Equal(got, []any{tt.agent, tt.live.version, anyOrNil(tt.live.inbound)}) {
					t.Errorf("reply: got %v", body)
				}
			}
			wantNoViolations(t, s)
		})
	}
}

func anyOrNil(id string) any {
	if id == "" {
		return nil
	}
	return id
}

func TestTokens(t *testing.T) {
	tests := []struct {
		name          string
		method        string
		authorization string
		status        int
		code          string
		violation     bool
	}{
		{"none", "PATCH", "", 401, "UNAUTHORIZED", true},
		{"another scheme", "PATCH", "Basic " + Token, 401, "UNAUTHORIZED", true},
		{"an empty one", "GET", "Bearer ", 401, "UNAUTHORIZED", true},
		{"an unknown one", "PATCH", "Bearer nobody", 401, "UNAUTHORIZED", false},
		{"one that may not publish", "PATCH", "Bearer " + ReadToken, 403, "INTERNAL_SERVER_ERROR", false},
		{"one that may read", "GET", "Bearer " + ReadToken, 200, "", false},
		{"a scheme in lower case", "PATCH", "bearer " + Token, 200, "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := New()
			r := newRequest("PATCH", publishPath, `{"version_id":"`+NextID+`"}`)
			if tt.method == "GET" {
				r = newRequest("GET", "/v1/agent/"+FrontDesk, "")
			}
			r.Header.Set("Authorization", tt.authorization)
			if tt.authorization == "" {
				r.Header.Del("Authorization")
			}
			status, body := send(s, r)
			if code, _ := body["error_code"].(string); status != tt.status || code != tt.code {
				t.Errorf("got %d %v, want %d %s", status, body, tt.status, tt.code)
			}
			if got := s.Violations(); len(got) > 0 != tt.violation {
				t.Errorf("violations: %q", got)
			}
		})
	}
}

func TestTwoTokens(t *testing.T) {
	s := New()
	r := newRequest("GET", "/v1/agent/"+FrontDesk, "")
	r.Header.Add("Authorization", "Bearer "+ReadToken)
	if status, _ := send(s, r); status != 401 || len(s.Violations()) != 1 {
		t.Errorf("got %d, %q", status, s.Violations())
	}
}

func TestGet(t *testing.T) {
	tests := []struct {
		name    string
		agent   string
		query   string
		status  int
		version string
	}{
		{"the published version", FrontDesk, "?is_published=true", 200, LiveID},
		{"a version", FrontDesk, "?version_id=" + DraftID, 200, DraftID},
		{"a version in upper case", FrontDesk, "?version_id=" + strings.ToUpper(OldestID), 200, OldestID},
		{"the newest", FrontDesk, "", 200, DraftID},
		{"is_published=false", FrontDesk, "?is_published=false", 200, DraftID},
		{"nothing is published", NightDesk, "?is_published=true", 404, ""},
		{"an unknown version", FrontDesk, "?version_id=" + NightID, 404, ""},
		{"an unknown agent", unknown, "?is_published=true", 404, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := New()
			status, body := send(s, newRequest("GET", "/v1/agent/"+tt.agent+tt.query, ""))
			if id, _ := body["version_id"].(string); status != tt.status || id != tt.version {
				t.Errorf("got %d %v, want %d %s", status, body, tt.status, tt.version)
			}
			if status == 200 && body["is_published"] != (tt.version == LiveID) {
				t.Errorf("is_published: got %v", body["is_published"])
			}
			wantNoViolations(t, s)
		})
	}
}

// numbers returns the version numbers on a page.
func numbers(body map[string]any) []int {
	var got []int
	for _, v := range body["data"].([]any) {
		got = append(got, int(v.(map[string]any)["version_number"].(float64)))
	}
	return got
}

// down lists from, from-1, …, to; up does the opposite.
func down(from, to int) []int {
	got := up(to, from)
	slices.Reverse(got)
	return got
}

func up(from, to int) []int {
	var got []int
	for n := from; n <= to; n++ {
		got = append(got, n)
	}
	return got
}

func TestList(t *testing.T) {
	const id = "b1000000-0000-4000-8000-000000000"
	tests := []struct {
		query   string
		numbers []int
		more    bool
		current int
		total   int
	}{
		{"", down(230, 221), true, 1, 23},
		{"?order=asc", up(1, 10), true, 1, 23},
		{"?limit=100", down(230, 131), true, 1, 3},
		{"?limit=100&after=" + id + "131", down(130, 31), true, 2, 3},
		{"?limit=100&after=" + id + "031", down(30, 1), false, 3, 3},
		{"?limit=100&after=" + id + "001", nil, false, 3, 3},
		{"?limit=100&order=asc&after=" + id + "200", up(201, 230), false, 3, 3},
		{"?limit=3&before=" + id + "200", down(203, 201), true, 10, 77},
		{"?limit=3&before=" + id + "229", down(230, 230), true, 1, 77},
		{"?limit=3&order=asc&before=" + id + "200", up(197, 199), true, 66, 77},
		{"?page=2", down(220, 211), true, 2, 23},
		{"?page=23", down(10, 1), false, 23, 23},
		{"?page=24", nil, false, 24, 23},
		{"?page=9223372036854775807&limit=100", nil, false, 3, 3},
	}
	for _, tt := range tests {
		t.Run(tt.query, func(t *testing.T) {
			s := New()
			status, body := send(s, newRequest("GET", listPath+tt.query, ""))
			if status != 200 {
				t.Fatalf("got %d %v", status, body)
			}
			got := numbers(body)
			if !slices.Equal(got, tt.numbers) {
				t.Errorf("got %v, want %v", got, tt.numbers)
			}
			if body["has_more"] != tt.more || body["current_page"] != float64(tt.current) || body["total_pages"] != float64(tt.total) {
				t.Errorf("got has_more %v, page %v of %v, want %v, %d of %d", body["has_more"], body["current_page"], body["total_pages"], tt.more, tt.current, tt.total)
			}
			data := body["data"].([]any)
			for field, at := range map[string]int{"first_id": 0, "last_id": len(data) - 1} {
				var want any
				if len(data) > 0 {
					want = data[at].(map[string]any)["version_id"]
				}
				if body[field] != want {
					t.Errorf("%s: got %v, want %v", field, body[field], want)
				}
			}
			wantNoViolations(t, s)
		})
	}
}

func TestListRefuses(t *testing.T) {
	for _, query := range []string{
		"?after=" + NightID,
		"?before=" + unknown,
		"?after=" + LiveID + "&before=" + NextID,
		"?after=" + LiveID + "&page=1",
	} {
		s := New()
		if status, body := send(s, newRequest("GET", listPath+query, "")); status != 400 || body["error_code"] != "BAD_PARAMETER" {
			t.Errorf("%s: got %d %v", query, status, body)
		}
		wantNoViolations(t, s)
	}
}

// The world is what the constants say, as far as a client can see.
func TestWorld(t *testing.T) {
	s := New()
	names := map[string][]float64{}
	drafts := map[float64]bool{}
	for query := "?limit=100"; query != ""; {
		_, body := send(s, newRequest("GET", listPath+query, ""))
		for _, item := range body["data"].([]any) {
			v := item.(map[string]any)
			name, _ := v["version_name"].(string)
			number := v["version_number"].(float64)
			names[name] = append(names[name], number)
			if v["is_draft"].(bool) {
				drafts[number] = true
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
			t.Errorf("versions called %q: got %v, want %v", name, names[name], want)
		}
	}
	if len(names) != Versions-1 || len(drafts) != 2 || !drafts[230] || !drafts[100] {
		t.Errorf("got %d names and the drafts %v", len(names), drafts)
	}
	if id := s.AddVersion(NightDesk, NextName, true); id != "b2000000-0000-4000-8000-000000000004" {
		t.Errorf("got the id %s", id)
	}
	wantNoViolations(t, s)
}

func TestRequestsAreRecorded(t *testing.T) {
	s := New()
	server := httptest.NewServer(s)
	defer server.Close()
	for range 2 {
		r, err := http.NewRequestWithContext(t.Context(), "PATCH", server.URL+publishPath, strings.NewReader(`{"version_id":"`+NextID+`"}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Header = http.Header{"Authorization": {"Bearer " + Token}, "Content-Type": {"application/json"}}
		reply, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		var body map[string]any
		if err := json.NewDecoder(reply.Body).Decode(&body); err != nil {
			t.Fatal(err)
		}
		reply.Body.Close()
	}
	got := s.Requests()
	if len(got) != 2 || got[0].Time.After(got[1].Time) {
		t.Fatalf("got %+v", got)
	}
	first := got[0]
	if first.Method != "PATCH" || first.Path != publishPath || first.RawQuery != "" || first.Header.Get("Authorization") != "Bearer "+Token || first.Body != `{"version_id":"`+NextID+`"}` {
		t.Errorf("got %+v", first)
	}
	send(s, newRequest("GET", listPath+"?limit=1", ""))
	if last := s.Requests()[2]; last.RawQuery != "limit=1" {
		t.Errorf("query: got %q, want it as it was sent", last.RawQuery)
	}
	wantNoViolations(t, s)
}
