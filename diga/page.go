package diga

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
)

// page is one page of a list.
type page[T any] struct {
	reader *reader
	items  []T
	more   bool   // there are items after these
	last   string // the cursor of the next page, if the page names one
	pages  int    // of this size in the list; 0: not known
	err    error

	panicked any // recovered while reading it
}

// fetcher reads pages concurrently.
type fetcher[T any] struct {
	fetch    func(*reader) page[T]
	pages    chan page[T]
	pending  int // started and not yet returned by next
	inFlight sync.WaitGroup
}

func newFetcher[T any](fetch func(*reader) page[T]) *fetcher[T] {
	return &fetcher[T]{fetch: fetch, pages: make(chan page[T], maxReaders)}
}

// start starts reading the next page of each reader.
func (f *fetcher[T]) start(readers ...*reader) {
	for _, rd := range readers {
		f.pending++
		f.inFlight.Go(func() {
			var p page[T]
			defer func() {
				p.reader, p.panicked = rd, recover()
				f.pages <- p
			}()
			p = f.fetch(rd)
		})
	}
}

// next waits for a page. It panics if reading it did, so that the caller of list can recover.
func (f *fetcher[T]) next() page[T] {
	p := <-f.pages
	f.pending--
	if p.panicked != nil {
		panic(p.panicked)
	}
	return p
}

// readPage sends r and parses the page.
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

// parsePage parses the body of a page.
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
		return p, errors.New("has_more is not a boolean")
	}
	p.more = *more
	last, err := idField(fields, "last_id")
	if last.Valid {
		p.last = last.UUID.String()
	}
	_ = json.Unmarshal(fields["total_pages"], &p.pages) // optional
	return p, err
}
