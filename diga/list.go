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

const maxPage = 100 // items on a page; the API's limit

// itemKind describes the items of a list.
type itemKind[T any] struct {
	plural string // for error messages
	most   int    // maximum number of items; a longer list is an error
	parse  func([]byte) (T, error)
	id     func(T) uuid.UUID
}

// list reads a list by cursor, page after page, and yields each item once. If the list cannot be read to its end, or
// has more than kind.most items, the last pair holds an *Error. It keeps one page and the IDs of all items in memory.
//
// A page that is too large is read again in smaller ones. A cursor that the API refuses, for its item may have been
// deleted, starts the list again, once.
func list[T any](ctx context.Context, c *Client, path string, kind itemKind[T]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		seen := make(map[uuid.UUID]int) // the last pass in which an item was listed
		limit, after, pass := maxPage, "", 1
		for {
			r := request{method: http.MethodGet, path: path, query: url.Values{"limit": {strconv.Itoa(limit)}}}
			if after != "" {
				r.query.Set("after", after)
			}
			body, err := c.do(ctx, r)
			if e, ok := errors.AsType[*Error](err); ok {
				refused := e.Cause == BadRequest || e.Cause == NotFound || e.Cause == Unprocessable
				switch {
				case errors.Is(err, errTooLarge) && e.Status == http.StatusOK && limit > 1:
					limit = max(limit/10, 1) // versions carry their whole configuration, and some are long
				case refused && after != "" && pass == 1:
					after, pass = "", 2
				default:
					yield(none, err)
					return
				}
				continue
			}
			p, err := parsePage(body, kind.parse)
			fresh := false
			for _, item := range p.items {
				id := kind.id(item)
				before := seen[id]
				if before == 0 && len(seen) == kind.most {
					err = fmt.Errorf("more than %d items", kind.most)
					break
				}
				after, fresh, seen[id] = id.String(), fresh || before < pass, pass
				if before == 0 && !yield(item, nil) {
					return
				}
			}
			switch {
			case err == nil && !p.more:
				return
			case err == nil && !fresh:
				err = errors.New("the list repeats itself")
			}
			if err != nil {
				yield(none, r.invalidReply("a complete list of "+kind.plural, body, err))
				return
			}
		}
	}
}

// page is one page of a list.
type page[T any] struct {
	items []T
	more  bool // there are items after these
}

// parsePage parses the body of a page. With an error, it returns the items before the one that cannot be parsed.
func parsePage[T any](body []byte, parse func([]byte) (T, error)) (p page[T], err error) {
	r := newRecord(body)
	var items []json.RawMessage
	var more *bool
	r.get("data", "a list", &items)
	r.get("has_more", "a boolean", &more)
	switch {
	case r.err != nil:
		return p, r.err
	case items == nil:
		return p, errors.New("data is not a list")
	case more == nil:
		return p, errors.New("has_more is not a boolean")
	}
	p.more = *more
	for _, data := range items {
		item, err := parse(data)
		if err != nil {
			return p, err
		}
		p.items = append(p.items, item)
	}
	return p, nil
}
