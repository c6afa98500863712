package diga

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/google/uuid"
)

// TestListBound counts up to the bound of a list, and one further.
func TestListBound(t *testing.T) {
	const most = 4
	const text = "the API answered 200 OK, but not with a list that ends: there are more than 4 things"
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
			"the list repeats itself before its end"},
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

// TestEndlessList reads lists that have more on every page, and measures the memory that this takes: from time to time,
// with what nobody has collected yet, and before the last page, without it.
func TestEndlessList(t *testing.T) {
	const most, kept = 64 << 20, 10 << 20
	text := func(n int) string { return `"` + strings.Repeat("x", n) + `"` }
	for _, test := range []struct {
		name  string
		item  func(number int) string
		read  func(ctx context.Context, c *Client) error
		pages int
		text  string
	}{
		// Each is another version of the name, or is like it.
		{"versions", func(number int) string { return item(number, fmt.Sprint("v", number%2), `"name":`+text(100)) },
			func(ctx context.Context, c *Client) error {
				_, err := c.VersionNamed(ctx, WithRetries, agentID, "v1")
				return err
			}, 1001, "there are more than 100000 versions"},
		{"phone numbers", func(number int) string {
			return phone(number, `"status":`+text(1200))
		}, func(ctx context.Context, c *Client) error {
			_, err := c.Phones(ctx, WithRetries)
			return err
		}, 101, "there are more than 10000 phone numbers"},
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
				return pageOf(pages < test.pages+9, items) // or else a list without a bound would end no test
			}}
			n.play(t, func(t *testing.T, c *Client) {
				e := failed(t, test.read(t.Context(), c))
				if e.Cause != InvalidReply || !strings.HasSuffix(e.Untrusted, test.text) || e.Effect != NoEffect || pages != test.pages {
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
