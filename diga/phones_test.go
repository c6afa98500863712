package diga

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
)

// wholePhone is the phone number in phoneBody.
var wholePhone = Phone{ID: inbound, Number: "+34910000001", Nickname: "Front desk", Status: Assigned, Agents: phones{Inbound: valid(agentID)}}

func TestPhone(t *testing.T) {
	least := Phone{ID: inbound}
	type phoneCase struct {
		replies []reply
		want    Phone
		cause   Cause
		text    string // how the error ends; empty: success
	}
	tests := []phoneCase{
		{[]reply{response(200, phoneBody)}, wholePhone, 0, ""},
		{[]reply{lost, response(503, ""), response(200, phoneBody)}, wholePhone, 0, ""},
		{[]reply{response(200, "{"+phoneID+"}")}, least, 0, ""},
		{[]reply{response(200, "{"+phoneID+`,"number":null,"nickname":null,"status":null,"inbound_agent_id":null,"outbound_agent_id":null}`)}, least, 0, ""},
		{[]reply{response(200, "{"+phoneID+`,"Number":"+1","number ":7,"x":[{}]}`)}, least, 0, ""},
		{[]reply{response(200, "{"+phoneID+`,"status":"stolen","number":"call me","outbound_agent_id":"A0000000-0000-4000-8000-000000000001"}`)},
			Phone{ID: inbound, Status: "stolen", Number: "call me", Agents: phones{Outbound: valid(agentID)}}, 0, ""},

		{[]reply{apiError(404, "PHONE_NOT_FOUND")}, Phone{}, Answered, "404 Not Found: because"},
		{[]reply{response(404, "")}, Phone{}, Answered, "the API returned 404 Not Found"},
		{[]reply{response(307, "", "Location: http://api.test/v1/phone")}, Phone{}, Redirected, "redirect to api.test"},
		{[]reply{response(200, strings.Replace(phoneBody, inbound.String(), outbound.String(), 1))}, Phone{}, Mismatch,
			"requested phone number " + inbound.String() + ", but the API returned " + outbound.String()},
		{[]reply{response(200, "{}")}, Phone{}, InvalidReply, "not a phone number: id is missing"},
		{[]reply{response(200, `{"id":null}`)}, Phone{}, InvalidReply, "id is missing"},
		{[]reply{response(200, strings.Replace(phoneBody, `"id"`, `"Id"`, 1))}, Phone{}, InvalidReply, "id is missing"},
		{[]reply{response(200, `{"id":7}`)}, Phone{}, InvalidReply, "id is not a string"},
		{[]reply{response(200, `{"id":"7"}`)}, Phone{}, InvalidReply, `id: "7" is not a UUID such as 123e4567-e89b-42d3-a456-426614174000`},
		{[]reply{response(200, "{"+phoneID+`,"inbound_agent_id":[]}`)}, Phone{}, InvalidReply, "inbound_agent_id is not a string"},
		{[]reply{response(200, "{"+phoneID+`,"outbound_agent_id":""}`)}, Phone{}, InvalidReply, `outbound_agent_id: "" is not a UUID such as 123e4567-e89b-42d3-a456-426614174000`},
		{[]reply{response(200, "{"+phoneID+","+phoneID+"}")}, Phone{}, InvalidReply, `duplicate field "id"`},
		{[]reply{response(200, "["+phoneBody+"]")}, Phone{}, InvalidReply, "not a JSON object"},
		{[]reply{response(200, "null")}, Phone{}, InvalidReply, "not a JSON object"},
	}
	for _, field := range []string{"number", "nickname", "status"} {
		for _, value := range []string{"7", "true", "{}"} {
			body := "{" + phoneID + `,"` + field + `":` + value + "}"
			tests = append(tests, phoneCase{[]reply{response(200, body)}, Phone{}, InvalidReply, field + " is not a string"})
		}
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
			queries(t, n, phonesPath+inbound.String())
		})
	}
}

func TestPhones(t *testing.T) {
	after := afterQuery(100, 6)
	tests := []struct {
		name    string
		replies []reply
		queries []string
		want    int    // so many numbers, down to 1
		text    string // how the error ends; empty: success
	}{
		{"none", []reply{pageOf(false, nil)}, []string{"limit=100"}, 0, ""},
		{"two pages", []reply{pageOf(true, phonesFrom(9, 6)), pageOf(false, phonesFrom(5, 1))}, []string{"limit=100", after}, 9, ""},
		{"twice on a page", []reply{pageOf(false, append(phonesFrom(2, 1), phonesFrom(2, 1)...))}, []string{"limit=100"}, 2, ""},
		{"404 on the way", []reply{pageOf(true, phonesFrom(9, 6)), apiError(404, "NOT_FOUND")}, []string{"limit=100", after}, 0, "404 Not Found: because"},
		{"a number of another shape", []reply{pageOf(false, append(phonesFrom(9, 5), `{"id":7}`))}, []string{"limit=100"}, 0, "not a page of phone numbers: id is not a string"},
		{"a list alone", []reply{response(200, "["+phoneBody+"]")}, []string{"limit=100"}, 0, "not a page of phone numbers: not a JSON object"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			n := &network{replies: test.replies}
			n.play(t, func(t *testing.T, c *Client) {
				got, err := c.Phones(t.Context(), WithRetries)
				if test.text == "" && err != nil || test.text != "" && !strings.HasSuffix(failed(t, err).Error(), test.text) {
					t.Errorf("%v, want %q", err, test.text)
				}
				if !slices.Equal(idsOf(got), idsFrom(test.want)) {
					t.Errorf("got %v, want %d", idsOf(got), test.want)
				}
			})
			if got := queries(t, n, phonesPath); !slices.Equal(got, test.queries) {
				t.Errorf("asked %s, want %s", got, test.queries)
			}
		})
	}
}

// idsFrom returns the ids of the numbers from n down to 1.
func idsFrom(n int) (list []uuid.UUID) {
	for ; n > 0; n-- {
		list = append(list, id(n))
	}
	return list
}

func idsOf(phones []Phone) (list []uuid.UUID) {
	for _, p := range phones {
		list = append(list, p.ID)
	}
	return list
}

// The filter is sent with every page. The result is right even if the API ignores it.
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
		if got := queries(t, n, phonesPath); !slices.Equal(got, test.queries) {
			t.Errorf("%s: asked %s, want %s", direction, got, test.queries)
		}

		n = &network{replies: []reply{all[0], apiError(404, "NOT_FOUND")}}
		n.play(t, func(t *testing.T, c *Client) {
			got, err := c.PhonesOf(t.Context(), WithRetries, agentID, direction)
			if e := failed(t, err); e.Code != "NOT_FOUND" || e.Status != 404 || got != nil {
				t.Errorf("%s: %v of an unfinished list, %+v", direction, idsOf(got), e)
			}
		})
	}
}

func TestPathOfThePhoneListKeepsItsSlash(t *testing.T) {
	for prefix, want := range map[string]string{"": "", "/": "", "/diga": "/diga", "/diga/": "/diga", "/di%2Fga/": "/di%2Fga"} {
		n := &network{replies: []reply{pageOf(false, nil), response(200, phoneBody)}}
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
		var got []string
		for _, r := range n.heard() {
			_, path, _ := r.target()
			got = append(got, path)
		}
		if want := []string{want + phonesPath, want + phonesPath + inbound.String()}; !slices.Equal(got, want) {
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

func TestE164(t *testing.T) {
	for number, want := range map[string]string{
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
	} {
		if got, ok := E164(number); got != want || !ok {
			t.Errorf("%q: %q, %t; want %q", number, got, ok, want)
		}
		if again, ok := E164(want); again != want || !ok {
			t.Errorf("%q: %q the second time", want, again)
		}
	}
	for _, number := range []string{
		"", " ", "+", "-", "()", "+1", "+1234567890123456", "+0", "+034910000001", "+ (0)34910000001",
		"0034910000001", "00 34 910 000 001", "+0034910000001", "34910000001", "910000001", "++34910000001",
		"+34+910000001", "34910000001+", "+34910000001x", "+34 910 CALL", "x+34910000001", "+34910000001;ext=1",
		"+34/910000001", "+34,910000001", "+34_910000001", "+34*#", "tel:+34910000001", "+34\x00910000001",
		"+34910000001\xff",
		"\uff0b34910000001",  // a wide plus sign
		"+3491000000\uff11",  // a wide digit
		"+3491000000\u0661",  // an Arabic digit
		"+34\u2212910000001", // a minus sign is no hyphen
		"+34\u200b910000001", // no width, so no blank
		"+34\u00ad910000001", // a soft hyphen
	} {
		if got, ok := E164(number); got != "" || ok {
			t.Errorf("%q: %q, %t; want an error", number, got, ok)
		}
	}
}
