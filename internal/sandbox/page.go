package sandbox

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// page is the document's AgentVersionPage or PhonePage.
type page[T any] struct {
	Data       []T     `json:"data"`
	HasMore    bool    `json:"has_more"`
	FirstID    *string `json:"first_id"`
	LastID     *string `json:"last_id"`
	Current    int     `json:"current_page"`
	TotalPages int     `json:"total_pages"`
}

// paginate returns the page of items that the query asks for. items are ordered oldest first, and the query has the
// document's defaults for limit and order.
func paginate[T any](items []T, id func(T) string, query url.Values) response {
	if query.Get("order") == "desc" {
		slices.Reverse(items)
	}
	limit, _ := strconv.Atoi(query.Get("limit"))
	number, _ := strconv.Atoi(query.Get("page"))
	after, before := query.Get("after"), query.Get("before")
	start, end := 0, len(items)
	cursor := slices.IndexFunc(items, func(item T) bool { return strings.EqualFold(id(item), after+before) })
	starts := 0
	for _, name := range []string{"after", "before", "page"} {
		if query.Has(name) {
			starts++
		}
	}
	switch {
	case starts > 1, after+before != "" && cursor < 0:
		return errorResponse(http.StatusBadRequest, "BAD_PARAMETER", "Want one of after, before and page, and an id of this listing in it")
	case after != "":
		start = cursor + 1
	case before != "":
		start, end = max(cursor-limit, 0), cursor
	case number > 0:
		start = min((min(number, len(items)+1)-1)*limit, len(items))
	}
	end = min(start+limit, end)
	p := page[T]{
		Data:       items[start:end],
		HasMore:    end < len(items),
		Current:    start/limit + 1,
		TotalPages: (len(items) + limit - 1) / limit,
	}
	if start < end {
		first, last := id(items[start]), id(items[end-1])
		p.FirstID, p.LastID = &first, &last
	}
	return jsonResponse(http.StatusOK, p)
}
