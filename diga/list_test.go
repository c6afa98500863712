package diga

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
)

func TestListPages(t *testing.T) {
	tooLarge := response(200, strings.Repeat(" ", maxBodyBytes+1))
	last := func(number int) string { return fmt.Sprintf(`"last_id":%q`, id(number)) }
	const loop = "not a complete list of versions: the list repeats itself"
	tests := []struct {
		name    string
		replies []reply
		queries []string
		first   int // the numbers that are listed, first > … > last
		last    int
		text    string // how the error ends; empty: success
	}{
		{"no version", []reply{pageOf(false, nil)}, []string{"limit=100"}, 0, 1, ""},
		{"one page", []reply{pageOf(false, items(100, 1))}, []string{"limit=100"}, 100, 1, ""},
		{"three pages", []reply{pageOf(true, items(250, 151)), pageOf(true, items(150, 51)), pageOf(false, items(50, 1))},
			[]string{"limit=100", afterQuery(100, 151), afterQuery(100, 51)}, 250, 1, ""},
		{"a cursor of its own", []reply{pageOf(true, items(9, 5), last(6)), pageOf(false, items(5, 1))}, []string{"limit=100", afterQuery(100, 6)}, 9, 1, ""},
		{"no cursor", []reply{pageOf(true, items(9, 5), `"last_id":null`), pageOf(false, items(4, 1))}, []string{"limit=100", afterQuery(100, 5)}, 9, 1, ""},
		{"new versions meanwhile", []reply{pageOf(true, items(9, 6)), pageOf(true, items(8, 3)), pageOf(false, items(4, 1))},
			[]string{"limit=100", afterQuery(100, 6), afterQuery(100, 3)}, 9, 1, ""},
		{"a retry", []reply{pageOf(true, items(9, 5)), response(503, ""), pageOf(false, items(4, 1))},
			[]string{"limit=100", afterQuery(100, 5), afterQuery(100, 5)}, 9, 1, ""},
		{"a loop", []reply{pageOf(true, items(9, 5))}, []string{"limit=100", afterQuery(100, 5)}, 9, 5, loop},
		{"a loop of two", []reply{pageOf(true, items(9, 7)), pageOf(true, items(6, 5)), pageOf(true, items(9, 7))},
			[]string{"limit=100", afterQuery(100, 7), afterQuery(100, 5)}, 9, 5, loop},
		{"an empty page and more", []reply{pageOf(true, items(9, 5)), pageOf(true, nil)}, []string{"limit=100", afterQuery(100, 5)}, 9, 5, loop},
		{"nothing and more", []reply{pageOf(true, nil)}, []string{"limit=100"}, 0, 1, loop},
		{"too large", []reply{pageOf(true, items(9, 8)), tooLarge, tooLarge, pageOf(true, items(7, 5)), pageOf(false, items(4, 1))},
			[]string{"limit=100", afterQuery(100, 8), afterQuery(25, 8), afterQuery(6, 8), afterQuery(6, 5)}, 9, 1, ""},
		{"too large by far", []reply{tooLarge}, []string{"limit=100", "limit=25", "limit=6", "limit=1"}, 0, 1, "body exceeds 1048576 bytes"},
		{"a large error", []reply{response(404, strings.Repeat(" ", maxBodyBytes+1))}, []string{"limit=100"}, 0, 1, "the API returned 404 Not Found"},
		{"an error on the way", []reply{pageOf(true, items(9, 5)), apiError(403, "NO")}, []string{"limit=100", afterQuery(100, 5)}, 9, 5, "403 Forbidden: because"},
		{"a version of another shape", []reply{pageOf(false, append(items(9, 5), `{"version_id":7}`))}, []string{"limit=100"}, 0, 1, "version_id is not a string"},
		{"a version that is null", []reply{pageOf(false, []string{"null"})}, []string{"limit=100"}, 0, 1, "not a JSON object"},
		{"a cursor of another shape", []reply{pageOf(true, items(9, 5), `"last_id":"7"`)}, []string{"limit=100"}, 0, 1, "such as 123e4567-e89b-42d3-a456-426614174000"},
		{"a list alone", []reply{response(200, "["+item(1, "v1")+"]")}, []string{"limit=100"}, 0, 1, "not a page of versions: not a JSON object"},
		{"no data", []reply{response(200, `{"has_more":false}`)}, []string{"limit=100"}, 0, 1, "data is not a list"},
		{"data is null", []reply{response(200, `{"data":null,"has_more":false}`)}, []string{"limit=100"}, 0, 1, "data is not a list"},
		{"data is an object", []reply{response(200, `{"data":{},"has_more":false}`)}, []string{"limit=100"}, 0, 1, "data is not a list"},
		{"no has_more", []reply{response(200, `{"data":[]}`)}, []string{"limit=100"}, 0, 1, "has_more is not a boolean"},
		{"has_more is null", []reply{response(200, `{"data":[],"has_more":null}`)}, []string{"limit=100"}, 0, 1, "has_more is not a boolean"},
		{"has_more is a string", []reply{response(200, `{"data":[],"has_more":"true"}`)}, []string{"limit=100"}, 0, 1, "has_more is not a boolean"},
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
			if got := queries(t, n, agentPath+"/version"); !slices.Equal(got, test.queries) {
				t.Errorf("asked %s, want %s", got, test.queries)
			}
		})
	}
}

// A page that the caller does not want is not requested.
func TestListStopsWithItsReader(t *testing.T) {
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

func TestListsAreBounded(t *testing.T) {
	const most = 4
	const text = "the API returned 200 OK, but not a complete list of things: more than 4 items"
	for _, test := range []struct {
		name    string
		replies []reply
		first   int // the number of the first item
		read    int // how many there are before the end
		text    string
	}{
		{"fewer", []reply{pageOf(true, phonesFrom(9, 8)), pageOf(false, phonesFrom(7, 7))}, 9, 3, ""},
		{"as many", []reply{pageOf(true, phonesFrom(9, 8)), pageOf(false, phonesFrom(7, 6))}, 9, 4, ""},
		{"as many, and some again", []reply{pageOf(true, phonesFrom(9, 6)), pageOf(true, phonesFrom(9, 6)), pageOf(false, nil)}, 9, 4,
			"the list repeats itself"},
		{"as many, and the last ones again", []reply{pageOf(true, phonesFrom(9, 7)), pageOf(false, phonesFrom(9, 6))}, 9, 4, ""},
		{"one more", []reply{pageOf(true, phonesFrom(9, 8)), pageOf(false, phonesFrom(7, 5))}, 9, 4, text},
		{"one more on a page of its own", []reply{pageOf(true, phonesFrom(9, 6)), pageOf(false, phonesFrom(5, 5))}, 9, 4, text},
		{"many more", []reply{pageOf(true, phonesFrom(99, 1))}, 99, 4, text},
	} {
		n := &network{replies: test.replies}
		n.play(t, func(t *testing.T, c *Client) {
			read, text := 0, ""
			r := request{method: http.MethodGet, path: "things"}
			for p, err := range list(t.Context(), c, r, itemKind[Phone]{"things", most, readPhone, func(p Phone) uuid.UUID { return p.ID }}) {
				if text != "" {
					t.Errorf("%s: the list goes on after an error", test.name)
				}
				if err != nil {
					text = failed(t, err).Error()
				} else if read++; p.ID != id(test.first+1-read) {
					t.Errorf("%s: item %d is %s", test.name, read, p.ID)
				}
			}
			if read != test.read || !strings.HasSuffix(text, test.text) || (text == "") != (test.text == "") {
				t.Errorf("%s: %d items and then %q", test.name, read, text)
			}
		})
	}
}

// The lists have more on every page. The heap is measured as it is on the way, and after a collection before the last
// page.
func TestEndlessListsTakeLittleMemory(t *testing.T) {
	const most, kept = 64 << 20, 10 << 20
	text := func(n int) string { return `"` + strings.Repeat("x", n) + `"` }
	for _, test := range []struct {
		name  string
		item  func(number int) string
		read  func(ctx context.Context, c *Client) error
		pages int // that are read before the list is taken to be endless
		total int // total_pages; 0: the list is not read in parts
		text  string
	}{
		// Each is another version of the name, or is like it.
		{"versions", func(number int) string { return item(number, fmt.Sprint("v", number%2), `"name":`+text(100)) },
			func(ctx context.Context, c *Client) error {
				_, err := c.VersionNamed(ctx, WithRetries, agentID, "v1")
				return err
			}, 1001, 5000, "more than 100000 items"},
		{"phone numbers", func(number int) string {
			return phone(number, `"status":`+text(1200))
		}, func(ctx context.Context, c *Client) error {
			_, err := c.Phones(ctx, WithRetries)
			return err
		}, 101, 0, "more than 10000 items"},
	} {
		t.Run(test.name, func(t *testing.T) {
			heap := func() int64 {
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				return int64(m.HeapAlloc)
			}
			runtime.GC()
			before := heap()
			var pages int
			var highest, last int64
			n := &network{reply: func(received) reply {
				if pages++; pages%10 == 0 {
					highest = max(highest, heap()-before)
				}
				if pages == test.pages {
					runtime.GC()
					last = heap() - before
				}
				items := make([]string, maxPage)
				for i := range items {
					items[i] = test.item(pages*maxPage + i)
				}
				return pageOf(pages < test.pages+9, items, fmt.Sprintf(`"total_pages":%d`, test.total)) // or else a list without a bound would end no test
			}}
			n.play(t, func(t *testing.T, c *Client) {
				e := failed(t, test.read(t.Context(), c))
				if e.Cause != InvalidReply || !strings.HasSuffix(e.Untrusted, test.text) || e.Effect != NoEffect || pages < test.pages || pages > test.pages+maxReaders-1 {
					t.Errorf("after %d pages: %+v", pages, e)
				}
				t.Logf("the heap grew by %d KiB at most, of which %d KiB were in use at the end", highest>>10, last>>10)
				if highest > most || last > kept {
					t.Errorf("the heap grew by %d MiB at most, of which %d MiB were in use at the end", highest>>20, last>>20)
				}
			})
		})
	}
}
