package publish

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"publish-agent-version/diga"
	"publish-agent-version/internal/runner"
)

// HostileTexts are what a server or an input may contain to forge commands or markup.
var HostileTexts = []string{
	"a\n::add-mask::a", "a\r::error::forged", "a\r\n::error title=forged::forged",
	"a ##[set-output name=published-version-id]x", "##[##[error]]", "#\u200b#[error]forged", "##[set-env name=PATH]x", "##[add-matcher]x",
	"\u3000::SET-OUTPUT name=x::y", "\u00a0::SET-OUTPUT name=x::y", "\t::SET-OUTPUT name=x::y", "\ufeff::set-output name=x::y",
	"::stop-commands::t", "::error\u200b::x", "\u0301::error::x", "\uff9e::error::x", ":\u200b:error::x",
	"%0A::add-mask::x", "%250A::add-mask::x", "%3A%3Aerror%3A%3Ax",
	"_GitHubActionsFileCommandDelimeter_\nstatus=published", "a=b", "a<<EOF", "a<<EOF\nb\nEOF\nstatus=published", "=", "<<",
	"\x1b[31mred\x1b]0;title\a\x1b]8;;https://a.example\x1b\\x", "\u202e\u2066\u2028\u2029\u0085\u061c\U000e0041", "\xff\xfe\x00\xc3(\xed\xa0\x80",
	"<img src=x onerror=alert(1)>", "<!-- ", "</td></table><h1>", "[a](https://a.example)", "![a](https://a.example)", "https://a.example www.a.example a@a.example",
	"@octocat #1 octo-org/octo-repo#1", "| a | b |", `\|`, "`", "``` \n# a", "`` `a` ``", strings.Repeat("`", 90) + "[a](https://a.example)",
	"**a** __b__ ~~c~~ $d$", "&lt;img&gt; &#60;", "- a\n- b", ":tada:",
	"${{ secrets.TOKEN }}", "$(id) `id` ;id", "%s %d %!", "***", "…", "{", `{"error_code":"X"}`, "null",
}

func FuzzClean(f *testing.F) {
	for _, text := range HostileTexts {
		for _, most := range []int{5, 20, maxText, maxLine} {
			f.Add("a"+text+"b"+text, secret, most)
			f.Add(text+secret+text, secret, most)
			f.Add(text+secret, text, most)
		}
	}
	backticks := "`" + strings.Repeat("x`", 500)
	for n := range 100 { // runs of every length that fit, alone and together
		backticks += "x" + strings.Repeat("`", n)
		f.Add(strings.Repeat("`", n), secret, maxText)
		f.Add(backticks, secret, maxText)
	}
	f.Fuzz(func(t *testing.T, text, token string, most int) {
		if most < 4 || most > maxLine { // 4 have room for ": :" and an ellipsis
			most = maxText
		}
		checkClean(t, text, token, most)
		want := newCleaner(token).text(text)
		if got, ok := renderSpan(newCleaner(token).codeSpan(text)); want != "" && (!ok || got != want) {
			t.Errorf("codeSpan(%q) shows %q, want %q", text, got, want)
		}
	})
}

// fuzzedInputs are the inputs that FuzzInputs varies.
var fuzzedInputs = []string{
	"token", "agent-id", "version-id", "version-name", "unpublish", "inbound-phone-number-id", "outbound-phone-number-id", "dry-run", "api-url", "timeout", "max-retries",
}

func FuzzInputs(f *testing.F) {
	add := func(changes ...string) {
		v := []string{secret, agentID, versionID, "", "", "", "", "", "http://api", "10s", "1"}
		for i := 0; i < len(changes); i += 2 {
			v[slices.Index(fuzzedInputs, changes[i])] = changes[i+1]
		}
		f.Add(v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[8], v[9], v[10])
	}
	add()
	add("version-id", "")
	add("version-id", "", "version-name", "v1")
	add("version-id", "", "unpublish", "true")
	add("version-id", "", "unpublish", "true", "inbound-phone-number-id", phoneID)
	seeded := make(map[string]bool)
	for _, p := range InputProblems() { // one for each input; the rows on inputs run them all
		if !seeded[p.Name] {
			seeded[p.Name] = true
			add(p.Name, p.Value)
		}
	}
	for i, text := range HostileTexts {
		add(fuzzedInputs[i%len(fuzzedInputs)], text)
		add("token", text+secret, "agent-id", text+secret, "timeout", text+secret, "api-url", "https://"+text+secret)
	}
	f.Fuzz(func(t *testing.T, token, agent, version, name, unpublish, inbound, outbound, dryRun, apiURL, timeout, maxRetries string) {
		values := []string{token, agent, version, name, unpublish, inbound, outbound, dryRun, apiURL, timeout, maxRetries}
		env := make(map[string]string)
		for i, name := range fuzzedInputs {
			if values[i] != "" {
				env["INPUT_"+strings.ToUpper(name)] = values[i]
			}
		}
		in, problems := readInputs(func(name string) string { return strings.TrimSpace(env["INPUT_"+strings.ToUpper(name)]) })
		err := joinProblems(problems)
		if err == nil {
			checkValid(t, in)
		}
		synctest.Test(t, func(t *testing.T) {
			var dialled atomic.Bool // by several reads at the same time
			ran := runFuzzed(t, env, func(context.Context, string, string) (net.Conn, error) {
				dialled.Store(true)
				return nil, errors.New("no network here")
			})
			if dialled.Load() != (err == nil) {
				t.Errorf("%q: dialled: %v, although the problem is %v", values, dialled.Load(), err)
			}
			if len(token) < 8 { // may be a part of any word, which then has stars
				return
			}
			if (err != nil) != (ran.outputs["error-code"] == "ACTION_INPUT_INVALID") || ran.exit != 1 || ran.outputs["status"] != "failed" {
				t.Errorf("%q: exit status %d, outputs %q, although the problem is %v", values, ran.exit, ran.outputs, err)
			}
		})
	})
}

// checkValid checks that inputs cannot contradict the contract.
func checkValid(t *testing.T, in inputs) {
	t.Helper()
	chosen := 0
	for _, is := range []bool{in.Version.Valid, in.VersionName != "", in.Unpublish} {
		if is {
			chosen++
		}
	}
	switch {
	case chosen != 1, in.Unpublish && in.Phones != [diga.Directions]phoneInput{}:
		t.Errorf("more or less than one choice in %+v", in)
	case in.Timeout < time.Second, in.Timeout > 30*time.Minute, in.MaxRetries < 0, in.MaxRetries > 10:
		t.Errorf("out of bounds: %+v", in)
	case in.APIURL.Host == "", in.APIURL.User != nil, in.APIURL.RawQuery != "", in.APIURL.Fragment != "":
		t.Errorf("not an address: %s", in.APIURL)
	case in.APIURL.Scheme != "https" && !(in.APIURL.Scheme == "http" && isLocal(in.APIURL.Hostname(), net.ParseIP(in.APIURL.Hostname()))):
		t.Errorf("in the clear: %s", in.APIURL)
	}
	request, err := http.NewRequest("PATCH", in.APIURL.JoinPath("v1/agent", in.Agent.String()).String(), nil)
	if err != nil || !strings.HasSuffix(request.URL.Path, "/v1/agent/"+in.Agent.String()) {
		t.Errorf("%s cannot be asked: %v", in.APIURL, err)
	}
	request.Header.Set("Authorization", "Bearer "+in.Token.reveal())
	if err := request.Write(new(strings.Builder)); err != nil {
		t.Errorf("cannot be sent: %v", err)
	}
}

func FuzzOutputs(f *testing.F) {
	for _, text := range HostileTexts {
		f.Add("", text, text, text)
		f.Add("a=b", text, "", text+secret)
		f.Add("a=b\n", "", text, "a<<EOF")
		f.Add("a<<EOF\nb\nEOF", "=<<=", "a=b", "ü 中"+text)
		f.Add("a=b\r\n", text, text, "")
	}
	f.Fuzz(func(t *testing.T, before, first, second, third string) {
		held, err := runner.Outputs(before)
		if err != nil {
			t.Skip("the file was broken before")
		}
		path := newFile(t, before)
		p := newTestReport(map[string]string{"GITHUB_ACTIONS": "true", "GITHUB_OUTPUT": path})
		p.mask(secret)
		if err := p.openOutputs(); err != nil {
			t.Fatal(err)
		}
		defer p.outputFile.Close()
		if err := p.setOutputs([]output{{"first", first}, {"second", second}, {"third", third}}); err != nil {
			t.Fatal(err)
		}
		want := append(held, runner.Output{Name: "first", Value: p.line(first, maxLine)},
			runner.Output{Name: "second", Value: p.line(second, maxLine)}, runner.Output{Name: "third", Value: p.line(third, maxLine)})
		if got, err := runner.Outputs(readFile(t, path)); err != nil || !slices.Equal(got, want) {
			t.Errorf("got %q, %v; want %q", got, err, want)
		}
	})
}

func FuzzPrinted(f *testing.F) {
	head := func(status, header string) string { return "HTTP/1.1 " + status + "\r\n" + header + "\r\n" }
	published := `{"agent_id":"` + agentID + `","version_id":"` + versionID + `","version_name":"v1","is_published":true}`
	confirmed := `{"agent_id":"` + agentID + `","published_version_id":"` + versionID + `"}`
	f.Add(head("200 OK", "")+published, head("200 OK", "")+confirmed, "")
	f.Add(head("404 Not Found", ""), head("500 Oops", "Retry-After: 1\r\n")+`{"error_code":"A","message":"b"}`, head("200 OK", "")+confirmed)
	for _, text := range append([]string{secret, "Bearer " + secret}, HostileTexts...) {
		quoted, _ := json.Marshal(text)
		inJSON := strings.Trim(string(quoted), `"`)
		f.Add(head("200 OK", "")+strings.Replace(published, "v1", inJSON, 1), head("200 OK", "")+confirmed, "")
		f.Add("", head("200 OK", "")+strings.Replace(confirmed, agentID, inJSON, 1), "")
		f.Add("", head("400 Bad Request", "")+`{"error_code":"`+inJSON+`","message":"`+inJSON+`"}`, "")
		f.Add("", head("422 Unprocessable", "")+`{"detail":[{"loc":["body","`+inJSON+`"],"msg":"`+inJSON+`"}]}`, "")
		f.Add("", head("503 "+text, text+": "+text+"\r\n")+text, head("500 Oops", "Content-Length: "+text+"\r\n")+text)
		f.Add("", head("302 Found", "Location: https://"+text+"\r\n"), "")
		f.Add("", head("500 Oops", "")+`{"error_code":"A"}`, "HTTP/1.1 "+text+"\r\n\r\n")
		f.Add(text, text, text)
	}
	f.Fuzz(func(t *testing.T, read, change, again string) {
		synctest.Test(t, func(t *testing.T) {
			env := map[string]string{
				"RUNNER_DEBUG": "1", "GITHUB_ACTION_REPOSITORY": "octo-org/publish-agent-version", "GITHUB_ACTION_REF": "v1",
				"INPUT_TOKEN": secret, "INPUT_AGENT-ID": agentID, "INPUT_VERSION-ID": versionID,
				"INPUT_API-URL": "http://api", "INPUT_TIMEOUT": "10s", "INPUT_MAX-RETRIES": "1",
			}
			changes := []string{change, again}
			ran := runFuzzed(t, env, func(context.Context, string, string) (net.Conn, error) {
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
			})
			if ran.exit != 0 && ran.exit != 1 {
				t.Errorf("exit status %d", ran.exit)
			}
		})
	})
}

// fuzzResult is what a fuzzed step left behind.
type fuzzResult struct {
	exit    int
	outputs map[string]string
}

var (
	ownTags   = regexp.MustCompile("<br>|</?details( open)?>|</?summary>|<code>[^<>]*</code>")
	yamlBlock = regexp.MustCompile("(?s)\n```yaml\n.*?\n```\n")
)

// runFuzzed runs the step inside Actions and checks what must hold for any inputs and responses.
func runFuzzed(t *testing.T, env map[string]string, dial func(context.Context, string, string) (net.Conn, error)) fuzzResult {
	t.Helper()
	token := strings.TrimSpace(env["INPUT_TOKEN"])
	env["GITHUB_ACTIONS"], env["GITHUB_OUTPUT"], env["GITHUB_STEP_SUMMARY"] = "true", newFile(t, ""), newFile(t, "")
	var stdout, stderr strings.Builder
	exit := Step{Environ: environ(env), Stdout: &stdout, Stderr: &stderr, Version: "fuzz", Dial: dial}.Run(t.Context())

	log := runner.ReadLog(stdout.String())
	var masks, ends []string
	for _, c := range log.Commands {
		switch c.Name {
		case "debug", "warning": // a warning says what a guard could not protect
		case "add-mask":
			masks = append(masks, c.Data)
		case "notice":
			ends = append(ends, "notice")
		default:
			ends = append(ends, c.Name+" "+c.Properties["title"])
		}
	}
	outputs := make(map[string]string)
	list, err := runner.Outputs(readFile(t, env["GITHUB_OUTPUT"]))
	for _, o := range list {
		if _, twice := outputs[o.Name]; twice || !slices.Contains(OutputNames, o.Name) {
			t.Errorf("an output that was not meant: %s=%s", o.Name, o.Value)
		}
		outputs[o.Name] = o.Value
	}
	want := []string{"notice"}
	if exit != 0 {
		want = []string{"error " + outputs["error-code"]}
		if _, there := outputs["published-version-id"]; there {
			t.Errorf("a failure has the output published-version-id: %q", outputs)
		}
	}
	if err != nil || !slices.Equal(ends, want) || len(log.Failures) > 0 || stderr.Len() > 0 {
		t.Errorf("exit status %d, commands %q, want %q; failures %v; outputs %q, %v; standard error %q", exit, ends, want, log.Failures, outputs, err, &stderr)
	}
	var wantMasks []string
	if first, _ := utf8.DecodeRuneInString(token); len(token) >= minToken && !combines(first) {
		wantMasks = []string{token}
	}
	if !slices.Equal(masks, wantMasks) {
		t.Errorf("masks %q, want %q", masks, wantMasks)
	}
	summary := readFile(t, env["GITHUB_STEP_SUMMARY"])
	if rest := OutsideCodeSpans(summary); strings.ContainsAny(rest, "<>[]@!\\") {
		t.Errorf("the summary is more than text: %q in\n%s", rest, summary)
	}
	if secretToken(token).problem() == "" && len(token) >= 8 && !strings.Contains(token, "*") {
		everything := strings.Join(log.Printed, "\n") + "\n" + readFile(t, env["GITHUB_OUTPUT"]) + "\n" + summary
		if seen := runner.FindSecret(everything, token); len(seen) > 0 {
			t.Errorf("the token shows: %v in\n%s", seen, everything)
		}
	}
	return fuzzResult{exit, outputs}
}

// OutsideCodeSpans returns a job summary without the YAML to paste and without its code spans, whose content is text to a
// renderer.
func OutsideCodeSpans(markdown string) string {
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
