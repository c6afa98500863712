package publish_test

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"publish-agent-version/internal/sandbox"
)

// TestFaultsStatus has the rows H of docs/faults.md.
func TestFaultsStatus(t *testing.T) {
	t.Parallel()
	t.Run("H1", func(t *testing.T) {
		t.Run("sandbox", func(t *testing.T) {
			api, server := newSandbox(t)
			s := with("inbound-phone-number-id", sandbox.Switch, "outbound-phone-number-id", sandbox.Callback)
			res := s.check(t, server, expected{says: []string{
				"Front desk is now on v1.22.8 (was v1.22.7) and answers +34 910 000 002 (Switch)"}})
			want := map[string]string{
				"status": "published", "agent-id": sandbox.FrontDesk, "published-version-id": sandbox.NextID,
				"previous-version-id": sandbox.LiveID, "previous-version-name": sandbox.LiveName, "attempts": "1",
				"previous-inbound-phone-number-id": sandbox.Reception, "previous-outbound-phone-number-id": "",
				"inbound-phone-number-id": sandbox.Switch, "outbound-phone-number-id": sandbox.Callback,
				"inbound-phone-number": sandbox.SwitchNumber, "outbound-phone-number": sandbox.CallbackNumber,
				"version-id": sandbox.NextID, "version-name": sandbox.NextName,
				"changed-fields": "call_tools,prompt,voice", "summary": strings.TrimSuffix(res.summary, "\n"),
			}
			if !maps.Equal(res.outputs, want) {
				t.Errorf("outputs %q, want %q", res.outputs, want)
			}
			if version, in, out := api.Live(sandbox.FrontDesk); version != want["version-id"] || in != sandbox.Switch ||
				out != sandbox.Callback {
				t.Errorf("live is %s with %s and %s", version, in, out)
			}
		})
		t.Run("requests", func(t *testing.T) {
			fake := &fakeAPI{}
			fake.check(t, scenario{}, asUsual)
			requests := fake.requests("")
			if len(requests) != 4 || requests[3].conn > 1 {
				t.Fatalf("%d requests, want 4 on one connection", len(requests))
			}
			change := requests[3] // TestRequestCount has the addresses
			if change.body != `{"version_id":"`+sandbox.NextID+`"}` ||
				change.Header.Get("Content-Type") != "application/json" {
				t.Errorf("sent %s: %s", change.Header, change.body)
			}
			id := change.Header.Get("X-Request-Id")
			for i, r := range requests {
				if i < 3 && (r.body != "" || len(r.TransferEncoding) > 0) {
					t.Errorf("%s with the body %q", r.RequestURI, r.body)
				}
				if r.Header.Get("Authorization") != "Bearer "+sandbox.Token ||
					r.Header.Get("Accept") != "application/json" || r.UserAgent() != "publish-agent-version/test" ||
					len(id) != 36 || r.Header.Get("X-Request-Id") != id {
					t.Errorf("%s: header %v", r.Method, r.Header)
				}
			}
		})
		for name, raw := range map[string]string{
			"after 100 Continue":    "HTTP/1.1 100 Continue\r\n\r\n" + confirmation.raw,
			"after 103 Early Hints": "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + confirmation.raw,
			"HTTP/1.0":              "HTTP/1.0 200 OK\r\n\r\n" + confirmationBody,
			"chunks": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n",
				len(confirmationBody), confirmationBody),
			"no reason":    strings.Replace(confirmation.raw, " Text", "", 1),
			"another type": respond(200, confirmationBody, "Content-Type: text/plain").raw,
		} {
			replying(response{raw: raw, then: closeConn}).test(t, name, scenario{}, asUsual)
		}
	})
	t.Run("H2", func(t *testing.T) {
		for name, r := range map[string]response{
			"200 of length 0":       respond(200, ""),
			"200 of blanks":         respond(200, " \r\n\t"),
			"200 up to the end":     {raw: "HTTP/1.1 200 OK\r\n\r\n", then: closeConn},
			"200 without any chunk": {raw: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
		} {
			replying(r).test(t, name, scenario{},
				invalidResponse("200", "The API returned 200 OK, but not a publication"))
		}
		replying(response{raw: "HTTP/1.1 204 No Content\r\n\r\n"}).test(t, "204", scenario{},
			invalidResponse("204", "The API returned 204 No Content, expected 200 OK"))
	})
	t.Run("H3", func(t *testing.T) {
		for _, status := range []int{201, 202, 203, 205, 206, 207, 226, 299} {
			for _, body := range []string{confirmationBody, ""} {
				replying(respond(status, body)).test(t, fmt.Sprintf("%d with %d bytes", status, len(body)), scenario{},
					invalidResponse(fmt.Sprint(status), fmt.Sprint("The API returned ", status), "expected 200 OK"))
			}
		}
	})
	t.Run("H4", func(t *testing.T) {
		for _, test := range []struct {
			status     int
			code, does string
		}{
			{400, "BAD_PARAMETER", "Check that the version is not a draft"},
			{403, "INTERNAL_SERVER_ERROR", "Give the key Write on Agents and Phones"},
			{403, "FORBIDDEN", "Give the key Write on Agents and Phones"},
			{404, "AGENT_NOT_FOUND", "Check agent-id"},
			{404, "some.Code-1_x", "Check agent-id"},
		} {
			replying(apiError(test.status, test.code, "The reason is this.")).test(t,
				fmt.Sprint(test.status, " ", test.code), scenario{},
				rejected(test.code, test.status, ": The reason is this.", test.does))
		}
		// Rows G9, P1 and P3 have the versions and numbers that are not there, and those of others.
		for _, s := range []story{
			{name: "a read-only token", inputs: []string{"token", sandbox.ReadToken}, code: "INTERNAL_SERVER_ERROR",
				attempts: 1, says: []string{"Missing required permissions", nothingChanged}},
			{name: "no such agent", inputs: []string{"agent-id", sandbox.NextID}, code: "AGENT_NOT_FOUND", attempts: 1,
				says: []string{"not found", nothingChanged}},
			{name: "unpublish, no such agent", inputs: []string{"agent-id", sandbox.NextID, "unpublish", "true"},
				code: "AGENT_NOT_FOUND", attempts: 1, says: []string{"not found", nothingChanged}},
			{name: "no such token", inputs: []string{"token", "another-token"}, code: "INVALID_API_KEY", attempts: -1},
		} {
			s.run(t)
		}
		t.Run("a wrong api-url", func(t *testing.T) {
			server := &http.Server{Handler: sandbox.New()} // it breaks the contract
			with("api-url", "http://diga/prefix").check(t, server,
				expected{code: "HTTP_404", attempts: 1, says: []string{"Not Found", nothingChanged}})
		})
	})
	t.Run("H5", func(t *testing.T) {
		const own, foreign = "Check that token is complete, of this project and not expired",
			"Check api-url and token: this is not one of the API's own answers"
		for name, test := range map[string]struct {
			reply              response
			code, says, advice string
		}{
			"with a code": {apiError(401, "UNAUTHORIZED", "Bad token"), "UNAUTHORIZED", "Bad token", own},
			"with a detail": {respond(401, `{"detail":"Not authenticated"}`, "WWW-Authenticate: Bearer"), "HTTP_401",
				"Not authenticated", own},
			"without a body": {respond(401, ""), "HTTP_401", "401 Unauthorized", foreign},
			"of a gateway":   {respond(401, "<title>Unauthorized</title>"), "HTTP_401", "Unauthorized", foreign},
		} {
			replying(test.reply).test(t, name, scenario{}, rejected(test.code, 401, test.says, test.advice))
		}
	})
	t.Run("H6", func(t *testing.T) {
		for name, body := range map[string]string{
			"nginx": "<html>\r\n<head><title>404 Not Found</title></head>\r\n<body>\r\n" +
				"<center><h1>404 Not Found</h1></center>\r\n</body></html>",
			"plain":    "404 page not found\n",
			"empty":    "",
			"FastAPI":  `{"detail":"Not Found"}`,
			"no code":  `{"message":"Not Found"}`,
			"no words": `{"error_code":"not a plain word","message":"Not Found"}`,
		} {
			replying(respond(404, body)).test(t, name, scenario{},
				rejected("HTTP_404", 404, "Check api-url").neverShowing("<h1>", "Check agent-id"))
		}
	})
	t.Run("H7", func(t *testing.T) {
		for _, status := range []int{402, 405, 406, 407, 409, 410, 411, 413, 414, 415, 416, 417, 418, 421, 423, 424,
			425, 426, 428, 431, 451, 499} {
			t.Run(fmt.Sprint(status), func(t *testing.T) {
				replying(apiError(status, "SOME_CODE", "Because")).check(t, scenario{},
					rejected("SOME_CODE", status, ": Because"))
				replying(respond(status, "")).check(t, scenario{}, rejected(fmt.Sprint("HTTP_", status), status))
			})
		}
	})
	t.Run("H8", func(t *testing.T) {
		for _, status := range []int{408, 500, 502, 503, 504, 520, 521, 522, 523, 524} {
			for code, r := range map[string]response{
				"SOME_CODE":                 apiError(status, "SOME_CODE", "Because"),
				fmt.Sprint("HTTP_", status): respond(status, "<h1>Oh</h1>"),
			} {
				t.Run(fmt.Sprint(status, " ", code), func(t *testing.T) {
					w := ownError(code, status)
					if code != "SOME_CODE" { // a gateway cannot know
						w = unknownOutcome(code, 1).withHTTP(fmt.Sprint(status))
					}
					w.says = append(w.says, fmt.Sprint("The API returned ", status))
					replying(r).check(t, with("max-retries", "0"), w.atOnce())
					w.attempts, w.says = 5, append(w.says, "gave up after 5 attempts")
					replying(r).check(t, scenario{}, w.within(minBackoff, maxBackoff+4*pauses[status]))
				})
			}
			replying(respond(status, ""), confirmation).test(t, fmt.Sprint(status, " once"), scenario{},
				expected{attempts: 2, minTime: firstWait/2 + pauses[status], maxTime: firstWait + pauses[status]})
			replying(respond(status, ""), apiError(400, "BAD_PARAMETER", "No")).test(t, fmt.Sprint(status, ", 400"),
				scenario{}, unknownOutcome("BAD_PARAMETER", 2))
		}
	})
	// A gateway refuses each request that follows another within a second, as nginx does with limit_req and no burst.
	t.Run("H8a", func(t *testing.T) {
		_, server := newSandbox(t)
		api := server.Handler
		var last time.Time
		server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if time.Since(last) < time.Second {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			last = time.Now()
			api.ServeHTTP(w, r)
		})
		scenario{}.check(t, server, expected{attempts: 2})
	})
	t.Run("H9", func(t *testing.T) {
		const advice = "Correct these inputs"
		for name, test := range map[string]struct{ body, says, hides string }{
			"every input": {validationErrors("body.version_id", "v", "body.inbound_phone_number_id", "i",
				"body.outbound_phone_number_id", "o", "path.agent_id", "a"),
				"version-id: v; inbound-phone-number-id: i; outbound-phone-number-id: o; agent-id: a", "body."},
			"another field": {validationErrors("body.version_id", "v", "body.else", "e"),
				"version-id: v; body.else: e", " more"},
			"one of five": {validationErrors("a", "1", "b", "2", "c", "3", "d", "4", "e", "5"),
				"a: 1; b: 2; c: 3; d: 4; e: 5", " more"},
			"one of seven": {validationErrors("a", "1", "b", "2", "c", "3", "d", "4", "e", "5", "f", "6", "g", "7"),
				"e: 5; and 2 more", "f: 6"},
		} {
			replying(respond(422, test.body)).test(t, name, scenario{},
				rejected("HTTP_422", 422, test.says, advice).neverShowing(append(validationEcho, test.hides)...))
		}
	})
	t.Run("H10", func(t *testing.T) {
		long := strings.Repeat("long ", 1000)
		item := `{"loc":["body","version_id"],"msg":"Input should be a valid UUID"},`
		for name, test := range map[string]struct {
			body string
			says []string
		}{
			"a string":          {`{"detail":"Malformed"}`, []string{": Malformed", notTheAPI}},
			"an object":         {`{"detail":{"msg":"the-input"}}`, []string{notTheAPI}},
			"a number":          {`{"detail":7}`, nil},
			"null":              {`{"detail":null}`, nil},
			"an empty list":     {`{"detail":[]}`, nil},
			"a list of strings": {`{"detail":["one",["two"],7,"three"]}`, []string{": one; three"}},
			"an empty item":     {`{"detail":[{}]}`, nil},
			"integers in loc":   {`{"detail":[{"loc":["body",0,"x",1.5],"msg":"m"}]}`, []string{"body.0.x.1.5: m"}},
			"loc is a string":   {`{"detail":[{"loc":"body.version_id","msg":"m"}]}`, []string{"version-id: m"}},
			"msg is a list":     {`{"detail":[{"loc":["body"],"msg":["m"]},{"msg":"n"}]}`, []string{": n"}},
			"objects in loc":    {`{"detail":[{"loc":[{"a":1},null],"msg":"m"}]}`, []string{": m"}},
			"no loc":            {`{"detail":[{"msg":"m"}]}`, []string{": m"}},
			"no msg":            {`{"detail":[{"loc":["body","version_id"]}]}`, []string{notTheAPI}},
			"msg is a number":   {`{"detail":[{"loc":["body"],"msg":7}]}`, nil},
			"not an object":     {`["the-input"]`, nil},
			"broken":            {`{"detail":[{"loc":["body"],"msg":"the-input"`, nil},
			"10,000 items": {`{"detail":[` + strings.Repeat(item, 9_999) + item[:len(item)-1] + `]}`,
				[]string{"version-id: Input should be a valid UUID; and 9995 more"}},
			"more than 1 MiB": {`{"detail":[` + strings.Repeat(item, 99_999) + item[:len(item)-1] + `]}`, nil},
			"long texts": {validationErrors("body.version_id", long, "b", long, "c", long, "d", long, "e", long, "f",
				long), []string{"and 1 more"}},
			"a long place": {validationErrors(long, "m"), []string{"…"}},
		} {
			replying(respond(422, test.body)).test(t, name, scenario{},
				rejected("HTTP_422", 422, test.says...).neverShowing(validationEcho...))
		}
		replying(apiError(422, "BAD_PARAMETER", "Because")).test(t, "the form of every other error", scenario{},
			rejected("BAD_PARAMETER", 422, ": Because"))
	})
	t.Run("H11", func(t *testing.T) {
		busy := respond(429, "")
		replying(busy, confirmation).check(t, scenario{},
			expected{attempts: 2, minTime: time.Second, maxTime: 2 * time.Second})
		// It is a place in a queue, and does not use up the retries.
		replying(busy, busy, busy, confirmation).check(t, with("max-retries", "0"),
			expected{attempts: 4, minTime: 7 * time.Second, maxTime: 14 * time.Second})
	})
	t.Run("H12", func(t *testing.T) {
		for name, test := range map[string]struct {
			reply response
			code  string
		}{
			"with a code":        {apiError(429, "RATE_LIMITED", "Slow down"), "RATE_LIMITED"},
			"without":            {respond(429, ""), "HTTP_429"},
			"with a Retry-After": {apiError(429, "RATE_LIMITED", "Slow down", "Retry-After: 7"), "RATE_LIMITED"},
		} {
			t.Run(name, func(t *testing.T) {
				api := replying(test.reply)
				api.check(t, scenario{}, expected{code: test.code, httpStatus: "429", minTime: time.Minute,
					maxTime: 2 * time.Minute, neverShown: []string{mayBeApplied},
					says: []string{"The API returned 429 Too Many Requests", "gave up after", nothingChanged,
						"max-parallel", "increase timeout"}})
				if n := len(api.requests(http.MethodPatch)); n < 6 || n > 20 {
					t.Errorf("%d requests", n)
				}
			})
		}
	})
	t.Run("H13", func(t *testing.T) {
		var replies []response
		for i := range 5 {
			replies = append(replies, apiError(500, fmt.Sprint("FAILURE_", i+1), fmt.Sprintf("This is reply %d.", i+1)))
		}
		w := ownError("FAILURE_5", 500, "Try again later",
			"The API returned 500 Internal Server Error: This is reply 5; gave up after 5 attempts.")
		w.attempts = 5
		replying(replies...).check(t, scenario{}, w.within(minBackoff, maxBackoff))
		// The last response may also be one that is not retried.
		replying(replies[0], replies[1], apiError(403, "FORBIDDEN", "No more.")).check(t, scenario{},
			expected{code: "FORBIDDEN", attempts: 3, httpStatus: "403", says: []string{": No more.", nothingChanged}})
	})
	t.Run("H14", func(t *testing.T) {
		fake := replying(respond(500, ""), respond(502, ""), confirmation)
		fake.check(t, scenario{}, expected{attempts: 3, minTime: 1500 * time.Millisecond, maxTime: 3 * time.Second})
		changes := fake.requests(http.MethodPatch)
		for _, r := range changes {
			if r.body != changes[0].body || r.Header.Get("X-Request-Id") != changes[0].Header.Get("X-Request-Id") {
				t.Errorf("attempts differ: %+v, %+v", r, changes[0])
			}
		}

		api, server := newSandbox(t, sandbox.Fault{Status: 500}, sandbox.Fault{Status: 502, Applied: true})
		scenario{}.check(t, server, expected{attempts: 2, says: []string{readBack}})
		checkLive(t, api, sandbox.NextID)
	})
	t.Run("H15", func(t *testing.T) {
		for _, status := range []int{501, 505, 506, 507, 508, 510, 511, 519, 530, 599} {
			t.Run(fmt.Sprint(status), func(t *testing.T) {
				replying(respond(status, "")).check(t, scenario{}, unknownOutcome(fmt.Sprint("HTTP_", status), 1))
				replying(apiError(status, "BROKEN", "No")).check(t, scenario{},
					ownError("BROKEN", status, "Try again later", "request ID"))
			})
		}
		for _, status := range []int{525, 526, 527, 528, 529} { // from gateways, which cannot know
			replying(respond(status, "")).test(t, fmt.Sprint(status), scenario{},
				unknownOutcome(fmt.Sprint("HTTP_", status), 1))
		}
	})
	t.Run("H16", func(t *testing.T) {
		for name, raw := range map[string]string{
			"600":                respond(600, confirmationBody).raw,
			"999":                respond(999, confirmationBody).raw,
			"000":                respond(0, confirmationBody).raw,
			"101":                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
			"101 and no more":    "HTTP/1.1 101 Switching Protocols\r\n\r\n",
			"too many 1xx":       strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 5000) + confirmation.raw,
			"101 and then a 200": "HTTP/1.1 101 Switching Protocols\r\n\r\n" + confirmation.raw,
		} {
			replying(response{raw: raw}).test(t, name, scenario{},
				invalidResponse("none", "Could not read the response"))
		}
	})
	t.Run("H17", func(t *testing.T) {
		for _, status := range []int{300, 301, 302, 303, 304, 305, 307, 308, 399} {
			for name, test := range map[string]struct {
				location string // a whole header line
				to       string // as the message has it; empty: it does not say
			}{
				"same host":      {"Location: http://diga/secret-path?secret-query", "diga"},
				"itself":         {"Location: http://diga/v1/agent/" + sandbox.FrontDesk, "diga"},
				"a path":         {"Location: /secret-path", ""},
				"another host":   {"Location: https://login.example/secret-path?secret=#secret", "login.example"},
				"with a login":   {"Location: https://secret:secret@login.example:8443/", "login.example:8443"},
				"another scheme": {"Location: javascript:secret()", ""},
				"none":           {"X-Nothing: x", ""},
				"broken":         {"Location: http://[::secret", ""},
				"empty":          {"Location:", ""},
			} {
				to := strings.TrimSuffix(": redirect to "+test.to, ": redirect to ")
				t.Run(fmt.Sprint(status, " ", name), func(t *testing.T) {
					body := `<a href="secret-link">moved</a>`
					if status == 304 {
						body = ""
					}
					fake := replying(respond(status, body, test.location))
					fake.check(t, with("token", "a-token-of-no-other-word"), rejected("ACTION_REDIRECT_REFUSED", status,
						"(redirects are not followed)"+to+".",
						"Set api-url to the address of the API itself").neverShowing("secret"))
					if n := len(fake.requests("")); n != 6 {
						t.Errorf("%d requests, want three reads, a change and two reads", n)
					}
				})
			}
		}
		t.Run("https to http", func(t *testing.T) {
			target := &fakeAPI{}
			moved := sandbox.Fault{Status: 307, Header: http.Header{"Location": {target.start(t) + "/v1"}}}
			api, server := newSandbox(t, moved, get("", moved))
			server.TLSConfig = trustedConfig()
			res := with("api-url", "https://"+startServer(t, tlsServer{server})).run(t)
			res.check(t, expected{code: "ACTION_REDIRECT_REFUSED", attempts: 1, httpStatus: "307",
				says: []string{"(redirects are not followed): redirect to 127.0.0.1:", nothingChanged}})
			if n := len(target.requests("")); n != 0 || len(api.Requests()) != 6 {
				t.Errorf("%d requests at the target, %d at the API", n, len(api.Requests()))
			}
		})
		t.Run("the first read", func(t *testing.T) {
			fake := &fakeAPI{readsBefore: respond(302, "", "Location: http://diga/a")} // neither followed nor needed
			fake.check(t, scenario{}, asUsual)
			if n := len(fake.requests("")); n != 4 {
				t.Errorf("%d requests, want 4", n)
			}
		})
	})
	// The step's own codes are its own.
	t.Run("H18", func(t *testing.T) {
		for _, code := range []string{"ACTION_INPUT_INVALID", "ACTION_", "ACTION_VERSION_NOT_FOUND"} {
			w := rejected("HTTP_400", 400, ": No.")
			w.says[1] = "Diga refused v1.22.8"
			replying(apiError(400, code, "No.")).test(t, code, scenario{}, w)
		}
		replying(apiError(400, "ACTIONS", "No.")).test(t, "ACTIONS", scenario{}, rejected("ACTIONS", 400, ": No."))
	})
}

const firstWait = time.Second // before the first retry, at most

// pauses is how long the step waits between reading again and its next attempt: a 503 may be a rate limit.
var pauses = map[int]time.Duration{503: time.Second}

// validationErrors is the body of a 422 with these errors, each a loc and a message, which also echoes the request.
func validationErrors(pairs ...string) string {
	var list []object
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, object{"loc": strings.Split(pairs[i], "."), "msg": pairs[i+1], "type": "some_type",
			"input": "the-input", "ctx": object{"k": "the-ctx"}, "url": "https://the-url"})
	}
	return toJSON(object{"detail": list})
}

var validationEcho = []string{"the-input", "the-ctx", "the-url", "some_type"}
