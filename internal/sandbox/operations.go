package sandbox

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/getkin/kin-openapi/routers"
)

// perform runs the operation requested by c. It checks the rate limit first, then the token, then the request's form,
// and then whether the operation is possible. The caller holds s.mu.
func (s *Sandbox) perform(c call, wait time.Duration) response {
	mayPublish, known := s.tokens[c.token]
	switch {
	case wait > 0:
		resp := errorResponse(http.StatusTooManyRequests, "RATE_LIMITED", "Too many requests")
		if s.limit.retryAfter {
			resp.header.Set("Retry-After", strconv.Itoa(int((wait+time.Second-1)/time.Second)))
		}
		return resp
	case errors.Is(c.routeErr, routers.ErrMethodNotAllowed):
		return jsonResponse(http.StatusMethodNotAllowed, map[string]string{"detail": "Method Not Allowed"})
	case c.routeErr != nil:
		return jsonResponse(http.StatusNotFound, map[string]string{"detail": "Not Found"})
	case !known:
		return errorResponse(http.StatusUnauthorized, "UNAUTHORIZED", "The token is missing or not known")
	case len(c.details) > 0:
		return jsonResponse(http.StatusUnprocessableEntity, map[string][]detail{"detail": c.details})
	case c.Request.Method == http.MethodPatch && !mayPublish:
		return errorResponse(http.StatusForbidden, "INTERNAL_SERVER_ERROR", "The token may not change agents or phones")
	}
	query := c.Request.URL.Query()
	switch c.Route.Path {
	case phonePath:
		return s.getPhone(s.readState(), strings.ToLower(c.PathParams["phone_id"]))
	case phonesPath:
		return s.listPhones(s.readState(), query)
	}
	id := strings.ToLower(c.PathParams["agent_id"])
	a := s.agents[id]
	switch {
	case a == nil:
		return errorResponse(http.StatusNotFound, "AGENT_NOT_FOUND", "There is no agent %s", id)
	case c.Request.Method == http.MethodPatch:
		return s.publish(id, a, c.body.(map[string]any))
	case strings.HasSuffix(c.Route.Path, "/version"):
		return a.list(s.readState()[id].version, query)
	default:
		return a.get(s.readState()[id].version, query)
	}
}
