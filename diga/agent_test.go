package diga

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
)

const (
	versionIDs = agentField + `,"version_id":"b0000000-0000-4000-8000-000000000002"`
	inField    = `"inbound_phone_number_id":"c0000000-0000-4000-8000-000000000003"`
	other      = "d0000000-0000-4000-8000-000000000004"
	outField   = `"outbound_phone_number_id":"d0000000-0000-4000-8000-000000000004"`
	errorBody  = `{"status":"error","error_code":"BROKEN","message":"because"}`
)

func swap(s, old, with string) string { return strings.Replace(s, old, with, 1) }

func TestReadVersion(t *testing.T) {
	made := func(change func(*Version)) Version {
		v := Version{ID: versionID, Agent: agentID, Config: map[string]json.RawMessage{}}
		change(&v)
		return v
	}
	none := func(*Version) {}
	for fields, want := range map[string]Version{ // after the IDs
		"": made(none),
		`,"version_number":7,"version_name":" v1 ","name":"Desk","is_draft":true,"is_published":true`: made(
			func(v *Version) { v.Number, v.Name, v.AgentName, v.Draft, v.Published = 7, " v1 ", "Desk", true, true }),
		`,"version_number":null,"version_name":null,"name":null,"is_draft":null,"version_created_at":null`: made(none),
		`,"created_at":"2024-01-01T00:00:00Z","version_created_at":"soon"`:                                 made(none),
		`,"validation_issues":[{"message":"no voice"},{"message":"no prompt","code":"x"}]`: made(func(v *Version) {
			v.Issues = []Foreign{"no voice", "no prompt"}
		}),
		`,"validation_issues":"odd"`: made(none),
		`,"prompt":"Hi","voice":{"id": "x"},"new":null,"Is_Draft":true,"modified_at":"now"`: made(func(v *Version) {
			v.Config = map[string]json.RawMessage{
				"prompt": []byte(`"Hi"`), "voice": []byte(`{"id": "x"}`), "new": []byte("null"),
				"Is_Draft": []byte("true"),
			}
		}),
		`,"prompt":"` + strings.Repeat("x", maxConfigBytes) + `"`: made(func(v *Version) { v.Config = nil }),
	} {
		got, err := readVersion([]byte("{" + versionIDs + fields + "}"))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%.200s: %+v, %v", fields, got, err)
		}
	}
	fieldsHaveTypes(t, readVersion, versionBody, map[string]string{
		"version_id": "a string", "agent_id": "a string", "version_number": "an integer", "version_name": "a string",
		"name": "a string", "is_draft": "a boolean", "is_published": "a boolean",
	})
	idsAreRequired(t, readVersion, versionBody, "version_id", "agent_id")
}

// fieldsHaveTypes tests that no field of an object may have another type.
func fieldsHaveTypes[T any](t *testing.T, read func([]byte) (T, error), object string, types map[string]string) {
	t.Helper()
	for field, kind := range types {
		var fields map[string]any
		_ = json.Unmarshal([]byte(object), &fields)
		fields[field] = []int{}
		body, _ := json.Marshal(fields)
		if _, err := read(body); fmt.Sprint(err) != field+" is not "+kind {
			t.Errorf("%s: %v", body, err)
		}
	}
}

// idsAreRequired tests that these fields must be there, under exactly this name, and valid.
func idsAreRequired[T any](t *testing.T, read func([]byte) (T, error), object string, ids ...string) {
	t.Helper()
	for _, field := range ids {
		isNoID := regexp.MustCompile(`("`+field+`":")[^"]*`).ReplaceAllString(object, "${1}7")
		for body, want := range map[string]string{
			swap(object, field, strings.ToUpper(field)): field + " is missing",
			isNoID: field + `: "7" is not a UUID such as 123e4567-e89b-42d3-a456-426614174000`,
		} {
			if _, err := read([]byte(body)); fmt.Sprint(err) != want {
				t.Errorf("%s: %v, want %s", body, err, want)
			}
		}
	}
}

// What each read asks for, and what it makes of a 200.
func TestReplies(t *testing.T) {
	const path = "/v1/agent/a0000000-0000-4000-8000-000000000001"
	type read struct {
		target string
		send   func(context.Context, *Client) (Version, error)
	}
	live := read{"GET " + path + "/version?is_published=true&limit=1",
		func(ctx context.Context, c *Client) (Version, error) { return c.Live(ctx, agentID) }}
	byID := read{"GET " + path + "?version_id=b0000000-0000-4000-8000-000000000002",
		func(ctx context.Context, c *Client) (Version, error) { return c.Version(ctx, agentID, versionID) }}
	draft := read{"GET " + path,
		func(ctx context.Context, c *Client) (Version, error) { return c.Draft(ctx, agentID) }}
	launch := read{"POST " + path + "/version",
		func(ctx context.Context, c *Client) (Version, error) { return c.Launch(ctx, agentID, "v1.2.0") }}
	const (
		found, ok   = "b0000000-0000-4000-8000-000000000002 <nil>", "00000000-0000-0000-0000-000000000000 <nil>"
		is          = "InvalidReply 200: the API returned 200 OK, but not "
		isNoList    = is + "a page of versions: "
		isError     = ": the API returned 200 OK with an error: because"
		otherAgent  = ": requested agent a0000000-0000-4000-8000-000000000001, but the API returned " + other
		otherLaunch = "Mismatch 200 (pending?): the API launched something other than the agent's draft under this name"
		pending     = "InvalidReply 200 (pending?)"
		gone        = "NotFound 404 GONE"
	)
	draftBody := swap(versionBody, `"is_draft":false`, `"is_draft":true`)
	another := swap(versionBody, agentID.String(), other)
	for _, test := range []struct {
		read
		answer answer
		want   string // the ID of the version, or the outcome
	}{
		{live, pageOf(false, []string{versionBody}), found},
		{live, pageOf(true, []string{versionBody}), found},
		{live, pageOf(false, nil), ok}, // none is live
		{live, pageOf(true, nil), isNoList + "0 versions"},
		{live, pageOf(false, []string{versionBody, versionBody}), isNoList + "2 versions"},
		{live, pageOf(false, []string{swap(versionBody, `"is_published":true`, `"x":1`)}),
			isNoList + "its version is not published"},
		{live, pageOf(false, []string{another}), "Mismatch 200" + otherAgent},
		{live, response(200, versionBody), isNoList + "data or has_more is missing"},
		{live, response(200, errorBody), "InvalidReply 200 BROKEN" + isError},

		{byID, response(200, versionBody), found},
		{byID, response(200, another), "Mismatch 200" + otherAgent},
		{byID, response(200, swap(versionBody, versionID.String(), other)),
			"Mismatch 200: requested version " + versionID.String() + ", but the API returned " + other},
		{byID, response(200, "{}"), is + "a version: version_id is missing"},
		{byID, response(200, errorBody), "InvalidReply 200 BROKEN" + isError},
		{byID, response(201, versionBody), "InvalidReply 201: the API returned 201 Created, expected 200 OK"},
		{byID, apiError(404, "GONE"), gone},

		{draft, response(200, draftBody), found},
		{draft, response(200, versionBody), "NotFound 200: the agent has no draft"},
		{draft, apiError(404, "GONE"), gone},

		{launch, response(200, versionBody), found},
		{launch, response(201, versionBody), found},
		{launch, response(201, another), "Mismatch 200 (pending?)" + otherAgent},
		{launch, response(201, draftBody), otherLaunch},
		{launch, response(201, swap(versionBody, "v1.2.0", "V1.2.0")), otherLaunch},
		{launch, response(201, "<html>"), pending + ": the API returned 200 OK, but not a version: not a JSON object"},
		{launch, response(200, errorBody), "InvalidReply 200 BROKEN (pending?)" + isError},
		{launch, response(202, versionBody),
			"InvalidReply 202 (pending?): the API returned 202 Accepted, expected 200 OK"},
	} {
		n := &network{answers: []answer{response(429, ""), test.answer}}
		n.play(t, func(t *testing.T, c *Client) {
			v, err := test.send(t.Context(), c)
			got := outcome(err)
			if err == nil {
				got = fmt.Sprint(v.ID, err)
			}
			if got != test.want || !slices.Equal(n.targets(), []string{test.target, test.target}) {
				t.Errorf("asked %s\n got %s\nwant %s", n.targets(), got, test.want)
			}
			if r := n.heard[0]; r.Header.Get("Cache-Control") != "no-cache" {
				t.Error(r.Header)
			}
		})
	}
}

// What a change sends, and what it takes for a confirmation.
func TestPublish(t *testing.T) {
	const (
		version     = `"version_id":"b0000000-0000-4000-8000-000000000002"}`
		both        = "{" + inField + "," + outField + "," + version
		release     = `{"outbound_phone_number_id":null,` + version
		confirmed   = "{" + agentField + "," + versionField
		isNot       = "InvalidReply 200 (pending?): the API returned 200 OK, but not a publication: "
		differs     = "Mismatch 200 (pending?): the API confirmed a different change than requested; "
		wantVersion = differs + "body.version_id: requested b0000000-0000-4000-8000-000000000002, got "
	)
	changes := map[string]Change{ // by what they send
		"{" + version:         promotion,
		`{"version_id":null}`: {Agent: agentID, Unpublish: true},
		both: {Agent: agentID, Version: valid(versionID),
			Phones: [Directions]Binding{{true, valid(phoneID)}, {true, valid(uuid.MustParse(other))}}},
		release: {Agent: agentID, Version: valid(versionID), Phones: [Directions]Binding{Outbound: {Stated: true}}},
	}
	for _, test := range []struct{ sends, answer, want string }{
		{"{" + version, publishedBody, "<nil>"},
		{"{" + version, confirmed + "," + inField + "," + outField + `,"x":[{}]}`, "<nil>"}, // it was left open
		{"{" + version, "{" + agentField + "}", wantVersion + "null"},
		{"{" + version, swap(publishedBody, versionID.String(), other), wantVersion + other},
		{"{" + version, swap(publishedBody, agentID.String(), other),
			differs + "path.agent_id: requested " + agentID.String() + ", got " + other},
		{"{" + version, swap(publishedBody, "published_version_id", "Published_Version_Id"), wantVersion + "null"},
		{"{" + version, publishedBody + "{}", isNot + "not a JSON object"},
		{"{" + version, "", isNot + "not a JSON object"},
		{"{" + version, errorBody,
			"InvalidReply 200 BROKEN (pending?): the API returned 200 OK with an error: because"},
		{both, confirmed + "," + inField + "," + outField + "}", "<nil>"},
		{both, confirmed + "," + outField + "}",
			differs + "body.inbound_phone_number_id: requested " + phoneID.String() + ", got nothing"},
		{both, confirmed + "," + inField + `,"outbound_phone_number_id":null}`,
			differs + "body.outbound_phone_number_id: requested " + other + ", got null"},
		{release, confirmed + `,"outbound_phone_number_id":null}`, "<nil>"},
		{release, publishedBody, differs + "body.outbound_phone_number_id: requested null, got nothing"},
		{`{"version_id":null}`, "{" + agentField + "}", "<nil>"},
		{`{"version_id":null}`, publishedBody, differs + "body.version_id: requested null, got " + versionID.String()},
	} {
		n := &network{answers: []answer{response(200, test.answer)}}
		n.play(t, func(t *testing.T, c *Client) {
			change := changes[test.sends]
			got, err := c.Publish(t.Context(), change)
			ok := got.Agent == agentID && got.Version == change.Version
			if outcome(err) != test.want || (err == nil) != ok {
				t.Errorf("%s: %+v\n got %s\nwant %s", test.answer, got, outcome(err), test.want)
			}
			r := n.heard[0]
			if !reflect.DeepEqual(r.Header, http.Header{
				"Accept": {"application/json"}, "Accept-Encoding": {"gzip"}, "Authorization": {"Bearer sesame"},
				"Cache-Control": {"no-cache"}, "Content-Length": {fmt.Sprint(len(test.sends))},
				"Content-Type": {"application/json"}, "User-Agent": {"test/1"}, "X-Request-Id": {requestID.String()},
			}) || n.targets()[0] != "PATCH /v1/agent/"+agentID.String()+"/published_version" || r.Host != "api.test" {
				t.Errorf("%s %+v", n.targets(), r.Header)
			}
			if r.body != test.sends {
				t.Errorf("got  %s\nwant %s", r.body, test.sends)
			}
		})
	}
	fieldsHaveTypes(t, readPublication, publishedBody, map[string]string{
		"agent_id": "a string", "published_version_id": "a string", "inbound_phone_number_id": "a string",
		"outbound_phone_number_id": "a string",
	})
	idsAreRequired(t, readPublication, publishedBody, "agent_id")
	for _, change := range []Change{{}, {Agent: agentID}, {Version: valid(versionID), Unpublish: true}} {
		_, err := new(Client).Publish(t.Context(), change) // would crash if it sent anything
		if want := "Internal: a change must either publish a version or unpublish"; outcome(err) != want {
			t.Errorf("%+v: %v", change, err)
		}
	}
}
