package diga

import (
	"fmt"
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

func pageOf(more bool, items []string) answer {
	return response(200, fmt.Sprintf(`{"data":[%s],"has_more":%t}`, strings.Join(items, ","), more))
}

// pageNamed returns the answer in plays of this name, or a page: "9-5+" has the versions from 9 down to 5 and more.
func pageNamed(name string) answer {
	if a, ok := plays[name]; ok {
		return a
	}
	var first, last int
	_, _ = fmt.Sscanf(name, "%d-%d", &first, &last)
	return pageOf(strings.HasSuffix(name, "+"), items(first, last))
}

// A list of nine versions at most, from 9 down.
func TestLists(t *testing.T) {
	isNo := func(problem string) string {
		return "InvalidReply 200: the API returned 200 OK, but not a complete list of versions: " + problem
	}
	loop, missing := isNo("the list repeats itself"), "data or has_more is missing"
	type listing struct {
		plays   string
		queries string // limit, or limit@after
		read    int
		want    string // outcome
	}
	tests := []listing{
		{"0-1", "100", 0, "<nil>"}, // none
		{"9-1", "100", 9, "<nil>"},
		{"9-6+ 5-3+ 2-1", "100 100@6 100@3", 9, "<nil>"},
		{"9-1+ 1-1", "100 100@1", 9, "<nil>"},
		{"9-6+ 8-3+ 4-1", "100 100@6 100@3", 9, "<nil>"}, // new versions meanwhile
		{"9-5+ 503 4-1", "100 100@5 100@5", 9, "<nil>"},

		// A cursor is refused.
		{"9-5+ badCursor 9-3+ 2-1", "100 100@5 100 100@3", 9, "<nil>"},
		{"9-7+ 6-5+ 404 9-7+ 6-5+ 4-1", "100 100@7 100@5 100 100@7 100@5", 9, "<nil>"},
		{"9-5+ 422 9-5+ 422", "100 100@5 100 100@5", 5, "Unprocessable 422 ODD"},
		{"404", "100", 0, "NotFound 404 GONE"},
		{"9-5+ 409", "100 100@5", 5, "Refused 409 TAKEN"},

		{"9-5+", "100 100@5", 5, loop},
		{"9-7+ 6-5+ 9-7+", "100 100@7 100@5", 5, loop},
		{"9-5+ badCursor 9-5+", "100 100@5 100 100@5", 5, loop},
		{"0-1+", "100", 0, loop},

		{"9-8+ 5MiB 5MiB 7-7+ 6-1", "100 100@8 10@8 1@8 1@7", 9, "<nil>"},
		{"5MiB", "100 10 1", 0, "InvalidReply 200: unreadable: body exceeds 4194304 bytes"},
		{"404+5MiB", "100", 0, "NotTheAPI 404"},
		{"9-5+ 5-0", "100 100@5", 9, isNo("more than 9 items")},
	}
	for body, problem := range map[string]string{
		`[]`: "not a JSON object", `{"data":[null],"has_more":true}`: "not a JSON object",
		`{"has_more":false}`: missing, `{"data":[]}`: missing, `{"data":null,"has_more":false}`: missing,
		`{"data":[],"has_more":null}`: missing, `{"data":{},"has_more":false}`: "data is not a list",
		`{"data":[],"has_more":"true"}`: "has_more is not a boolean", `{"data":[],"data":[]}`: `duplicate field "data"`,
	} {
		plays[body] = response(200, body)
		tests = append(tests, listing{body, "100", 0, isNo(problem)})
	}
	plays["odd"] = pageOf(false, append(items(9, 5), `{"version_id":7}`))
	tests = append(tests, listing{"odd", "100", 5, isNo("version_id is not a string")})
	for _, test := range tests {
		n := &network{}
		for name := range strings.FieldsSeq(test.plays) {
			n.answers = append(n.answers, pageNamed(name))
		}
		n.play(t, func(t *testing.T, c *Client) {
			read, got := 0, "<nil>"
			for v, err := range list(t.Context(), c, versionsPath(agentID), "versions", 9, readVersion) {
				if got != "<nil>" {
					t.Error("the list goes on after an error")
				}
				if err != nil {
					got = outcome(err)
				} else if read++; v.Number != 10-read || v.ID != id(10-read) {
					t.Errorf("got %+v instead of number %d", v, 10-read)
				}
			}
			var queries []string
			for _, r := range n.heard {
				query := r.URL.Query().Get("limit")
				if after := r.URL.Query().Get("after"); after != "" {
					query += "@" + strings.TrimLeft(after[24:], "0")
				}
				queries = append(queries, query)
			}
			if read != test.read || got != test.want || strings.Join(queries, " ") != test.queries {
				t.Errorf("%s: asked %s for %d versions and then %s\nwant %+v", test.plays, queries, read, got, test)
			}
		})
	}
}

// A page that the caller does not want is not requested.
func TestListStopsWithItsReader(t *testing.T) {
	n := &network{answers: []answer{pageOf(true, items(9, 5))}}
	n.play(t, func(t *testing.T, c *Client) {
		for v := range c.Versions(t.Context(), agentID) {
			if v.Number == 5 {
				break
			}
		}
		if len(n.heard) != 1 {
			t.Errorf("%d requests", len(n.heard))
		}
	})
}
