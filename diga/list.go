package diga

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net/url"
	"strconv"

	"github.com/google/uuid"
)

const (
	maxPage    = 100 // items on a page; the API's limit
	maxReaders = 4   // requests in flight for one list
)

var (
	errRepeats = errors.New("the list repeats itself")

	// errListEnded cancels outstanding reads once a list has ended or failed.
	errListEnded = errors.New("the page is no longer needed")
)

// reader reads one part of a list, page by page.
type reader struct {
	offset int    // items before the part
	after  string // ID of the last item read, after which the next page begins; empty before the first page
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

// split divides a list of this many pages among readers, after rd has read the first page. Each reader gets at least
// two pages, because it needs one extra request to notice that it has reached the next reader's part.
func (rd *reader) split(pages int) []*reader {
	readers := []*reader{rd}
	n := min((pages-1)/2, maxReaders)
	for i := 1; i < n; i++ {
		readers = append(readers, &reader{offset: rd.limit * (1 + (pages-1)*i/n), limit: rd.limit})
	}
	return readers
}

// itemKind describes the items of a list.
type itemKind[T any] struct {
	plural string // for error messages
	most   int    // maximum number of items; a longer list is an error
	parse  func([]byte) (T, error)
	id     func(T) uuid.UUID
}

// list reads the list requested by r and yields each item once, even if the list changes in the meantime. If the list
// cannot be read to its end, or has more than kind.most items, the last pair carries an *Error. It keeps the IDs of all
// items and at most maxReaders pages in memory.
//
// Long lists are read in parts concurrently, so items arrive in any order. Within a part, cursors lead from page to
// page. A part may begin anywhere; it ends at a page whose last item another reader has already read, because that
// reader continues from there. Together they find what a single reader would.
func list[T any](ctx context.Context, c *Client, r request, kind itemKind[T]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		ctx, cancel := context.WithCancelCause(ctx)
		f := newFetcher(func(rd *reader) page[T] {
			r := r
			r.query = rd.query(r.query)
			return readPage(ctx, c, r, kind)
		})
		defer f.inFlight.Wait()
		defer cancel(errListEnded)

		readBy := make(map[uuid.UUID]*reader)
		f.start(&reader{limit: maxPage})
		for f.pending > 0 {
			p := f.next()
			rd := p.reader
			if errors.Is(p.err, errTooLarge) && rd.limit > 1 {
				rd.limit = max(rd.limit/4, 1) // versions carry their whole configuration, and some are long
				f.start(rd)
				continue
			}
			byPage := rd.offset > 0 && rd.after == ""
			if p.err != nil && byPage && ctx.Err() == nil {
				continue // the reader of the part before it reads on, by cursors
			}
			if p.err != nil {
				yield(none, p.err)
				return
			}
			known := len(readBy)
			lastBy := rd // who read the last item first
			for _, item := range p.items {
				id := kind.id(item)
				rd.after = cmp.Or(p.last, id.String())
				if by, ok := readBy[id]; ok {
					lastBy = by
					continue
				}
				if len(readBy) == kind.most {
					yield(none, invalidReply("a complete list of "+kind.plural, fmt.Errorf("more than %d items", kind.most)))
					return
				}
				readBy[id], lastBy = rd, rd
				if !yield(item, nil) {
					return
				}
			}
			switch {
			case !p.more && !(byPage && len(p.items) > 0), lastBy != rd: // has_more of a page by number is not documented
			case len(readBy) == known:
				yield(none, invalidReply("a complete list of "+kind.plural, errRepeats))
				return
			case known == 0:
				f.start(rd.split(min(p.pages, kind.most/rd.limit))...)
			default:
				f.start(rd)
			}
		}
	}
}
