package sandbox

import (
	"slices"
	"strings"
	"testing"
)

func TestPublish(t *testing.T) {
	unchanged := binding{LiveID, Reception, ""}
	tests := []struct {
		name   string
		agent  string
		body   string
		status int
		code   string
		live   binding // of the agent, afterwards
	}{
		{"an omitted phone stays bound", FrontDesk, publishNext, 200, "", binding{NextID, Reception, ""}},
		{"a null phone is released", FrontDesk, `{"version_id":"` + NextID + `","inbound_phone_number_id":null}`, 200, "", binding{NextID, "", ""}},
		{"both phones", FrontDesk, `{"version_id":"` + OldestID + `","inbound_phone_number_id":"` + Switch + `","outbound_phone_number_id":"` + Callback + `"}`, 200, "", binding{OldestID, Switch, Callback}},
		{"ids in upper case", FrontDesk, `{"version_id":"` + strings.ToUpper(NextID) + `"}`, 200, "", binding{NextID, Reception, ""}},
		{"the agent in upper case", strings.ToUpper(FrontDesk), publishNext, 200, "", binding{NextID, Reception, ""}},
		{"a null version unpublishes", FrontDesk, `{"version_id":null}`, 200, "", binding{}},
		{"no version unpublishes", FrontDesk, `{}`, 200, "", binding{}},
		{"a phone without a version", FrontDesk, `{"inbound_phone_number_id":"` + Switch + `"}`, 400, "BAD_PARAMETER", unchanged},
		{"a draft", FrontDesk, `{"version_id":"` + DraftID + `"}`, 400, "BAD_PARAMETER", unchanged},
		{"an unknown version", FrontDesk, `{"version_id":"` + unknownID + `"}`, 400, "BAD_PARAMETER", unchanged},
		{"another agent's version", FrontDesk, `{"version_id":"` + NightID + `"}`, 400, "BAD_PARAMETER", unchanged},
		{"an unknown phone", FrontDesk, `{"version_id":"` + NextID + `","outbound_phone_number_id":"` + unknownID + `"}`, 400, "BAD_PARAMETER", unchanged},
		{"a phone that another agent answers", NightDesk, `{"version_id":"` + NightID + `","inbound_phone_number_id":"` + Reception + `"}`, 400, "BAD_PARAMETER", binding{}},
		{"calls from a phone that another agent answers", NightDesk, `{"version_id":"` + NightID + `","outbound_phone_number_id":"` + Reception + `"}`, 200, "", binding{NightID, "", Reception}},
		{"an unknown agent", unknownID, publishNext, 404, "AGENT_NOT_FOUND", binding{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := New()
			status, body := send(s, newRequest("PATCH", "/v1/agent/"+tt.agent+"/published_version", tt.body))
			wantError(t, status, body, tt.status, tt.code)
			agent := strings.ToLower(tt.agent)
			wantLive(t, s, agent, tt.live)
			if status == 200 {
				got := []any{body["agent_id"], body["published_version_id"], body["inbound_phone_number_id"], body["outbound_phone_number_id"]}
				want := []any{agent, anyOrNil(tt.live.version), anyOrNil(tt.live.inbound), anyOrNil(tt.live.outbound)}
				if !slices.Equal(got, want) {
					t.Errorf("response: got %v, want %v", got, want)
				}
			}
			wantNoViolations(t, s)
		})
	}
}

func TestPublishBindsNumbers(t *testing.T) {
	const (
		inbound  = `,"inbound_phone_number_id":`
		outbound = `,"outbound_phone_number_id":`
	)
	bound, boundOut, hotline := []string{Reception, Switch}, []string{Callback}, []string{Hotline}
	tests := []struct {
		name                     string
		releaseOmitted, takeOver bool
		body                     string // after the version
		code                     string // "" for a 200
		inbound, outbound        []string
		support                  []string // Support's inbound numbers
	}{
		{"omitted", false, false, ``, "", bound, boundOut, hotline},
		{"omitted and released", true, false, ``, "", nil, nil, hotline},
		{"null", false, false, inbound + `null`, "", nil, boundOut, hotline},
		{"null and released", true, false, outbound + `null`, "", nil, nil, hotline},
		{"a third", false, false, inbound + `"` + Callback + `"`, "", []string{Callback, Reception, Switch}, boundOut, hotline},
		{"the second", false, false, inbound + `"` + Switch + `"`, "", []string{Switch, Reception}, boundOut, hotline},
		{"in upper case", false, false, inbound + `"` + strings.ToUpper(Switch) + `"`, "", []string{Switch, Reception}, boundOut, hotline},
		{"one of two, the other released", true, false, inbound + `"` + Switch + `"`, "", []string{Switch}, nil, hotline},
		{"in use", false, false, inbound + `"` + Hotline + `"`, "BAD_PARAMETER", bound, boundOut, hotline},
		{"in use while others would be released", true, false, inbound + `"` + Hotline + `"`, "BAD_PARAMETER", bound, boundOut, hotline},
		{"in use and taken over", false, true, inbound + `"` + Hotline + `"`, "", []string{Hotline, Reception, Switch}, boundOut, nil},
		{"in use in the other direction", false, false, outbound + `"` + Reception + `"`, "", bound, []string{Reception, Callback}, hotline},
		{"reserved", false, true, inbound + `"` + Reserved + `"`, "BAD_PARAMETER", bound, boundOut, hotline},
		{"released", false, true, outbound + `"` + Released + `"`, "BAD_PARAMETER", bound, boundOut, hotline},
		{"finished", false, true, inbound + `"` + Retired + `"`, "BAD_PARAMETER", bound, boundOut, hotline},
		{"one valid, one in use", false, false, inbound + `"` + Switch + `"` + outbound + `"` + Hotline + `"`, "BAD_PARAMETER", bound, boundOut, hotline},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := New()
			s.Bind(Switch, Inbound, FrontDesk)
			s.Bind(Callback, Outbound, FrontDesk)
			s.ReleaseOmitted(tt.releaseOmitted)
			s.AllowTakeOver(tt.takeOver)
			status, body := patch(s, `{"version_id":"`+NextID+`"`+tt.body+`}`)
			wantError(t, status, body, map[bool]int{true: 200, false: 400}[tt.code == ""], tt.code)
			wantNumbers(t, s, FrontDesk, tt.inbound, tt.outbound)
			wantNumbers(t, s, Support, tt.support, hotline)
			if _, in, out := s.Live(FrontDesk); status == 200 && (body["inbound_phone_number_id"] != anyOrNil(in) || body["outbound_phone_number_id"] != anyOrNil(out)) {
				t.Errorf("got the response %v, want %s and %s", body, in, out)
			}
			wantNoViolations(t, s)
		})
	}
}

func TestUnpublishReleasesEveryNumber(t *testing.T) {
	s := New()
	s.Bind(Switch, Inbound, FrontDesk)
	s.Bind(Callback, Outbound, FrontDesk)
	if status, body := patch(s, `{}`); status != 200 {
		t.Errorf("got %d %v", status, body)
	}
	wantNumbers(t, s, FrontDesk, nil, nil)
	wantNumbers(t, s, Support, []string{Hotline}, []string{Hotline})
}
