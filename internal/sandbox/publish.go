package sandbox

import (
	"net/http"
	"strings"
)

// publishResponse is the document's PublishAgentResponse.
type publishResponse struct {
	AgentID   string  `json:"agent_id"`
	VersionID *string `json:"published_version_id"`
	Outbound  *string `json:"outbound_phone_number_id"`
	Inbound   *string `json:"inbound_phone_number_id"`
}

// publish publishes a version of an agent, or unpublishes the agent. The caller holds s.mu.
func (s *Sandbox) publish(id string, a *agent, body map[string]any) response {
	next := s.current.clone()
	wanted, _ := body["version_id"].(string)
	if wanted == "" {
		for _, d := range directions {
			if body[d.field()] != nil {
				return errorResponse(http.StatusBadRequest, "BAD_PARAMETER", "A phone number needs a version")
			}
		}
		delete(next, id)
	} else {
		i := index(a.versions, wanted)
		if i < 0 {
			return errorResponse(http.StatusBadRequest, "BAD_PARAMETER", "Agent %s has no version %s", id, wanted)
		}
		if a.versions[i].IsDraft {
			return errorResponse(http.StatusBadRequest, "BAD_PARAMETER", "Version %s is a draft", wanted)
		}
		next.publish(id, a.versions[i].VersionID)
		for _, d := range directions {
			phone, given := body[d.field()]
			number, _ := phone.(string)
			if given && phone == nil || s.releaseOmitted {
				next.release(id, d)
			}
			if number == "" {
				continue
			}
			if resp, ok := s.checkPhone(strings.ToLower(number), d, id); !ok {
				return resp
			}
			next.bind(strings.ToLower(number), d, id, true)
		}
	}
	if !next.equal(s.current) {
		s.commit(next)
	}
	return jsonResponse(http.StatusOK, publishResponse{
		id, orNull(next[id].version), orNull(next[id].first(Outbound)), orNull(next[id].first(Inbound)),
	})
}

// checkPhone reports whether a phone number can be bound to an agent in a direction, or returns the error response.
func (s *Sandbox) checkPhone(phoneID string, d Direction, agentID string) (response, bool) {
	i := s.phone(phoneID)
	if i < 0 {
		return errorResponse(http.StatusBadRequest, "BAD_PARAMETER", "There is no phone number %s", phoneID), false
	}
	if status := s.phones[i].Status; status != "assigned" {
		return errorResponse(http.StatusBadRequest, "BAD_PARAMETER", "Phone number %s is %s, not assigned", phoneID, status), false
	}
	if other := s.current.boundTo(phoneID, d); other != "" && other != agentID && !s.allowTakeOver {
		return errorResponse(http.StatusBadRequest, "BAD_PARAMETER", "Phone number %s is bound to the published version of %s", phoneID, s.agents[other].name), false
	}
	return response{}, true
}
