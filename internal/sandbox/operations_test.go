package sandbox

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

func TestPublish(t *testing.T) {
	null := func(field string) string { return publishNext[:len(publishNext)-1] + field + `null}` }
	with := func(field, id string) string { return publishNext[:len(publishNext)-1] + field + `"` + id + `"}` }
	refused, unchanged := "400 BAD_PARAMETER", "228|1 2|3"
	tests := []struct {
		name     string
		behavior Behavior
		agent    string
		body     string
		want     string
		state    string // of the agent, afterwards
	}{
		{"omitted", Behavior{}, FrontDesk, publishNext, "200", "229|1 2|3"},
		{"omitted and released", Behavior{ReleaseOmitted: true}, FrontDesk, publishNext, "200", "229||"},
		{"omitted, and others dropped", Behavior{DropOthers: true}, FrontDesk, publishNext, "200", "229|1 2|3"},
		{"null", Behavior{}, FrontDesk, null(inboundID), "200", "229||3"},
		{"null, the other omitted and released", Behavior{ReleaseOmitted: true}, FrontDesk, null(outboundID), "200", "229||"},
		{"the second", Behavior{}, FrontDesk, with(inboundID, Switch), "200", "229|2 1|3"},
		{"an imported one", Behavior{}, FrontDesk, with(inboundID, PBX), "200", "229|8 1 2|3"},
		{"the second, the other direction released", Behavior{ReleaseOmitted: true}, FrontDesk, with(inboundID, Switch), "200", "229|2 1|"},
		{"the second, the first dropped", Behavior{DropOthers: true}, FrontDesk, with(inboundID, Switch), "200", "229|2|3"},
		{"in use", Behavior{ReleaseOmitted: true}, FrontDesk, with(inboundID, Hotline), refused, unchanged},
		{"in use and taken over", Behavior{AllowTakeOver: true}, FrontDesk, with(inboundID, Hotline), "200", "229|4 1 2|3"},
		{"in use in the other direction", Behavior{}, FrontDesk, with(outboundID, Reception), "200", "229|1 2|1 3"},
		{"one valid, one in use", Behavior{}, FrontDesk, with(inboundID, Switch)[:len(with(inboundID, Switch))-1] + outboundID + `"` + Hotline + `"}`, refused, unchanged},
		{"reserved", Behavior{AllowTakeOver: true}, FrontDesk, with(inboundID, Reserved), refused, unchanged},
		{"released", Behavior{AllowTakeOver: true}, FrontDesk, with(outboundID, Released), refused, unchanged},
		{"finished", Behavior{AllowTakeOver: true}, FrontDesk, with(inboundID, Retired), refused, unchanged},
		{"an unknown number", Behavior{}, FrontDesk, with(outboundID, unknownID), refused, unchanged},
		{"nothing", Behavior{}, FrontDesk, `{"version_id":null}`, "200", "||"},
		{"nothing by leaving it out", Behavior{}, FrontDesk, `{}`, "200", "||"},
		{"nothing, and numbers stay", Behavior{KeepNumbers: true}, FrontDesk, `{}`, "200", "|1 2|3"},
		{"nothing on a number", Behavior{}, FrontDesk, `{"inbound_phone_number_id":"` + Switch + `"}`, refused, unchanged},
		{"the draft", Behavior{}, FrontDesk, `{"version_id":"` + DraftID + `"}`, refused, unchanged},
		{"a version with issues", Behavior{}, FrontDesk, `{"version_id":"b1000000-0000-4000-8000-000000000231"}`, refused, unchanged},
		{"an unknown version", Behavior{}, FrontDesk, `{"version_id":"` + unknownID + `"}`, refused, unchanged},
		{"another agent's version", Behavior{}, FrontDesk, `{"version_id":"` + NightID + `"}`, refused, unchanged},
		{"an unknown agent", Behavior{}, unknownID, publishNext, "404 AGENT_NOT_FOUND", "||"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSandbox(t)
			s.Bind(Switch, Inbound, FrontDesk)
			s.Bind(Callback, Outbound, FrontDesk)
			s.AddVersion(FrontDesk, Version{Issues: []Issue{{Code: "a", Message: "b"}}})
			s.Set(tt.behavior)
			before := len(s.Changes())
			status, body := send(s, newRequest("PATCH", "/v1/agent/"+tt.agent+"/published_version", tt.body))
			if got := short(status, body); got != tt.want {
				t.Errorf("got %s %v, want %s", got, body["message"], tt.want)
			}
			agent := tt.agent
			if got := summary(s, agent); got != tt.state {
				t.Errorf("got %s, want %s", got, tt.state)
			}
			if got, want := summary(s, Support), strings.Replace("2|4|4", "|4|4", map[bool]string{true: "||4", false: "|4|4"}[tt.behavior.AllowTakeOver && status == 200], 1); got != want {
				t.Errorf("Support: got %s, want %s", got, want)
			}
			changes := s.Changes()[before:]
			if status != 200 {
				if len(changes) != 0 {
					t.Errorf("got the changes %v", changes)
				}
				return
			}
			version, inbound, outbound := s.Live(agent)
			want := object{"agent_id": agent, "published_version_id": orNil(version), "inbound_phone_number_id": orNil(inbound), "outbound_phone_number_id": orNil(outbound)}
			if !reflect.DeepEqual(body, want) {
				t.Errorf("got %v, want %v", body, want)
			}
			if len(changes) != 1 || changes[0].Request != 0 || changes[0].State != s.State() {
				t.Errorf("got the changes %v", changes)
			}
		})
	}
	s := newSandbox(t)
	s.Set(Behavior{OnlyNamed: true})
	if _, body := patch(s, publishNext); body["inbound_phone_number_id"] != nil || summary(s, FrontDesk) != "229|1|" {
		t.Errorf("got %v", body)
	}
}

func orNil(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func TestLaunch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSandbox(t)
		launch := func(target, name string) (int, object) {
			return send(s, newRequest("POST", target, `{"version_name":`+name+`}`))
		}
		_, first := launch(listPath, `"`+LiveName+`"`)
		_, second := launch(listPath, "null")
		_, draft := get(s, agentPath)
		_, page := get(s, listPath+"?limit=3")
		for field, want := range map[string]any{"version_number": 231.0, "version_name": LiveName, "is_draft": false, "is_published": false, "prompt": draft["prompt"], "version_created_at": "2000-01-01T00:00:00Z"} {
			if first[field] != want {
				t.Errorf("%s: got %v, want %v", field, first[field], want)
			}
		}
		if first["version_id"] == second["version_id"] || second["version_number"] != 232.0 || draft["version_id"] != DraftID ||
			!slices.Equal(ids(page, "version_name"), []string{"", LiveName, DraftName}) || page["data"].([]any)[2].(object)["is_draft"] != true {
			t.Errorf("got %v and %v, and then the draft %v in %v", first["version_id"], second["version_id"], draft["version_id"], page)
		}

		s.DeleteVersion(FrontDesk, DraftID)
		id := s.AddVersion(FrontDesk, Version{Draft: true, Issues: []Issue{{"no_tool", "A step has no tool.", map[string]string{"step": "2"}}}})
		_, draft = get(s, agentPath)
		if issues, _ := draft["validation_issues"].([]any); draft["version_id"] != id || len(issues) != 1 || issues[0].(object)["message"] != "A step has no tool." {
			t.Errorf("got %v", draft)
		}
		for target, want := range map[string]string{
			listPath: "400 BAD_PARAMETER", "/v1/agent/" + NightDesk + "/version": "404 AGENT_NOT_FOUND", "/v1/agent/" + unknownID + "/version": "404 AGENT_NOT_FOUND",
		} {
			if got := short(launch(target, "null")); got != want {
				t.Errorf("%s: got %s, want %s", target, got, want)
			}
		}
	})
}

func TestReads(t *testing.T) {
	s := newSandbox(t)
	const missing, lost = "404 AGENT_NOT_FOUND", "422 INVALID_PAGINATION_PARAMETERS"
	for target, want := range map[string]string{
		agentPath + "?version_id=" + LiveID: "200 " + LiveID + " true", agentPath + "?version_id=" + NextID: "200 " + NextID + " false",
		agentPath: "200 " + DraftID + " false", agentPath + "?version_id=" + NightID: missing, "/v1/agent/" + NightDesk: missing,
		"/v1/agent/" + unknownID: missing, "/v1/agent/" + unknownID + "/version": missing,
		listPath + "?after=" + NightID: lost, "/v1/phone/?after=" + Released: lost,
	} {
		status, body := get(s, target)
		got := short(status, body)
		if status == 200 {
			got = fmt.Sprint(status, " ", body["version_id"], " ", body["is_published"])
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", target, got, want)
		}
	}
}

// numbered returns ids with numbers from one down to another.
func numbered(prefix string, from, to int) []string {
	var all []string
	for n := from; n >= to; n-- {
		all = append(all, fmt.Sprintf("%s000000-0000-4000-8000-%012d", prefix, n))
	}
	return all
}

func TestPages(t *testing.T) {
	const phones, v = "/v1/phone/", "b1000000-0000-4000-8000-000000000"
	s := newSandbox(t)
	for _, tt := range []struct {
		target string
		ids    []string
		more   bool
	}{
		{listPath, numbered("b1", 230, 221), true},
		{listPath + "?limit=100&after=" + v + "131", numbered("b1", 130, 31), true},
		{listPath + "?limit=100&after=" + v + "031", numbered("b1", 30, 1), false},
		{listPath + "?limit=100&after=" + v + "001", nil, false},
		{listPath + "?is_published=true&limit=1", []string{LiveID}, false},
		{listPath + "?is_published=false&limit=1", []string{DraftID}, true},
		{"/v1/agent/" + NightDesk + "/version?is_published=true", nil, false},
		{phones, slices.Concat(numbered("c0", 8, 7), numbered("c0", 5, 1)), false},
		{phones + "?limit=3&after=" + Reserved, numbered("c0", 4, 2), true},
	} {
		_, body := get(s, tt.target)
		field := "version_id"
		if strings.HasPrefix(tt.target, phones) {
			field = "id"
		}
		got, want := ids(body, field), object{"has_more": tt.more, "first_id": nil, "last_id": nil}
		if len(tt.ids) > 0 {
			want["first_id"], want["last_id"] = tt.ids[0], tt.ids[len(tt.ids)-1]
		}
		delete(body, "data")
		if !slices.Equal(got, tt.ids) || !reflect.DeepEqual(body, want) {
			t.Errorf("%s: got %v and %v, want %v and %v", tt.target, got, body, tt.ids, want)
		}
	}
}

func TestKeys(t *testing.T) {
	const nobody, agents, viewPhones = "nobody", AgentsToken, PhonesToken
	named := `{"version_id":"` + NextID + `"` + inboundID + `null}`
	type request struct{ method, target, body string }
	read, list := request{"GET", agentPath, ""}, request{"GET", "/v1/phone/", ""}
	publish, launch := request{"PATCH", publishPath, publishNext}, request{"POST", listPath, `{}`}
	for _, tt := range []struct {
		authorization []string
		request       request
		ifNamed       bool
		want          string
		violations    int
	}{
		{nil, publish, false, "403 Not authenticated", 1},
		{[]string{"Basic " + Token}, publish, false, "403 Not authenticated", 1},
		{[]string{"Bearer "}, read, false, "403 Not authenticated", 1},
		{[]string{"Bearer " + Token, "Bearer " + ReadToken}, read, false, "401 INVALID_API_KEY", 0},
		{[]string{"Bearer " + Token}, publish, false, "200", 0},
		{[]string{"Bearer " + nobody}, publish, false, "401 INVALID_API_KEY", 0},
		{[]string{"Bearer " + nobody}, list, false, "401 INVALID_API_KEY", 0},
		{[]string{"Bearer " + ReadToken}, read, false, "200", 0},
		{[]string{"Bearer " + ReadToken}, list, false, "200", 0},
		{[]string{"Bearer " + ReadToken}, publish, false, "403 Missing required permissions to update agents or phones", 0},
		{[]string{"Bearer " + ReadToken}, launch, false, "403 Missing required permissions to update agents", 0},
		{[]string{"Bearer " + agents}, launch, false, "201", 0},
		{[]string{"Bearer " + agents}, list, false, "403 Missing required permissions", 0},
		{[]string{"Bearer " + agents}, publish, false, "403 Missing required permissions to update agents or phones", 0},
		{[]string{"Bearer " + agents}, publish, true, "200", 0},
		{[]string{"Bearer " + viewPhones}, request{"PATCH", publishPath, named}, true, "403 Missing required permissions to update agents or phones", 0},
		{[]string{"Bearer " + ReadToken}, publish, true,
			"403 Missing required permissions to update agents or phones", 0},
		{[]string{"Bearer " + viewPhones}, list, false, "200", 0},
	} {
		s := newSandbox(t)
		s.Set(Behavior{PhonesIfNamed: tt.ifNamed})
		r := newRequest(tt.request.method, tt.request.target, tt.request.body)
		r.Header["Authorization"] = tt.authorization
		status, body := send(s, r)
		got := fmt.Sprint(status)
		for field, onlyFor := range map[string]int{"message": 403, "detail": 403, "error_code": 401} {
			if text, ok := body[field].(string); ok && status == onlyFor {
				got += " " + text
			}
		}
		if violations := s.takeViolations(); got != tt.want && got != tt.want+" " || len(violations) != tt.violations {
			t.Errorf("%s %s with %q: got %s and %q, want %s", r.Method, r.URL, tt.authorization, got, violations, tt.want)
		}
	}
}
