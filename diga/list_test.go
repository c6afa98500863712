package diga

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
)

func id(number int) uuid.UUID {
	return uuid.MustParse(fmt.Sprintf("b0000000-0000-4000-8000-%012d", number))
}

// item returns a version with the id of number.
func item(number int) string {
	return fmt.Sprintf(`{%s,"version_id":"%s","version_number":%d}`, agentField, id(number), number)
}

// items returns the versions from first down to last.
func items(first, last int) (list []string) {
	for number := first; number >= last; number-- {
		list = append(list, item(number))
	}
	return list
}

func pageOf(more bool, items []string, fields ...string) answer {
	list := append([]string{fmt.Sprintf(`"data":[%s],"has_more":%t`, strings.Join(items, ","), more)}, fields...)
	return response(200, "{"+strings.Join(list, ",")+"}")
}

func TestLists(t *testing.T) {
	after := func(limit, number int) string { return fmt.Sprintf("after=%s&limit=%d", id(number), limit) }
	tooLarge := response(200, strings.Repeat(" ", maxPageBody+1))
	const whole, isNo = "limit=100", "the API returned 200 OK, but not a complete list of versions: "
	const loop = isNo + "the list repeats itself"
	refused, gone, odd := apiError(400, "BAD_CURSOR"), apiError(404, "GONE"), apiError(422, "ODD")
	type listing struct {
		name    string
		answers []answer
		queries []string
		read    int    // how many versions from 9 down
		text    string // of the error; empty: success
	}
	tests := []listing{
		{"no version", []answer{pageOf(false, nil)}, []string{whole}, 0, ""},
		{"one page", []answer{pageOf(false, items(9, 1))}, []string{whole}, 9, ""},
		{"three pages", []answer{pageOf(true, items(9, 6)), pageOf(true, items(5, 3)), pageOf(false, items(2, 1))},
			[]string{whole, after(100, 6), after(100, 3)}, 9, ""},
		{"new versions meanwhile", []answer{pageOf(true, items(9, 6)), pageOf(true, items(8, 3)), pageOf(false, items(4, 1))},
			[]string{whole, after(100, 6), after(100, 3)}, 9, ""},
		{"a retry", []answer{pageOf(true, items(9, 5)), response(503, ""), pageOf(false, items(4, 1))},
			[]string{whole, after(100, 5), after(100, 5)}, 9, ""},

		{"a cursor refused", []answer{pageOf(true, items(9, 5)), refused, pageOf(true, items(9, 3)),
			pageOf(false, items(2, 1))},
			[]string{whole, after(100, 5), whole, after(100, 3)}, 9, ""},
		{"the same pages again", []answer{pageOf(true, items(9, 5)), gone, pageOf(true, items(9, 5)),
			pageOf(false, items(4, 1))},
			[]string{whole, after(100, 5), whole, after(100, 5)}, 9, ""},
		{"refused twice", []answer{pageOf(true, items(9, 5)), odd, pageOf(true, items(9, 5)), odd},
			[]string{whole, after(100, 5), whole, after(100, 5)}, 5,
			"the API returned 422 Unprocessable Entity: because"},
		{"refused at once", []answer{gone}, []string{whole}, 0, "the API returned 404 Not Found: because"},
		{"forbidden on the way", []answer{pageOf(true, items(9, 5)), apiError(403, "NO")}, []string{whole, after(100, 5)}, 5,
			"the API returned 403 Forbidden: because"},

		{"a loop", []answer{pageOf(true, items(9, 5))}, []string{whole, after(100, 5)}, 5, loop},
		{"a loop of two", []answer{pageOf(true, items(9, 7)), pageOf(true, items(6, 5)), pageOf(true, items(9, 7))},
			[]string{whole, after(100, 7), after(100, 5)}, 5, loop},
		{"a loop after a cursor was refused", []answer{pageOf(true, items(9, 5)), refused, pageOf(true, items(9, 5))},
			[]string{whole, after(100, 5), whole, after(100, 5)}, 5, loop},
		{"nothing and more", []answer{pageOf(true, nil)}, []string{whole}, 0, loop},

		{"too large", []answer{pageOf(true, items(9, 8)), tooLarge, tooLarge, pageOf(true, items(7, 7)),
			pageOf(false, items(6, 1))},
			[]string{whole, after(100, 8), after(10, 8), after(1, 8), after(1, 7)}, 9, ""},
		{"too large alone", []answer{tooLarge}, []string{whole, "limit=10", "limit=1"}, 0,
			"could not read the response: body exceeds 4194304 bytes"},
		{"a large error", []answer{response(404, strings.Repeat(" ", maxPageBody+1))}, []string{whole}, 0,
			"the API returned 404 Not Found"},

		{"too many", []answer{pageOf(true, items(9, 5)), pageOf(false, items(5, 0))}, []string{whole, after(100, 5)}, 9,
			isNo + "more than 9 items"},
		{"too many on one page", []answer{pageOf(true, items(9, 0))}, []string{whole}, 9, isNo + "more than 9 items"},

		{"an odd version", []answer{pageOf(false, append(items(9, 5), `{"version_id":7}`))}, []string{whole}, 5,
			isNo + "version_id is not a string"},
		{"null for a version", []answer{pageOf(false, []string{"null"})}, []string{whole}, 0, isNo + "not a JSON object"},
	}
	for body, text := range map[string]string{
		"[]": "not a JSON object", `{"has_more":false}`: "data is not a list", `{"data":null,"has_more":false}`: "data is not a list",
		`{"data":{},"has_more":false}`: "data is not a list", `{"data":[]}`: "has_more is not a boolean",
		`{"data":[],"has_more":null}`: "has_more is not a boolean", `{"data":[],"has_more":"true"}`: "has_more is not a boolean",
		`{"data":[],"data":[],"has_more":false}`: `duplicate field "data"`,
	} {
		tests = append(tests, listing{body, []answer{response(200, body)}, []string{whole}, 0, isNo + text})
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			n := &network{answers: test.answers}
			n.play(t, func(t *testing.T, c *Client) {
				read, text := 0, ""
				kind := itemKind[Version]{"versions", 9, readVersion, func(v Version) uuid.UUID { return v.ID }}
				for v, err := range list(t.Context(), c, versionsPath(agentID), kind) {
					if text != "" {
						t.Error("the list goes on after an error")
					}
					if err != nil {
						text = failed(t, err).Error()
					} else if read++; v.Number != 10-read || v.ID != id(10-read) {
						t.Errorf("got %+v instead of number %d", v, 10-read)
					}
				}
				if read != test.read || text != test.text {
					t.Errorf("%d versions, then %s", read, text)
				}
			})
			var queries []string
			for _, target := range n.targets() {
				queries = append(queries, strings.TrimPrefix(target, "GET /v1/agent/"+agentID.String()+"/version?"))
			}
			if !slices.Equal(queries, test.queries) {
				t.Errorf("asked %s, want %s", queries, test.queries)
			}
		})
	}
}

// A page that the caller does not want is not requested.
func TestListStopsWithItsReader(t *testing.T) {
	n := &network{answers: []answer{pageOf(true, items(9, 5))}}
	n.play(t, func(t *testing.T, c *Client) {
		for v, err := range c.Versions(t.Context(), agentID) {
			if err != nil {
				t.Error(err)
			}
			if v.Number == 5 {
				break
			}
		}
		if len(n.heard()) != 1 {
			t.Errorf("%d requests", len(n.heard()))
		}
	})
}
