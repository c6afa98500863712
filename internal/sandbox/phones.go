package sandbox

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Paths for phone numbers in the document.
const (
	phonesPath = "/v1/phone/"
	phonePath  = "/v1/phone/{phone_id}"
)

// Phone is the document's Phone.
type Phone struct {
	ID              string     `json:"id"`
	Number          string     `json:"number"`
	Nickname        *string    `json:"nickname"`
	Status          string     `json:"status"` // "reserved", "assigned", "released" or "finished"
	Provider        string     `json:"telephony_provider"`
	InboundAgentID  *string    `json:"inbound_agent_id"`  // set when it is read
	OutboundAgentID *string    `json:"outbound_agent_id"` // set when it is read
	AssignedAt      *time.Time `json:"assigned_at"`
	ReleasedAt      *time.Time `json:"released_at"`
}

// Phones returns all phone numbers in their current state, oldest first.
func (s *Sandbox) Phones() []Phone {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.readPhones(s.current)
}

// readPhones returns copies of the phone numbers with the agents that they are bound to in st. The caller holds s.mu.
func (s *Sandbox) readPhones(st state) []Phone {
	phones := slices.Clone(s.phones)
	for i := range phones {
		phones[i].InboundAgentID = orNull(st.boundTo(phones[i].ID, Inbound))
		phones[i].OutboundAgentID = orNull(st.boundTo(phones[i].ID, Outbound))
	}
	return phones
}

// phone finds a phone number by its lower-case id, or returns -1.
func (s *Sandbox) phone(id string) int {
	return slices.IndexFunc(s.phones, func(p Phone) bool { return p.ID == id })
}

func (s *Sandbox) getPhone(st state, id string) response {
	i := s.phone(id)
	if i < 0 {
		return errorResponse(http.StatusNotFound, "PHONE_NOT_FOUND", "There is no phone number %s", id)
	}
	return jsonResponse(http.StatusOK, s.readPhones(st)[i])
}

func (s *Sandbox) listPhones(st state, query url.Values) response {
	filters := map[string]func(Phone) string{
		"inbound_agent_id":  func(p Phone) string { return orEmpty(p.InboundAgentID) },
		"outbound_agent_id": func(p Phone) string { return orEmpty(p.OutboundAgentID) },
		"status":            func(p Phone) string { return p.Status },
	}
	phones := s.readPhones(st)
	for name, field := range filters {
		if want := query.Get(name); want != "" {
			phones = slices.DeleteFunc(phones, func(p Phone) bool { return !strings.EqualFold(field(p), want) })
		}
	}
	return paginate(phones, func(p Phone) string { return p.ID }, query)
}
