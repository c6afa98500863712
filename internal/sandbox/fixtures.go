package sandbox

import (
	"fmt"
	"time"
)

// The tokens, agents, phone numbers and versions of a new sandbox. Agent ids start with a, version ids with b, and phone
// number ids with c.
//
// FrontDesk's versions 1 to 230 are an hour apart and are called v1.0.0 to v1.0.9, v1.1.0 and so on, except for those
// named below. 100 and 230 are drafts. All of them have a configuration, which changes after LiveID. The other agents'
// versions have none.
const (
	Token     = "sandbox-token-that-may-publish"
	ReadToken = "sandbox-token-that-may-read" // publishing with it is a 403

	FrontDesk = "a0000000-0000-4000-8000-000000000001" // LiveID is published on Reception
	NightDesk = "a0000000-0000-4000-8000-000000000002" // three versions, none published
	Support   = "a0000000-0000-4000-8000-000000000003" // three versions, SupportID is published on Hotline

	Reception = "c0000000-0000-4000-8000-000000000001" // FrontDesk, inbound
	Switch    = "c0000000-0000-4000-8000-000000000002" // free
	Callback  = "c0000000-0000-4000-8000-000000000003" // free
	Hotline   = "c0000000-0000-4000-8000-000000000004" // Support, inbound and outbound
	Reserved  = "c0000000-0000-4000-8000-000000000005" // reserved
	Released  = "c0000000-0000-4000-8000-000000000006" // released
	Retired   = "c0000000-0000-4000-8000-000000000007" // finished; has the same number as Switch

	ReceptionNumber = "+34910000001"
	SwitchNumber    = "+34910000002"
	CallbackNumber  = "+34910000003"
	HotlineNumber   = "+34910000004"
	ReservedNumber  = "+34910000005"
	ReleasedNumber  = "+34910000006"

	Versions   = 230 // of FrontDesk, three pages of 100
	LiveID     = "b1000000-0000-4000-8000-000000000228"
	LiveName   = "v1.22.7"
	NextID     = "b1000000-0000-4000-8000-000000000229" // the newest version that is not a draft
	NextName   = "v1.22.8"
	DraftID    = "b1000000-0000-4000-8000-000000000230" // the newest version of all
	DraftName  = "v2.0.0-rc.1"
	OldestID   = "b1000000-0000-4000-8000-000000000001" // on the last page
	OldestName = "v1.0.0"
	SharedName = "stable"                               // of two versions, 200 and 20
	NightID    = "b2000000-0000-4000-8000-000000000003" // the newest version of NightDesk, not a draft
	SupportID  = "b3000000-0000-4000-8000-000000000002" // one of Support is newer, and not a draft
)

// addFixtures fills an empty sandbox.
func (s *Sandbox) addFixtures() {
	s.agents = map[string]*agent{FrontDesk: {name: "Front desk"}, NightDesk: {name: "Night desk"}, Support: {name: "Support"}}
	s.phones = fixturePhones()
	s.tokens = map[string]bool{Token: true, ReadToken: false}
	s.current = state{
		FrontDesk: {version: LiveID, numbers: [...][]string{Inbound: {Reception}, Outbound: nil}},
		Support:   {version: SupportID, numbers: [...][]string{Inbound: {Hotline}, Outbound: {Hotline}}},
	}
	names := map[int]string{20: SharedName, 200: SharedName, 226: "", 230: DraftName}
	for n := 1; n <= Versions; n++ {
		name, ok := names[n]
		if !ok {
			name = fmt.Sprintf("v1.%d.%d", (n-1)/10, (n-1)%10)
		}
		s.AddVersion(FrontDesk, name, n == 100 || n == 230)
	}
	for n := range 3 {
		s.AddVersion(NightDesk, fmt.Sprintf("night-%d", n+1), false)
		s.AddVersion(Support, fmt.Sprintf("support-%d", n+1), false)
	}
}

// fixturePhones returns the phone numbers in the order of their ids, assigned a day apart.
func fixturePhones() []Phone {
	phones := []Phone{
		{ID: Reception, Number: ReceptionNumber, Nickname: new("Reception"), Status: "assigned", Provider: "netelip"},
		{ID: Switch, Number: SwitchNumber, Nickname: new("Switch"), Status: "assigned", Provider: "netelip"},
		{ID: Callback, Number: CallbackNumber, Nickname: new("Callback"), Status: "assigned", Provider: "custom"},
		{ID: Hotline, Number: HotlineNumber, Nickname: new("Hotline"), Status: "assigned", Provider: "netelip"},
		{ID: Reserved, Number: ReservedNumber, Status: "reserved", Provider: "netelip"},
		{ID: Released, Number: ReleasedNumber, Nickname: new("Released"), Status: "released", Provider: "netelip"},
		{ID: Retired, Number: SwitchNumber, Nickname: new("Old switch"), Status: "finished", Provider: "netelip"},
	}
	for i := range phones {
		assigned := time.Date(2026, time.January, 5+i, 9, 0, 0, 0, time.UTC)
		if phones[i].Status != "reserved" {
			phones[i].AssignedAt = &assigned
		}
		if phones[i].Status == "released" || phones[i].Status == "finished" {
			phones[i].ReleasedAt = new(assigned.Add(30 * 24 * time.Hour))
		}
	}
	return phones
}
