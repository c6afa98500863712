package diga

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

const (
	versionIDs = agentField + `,"version_id":"b0000000-0000-4000-8000-000000000002"`
	inField    = `"inbound_phone_number_id":"c0000000-0000-4000-8000-000000000003"`
	outField   = `"outbound_phone_number_id":"d0000000-0000-4000-8000-000000000004"`
	errorBody  = `{"status":"error","error_code":"BROKEN","message":"because"}`
)

func swap(s, old, with string) string { return strings.Replace(s, old, with, 1) }

func TestReadVersion(t *testing.T) {
	created := time.Date(2025, 3, 1, 12, 0, 0, 0, time.UTC)
	made := func(change func(*Version)) Version {
		v := Version{ID: versionID, Agent: agentID, Config: map[string]json.RawMessage{}}
		change(&v)
		return v
	}
	none := func(*Version) {}
	dated := func(v *Version) { v.Created = created }
	for fields, want := range map[string]Version{ // after the IDs
		"": made(none),
		`,"version_number":7,"version_name":" v1 ","name":"Desk","is_draft":true,"is_published":true`: made(func(v *Version) {
			v.Number, v.Name, v.AgentName, v.Draft, v.Published = 7, " v1 ", "Desk", true, true
		}),
		`,"version_number":null,"version_name":null,"name":null,"is_draft":null,"version_created_at":null`: made(none),
		`,"created_at":"2024-01-01T00:00:00Z","version_created_at":"2025-03-01T13:00:00+01:00"`:            made(dated),
		`,"created_at":"2025-03-01T12:00:00","version_created_at":"soon"`:                                  made(none),
		`,"validation_issues":[{"message":"no voice"},{"message":"no prompt","code":"x"}]`: made(func(v *Version) {
			v.Issues = []Foreign{"no voice", "no prompt"}
		}),
		`,"validation_issues":"odd"`: made(none),
		`,"prompt":"Hi","voice":{"id": "x"},"new":null,"Is_Draft":true,"modified_at":"now"`: made(func(v *Version) {
			v.Config = map[string]json.RawMessage{
				"prompt": []byte(`"Hi"`), "voice": []byte(`{"id": "x"}`), "new": []byte("null"), "Is_Draft": []byte("true"),
			}
		}),
		`,"prompt":"` + strings.Repeat("x", maxConfigBytes) + `"`: made(func(v *Version) { v.Config = nil }),
	} {
		if got, err := readVersion([]byte("{" + versionIDs + fields + "}")); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%.200s: %+v, %v", fields, got, err)
		}
	}
	for body, want := range map[string]string{
		"{" + agentField + "}":                      "version_id is missing",
		swap(versionBody, "agent_id", "Agent_Id"):   "agent_id is missing",
		`{"version_id":7}`:                          "version_id is not a string",
		`{"version_id":""}`:                         `version_id: "" is not a UUID such as 123e4567-e89b-42d3-a456-426614174000`,
		"{" + versionIDs + `,"version_number":"7"}`: "version_number is not an integer", "{" + versionIDs +
			`,"version_number":1.5}`: "version_number is not an integer",
		"{" + versionIDs + `,"version_name":7}`: "version_name is not a string", "{" + versionIDs +
			`,"name":["x"]}`: "name is not a string",
		"{" + versionIDs + `,"is_draft":"false"}`: "is_draft is not a boolean", "{" + versionIDs +
			`,"is_published":1}`: "is_published is not a boolean",
		"[]": "not a JSON object",
	} {
		if got, err := readVersion([]byte(body)); err == nil || err.Error() != want || !reflect.DeepEqual(got, Version{}) {
			t.Errorf("%s: %+v, %v", body, got, err)
		}
	}
}

// What each read asks for, and what it makes of a 200.
func TestReplies(t *testing.T) {
	const path = "/v1/agent/a0000000-0000-4000-8000-000000000001"
	live := func(ctx context.Context, c *Client) (Version, error) { return c.Live(ctx, agentID) }
	byID := func(ctx context.Context, c *Client) (Version, error) { return c.Version(ctx, agentID, versionID) }
	draft := func(ctx context.Context, c *Client) (Version, error) { return c.Draft(ctx, agentID) }
	launch := func(ctx context.Context, c *Client) (Version, error) { return c.Launch(ctx, agentID, "v1.2.0") }
	const liveQuery, isNoList = "GET " + path + "/version?is_published=true&limit=1",
		"the API returned 200 OK, but not the list of published versions: "
	const byIDQuery, isNone = "GET " + path + "?version_id=b0000000-0000-4000-8000-000000000002",
		"the API returned 200 OK, but not a version: "
	const draftQuery, launchQuery = "GET " + path, "POST " + path + "/version"
	const failure, otherAgent = "the API returned 200 OK with an error: because", "requested agent " +
		"a0000000-0000-4000-8000-000000000001" + ", but the API returned d0000000-0000-4000-8000-000000000004"
	const otherLaunch = "the API launched something else than the agent's draft under this name"
	whole := func(more bool, items ...string) answer { return pageOf(more, items) }
	draftBody := swap(versionBody, `"is_draft":false`, `"is_draft":true`)
	another := swap(versionBody, agentID.String(), otherID.String())
	for _, test := range []struct {
		read   func(context.Context, *Client) (Version, error)
		target string
		answer answer
		id     uuid.UUID
		cause  *Fault
		text   string // of the error; empty: success
	}{
		{live, liveQuery, whole(false, versionBody), versionID, nil, ""},
		{live, liveQuery, whole(true, versionBody), versionID, nil, ""},
		{live, liveQuery, whole(false), uuid.Nil, nil, ""}, // none is live
		{live, liveQuery, whole(true), uuid.Nil, InvalidReply, isNoList + "0 versions"},
		{live, liveQuery, whole(false, versionBody, versionBody), uuid.Nil, InvalidReply, isNoList + "2 versions"},
		{live, liveQuery, whole(false, swap(versionBody, `"is_published":true`, `"x":1`)), uuid.Nil, InvalidReply,
			isNoList + "its version is not published"},
		{live, liveQuery, whole(false, another), versionID, Mismatch, otherAgent},
		{live, liveQuery, response(200, versionBody), uuid.Nil, InvalidReply, isNoList + "data is not a list"},
		{live, liveQuery, response(200, errorBody), uuid.Nil, InvalidReply, failure},

		{byID, byIDQuery, response(200, versionBody), versionID, nil, ""},
		{byID, byIDQuery, response(200, another), versionID, Mismatch, otherAgent},
		{byID, byIDQuery, response(200, swap(versionBody, versionID.String(), otherID.String())), otherID, Mismatch,
			"requested version " + versionID.String() + ", but the API returned " + otherID.String()},
		{byID, byIDQuery, response(200, "{}"), uuid.Nil, InvalidReply, isNone + "version_id is missing"},
		{byID, byIDQuery, response(200, errorBody), uuid.Nil, InvalidReply, failure},
		{byID, byIDQuery, response(201, versionBody), uuid.Nil, InvalidReply,
			"the API returned 201 Created, expected 200 OK"},
		{byID, byIDQuery, apiError(404, "VERSION_NOT_FOUND"), uuid.Nil, NotFound, "the API returned 404 Not Found: because"},

		{draft, draftQuery, response(200, draftBody), versionID, nil, ""},
		{draft, draftQuery, response(200, versionBody), versionID, NotFound, "the agent has no draft"},
		{draft, draftQuery, apiError(404, "AGENT_NOT_FOUND"), uuid.Nil, NotFound, "the API returned 404 Not Found: because"},

		{launch, launchQuery, response(200, versionBody), versionID, nil, ""},
		{launch, launchQuery, response(201, versionBody), versionID, nil, ""},
		{launch, launchQuery, response(201, another), uuid.Nil, Mismatch, otherAgent},
		{launch, launchQuery, response(201, draftBody), uuid.Nil, Mismatch, otherLaunch},
		{launch, launchQuery, response(201, swap(versionBody, "v1.2.0", "V1.2.0")), uuid.Nil, Mismatch, otherLaunch},
		{launch, launchQuery, response(201, "<html>"), uuid.Nil, InvalidReply, isNone + "not a JSON object"},
		{launch, launchQuery, response(200, errorBody), uuid.Nil, InvalidReply, failure},
		{launch, launchQuery, response(202, versionBody), uuid.Nil, InvalidReply,
			"the API returned 202 Accepted, expected 200 OK"},
	} {
		n := &network{answers: []answer{response(429, ""), test.answer}}
		n.play(t, func(t *testing.T, c *Client) {
			got, err := test.read(t.Context(), c)
			if !slices.Equal(n.targets(), []string{test.target, test.target}) {
				t.Errorf("asked %s, want %s, twice", n.targets(), test.target)
			}
			r := n.heard()[0]
			if fresh := r.Header.Get("Cache-Control") == "no-cache"; fresh != (r.Method == http.MethodGet) {
				t.Error(r.Header)
			}
			if test.text == "" {
				if err != nil || got.ID != test.id {
					t.Errorf("%+v, %v", got, err)
				}
				return
			}
			effect := NoEffect
			if strings.HasPrefix(test.target, "POST") {
				effect = MaybePending
			}
			if e := failed(t, err); e.Cause != test.cause || e.Error() != test.text || e.Effect != effect {
				t.Errorf("%s, effect %d: %s\nwant %s, %d: %s", name(e.Cause), e.Effect, e, name(test.cause), effect, test.text)
			}
		})
	}
}

func bound(id uuid.UUID) Binding { return Binding{Stated: true, Phone: valid(id)} }

func TestPublishRequests(t *testing.T) {
	const version, released = `"version_id":"b0000000-0000-4000-8000-000000000002"}`, `"inbound_phone_number_id":null,`
	for _, test := range []struct {
		change       Change
		body, answer string
	}{
		{promotion, "{" + version, publishedBody},
		{Change{Agent: agentID, Unpublish: true}, `{"version_id":null}`, `{` + agentField + `,"published_version_id":null}`},
		{Change{Agent: agentID, Version: valid(versionID), Phones: [Directions]Binding{Inbound: bound(phoneID)}},
			"{" + inField + "," + version, `{` + agentField + `,` + versionField + `,` + inField + `}`},
		{Change{Agent: agentID, Version: valid(versionID), Phones: [Directions]Binding{{Stated: true}, bound(otherID)}},
			"{" + released + outField + "," + version, `{` + agentField + `,` + versionField + `,` + released + outField + `}`},
	} {
		n := &network{answers: []answer{response(200, test.answer)}}
		n.play(t, func(t *testing.T, c *Client) {
			if got, err := c.Publish(t.Context(), test.change); err != nil || got != test.change {
				t.Errorf("%+v: %v", got, err)
			}
			r := n.heard()[0]
			if !reflect.DeepEqual(r.Header, http.Header{
				"Accept": {"application/json"}, "Accept-Encoding": {"gzip"}, "Authorization": {"Bearer sesame"},
				"Content-Length": {fmt.Sprint(len(test.body))}, "Content-Type": {"application/json"}, "User-Agent": {"test/1"},
				"X-Request-Id": {"99999999-9999-4999-8999-999999999999"},
			}) || n.targets()[0] != "PATCH /v1/agent/"+agentID.String()+"/published_version" || r.Host != "api.test" {
				t.Errorf("%s %+v", n.targets(), r.Header)
			}
			if r.body != test.body {
				t.Errorf("got  %s\nwant %s", r.body, test.body)
			}
		})
	}
	for _, change := range []Change{{}, {Agent: agentID}, {Agent: agentID, Version: valid(versionID), Unpublish: true}} {
		n := &network{}
		n.play(t, func(t *testing.T, c *Client) {
			if _, err := c.Publish(t.Context(), change); failed(t, err).Cause != Internal || n.dials() != 0 {
				t.Errorf("%+v: %+v", change, err)
			}
		})
	}
}

func TestConfirmations(t *testing.T) {
	const mismatch, invalid = "the API confirmed a different change than requested",
		"the API returned 200 OK, but not a publication: "
	const versionGot = "body.version_id: requested b0000000-0000-4000-8000-000000000002, got "
	stop := Change{Agent: agentID, Unpublish: true}
	both := Change{Agent: agentID, Version: valid(versionID), Phones: [Directions]Binding{bound(phoneID), bound(otherID)}}
	release := Change{Agent: agentID, Version: valid(versionID), Phones: [Directions]Binding{Outbound: {Stated: true}}}
	upper := swap(publishedBody, "a0000000", "A0000000")
	for _, test := range []struct {
		change Change
		body   string
		text   string // of the error; empty: success
		detail string // of the mismatch
	}{
		{promotion, upper, "", ""},
		{promotion, `{` + agentField + `,` + versionField + `,` + inField + `,` + outField + `,"x":[{}]}`, "",
			""}, // what was left out may be anything
		{promotion, `{` + agentField + `,` + versionField + `,"inbound_phone_number_id":7}`,
			invalid + "inbound_phone_number_id is not a string", ""},
		{promotion, `{` + agentField + `}`, mismatch, versionGot + "null"},
		{promotion, swap(publishedBody, versionID.String(), otherID.String()), mismatch, versionGot + otherID.String()},
		{promotion, swap(publishedBody, agentID.String(), otherID.String()), mismatch, "path.agent_id: requested " +
			agentID.String() + ", got " + otherID.String()},
		{promotion, `{` + versionField + `}`, invalid + "agent_id is missing", ""},
		{promotion, `{"data":` + publishedBody + `}`, invalid + "agent_id is missing", ""},
		{promotion, swap(publishedBody, "published_version_id", "Published_Version_Id"), mismatch, versionGot + "null"},
		{promotion, publishedBody + "{}", invalid + "trailing data after the JSON object", ""},
		{promotion, "", invalid + "not a JSON object", ""},
		{promotion, errorBody, "the API returned 200 OK with an error: because", ""},
		{both, `{` + agentField + `,` + versionField + `,` + inField + `,` + outField + `}`, "", ""},
		{both, `{` + agentField + `,` + versionField + `,` + outField + `}`, mismatch,
			"body.inbound_phone_number_id: requested " + phoneID.String() + ", got nothing"},
		{both, `{` + agentField + `,` + versionField + `,` + inField + `,"outbound_phone_number_id":null}`, mismatch,
			"body.outbound_phone_number_id: requested " + otherID.String() + ", got null"},
		{release, `{` + agentField + `,` + versionField + `,"outbound_phone_number_id":null}`, "", ""},
		{release, publishedBody, mismatch, "body.outbound_phone_number_id: requested null, got nothing"},
		{stop, `{` + agentField + `}`, "", ""},
		{stop, `{` + agentField + `,"published_version_id":null,` + inField + `}`, "", ""},
		{stop, publishedBody, mismatch, "body.version_id: requested null, got " + versionID.String()},
	} {
		n := &network{answers: []answer{response(200, test.body)}}
		n.play(t, func(t *testing.T, c *Client) {
			got, err := c.Publish(t.Context(), test.change)
			if test.text == "" {
				if err != nil || got.Version != test.change.Version || got.Agent != agentID ||
					got.Unpublish != test.change.Unpublish {
					t.Errorf("%s: %+v, %v", test.body, got, err)
				}
				return
			}
			e, cause, detail := failed(t, err), InvalidReply, ""
			if test.detail != "" {
				cause = Mismatch
			}
			for _, d := range e.Details {
				detail += d.Field + ": " + string(d.Message)
			}
			if e.Cause != cause || e.Error() != test.text || detail != test.detail || e.Effect != MaybePending ||
				e.Status != 200 || got != (Change{}) {
				t.Errorf("%s: %+v\nwant %s, %s", test.body, e, test.text, test.detail)
			}
		})
	}
}
