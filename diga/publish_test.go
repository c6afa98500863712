package diga

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/google/uuid"
)

type (
	bindings = [Directions]Binding
	phones   = [Directions]uuid.NullUUID
)

func TestPublishRequests(t *testing.T) {
	unpublished := `{` + agentField + `,"published_version_id":null}`
	tests := []struct {
		prefix string // of the API's path
		change Change
		body   string
		reply  string
	}{
		{"", promotion, `{"version_id":"b0000000-0000-4000-8000-000000000002"}`, `{` + agentField + `,` + versionField + `}`},
		{"/diga/", promotion, `{"version_id":"b0000000-0000-4000-8000-000000000002"}`, `{` + agentField + `,` + versionField + `}`},
		{"/di%2Fga", Change{Agent: agentID, Unpublish: true}, `{"version_id":null}`, unpublished},
		{"", Change{Agent: agentID, Version: valid(versionID), Bindings: bindings{Inbound: {Phone: valid(inbound)}}},
			`{"version_id":"b0000000-0000-4000-8000-000000000002",` + inField + `}`, `{` + agentField + `,` + versionField + `,` + inField + `}`},
		{"", Change{Agent: agentID, Version: valid(versionID), Bindings: bindings{Outbound: {Phone: valid(outbound)}}},
			`{"version_id":"b0000000-0000-4000-8000-000000000002",` + outField + `}`, `{` + agentField + `,` + versionField + `,` + outField + `}`},
		{"", Change{Agent: agentID, Version: valid(versionID), Bindings: bindings{{Phone: valid(inbound)}, {Phone: valid(outbound)}}},
			`{"version_id":"b0000000-0000-4000-8000-000000000002",` + inField + `,` + outField + `}`,
			`{` + agentField + `,` + versionField + `,` + inField + `,` + outField + `}`},
		{"", Change{Agent: agentID, Version: valid(versionID), Bindings: bindings{{Release: true}, {Phone: valid(outbound)}}},
			`{"version_id":"b0000000-0000-4000-8000-000000000002","inbound_phone_number_id":null,` + outField + `}`,
			`{` + agentField + `,` + versionField + `,"inbound_phone_number_id":null,` + outField + `}`},
	}
	for _, test := range tests {
		n := &network{replies: []reply{response(200, test.reply)}}
		n.play(t, func(t *testing.T, c *Client) {
			var err error
			if c.BaseURL, err = url.Parse("http://api.test" + test.prefix); err != nil {
				t.Fatal(err)
			}
			got, attempts, err := c.Publish(t.Context(), test.change)
			want := Publication{Agent: test.change.Agent, Version: test.change.Version, Phones: phones{test.change.Bindings[Inbound].Phone, test.change.Bindings[Outbound].Phone}, Stated: got.Stated}
			if err != nil || attempts != 1 || got != want {
				t.Errorf("%+v after %d attempts: %v", got, attempts, err)
			}
			head := strings.Join([]string{
				"PATCH " + strings.TrimSuffix(test.prefix, "/") + "/v1/agent/a0000000-0000-4000-8000-000000000001/published_version HTTP/1.1",
				"Host: api.test",
				"User-Agent: test/1",
				fmt.Sprintf("Content-Length: %d", len(test.body)),
				"Accept: application/json",
				"Authorization: Bearer sesame",
				"Content-Type: application/json",
				"X-Request-Id: 99999999-9999-4999-8999-999999999999",
				"Accept-Encoding: gzip",
			}, "\r\n") + "\r\n\r\n"
			if r := n.heard()[0]; r.head != head || r.body != test.body {
				t.Errorf("got\n%s%s\nwant\n%s%s", r.head, r.body, head, test.body)
			}
		})
	}
}

func TestInvalidChangesAreNotSent(t *testing.T) {
	n := &network{}
	for _, change := range []Change{{}, {Agent: agentID}, {Agent: agentID, Bindings: bindings{Inbound: {Phone: valid(inbound)}}}, {Agent: agentID, Version: valid(versionID), Unpublish: true}} {
		_, attempts, err := n.client().Publish(t.Context(), change)
		if e := failed(t, err); e.Cause != Internal || e.Effect != NoEffect || attempts != 0 || n.dials() != 0 {
			t.Errorf("%+v: %+v", change, e)
		}
	}
}

const whole = agentField + "," + versionField + "," + inField + "," + outField

// reply200 publishes a change with all four IDs, to which the API responds with 200 and body.
func reply200(t *testing.T, body string, judge func(got Publication, err error)) {
	t.Helper()
	n := &network{replies: []reply{response(200, body)}}
	n.play(t, func(t *testing.T, c *Client) {
		got, attempts, err := c.Publish(t.Context(), Change{Agent: agentID, Version: valid(versionID), Bindings: bindings{{Phone: valid(inbound)}, {Phone: valid(outbound)}}})
		if attempts != 1 {
			t.Errorf("%.100q: %d attempts", body, attempts)
		}
		judge(got, err)
	})
}

func TestConfirmations(t *testing.T) {
	for _, body := range []string{
		"{" + whole + "}",
		"\r\n\t {\n " + strings.NewReplacer(",", " , ", ":", " : ").Replace(whole) + " } \n",
		`{"x":{` + agentField + `},"y":[null,1e999,{}],` + whole + `,"Agent_Id":"another"}`,
		"{" + strings.Replace(whole, "agent_id", `agent\u005fid`, 1) + "}",
		"{" + strings.Replace(whole, "a0000000", "A0000000", 1) + "}",
		"{" + whole + `,"x":"\ud800","\udfff":"\ud800\ud800"}`,
		"{" + whole + `,"x":"` + "\xff\xc0\x80" + `"}`,
		"{" + whole + `,"x":` + strings.Repeat("[", 9998) + strings.Repeat("]", 9998) + "}",
		"{" + whole + keys(20_000) + "}",
	} {
		reply200(t, body, func(got Publication, err error) {
			if err != nil || got != (Publication{agentID, valid(versionID), phones{valid(inbound), valid(outbound)}, [Directions]bool{true, true}}) {
				t.Errorf("%.300q: %+v, %v", body, got, err)
			}
		})
	}
}

func TestBadConfirmations(t *testing.T) {
	const other = "eeeeeeee-eeee-4eee-8eee-eeeeeeeeeeee"
	const mismatch = "the API confirmed a different change than requested: "
	tests := map[string]string{ // the body, and how the error ends; "": encoding/json says it in its own words
		"":                               "not a JSON object",
		" ":                              "not a JSON object",
		"null":                           "not a JSON object",
		"[]":                             "not a JSON object",
		"[{" + whole + "}]":              "not a JSON object",
		`"x"`:                            "not a JSON object",
		"true":                           "not a JSON object",
		"<html>":                         "not a JSON object",
		"\ufeff{" + whole + "}":          "not a JSON object",
		"\x00{" + whole + "}":            "not a JSON object",
		"{}":                             "agent_id is missing",
		`{"data":{` + whole + "}}":       "agent_id is missing",
		"{" + whole + "}\x00":            "trailing data after the JSON object",
		"{" + whole + "}{}":              "trailing data after the JSON object",
		"{" + whole + "} x":              "trailing data after the JSON object",
		"{" + whole + ",}":               "",
		"{" + whole + "]":                "",
		"{" + whole:                      "",
		"{" + whole + `,"x"}`:            "",
		"{" + whole + `,"x":nul}`:        "",
		"{" + whole + `,"x":'a'}`:        "",
		"{" + whole + ",\"x\":\"\x01\"}": "",
		"{" + whole + `,"x":` + strings.Repeat("[", 10001) + strings.Repeat("]", 10001) + "}": "",
		"{" + whole + keys(20_000) + `,"777":0}`:                                              `duplicate field "777"`,
		"{" + whole + "," + agentField + "}":                                                  `duplicate field "agent_id"`,
		"{" + whole + `,"published_version\u005fid":null}`:                                    `duplicate field "published_version_id"`,
		"{" + whole + `,"x` + "\xff" + `":1,"x` + "\xfe" + `":1}`:                             "duplicate field \"x\uFFFD\"", // both read as U+FFFD
	}
	for field := range strings.SplitSeq(whole, ",") {
		parts := strings.Split(field, `"`)
		name, id := parts[1], parts[3]
		with := func(text string) string { return "{" + strings.Replace(whole, field, text, 1) + "}" }
		text := map[string]string{"agent_id": "path.agent_id", "published_version_id": "body.version_id",
			"inbound_phone_number_id": "body.inbound_phone_number_id", "outbound_phone_number_id": "body.outbound_phone_number_id"}[name]
		missing := mismatch + text + ": requested " + id + ", got null"
		if name == "agent_id" {
			missing = "agent_id is missing"
		}
		for _, another := range []string{strings.ToUpper(name), strings.ToUpper(name[:1]) + name[1:], name + " ", "x"} {
			tests[with(`"`+another+`":"`+id+`"`)] = missing
		}
		tests[with(`"`+name+`":null`)] = missing
		tests[with(`"`+name+`":"`+other+`"`)] = mismatch + text + ": requested " + id + ", got " + other
		for _, value := range []string{"1", "true", "{}", "[]", `["` + id + `"]`} {
			tests[with(`"`+name+`":`+value)] = name + " is not a string"
		}
		for _, value := range []string{"", "null", "urn:uuid:" + id, "{" + id + "}", strings.ReplaceAll(id, "-", ""), id + " ", id[:35] + "g", `\ud800`} {
			tests[with(`"`+name+`":"`+value+`"`)] = "is not a UUID such as 123e4567-e89b-42d3-a456-426614174000"
		}
	}
	for body, want := range tests {
		reply200(t, body, func(got Publication, err error) {
			e := failed(t, err)
			cause := InvalidReply
			if strings.HasPrefix(want, mismatch) {
				cause = Mismatch
			}
			if e.Cause != cause || !strings.HasSuffix(e.Error(), want) || e.Effect != MaybePending || e.Status != 200 || e.Attempts != 1 || got != (Publication{}) {
				t.Errorf("%.300q: %+v\nwant %s", body, e, want)
			}
		})
	}
}

// keys returns n fields, each after a comma.
func keys(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"%d":0`, i)
	}
	return b.String()
}

func TestFieldsThatWereLeftOutMayBeAnything(t *testing.T) {
	stop := Change{Agent: agentID, Unpublish: true}
	tests := []struct {
		change Change
		fields string // after the agent's
		want   Publication
		cause  Cause // 0: success
	}{
		{promotion, versionField, Publication{Version: valid(versionID)}, 0},
		{promotion, versionField + `,"inbound_phone_number_id":null,"outbound_phone_number_id":null`, Publication{Version: valid(versionID)}, 0},
		{promotion, versionField + `,` + inField + `,` + outField, Publication{Version: valid(versionID), Phones: phones{valid(inbound), valid(outbound)}}, 0},
		{promotion, versionField + `,"inbound_phone_number_id":7`, Publication{}, InvalidReply},
		{promotion, `"x":1`, Publication{}, Mismatch},
		{promotion, `"published_version_id":null`, Publication{}, Mismatch},
		{stop, `"x":1`, Publication{}, 0},
		{stop, `"published_version_id":null`, Publication{}, 0},
		{stop, `"published_version_id":null,` + inField, Publication{Phones: phones{Inbound: valid(inbound)}}, 0},
		{stop, versionField, Publication{}, Mismatch},
	}
	for _, test := range tests {
		n := &network{replies: []reply{response(200, "{"+agentField+","+test.fields+"}")}}
		n.play(t, func(t *testing.T, c *Client) {
			got, _, err := c.Publish(t.Context(), test.change)
			if test.cause != 0 {
				if e := failed(t, err); e.Cause != test.cause || e.Effect != MaybePending {
					t.Errorf("%s: %+v", test.fields, e)
				}
				return
			}
			if test.want.Agent, test.want.Stated = agentID, got.Stated; err != nil || got != test.want {
				t.Errorf("%s: %+v, %v", test.fields, got, err)
			}
		})
	}
}

func TestReleaseMustBeConfirmed(t *testing.T) {
	n := &network{replies: []reply{response(200, "{"+agentField+","+versionField+","+inField+"}")}}
	n.play(t, func(t *testing.T, c *Client) {
		_, _, err := c.Publish(t.Context(), Change{Agent: agentID, Version: valid(versionID), Bindings: bindings{Outbound: {Release: true}}})
		want := "the API returned 200 OK, but without outbound_phone_number_id, so the release is not confirmed"
		if e := failed(t, err); e.Cause != InvalidReply || e.Effect != MaybePending || e.Error() != want {
			t.Errorf("%+v", e)
		}
	})
}
