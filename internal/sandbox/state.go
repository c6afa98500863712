package sandbox

import (
	"fmt"
	"maps"
	"slices"
)

// Direction tells calls that an agent answers from calls that it makes.
type Direction int

const (
	Inbound Direction = iota
	Outbound
)

var directions = [...]Direction{Inbound, Outbound}

// String is the word that begins the API's field names.
func (d Direction) String() string { return [...]string{"inbound", "outbound"}[d] }

// field is the name of a direction's phone number in a publish request.
func (d Direction) field() string { return d.String() + "_phone_number_id" }

// state is what a change changes: what each agent has on the air. An agent that is not in it has nothing.
type state map[string]onAir

// onAir is one agent's part of the state. The numbers are the ids of phone numbers, per direction. A list is replaced
// when it changes, and never written to, so that copies may share it.
type onAir struct {
	version string
	numbers [len(directions)][]string
}

// first is the phone number that a publish reply names; empty if there is none.
func (a onAir) first(d Direction) string {
	if len(a.numbers[d]) == 0 {
		return ""
	}
	return a.numbers[d][0]
}

func (st state) clone() state { return maps.Clone(st) }

func (st state) equal(other state) bool {
	return maps.EqualFunc(st, other, func(a, b onAir) bool {
		return a.version == b.version && slices.EqualFunc(a.numbers[:], b.numbers[:], slices.Equal)
	})
}

// agent returns the agent that has a phone number in a direction; empty if none has.
func (st state) agent(phoneID string, d Direction) string {
	for id, a := range st {
		if slices.Contains(a.numbers[d], phoneID) {
			return id
		}
	}
	return ""
}

// publish puts a version on the air; the agent's phone numbers stay.
func (st state) publish(agentID, versionID string) {
	a := st[agentID]
	a.version = versionID
	st[agentID] = a
}

// release takes all phone numbers of a direction from an agent.
func (st state) release(agentID string, d Direction) {
	a := st[agentID]
	a.numbers[d] = nil
	st[agentID] = a
}

// bind gives a phone number to an agent in a direction, and takes it from the one that has it. It becomes the agent's
// first number or its last. An empty agent: nobody gets it.
func (st state) bind(phoneID string, d Direction, agentID string, first bool) {
	if other := st.agent(phoneID, d); other != "" {
		a := st[other]
		a.numbers[d] = slices.DeleteFunc(slices.Clone(a.numbers[d]), func(id string) bool { return id == phoneID })
		st[other] = a
	}
	if agentID == "" {
		return
	}
	a := st[agentID]
	if first {
		a.numbers[d] = slices.Concat([]string{phoneID}, a.numbers[d])
	} else {
		a.numbers[d] = slices.Concat(a.numbers[d], []string{phoneID})
	}
	st[agentID] = a
}

// change makes next the state; the reads that StaleReads ordered keep to the one before it. The caller holds s.mu.
func (s *Sandbox) change(next state) {
	s.before, s.stale = s.now, s.staleReads
	s.now = next
}

// look returns the state that a read sees. The caller holds s.mu.
func (s *Sandbox) look() state {
	if s.stale > 0 {
		s.stale--
		return s.before
	}
	return s.now
}

// DropLeftOut decides what becomes of the phone numbers that a publish request does not name: they stay with the agent
// (false, as in a new sandbox), or the agent loses them.
func (s *Sandbox) DropLeftOut(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropLeftOut = on
}

// TakeInUse decides what becomes of publishing on a phone number that another agent has in the same direction: it is
// refused (false, as in a new sandbox), or it takes the number away from that agent, whose version stays published.
func (s *Sandbox) TakeInUse(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.takeInUse = on
}

// WithoutPhones makes the sandbox an API that has no reads of phone numbers: both are answered as any unknown path is.
func (s *Sandbox) WithoutPhones(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.withoutPhones = on
}

// StaleReads lets the first n reads after each change that a request makes see the state of before it, as if a replica
// answered them. A request that changes nothing does not count, nor does a read that a fault or the rate limit answers.
// What Bind and PublishBehind do begins no such reads, but is hidden while they last. n = 0 ends it for later changes.
func (s *Sandbox) StaleReads(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.staleReads = n
}

// PublishBehind puts a version of an agent on the air as somebody else would, without a request; the phone numbers stay.
// An empty version takes the agent off the air and releases its phone numbers. It panics on an unknown agent or version.
func (s *Sandbox) PublishBehind(agentID, versionID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := s.now.clone()
	if versionID == "" {
		delete(next, agentID)
	} else {
		if a := s.agents[agentID]; a == nil || index(a.versions, versionID) < 0 {
			panic(fmt.Sprintf("sandbox: no agent %q with a version %q", agentID, versionID))
		}
		next.publish(agentID, versionID)
	}
	s.now = next
}

// Bind gives a phone number to an agent in a direction as somebody else would, without a request, whatever the number's
// status. It comes after the agent's other numbers; the agent that had it loses it. An empty agent releases the number.
// Bind panics on an unknown phone number or agent.
func (s *Sandbox) Bind(phoneID string, d Direction, agentID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phone(phoneID) < 0 || agentID != "" && s.agents[agentID] == nil {
		panic(fmt.Sprintf("sandbox: no phone number %q or no agent %q", phoneID, agentID))
	}
	s.now = s.now.clone()
	s.now.bind(phoneID, d, agentID, false)
}

// Live returns the published version of an agent and its first phone number in each direction; each is empty when there
// is none.
func (s *Sandbox) Live(agentID string) (versionID, inbound, outbound string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.now[agentID]
	return a.version, a.first(Inbound), a.first(Outbound)
}

// Numbers returns the ids of all phone numbers that an agent has in a direction. The one that a publish request named
// last comes first.
func (s *Sandbox) Numbers(agentID string, d Direction) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.now[agentID].numbers[d])
}
