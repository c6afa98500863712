package sandbox

import (
	"fmt"
	"time"
)

// The tokens, agents, phone numbers and versions of the world that New makes. Ids that begin with a are agents, with b
// versions, with c phone numbers.
const (
	Token     = "sandbox-token-that-may-publish"
	ReadToken = "sandbox-token-that-may-read" // publishing with it is answered with 403

	FrontDesk = "a0000000-0000-4000-8000-000000000001" // version LiveID on the phone Reception
	NightDesk = "a0000000-0000-4000-8000-000000000002" // three versions, none of them published
	Support   = "a0000000-0000-4000-8000-000000000003" // three versions, SupportID on the phone Hotline

	Reception = "c0000000-0000-4000-8000-000000000001" // answered by FrontDesk
	Switch    = "c0000000-0000-4000-8000-000000000002" // free
	Callback  = "c0000000-0000-4000-8000-000000000003" // free
	Hotline   = "c0000000-0000-4000-8000-000000000004" // Support answers it and calls from it
	Reserved  = "c0000000-0000-4000-8000-000000000005" // not assigned yet
	Released  = "c0000000-0000-4000-8000-000000000006" // given back
	Retired   = "c0000000-0000-4000-8000-000000000007" // finished; Switch has its number now

	ReceptionNumber = "+34910000001"
	SwitchNumber    = "+34910000002"
	CallbackNumber  = "+34910000003"
	HotlineNumber   = "+34910000004"
	ReservedNumber  = "+34910000005"
	ReleasedNumber  = "+34910000006"
	RetiredNumber   = SwitchNumber

	Versions   = 230 // of FrontDesk: three pages of 100
	LiveID     = "b1000000-0000-4000-8000-000000000228"
	LiveName   = "v1.22.7"
	NextID     = "b1000000-0000-4000-8000-000000000229" // the newest version that is not a draft
	NextName   = "v1.22.8"
	DraftID    = "b1000000-0000-4000-8000-000000000230" // the newest version of all
	DraftName  = "v2.0.0-rc.1"
	OldestID   = "b1000000-0000-4000-8000-000000000001" // on the last page
	OldestName = "v1.0.0"
	SharedName = "stable" // of two versions, 200 on the first page and 20 on the last
	NamelessID = "b1000000-0000-4000-8000-000000000226"
	NightID    = "b2000000-0000-4000-8000-000000000003" // the newest version of NightDesk, not a draft
	SupportID  = "b3000000-0000-4000-8000-000000000002" // one of Support is newer, and not a draft
)

// New returns a sandbox with a world to explore. FrontDesk's versions 1 to 230 are called v1.0.0, v1.0.1 and so on, ten
// to a minor version, but for those that the constants name; 100 and 230 are drafts. They are one hour apart, and all
// have a configuration: one up to LiveID, another from NextID on. The other agents' versions have none.
func New() *Sandbox {
	referee, err := newReferee()
	if err != nil {
		panic(err) // the document is part of the program
	}
	s := &Sandbox{
		referee: referee,
		agents:  map[string]*agent{FrontDesk: {name: "Front desk"}, NightDesk: {name: "Night desk"}, Support: {name: "Support"}},
		phones:  worldPhones(),
		tokens:  map[string]bool{Token: true, ReadToken: false},
		now: state{
			FrontDesk: {version: LiveID, numbers: [...][]string{Inbound: {Reception}, Outbound: nil}},
			Support:   {version: SupportID, numbers: [...][]string{Inbound: {Hotline}, Outbound: {Hotline}}},
		},
	}
	special := map[int]string{20: SharedName, 200: SharedName, 226: "", 230: DraftName}
	for n := 1; n <= Versions; n++ {
		name, ok := special[n]
		if !ok {
			name = fmt.Sprintf("v1.%d.%d", (n-1)/10, (n-1)%10)
		}
		s.AddVersion(FrontDesk, name, n == 100 || n == 230)
	}
	for n := range 3 {
		s.AddVersion(NightDesk, fmt.Sprintf("night-%d", n+1), false)
		s.AddVersion(Support, fmt.Sprintf("support-%d", n+1), false)
	}
	return s
}

// worldPhones are the world's phone numbers, in the order of their ids, which came a day apart.
func worldPhones() []Phone {
	phones := []Phone{
		{ID: Reception, Number: ReceptionNumber, Nickname: new("Reception"), Status: "assigned", Provider: "netelip"},
		{ID: Switch, Number: SwitchNumber, Nickname: new("Switch"), Status: "assigned", Provider: "netelip"},
		{ID: Callback, Number: CallbackNumber, Nickname: new("Callback"), Status: "assigned", Provider: "custom"},
		{ID: Hotline, Number: HotlineNumber, Nickname: new("Hotline"), Status: "assigned", Provider: "netelip"},
		{ID: Reserved, Number: ReservedNumber, Status: "reserved", Provider: "netelip"},
		{ID: Released, Number: ReleasedNumber, Nickname: new("Released"), Status: "released", Provider: "netelip"},
		{ID: Retired, Number: RetiredNumber, Nickname: new("Old switch"), Status: "finished", Provider: "netelip"},
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

// AddVersion gives one of the agents a new version, an hour younger than its last one, and returns its id. An empty
// name stands for null.
func (s *Sandbox) AddVersion(agentID, name string, draft bool) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.agents[agentID]
	number := len(a.versions) + 1
	v := version{
		AgentID: agentID,
		// The id tells whose version it is: b1… of agent …1, b2… of agent …2 and so on.
		VersionID: fmt.Sprintf("b%s000000-0000-4000-8000-%012d", agentID[len(agentID)-1:], number),
		Number:    number,
		IsDraft:   draft,
		Agent:     a.name,
		Created:   time.Date(2026, time.January, 5, 9, 0, 0, 0, time.UTC),
	}
	v.VersionCreated = v.Created.Add(time.Duration(number) * time.Hour)
	v.Modified = v.VersionCreated
	if name != "" {
		v.VersionName = &name
	}
	if agentID == FrontDesk {
		v.configuration = configured(v.VersionID >= NextID)
	}
	a.versions = append(a.versions, v)
	return v.VersionID
}
