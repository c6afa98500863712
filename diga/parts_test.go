package diga

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// versionList serves a list of an agent's versions, which may change before each request is answered.
type versionList struct {
	latency func() time.Duration // of a request; the list is read when it has passed
	change  func(l *versionList) // nil: the list stays as it is

	mu       sync.Mutex
	numbers  []int // of the versions, in falling order
	requests []string
	inFlight int
	most     int // the highest value of inFlight
}

func (l *versionList) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.requests = append(l.requests, r.URL.RawQuery)
	l.inFlight++
	l.most = max(l.most, l.inFlight)
	latency := l.latency()
	l.mu.Unlock()
	<-time.After(latency)
	l.mu.Lock()
	l.inFlight--
	if l.change != nil {
		l.change(l)
	}

	query := r.URL.Query()
	limit, _ := strconv.Atoi(query.Get("limit"))
	start := 0
	if page, err := strconv.Atoi(query.Get("page")); err == nil {
		start = min((page-1)*limit, len(l.numbers))
	}
	if after := query.Get("after"); after != "" { // the version itself may be gone
		number, _ := strconv.Atoi(after[len(after)-12:])
		start = len(l.numbers)
		if i := slices.IndexFunc(l.numbers, func(n int) bool { return n < number }); i >= 0 {
			start = i
		}
	}
	end := min(start+limit, len(l.numbers))
	data := []json.RawMessage{}
	for _, number := range l.numbers[start:end] {
		data = append(data, json.RawMessage(item(number, "v")))
	}
	_ = json.NewEncoder(w).Encode(map[string]any{
		"data": data, "has_more": end < len(l.numbers), "total_pages": (len(l.numbers) + limit - 1) / limit,
	})
}

// read reads the list with a Client, and measures the time.
func (l *versionList) read(t *testing.T) (found []int, elapsed time.Duration) {
	n := &network{}
	n.play(t, func(t *testing.T, c *Client) {
		defer n.serveHTTP(l).Close()
		for v, err := range c.Versions(t.Context(), WithRetries, agentID) {
			if err != nil {
				t.Fatal(err)
			}
			found = append(found, v.Number)
		}
		elapsed = time.Since(n.start)
	})
	return found, elapsed
}

// falling returns the numbers from n down to 1.
func falling(n int) (numbers []int) {
	for ; n > 0; n-- {
		numbers = append(numbers, n)
	}
	return numbers
}

func TestLongListsAreReadInParts(t *testing.T) {
	const latency = 100 * time.Millisecond
	for _, test := range []struct {
		versions, requests, inFlight int
		roundTrips                   time.Duration
	}{
		{0, 1, 1, 1},
		{1, 1, 1, 1},
		{100, 1, 1, 1},
		{101, 2, 1, 2},
		{400, 4, 1, 4}, // parts would gain nothing
		{401, 6, 2, 4},
		{1000, 13, 4, 4},
		{10_000, 103, 4, 27},
	} {
		l := &versionList{numbers: falling(test.versions), latency: func() time.Duration { return latency }}
		found, elapsed := l.read(t)
		slices.Sort(found)
		slices.Reverse(found)
		if !slices.Equal(found, falling(test.versions)) {
			t.Errorf("found %d of %d versions", len(found), test.versions)
		}
		if len(l.requests) != test.requests || l.most != test.inFlight || elapsed != test.roundTrips*latency {
			t.Errorf("%d versions: %d requests, %d at a time, in %s; want %d, %d and %s",
				test.versions, len(l.requests), l.most, elapsed, test.requests, test.inFlight, test.roundTrips*latency)
		}
	}
}

// Before each response, one or more versions are added or deleted anywhere. The list has every version that was there
// throughout, and none twice.
func TestListsThatChange(t *testing.T) {
	for seed := range uint64(60) {
		random := rand.New(rand.NewPCG(seed, 0))
		l := &versionList{latency: func() time.Duration { return time.Millisecond + time.Duration(random.Int64N(int64(time.Second))) }}
		for _, n := range falling(random.IntN(1500)) {
			l.numbers = append(l.numbers, 10*n)
		}
		throughout, ever := toSet(l.numbers), toSet(l.numbers)
		add := func(number int) {
			if !ever[number] {
				ever[number] = true
				l.numbers = append(l.numbers, number)
			}
		}
		l.change = func(l *versionList) {
			many := 1
			if random.IntN(10) == 0 {
				many = random.IntN(250)
			}
			at := random.IntN(len(l.numbers) + 1)
			switch random.IntN(5) {
			case 0:
				for range many {
					add(20_000 + len(ever))
				}
			case 1:
				for range many {
					add(random.IntN(15_000))
				}
			case 2, 3:
				end := min(at+many, len(l.numbers))
				for _, number := range l.numbers[at:end] {
					delete(throughout, number)
				}
				l.numbers = slices.Delete(l.numbers, at, end)
			}
			slices.Sort(l.numbers)
			slices.Reverse(l.numbers)
		}
		found, _ := l.read(t)
		set := toSet(found)
		if len(set) != len(found) {
			t.Errorf("seed %d: %d of %d versions were listed twice", seed, len(found)-len(set), len(found))
		}
		for number := range throughout {
			if !set[number] {
				t.Errorf("seed %d: version %d is missing", seed, number)
				break
			}
		}
		for number := range set {
			if !ever[number] {
				t.Errorf("seed %d: version %d was never there", seed, number)
			}
		}
	}
}

func toSet(numbers []int) map[int]bool {
	set := make(map[int]bool)
	for _, number := range numbers {
		set[number] = true
	}
	return set
}

// One part begins at the first page and, if that says five pages, another at the fourth.
func TestPartsOfAList(t *testing.T) {
	const five, endless = `"total_pages":5`, `"total_pages":9007199254740993`
	tooLarge := response(200, strings.Repeat(" ", maxBodyBytes+1))
	later := func(r reply) reply {
		r.pace = time.Nanosecond
		return r
	}
	for _, test := range []struct {
		name  string
		total string           // on the first page, which has the versions 9 and 8
		pages map[string]reply // the others, by query
		want  []int
		err   string
	}{
		{"an API that does not know pages", five, map[string]reply{
			"limit=100&page=4": pageOf(true, items(9, 8), five),
			afterQuery(100, 8): pageOf(true, items(7, 6), five),
			afterQuery(100, 6): pageOf(false, items(5, 5), five),
		}, []int{9, 8, 7, 6, 5}, ""},
		{"a page beyond the end", five, map[string]reply{
			"limit=100&page=4": pageOf(false, nil, five),
			afterQuery(100, 8): pageOf(false, items(7, 6), five),
		}, []int{9, 8, 7, 6}, ""},
		{"no more pages than a list may have", endless, map[string]reply{
			"limit=100&page=251": pageOf(false, nil),
			"limit=100&page=501": pageOf(false, nil),
			"limit=100&page=751": pageOf(false, nil),
			afterQuery(100, 8):   pageOf(false, items(7, 6)),
		}, []int{9, 8, 7, 6}, ""},
		{"a number of pages that is none", `"total_pages":"5"`, map[string]reply{
			afterQuery(100, 8): pageOf(false, items(7, 6)),
		}, []int{9, 8, 7, 6}, ""},
		{"a page that is too large", five, map[string]reply{
			"limit=100&page=4": tooLarge,
			"limit=25&page=13": later(pageOf(false, items(5, 4), five)), // than the other reader gets there
			afterQuery(100, 8): pageOf(true, items(7, 6), five),
			afterQuery(100, 6): pageOf(false, items(5, 4), five),
		}, []int{9, 8, 7, 6, 5, 4}, ""},
		{"a page that fails", five, map[string]reply{
			"limit=100&page=4": apiError(404, "NO"), // the cursors lead there too
			afterQuery(100, 8): pageOf(true, items(7, 6), five),
			afterQuery(100, 6): pageOf(false, items(5, 4), five),
		}, []int{9, 8, 7, 6, 5, 4}, ""},
		{"a page by number that says it is the last", five, map[string]reply{
			"limit=100&page=4": pageOf(false, items(5, 4), five),
			afterQuery(100, 4): pageOf(false, items(3, 2), five),
			afterQuery(100, 8): pageOf(true, items(7, 6), five),
			afterQuery(100, 6): pageOf(true, items(5, 4), five),
		}, []int{9, 8, 7, 6, 5, 4, 3, 2}, ""},
		{"a page by cursor that fails", five, map[string]reply{
			"limit=100&page=4": pageOf(true, items(5, 4), five),
			afterQuery(100, 4): {then: silent},
			afterQuery(100, 8): later(apiError(404, "NO")),
		}, []int{9, 8, 5, 4}, "the API returned 404 Not Found: because"},
	} {
		t.Run(test.name, func(t *testing.T) {
			n := &network{reply: func(r received) reply {
				_, _, query := r.target()
				if query == "limit=100" {
					return pageOf(true, items(9, 8), test.total)
				}
				reply, ok := test.pages[query]
				if !ok {
					t.Errorf("asked %s", query)
				}
				return reply
			}}
			n.play(t, func(t *testing.T, c *Client) {
				c.OnAttempt = func(a Attempt) {
					if errors.Is(a.Err, context.Canceled) {
						t.Error("the log does not say why a page was cancelled")
					}
				}
				var found []int
				var text string
				for v, err := range c.Versions(t.Context(), WithRetries, agentID) {
					if err != nil {
						text = failed(t, err).Error()
						continue
					}
					found = append(found, v.Number)
				}
				slices.Sort(found)
				slices.Reverse(found)
				if !slices.Equal(found, test.want) || text != test.err {
					t.Errorf("found %d, %q", found, text)
				}
				if elapsed := time.Since(n.start); elapsed > time.Microsecond {
					t.Errorf("took %s: a page that is no longer needed holds up the end", elapsed)
				}
			})
			if test.err == "" && len(n.heard()) != 1+len(test.pages) {
				t.Errorf("%d requests, want %d", len(n.heard()), 1+len(test.pages))
			}
		})
	}
}

func TestPartsKeepTheFilter(t *testing.T) {
	filter := "inbound_agent_id=" + agentID.String()
	n := &network{reply: func(r received) reply {
		_, _, query := r.target()
		return pageOf(query == filter+"&limit=100", phonesFrom(9, 8), `"total_pages":5`)
	}}
	n.play(t, func(t *testing.T, c *Client) {
		if _, err := c.PhonesOf(t.Context(), WithRetries, agentID, Inbound); err != nil {
			t.Error(err)
		}
	})
	asked := queries(t, n, phonesPath)
	slices.Sort(asked[1:])
	if want := []string{filter + "&limit=100", "after=" + id(8).String() + "&" + filter + "&limit=100", filter + "&limit=100&page=4"}; !slices.Equal(asked, want) {
		t.Errorf("asked %s, want %s", asked, want)
	}
}

// A callback that panics does so in the goroutine of the caller, which can recover.
func TestPanicsReachTheCaller(t *testing.T) {
	n := &network{replies: []reply{pageOf(false, nil)}}
	n.play(t, func(t *testing.T, c *Client) {
		c.OnAttempt = func(Attempt) { panic("in OnAttempt") }
		defer func() {
			if p := recover(); p != "in OnAttempt" {
				t.Errorf("recovered %v", p)
			}
		}()
		_, err := c.VersionNamed(t.Context(), Once, agentID, "v1")
		t.Errorf("returned %v", err)
	})
}
