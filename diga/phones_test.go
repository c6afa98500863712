package diga

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

const phoneField = `"id":"c0000000-0000-4000-8000-000000000003"`

func TestReadPhone(t *testing.T) {
	for fields, want := range map[string]Phone{ // after the id
		"": {},
		`,"number":null,"nickname":null,"status":null,"inbound_agent_id":null,"outbound_agent_id":null`: {},
		`,"Number":"+1","number ":7,"x":[{}]`: {},
		`,"number":"+34910000001","nickname":"Desk","status":"Assigned","inbound_agent_id":"` +
			strings.ToUpper(agentID.String()) + `"`: {
			Number: ParseNumber("+34910000001"), Nickname: "Desk", Status: "assigned",
			Agents: [Directions]uuid.NullUUID{Inbound: valid(agentID)}},
		`,"outbound_agent_id":"a0000000-0000-4000-8000-000000000001","scheduled_release_at":"2025-03-01T12:00:00"`: {
			Agents: [Directions]uuid.NullUUID{Outbound: valid(agentID)}, ReleaseAt: time.Date(2025, 3, 1, 12, 0, 0, 0,
				time.UTC)},
		`,"scheduled_release_at":"2025-03-01T13:00:00+01:00"`: {ReleaseAt: time.Date(2025, 3, 1, 12, 0, 0, 0, time.UTC)},
		`,"scheduled_release_at":"soon"`:                      {},
	} {
		want.ID = phoneID
		got, err := readPhone([]byte("{" + phoneField + fields + "}"))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", fields, got, err)
		}
		other := got.Agents[Outbound].Valid
		if got.IsBound(agentID, Outbound) != other || got.IsBound(uuid.Nil, Inbound) {
			t.Errorf("%+v: bound to the wrong agent", got)
		}
	}
	fieldsHaveTypes(t, readPhone, "{"+phoneField+"}", map[string]string{
		"id": "a string", "number": "a string", "nickname": "a string", "status": "a string",
		"inbound_agent_id": "a string", "outbound_agent_id": "a string",
	})
	idsAreRequired(t, readPhone, "{"+phoneField+"}", "id")
	for status, usable := range map[Foreign]bool{
		"": true, "assigned": true, "suspended": true, "reserved": false, "pending_verification": false,
		"released": false, "finished": false,
	} {
		if (Phone{Status: status}).Usable() != usable {
			t.Errorf("%q: usable: %t", status, !usable)
		}
	}
}

func TestPhones(t *testing.T) {
	n := &network{answers: []answer{
		pageOf(true, []string{`{"id":"` + id(9).String() + `"}`, `{"id":"` + id(8).String() + `"}`}),
		pageOf(false, []string{`{"id":"` + id(8).String() + `"}`, "{" + phoneField + "}"}),
	}}
	n.play(t, func(t *testing.T, c *Client) {
		var all []uuid.UUID
		for p, err := range c.Phones(t.Context()) {
			if all = append(all, p.ID); err != nil {
				t.Error(err)
			}
		}
		asked := []string{"GET /v1/phone/?limit=100", "GET /v1/phone/?after=" + id(8).String() + "&limit=100"}
		if !slices.Equal(all, []uuid.UUID{id(9), id(8), phoneID}) || !slices.Equal(n.targets(), asked) {
			t.Errorf("%s: %s", n.targets(), all)
		}
	})
}

// The notations in a row are the same number, and no number of another row is.
func TestNotations(t *testing.T) {
	groups := []struct {
		e164  string
		sip   bool
		texts []string
	}{
		{"+34910000001", false, []string{
			" +34 910 000 001 ", "\t+34 910\u00a0000\u00a0001\r\n", "+34\u202f910\u2009000\u3000001", "+34-910-000-001",
			"+34\u2010910\u2011000\u2012001", "+34\u2013910\u2014000\u2015001", "+34−910−000−001", "+34.910.000.001",
			"+34/910/000001", "(+34) 910 000 001", "[+34]910000001", "TEL:+34-910-00-00-01", "sip:+34910000001",
			"tel:+34-910-00-00-01;ext=12", "+34910000001;x",
		}},
		{"", false, []string{"910000001", "910 00 00 01", "tel:910-00-00-01;phone-context=+34"}},
		{"", false, []string{"0034910000001", "00 34 910 000 001"}}, // 00 is no +
		{"", false, []string{"++34910000001"}},
		{"", false, []string{"+34910000001x"}},
		{"", false, []string{"+34,910000001"}},
		{"", false, []string{"+3491000000\uff11"}},
		{"", false, []string{"call me", "CALL ME"}},
		{"", true, []string{"pbx-7@sip.example.com", "PBX-7@SIP.example.com", "sip:pbx-7@sip.example.com",
			"sip:pbx-7@sip.example.com;transport=tls"}},
		{"", true, []string{"pbx7@sip.example.com"}},
		{"", true, []string{"+34910000001@sip.example.com"}},
		{"", false, []string{"@sip.example.com"}},
		{"", false, []string{"pbx-7@"}},
		{"+12125550100", false, []string{"+1 (212) 555-0100", "[+1] 212.555.0100"}},
		{"", false, []string{"+1"}},
		{"+12", false, []string{"+12"}},
		{"+123456789012345", false, []string{"+123456789012345"}},
		{"", false, []string{"+1234567890123456"}},
		{"", false, []string{"+0910000001"}},
	}
	for i, group := range groups {
		for _, text := range group.texts {
			n := ParseNumber(text)
			if n.E164() != group.e164 || n.IsSIP() != group.sip || string(n.Text()) != strings.TrimSpace(text) {
				t.Errorf("%q: E.164 %q, SIP: %t, text %q", text, n.E164(), n.IsSIP(), n.Text())
			}
			for j, other := range groups {
				for _, s := range other.texts {
					if m := ParseNumber(s); n.Equal(m) != (i == j) || n.Exactly(m) != (i == j) {
						t.Errorf("%q and %q: equal: %t, exactly: %t", text, s, n.Equal(m), n.Exactly(m))
					}
				}
			}
		}
	}
	for _, text := range []string{"", " ", ";ext=1", "-", "()"} { // none, and so equal to nothing
		if n := ParseNumber(text); n.Equal(n) || n.Exactly(n) || n.E164() != "" || n.Digits() != "" {
			t.Errorf("%q is a number", text)
		}
	}
}

// Digits alone are equal to E.164, because YAML reads an unquoted +34910000001 as an integer.
func TestTwoNumbers(t *testing.T) {
	for _, test := range []struct {
		a, b            string
		equal, endsLike bool
	}{
		{"34910000001", "+34 910 000 001", true, true}, {"34910000001", "+34910000002", false, false},
		{"910000001", "+34910000001", false, true}, {"0910000001", "+0910000001", false, true},
		{"0034910000001", "910000001", false, true}, {"0034910000001", "+34910000001", false, true},
		{"+34910100001", "100001", false, true}, {"+34910100001", "00001", false, false},
		{"+34910000001", "910000002", false, false}, {"pbx-7@sip.example.com", "910000001", false, false},
		{"1", "+1", false, false}, {"", "", false, false},
	} {
		a, b := ParseNumber(test.a), ParseNumber(test.b)
		if a.Equal(b) != test.equal || b.Equal(a) != test.equal || a.Exactly(b) || b.Exactly(a) ||
			a.EndsLike(b) != test.endsLike || b.EndsLike(a) != test.endsLike {
			t.Errorf("%q and %q: want %+v", test.a, test.b, test)
		}
	}
}
