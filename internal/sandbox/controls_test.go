package sandbox

import (
	"net/http/httptest"
	"slices"
	"testing"
)

func TestBind(t *testing.T) {
	s := New()
	s.Bind(Reception, Inbound, Support)
	s.Bind(Switch, Outbound, Support)
	s.Bind(Hotline, Outbound, "")
	if len(s.Requests()) != 0 {
		t.Errorf("got the requests %v", s.Requests())
	}
	wantNumbers(t, s, FrontDesk, nil, nil)
	wantNumbers(t, s, Support, []string{Hotline, Reception}, []string{Switch})
	wantLive(t, s, Support, binding{SupportID, Hotline, Switch})
	if got := s.Numbers("", Outbound); len(got) != 0 {
		t.Errorf("numbers of no agent: got %q", got)
	}
}

func TestSetPublished(t *testing.T) {
	s := New()
	s.SetPublished(FrontDesk, OldestID)
	wantLive(t, s, FrontDesk, binding{OldestID, Reception, ""})
	if _, body := get(s, livePath); body["version_id"] != OldestID {
		t.Errorf("got %v", body)
	}
	s.SetPublished(FrontDesk, "")
	if status, _ := get(s, livePath); status != 404 {
		t.Errorf("got %d, want 404", status)
	}
	wantNumbers(t, s, FrontDesk, nil, nil)
}

func TestControlsPanicOnUnknownIDs(t *testing.T) {
	for name, control := range map[string]func(*Sandbox){
		"an unknown agent":         func(s *Sandbox) { s.SetPublished(unknownID, NextID) },
		"another agent's version":  func(s *Sandbox) { s.SetPublished(FrontDesk, NightID) },
		"an unknown number":        func(s *Sandbox) { s.Bind(unknownID, Inbound, FrontDesk) },
		"a number's unknown agent": func(s *Sandbox) { s.Bind(Switch, Inbound, unknownID) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			control(New())
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
	if status, _ := patch(s, publishNext); status != 200 {
		t.Errorf("publish: got %d", status)
	}
	s.WithoutPhones(false)
	if status, _ := get(s, "/v1/phone/"+Reception); status != 200 {
		t.Errorf("got %d with phones again", status)
	}
	wantNoViolations(t, s)
}

func TestStaleReads(t *testing.T) {
	reads := map[string]func(*Sandbox) any{ // whether a read sees NextID on Switch
		"the published version": func(s *Sandbox) any {
			_, body := get(s, livePath)
			return body["version_id"] == NextID
		},
		"the list of versions": func(s *Sandbox) any {
			_, body := get(s, listPath)
			return body["data"].([]any)[1].(object)["is_published"]
		},
		"a phone": func(s *Sandbox) any {
			_, body := get(s, "/v1/phone/"+Switch)
			return body["inbound_agent_id"] == FrontDesk
		},
		"the list of phones": func(s *Sandbox) any {
			_, body := get(s, "/v1/phone/?inbound_agent_id="+FrontDesk)
			return slices.Contains(ids(body, "id"), Switch)
		},
	}
	for name, sees := range reads {
		t.Run(name, func(t *testing.T) {
			s := New()
			s.StaleReads(2)
			if sees(s) != false {
				t.Error("saw the change before it was made")
			}
			for range 2 { // the second request changes nothing
				patch(s, `{"version_id":"`+NextID+`","inbound_phone_number_id":"`+Switch+`"}`)
			}
			for i, want := range []bool{false, false, true, true} {
				// A read that a fault answers, and one that reads no state, do not count.
				s.Inject(Fault{Method: "GET", Status: 503})
				get(s, listPath)
				get(s, "/v1/agent/"+unknownID)
				if got := sees(s); got != want {
					t.Errorf("read %d: got %v, want %v", i+1, got, want)
				}
			}
			patch(s, `{}`)
			if sees(s) != true {
				t.Error("the second change had no stale read")
			}
		})
	}
}

func TestStaleReadsHideOtherClients(t *testing.T) {
	s := New()
	s.StaleReads(1)
	patch(s, publishNext)
	s.SetPublished(FrontDesk, OldestID)
	for _, want := range []string{LiveID, OldestID} {
		if _, body := get(s, livePath); body["version_id"] != want {
			t.Errorf("got %v, want %s", body["version_id"], want)
		}
	}
}
