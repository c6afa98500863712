package publish_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"publish-agent-version/internal/sandbox"
	"publish-agent-version/publish"
)

// fuzzedInputs are the inputs that FuzzInputs varies.
var fuzzedInputs = []string{
	"token", "agent-id", "version-id", "version-name", "unpublish", "inbound-phone-number-id",
	"outbound-phone-number-id", "dry-run", "api-url", "timeout", "max-retries",
}

func FuzzInputs(f *testing.F) {
	add := func(changes ...string) {
		v := []string{
			publish.Secret, sandbox.FrontDesk, sandbox.NextID, "", "", "", "", "", "http://api", "10s", "1",
		}
		for i := 0; i < len(changes); i += 2 {
			v[slices.Index(fuzzedInputs, changes[i])] = changes[i+1]
		}
		f.Add(v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[8], v[9], v[10])
	}
	add()
	add("version-id", "")
	add("version-id", "", "version-name", "v1")
	add("version-id", "", "unpublish", "true")
	add("version-id", "", "unpublish", "true", "inbound-phone-number-id", sandbox.Reception)
	seeded := make(map[string]bool)
	for _, p := range inputProblems() { // one for each input; the rows on inputs run them all
		if !seeded[p.name] && slices.Contains(fuzzedInputs, p.name) {
			seeded[p.name] = true
			add(p.name, p.value)
		}
	}
	for i, text := range publish.HostileTexts {
		add(fuzzedInputs[i%len(fuzzedInputs)], text)
		add("token", text+publish.Secret, "agent-id", text+publish.Secret, "timeout", text+publish.Secret, "api-url",
			"https://"+text+publish.Secret)
	}
	f.Fuzz(func(t *testing.T, token, agent, version, name, unpublish, inbound, outbound, dryRun, apiURL, timeout,
		maxRetries string) {
		values := []string{token, agent, version, name, unpublish, inbound, outbound, dryRun, apiURL, timeout,
			maxRetries}
		given := make(map[string]string)
		for i, name := range fuzzedInputs {
			given[name] = values[i]
		}
		var dialled atomic.Bool // by several reads at the same time
		res := runFuzzed(t, scenario{inputs: given, dial: func(context.Context, string, string) (net.Conn, error) {
			dialled.Store(true)
			return nil, errors.New("no network here")
		}})
		if len(token) >= 8 && dialled.Load() == (res.outputs["error-code"] == "ACTION_INPUT_INVALID") || res.exit != 1 {
			t.Errorf("%q: dialled: %t, exit status %d, outputs %q", values, dialled.Load(), res.exit, res.outputs)
		}
		if !dialled.Load() {
			return
		}
		chosen := 0
		unpublishes := strings.EqualFold(strings.TrimSpace(unpublish), "true")
		for _, is := range []bool{isSet(version), isSet(name), unpublishes} {
			if is {
				chosen++
			}
		}
		address, err := url.Parse(strings.TrimSpace(apiURL))
		limit, _ := time.ParseDuration(strings.TrimSpace(timeout))
		switch {
		case chosen != 1, unpublishes && (isSet(inbound) || isSet(outbound)):
			t.Errorf("%q: more or less than one choice", values)
		case isSet(timeout) && (limit < time.Second || limit > 30*time.Minute):
			t.Errorf("%q: a timeout out of bounds", values)
		case err != nil, address.User != nil, address.RawQuery != "", address.Fragment != "",
			address.Scheme == "http" && strings.Contains(address.Hostname(), ".") &&
				!net.ParseIP(address.Hostname()).IsLoopback():
			t.Errorf("%q: not an address, or in the clear: %v", values, err)
		}
	})
}

func isSet(input string) bool { return strings.TrimSpace(input) != "" }

func FuzzPrinted(f *testing.F) {
	head := func(status, header string) string { return "HTTP/1.1 " + status + "\r\n" + header + "\r\n" }
	published := `{"agent_id":"` + sandbox.FrontDesk + `","version_id":"` + sandbox.NextID +
		`","version_name":"v1","is_published":true}`
	confirmed := `{"agent_id":"` + sandbox.FrontDesk + `","published_version_id":"` + sandbox.NextID + `"}`
	f.Add(head("200 OK", "")+published, head("200 OK", "")+confirmed, "")
	f.Add(head("404 Not Found", ""), head("500 Oops", "Retry-After: 1\r\n")+`{"error_code":"A","message":"b"}`,
		head("200 OK", "")+confirmed)
	for _, text := range append([]string{publish.Secret, "Bearer " + publish.Secret}, publish.HostileTexts...) {
		quoted, _ := json.Marshal(text)
		inJSON := strings.Trim(string(quoted), `"`)
		f.Add(head("200 OK", "")+strings.Replace(published, "v1", inJSON, 1), head("200 OK", "")+confirmed, "")
		f.Add("", head("200 OK", "")+strings.Replace(confirmed, sandbox.FrontDesk, inJSON, 1), "")
		f.Add("", head("400 Bad Request", "")+`{"error_code":"`+inJSON+`","message":"`+inJSON+`"}`, "")
		f.Add("", head("422 Unprocessable", "")+`{"detail":[{"loc":["body","`+inJSON+`"],"msg":"`+inJSON+`"}]}`, "")
		f.Add("", head("503 "+text, text+": "+text+"\r\n")+text, head("500 Oops", "Content-Length: "+text+"\r\n")+text)
		f.Add("", head("302 Found", "Location: https://"+text+"\r\n"), "")
		f.Add("", head("500 Oops", "")+`{"error_code":"A"}`, "HTTP/1.1 "+text+"\r\n\r\n")
		f.Add(text, text, text)
	}
	f.Fuzz(func(t *testing.T, read, change, again string) {
		changes := []string{change, again}
		s := with("token", publish.Secret, "api-url", "http://api", "timeout", "10s", "max-retries", "1")
		s.env, s.outputFile = map[string]string{"RUNNER_DEBUG": "1"}, "a<<EOF\nb\nEOF"
		s.dial = func(context.Context, string, string) (net.Conn, error) {
			near, far := net.Pipe()
			go func() {
				defer far.Close()
				request, err := http.ReadRequest(bufio.NewReader(far))
				if err != nil {
					return
				}
				reply := read
				if request.Method == http.MethodPatch {
					reply = changes[0]
					changes = []string{changes[len(changes)-1]}
				}
				_, _ = io.Copy(io.Discard, request.Body)
				_, _ = io.WriteString(far, reply) // its end is the end of the connection
			}()
			return near, nil
		}
		if res := runFuzzed(t, s); res.exit > 1 {
			t.Errorf("exit status %d", res.exit)
		}
	})
}

// runFuzzed runs the step in virtual time, and checks that its summary is only text.
func runFuzzed(t *testing.T, s scenario) (res result) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { res = s.run(t) })
	if rest := outsideCodeSpans(res.summary); strings.ContainsAny(rest, "<>[]@!\\") || res.stderr != "" {
		t.Errorf("the summary is more than text: %q in\n%s\nstandard error: %s", rest, res.summary, res.stderr)
	}
	return res
}

var (
	ownTags   = regexp.MustCompile("<br>|</?details( open)?>|</?summary>|<code>[^<>]*</code>")
	yamlBlock = regexp.MustCompile("(?s)\n```yaml\n.*?\n```\n")
)

// outsideCodeSpans returns a job summary without the YAML to paste and without its code spans, whose content is text to
// a renderer.
func outsideCodeSpans(markdown string) string {
	var rest strings.Builder
	markdown = ownTags.ReplaceAllString(yamlBlock.ReplaceAllString(markdown, "\n"), "")
	for {
		before, span, found := strings.Cut(markdown, "`")
		rest.WriteString(before)
		if !found {
			return rest.String()
		}
		fence := "`" + span[:len(span)-len(strings.TrimLeft(span, "`"))]
		markdown = span[len(fence)-1:]
		for { // up to the next run of as many
			text, after, found := strings.Cut(markdown, fence)
			if !found {
				rest.WriteString(fence) // a run without an end is text
				break
			}
			markdown = strings.TrimLeft(after, "`")
			if len(markdown) == len(after) && !strings.HasSuffix(text, "`") {
				break
			}
		}
	}
}
