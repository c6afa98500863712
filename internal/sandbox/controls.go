package sandbox

import (
	"fmt"
	"slices"
)

// ReleaseOmitted sets whether a publish request releases the phone numbers that it does not name. By default they stay
// bound to the agent.
func (s *Sandbox) ReleaseOmitted(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.releaseOmitted = on
}

// AllowTakeOver sets whether a publish request may take a phone number from another agent, whose version stays published.
// By default such a request is refused.
func (s *Sandbox) AllowTakeOver(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.allowTakeOver = on
}

// WithoutPhones sets whether the operations that read phone numbers are missing. If they are, their paths return 404,
// like any unknown path.
func (s *Sandbox) WithoutPhones(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.withoutPhones = on
}

// StaleReads makes the first n reads after each change by a request see the state before it, as from a replica that
// lags. A request that changes nothing does not count, and neither does a read that is answered by a fault or the rate
// limit. Bind and SetPublished start no stale reads, but stale reads do not see their changes either. n = 0 turns this
// off for later changes.
func (s *Sandbox) StaleReads(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.staleReads = n
}

// SetPublished publishes a version of an agent without a request, as another client would. The agent keeps its phone
// numbers. An empty versionID unpublishes the agent and releases its numbers. It panics on an unknown agent or version.
func (s *Sandbox) SetPublished(agentID, versionID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := s.current.clone()
	if versionID == "" {
		delete(next, agentID)
	} else {
		if a := s.agents[agentID]; a == nil || index(a.versions, versionID) < 0 {
			panic(fmt.Sprintf("sandbox: no agent %q with a version %q", agentID, versionID))
		}
		next.publish(agentID, versionID)
	}
	s.current = next
}

// Bind moves a phone number to an agent in a direction without a request, as another client would, regardless of the
// number's status. It becomes the agent's last number. An empty agentID only releases the number. Bind panics on an
// unknown phone number or agent.
func (s *Sandbox) Bind(phoneID string, d Direction, agentID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phone(phoneID) < 0 || agentID != "" && s.agents[agentID] == nil {
		panic(fmt.Sprintf("sandbox: no phone number %q or no agent %q", phoneID, agentID))
	}
	s.current = s.current.clone()
	s.current.bind(phoneID, d, agentID, false)
}

// Live returns the ids of an agent's published version and of its first phone number in each direction, or "" where
// there is none.
func (s *Sandbox) Live(agentID string) (versionID, inbound, outbound string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.current[agentID]
	return a.version, a.first(Inbound), a.first(Outbound)
}

// Numbers returns the ids of an agent's phone numbers in a direction, the one that was published last first.
func (s *Sandbox) Numbers(agentID string, d Direction) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.current[agentID].numbers[d])
}
