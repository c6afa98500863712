package sandbox

import (
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// everyPhone lists the phone numbers newest first.
var everyPhone = []string{Retired, Released, Reserved, Hotline, Callback, Switch, Reception}

func TestGetPhone(t *testing.T) {
	tests := []struct {
		id, number, nickname, status string
		inbound, outbound            string
		assigned, released           bool
	}{
		{Reception, "+34910000001", "Reception", "assigned", FrontDesk, "", true, false},
		{Switch, "+34910000002", "Switch", "assigned", "", "", true, false},
		{Callback, "+34910000003", "Callback", "assigned", "", "", true, false},
		{Hotline, "+34910000004", "Hotline", "assigned", Support, Support, true, false},
		{Reserved, "+34910000005", "", "reserved", "", "", false, false},
		{Released, "+34910000006", "Released", "released", "", "", true, true},
		{Retired, "+34910000002", "Old switch", "finished", "", "", true, true},
		{strings.ToUpper(Hotline), "+34910000004", "Hotline", "assigned", Support, Support, true, false},
	}
	for _, tt := range tests {
		s := New()
		status, got := send(s, newRequest("GET", "/v1/phone/"+tt.id, ""))
		if status != 200 {
			t.Errorf("%s: got %d %v", tt.id, status, got)
		}
		for field, want := range map[string]any{
			"id": strings.ToLower(tt.id), "number": tt.number, "nickname": anyOrNil(tt.nickname), "status": tt.status,
			"inbound_agent_id": anyOrNil(tt.inbound), "outbound_agent_id": anyOrNil(tt.outbound),
		} {
			if got[field] != want {
				t.Errorf("%s: %s: got %v, want %v", tt.id, field, got[field], want)
			}
		}
		if (got["assigned_at"] != nil) != tt.assigned || (got["released_at"] != nil) != tt.released {
			t.Errorf("%s: got assigned at %v, released at %v", tt.id, got["assigned_at"], got["released_at"])
		}
		wantNoViolations(t, s)
	}
}

func TestPhoneReadsRefuse(t *testing.T) {
	tests := []struct {
		name   string
		target string
		token  string
		status int
		code   string
	}{
		{"an unknown phone", "/v1/phone/" + unknown, Token, 404, "PHONE_NOT_FOUND"},
		{"an unknown token", "/v1/phone/" + Switch, "nobody", 401, "UNAUTHORIZED"},
		{"an unknown token lists", "/v1/phone/", "nobody", 401, "UNAUTHORIZED"},
		{"two places to begin", "/v1/phone/?page=1&after=" + Switch, Token, 400, "BAD_PARAMETER"},
		{"an unknown cursor", "/v1/phone/?before=" + unknown, Token, 400, "BAD_PARAMETER"},
		{"a cursor that the filter hides", "/v1/phone/?status=reserved&after=" + Switch, Token, 400, "BAD_PARAMETER"},
		{"a token that may read", "/v1/phone/" + Switch, ReadToken, 200, ""},
		{"a token that may read lists", "/v1/phone/", ReadToken, 200, ""},
	}
	for _, tt := range tests {
		s := New()
		r := newRequest("GET", tt.target, "")
		r.Header.Set("Authorization", "Bearer "+tt.token)
		status, body := send(s, r)
		if code, _ := body["error_code"].(string); status != tt.status || code != tt.code {
			t.Errorf("%s: got %d %v, want %d %s", tt.name, status, body, tt.status, tt.code)
		}
		wantNoViolations(t, s)
	}
}

func TestListPhones(t *testing.T) {
	tests := []struct {
		query   string
		ids     []string
		more    bool
		current int
		total   int
	}{
		{"", everyPhone, false, 1, 1},
		{"?order=asc&limit=3", []string{Reception, Switch, Callback}, true, 1, 3},
		{"?limit=3&page=3", []string{Reception}, false, 3, 3},
		{"?limit=3&after=" + Reserved, []string{Hotline, Callback, Switch}, true, 2, 3},
		{"?limit=2&before=" + Callback, []string{Reserved, Hotline}, true, 2, 4},
		{"?inbound_agent_id=" + FrontDesk, []string{Reception}, false, 1, 1},
		{"?inbound_agent_id=" + strings.ToUpper(Support), []string{Hotline}, false, 1, 1},
		{"?outbound_agent_id=" + Support, []string{Hotline}, false, 1, 1},
		{"?outbound_agent_id=" + FrontDesk, nil, false, 1, 0},
		{"?inbound_agent_id=" + FrontDesk + "&outbound_agent_id=" + Support, nil, false, 1, 0},
		{"?inbound_agent_id=" + unknown, nil, false, 1, 0},
		{"?status=assigned", []string{Hotline, Callback, Switch, Reception}, false, 1, 1},
		{"?status=assigned&limit=1&after=" + Hotline, []string{Callback}, true, 2, 4},
		{"?status=finished", []string{Retired}, false, 1, 1},
	}
	for _, tt := range tests {
		t.Run(tt.query, func(t *testing.T) {
			s := New()
			status, body := send(s, newRequest("GET", "/v1/phone/"+tt.query, ""))
			if status != 200 {
				t.Fatalf("got %d %v", status, body)
			}
			if got := listed(body); !slices.Equal(got, tt.ids) {
				t.Errorf("got %v, want %v", got, tt.ids)
			}
			if body["has_more"] != tt.more || body["current_page"] != float64(tt.current) || body["total_pages"] != float64(tt.total) {
				t.Errorf("got has_more %v, page %v of %v, want %v, %d of %d", body["has_more"], body["current_page"], body["total_pages"], tt.more, tt.current, tt.total)
			}
			var first, last any
			if len(tt.ids) > 0 {
				first, last = tt.ids[0], tt.ids[len(tt.ids)-1]
			}
			if body["first_id"] != first || body["last_id"] != last {
				t.Errorf("got %v to %v, want %v to %v", body["first_id"], body["last_id"], first, last)
			}
			wantNoViolations(t, s)
		})
	}
}

// listed returns the ids on a page of phone numbers.
func listed(body map[string]any) []string {
	var ids []string
	for _, p := range body["data"].([]any) {
		ids = append(ids, p.(map[string]any)["id"].(string))
	}
	return ids
}

func TestPublishOnNumbers(t *testing.T) {
	const (
		inbound  = `,"inbound_phone_number_id":`
		outbound = `,"outbound_phone_number_id":`
	)
	none := []string(nil)
	tests := []struct {
		name       string
		drop, take bool
		body       string // after the version
		code       string // empty: 200
		inbound    []string
		outbound   []string
		support    []string // what Support answers
	}{
		{"left out", false, false, ``, "", []string{Reception, Switch}, []string{Callback}, []string{Hotline}},
		{"left out and dropped", true, false, ``, "", none, none, []string{Hotline}},
		{"null", false, false, inbound + `null`, "", none, []string{Callback}, []string{Hotline}},
		{"null and left out and dropped", true, false, outbound + `null`, "", none, none, []string{Hotline}},
		{"a third", false, false, inbound + `"` + Callback + `"`, "", []string{Callback, Reception, Switch}, []string{Callback}, []string{Hotline}},
		{"the second", false, false, inbound + `"` + Switch + `"`, "", []string{Switch, Reception}, []string{Callback}, []string{Hotline}},
		{"in upper case", false, false, inbound + `"` + strings.ToUpper(Switch) + `"`, "", []string{Switch, Reception}, []string{Callback}, []string{Hotline}},
		{"one of two and dropped", true, false, inbound + `"` + Switch + `"`, "", []string{Switch}, none, []string{Hotline}},
		{"in use", false, false, inbound + `"` + Hotline + `"`, "BAD_PARAMETER", []string{Reception, Switch}, []string{Callback}, []string{Hotline}},
		{"in use and dropped", true, false, inbound + `"` + Hotline + `"`, "BAD_PARAMETER", []string{Reception, Switch}, []string{Callback}, []string{Hotline}},
		{"in use and taken", false, true, inbound + `"` + Hotline + `"`, "", []string{Hotline, Reception, Switch}, []string{Callback}, none},
		{"in use in the other direction", false, false, outbound + `"` + Reception + `"`, "", []string{Reception, Switch}, []string{Reception, Callback}, []string{Hotline}},
		{"reserved", false, true, inbound + `"` + Reserved + `"`, "BAD_PARAMETER", []string{Reception, Switch}, []string{Callback}, []string{Hotline}},
		{"released", false, true, outbound + `"` + Released + `"`, "BAD_PARAMETER", []string{Reception, Switch}, []string{Callback}, []string{Hotline}},
		{"finished", false, true, inbound + `"` + Retired + `"`, "BAD_PARAMETER", []string{Reception, Switch}, []string{Callback}, []string{Hotline}},
		// Nothing is half done.
		{"one good, one bad", false, false, inbound + `"` + Switch + `"` + outbound + `"` + Hotline + `"`, "BAD_PARAMETER", []string{Reception, Switch}, []string{Callback}, []string{Hotline}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := New()
			s.Bind(Switch, Inbound, FrontDesk)
			s.Bind(Callback, Outbound, FrontDesk)
			s.ReleaseOmitted(tt.drop)
			s.AllowTakeOver(tt.take)
			status, body := send(s, newRequest("PATCH", publishPath, `{"version_id":"`+NextID+`"`+tt.body+`}`))
			if code, _ := body["error_code"].(string); code != tt.code || (status == 200) != (tt.code == "") {
				t.Errorf("got %d %v, want %q", status, body, tt.code)
			}
			wantNumbers(t, s, FrontDesk, tt.inbound, tt.outbound)
			wantNumbers(t, s, Support, tt.support, []string{Hotline})
			if status == 200 {
				_, in, out := s.Live(FrontDesk)
				if body["inbound_phone_number_id"] != anyOrNil(in) || body["outbound_phone_number_id"] != anyOrNil(out) {
					t.Errorf("got the reply %v, want %s and %s", body, in, out)
				}
			}
			wantNoViolations(t, s)
		})
	}
}

// wantNumbers compares an agent's numbers as the sandbox, the list of phone numbers and each phone number tell them.
func wantNumbers(t *testing.T, s *Sandbox, agentID string, inbound, outbound []string) {
	t.Helper()
	for d, want := range map[Direction][]string{Inbound: inbound, Outbound: outbound} {
		got := s.Numbers(agentID, d)
		if !slices.Equal(got, want) {
			t.Errorf("%s numbers of %s: got %q, want %q", d, agentID, got, want)
		}
		if agentID == "" {
			continue // nobody; no request can ask for that
		}
		_, page := send(s, newRequest("GET", "/v1/phone/?"+d.String()+"_agent_id="+agentID, ""))
		if read := listed(page); !slices.Equal(slices.Sorted(slices.Values(read)), slices.Sorted(slices.Values(got))) {
			t.Errorf("%s numbers of %s: listed %q, want %q", d, agentID, read, got)
		}
		for _, p := range s.Phones() {
			agent := map[Direction]*string{Inbound: p.InboundAgentID, Outbound: p.OutboundAgentID}[d]
			if (orEmpty(agent) == agentID) != slices.Contains(want, p.ID) {
				t.Errorf("%s: got the %s agent %s", p.ID, d, orEmpty(agent))
			}
		}
	}
}

func TestUnpublishReleasesEveryNumber(t *testing.T) {
	s := New()
	s.Bind(Switch, Inbound, FrontDesk)
	s.Bind(Callback, Outbound, FrontDesk)
	if status, body := send(s, newRequest("PATCH", publishPath, `{}`)); status != 200 {
		t.Errorf("got %d %v", status, body)
	}
	wantNumbers(t, s, FrontDesk, nil, nil)
	wantNumbers(t, s, Support, []string{Hotline}, []string{Hotline})
}

func TestBind(t *testing.T) {
	s := New()
	s.Bind(Reception, Inbound, Support)
	s.Bind(Switch, Outbound, Support)
	s.Bind(Hotline, Outbound, "")
	wantNumbers(t, s, FrontDesk, nil, nil)
	wantNumbers(t, s, Support, []string{Hotline, Reception}, []string{Switch})
	wantNumbers(t, s, "", nil, nil)
	if version, inbound, outbound := s.Live(Support); version != SupportID || inbound != Hotline || outbound != Switch {
		t.Errorf("got %s %s %s", version, inbound, outbound)
	}
	if len(s.Requests()) != 4 { // those of wantNumbers
		t.Errorf("got %d requests", len(s.Requests()))
	}
}

func TestPublishBehind(t *testing.T) {
	s := New()
	s.SetPublished(FrontDesk, OldestID)
	if version, inbound, _ := s.Live(FrontDesk); version != OldestID || inbound != Reception {
		t.Errorf("got %s on %s", version, inbound)
	}
	if _, body := send(s, newRequest("GET", "/v1/agent/"+FrontDesk+"?is_published=true", "")); body["version_id"] != OldestID {
		t.Errorf("got %v", body)
	}
	s.SetPublished(FrontDesk, "")
	if status, _ := send(s, newRequest("GET", "/v1/agent/"+FrontDesk+"?is_published=true", "")); status != 404 {
		t.Errorf("got %d", status)
	}
	wantNumbers(t, s, FrontDesk, nil, nil)
}

func TestBehindWantsWhatExists(t *testing.T) {
	for name, act := range map[string]func(*Sandbox){
		"an unknown agent":        func(s *Sandbox) { s.SetPublished(unknown, NextID) },
		"another agent's version": func(s *Sandbox) { s.SetPublished(FrontDesk, NightID) },
		"an unknown number":       func(s *Sandbox) { s.Bind(unknown, Inbound, FrontDesk) },
		"a number's new agent":    func(s *Sandbox) { s.Bind(Switch, Inbound, unknown) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			act(New())
		}()
	}
}

func TestWithoutPhones(t *testing.T) {
	s := New()
	s.WithoutPhones(true)
	for _, target := range []string{"/v1/phone/", "/v1/phone/" + Reception} {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, newRequest("GET", target, ""))
		if w.Code != 404 || w.Body.String() != `{"detail":"Not Found"}` {
			t.Errorf("%s: got %d %s", target, w.Code, w.Body)
		}
	}
	// Nothing else is missing.
	if status, _ := send(s, newRequest("PATCH", publishPath, publishNext)); status != 200 {
		t.Errorf("got %d", status)
	}
	s.WithoutPhones(false)
	if status, _ := send(s, newRequest("GET", "/v1/phone/"+Reception, "")); status != 200 {
		t.Errorf("got %d", status)
	}
	wantNoViolations(t, s)
}

func TestStaleReads(t *testing.T) {
	read := map[string]func(*Sandbox) any{ // whether each read sees NextID on Switch
		"the live version": func(s *Sandbox) any {
			_, body := send(s, newRequest("GET", "/v1/agent/"+FrontDesk+"?is_published=true", ""))
			return body["version_id"] == NextID
		},
		"the list of versions": func(s *Sandbox) any {
			_, body := send(s, newRequest("GET", listPath, ""))
			return body["data"].([]any)[1].(map[string]any)["is_published"]
		},
		"a phone": func(s *Sandbox) any {
			_, body := send(s, newRequest("GET", "/v1/phone/"+Switch, ""))
			return body["inbound_agent_id"] == FrontDesk
		},
		"the list of phones": func(s *Sandbox) any {
			_, body := send(s, newRequest("GET", "/v1/phone/?inbound_agent_id="+FrontDesk, ""))
			return slices.Contains(listed(body), Switch)
		},
	}
	for name, sees := range read {
		t.Run(name, func(t *testing.T) {
			s := New()
			s.StaleReads(2)
			if sees(s) != false {
				t.Error("saw the change before it was made")
			}
			// The second request repeats the first one, and is no change.
			for range 2 {
				send(s, newRequest("PATCH", publishPath, `{"version_id":"`+NextID+`","inbound_phone_number_id":"`+Switch+`"}`))
			}
			for i, want := range []bool{false, false, true, true} {
				// Neither of these is one of the reads.
				s.Inject(Fault{Method: "GET", Status: 503})
				send(s, newRequest("GET", listPath, ""))
				send(s, newRequest("GET", "/v1/agent/"+unknown, ""))
				if got := sees(s); got != want {
					t.Errorf("read %d: got %v, want %v", i+1, got, want)
				}
			}
			send(s, newRequest("PATCH", publishPath, `{}`))
			if sees(s) != true {
				t.Error("the second change had no stale read")
			}
		})
	}
}

// What somebody else does after the change is hidden by the same reads.
func TestStaleReadsHideWhatIsDoneBehind(t *testing.T) {
	s := New()
	s.StaleReads(1)
	send(s, newRequest("PATCH", publishPath, publishNext))
	s.SetPublished(FrontDesk, OldestID)
	for _, want := range []string{LiveID, OldestID} {
		if _, body := send(s, newRequest("GET", "/v1/agent/"+FrontDesk+"?is_published=true", "")); body["version_id"] != want {
			t.Errorf("got %v, want %s", body["version_id"], want)
		}
	}
}

func TestFaultPath(t *testing.T) {
	const live, phones = "/v1/agent/" + FrontDesk + "?is_published=true", "/v1/phone/?inbound_agent_id=" + FrontDesk
	s := New()
	s.Inject(
		Fault{Method: "GET", Path: "/v1/phone/", Status: 503, Times: 2},
		Fault{Method: "GET", Path: "is_published=true", Status: 502},
		Fault{Path: "/v1/phone/", Status: 500, Times: -1}, // a PATCH of another path
	)
	for i, step := range []struct {
		method, target string
		want           int
	}{
		{"GET", listPath, 200}, {"GET", live, 502}, {"GET", live, 200}, {"GET", phones, 503},
		{"GET", "/v1/phone/" + Switch, 503}, {"GET", phones, 200}, {"PATCH", publishPath, 200},
	} {
		body := ""
		if step.method == "PATCH" {
			body = publishNext
		}
		if got, _ := send(s, newRequest(step.method, step.target, body)); got != step.want {
			t.Errorf("request %d: %s: got %d, want %d", i+1, step.target, got, step.want)
		}
	}
	wantNoViolations(t, s)
}
