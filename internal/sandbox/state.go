package sandbox

import (
	"maps"
	"slices"
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

// state maps each agent that has a published version or a phone number to its publication.
type state map[string]publication

// publication is an agent's published version and its phone numbers by direction, both as ids. The slices are never
// modified in place, because copies of a state share them.
type publication struct {
	version string
	numbers [len(directions)][]string
}

// first is the phone number that a publish response names, or "".
func (a publication) first(d Direction) string {
	if len(a.numbers[d]) == 0 {
		return ""
	}
	return a.numbers[d][0]
}

func (st state) clone() state { return maps.Clone(st) }

func (st state) equal(other state) bool {
	return maps.EqualFunc(st, other, func(a, b publication) bool {
		return a.version == b.version && slices.EqualFunc(a.numbers[:], b.numbers[:], slices.Equal)
	})
}

// boundTo returns the agent that has a phone number in a direction, or "".
func (st state) boundTo(phoneID string, d Direction) string {
	for id, a := range st {
		if slices.Contains(a.numbers[d], phoneID) {
			return id
		}
	}
	return ""
}

// publish sets the agent's published version and keeps its phone numbers.
func (st state) publish(agentID, versionID string) {
	a := st[agentID]
	a.version = versionID
	st[agentID] = a
}

// release removes all of the agent's phone numbers in a direction.
func (st state) release(agentID string, d Direction) {
	a := st[agentID]
	a.numbers[d] = nil
	st[agentID] = a
}

// bind moves a phone number to an agent in a direction, as the agent's first number or its last. An empty agentID only
// releases the number.
func (st state) bind(phoneID string, d Direction, agentID string, first bool) {
	if other := st.boundTo(phoneID, d); other != "" {
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

// commit makes next the current state. As many reads as StaleReads set still see the previous one. The caller holds
// s.mu.
func (s *Sandbox) commit(next state) {
	s.previous, s.staleLeft = s.current, s.staleReads
	s.current = next
}

// readState returns the state that a read sees. The caller holds s.mu.
func (s *Sandbox) readState() state {
	if s.staleLeft > 0 {
		s.staleLeft--
		return s.previous
	}
	return s.current
}
