package publish_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"publish-agent-version/internal/sandbox"
)

// TestFaultsHeaders has the rows R of docs/faults.md.
func TestFaultsHeaders(t *testing.T) {
	t.Parallel()
	t.Run("R1", func(t *testing.T) {
		for _, status := range []int{408, 429, 500, 502, 503, 504, 524} {
			for name, test := range map[string]struct {
				headers     []string
				least, most time.Duration
			}{
				"25.5 s": {[]string{"Retry-After: 25.5"}, 26 * time.Second, 46 * time.Second},
				"2 s":    {[]string{"Retry-After: 2"}, 2 * time.Second, 4 * time.Second},
				"30 s":   {[]string{"Retry-After: 30"}, 30 * time.Second, 50 * time.Second},
				"a date": {[]string{"Retry-After: " + today + "09 GMT"}, 9 * time.Second, 18 * time.Second},
				"a date, another Date": {[]string{"Date: Fri, 01 Jan 1999 00:00:01 GMT",
					"Retry-After: Fri, 01 Jan 1999 00:00:10 GMT"}, 9 * time.Second, 18 * time.Second},
			} {
				t.Run(fmt.Sprint(status, " ", name), func(t *testing.T) {
					res := replying(respond(status, "", test.headers...), confirmation).check(t, scenario{},
						expected{attempts: 2, minTime: test.least, maxTime: test.most + pauses[status]})
					asked := fmt.Sprintf("(Retry-After: %d s)", test.least/time.Second)
					if !strings.Contains(res.stdout, asked) {
						t.Errorf("the log does not say %q", asked)
					}
				})
			}
		}
		t.Run("sandbox", func(t *testing.T) {
			api, server := newSandbox(t)
			api.Set(sandbox.Behavior{Limit: sandbox.Limit{Requests: 1, Interval: 5 * time.Second, RetryAfter: true}})
			res := scenario{}.runInMemory(t, server)
			res.check(t, expected{minTime: 5 * time.Second, maxTime: time.Minute})
		})
	})
	t.Run("R2", func(t *testing.T) {
		for name, test := range map[string]struct{ header, asked string }{
			"an hour":         {"3600", "1 h"},
			"as long as all":  {"120", "2 min"},
			"a date":          {"Sat, 01 Jan 2000 01:00:00 GMT", "1 h"},
			"a date in 2099":  {"Thu, 01 Jan 2099 00:00:00 GMT", "867840 h"},
			"a date far away": {"Fri, 31 Dec 9999 23:59:59 GMT", "2562047.8 h"},
			"292 years":       {"9223372036", "2562047.8 h"},
		} {
			t.Run(name, func(t *testing.T) {
				for _, status := range []int{429, 503} {
					w := ownError("BUSY", status, "later; gave up after 1 attempt", "the API asks to wait "+test.asked)
					w.verifyTime = time.Duration(status/500) * lastLook
					replying(apiError(status, "BUSY", "Come back later", "Retry-After: "+test.header),
						confirmation).check(t, scenario{}, w.atOnce())
				}
			})
		}
		replying(respond(504, "", "Retry-After: 3600")).test(t, "of a gateway", scenario{},
			unknownOutcome("HTTP_504", 1, "the API asks to wait 1 h").atOnce())
		replying(respond(503, ""), respond(503, "", "Retry-After: 60"),
			apiError(503, "BUSY", "Come back later", "Retry-After: 60")).test(t, "after other waits", scenario{},
			unknownOutcome("BUSY", 3, "gave up after 3 attempts", "the API asks to wait 60 s").within(time.Minute,
				78*time.Second))
	})
	t.Run("R3", func(t *testing.T) {
		for name, headers := range map[string][]string{
			"past any time":   {"Retry-After: 9223372037"},
			"10^30":           {"Retry-After: 1" + strings.Repeat("0", 30)},
			"negative":        {"Retry-After: -1"},
			"NaN":             {"Retry-After: NaN"},
			"a list":          {"Retry-After: 120, 5"},
			"empty":           {"Retry-After:"},
			"twice":           {"Retry-After: 120", "Retry-After: 5"},
			"0":               {"Retry-After: 0"},
			"a past date":     {"Retry-After: Fri, 31 Dec 1999 23:59:59 GMT"},
			"a word":          {"Retry-After: soon"},
			"not ASCII":       {"Retry-After: \u0665"},
			"long":            {"Retry-After: " + strings.Repeat("9", 10_000)},
			"a date of sorts": {"Retry-After: 2000-01-01T01:00:00Z"},
		} {
			t.Run(name, func(t *testing.T) {
				for status, most := range map[int]time.Duration{429: 6 * time.Second, 503: 5 * time.Second} {
					replying(respond(status, "", headers...), respond(status, "", headers...), confirmation).check(t,
						scenario{}, expected{attempts: 3, minTime: most / 2, maxTime: most})
				}
				// Never a hot loop, however long the server keeps it up.
				api := replying(respond(429, "", headers...))
				api.check(t, scenario{}, expected{code: "HTTP_429", httpStatus: "429", minTime: time.Minute,
					maxTime: 2 * time.Minute, says: []string{nothingChanged}})
				if n := len(api.requests(http.MethodPatch)); n > 20 {
					t.Errorf("%d requests", n)
				}
			})
		}
	})
	t.Run("R4", func(t *testing.T) {
		t.Parallel()
		const head = "HTTP/1.1 200 OK\r\n"
		for name, r := range map[string]response{
			"many": {raw: head, stream: repeatText("X-Padding: "+strings.Repeat("x", 1000)+"\r\n", 10<<10),
				then: closeConn},
			"many short": {raw: head, stream: repeatText("a:\r\n", 10<<20/4), then: closeConn},
			"one":        {raw: head + "X-Padding: ", stream: repeatText("x", 10<<20), then: closeConn},
			"the status": {raw: "HTTP/1.1 200 ", stream: repeatText("x", 10<<20), then: closeConn},
			"many 1xx": {stream: repeatText("HTTP/1.1 103 Early Hints\r\nX-Padding: x\r\n\r\n", 10<<20/42),
				then: closeConn},
		} {
			replying(r).testMeasured(t, name, invalidResponse("none", "Could not read the response"))
		}
		t.Run("not quite too many", func(t *testing.T) {
			t.Parallel()
			replying(respond(200, confirmationBody, "X-Padding: "+strings.Repeat("x", 60<<10))).check(t, scenario{},
				asUsual)
		})
		t.Run("of the first read", func(t *testing.T) {
			t.Parallel()
			res := (&fakeAPI{readsBefore: response{raw: head, stream: repeatText("a:\r\n", 10<<20/4),
				then: closeConn}}).check(t, scenario{}, asUsual)
			if !strings.Contains(res.stdout, "Could not read the live version: could not read the response") {
				t.Error("the log does not say so")
			}
		})
	})
	t.Run("R5", func(t *testing.T) {
		length := fmt.Sprint(len(confirmationBody))
		with := func(headers ...string) string {
			return "HTTP/1.1 200 OK\r\n" + strings.Join(headers, "\r\n") + "\r\n\r\n" + confirmationBody
		}
		for name, raw := range map[string]string{
			"two lengths":              with("Content-Length: "+length, "Content-Length: 5"),
			"two lengths in one":       with("Content-Length: " + length + ", 5"),
			"a negative length":        with("Content-Length: -1"),
			"a length of letters":      with("Content-Length: many"),
			"a length with a sign":     with("Content-Length: +" + length),
			"a length past 64 bits":    with("Content-Length: 1" + strings.Repeat("0", 30)),
			"an unknown coding":        with("Transfer-Encoding: brotli"),
			"chunked twice":            with("Transfer-Encoding: chunked, chunked"),
			"two codings":              with("Transfer-Encoding: chunked", "Transfer-Encoding: gzip"),
			"a header without a colon": with("Content-Length: "+length, "nonsense"),
			"a header without a name":  with("Content-Length: "+length, ": x"),
			"a header with a NUL":      with("Content-Length: "+length, "X: a\x00b"),
			"a folded first line":      with(" X: y", "Content-Length: "+length),
			"a status of two digits":   "HTTP/1.1 20 OK\r\n\r\n",
			"a status of four digits":  "HTTP/1.1 2000 OK\r\n\r\n",
			"a negative status":        "HTTP/1.1 -20 OK\r\n\r\n",
			"no status":                "HTTP/1.1 OK\r\n\r\n",
			"another protocol":         "ICY 200 OK\r\n\r\n",
			"HTTP/x.y":                 "HTTP/x.y 200 OK\r\n\r\n",
			"HTTP/0.9":                 confirmationBody + "\r\n\r\n",
			"HTTP/2":                   "\x00\x00\x00\x04\x00\x00\x00\x00\x00\n\n",
			"an empty line":            "\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
			"zeros":                    strings.Repeat("\x00", 100) + "\r\n\r\n",
		} {
			replying(response{raw: raw, then: closeConn}).test(t, name, scenario{},
				invalidResponse("none", "Could not read the response", "Check that api-url points to the API"))
		}
		applied := replying(response{raw: "HTTP/1.1 2000 OK\r\n\r\n"})
		applied.readsAfter = liveVersion(sandbox.NextID)
		applied.test(t, "applied", scenario{}, expected{attempts: 1, says: []string{readBack}})
		t.Run("what HTTP allows", func(t *testing.T) {
			for _, raw := range []string{
				with("Content-Length: "+length, "Content-Length: "+length),
				with("content-length:"+length, "X: a", "\tfolded"),
				strings.ReplaceAll(with("Content-Length: "+length), "\r\n", "\n"),
			} {
				replying(response{raw: raw}).check(t, scenario{}, asUsual)
			}
		})
	})
	t.Run("R6", func(t *testing.T) {
		const cookie = "Set-Cookie: session=crumbs; Path=/"
		api := &fakeAPI{
			readsBefore: liveVersion(sandbox.LiveID, cookie),
			replies:     []response{respond(503, "", cookie), respond(200, confirmationBody, cookie)},
		}
		api.check(t, scenario{env: map[string]string{"RUNNER_DEBUG": "1"}},
			expected{attempts: 2, neverShown: []string{"crumbs"}})
		for _, r := range api.requests("") {
			if r.Header.Get("Cookie") != "" || strings.Contains(fmt.Sprint(r.RequestURI, r.Header, r.body), "crumbs") {
				t.Errorf("%s with a cookie: %v", r.Method, r.Header)
			}
		}
		if n := len(api.requests(http.MethodGet)); n != 5 {
			t.Errorf("%d reads", n)
		}
	})
}

// today is the day on which virtual time begins, to the second.
const today = "Sat, 01 Jan 2000 00:00:"
