package sandbox

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Direction is the direction of the calls that a phone number is used for, as seen by the agent.
type Direction int

const (
	Inbound Direction = iota
	Outbound
)

var directions = [...]Direction{Inbound, Outbound}

// String returns "inbound" or "outbound".
func (d Direction) String() string { return [...]string{"inbound", "outbound"}[d] }

// field is the direction's field in a publish request.
func (d Direction) field() string { return d.String() + "_phone_number_id" }

// Version is one version of an agent, or its draft.
type Version struct {
	ID            string         // empty: made of the agent's last digit and the number, as in the constants
	Number        int            // 0: the next one
	Name          string         // empty: null
	Draft         bool           // of several drafts, the last is the agent's draft
	Issues        []Issue        // a version that has any can be neither launched nor published
	Configuration map[string]any // fields of AgentVersion, over the least that it requires; never modified
	Created       time.Time      // zero: as many hours after January 5, 2026, as Number says
}

// Issue is one of the document's validation_issues.
type Issue struct {
	Code    string            `json:"message_code"`
	Message string            `json:"message"`
	Params  map[string]string `json:"params"`
}

// Phone is the document's Phone. Its agents are set when it is read.
type Phone struct {
	ID                 string     `json:"id"` // empty: made of how many there are, as in the constants
	Number             string     `json:"number"`
	Nickname           *string    `json:"nickname"`
	Status             string     `json:"status"`             // any word, in any case of letters; empty: assigned
	Provider           string     `json:"telephony_provider"` // empty: netelip
	InboundAgentID     *string    `json:"inbound_agent_id"`
	OutboundAgentID    *string    `json:"outbound_agent_id"`
	ScheduledReleaseAt *time.Time `json:"scheduled_release_at"`
}

// State is everything that the API knows at one time. It never changes.
type State struct {
	agents map[string]*agent
	phones []Phone // without their agents
}

// agent is immutable once it is in a State, and so is all that it refers to.
type agent struct {
	name      string
	versions  []Version // in the order in which they were added
	newest    int       // the highest number so far, which no other version gets
	published string    // "" if nothing is
	numbers   [len(directions)][]string
}

// Live returns the ids of an agent's published version and of its first phone number in each direction, or "" where
// there is none.
func (st *State) Live(agentID string) (versionID, inbound, outbound string) {
	a := st.agent(agentID)
	return a.published, a.first(Inbound), a.first(Outbound)
}

// Numbers returns the ids of an agent's phone numbers in a direction, the one that was published last first.
func (st *State) Numbers(agentID string, d Direction) []string {
	return slices.Clone(st.agent(agentID).numbers[d])
}

// Versions returns an agent's versions and its draft in the order in which they were added.
func (st *State) Versions(agentID string) []Version { return slices.Clone(st.agent(agentID).versions) }

// Phones returns all phone numbers, oldest first.
func (st *State) Phones() []Phone {
	phones := slices.Clone(st.phones)
	for i, p := range phones {
		phones[i].InboundAgentID = orNull(st.Owner(p.ID, Inbound))
		phones[i].OutboundAgentID = orNull(st.Owner(p.ID, Outbound))
	}
	return phones
}

// Owner returns the id of the agent that has a phone number in a direction, or "".
func (st *State) Owner(phoneID string, d Direction) string {
	for id, a := range st.agents {
		if slices.Contains(a.numbers[d], phoneID) {
			return id
		}
	}
	return ""
}

// agent returns an agent, or one without anything if there is none of that id.
func (st *State) agent(id string) *agent { return cmp.Or(st.agents[id], &agent{}) }

// phone finds a phone number by its id, or returns -1.
func (st *State) phone(id string) int {
	return slices.IndexFunc(st.phones, func(p Phone) bool { return p.ID == id })
}

// draft returns the agent's draft, or nil.
func (a *agent) draft() *Version { return a.last(func(v Version) bool { return v.Draft }) }

// version returns a version by its id, or nil.
func (a *agent) version(id string) *Version {
	return a.last(func(v Version) bool { return v.ID == id })
}

// last returns the agent's last version for which is returns true, or nil.
func (a *agent) last(is func(Version) bool) *Version {
	for i, v := range slices.Backward(a.versions) {
		if is(v) {
			return &a.versions[i]
		}
	}
	return nil
}

// first is the phone number that a publish response names, or "".
func (a *agent) first(d Direction) string { return append(slices.Clip(a.numbers[d]), "")[0] }

// clone returns a copy that the following methods may change.
func (st *State) clone() *State { return &State{maps.Clone(st.agents), st.phones} }

// edit returns an agent to be changed. It panics if there is none of that id.
func (st *State) edit(agentID string) *agent {
	a := *st.agents[agentID]
	st.agents[agentID] = &a
	return &a
}

// add appends a version and completes it.
func (a *agent) add(agentID string, v Version) Version {
	v.Number = cmp.Or(v.Number, a.newest+1)
	a.newest = max(a.newest, v.Number)
	v.ID = cmp.Or(v.ID, fmt.Sprintf("b%s000000-0000-4000-8000-%012d", agentID[len(agentID)-1:], v.Number))
	if v.Created.IsZero() {
		v.Created = started.Add(time.Duration(v.Number) * time.Hour)
	}
	a.versions = append(slices.Clip(a.versions), v)
	return v
}

// setPhone adds or replaces a phone number.
func (st *State) setPhone(p Phone) string {
	p.ID = cmp.Or(p.ID, fmt.Sprintf("c0000000-0000-4000-8000-%012d", len(st.phones)+1))
	p.Status, p.Provider = cmp.Or(p.Status, "assigned"), cmp.Or(p.Provider, "netelip")
	st.phones = slices.Clone(st.phones)
	if i := st.phone(p.ID); i >= 0 {
		st.phones[i] = p
	} else {
		st.phones = append(st.phones, p)
	}
	if strings.EqualFold(p.Status, "released") {
		st.bind(p.ID, Inbound, "", false)
		st.bind(p.ID, Outbound, "", false)
	}
	return p.ID
}

// bind moves a phone number to an agent in a direction, as the agent's first number or its last. An empty agentID only
// releases the number.
func (st *State) bind(phoneID string, d Direction, agentID string, first bool) {
	if other := st.Owner(phoneID, d); other != "" {
		a := st.edit(other)
		a.numbers[d] = slices.DeleteFunc(slices.Clone(a.numbers[d]), func(id string) bool { return id == phoneID })
	}
	if agentID != "" {
		a := st.edit(agentID)
		a.numbers[d] = append(slices.Clip(a.numbers[d]), phoneID)
		if first {
			a.numbers[d] = slices.Concat([]string{phoneID}, a.numbers[d][:len(a.numbers[d])-1])
		}
	}
}

// encode returns a version as the document's AgentVersion.
func (a *agent) encode(agentID string, v Version) map[string]any {
	fields := maps.Clone(readFixtures().Least)
	maps.Copy(fields, v.Configuration)
	maps.Copy(fields, map[string]any{
		"agent_id": agentID, "version_id": v.ID, "version_number": v.Number, "version_name": orNull(v.Name),
		"is_draft": v.Draft, "is_published": a.published == v.ID, "name": a.name, "validation_issues": v.Issues,
		"created_at": started, "modified_at": v.Created, "version_created_at": v.Created,
	})
	return fields
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
