package diga

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
)

const (
	phonesPath = "/v1/phone/"
	phoneID    = `"id":"c0000000-0000-4000-8000-000000000003"`
	phoneBody  = `{` + phoneID + `,"number":"+34910000001","nickname":"Front desk","status":"assigned","telephony_provider":"netelip",` +
		`"inbound_agent_id":"a0000000-0000-4000-8000-000000000001","outbound_agent_id":null,"assigned_at":"2025-03-01T12:00:00Z","released_at":null}`
)

// wholePhone is what phoneBody says.
var wholePhone = Phone{ID: inbound, Number: "+34910000001", Nickname: "Front desk", Status: Assigned, Agents: phones{Inbound: valid(agentID)}}

// lines are the request lines that n heard, none of which may have a body.
func lines(t *testing.T, n *network) (list []string) {
	t.Helper()
	for _, r := range n.heard() {
		line, _, _ := strings.Cut(r.head, "\r\n")
		if r.body != "" || strings.Contains(r.head, "Content-") {
			t.Errorf("%s %s", r.head, r.body)
		}
		list = append(list, line)
	}
	return list
}

func TestPhone(t *testing.T) {
	least := Phone{ID: inbound}
	tests := []struct {
		replies []reply
		want    Phone
		cause   Cause
		text    string // how the error ends; "": it is well
	}{
		{[]reply{says(200, phoneBody)}, wholePhone, 0, ""},
		{[]reply{lost, says(503, ""), says(200, phoneBody)}, wholePhone, 0, ""},
		{[]reply{says(200, "{"+phoneID+"}")}, least, 0, ""},
		{[]reply{says(200, "{"+phoneID+`,"number":null,"nickname":null,"status":null,"inbound_agent_id":null,"outbound_agent_id":null}`)}, least, 0, ""},
		{[]reply{says(200, "{"+phoneID+`,"Number":"+1","number ":7,"x":[{}]}`)}, least, 0, ""},
		{[]reply{says(200, "{"+phoneID+`,"status":"stolen","number":"call me","outbound_agent_id":"A0000000-0000-4000-8000-000000000001"}`)},
			Phone{ID: inbound, Status: "stolen", Number: "call me", Agents: phones{Outbound: valid(agentID)}}, 0, ""},

		{[]reply{refuses(404, "PHONE_NOT_FOUND")}, Phone{}, Answered, "404 Not Found: because"},
		{[]reply{says(404, "")}, Phone{}, Answered, "the API answered 404 Not Found"},
		{[]reply{says(307, "", "Location: http://api.test/v1/phone")}, Phone{}, Redirected, "to api.test"},
		{[]reply{says(200, strings.Replace(phoneBody, inbound.String(), outbound.String(), 1))}, Phone{}, Mismatch,
			"asked for phone number " + inbound.String() + ", the API answered with " + outbound.String()},
		{[]reply{says(200, "{}")}, Phone{}, InvalidReply, "not with a phone number: id is missing"},
		{[]reply{says(200, `{"id":null}`)}, Phone{}, InvalidReply, "id is missing"},
		{[]reply{says(200, strings.Replace(phoneBody, `"id"`, `"Id"`, 1))}, Phone{}, InvalidReply, "id is missing"},
		{[]reply{says(200, `{"id":7}`)}, Phone{}, InvalidReply, "id is not a string"},
		{[]reply{says(200, `{"id":"7"}`)}, Phone{}, InvalidReply, `id: "7" is not a UUID such as 123e4567-e89b-42d3-a456-426614174000`},
		{[]reply{says(200, "{"+phoneID+`,"number":34910000001}`)}, Phone{}, InvalidReply, "number is not a string"},
		{[]reply{says(200, "{"+phoneID+`,"nickname":{}}`)}, Phone{}, InvalidReply, "nickname is not a string"},
		{[]reply{says(200, "{"+phoneID+`,"status":true}`)}, Phone{}, InvalidReply, "status is not a string"},
		{[]reply{says(200, "{"+phoneID+`,"inbound_agent_id":[]}`)}, Phone{}, InvalidReply, "inbound_agent_id is not a string"},
		{[]reply{says(200, "{"+phoneID+`,"outbound_agent_id":""}`)}, Phone{}, InvalidReply, `outbound_agent_id: "" is not a UUID such as 123e4567-e89b-42d3-a456-426614174000`},
		{[]reply{says(200, "{"+phoneID+","+phoneID+"}")}, Phone{}, InvalidReply, `the name "id" stands twice`},
		{[]reply{says(200, "["+phoneBody+"]")}, Phone{}, InvalidReply, "not a JSON object"},
		{[]reply{says(200, "null")}, Phone{}, InvalidReply, "not a JSON object"},
	}
	for _, test := range tests {
		n := &network{replies: test.replies}
		n.play(t, func(t *testing.T, c *Client) {
			got, err := c.Phone(t.Context(), WithRetries, inbound)
			if test.text == "" {
				if err != nil || got != test.want {
					t.Errorf("%+v, %v", got, err)
				}
			} else if e := failed(t, err); e.Cause != test.cause || !strings.HasSuffix(e.Error(), test.text) || e.Effect != NoEffect || len(n.heard()) != 1 || got != (Phone{}) {
				t.Errorf("%s: %+v, %+v", test.text, got, e)
			}
			for _, line := range lines(t, n) {
				if line != "GET /v1/phone/c0000000-0000-4000-8000-000000000003 HTTP/1.1" {
					t.Error(line)
				}
			}
		})
	}
}

// phone is a phone number in a list. Its id is that of number.
func phone(number int, fields ...string) string {
	list := append([]string{fmt.Sprintf(`"id":"%s","number":"+349100%05d"`, id(number), number)}, fields...)
	return "{" + strings.Join(list, ",") + "}"
}

// phonesFrom are phone numbers from first down to last.
func phonesFrom(first, last int) (list []string) {
	for number := first; number >= last; number-- {
		list = append(list, phone(number))
	}
	return list
}

// ids are those of the numbers from first down to last.
func ids(first, last int) (list []uuid.UUID) {
	for number := first; number >= last; number-- {
		list = append(list, id(number))
	}
	return list
}

func idsOf(phones []Phone) (list []uuid.UUID) {
	for _, p := range phones {
		list = append(list, p.ID)
	}
	return list
}

func TestPhones(t *testing.T) {
	tooLarge := says(200, strings.Repeat(" ", maxBodyBytes+1))
	after := func(limit, number int) string { return fmt.Sprintf("after=%s&limit=%d", id(number), limit) }
	const loop = "the API answered 200 OK, but not with the whole list of phone numbers: the list repeats itself before its end"
	tests := []struct {
		name    string
		replies []reply
		queries []string
		want    []uuid.UUID
		text    string // how the error ends; "": there is none
	}{
		{"none", []reply{pageOf(false, nil)}, []string{"limit=100"}, nil, ""},
		{"one page", []reply{pageOf(false, phonesFrom(100, 1))}, []string{"limit=100"}, ids(100, 1), ""},
		{"three pages", []reply{pageOf(true, phonesFrom(250, 151)), pageOf(true, phonesFrom(150, 51)), pageOf(false, phonesFrom(50, 1))},
			[]string{"limit=100", after(100, 151), after(100, 51)}, ids(250, 1), ""},
		{"a cursor of its own", []reply{pageOf(true, phonesFrom(9, 5), fmt.Sprintf(`"last_id":%q`, id(6))), pageOf(false, phonesFrom(5, 1))},
			[]string{"limit=100", after(100, 6)}, ids(9, 1), ""},
		{"twice on a page", []reply{pageOf(false, append(phonesFrom(2, 1), phonesFrom(2, 1)...))}, []string{"limit=100"}, ids(2, 1), ""},
		{"new numbers meanwhile", []reply{pageOf(true, phonesFrom(9, 6)), pageOf(false, phonesFrom(8, 1))}, []string{"limit=100", after(100, 6)}, ids(9, 1), ""},
		{"a retry", []reply{pageOf(true, phonesFrom(9, 5)), lost, pageOf(false, phonesFrom(4, 1))}, []string{"limit=100", after(100, 5), after(100, 5)}, ids(9, 1), ""},
		{"too large", []reply{tooLarge, pageOf(true, phonesFrom(9, 5)), pageOf(false, phonesFrom(4, 1))}, []string{"limit=100", "limit=25", after(25, 5)}, ids(9, 1), ""},
		{"a loop", []reply{pageOf(true, phonesFrom(9, 5))}, []string{"limit=100", after(100, 5)}, nil, loop},
		{"nothing and more", []reply{pageOf(true, nil)}, []string{"limit=100"}, nil, loop},
		{"an empty page and more", []reply{pageOf(true, phonesFrom(9, 5)), pageOf(true, nil)}, []string{"limit=100", after(100, 5)}, nil, loop},
		{"404", []reply{refuses(404, "NOT_FOUND")}, []string{"limit=100"}, nil, "404 Not Found: because"},
		{"404 on the way", []reply{pageOf(true, phonesFrom(9, 5)), says(404, "")}, []string{"limit=100", after(100, 5)}, nil, "404 Not Found"},
		{"a number of another shape", []reply{pageOf(false, append(phonesFrom(9, 5), `{"id":7}`))}, []string{"limit=100"}, nil, "not with a page of phone numbers: id is not a string"},
		{"a number that is null", []reply{pageOf(false, []string{"null"})}, []string{"limit=100"}, nil, "not a JSON object"},
		{"a list alone", []reply{says(200, "["+phoneBody+"]")}, []string{"limit=100"}, nil, "not with a page of phone numbers: not a JSON object"},
		{"no data", []reply{says(200, `{"has_more":false}`)}, []string{"limit=100"}, nil, "data is not a list"},
		{"no has_more", []reply{says(200, `{"data":[]}`)}, []string{"limit=100"}, nil, "has_more is not true or false"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			n := &network{replies: test.replies}
			n.play(t, func(t *testing.T, c *Client) {
				got, err := c.Phones(t.Context(), WithRetries)
				if test.text == "" && err != nil || test.text != "" && !strings.HasSuffix(failed(t, err).Error(), test.text) {
					t.Errorf("%v, want %q", err, test.text)
				}
				if !slices.Equal(idsOf(got), test.want) {
					t.Errorf("got %v, want %v", idsOf(got), test.want)
				}
			})
			if got := targets(t, n, phonesPath); !slices.Equal(got, test.queries) {
				t.Errorf("asked %s, want %s", got, test.queries)
			}
		})
	}
}

// TestPhonesOf checks that only numbers of the agent are listed, also by an API that does not know the filter, and that
// each page is asked for with it.
func TestPhonesOf(t *testing.T) {
	const in, out = `"inbound_agent_id":"a0000000-0000-4000-8000-000000000001"`, `"outbound_agent_id":"a0000000-0000-4000-8000-000000000001"`
	const others = `"inbound_agent_id":"d0000000-0000-4000-8000-000000000004","outbound_agent_id":"d0000000-0000-4000-8000-000000000004"`
	all := []reply{
		pageOf(true, []string{phone(9, in), phone(8, out), phone(7, in, out), phone(6, others), phone(5), phone(4, `"inbound_agent_id":null`)}),
		pageOf(false, []string{phone(3, out), phone(2, in), phone(1, others)}),
	}
	for direction, test := range map[Direction]struct {
		want    []uuid.UUID
		queries []string
	}{
		Inbound: {[]uuid.UUID{id(9), id(7), id(2)},
			[]string{"inbound_agent_id=" + agentID.String() + "&limit=100", "after=" + id(4).String() + "&inbound_agent_id=" + agentID.String() + "&limit=100"}},
		Outbound: {[]uuid.UUID{id(8), id(7), id(3)},
			[]string{"limit=100&outbound_agent_id=" + agentID.String(), "after=" + id(4).String() + "&limit=100&outbound_agent_id=" + agentID.String()}},
	} {
		n := &network{replies: all}
		n.play(t, func(t *testing.T, c *Client) {
			got, err := c.PhonesOf(t.Context(), WithRetries, agentID, direction)
			if err != nil || !slices.Equal(idsOf(got), test.want) {
				t.Errorf("%s: %v, %v", direction, idsOf(got), err)
			}
		})
		if got := targets(t, n, phonesPath); !slices.Equal(got, test.queries) {
			t.Errorf("%s: asked %s, want %s", direction, got, test.queries)
		}

		n = &network{replies: []reply{all[0], refuses(404, "NOT_FOUND")}}
		n.play(t, func(t *testing.T, c *Client) {
			got, err := c.PhonesOf(t.Context(), WithRetries, agentID, direction)
			if e := failed(t, err); e.Code != "NOT_FOUND" || e.Status != 404 || got != nil {
				t.Errorf("%s: %v of an unfinished list, %+v", direction, idsOf(got), e)
			}
		})
	}
}

// TestPhonePaths checks that the slash at the end of the list's path, which the API asks for, survives a path prefix.
func TestPhonePaths(t *testing.T) {
	for prefix, want := range map[string]string{"": "", "/": "", "/diga": "/diga", "/diga/": "/diga", "/di%2Fga/": "/di%2Fga"} {
		n := &network{replies: []reply{pageOf(false, nil), says(200, phoneBody)}}
		n.play(t, func(t *testing.T, c *Client) {
			var err error
			if c.BaseURL, err = url.Parse("http://api.test" + prefix); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Phones(t.Context(), Once); err != nil {
				t.Error(err)
			}
			if _, err := c.Phone(t.Context(), Once, inbound); err != nil {
				t.Error(err)
			}
		})
		wanted := []string{"GET " + want + "/v1/phone/?limit=100 HTTP/1.1", "GET " + want + "/v1/phone/" + inbound.String() + " HTTP/1.1"}
		if got := lines(t, n); !slices.Equal(got, wanted) {
			t.Errorf("%q: %q", prefix, got)
		}
	}
}

func TestBoundTo(t *testing.T) {
	nobody := Phone{}
	if wholePhone.boundTo(agentID, Outbound) || wholePhone.boundTo(outbound, Inbound) || !wholePhone.boundTo(agentID, Inbound) || nobody.boundTo(uuid.Nil, Inbound) {
		t.Errorf("%+v", wholePhone)
	}
}

// TestTries makes every read with each choice of tries against a server that fails once.
func TestTries(t *testing.T) {
	page := pageOf(false, []string{item(1, "v1")})
	for name, test := range map[string]struct {
		good reply
		read func(ctx context.Context, c *Client, retries Retries) error
	}{
		"PublishedVersion": {says(200, versionBody), func(ctx context.Context, c *Client, retries Retries) error {
			_, err := c.PublishedVersion(ctx, retries, agentID)
			return err
		}},
		"Version": {says(200, versionBody), func(ctx context.Context, c *Client, retries Retries) error {
			_, err := c.Version(ctx, retries, agentID, versionID)
			return err
		}},
		"Versions": {page, func(ctx context.Context, c *Client, retries Retries) error {
			for _, err := range c.Versions(ctx, retries, agentID) {
				if err != nil {
					return err
				}
			}
			return nil
		}},
		"VersionNamed": {page, func(ctx context.Context, c *Client, retries Retries) error {
			_, err := c.VersionNamed(ctx, retries, agentID, "v1")
			return err
		}},
		"Phone": {says(200, phoneBody), func(ctx context.Context, c *Client, retries Retries) error {
			_, err := c.Phone(ctx, retries, inbound)
			return err
		}},
		"Phones": {pageOf(false, nil), func(ctx context.Context, c *Client, retries Retries) error {
			_, err := c.Phones(ctx, retries)
			return err
		}},
		"PhonesOf": {pageOf(false, nil), func(ctx context.Context, c *Client, retries Retries) error {
			_, err := c.PhonesOf(ctx, retries, agentID, Outbound)
			return err
		}},
	} {
		for _, bad := range []reply{says(503, ""), says(429, ""), lost} {
			n := &network{replies: []reply{bad, test.good}}
			n.play(t, func(t *testing.T, c *Client) {
				if e := failed(t, test.read(t.Context(), c, Once)); len(n.heard()) != 1 || e.Attempts != 1 || e.GaveUp != "" || e.Effect != NoEffect {
					t.Errorf("%s, once: %d requests, %+v", name, len(n.heard()), e)
				}
			})
			n = &network{replies: []reply{bad, test.good}}
			n.play(t, func(t *testing.T, c *Client) {
				if err := test.read(t.Context(), c, WithRetries); err != nil || len(n.heard()) != 2 {
					t.Errorf("%s, retried: %d requests, %v", name, len(n.heard()), err)
				}
			})
		}
	}
}

func TestE164(t *testing.T) {
	for number, want := range map[string]string{ // "": it is not valid
		"+34910000001":                    "+34910000001",
		" +34 910 000 001 ":               "+34910000001",
		"\t+34 910\u00a0000\u00a0001\r\n": "+34910000001",
		"+34\u202f910\u2009000\u3000001":  "+34910000001",
		"+34-910-000-001":                 "+34910000001",
		"+34\u2010910\u2011000\u2012001":  "+34910000001",
		"+34\u2013910\u2014000\u2015001":  "+34910000001",
		"+34.910.000.001":                 "+34910000001",
		"+1 (212) 555-0100":               "+12125550100",
		"[+1] 212.555.0100":               "+12125550100",
		"(+34) 910 000 001":               "+34910000001",
		"+ 34 910000001":                  "+34910000001",
		"+12":                             "+12",
		"+100":                            "+100",
		"+123456789012345":                "+123456789012345",

		"":                   "",
		" ":                  "",
		"+":                  "",
		"-":                  "",
		"()":                 "",
		"+1":                 "",
		"+1234567890123456":  "",
		"+0":                 "",
		"+034910000001":      "",
		"+ (0)34910000001":   "",
		"0034910000001":      "",
		"00 34 910 000 001":  "",
		"+0034910000001":     "",
		"34910000001":        "",
		"910000001":          "",
		"++34910000001":      "",
		"+34+910000001":      "",
		"34910000001+":       "",
		"+34910000001x":      "",
		"+34 910 CALL":       "",
		"x+34910000001":      "",
		"+34910000001;ext=1": "",
		"+34/910000001":      "",
		"+34,910000001":      "",
		"+34_910000001":      "",
		"+34*#":              "",
		"tel:+34910000001":   "",
		"\uff0b34910000001":  "", // a wide plus sign
		"+3491000000\uff11":  "", // a wide digit
		"+3491000000\u0661":  "", // an Arabic digit
		"+34\u2212910000001": "", // a minus sign is no hyphen
		"+34\u200b910000001": "", // no width, so no blank
		"+34\u00ad910000001": "", // a soft hyphen
		"+34\x00910000001":   "",
		"+34910000001\xff":   "",
	} {
		got, ok := E164(number)
		if got != want || ok != (want != "") {
			t.Errorf("%q: %q, %t; want %q", number, got, ok, want)
		}
		if again, ok := E164(got); ok != (want != "") || again != got {
			t.Errorf("%q: %q the second time", number, again)
		}
	}
}
