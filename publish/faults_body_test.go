package publish_test

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"publish-agent-version/internal/sandbox"
)

// TestFaultsBody has the rows B of docs/faults.md.
func TestFaultsBody(t *testing.T) {
	t.Parallel()
	t.Run("B1", func(t *testing.T) {
		for name, r := range truncatedReplies(200, confirmationBody) {
			replying(r, confirmation).test(t, name, scenario{},
				expected{attempts: 2, minTime: 500 * time.Millisecond, maxTime: time.Second})
		}
	})
	t.Run("B2", func(t *testing.T) {
		for name, r := range truncatedReplies(200, confirmationBody) {
			w := unknownOutcome("ACTION_RESPONSE_INVALID", 5, isSafe, "The response was cut off after ",
				"gave up after 5 attempts")
			replying(r).test(t, name, scenario{}, w.withHTTP("200").within(minBackoff, maxBackoff))
		}
		t.Run("by a reset", func(t *testing.T) { // which is known for what it is
			r := truncatedReplies(200, confirmationBody)["by length"]
			r.then = resetConn
			replying(r).check(t, scenario{}, unknownOutcome("ACTION_NETWORK_ERROR", 5,
				"No response from diga: connection reset by peer", "gave up after 5 attempts"))
		})
		t.Run("after a whole object", func(t *testing.T) { // not all was read, so it does not count
			replying(response{raw: "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + confirmationBody,
				then: closeConn}).check(t, scenario{},
				unknownOutcome("ACTION_RESPONSE_INVALID", 5,
					fmt.Sprintf("The response was cut off after %d bytes", len(confirmationBody))))
		})
		t.Run("a trailer without end", func(t *testing.T) {
			chunk := fmt.Sprintf("%x\r\n%s\r\n0\r\n", len(confirmationBody), confirmationBody)
			replying(response{raw: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk,
				stream: repeatText("X: y\r\n", 100_000), then: closeConn}).check(t, scenario{},
				unknownOutcome("ACTION_RESPONSE_INVALID", 5))
		})
	})
	t.Run("B3", func(t *testing.T) {
		const body = `{"status":"error","message":"half of this","error_code":"NEVER_WHOLE"}`
		for name := range truncatedReplies(500, body) {
			t.Run(name, func(t *testing.T) {
				for _, status := range []int{500, 502} {
					w := unknownOutcome(fmt.Sprint("HTTP_", status), 5, fmt.Sprint("The API returned ", status),
						"gave up after 5 attempts").withHTTP(fmt.Sprint(status)).neverShowing("half of")
					replying(truncatedReplies(status, body)[name]).check(t, scenario{}, w.within(minBackoff,
						maxBackoff))
				}
				replying(truncatedReplies(403, body)[name]).check(t, scenario{}, rejected("HTTP_403", 403))
			})
		}
	})
	t.Run("B4", func(t *testing.T) {
		of := func(fields string) string { return `{"agent_id":"` + sandbox.FrontDesk + `"` + fields + `}` }
		with := func(field string) string { return of(`,"published_version_id":"` + sandbox.NextID + `",` + field) }
		for name, body := range map[string]string{
			"HTML":                        "<html><title>Welcome to nginx!</title></html>",
			"plain text":                  "OK",
			"null":                        "null",
			"true":                        "true",
			"a number":                    "7",
			"an array":                    "[]",
			"an array of one":             "[" + confirmationBody + "]",
			"a string":                    `"x"`,
			"an empty object":             "{}",
			"half an object":              confirmationBody[:40],
			"agent_id is null":            `{"agent_id":null,"published_version_id":"` + sandbox.NextID + `"}`,
			"agent_id is a number":        `{"agent_id":7}`,
			"agent_id is an object":       `{"agent_id":{}}`,
			"agent_id is empty":           `{"agent_id":""}`,
			"agent_id is a name":          `{"agent_id":"front-desk"}`,
			"agent_id in braces":          `{"agent_id":"{` + sandbox.FrontDesk + `}"}`,
			"the version is a number":     of(`,"published_version_id":7`),
			"the version is a boolean":    of(`,"published_version_id":true`),
			"the version is an array":     of(`,"published_version_id":["` + sandbox.NextID + `"]`),
			"the version is a name":       of(`,"published_version_id":"` + sandbox.NextName + `"`),
			"the version with a blank":    of(`,"published_version_id":" ` + sandbox.NextID + `"`),
			"a phone is a number":         with(`"inbound_phone_number_id":7`),
			"a phone is an object":        with(`"outbound_phone_number_id":{}`),
			"a phone is empty":            with(`"inbound_phone_number_id":""`),
			"more text after it":          confirmationBody + "x",
			"another object after it":     confirmationBody + confirmationBody,
			"a comma too many":            strings.Replace(confirmationBody, "}", ",}", 1),
			"a comment":                   "// x\n" + confirmationBody,
			"single quotes":               strings.ReplaceAll(confirmationBody, `"`, `'`),
			"names in another case":       strings.ReplaceAll(confirmationBody, "agent_id", "Agent_ID"),
			"a version, not a publishing": `{"version_id":"` + sandbox.NextID + `"}`,
		} {
			replying(respond(200, body)).test(t, name, scenario{}, invalidResponse("200",
				"The API returned 200 OK, but not a publication: ", "Check that api-url points to the API"))
		}
	})
	t.Run("B5", func(t *testing.T) {
		const desk, night, next, live = sandbox.FrontDesk, sandbox.NightDesk, sandbox.NextID, sandbox.LiveID
		const in, out = sandbox.Switch, sandbox.Callback
		phones := map[string]string{"inbound-phone-number-id": in, "outbound-phone-number-id": out}
		off := map[string]string{"unpublish": "true"}
		for name, test := range map[string]struct {
			inputs                map[string]string
			body                  string
			output, was, returned string
		}{
			"agent":              {nil, confirmationOf(night, next, "", ""), "agent-id", desk, night},
			"version":            {nil, confirmationOf(desk, live, "", ""), "version-id", next, live},
			"no version":         {nil, confirmationOf(desk, "", "", ""), "version-id", next, "null"},
			"version left out":   {nil, `{"agent_id":"` + desk + `"}`, "version-id", next, "null"},
			"inbound":            {phones, confirmationOf(desk, next, out, out), "inbound-phone-number-id", in, out},
			"no inbound":         {phones, confirmationOf(desk, next, "", out), "inbound-phone-number-id", in, "null"},
			"outbound":           {phones, confirmationOf(desk, next, in, in), "outbound-phone-number-id", out, in},
			"no outbound":        {phones, confirmationOf(desk, next, in, ""), "outbound-phone-number-id", out, "null"},
			"the phones swapped": {phones, confirmationOf(desk, next, out, in), "outbound-phone-number-id", out, in},
			"still published":    {off, confirmationOf(desk, live, "", ""), "version-id", "null", live},
		} {
			replying(respond(200, test.body)).test(t, name, scenario{inputs: test.inputs},
				unknownOutcome("ACTION_RESPONSE_MISMATCH", 1, "The API confirmed a different change than requested",
					test.output+": requested "+test.was+", got "+test.returned, checkFirst).withHTTP("200").atOnce())
		}
	})
	t.Run("B6", func(t *testing.T) {
		const desk, next, in, out = sandbox.FrontDesk, sandbox.NextID, sandbox.Switch, sandbox.Callback
		ids := `{"agent_id":"` + desk + `","published_version_id":"` + next + `"`
		phones := map[string]string{"inbound-phone-number-id": in, "outbound-phone-number-id": out}
		off := map[string]string{"unpublish": "true"}
		for name, test := range map[string]struct {
			inputs                  map[string]string
			body, inbound, outbound string
		}{
			"null":                  {nil, confirmationOf(desk, next, "", ""), "", ""},
			"absent":                {nil, ids + "}", "", ""},
			"one of them":           {nil, ids + `,"inbound_phone_number_id":"` + in + `"}`, in, ""},
			"both":                  {nil, confirmationOf(desk, next, in, out), in, out},
			"other fields":          {nil, ids + `,"agent":7,"x":{"inbound_phone_number_id":7}}`, "", ""},
			"upper case":            {nil, confirmationOf("A"+desk[1:], "B"+next[1:], "", ""), "", ""},
			"phones as asked":       {phones, confirmationOf(desk, next, in, out), in, out},
			"offline":               {off, confirmationOf(desk, "", "", ""), "", ""},
			"offline, in few words": {off, `{"agent_id":"` + desk + `"}`, "", ""},
		} {
			t.Run(name, func(t *testing.T) {
				w := asUsual
				if test.inputs["unpublish"] != "" {
					w.status = "unpublished"
				}
				res := replying(respond(200, test.body)).check(t, scenario{inputs: test.inputs}, w)
				inbound, hasIn := res.outputs["inbound-phone-number-id"]
				outbound, hasOut := res.outputs["outbound-phone-number-id"]
				if !hasIn || !hasOut || inbound != test.inbound || outbound != test.outbound ||
					res.outputs["agent-id"] != desk {
					t.Errorf("outputs %q", res.outputs)
				}
			})
		}
	})
	t.Run("B7", func(t *testing.T) {
		// A gzip member of 1 MiB of zeros is 1 kB long, and members may follow each other.
		bomb := bytes.Repeat(gzipped(strings.Repeat("\x00", 1<<20)), 512)
		if len(bomb) > 600<<10 {
			t.Fatalf("the bomb has %d bytes", len(bomb))
		}
		const gib = 1 << 30
		chunk := "10000\r\n" + strings.Repeat(" ", 1<<16) + "\r\n"
		for name, body := range map[string]struct {
			header, text, more string
			times              int
		}{
			"1 GiB":               {fmt.Sprint("Content-Length: ", gib), "", " ", gib},
			"1 GiB in chunks":     {"Transfer-Encoding: chunked", "", chunk, gib / len(chunk)},
			"1 GiB of one string": {"Connection: close", `{"agent_id":"`, "a", gib},
			"1 GiB of brackets":   {"Connection: close", "", "[", gib},
			"gzip bomb":           {"Content-Encoding: gzip\r\nConnection: close", string(bomb), " ", 0},
		} {
			reply := func(status int) response {
				return response{raw: fmt.Sprintf("HTTP/1.1 %d Text\r\n%s\r\n\r\n%s", status, body.header, body.text),
					stream: repeatText(body.more, body.times), then: closeConn}
			}
			for status, want := range map[int]expected{
				200: unknownOutcome("ACTION_RESPONSE_INVALID", 1,
					"Could not read the response: body exceeds 1048576 bytes", isSafe),
				404: {code: "HTTP_404", attempts: 1, httpStatus: "404", says: []string{nothingChanged}},
				500: unknownOutcome("HTTP_500", 1),
			} {
				replying(reply(status)).testMeasured(t, fmt.Sprint(name, " ", status), want, "max-retries", "0")
			}
			(&fakeAPI{readsBefore: reply(200)}).testMeasured(t, name+" for the first read", asUsual)
		}
		t.Run("1 MiB and no more", func(t *testing.T) {
			t.Parallel()
			full := confirmationBody + strings.Repeat(" ", 1<<20-len(confirmationBody))
			replying(respond(200, full)).check(t, scenario{}, asUsual)
			replying(respond(200, full+" ")).check(t, scenario{}, unknownOutcome("ACTION_RESPONSE_INVALID", 1))
		})
	})
	t.Run("B8", func(t *testing.T) {
		good := gzipped(confirmationBody)
		flipped := bytes.Clone(good)
		flipped[len(flipped)-8] ^= 0xff // the checksum
		broken := bytes.Clone(good)
		for i := 10; i < len(broken)-8; i++ {
			broken[i] = 0xff
		}
		for name, test := range map[string]struct{ coding, body string }{
			"gzip that is none":     {"gzip", confirmationBody},
			"gzip of nothing else":  {"gzip", "\x1f\x8b" + strings.Repeat("x", 100)},
			"a wrong checksum":      {"gzip", string(flipped)},
			"broken inside":         {"gzip", string(broken)},
			"br":                    {"br", confirmationBody},
			"deflate":               {"deflate", confirmationBody},
			"zstd":                  {"zstd", confirmationBody},
			"gzip twice":            {"gzip, gzip", string(good)},
			"an unheard-of coding":  {"rot13", confirmationBody},
			"more after the stream": {"gzip", string(good) + strings.Repeat("x", 20)},
		} {
			t.Run(name, func(t *testing.T) {
				replying(respond(200, test.body, "Content-Encoding: "+test.coding)).check(t, scenario{},
					invalidResponse("200", "Could not read the response"))
				// The status of an error is known even if its body is lost.
				replying(respond(403, test.body, "Content-Encoding: "+test.coding)).check(t, scenario{},
					rejected("HTTP_403", 403))
			})
		}
		for name, test := range map[string]struct{ coding, body string }{
			"gzip": {"gzip", string(good)}, "GZIP": {"GZIP", string(good)}, "identity": {"identity", confirmationBody},
			"no name": {"", confirmationBody},
		} {
			replying(respond(200, test.body, "Content-Encoding: "+test.coding)).test(t, name+" is read", scenario{},
				asUsual)
		}
	})
	t.Run("B9", func(t *testing.T) {
		with := func(fields string) string { return strings.TrimSuffix(confirmationBody, "}") + "," + fields + "}" }
		deep := strings.Repeat("[", 10_001)
		var keys strings.Builder
		for i := range 90_000 {
			fmt.Fprintf(&keys, `"k%d":0,`, i)
		}
		for name, test := range map[string]struct {
			body string
			read bool
		}{
			"9,000 deep":                {with(`"x":` + strings.Repeat("[", 9_000) + strings.Repeat("]", 9_000)), true},
			"10,001 deep":               {with(`"x":` + deep + strings.Repeat("]", 10_001)), false},
			"10,001 deep and no end":    {strings.Repeat(`{"a":`, 10_001), false},
			"a million keys":            {with(strings.Repeat(`"a":0,`, 1_000_000) + `"b":0`), false},
			"90,000 keys":               {with(keys.String() + `"k":0`), true},
			"a key twice":               {with(`"agent_id":"` + sandbox.FrontDesk + `"`), false},
			"a key twice, escaped":      {with(`"\u0061gent_id":"` + sandbox.NightDesk + `"`), false},
			"an unknown key twice":      {with(`"x":1,"x":2`), false},
			"a key twice further in":    {with(`"x":{"y":1,"y":2}`), true},
			"a key in another case":     {with(`"AGENT_ID":"` + sandbox.NightDesk + `"`), true},
			"not UTF-8, further in":     {with("\"x\":\"\xff\xfe\""), true},
			"not UTF-8, in a key":       {with("\"\xff\":0"), true},
			"not UTF-8, in an id":       {strings.Replace(confirmationBody, "a0000000", "a000000\xff", 1), false},
			"a lone surrogate":          {with(`"x":"\ud800"`), true},
			"a lone surrogate in an id": {strings.Replace(confirmationBody, "a0000000", `a000000\ud800`, 1), false},
			"an escaped id":             {strings.Replace(confirmationBody, "a0000000", `\u00610000000`, 1), true},
			"a byte order mark":         {"\ufeff" + confirmationBody, false},
			"UTF-16":                    {"\xff\xfe{\x00}\x00", false},
			"a NUL before":              {"\x00" + confirmationBody, false},
			"a NUL after":               {confirmationBody + "\x00", false},
			"a NUL inside":              {with("\"x\":\"\x00\""), false},
			"an escaped NUL":            {with(`"x":"\u0000"`), true},
			"a line break in a string":  {with("\"x\":\"\n\""), false},
			"a number past all floats":  {with(`"x":1e999999`), true},
			"NaN":                       {with(`"x":NaN`), false},
			"__proto__":                 {with(`"__proto__":{"agent_id":7}`), true},
			"blanks around":             {"\r\n\t " + confirmationBody + " \r\n\t", true},
			"a blank that JSON has not": {"\u00a0" + confirmationBody, false},
		} {
			w := expected{attempts: 1}
			if !test.read {
				w = unknownOutcome("ACTION_RESPONSE_INVALID", 1, isSafe)
			}
			replying(respond(200, test.body)).test(t, name, scenario{}, w)
		}
	})
	t.Run("B10", func(t *testing.T) {
		long := strings.Repeat("A", 1_000_000)
		for name, test := range map[string]struct{ value, code string }{
			"a number":       {"7", ""},
			"an array":       {`["BAD_PARAMETER"]`, ""},
			"an object":      {`{"code":"BAD_PARAMETER"}`, ""},
			"true":           {"true", ""},
			"null":           {"null", ""},
			"empty":          {`""`, ""},
			"1 MB":           {`"` + long + `"`, ""},
			"65 letters":     {`"` + long[:65] + `"`, ""},
			"64 letters":     {`"` + long[:64] + `"`, long[:64]},
			"an emoji":       {`"🙈"`, ""},
			"an accent":      {`"É"`, ""},
			"a blank":        {`"BAD PARAMETER"`, ""},
			"a line break":   {`"BAD\nPARAMETER"`, ""},
			"a final break":  {`"BAD_PARAMETER\n"`, "BAD_PARAMETER"},
			"a command":      {`"::error::x"`, ""},
			"Markdown":       {`"**x**"`, ""},
			"lower case":     {`"bad_parameter"`, "bad_parameter"},
			"dots":           {`"agent.not-found"`, "agent.not-found"},
			"the token":      {`"` + sandbox.Token + `"`, ""},
			"another's case": {`"X","ERROR_CODE":"Y"`, "X"},
		} {
			w := rejected(cmp.Or(test.code, "HTTP_400"), 400, ": Because")
			if name == "the token" { // the reply has a code, which cannot be shown
				w.says = []string{"Diga refused v1.22.8 (400 Bad Request): Because", stillLive}
			}
			if test.code == "" {
				w.neverShown = append(w.neverShown, "🙈", "É", "PARAMETER", "::x", "**x**", long[:65])
			}
			replying(respond(400, `{"status":"error","message":"Because","error_code":`+test.value+`}`)).test(t, name,
				scenario{}, w)
		}
		for name, test := range map[string]struct{ value, says string }{
			"message of 900 kB":  {`"` + long[:900_000] + `"`, long[:100]},
			"message null":       {"null", "(400 Bad Request)"},
			"message a number":   {"7", "(400 Bad Request)"},
			"message an object":  {`{"x":"y"}`, "(400 Bad Request)"},
			"message of blanks":  {`" \n\t "`, "(400 Bad Request)"},
			"message of 3 lines": {`"a\nb\r\nc"`, ": a b c."},
		} {
			replying(respond(400, `{"error_code":"BAD_PARAMETER","message":`+test.value+`}`)).test(t, name, scenario{},
				rejected("BAD_PARAMETER", 400, test.says))
		}
	})
	t.Run("B11", func(t *testing.T) {
		for name, test := range map[string]struct{ body, says string }{
			"nginx": {"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n" +
				"<center><h1>Oh no</h1></center>\r\n</body>\r\n</html>", ": 502 Bad Gateway"},
			"no title":          {"<body><h1>Down</h1>\n<p>for <b>repair</b></p></body>", ": Down for repair"},
			"an empty title":    {"<title></title><h1>Down</h1>", ""},
			"a title in pieces": {"<title>\n  Down\n  for repair\n</title>", ": Down for repair"},
			"no end of a title": {"<title>Down", ": Down"},
			"no end of a tag":   {"Down<img src=x", ": Down"},
			"a tag in a tag":    {"<<b>script>Down", ": script>Down"},
			"a comment":         {"<!-- secret --><p>Down</p>", ": Down"},
			"200 kB":            {"<body>" + strings.Repeat("Down ", 40_000) + "</body>", ": Down Down"},
			"all tags":          {strings.Repeat("<br>", 10_000), ""},
			"plain text":        {"Service unavailable\n", ": Service unavailable"},
			"nothing":           {"", ""},
			"not UTF-8":         {"a\xffb\xc3", ": a\ufffdb\ufffd"},
		} {
			t.Run(name, func(t *testing.T) {
				for _, status := range []int{500, 502, 404} {
					w := unknownOutcome(fmt.Sprint("HTTP_", status), 1, http.StatusText(status)+test.says)
					if status == 404 {
						w = rejected("HTTP_404", 404, http.StatusText(status)+test.says)
					}
					res := replying(respond(status, test.body, "Content-Type: text/html")).check(t,
						with("max-retries", "0"), w.neverShowing("Oh no"))
					shown := res.message() + ownTags.ReplaceAllString(res.summary, "")
					if strings.Contains(shown, "<") {
						t.Errorf("shows tags: %s", shown)
					}
				}
			})
		}
	})
}

// truncatedReplies are responses with this status whose body is cut off in the middle of text.
func truncatedReplies(status int, text string) map[string]response {
	head, half := fmt.Sprintf("HTTP/1.1 %d Text\r\n", status), text[:len(text)/2]
	chunked, chunk := head+"Transfer-Encoding: chunked\r\n\r\n", fmt.Sprintf("%x\r\n%s\r\n", len(half), half)
	replies := make(map[string]response)
	for name, raw := range map[string]string{
		"by length":      head + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(text)) + half,
		"in a chunk":     chunked + fmt.Sprintf("%x\r\n", len(text)) + half,
		"between chunks": chunked + chunk,
		"a bad chunk":    chunked + chunk + "nonsense\r\n",
		"a long chunk":   chunked + strings.Repeat("f", 17) + "\r\n" + half,
		"in gzip": head + "Content-Encoding: gzip\r\nConnection: close\r\n\r\n" +
			string(gzipped(text)[:len(gzipped(text))/2]),
	} {
		replies[name] = response{raw: raw, then: closeConn}
	}
	return replies
}

func gzipped(text string) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = io.WriteString(z, text)
	_ = z.Close()
	return b.Bytes()
}

// confirmationOf is the body of a confirmation; an empty id is null.
func confirmationOf(agent, version, inbound, outbound string) string {
	body := fmt.Sprintf(`{"agent_id":%q,"published_version_id":%q,"inbound_phone_number_id":%q,`+
		`"outbound_phone_number_id":%q}`, agent, version, inbound, outbound)
	return strings.ReplaceAll(body, `""`, "null")
}
