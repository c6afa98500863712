package sandbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// exchange serves a request, and returns what a client receives: the status, or 0 if there is no response, and the body, with
// an ellipsis if it is truncated.
func exchange(s *Sandbox, r *http.Request) (w *httptest.ResponseRecorder, got string) {
	w = httptest.NewRecorder()
	defer func() {
		err, _ := recover().(error)
		switch aborted := errors.Is(err, http.ErrAbortHandler); {
		case aborted && w.Body.Len() == 0:
			got = "0"
		case aborted:
			got = fmt.Sprint(w.Code, " ", w.Body, "…")
		default:
			got = strings.TrimSpace(fmt.Sprint(w.Code, " ", w.Body))
		}
	}()
	s.ServeHTTP(w, r)
	return w, ""
}

func TestFaults(t *testing.T) {
	const full = `200 {"agent_id":"` + FrontDesk + `","inbound_phone_number_id":"` + Reception + `","outbound_phone_number_id":null,"published_version_id":"` + NextID + `"}`
	const five, object = 5 * time.Second, `{"detail":{"message":"a"}}`
	tests := []struct {
		name    string
		faults  []Fault
		cancel  time.Duration // when the client disconnects; 0: never
		want    []string
		applied []bool // after each request
		elapsed time.Duration
	}{
		{"none", nil, 0, []string{full}, []bool{true}, 0},
		{"the zero fault", []Fault{{}, {Status: 503}}, 0, []string{full, "503"}, []bool{true, true}, 0},
		{"a sequence", []Fault{{Status: 503}, {Status: 500, Body: "{}"}}, 0, []string{"503", "500 {}", full}, []bool{false, false, true}, 0},
		{"twice", []Fault{{Status: 503, Times: 2}}, 0, []string{"503", "503", full}, []bool{false, false, true}, 0},
		{"all requests", []Fault{{Status: 503, Times: -1}, {Status: 418}}, 0, []string{"503", "503", "503"}, []bool{false, false, false}, 0},
		{"for another method", []Fault{{Method: "GET", Status: 503}}, 0, []string{full}, []bool{true}, 0},
		{"a gateway that lost the reply", []Fault{{Status: 502, Applied: true, Body: "<p>"}}, 0, []string{"502 <p>"}, []bool{true}, 0},
		{"a dropped request", []Fault{{Drop: DropReply}}, 0, []string{"0"}, []bool{false}, 0},
		{"a lost reply", []Fault{{Drop: DropReply, Applied: true}}, 0, []string{"0", full}, []bool{true, true}, 0},
		{"a truncated reply", []Fault{{Drop: DropBody}}, 0, []string{full[:4+(len(full)-4)/2] + "…"}, []bool{true}, 0},
		{"a truncated error", []Fault{{Drop: DropBody, Status: 500, Body: "12345678"}}, 0, []string{"500 1234…"}, []bool{false}, 0},
		{"a detail that is an object", []Fault{{Status: 422, Body: object}}, 0, []string{"422 " + object}, []bool{false}, 0},
		{"another reply", []Fault{{Body: "[]"}}, 0, []string{"200 []"}, []bool{true}, 0},
		{"a slow reply", []Fault{{Delay: five}}, 0, []string{full}, []bool{true}, five},
		{"a slow error", []Fault{{Delay: five, Status: 504}}, 0, []string{"504"}, []bool{false}, five},
		{"a slow disconnection", []Fault{{Delay: five, Drop: DropReply}}, 0, []string{"0"}, []bool{false}, five},
		{"the client disconnects before the change", []Fault{{Delay: time.Hour}}, five, []string{"0"}, []bool{false}, five},
		{"the client disconnects after the change", []Fault{{Delay: time.Hour, Applied: true}}, five, []string{"0"}, []bool{true}, five},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, start := newSandbox(t), time.Now()
				s.Inject(tt.faults...)
				ctx, cancel := context.WithTimeout(t.Context(), cmp.Or(tt.cancel, time.Hour))
				defer cancel()
				for i, want := range tt.want {
					_, got := exchange(s, newRequest("PATCH", publishPath, publishNext).WithContext(ctx))
					if version, _, _ := s.Live(FrontDesk); got != want || (version == NextID) != tt.applied[i] {
						t.Errorf("request %d: got %s and %s live, want %s", i+1, got, version, want)
					}
				}
				if elapsed := time.Since(start); elapsed != tt.elapsed || len(s.Requests()) != len(tt.want) {
					t.Errorf("%d requests took %v, want %d and %v", len(s.Requests()), elapsed, len(tt.want), tt.elapsed)
				}
			})
		})
	}
	s := newSandbox(t)
	s.Inject(Fault{Status: 503, Header: http.Header{"retry-after": {"7"}, "Content-Type": {"text/html"}}, Body: "<p>"})
	if w, _ := exchange(s, newRequest("PATCH", publishPath, publishNext)); w.Header().Get("Retry-After") != "7" || w.Header().Get("Content-Type") != "text/html" {
		t.Errorf("got %v", w.Header())
	}
}

// A launch and a change come through after a gateway has given up, in the order in which they are due, and at that time.
func TestLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, start := newSandbox(t), time.Now()
		s.Inject(Fault{Status: 504, Late: 9 * time.Second}, Fault{Method: "POST", Drop: DropReply, Late: 3 * time.Second})
		_, first := exchange(s, newRequest("PATCH", publishPath, publishNext))
		_, second := exchange(s, newRequest("POST", listPath, `{"version_name":"late"}`))
		if first != "504" || second != "0" {
			t.Errorf("got %s and %s", first, second)
		}
		for _, want := range []struct {
			newest, live string
			changes      int
		}{{DraftName, LiveID, 0}, {"late", LiveID, 1}, {"late", NextID, 2}} {
			_, page := get(s, listPath)
			if live, _, _ := s.Live(FrontDesk); live != want.live || ids(page, "version_name")[0] != want.newest || len(s.Changes()) != want.changes+2 {
				t.Errorf("after %v: got %s live, and %q", time.Since(start), live, ids(page, "version_name"))
			}
			wait(5 * time.Second)
		}
		if c := s.Changes()[2:]; c[0].Time.Sub(start) != 3*time.Second || c[0].Request != 1 || c[1].Time.Sub(start) != 9*time.Second || c[1].Request != 0 {
			t.Errorf("got %v", c)
		}
	})
}

func TestFaultsByRequest(t *testing.T) {
	s := newSandbox(t)
	s.Inject(
		Fault{Method: "GET", Path: "/v1/phone/", Status: 503, Times: 2},
		Fault{Method: "GET", Path: "is_published=true", Status: 502},
		Fault{Path: "/v1/phone/", Status: 500, Times: -1}, // matches no PATCH
	)
	s.Set(Behavior{Fault: func(r *http.Request) Fault {
		if body, _ := io.ReadAll(r.Body); strings.Contains(string(body), OldestID) && s.State() != nil {
			return Fault{Status: 418}
		}
		return Fault{}
	}})
	phones := newRequest("GET", "/v1/phone/?limit=5", "")
	for i, tt := range []struct {
		r    *http.Request
		want int
	}{
		{newRequest("GET", listPath, ""), 200}, {newRequest("GET", livePath, ""), 502},
		{newRequest("GET", livePath, ""), 200}, {phones, 503}, {phones, 503},
		{phones, 200}, {newRequest("PATCH", publishPath, publishNext), 200}, {newRequest("PATCH", publishPath, `{"version_id":"`+OldestID+`"}`), 418},
	} {
		if got, _ := send(s, tt.r); got != tt.want {
			t.Errorf("request %d: got %d, want %d", i+1, got, tt.want)
		}
	}
	s.Inject(Fault{Status: 503})
	patch(s, `{"version":"v1"}`)
	if got := s.takeViolations(); len(got) != 1 {
		t.Errorf("a fault hid the violations: got %q", got)
	}
}

func TestLimit(t *testing.T) {
	type step struct {
		at         time.Duration
		status     int
		retryAfter string
	}
	const s, m = time.Second, time.Minute
	for _, tt := range []struct {
		name  string
		limit Limit
		steps []step
	}{
		{"a burst, then one by one", Limit{Requests: 3, Interval: 30 * s, RetryAfter: true}, []step{
			{0, 200, ""}, {0, 200, ""}, {0, 200, ""}, {0, 429, "10"}, {s, 429, "9"}, {9500 * time.Millisecond, 429, "1"},
			{10 * s, 200, ""}, {10 * s, 429, "10"}, {m, 200, ""}, {m, 200, ""}, {m, 200, ""}, {m, 429, "10"},
		}},
		{"without the header", Limit{Requests: 1, Interval: m}, []step{{0, 200, ""}, {59 * s, 429, ""}, {m, 200, ""}}},
		{"an interval that n does not divide", Limit{Requests: 3, Interval: s, RetryAfter: true}, []step{{0, 200, ""}, {0, 200, ""}, {0, 200, ""}, {0, 429, "1"}, {s, 200, ""}}},
		{"none", Limit{}, []step{{0, 200, ""}, {0, 200, ""}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSandbox(t)
				s.Set(Behavior{Limit: tt.limit})
				s.Inject(Fault{Times: len(tt.steps)}, Fault{Status: 503}) // a limited request takes no fault
				start := time.Now()
				for i, step := range tt.steps {
					wait(step.at - time.Since(start))
					w, _ := exchange(s, newRequest("PATCH", publishPath, publishNext))
					if w.Code != step.status || w.Header().Get("Retry-After") != step.retryAfter {
						t.Errorf("step %d: got %d, Retry-After %q, want %+v", i+1, w.Code, w.Header().Get("Retry-After"), step)
					}
				}
			})
		})
	}
}

func TestLimitOfRequestsAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSandbox(t)
		s.Set(Behavior{Limit: Limit{AtATime: 1, RetryAfter: true}})
		s.Inject(Fault{Delay: time.Second})
		first := make(chan int)
		go func() { status, _ := patch(s, publishNext); first <- status }()
		synctest.Wait()
		w, _ := exchange(s, newRequest("GET", listPath, ""))
		last := <-first
		after, _ := get(s, listPath)
		if w.Code != 429 || w.Header().Get("Retry-After") != "1" || last != 200 || after != 200 {
			t.Errorf("got %d %v %s, then %d and %d", w.Code, w.Header(), w.Body, last, after)
		}
	})
}

// What reads see of a change, a second after each other, by the version that is live.
func TestOldReadings(t *testing.T) {
	const seconds = time.Second
	for _, tt := range []struct {
		name     string
		behavior Behavior
		header   string
		want     []string
	}{
		{"neither", Behavior{}, "", []string{LiveID, NextID, OldestID, OldestID, OldestID}},
		{"a replica", Behavior{ReplicaLag: 2 * seconds}, "", []string{LiveID, LiveID, LiveID, NextID, OldestID}},
		{"a replica, asked for fresh data", Behavior{ReplicaLag: 2 * seconds}, "no-cache", []string{LiveID, LiveID, LiveID, NextID, OldestID}},
		{"a cache", Behavior{CacheFor: 3 * seconds}, "", []string{LiveID, LiveID, LiveID, OldestID, OldestID}},
		{"a cache, asked for fresh data", Behavior{CacheFor: 3 * seconds}, "no-cache", []string{LiveID, NextID, OldestID, OldestID, OldestID}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSandbox(t)
				s.Set(tt.behavior)
				changes := []func(){func() {}, func() { patch(s, publishNext) }, func() { s.SetPublished(FrontDesk, OldestID) }}
				for i, want := range tt.want {
					if i < len(changes) {
						changes[i]()
					}
					r := newRequest("GET", listPath+"?is_published=true", "")
					r.Header.Set("Cache-Control", tt.header)
					if _, page := send(s, r); !slices.Equal(ids(page, "version_id"), []string{want}) {
						t.Errorf("after %d s: got %v, want %s", i, ids(page, "version_id"), want)
					}
					wait(seconds)
				}
			})
		})
	}
}

func TestOtherBehavior(t *testing.T) {
	s := newSandbox(t)
	s.Set(Behavior{IgnorePublished: true, BarePages: true, CursorStatus: 400})
	_, page := get(s, listPath+"?is_published=true&limit=1")
	if !slices.Equal(ids(page, "version_id"), []string{DraftID}) || len(page) != 2 {
		t.Errorf("got %v", page)
	}
	s.DeleteVersion(FrontDesk, NextID)
	if got := short(get(s, listPath+"?after="+NextID)); got != "400 INVALID_PAGINATION_PARAMETERS" {
		t.Errorf("got %s", got)
	}
	s.Set(Behavior{Unchecked: true})
	if got := short(patch(s, `{"version":1}`)); got != "200" { // which unpublishes
		t.Errorf("got %s", got)
	}
	s.Set(Behavior{Notation: func(e164 string) string { return "tel:" + e164 }})
	_, page = get(s, "/v1/phone/")
	numbers, live, state := ids(page, "number"), s.Phones()[0].Number, s.State().Phones()[0].Number
	if numbers[6] != "tel:"+ReceptionNumber || live != numbers[6] || numbers[0] != PBXNumber || state != ReceptionNumber {
		t.Errorf("got %q, %s and %s", numbers, live, state)
	}
}

func TestPhonesOfAnyStatus(t *testing.T) {
	s := newSandbox(t)
	released := time.Date(2026, time.December, 1, 0, 0, 0, 0, time.UTC)
	for _, tt := range []struct{ status, publish string }{
		{"ASSIGNED", "200"}, {"suspended", "200"}, {"Reserved", "400 BAD_PARAMETER"}, {"pending_verification", "400 BAD_PARAMETER"}, {"RELEASED", "400 BAD_PARAMETER"},
	} {
		p := s.State().Phones()[0]
		p.Status, p.ScheduledReleaseAt = tt.status, &released
		s.SetPhone(p)
		_, page := get(s, "/v1/phone/")
		if tt.status == "RELEASED" {
			if slices.Contains(ids(page, "id"), Reception) || s.State().Phones()[0].InboundAgentID != nil {
				t.Errorf("released: listed %v", ids(page, "id"))
			}
		} else if phone := page["data"].([]any)[6].(object); phone["id"] != Reception || phone["status"] != tt.status ||
			phone["scheduled_release_at"] != "2026-12-01T00:00:00Z" || phone["inbound_agent_id"] != FrontDesk {
			t.Errorf("got %v", phone)
		}
		if got := short(patch(s, `{"version_id":"`+NextID+`"`+inboundID+`"`+Reception+`"}`)); got != tt.publish {
			t.Errorf("%s: got %s, want %s", tt.status, got, tt.publish)
		}
	}
}

func TestChangesBehindTheClientsBacks(t *testing.T) {
	s := newSandbox(t)
	s.Bind(Reception, Inbound, Support)
	s.Bind(Switch, Outbound, Support)
	s.Bind(Hotline, Outbound, "")
	s.SetPublished(FrontDesk, OldestID)
	before := summary(s, FrontDesk) + " " + summary(s, Support)
	s.SetPublished(Support, "")
	if after := summary(s, Support); before != "1|| 2|4 1|2" || after != "||" {
		t.Errorf("got %s, then %s", before, after)
	}
	if changes := s.Changes(); len(changes) != 7 || changes[6].Request != -1 || len(changes[1].State.Numbers(Support, Outbound)) != 1 || len(s.Requests()) != 0 {
		t.Errorf("got %v", changes)
	}

	empty := NewEmpty()
	empty.AddAgent(unknownID, "New")
	long := object{"greeting": strings.Repeat("a", 1<<20)}
	version := empty.AddVersion(unknownID, Version{Number: 7, Configuration: long})
	phone := empty.SetPhone(Phone{Number: "+34910000009"})
	empty.SetPublished(unknownID, version)
	status, body := get(empty, "/v1/agent/"+unknownID+"?version_id="+version)
	if status != 200 || body["is_published"] != true || body["version_number"] != 7.0 ||
		len(body["greeting"].(string)) != 1<<20 || phone != Reception {
		t.Errorf("got %d %v, and the phone %s", status, body["version_number"], phone)
	}
}
