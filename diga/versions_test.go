package diga

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestVersion(t *testing.T) {
	whole := Version{ID: versionID, Agent: agentID, Number: 7, Name: "v1.2.0", AgentName: "Front desk", Published: true, PublishedKnown: true, Created: time.Date(2025, 3, 1, 12, 0, 0, 0, time.UTC), Config: map[string]json.RawMessage{}}
	ids := agentField + `,"version_id":"` + versionID.String() + `"`
	least := Version{ID: versionID, Agent: agentID, Config: map[string]json.RawMessage{}}
	config := map[string]json.RawMessage{"prompt": []byte(`"Hi"`), "voice": []byte(`{"id": "x"}`), "new_field": []byte("null")}
	type versionCase struct {
		replies []reply
		want    Version
		cause   Cause
		text    string // how the error ends; empty: success
	}
	tests := []versionCase{
		{[]reply{response(200, versionBody)}, whole, 0, ""},
		{[]reply{lost, response(503, ""), response(200, versionBody)}, whole, 0, ""},
		{[]reply{response(200, "{"+ids+"}")}, least, 0, ""},
		{[]reply{response(200, "{"+ids+`,"version_number":null,"version_name":null,"name":null,"is_draft":null,"is_published":null,"created_at":null}`)}, least, 0, ""},
		{[]reply{response(200, "{"+ids+`,"version_number":-1}`)}, least, 0, ""},
		{[]reply{response(200, "{"+ids+`,"is_published":false}`)}, Version{ID: versionID, Agent: agentID, PublishedKnown: true, Config: least.Config}, 0, ""},
		{[]reply{response(200, "{"+ids+`,"created_at":"2025-03-01T12:00:00Z","version_created_at":"soon","Version_Name":"x"}`)},
			Version{ID: versionID, Agent: agentID, Created: whole.Created, Config: map[string]json.RawMessage{"Version_Name": []byte(`"x"`)}}, 0, ""},
		{[]reply{response(200, "{"+ids+`,"is_draft":false,"prompt":"Hi","voice":{"id": "x"},"new_field":null}`)}, Version{ID: versionID, Agent: agentID, Config: config}, 0, ""},
		{[]reply{response(200, "{"+ids+`,"created_at":"2025-03-01T12:00:00Z","version_created_at":null}`)}, Version{ID: versionID, Agent: agentID, Created: whole.Created, Config: least.Config}, 0, ""},
		{[]reply{apiError(404, "VERSION_NOT_FOUND")}, Version{}, Answered, "404 Not Found: because"},
		{[]reply{response(200, strings.Replace(versionBody, agentID.String(), outbound.String(), 1))}, Version{}, Mismatch,
			"requested agent " + agentID.String() + ", but the API returned " + outbound.String()},
		{[]reply{response(200, strings.Replace(versionBody, versionID.String(), outbound.String(), 1))}, Version{}, Mismatch,
			"requested version " + versionID.String() + ", but the API returned " + outbound.String()},
		{[]reply{response(200, "{"+agentField+"}")}, Version{}, InvalidReply, "not a version: version_id or agent_id is missing"},
		{[]reply{response(200, strings.Replace(versionBody, "agent_id", "Agent_Id", 1))}, Version{}, InvalidReply, "version_id or agent_id is missing"},
		{[]reply{response(200, "{"+ids+","+ids+"}")}, Version{}, InvalidReply, `duplicate field "agent_id"`},
		{[]reply{response(200, "[]")}, Version{}, InvalidReply, "not a JSON object"},
	}
	for field, values := range map[string][]string{
		"version_number": {`"7"`, "1.5"}, "version_name": {"7"}, "name": {`["x"]`}, "is_draft": {`"false"`}, "is_published": {"1"},
	} {
		for _, value := range values {
			body := "{" + ids + `,"` + field + `":` + value + "}"
			tests = append(tests, versionCase{[]reply{response(200, body)}, Version{}, InvalidReply, field + " has the wrong type"})
		}
	}
	for _, test := range tests {
		n := &network{replies: test.replies}
		n.play(t, func(t *testing.T, c *Client) {
			got, err := c.Version(t.Context(), WithRetries, agentID, versionID)
			if test.text == "" && (err != nil || !reflect.DeepEqual(got, test.want)) {
				t.Errorf("%+v, %v", got, err)
			} else if test.text != "" {
				if e := failed(t, err); e.Cause != test.cause || !strings.HasSuffix(e.Error(), test.text) || e.Effect != NoEffect || len(n.heard()) != 1 {
					t.Errorf("%+v", e)
				}
			}
			if query := queries(t, n, agentPath)[0]; query != "version_id="+versionID.String() {
				t.Error(query)
			}
		})
	}
}

// With Once nothing is retried.
func TestPublishedVersion(t *testing.T) {
	for name, test := range map[string]struct {
		reply reply
		cause Cause
	}{
		"503":           {response(503, ""), Answered},
		"429":           {response(429, "", "Retry-After: 1"), Answered},
		"404":           {apiError(404, "AGENT_NOT_FOUND"), Answered},
		"lost":          {lost, Unreachable},
		"silence":       {reply{then: silent}, Timeout},
		"not published": {response(200, strings.Replace(versionBody, `"is_published":true`, `"is_published":false`, 1)), InvalidReply},
		"not said":      {response(200, strings.Replace(versionBody, `"is_published":true`, `"x":1`, 1)), InvalidReply},
		"another agent": {response(200, strings.Replace(versionBody, agentID.String(), outbound.String(), 1)), Mismatch},
	} {
		n := &network{replies: []reply{test.reply, response(200, versionBody)}}
		n.play(t, func(t *testing.T, c *Client) {
			_, err := c.PublishedVersion(t.Context(), Once, agentID)
			if e := failed(t, err); e.Cause != test.cause || e.Effect != NoEffect || e.GaveUp != "" {
				t.Errorf("%s: %+v", name, e)
			}
		})
		if got := queries(t, n, agentPath); !slices.Equal(got, []string{"is_published=true"}) {
			t.Errorf("%s: asked %s", name, got)
		}
	}
}
