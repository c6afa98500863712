package publish_test

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"publish-agent-version/internal/sandbox"
	"publish-agent-version/publish"
)

// toJSON writes v as JSON, with nothing escaped that need not be.
func toJSON(v any) string {
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		panic(err)
	}
	return b.String()
}

type object = map[string]any

// An injection puts text from elsewhere in one place. Its code is what the step then fails with; empty: it depends on
// the text.
type injection struct {
	name   string
	code   string
	server fakeServer
	scenario
}

const success = "success"

// injections puts text in every place that a server or a workflow controls.
func injections(text string) []injection {
	changed := func(name, code string, changes ...response) injection {
		return injection{name, code, &fakeAPI{replies: changes}, scenario{}}
	}
	raw := func(text string) response { return response{raw: text, then: closeConn} }
	version := func(change object) object {
		v := object{"agent_id": sandbox.FrontDesk, "version_id": sandbox.LiveID, "version_name": "v1",
			"version_number": 228, "is_published": true}
		maps.Copy(v, change)
		return v
	}
	before := func(name string, v object) injection {
		return injection{name, success, &fakeAPI{readsBefore: respond(200, toJSON(v))}, scenario{}}
	}
	listed := func(name, code, wanted string, versions ...object) injection {
		page, live := toJSON(object{"data": versions, "has_more": false, "first_id": nil, "last_id": nil}),
			toJSON(version(nil))
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case strings.HasSuffix(r.URL.Path, "/version"):
				_, _ = io.WriteString(w, page)
			case r.Method == http.MethodPatch:
				_, _ = io.WriteString(w, toJSON(object{"agent_id": sandbox.FrontDesk,
					"published_version_id": sandbox.LiveID}))
			default:
				_, _ = io.WriteString(w, live)
			}
		})}
		return injection{name, code, server, with("version-name", wanted)}
	}
	confirmed := func(change object) string {
		c := object{"agent_id": sandbox.FrontDesk, "published_version_id": sandbox.NextID}
		maps.Copy(c, change)
		return toJSON(c)
	}
	const invalid = "ACTION_RESPONSE_INVALID"
	list := []injection{
		changed("message", "BAD_PARAMETER",
			respond(400, toJSON(object{"error_code": "BAD_PARAMETER", "message": text}))),
		changed("error_code", "HTTP_400", respond(400, toJSON(object{"error_code": "!" + text, "message": "a"}))),
		changed("details", "HTTP_422", respond(422, toJSON(object{"detail": slices.Repeat([]object{{
			"loc": []any{"body", text}, "msg": text, "type": text, "input": text, "ctx": object{text: text},
		}}, 7)}))),
		changed("detail", "HTTP_422", respond(422, toJSON(object{"detail": text}))),
		changed("agent_id", invalid, respond(200, confirmed(object{"agent_id": text}))),
		changed("published_version_id", invalid, respond(200, confirmed(object{"published_version_id": text}))),
		changed("inbound_phone_number_id", invalid, respond(200, confirmed(object{"inbound_phone_number_id": text}))),
		changed("outbound_phone_number_id", invalid, respond(200, confirmed(object{"outbound_phone_number_id": text}))),
		changed("a field's name", invalid, respond(200,
			"{"+strings.TrimSpace(toJSON(text))+":1,"+strings.TrimSpace(toJSON(text))+":2}")),
		changed("a 200's body", invalid, respond(200, "x"+text)),
		changed("a 404's body", "HTTP_404", respond(404, "x"+text)),
		changed("a page's title", "HTTP_404", respond(404, "<html><title>"+text+"</title>")),
		changed("reason phrase", "", raw("HTTP/1.1 400 "+text+"\r\nContent-Length: 0\r\n\r\n")),
		changed("status", "", raw("HTTP/1.1 "+text+"\r\n\r\n")),
		changed("protocol", "", raw(text+"\r\n\r\n")),
		changed("a header's name", "", raw("HTTP/1.1 400 Bad\r\n"+text+": a\r\n\r\n")),
		changed("a header's value", "", raw("HTTP/1.1 400 Bad\r\nX-A: "+text+"\r\n\r\n")),
		changed("Retry-After", "", raw("HTTP/1.1 503 Bad\r\nRetry-After: "+text+"\r\n\r\n")),
		changed("Location", "", raw("HTTP/1.1 302 Found\r\nLocation: https://"+text+"\r\n\r\n")),
		changed("Content-Encoding", "", raw("HTTP/1.1 200 OK\r\nContent-Encoding: "+text+"\r\n\r\n"+confirmationBody)),
		changed("Content-Length", "", raw("HTTP/1.1 200 OK\r\nContent-Length: "+text+"\r\n\r\n"+confirmationBody)),
		changed("Transfer-Encoding", "", raw(
			"HTTP/1.1 200 OK\r\nTransfer-Encoding: "+text+"\r\n\r\n"+confirmationBody)),
		changed("the last of two replies", "", apiError(500, "FIRST", "first"), raw("HTTP/1.1 "+text+"\r\n\r\n")),
		changed("the first of two replies", "HTTP_404",
			respond(500, toJSON(object{"error_code": "FIRST", "message": text})), respond(404, "")),
		before("version_name of what is published", version(object{"version_name": text})),
		before("name of the agent", version(object{"name": text})),
		before("version_id of what is published", version(object{"version_id": text})),
		before("agent_id of what is published", version(object{"agent_id": text})),
		listed("version-name", success, strings.TrimSpace("x"+text),
			version(object{"version_name": strings.TrimSpace("x" + text)})),
		listed("names of other versions", "ACTION_VERSION_NOT_FOUND", "x"+text,
			slices.Repeat([]object{version(object{"version_name": text})}, 7)...),
		listed("names of drafts", "ACTION_VERSION_NOT_FOUND", strings.TrimSpace("x"+text),
			version(object{"version_name": strings.TrimSpace("x" + text), "is_draft": true})),
		listed("a name twice", "ACTION_VERSION_AMBIGUOUS", strings.TrimSpace("x"+text),
			version(object{"version_name": strings.TrimSpace("x" + text)}),
			version(object{"version_name": strings.TrimSpace("x" + text), "version_id": sandbox.OldestID})),
		{"the action's own name", success, &fakeAPI{},
			scenario{env: map[string]string{"GITHUB_ACTION_REPOSITORY": text + "/a"}}},
		{"the action's version", success, &fakeAPI{}, scenario{env: map[string]string{"GITHUB_ACTION_REF": text}}},
	}
	for i := range list {
		inputs := map[string]string{"max-retries": "1"}
		maps.Copy(inputs, list[i].inputs)
		list[i].inputs = inputs
		if !utf8.ValidString(text) && list[i].inputs["version-name"] != "" {
			list[i].code = "" // JSON cannot say the same name
		}
	}
	return list
}

// checkHarmless injects text in every place and checks that the run still reports one clean result.
func checkHarmless(t *testing.T, text string) {
	t.Helper()
	for _, place := range injections(text) {
		t.Run(place.name, func(t *testing.T) {
			res := place.runInMemory(t, place.server)
			if got := cmp.Or(res.outputs["error-code"], success); place.code != "" && got != place.code {
				t.Errorf("%q: got %s, want %s", text, got, place.code)
			}
			checkSummaryIsText(t, res.summary)
			for _, a := range res.log.Annotations() {
				if a.Level == "error" && !saysWhatIsLive.MatchString(a.Message) {
					t.Errorf("%q: the annotation does not say what is live: %s", text, a.Message)
				}
			}
			if t.Failed() {
				t.Logf("%q printed:\n%s\nsummary:\n%s", text, res.stdout, res.summary)
			}
		})
	}
}

var saysWhatIsLive = regexp.MustCompile("Nothing was changed|may (still be|have been) applied|is (still )?live")

// pastedStepLine is a line of the step to paste.
var pastedStepLine = regexp.MustCompile(`^(- uses: (\./|[\w*-]+/[\w./-]+(@[\w*./-]+)?)|  with:|` +
	`    token: \$\{\{ secrets\.DIGA_TOKEN \}\}|    [a-z-]+-id: ([0-9a-f-]{36}|none)|    api-url: "http://[\w.:]+")$`)

// checkSummaryIsText checks that text from elsewhere is in code spans alone.
func checkSummaryIsText(t *testing.T, summary string) {
	t.Helper()
	if rest := outsideCodeSpans(summary); strings.ContainsAny(rest, "<>[]@!\\") || strings.Contains(rest, "a.example") {
		t.Errorf("the summary is more than text: %s", rest)
	}
	if _, block, found := strings.Cut(summary, "```yaml\n"); found {
		lines := strings.Split(block, "\n")
		end := slices.Index(lines, "```")
		for _, line := range lines[:max(end, 0)] {
			if !pastedStepLine.MatchString(line) {
				t.Errorf("the step to paste has the line %q", line)
			}
		}
		if rest := strings.Join(lines[end+1:], ""); end < 0 || !strings.HasPrefix(rest, "Add the phone numbers") &&
			!strings.HasPrefix(rest, "</details>") {
			t.Errorf("the step to paste does not end: %q", rest)
		}
	}
	refused := strings.HasPrefix(summary, "### ❌")
	if table := strings.Count(summary, "\n| "); table < 2 && !refused || table > 4 {
		t.Errorf("the table has %d rows", table)
	}
}

// A foreignText is the API's message, and how the annotation shows it.
type foreignText struct{ text, shown string }

// foreignTexts are the texts of the rows X. The first of each is also injected everywhere.
var foreignTexts = map[string][]foreignText{
	"X1": {
		{"a\n::add-mask::a", "a ::add-mask::a"}, {"a\r::error::forged", "a ::error::forged"},
		{"\n::add-mask::a", ": :add-mask::a"}, {"a\r\n\n::notice title=b::forged", "a ::notice title=b::forged"},
	},
	"X2": {
		{"a ##[set-output name=published-version-id]x", "a ## [set-output name=published-version-id]x"},
		{"##[error]x ##[error]y", "## [error]x ## [error]y"}, {"##[##[error]", "## [## [error]"},
		{"####[error]", "#### [error]"}, {"#\u200b#\x00[error]x", "## [error]x"},
	},
	"X3": {
		{"\u3000::SET-OUTPUT name=x::y", ": :SET-OUTPUT name=x::y"}, {"\t\u00a0::set-env::y", ": :set-env::y"},
		{"\u200b\x00::stop-commands::t", ": :stop-commands::t"}, {":\u200b:add-mask::a", ": :add-mask::a"},
		{"##[set-env name=PATH]x", "## [set-env name=PATH]x"}, {"##[add-matcher]x", "## [add-matcher]x"},
		{"\u0301::error::x", ": :error::x"}, {"\u0301 \u0308\uff9e\uff9fa", "a"}, {"e\u0301", "e\u0301"},
		{"::", ": :"}, {":::::a", ": ::::a"}, {":a", ":a"},
	},
	"X4": {{"%0A::add-mask::x", "%0A::add-mask::x"}, {"%250A::add-mask::x", "%250A::add-mask::x"},
		{"%3A%3Aerror", "%3A%3Aerror"}},
	"X5": {
		{"_GitHubActionsFileCommandDelimeter_", "_GitHubActionsFileCommandDelimeter_"}, {"a=b", "a=b"},
		{"a<<EOF", "a<<EOF"}, {"a<<EOF\nb\nEOF\nstatus=published", "a<<EOF b EOF status=published"},
		{"a\n_GitHubActionsFileCommandDelimeter_\nstatus=published",
			"a _GitHubActionsFileCommandDelimeter_ status=published"},
		{strings.Repeat("long ", 1<<16), strings.Repeat("long ", 78) + "long…"},
		{strings.Repeat("é", 401), strings.Repeat("é", 399) + "…"},
		{strings.Repeat("é", 400), strings.Repeat("é", 400)},
	},
	"X7": {
		{"a\x1b[31mb\x1b[0mc\x1b]0;title\ad\x1b]8;;https://a.example\x1b\\e", "abcde"},
		{"\x1b[38;5;1ma\x1b[K\x1b]0;title without an end", "a"}, {"\x1b\x1b[0m[31ma", "[31ma"},
		{"a\u202eb\u2066c\u200fd\u061ce\ufefff\u00adg\U000e0041h", "abcdefgh"},
		{" \t a  b\nc\rd\r\ne\u0085f\u2028g\u2029h\vi\fj ", "a b c d e f g h i j"},
		{"a\u00a0b\u3000c\u2003d\u1680e", "a b c d e"}, {"a\x00b\x07c\x7fd\u009be", "abcde"},
		{"a\ue000b\U000f0000c\ufffed\U0001ffffe", "abcde"}, {"é 中文 🙂 ñ", "é 中文 🙂 ñ"},
		{"[a](b) <c> `d` | *e*", "[a](b) <c> `d` | *e*"},
	},
}

// checkShown runs a step that the API refuses with this message, and checks how that is shown.
func checkShown(t *testing.T, s scenario, text foreignText) {
	t.Helper()
	res := s.check(t, replying(respond(400, toJSON(object{"error_code": "BAD_PARAMETER", "message": text.text}))),
		expected{code: "BAD_PARAMETER", httpStatus: "400", attempts: 1})
	want := "Diga refused v1.22.8 (400 Bad Request): " + strings.TrimSuffix(text.shown, ".") + ". Nothing was changed"
	want = strings.Replace(want, "…. ", "… ", 1)
	if !strings.HasPrefix(res.message(), want) || !strings.HasPrefix(res.outputs["error-message"], want) {
		t.Errorf("%.500q: annotation %q, error-message %q; want %q", text.text, res.message(),
			res.outputs["error-message"], want)
	}
}

// echoes are the ways in which a server may echo a token, first eight that hold nothing else.
func echoes(token string) []string {
	inJSON, err := json.Marshal(token)
	if err != nil {
		panic(err)
	}
	forms := []string{token, url.QueryEscape(token), url.PathEscape(token), strings.Trim(string(inJSON), `"`),
		strings.Trim(toJSON(token), "\"\n"), strings.Trim(strconv.Quote(token), `"`),
		base64.StdEncoding.EncodeToString([]byte(token)), base64.URLEncoding.EncodeToString([]byte(token))}
	for _, coding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding, base64.RawStdEncoding,
		base64.RawURLEncoding} {
		forms = append(forms, coding.EncodeToString([]byte("Bearer "+token+"\r\n")))
		for around := range 9 {
			forms = append(forms, coding.EncodeToString([]byte("xyz"[:around/3]+token+"xyz"[:around%3])))
		}
	}
	return forms
}

func TestFaultsText(t *testing.T) {
	t.Parallel()
	for id, texts := range foreignTexts {
		t.Run(id, func(t *testing.T) {
			for _, text := range texts {
				checkShown(t, scenario{}, text)
			}
			checkHarmless(t, texts[0].text)
		})
	}

	t.Run("X5", func(t *testing.T) {
		api := replying(respond(400, toJSON(object{"error_code": "BAD_PARAMETER",
			"message": strings.Repeat("2 MB", 1<<19)})))
		res := scenario{}.check(t, api, expected{code: "HTTP_400", httpStatus: "400", attempts: 1})
		if n := len(res.stdout) + len(res.summary) + len(fmt.Sprint(res.outputs)); n > 20_000 {
			t.Errorf("shows %d bytes", n)
		}
	})

	t.Run("X6", func(t *testing.T) {
		for _, token := range []string{sandbox.Token, publish.Secret, "ab+/cd+/ef==", "12345678",
			"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"} {
			s := with("token", token)
			for i, form := range echoes(token) {
				if i < 8 {
					checkShown(t, s, foreignText{form + " " + form, "*** ***"})
				}
				res := s.check(t, replying(apiError(401, "UNAUTHORIZED", "not known: "+form)), expected{
					code: "UNAUTHORIZED", httpStatus: "401", says: []string{"not known: ", "***"}})
				if strings.Contains(res.message()+res.summary+res.outputs["error-message"], form) {
					t.Errorf("%s shows", form)
				}
			}
			for _, between := range []string{"\x00", "\x1b[31m", "\u202e"} {
				hidden := strings.Join(strings.Split(token, ""), between)
				checkShown(t, s, foreignText{"a" + hidden + "b", "a***b"})
			}
		}
		checkHarmless(t, sandbox.Token)
		checkHarmless(t, base64.StdEncoding.EncodeToString([]byte("Bearer "+sandbox.Token)))
		// As a code it is a plain word.
		scenario{}.check(t, replying(apiError(401, sandbox.Token, "a")), expected{code: "HTTP_401", httpStatus: "401"})
		// No part of a long one is cut out of an id, or of the end of a message.
		long := strings.Repeat("0123456789abcdef", 10)
		for _, text := range []string{long, strings.Repeat("x", 380) + long, strings.Repeat("x", 399) + long} {
			for _, place := range injections(text) {
				place.inputs["token"] = long
				res := place.runInMemory(t, place.server)
				if strings.Contains(everythingShown(res), long[:16]) && !strings.HasPrefix(place.name, "version_name") {
					t.Errorf("%s: a part of the token shows:\n%s", place.name, everythingShown(res))
				}
			}
		}
	})

	t.Run("X8", func(t *testing.T) {
		var markup []string
		for _, text := range publish.HostileTexts {
			if strings.ContainsAny(text, "<>[]@!\\`|*&#-") {
				markup = append(markup, text)
			}
		}
		for chunk := range slices.Chunk(markup, 10) {
			checkHarmless(t, strings.Join(chunk, " "))
		}
		checkHarmless(t, strings.Repeat("`", 100)+"[a](https://a.example)")
	})

	t.Run("certificate", func(t *testing.T) {
		for _, text := range []string{"a\n::error::forged", "a\r##[error]forged", "##[add-mask]a", "<b>a</b>",
			sandbox.Token} {
			api := &fakeAPI{onConnect: serveTLS(
				&tls.Config{Certificates: []tls.Certificate{newCertificate(func(c *x509.Certificate) {
					c.DNSNames, c.IPAddresses = []string{text}, nil
					c.Subject.CommonName, c.Subject.Organization = text, []string{text}
				})}})}
			res := with("api-url", "https://"+startServer(t, api)).run(t)
			res.check(t, expected{code: "ACTION_TLS_ERROR", attempts: -1, neverShown: []string{"forged", "<b>"}})
			checkSummaryIsText(t, res.summary)
		}
	})
}

const panicValue = "what the server said"

// broken panics, once or always, when a line that has this word is written.
func broken(w io.Writer, word string, always bool) io.Writer {
	var once sync.Once
	return lineHook{w, word, func() {
		if once.Do(func() { panic(panicValue) }); always {
			panic(panicValue)
		}
	}}
}

func TestFaultsTextX9(t *testing.T) {
	const (
		nothing = "The action crashed. Nothing was changed"
		mayBe   = "The action crashed. The change may have been applied; running this step again is safe"
		live    = "The action crashed. The change is in effect"
	)
	server := func() *fakeAPI {
		return &fakeAPI{readsBefore: respond(200, `{"data":[`+toJSON(object{
			"agent_id": sandbox.FrontDesk, "version_id": sandbox.LiveID, "version_name": panicValue,
			"is_published": true,
		})+`],"has_more":false}`), replies: []response{apiError(503, "FIRST", panicValue), confirmation}}
	}
	refusing := func() *fakeAPI { return replying(apiError(404, "AGENT_NOT_FOUND", panicValue)) }
	losing := func() *fakeAPI { return replying(response{then: closeConn}) }
	// The summary is not looked at: it may be complete when the last line breaks off.
	base := scenario{inputs: map[string]string{"max-retries": "1"},
		env: map[string]string{"GITHUB_STEP_SUMMARY": os.DevNull}}
	for _, tt := range []struct {
		on       string // a part of the line that panics
		server   func() *fakeAPI
		status   string
		says     string
		attempts string
	}{
		{"publish-agent-version test", server, "failed", nothing, ""},
		{"Agent " + sandbox.FrontDesk, server, "failed", nothing, ""},
		{"Live version of", server, "failed", nothing, ""},
		{"PATCH", server, "failed", nothing, ""},
		{"Attempt 1", server, "unknown", mayBe, "1"},
		{"Waiting", server, "unknown", mayBe, "1"},
		{"Attempt 2", server, "unknown", mayBe, "2"},
		{"::notice", server, "unknown", live, "2"},
		{"::error title=AGENT_NOT_FOUND", refusing, "failed", nothing, "1"},
		{"::error title=ACTION_NETWORK_ERROR", losing, "unknown", mayBe, "2"},
		{"Read back: ", losing, "unknown", mayBe, "2"},
	} {
		t.Run("X9/"+tt.on, func(t *testing.T) {
			base.modify = func(s *publish.Step, _ context.CancelCauseFunc) {
				s.Stdout = broken(s.Stdout, tt.on, false)
			}
			res := base.runInMemory(t, tt.server())
			res.check(t, expected{code: "ACTION_INTERNAL", status: tt.status, httpStatus: "none",
				says:       []string{tt.says, "Report this as a bug"},
				neverShown: []string{"panic", "goroutine", ".go:"}})
			if res.exit != 1 || res.outputs["attempts"] != tt.attempts ||
				!strings.HasPrefix(res.outputs["error-message"], tt.says) ||
				strings.Contains(res.message()+res.outputs["error-message"], panicValue) {
				t.Errorf("exit status %d, outputs %q, annotation %q", res.exit, res.outputs, res.message())
			}
		})
	}
	// If even the last line cannot be printed, the exit status and the outputs remain.
	t.Run("X9/the last words", func(t *testing.T) {
		s := scenario{env: map[string]string{"GITHUB_ACTIONS": ""}}
		s.modify = func(s *publish.Step, _ context.CancelCauseFunc) {
			s.Stderr = broken(broken(s.Stderr, "Attempt", true), "ACTION_INTERNAL", true)
		}
		s.check(t, server(), expected{code: "ACTION_INTERNAL", status: "unknown", attempts: 1, httpStatus: "none"})
	})
	t.Run("X9/every line", func(t *testing.T) {
		for _, actions := range []string{"", "true"} {
			base := scenario{env: map[string]string{"GITHUB_ACTIONS": actions, "GITHUB_OUTPUT": ""}}
			step := publish.Step{
				Environ: environ(base.env), Version: "test",
				Stdout: broken(io.Discard, "", true), Stderr: broken(io.Discard, "", true),
			}
			if exit := step.Run(t.Context()); exit != 1 {
				t.Errorf("exit status %d, want 1", exit)
			}
		}
	})
}

// net/http logs what a server sends on an idle connection with the standard logger, and quoting it stops neither a
// command of the second grammar nor the token. Whether the connection is idle by then is random, so it is tried often.
func TestUnaskedText(t *testing.T) {
	for range 10 {
		before := liveVersion(sandbox.LiveID)
		before.raw += "##[set-output name=status]published ##[error]" + sandbox.Token
		address := startServer(t, &fakeAPI{readsBefore: before, replies: []response{confirmation}})
		res := with("api-url", "http://"+address, "max-retries", "0").runBinary(t)
		if printed := strings.Join(res.log.Printed, "\n"); strings.Contains(printed, "Unsolicited") ||
			strings.Contains(printed, "##[") {
			t.Fatalf("net/http's own log shows:\n%s", printed)
		}
	}
}
