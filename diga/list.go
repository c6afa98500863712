package diga

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net/url"
	"strconv"
	"sync"

	"github.com/google/uuid"
)

const (
	maxPage    = 100 // items on a page; the API's limit
	maxReaders = 4   // requests in flight for one list
)

var (
	errRepeats = errors.New("the list repeats itself before its end")

	// errListEnded cancels the reads of a list whose end, or whose error, is known.
	errListEnded = errors.New("the page is no longer needed")
)

// reader reads one part of a list, page by page.
type reader struct {
	offset int    // items before the part; says where it begins
	after  string // the id of the last item read, which is where the next page begins; empty before the first page
	limit  int    // items on a page
}

func (rd *reader) query(filter url.Values) url.Values {
	query := maps.Clone(filter)
	if query == nil {
		query = make(url.Values)
	}
	query.Set("limit", strconv.Itoa(rd.limit))
	switch {
	case rd.after != "":
		query.Set("after", rd.after)
	case rd.offset > 0:
		query.Set("page", strconv.Itoa(rd.offset/rd.limit+1))
	}
	return query
}

// split returns the readers that share what is left of a list of so many pages after the first, which rd has read. Each
// gets two pages at least: it takes a request more to find that it has arrived where the next one began.
func (rd *reader) split(pages int) []*reader {
	readers := []*reader{rd}
	n := min((pages-1)/2, maxReaders)
	for i := 1; i < n; i++ {
		readers = append(readers, &reader{offset: rd.limit * (1 + (pages-1)*i/n), limit: rd.limit})
	}
	return readers
}

// itemKind is what a list is a list of.
type itemKind[T any] struct {
	plural string // for error messages
	most   int    // items that are read before the list is taken to be endless
	parse  func([]byte) (T, error)
	id     func(T) uuid.UUID
}

// page is one page of a list.
type page[T any] struct {
	reader *reader
	items  []T
	more   bool   // there are items after these
	last   string // the cursor of the next page, if the page names one
	pages  int    // of this size in the list; 0: not known
	err    error

	panicked any // in one of the Client's functions; the caller of list is to see it
}

// list reads the list that r asks for and yields each item once, even when the list changes meanwhile. The last pair
// carries an *Error when the list could not be read to its end, or has more than kind.most items. Memory holds the ids of
// all items and at most maxReaders pages.
//
// Long lists are read in parts at the same time, so items come in any order. Within a part, cursors lead from page to
// page. A part may begin anywhere; it ends at a page whose last item another reader has read, because that reader goes on
// from there. Together they find what a single reader would.
func list[T any](ctx context.Context, c *Client, r request, kind itemKind[T]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		var inFlight sync.WaitGroup
		defer inFlight.Wait()
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(errListEnded)

		replies := make(chan page[T], maxReaders)
		reading := 0
		start := func(readers ...*reader) {
			for _, rd := range readers {
				reading++
				one := r
				one.query = rd.query(r.query)
				inFlight.Go(func() {
					var p page[T]
					defer func() {
						p.reader, p.panicked = rd, recover()
						replies <- p
					}()
					p = readPage(ctx, c, one, kind)
				})
			}
		}
		readBy := make(map[uuid.UUID]*reader)
		start(&reader{limit: maxPage})
		for ; reading > 0; reading-- {
			p := <-replies
			rd := p.reader
			if p.panicked != nil {
				panic(p.panicked)
			}
			if errors.Is(p.err, errTooLarge) && rd.limit > 1 {
				rd.limit = max(rd.limit/4, 1) // versions carry their whole configuration, and some are long
				start(rd)
				continue
			}
			if p.err != nil {
				yield(none, p.err)
				return
			}
			first, before := len(readBy) == 0, len(readBy)
			lastBy := rd // who has read the last item
			for _, item := range p.items {
				key := kind.id(item)
				rd.after = cmp.Or(p.last, key.String())
				if by, ok := readBy[key]; ok {
					lastBy = by
					continue
				}
				if len(readBy) == kind.most {
					yield(none, invalidReply("a list that ends", fmt.Errorf("there are more than %d %s", kind.most, kind.plural)))
					return
				}
				readBy[key], lastBy = rd, rd
				if !yield(item, nil) {
					return
				}
			}
			switch {
			case !p.more, lastBy != rd:
			case len(readBy) == before:
				yield(none, invalidReply("the whole list of "+kind.plural, errRepeats))
				return
			case first:
				start(rd.split(min(p.pages, kind.most/rd.limit))...)
			default:
				start(rd)
			}
		}
	}
}

// readPage sends r and reads the page that it asks for.
func readPage[T any](ctx context.Context, c *Client, r request, kind itemKind[T]) page[T] {
	body, _, err := c.do(ctx, r)
	if err != nil {
		return page[T]{err: err}
	}
	p, err := parsePage(body, kind.parse)
	if err != nil {
		p.err = invalidReply("a page of "+kind.plural, err)
	}
	return p
}

// parsePage reads the body of a page.
func parsePage[T any](body []byte, parse func([]byte) (T, error)) (p page[T], err error) {
	fields, err := object(body)
	if err != nil {
		return p, err
	}
	var data []json.RawMessage
	if json.Unmarshal(fields["data"], &data) != nil || data == nil {
		return p, errors.New("data is not a list")
	}
	for _, raw := range data {
		item, err := parse(raw)
		if err != nil {
			return p, err
		}
		p.items = append(p.items, item)
	}
	var more *bool
	if json.Unmarshal(fields["has_more"], &more) != nil || more == nil {
		return p, errors.New("has_more is not true or false")
	}
	p.more = *more
	last, err := idField(fields, "last_id")
	if last.Valid {
		p.last = last.UUID.String()
	}
	_ = json.Unmarshal(fields["total_pages"], &p.pages) // optional
	return p, err
}
