package diga

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/url"
	"strconv"

	"github.com/google/uuid"
)

// maxPage is the most items that the API puts on one page.
const maxPage = 100

// errLoop ends a listing that would never end, or whose end cannot be reached.
var errRepeats = errors.New("the list repeats itself before its end")

// list pages through the list that r asks for and yields each item once, even when the list changes meanwhile. It keeps
// no more than the ids. The last pair carries an *Error when the list could not be read to its end, or when it has more
// than most items.
func list[T any](ctx context.Context, c *Client, r request, most int, noun string,
	read func([]byte) (T, error), id func(T) uuid.UUID,
) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		limit := maxPage
		seen := make(map[uuid.UUID]struct{})
		for after := ""; ; {
			query := url.Values{"limit": {strconv.Itoa(limit)}}
			for name, values := range r.query {
				query[name] = values
			}
			if after != "" {
				query.Set("after", after)
			}
			page := r
			page.query = query
			body, _, err := c.do(ctx, page)
			if errors.Is(err, errTooLarge) && limit > 1 {
				limit = max(limit/4, 1) // versions carry their whole configuration, and some are long
				continue
			}
			if err != nil {
				yield(none, err)
				return
			}
			items, more, next, err := readPage(body, read)
			if err != nil {
				yield(none, invalidReply("a page of "+noun, err))
				return
			}
			fresh := false
			for _, item := range items {
				if after = id(item).String(); next != "" {
					after = next
				}
				if _, known := seen[id(item)]; known {
					continue
				}
				if len(seen) == most {
					yield(none, invalidReply("a list that ends", fmt.Errorf("there are more than %d %s", most, noun)))
					return
				}
				seen[id(item)], fresh = struct{}{}, true
				if !yield(item, nil) {
					return
				}
			}
			if !more {
				return
			}
			if !fresh {
				yield(none, invalidReply("the whole list of "+noun, errRepeats))
				return
			}
		}
	}
}

// readPage reads one page: its items, whether there are more, and the cursor of the next page, if the page names one.
func readPage[T any](body []byte, read func([]byte) (T, error)) (items []T, more bool, next string, err error) {
	fields, err := object(body)
	if err != nil {
		return nil, false, "", err
	}
	var list []json.RawMessage
	if json.Unmarshal(fields["data"], &list) != nil || list == nil {
		return nil, false, "", errors.New("data is not a list")
	}
	for _, data := range list {
		item, err := read(data)
		if err != nil {
			return nil, false, "", err
		}
		items = append(items, item)
	}
	var hasMore *bool
	if json.Unmarshal(fields["has_more"], &hasMore) != nil || hasMore == nil {
		return nil, false, "", errors.New("has_more is not true or false")
	}
	last, err := idField(fields, "last_id")
	if last.Valid {
		next = last.UUID.String()
	}
	return items, *hasMore, next, err
}
