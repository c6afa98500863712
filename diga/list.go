package diga

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"

	"github.com/google/uuid"
)

// list reads a list by cursor, page after page, and yields each item once. If the list cannot be read to its end, or
// has more than most items, the last pair holds an *Error. It keeps one page and the IDs of all items in memory.
//
// A page that is too large is read again in smaller ones. A cursor that the API refuses, for its item may have been
// deleted, starts the list again, once.
func list[T interface{ key() uuid.UUID }](
	ctx context.Context, c *Client, path, plural string, most int, parse func([]byte) (T, error),
) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		listed, cursors := make(map[uuid.UUID]bool), make(map[string]bool)
		limit, after, restarted := 100, "", false // the API allows 100 items on a page
		for {
			r := request{method: http.MethodGet, path: path, query: url.Values{"limit": {strconv.Itoa(limit)}}}
			r.wanted = "a complete list of " + plural
			if after != "" {
				r.query.Set("after", after)
			}
			p, err := fetch(ctx, c, r, parsePage)
			e, _ := errors.AsType[*Error](err)
			switch {
			case errors.Is(err, errTooLarge) && e.Status == http.StatusOK && limit > 1:
				limit = max(limit/10, 1) // versions carry their whole configuration, and some are long
				continue
			case e != nil && (e.Cause == BadRequest || e.Cause == NotFound || e.Cause == Unprocessable) &&
				after != "" && !restarted:
				after, restarted = "", true
				clear(cursors)
				continue
			case err != nil:
				yield(none, err)
				return
			}
			cursors[after] = true
			for _, data := range p.items {
				item, err := parse(data)
				id := item.key()
				isNew := !listed[id]
				if err == nil && isNew && len(listed) == most {
					err = fmt.Errorf("more than %d items", most)
				}
				if err != nil {
					yield(none, r.invalidReply(nil, err))
					return
				}
				after, listed[id] = id.String(), true
				if isNew && !yield(item, nil) {
					return
				}
			}
			if p.more && cursors[after] {
				yield(none, r.invalidReply(nil, errors.New("the list repeats itself")))
			}
			if !p.more || cursors[after] {
				return
			}
		}
	}
}

// page is one page of a list.
type page struct {
	items []json.RawMessage
	more  bool // there are items after these
}

// parsePage parses the body of a page.
func parsePage(body []byte) (p page, err error) {
	r := newRecord(body)
	var more *bool
	r.get("data", "a list", &p.items)
	r.get("has_more", "a boolean", &more)
	if r.err == nil && (p.items == nil || more == nil) {
		r.err = errors.New("data or has_more is missing")
	}
	p.more = more != nil && *more
	return p, r.err
}
