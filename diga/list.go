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
			query := url.Values{"limit": {strconv.Itoa(limit)}}
			if after != "" {
				query.Set("after", after)
			}
			body, err := c.do(ctx, request{method: http.MethodGet, path: path, query: query})
			if e, ok := errors.AsType[*Error](err); ok {
				refused := e.Cause == BadRequest || e.Cause == NotFound || e.Cause == Unprocessable
				switch {
				case e.Cause == InvalidReply && errors.Is(err, errTooLarge) && limit > 1:
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
				after = id.String()
				before := seen[id]
				if before == 0 && len(seen) == kind.most {
					err = fmt.Errorf("more than %d items", kind.most)
					break
				}
				fresh = fresh || before < pass
				seen[id] = pass
				if before == 0 && !yield(item, nil) {
					return
				}
			}
			switch {
			case err != nil:
			case !p.more:
				return
			case !fresh:
				err = errors.New("the list repeats itself")
			}
			if err != nil {
				yield(none, invalidReply("a complete list of "+kind.plural, body, err, NoEffect))
				return
			}
			if p.last != "" {
				after = p.last
			}
		}
	}
}

// page is one page of a list.
type page[T any] struct {
	items []T
	more  bool   // there are items after these
	last  string // the cursor of the next page, if the page names one
}

// parsePage parses the body of a page, item by item: it may be long.
func parsePage[T any](body []byte, parse func([]byte) (T, error)) (p page[T], err error) {
	var hasData bool
	var more *bool
	err = eachField(body, func(name string, decoder *json.Decoder) error {
		var value json.RawMessage
		if name != "data" {
			err := decoder.Decode(&value)
			switch {
			case name == "has_more" && json.Unmarshal(value, &more) != nil:
				return errors.New("has_more is not a boolean")
			case name == "last_id" && json.Unmarshal(value, &p.last) != nil:
				return errors.New("last_id is not a string")
			}
			return err
		}
		if open, err := decoder.Token(); err != nil || open != json.Delim('[') {
			return errors.New("data is not a list")
		}
		for hasData = true; decoder.More(); {
			if err := decoder.Decode(&value); err != nil {
				return err
			}
			item, err := parse(value)
			if err != nil {
				return err
			}
			p.items = append(p.items, item)
		}
		_, err := decoder.Token()
		return err
	})
	switch {
	case err != nil:
	case !hasData:
		err = errors.New("data is not a list")
	case more == nil:
		err = errors.New("has_more is not a boolean")
	default:
		p.more = *more
	}
	return p, err
}
