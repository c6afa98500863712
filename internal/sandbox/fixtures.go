package sandbox

import (
	"encoding/json"
	"fmt"
	"maps"
	"sync"
	"time"

	"publish-agent-version/testdata"
)

// The tokens, agents, phone numbers and versions of a new sandbox. Agent ids start with a, version ids with b, and
// phone number ids with c.
//
// FrontDesk's versions 1 to 230 are an hour apart and are called v1.0.0 to v1.0.9, v1.1.0 and so on, except for those
// named below. 230 is its draft; the other agents have none. All of them have a configuration, which changes after
// LiveID. The other agents' versions have the least that the document requires.
const (
	Token       = "sandbox-token-that-may-publish"
	ReadToken   = "sandbox-token-that-may-read"         // Read on Agents and Phones: publishing with it is a 403
	AgentsToken = "sandbox-token-that-may-write-agents" // Write on Agents, no access to Phones
	PhonesToken = "sandbox-token-that-may-read-phones"  // Write on Agents, Read on Phones

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
	PBX       = "c0000000-0000-4000-8000-000000000008" // imported, free

	ReceptionNumber = "+34910000001"
	SwitchNumber    = "+34910000002"
	CallbackNumber  = "+34910000003"
	HotlineNumber   = "+34910000004"
	PBXNumber       = "pbx-7@sip.example.com"

	Versions   = 230 // of FrontDesk, three pages of 100
	LiveID     = "b1000000-0000-4000-8000-000000000228"
	LiveName   = "v1.22.7"
	NextID     = "b1000000-0000-4000-8000-000000000229" // the newest version
	NextName   = "v1.22.8"
	DraftID    = "b1000000-0000-4000-8000-000000000230" // the draft, and the newest of all
	DraftName  = "v2.0.0-rc.1"
	OldestID   = "b1000000-0000-4000-8000-000000000001" // on the last page
	OldestName = "v1.0.0"
	SharedName = "stable"                               // of two versions, 200 and 20
	NightID    = "b2000000-0000-4000-8000-000000000003" // the newest version of NightDesk, not a draft
	SupportID  = "b3000000-0000-4000-8000-000000000002" // one of Support is newer, and not a draft
)

// started is when the agents were made.
var started = time.Date(2026, time.January, 5, 9, 0, 0, 0, time.UTC)

// fixtures are what testdata/sandbox.json holds. They are never modified.
type fixtures struct {
	Least  map[string]any // the configuration that the document requires of every version
	Live   map[string]any // the configuration of FrontDesk's versions up to LiveID
	Next   map[string]any // what is different in those from NextID on: prompt, voice and call_tools
	Phones []Phone
}

var readFixtures = sync.OnceValue(func() (f fixtures) {
	check(json.Unmarshal(testdata.Sandbox, &f))
	return f
})

// newState is the state of a new sandbox, which all of them share.
var newState = sync.OnceValue(func() *State {
	f, st := readFixtures(), &State{agents: map[string]*agent{}}
	front, night, support := &agent{name: "Front desk"}, &agent{name: "Night desk"}, &agent{name: "Support"}
	st.agents[FrontDesk], st.agents[NightDesk], st.agents[Support] = front, night, support
	next := maps.Clone(f.Live)
	maps.Copy(next, f.Next)
	names := map[int]string{20: SharedName, 200: SharedName, 226: "", 230: DraftName}
	for n := 1; n <= Versions; n++ {
		v := Version{Name: fmt.Sprintf("v1.%d.%d", (n-1)/10, (n-1)%10), Draft: n == 230, Configuration: f.Live}
		if name, ok := names[n]; ok {
			v.Name = name
		}
		if n > 228 {
			v.Configuration = next
		}
		front.add(FrontDesk, v)
	}
	for n := 1; n <= 3; n++ {
		night.add(NightDesk, Version{Name: fmt.Sprintf("night-%d", n)})
		support.add(Support, Version{Name: fmt.Sprintf("support-%d", n)})
	}
	front.published, support.published = LiveID, SupportID
	for _, p := range f.Phones {
		st.setPhone(p)
	}
	st.bind(Reception, Inbound, FrontDesk, false)
	st.bind(Hotline, Inbound, Support, false)
	st.bind(Hotline, Outbound, Support, false)
	return st
})
