package sandbox

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestGetVersion(t *testing.T) {
	tests := []struct{ name, query, version string }{
		{"the published version", "?is_published=true", LiveID},
		{"a version", "?version_id=" + DraftID, DraftID},
		{"a version in upper case", "?version_id=" + strings.ToUpper(OldestID), OldestID},
		{"the newest", "", DraftID},
		{"is_published=false", "?is_published=false", DraftID},
	}
	for _, tt := range tests {
		s := New()
		if status, body := get(s, agentPath+tt.query); status != 200 || body["version_id"] != tt.version || body["is_published"] != (tt.version == LiveID) {
			t.Errorf("%s: got %d %v, want %s", tt.name, status, body, tt.version)
		}
		wantNoViolations(t, s)
	}
}

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
		status, got := get(s, "/v1/phone/"+tt.id)
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

func TestReadErrors(t *testing.T) {
	tests := []struct {
		name, target, token string
		status              int
		code                string
	}{
		{"nothing is published", "/v1/agent/" + NightDesk + "?is_published=true", Token, 404, "AGENT_NOT_FOUND"},
		{"another agent's version", agentPath + "?version_id=" + NightID, Token, 404, "AGENT_NOT_FOUND"},
		{"an unknown agent", "/v1/agent/" + unknownID + "?is_published=true", Token, 404, "AGENT_NOT_FOUND"},
		{"a version after another agent's", listPath + "?after=" + NightID, Token, 400, "BAD_PARAMETER"},
		{"versions before an unknown one", listPath + "?before=" + unknownID, Token, 400, "BAD_PARAMETER"},
		{"versions between two", listPath + "?after=" + LiveID + "&before=" + NextID, Token, 400, "BAD_PARAMETER"},
		{"versions after one and on a page", listPath + "?after=" + LiveID + "&page=1", Token, 400, "BAD_PARAMETER"},
		{"an unknown phone", "/v1/phone/" + unknownID, Token, 404, "PHONE_NOT_FOUND"},
		{"a phone with an unknown token", "/v1/phone/" + Switch, "nobody", 401, "UNAUTHORIZED"},
		{"phones with an unknown token", "/v1/phone/", "nobody", 401, "UNAUTHORIZED"},
		{"phones after one and on a page", "/v1/phone/?page=1&after=" + Switch, Token, 400, "BAD_PARAMETER"},
		{"phones before an unknown one", "/v1/phone/?before=" + unknownID, Token, 400, "BAD_PARAMETER"},
		{"phones after one that the filter excludes", "/v1/phone/?status=reserved&after=" + Switch, Token, 400, "BAD_PARAMETER"},
		{"a phone with a token that may read", "/v1/phone/" + Switch, ReadToken, 200, ""},
		{"phones with a token that may read", "/v1/phone/", ReadToken, 200, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := New()
			r := newRequest("GET", tt.target, "")
			r.Header.Set("Authorization", "Bearer "+tt.token)
			status, body := send(s, r)
			wantError(t, status, body, tt.status, tt.code)
			wantNoViolations(t, s)
		})
	}
}

// versions returns the ids of FrontDesk's versions from one number to another, in either order.
func versions(from, to int) []string {
	var all []string
	for n := min(from, to); n <= max(from, to); n++ {
		all = append(all, fmt.Sprintf("b1000000-0000-4000-8000-%012d", n))
	}
	if from > to {
		slices.Reverse(all)
	}
	return all
}

func TestPages(t *testing.T) {
	const (
		phones = "/v1/phone/"
		v      = "b1000000-0000-4000-8000-000000000"
	)
	tests := []struct {
		target  string
		ids     []string
		more    bool
		current int
		total   int
	}{
		{listPath, versions(230, 221), true, 1, 23},
		{listPath + "?order=asc", versions(1, 10), true, 1, 23},
		{listPath + "?limit=100", versions(230, 131), true, 1, 3},
		{listPath + "?limit=100&after=" + v + "131", versions(130, 31), true, 2, 3},
		{listPath + "?limit=100&after=" + v + "031", versions(30, 1), false, 3, 3},
		{listPath + "?limit=100&after=" + v + "001", nil, false, 3, 3},
		{listPath + "?limit=100&order=asc&after=" + v + "200", versions(201, 230), false, 3, 3},
		{listPath + "?limit=3&before=" + v + "200", versions(203, 201), true, 10, 77},
		{listPath + "?limit=3&before=" + v + "229", versions(230, 230), true, 1, 77},
		{listPath + "?limit=3&order=asc&before=" + v + "200", versions(197, 199), true, 66, 77},
		{listPath + "?page=2", versions(220, 211), true, 2, 23},
		{listPath + "?page=23", versions(10, 1), false, 23, 23},
		{listPath + "?page=24", nil, false, 24, 23},
		{listPath + "?page=9223372036854775807&limit=100", nil, false, 3, 3},

		{phones, []string{Retired, Released, Reserved, Hotline, Callback, Switch, Reception}, false, 1, 1},
		{phones + "?order=asc&limit=3", []string{Reception, Switch, Callback}, true, 1, 3},
		{phones + "?limit=3&page=3", []string{Reception}, false, 3, 3},
		{phones + "?limit=3&after=" + Reserved, []string{Hotline, Callback, Switch}, true, 2, 3},
		{phones + "?limit=2&before=" + Callback, []string{Reserved, Hotline}, true, 2, 4},
		{phones + "?inbound_agent_id=" + FrontDesk, []string{Reception}, false, 1, 1},
		{phones + "?inbound_agent_id=" + strings.ToUpper(Support), []string{Hotline}, false, 1, 1},
		{phones + "?outbound_agent_id=" + Support, []string{Hotline}, false, 1, 1},
		{phones + "?outbound_agent_id=" + FrontDesk, nil, false, 1, 0},
		{phones + "?inbound_agent_id=" + FrontDesk + "&outbound_agent_id=" + Support, nil, false, 1, 0},
		{phones + "?inbound_agent_id=" + unknownID, nil, false, 1, 0},
		{phones + "?status=assigned", []string{Hotline, Callback, Switch, Reception}, false, 1, 1},
		{phones + "?status=assigned&limit=1&after=" + Hotline, []string{Callback}, true, 2, 4},
		{phones + "?status=finished", []string{Retired}, false, 1, 1},
	}
	for _, tt := range tests {
		t.Run(tt.target, func(t *testing.T) {
			s := New()
			status, body := get(s, tt.target)
			if status != 200 {
				t.Fatalf("got %d %v", status, body)
			}
			field := "version_id"
			if strings.HasPrefix(tt.target, phones) {
				field = "id"
			}
			if got := ids(body, field); !slices.Equal(got, tt.ids) {
				t.Errorf("got %v, want %v", got, tt.ids)
			}
			var first, last any
			if len(tt.ids) > 0 {
				first, last = tt.ids[0], tt.ids[len(tt.ids)-1]
			}
			for field, want := range map[string]any{"has_more": tt.more, "current_page": float64(tt.current), "total_pages": float64(tt.total), "first_id": first, "last_id": last} {
				if body[field] != want {
					t.Errorf("%s: got %v, want %v", field, body[field], want)
				}
			}
			wantNoViolations(t, s)
		})
	}
}
