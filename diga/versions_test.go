package diga

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

// item is a version of agentID in a list. Its id is that of number.
func item(number int, name string, fields ...string) string {
	list := append([]string{agentField, fmt.Sprintf(`"version_id":"%s","version_number":%d,"version_name":%q`, id(number), number, name)}, fields...)
	return "{" + strings.Join(list, ",") + "}"
}

func id(number int) uuid.UUID {
	return uuid.MustParse(fmt.Sprintf("b0000000-0000-4000-8000-%012d", number))
}

// items are versions with the numbers from first down to last, whose names are "v" and the number.
func items(first, last int) (list []string) {
	for number := first; number >= last; number-- {
		list = append(list, item(number, fmt.Sprint("v", number)))
	}
	return list
}

func pageOf(more bool, items []string, fields ...string) reply {
	list := append([]string{fmt.Sprintf(`"data":[%s],"has_more":%t`, strings.Join(items, ","), more)}, fields...)
	return says(200, "{"+strings.Join(list, ",")+"}")
}

// targets are the query strings of the requests that n heard, all of which must be for path.
func targets(t *testing.T, n *network, path string) (queries []string) {
	for _, r := range n.heard() {
		line, _, _ := strings.Cut(r.head, "\r\n")
		query, ok := strings.CutPrefix(line, "GET "+path+"?")
		if !ok || r.body != "" || strings.Contains(r.head, "Content-") {
			t.Errorf("%s %s", r.head, r.body)
		}
		queries = append(queries, strings.TrimSuffix(query, " HTTP/1.1"))
	}
	return queries
}

const agentPath = "/v1/agent/a0000000-0000-4000-8000-000000000001"

func TestVersion(t *testing.T) {
	whole := Version{ID: versionID, Agent: agentID, Number: 7, Name: "v1.2.0", AgentName: "Front desk", Published: true, Created: time.Date(2025, 3, 1, 12, 0, 0, 0, time.UTC)}
	ids := agentField + `,"version_id":"` + versionID.String() + `"`
	least := Version{ID: versionID, Agent: agentID}
	tests := []struct {
		replies []reply
		want    Version
		cause   Cause
		text    string // how the error ends; "": it is well
	}{
		{[]reply{says(200, versionBody)}, whole, 0, ""},
		{[]reply{lost, says(503, ""), says(200, versionBody)}, whole, 0, ""},
		{[]reply{says(200, "{"+ids+"}")}, least, 0, ""},
		{[]reply{says(200, "{"+ids+`,"version_number":null,"version_name":null,"name":null,"is_draft":null,"is_published":null,"created_at":null}`)}, least, 0, ""},
		{[]reply{says(200, "{"+ids+`,"created_at":"2025-03-01T12:00:00Z","version_created_at":"soon","Version_Name":"x"}`)},
			Version{ID: versionID, Agent: agentID, Created: whole.Created}, 0, ""},
		{[]reply{says(200, "{"+ids+`,"created_at":"2025-03-01T12:00:00Z","version_created_at":null}`)}, Version{ID: versionID, Agent: agentID, Created: whole.Created}, 0, ""},
		{[]reply{refuses(404, "VERSION_NOT_FOUND")}, Version{}, Answered, "404 Not Found: because"},
		{[]reply{says(200, strings.Replace(versionBody, agentID.String(), outbound.String(), 1))}, Version{}, Mismatch,
			"asked for agent " + agentID.String() + ", the API answered with " + outbound.String()},
		{[]reply{says(200, strings.Replace(versionBody, versionID.String(), outbound.String(), 1))}, Version{}, Mismatch,
			"asked for version " + versionID.String() + ", the API answered with " + outbound.String()},
		{[]reply{says(200, "{"+agentField+"}")}, Version{}, InvalidReply, "not with a version: version_id or agent_id is missing"},
		{[]reply{says(200, strings.Replace(versionBody, "agent_id", "Agent_Id", 1))}, Version{}, InvalidReply, "version_id or agent_id is missing"},
		{[]reply{says(200, "{"+ids+`,"version_number":"7"}`)}, Version{}, InvalidReply, "version_number has the wrong type"},
		{[]reply{says(200, "{"+ids+`,"version_number":1.5}`)}, Version{}, InvalidReply, "version_number has the wrong type"},
		{[]reply{says(200, "{"+ids+`,"version_name":7}`)}, Version{}, InvalidReply, "version_name has the wrong type"},
		{[]reply{says(200, "{"+ids+`,"name":["x"]}`)}, Version{}, InvalidReply, "name has the wrong type"},
		{[]reply{says(200, "{"+ids+`,"is_draft":"false"}`)}, Version{}, InvalidReply, "is_draft has the wrong type"},
		{[]reply{says(200, "{"+ids+`,"is_published":1}`)}, Version{}, InvalidReply, "is_published has the wrong type"},
		{[]reply{says(200, "{"+ids+","+ids+"}")}, Version{}, InvalidReply, `the name "agent_id" stands twice`},
		{[]reply{says(200, "[]")}, Version{}, InvalidReply, "not a JSON object"},
	}
	for _, test := range tests {
		n := &network{replies: test.replies}
		n.play(t, func(t *testing.T, c *Client) {
			got, err := c.Version(t.Context(), WithRetries, agentID, versionID)
			got.Config = nil // TestVersionConfig
			if test.text == "" && (err != nil || !reflect.DeepEqual(got, test.want)) {
				t.Errorf("%+v, %v", got, err)
			} else if test.text != "" {
				if e := failed(t, err); e.Cause != test.cause || !strings.HasSuffix(e.Error(), test.text) || e.Effect != NoEffect || len(n.heard()) != 1 {
					t.Errorf("%+v", e)
				}
			}
			if query := targets(t, n, agentPath)[0]; query != "version_id="+versionID.String() {
				t.Error(query)
			}
		})
	}
}

// TestPublishedVersion checks the read that is made before and after each change, tried once: nothing is asked again.
func TestPublishedVersion(t *testing.T) {
	for name, test := range map[string]struct {
		reply reply
		cause Cause
	}{
		"503":           {says(503, ""), Answered},
		"429":           {says(429, "", "Retry-After: 1"), Answered},
		"404":           {refuses(404, "AGENT_NOT_FOUND"), Answered},
		"lost":          {lost, Unreachable},
		"silence":       {reply{then: silent}, Timeout},
		"not published": {says(200, strings.Replace(versionBody, `"is_published":true`, `"is_published":false`, 1)), InvalidReply},
		"not said":      {says(200, strings.Replace(versionBody, `"is_published":true`, `"x":1`, 1)), InvalidReply},
		"another agent": {says(200, strings.Replace(versionBody, agentID.String(), outbound.String(), 1)), Mismatch},
	} {
		n := &network{replies: []reply{test.reply, says(200, versionBody)}}
		n.play(t, func(t *testing.T, c *Client) {
			_, err := c.PublishedVersion(t.Context(), Once, agentID)
			if e := failed(t, err); e.Cause != test.cause || e.Effect != NoEffect || e.GaveUp != "" {
				t.Errorf("%s: %+v", name, e)
			}
		})
		if got := targets(t, n, agentPath); !slices.Equal(got, []string{"is_published=true"}) {
			t.Errorf("%s: asked %s", name, got)
		}
	}
}

func TestVersions(t *testing.T) {
	tooLarge := says(200, strings.Repeat(" ", maxBodyBytes+1))
	last := func(number int) string { return fmt.Sprintf(`"last_id":%q`, id(number)) }
	after := func(limit, number int) string { return fmt.Sprintf("after=%s&limit=%d", id(number), limit) }
	stranger := strings.Replace(item(77, "x"), agentID.String(), outbound.String(), 1)
	const loop = "not with the whole list of versions: the list repeats itself before its end"
	tests := []struct {
		name    string
		replies []reply
		queries []string
		first   int // the numbers that are listed, first > … > last
		last    int
		text    string // how the error ends; "": there is none
	}{
		{"no version", []reply{pageOf(false, nil)}, []string{"limit=100"}, 0, 1, ""},
		{"one page", []reply{pageOf(false, items(100, 1))}, []string{"limit=100"}, 100, 1, ""},
		{"three pages", []reply{pageOf(true, items(250, 151)), pageOf(true, items(150, 51)), pageOf(false, items(50, 1))},
			[]string{"limit=100", after(100, 151), after(100, 51)}, 250, 1, ""},
		{"a cursor of its own", []reply{pageOf(true, items(9, 5), last(6)), pageOf(false, items(5, 1))}, []string{"limit=100", after(100, 6)}, 9, 1, ""},
		{"no cursor", []reply{pageOf(true, items(9, 5), `"last_id":null`), pageOf(false, items(4, 1))}, []string{"limit=100", after(100, 5)}, 9, 1, ""},
		{"new versions meanwhile", []reply{pageOf(true, items(9, 6)), pageOf(true, items(8, 3)), pageOf(false, items(4, 1))},
			[]string{"limit=100", after(100, 6), after(100, 3)}, 9, 1, ""},
		{"other agents' versions", []reply{pageOf(true, append(items(9, 5), stranger)), pageOf(false, []string{stranger})},
			[]string{"limit=100", after(100, 77)}, 9, 5, ""},
		{"a retry", []reply{pageOf(true, items(9, 5)), says(503, ""), pageOf(false, items(4, 1))},
			[]string{"limit=100", after(100, 5), after(100, 5)}, 9, 1, ""},
		{"a loop", []reply{pageOf(true, items(9, 5))}, []string{"limit=100", after(100, 5)}, 9, 5, loop},
		{"a loop of two", []reply{pageOf(true, items(9, 7)), pageOf(true, items(6, 5)), pageOf(true, items(9, 7))},
			[]string{"limit=100", after(100, 7), after(100, 5)}, 9, 5, loop},
		{"an empty page and more", []reply{pageOf(true, items(9, 5)), pageOf(true, nil)}, []string{"limit=100", after(100, 5)}, 9, 5, loop},
		{"nothing and more", []reply{pageOf(true, nil)}, []string{"limit=100"}, 0, 1, loop},
		{"too large", []reply{pageOf(true, items(9, 8)), tooLarge, tooLarge, pageOf(true, items(7, 5)), pageOf(false, items(4, 1))},
			[]string{"limit=100", after(100, 8), after(25, 8), after(6, 8), after(6, 5)}, 9, 1, ""},
		{"too large by far", []reply{tooLarge}, []string{"limit=100", "limit=25", "limit=6", "limit=1"}, 0, 1, "a body of more than 1048576 bytes"},
		{"a large error", []reply{says(404, strings.Repeat(" ", maxBodyBytes+1))}, []string{"limit=100"}, 0, 1, "the API answered 404 Not Found"},
		{"an error on the way", []reply{pageOf(true, items(9, 5)), refuses(403, "NO")}, []string{"limit=100", after(100, 5)}, 9, 5, "403 Forbidden: because"},
		{"a version of another shape", []reply{pageOf(false, append(items(9, 5), `{"version_id":7}`))}, []string{"limit=100"}, 0, 1, "version_id is not a string"},
		{"a version that is null", []reply{pageOf(false, []string{"null"})}, []string{"limit=100"}, 0, 1, "not a JSON object"},
		{"a cursor of another shape", []reply{pageOf(true, items(9, 5), `"last_id":"7"`)}, []string{"limit=100"}, 0, 1, "such as 123e4567-e89b-42d3-a456-426614174000"},
		{"a list alone", []reply{says(200, "["+item(1, "v1")+"]")}, []string{"limit=100"}, 0, 1, "not with a page of versions: not a JSON object"},
		{"no data", []reply{says(200, `{"has_more":false}`)}, []string{"limit=100"}, 0, 1, "data is not a list"},
		{"data is null", []reply{says(200, `{"data":null,"has_more":false}`)}, []string{"limit=100"}, 0, 1, "data is not a list"},
		{"data is an object", []reply{says(200, `{"data":{},"has_more":false}`)}, []string{"limit=100"}, 0, 1, "data is not a list"},
		{"no has_more", []reply{says(200, `{"data":[]}`)}, []string{"limit=100"}, 0, 1, "has_more is not true or false"},
		{"has_more is null", []reply{says(200, `{"data":[],"has_more":null}`)}, []string{"limit=100"}, 0, 1, "has_more is not true or false"},
		{"has_more is a string", []reply{says(200, `{"data":[],"has_more":"true"}`)}, []string{"limit=100"}, 0, 1, "has_more is not true or false"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			n := &network{replies: test.replies}
			n.play(t, func(t *testing.T, c *Client) {
				number, text := test.first, ""
				for v, err := range c.Versions(t.Context(), WithRetries, agentID) {
					if text != "" {
						t.Error("the list goes on after an error")
					}
					if err != nil {
						text = failed(t, err).Error()
						continue
					}
					if v.Number != number || v.ID != id(number) {
						t.Errorf("got %+v instead of number %d", v, number)
					}
					number--
				}
				if number != test.last-1 || !strings.HasSuffix(text, test.text) || (text == "") != (test.text == "") {
					t.Errorf("ended after %d: %s", number+1, text)
				}
			})
			if got := targets(t, n, agentPath+"/version"); !slices.Equal(got, test.queries) {
				t.Errorf("asked %s, want %s", got, test.queries)
			}
		})
	}
}

// TestVersionsStop checks that a page that nobody wants is not asked for.
func TestVersionsStop(t *testing.T) {
	n := &network{replies: []reply{pageOf(true, items(9, 5))}}
	n.play(t, func(t *testing.T, c *Client) {
		for v, err := range c.Versions(t.Context(), WithRetries, agentID) {
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

func TestVersionNamed(t *testing.T) {
	const draft = `"is_draft":true`
	huge := strings.Repeat("x", 100_000)
	tests := []struct {
		name  string
		asked string
		pages []reply
		want  int // its number; 0: there is none
		cause Cause
		near  []int // the versions of the error
		total int
	}{
		{"exact", "v1.0", []reply{pageOf(false, []string{item(3, "v1.1"), item(2, "v1.0"), item(1, "V1.0")})}, 2, 0, nil, 0},
		{"on the last page", "v1", []reply{pageOf(true, items(9, 5)), pageOf(false, items(4, 1))}, 1, 0, nil, 0},
		{"exact to the blank", " v1 ", []reply{pageOf(false, []string{item(2, "v1"), item(1, " v1 ")})}, 1, 0, nil, 0},
		{"beside its draft", "v1", []reply{pageOf(false, []string{item(2, "v1", draft), item(1, "v1")})}, 1, 0, nil, 0},
		{"huge", huge, []reply{pageOf(false, []string{item(2, huge+"y"), item(1, huge)})}, 1, 0, nil, 0},
		{"seen twice", "v7", []reply{pageOf(true, items(9, 5)), pageOf(false, items(8, 1))}, 7, 0, nil, 0},

		{"none at all", "v1", []reply{pageOf(false, nil)}, 0, VersionNotFound, nil, 0},
		{"none like it", "production", []reply{pageOf(false, items(9, 1))}, 0, VersionNotFound, nil, 9},
		{"no names", "v1", []reply{pageOf(false, []string{item(2, ""), item(1, "")})}, 0, VersionNotFound, nil, 2},
		{"a draft only", "v1", []reply{pageOf(false, []string{item(2, "V1"), item(1, "v1", draft)})}, 0, VersionNotFound, []int{1, 2}, 2},
		{"case", "RELEASE-7", []reply{pageOf(false, []string{item(2, "release-8"), item(1, "release-7")})}, 0, VersionNotFound, []int{1, 2}, 2},
		{"a leading v", "1.2.0", []reply{pageOf(false, []string{item(3, "1.2.1"), item(2, "v1.2.0"), item(1, "9.9.9")})}, 0, VersionNotFound, []int{2, 3}, 3},
		{"blanks", "v2 ", []reply{pageOf(false, []string{item(2, "v2")})}, 0, VersionNotFound, []int{2}, 1},
		{"five at most, newest first", "v", []reply{pageOf(false, items(9, 1))}, 0, VersionNotFound, []int{9, 8, 7, 6, 5}, 9},
		{"the draft is one of five", "v1", []reply{pageOf(false, []string{item(7, "V1"), item(6, "1"), item(5, " v1"), item(4, "V1"), item(3, "1 "), item(2, "1"), item(1, "v1", draft)})},
			0, VersionNotFound, []int{1, 7, 6, 5, 4}, 7},
		{"nearest first", "v1.2.3", []reply{pageOf(false, []string{item(4, "v2.3.3"), item(3, "v1.2"), item(2, "v1.2.4"), item(1, "else")})}, 0, VersionNotFound, []int{2, 4, 3}, 4},
		{"a huge name among others", "v1", []reply{pageOf(false, []string{item(2, huge), item(1, "v2")})}, 0, VersionNotFound, []int{1}, 2},

		{"two", "v1", []reply{pageOf(true, []string{item(3, "v1"), item(2, "v2")}), pageOf(false, []string{item(1, "v1")})}, 0, VersionAmbiguous, []int{3, 1}, 3},
		{"two and a draft", "v1", []reply{pageOf(false, []string{item(3, "v1"), item(2, "v1", draft), item(1, "v1")})}, 0, VersionAmbiguous, []int{3, 1}, 3},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			n := &network{replies: test.pages}
			n.play(t, func(t *testing.T, c *Client) {
				got, err := c.VersionNamed(t.Context(), WithRetries, agentID, test.asked)
				if len(n.heard()) != len(test.pages) {
					t.Errorf("%d requests for %d pages", len(n.heard()), len(test.pages))
				}
				if test.want != 0 {
					if err != nil || got.Number != test.want {
						t.Errorf("%+v, %v", got, err)
					}
					return
				}
				e := failed(t, err)
				var named *NameError
				if !errors.As(err, &named) || e.Cause != test.cause || e.Effect != NoEffect || named.Name != test.asked || named.Total != test.total {
					t.Fatalf("%+v: %+v", e, named)
				}
				var near []int
				for _, v := range named.Versions {
					near = append(near, v.Number)
				}
				if !slices.Equal(near, test.near) {
					t.Errorf("nearest are %d, want %d", near, test.near)
				}
			})
		})
	}
	n := &network{replies: []reply{pageOf(true, items(9, 5)), refuses(403, "NO")}}
	n.play(t, func(t *testing.T, c *Client) {
		if _, err := c.VersionNamed(t.Context(), WithRetries, agentID, "v9"); failed(t, err).Code != "NO" {
			t.Error("a name is taken for unique before every page was read")
		}
	})
}

// TestNearest looks for names in thousands of random ones, and compares what VersionNamed finds with a sort of them all.
func TestNearest(t *testing.T) {
	for seed := range uint64(4) {
		random := rand.New(rand.NewPCG(seed, 0))
		name := func() string {
			letters := make([]byte, 1+random.IntN(9))
			for i := range letters {
				letters[i] = "vV0123.- "[random.IntN(9)]
			}
			return string(letters)
		}
		const total = 2345
		asked := "v1.0." + name()
		var all []Version // newest first
		var pages []reply
		for len(all) < total {
			var page []string
			for range min(maxPage, total-len(all)) {
				v := Version{ID: id(total - len(all)), Agent: agentID, Number: total - len(all), Name: name()}
				switch random.IntN(300) {
				case 0:
					v.Name, v.Draft = asked, true
				case 1, 2:
					v.Name = ""
				case 3:
					v.Name = strings.ToUpper(asked) + " "
				}
				all = append(all, v)
				page = append(page, item(v.Number, v.Name, fmt.Sprintf(`"is_draft":%t`, v.Draft)))
			}
			pages = append(pages, pageOf(len(all) < total, page))
		}

		far := func(v Version) int {
			if v.Name == asked {
				return -1
			}
			return distance(fold(asked), fold(v.Name))
		}
		want := slices.Clone(all)
		want = slices.DeleteFunc(want, func(v Version) bool { return v.Name == "" || far(v) > max(len(fold(asked))/2, 2) })
		slices.SortStableFunc(want, func(a, b Version) int { return cmp.Compare(far(a), far(b)) })
		if len(want) < 10 {
			t.Errorf("only %d names are like %q", len(want), asked)
		}
		want = want[:5]

		n := &network{replies: pages}
		n.play(t, func(t *testing.T, c *Client) {
			_, err := c.VersionNamed(t.Context(), WithRetries, agentID, asked)
			var named *NameError
			if e := failed(t, err); !errors.As(err, &named) || e.Cause != VersionNotFound || named.Total != total || named.Matches != 0 {
				t.Fatalf("%+v: %+v", e, named)
			}
			if !reflect.DeepEqual(named.Versions, want) {
				t.Errorf("nearest to %q are\n%+v, want\n%+v", asked, named.Versions, want)
			}
		})
	}
}

// TestAmbiguous checks that all versions of a name are counted, also where only some are listed.
func TestAmbiguous(t *testing.T) {
	var pages []reply
	for number := 40; number > 0; number -= 10 {
		var page []string
		for i := range 10 {
			name := "v1"
			if i%3 == 1 {
				name = "v2"
			}
			page = append(page, item(number-i, name, fmt.Sprintf(`"is_draft":%t`, i == 5)))
		}
		pages = append(pages, pageOf(number > 10, page))
	}
	n := &network{replies: pages}
	n.play(t, func(t *testing.T, c *Client) {
		_, err := c.VersionNamed(t.Context(), WithRetries, agentID, "v1")
		var named *NameError
		e := failed(t, err)
		if !errors.As(err, &named) || e.Cause != VersionAmbiguous || e.Message != "24 versions of the agent have this name" || named.Matches != 24 || named.Total != 40 {
			t.Fatalf("%+v: %+v", e, named)
		}
		var numbers []int
		for _, v := range named.Versions {
			numbers = append(numbers, v.Number)
		}
		if want := []int{40, 38, 37, 34, 32}; !slices.Equal(numbers, want) {
			t.Errorf("lists %d, want %d", numbers, want)
		}
	})
}

func TestDistance(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"abc", "abc", 0}, {"kitten", "sitting", 3}, {"flaw", "lawn", 2}, {"ab", "ba", 2},
		{strings.Repeat("a", 100) + "b", strings.Repeat("a", 5000), 0},
	} {
		if got := distance(test.a, test.b); got != test.want || got != distance(test.b, test.a) {
			t.Errorf("%.10q to %.10q: %d, want %d", test.a, test.b, got, test.want)
		}
	}
}

func TestVersionConfig(t *testing.T) {
	n := &network{replies: []reply{says(200, `{"agent_id":"`+agentID.String()+`","version_id":"`+versionID.String()+`","name":"Desk","version_name":"v1","is_draft":false,"prompt":"Hi","voice":{"id": "x"},"new_field":null}`)}}
	n.play(t, func(t *testing.T, c *Client) {
		got, err := c.Version(t.Context(), WithRetries, agentID, versionID)
		want := map[string]json.RawMessage{"prompt": []byte(`"Hi"`), "voice": []byte(`{"id": "x"}`), "new_field": []byte("null")}
		if err != nil || !reflect.DeepEqual(got.Config, want) {
			t.Errorf("%s, %v", got.Config, err)
		}
	})
}
