package publish_test

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"publish-agent-version/internal/sandbox"
	"publish-agent-version/publish"
)

// A story is a run against the sandbox: what the API does, and what the step must do and say.
type story struct {
	name   string
	inputs []string // names and values; version-id is sandbox.NextID unless a version is given
	env    map[string]string
	is     sandbox.Behavior
	setup  func(api *sandbox.Sandbox) // before the run; nil: nothing
	after  func(api *sandbox.Sandbox) // after each request for the change
	faults []sandbox.Fault

	after10s func(api *sandbox.Sandbox) // at that time after the start
	signal   syscall.Signal             // as in scenario
	signalAt time.Duration

	code, status string   // as in expected
	attempts     int      // -1: the change is not sent; 0: any number, but none if the status says so
	says         []string // parts of the annotation or error-message
	hides        []string // must not be printed or written
	warns        []string // a part of each warning, in order; nil: there is none
	live         string   // version afterwards; empty: NextID if it is published, else LiveID; "none"
	inbound      []string // ids afterwards; nil: Reception, if a version is live
	outputs      map[string]string
	requests     int           // of any kind; 0: any number
	least, most  time.Duration // that the run takes; most 0: any time
	summary      []string
}

// prepare makes the sandbox, its server and the run.
func (s story) prepare(t *testing.T) (*sandbox.Sandbox, *http.Server, scenario) {
	t.Helper()
	api, server := newSandbox(t, s.faults...)
	if s.setup != nil {
		s.setup(api)
	}
	api.Set(s.is)
	if s.after != nil {
		server = withHookAfterChange(api, func() { s.after(api) })
	}
	run := with(s.inputs...)
	run.env, run.signal, run.signalAt = s.env, s.signal, s.signalAt
	if s.after10s != nil {
		run.modify = func(*publish.Step, context.CancelCauseFunc) {
			time.AfterFunc(10*time.Second, func() { s.after10s(api) })
		}
	}
	for _, other := range []string{"version-name", "unpublish", "show-live"} {
		if value := run.inputs[other]; value != "" && run.inputs["version-id"] == "" {
			run.inputs["version-id"] = ""
		}
	}
	return api, server, run
}

// run runs s as a subtest.
func (s story) run(t *testing.T) {
	t.Helper()
	t.Run(s.name, func(t *testing.T) {
		api, server, run := s.prepare(t)
		res, publishes := run.runInMemory(t, server), cmp.Or(s.status, "published") == "published" && s.code == ""
		if slices.Contains([]string{"dry-run", "live", "offline"}, s.status) {
			s.attempts = -1
		}
		res.check(t, expected{code: s.code, status: s.status, attempts: s.attempts, says: s.says, neverShown: s.hides,
			minTime: s.least, maxTime: s.most})
		warnings := res.warnings()
		if len(warnings) != len(s.warns) {
			t.Errorf("warns %q, want %q", warnings, s.warns)
		}
		for i, part := range s.warns[:min(len(s.warns), len(warnings))] {
			if !strings.Contains(warnings[i], part) || !strings.Contains(strings.ReplaceAll(res.summary, "`", ""),
				part) {
				t.Errorf("warns %q, want %q, and in the summary:\n%s", warnings[i], part, res.summary)
			}
		}
		live, _, _ := api.Live(sandbox.FrontDesk)
		want := cmp.Or(s.live, map[bool]string{true: sandbox.NextID, false: sandbox.LiveID}[publishes])
		if live != strings.Replace(want, "none", "", 1) {
			t.Errorf("live is %s, want %s", live, want)
		}
		inbound := s.inbound
		if inbound == nil && want != "none" {
			inbound = []string{sandbox.Reception}
		}
		if got := api.State().Numbers(sandbox.FrontDesk, sandbox.Inbound); !slices.Equal(got, inbound) {
			t.Errorf("bound are %q, want %q", got, inbound)
		}
		for name, value := range s.outputs {
			if got, set := res.outputs[name]; got != value || !set {
				t.Errorf("output %s is %q, want %q", name, got, value)
			}
		}
		if n := len(api.Requests()); s.requests > 0 && n != s.requests {
			t.Errorf("%d requests, want %d", n, s.requests)
		}
		for _, part := range s.summary {
			if !strings.Contains(res.summary, part) {
				t.Errorf("the summary does not say %q:\n%s", part, res.summary)
			}
		}
	})
}

// warnings returns the messages of the run's warnings.
func (res *result) warnings() (messages []string) {
	for _, a := range res.log.Annotations() {
		if a.Level == "warning" {
			messages = append(messages, a.Message)
		}
	}
	return messages
}

// rfc3966, international and national write a Spanish number as tel:+34-910-00-00-01, +34 910 00 00 01 or 910 00 00 01.
func rfc3966(e164 string) string       { return grouped(e164, "tel:+34-", "-") }
func international(e164 string) string { return grouped(e164, "+34 ", " ") }
func national(e164 string) string      { return grouped(e164, "", " ") }

// grouped writes a Spanish number after a prefix, and leaves every other one as it is.
func grouped(e164, prefix, separator string) string {
	n, ok := strings.CutPrefix(e164, "+34")
	if !ok || len(n) != 9 {
		return e164
	}
	return prefix + strings.Join([]string{n[:3], n[3:5], n[5:7], n[7:]}, separator)
}

// notation is what the API does to the way in which numbers are written.
func notation(write func(string) string) sandbox.Behavior { return sandbox.Behavior{Notation: write} }

// dropping is an API that releases what a request leaves out.
var dropping = sandbox.Behavior{ReleaseOmitted: true, DropOthers: true}

// bindTwo binds a second inbound number to FrontDesk.
func bindTwo(api *sandbox.Sandbox) { api.Bind(sandbox.Switch, sandbox.Inbound, sandbox.FrontDesk) }

// phone changes one of the sandbox's phones.
func phone(id string, change func(*sandbox.Phone)) func(*sandbox.Sandbox) {
	return func(api *sandbox.Sandbox) {
		phones := api.State().Phones()
		p := phones[slices.IndexFunc(phones, func(p sandbox.Phone) bool { return p.ID == id })]
		change(&p)
		api.SetPhone(p)
	}
}

// withStatus gives one of them another status.
func withStatus(id, status string) func(*sandbox.Sandbox) {
	return phone(id, func(p *sandbox.Phone) { p.Status = status })
}

// get is a fault of reads.
func get(path string, f sandbox.Fault) sandbox.Fault {
	f.Method, f.Path = http.MethodGet, path
	f.Times = cmp.Or(f.Times, -1)
	return f
}

// noNumbers is a read of phone numbers that always ends with this status.
func noNumbers(status int) sandbox.Fault { return get("/v1/phone/", sandbox.Fault{Status: status}) }

// publishedRead is in the read of what is published.
const publishedRead = "is_published=true"

// takeOffline unpublishes FrontDesk behind the step's back.
func takeOffline(api *sandbox.Sandbox) { api.SetPublished(sandbox.FrontDesk, "") }

// TestShowLive has the runs that only report.
func TestShowLive(t *testing.T) {
	show := []string{"show-live", "true"}
	story{name: "live", inputs: show, status: "live", requests: 2,
		says: []string{"Front desk is on v1.22.7 and answers +34 910 000 001 (Reception)"},
		outputs: map[string]string{"published-version-id": sandbox.LiveID, "version-name": sandbox.LiveName,
			"inbound-phone-number": sandbox.ReceptionNumber}}.run(t)
	story{name: "two numbers", inputs: show, setup: bindTwo, status: "live",
		inbound: []string{sandbox.Reception, sandbox.Switch},
		outputs: map[string]string{"inbound-phone-number-id": "", "inbound-phone-number": "",
			"outbound-phone-number": ""}}.run(t)
	story{name: "offline", inputs: show, setup: takeOffline, status: "offline", live: "none",
		outputs: map[string]string{"published-version-id": ""}, says: []string{" is offline"}}.run(t)
	story{name: "not readable", inputs: show, faults: []sandbox.Fault{get("is_published", sandbox.Fault{Status: 403})},
		code: "HTTP_403", attempts: -1}.run(t)
	wait := busy("12")
	wait.Times = 1
	story{name: "not readable again", inputs: show, faults: []sandbox.Fault{get("/v1/phone/", wait),
		get(publishedRead, sandbox.Fault{Times: 1}), get(publishedRead, sandbox.Fault{Status: 403})}, code: "HTTP_403",
		attempts: -1, hides: []string{"phone numbers could not be read"}}.run(t)
	story{name: "numbers not readable now", inputs: show,
		faults: []sandbox.Fault{noNumbers(503)}, code: "HTTP_503", attempts: -1}.run(t)
}

// TestNamesInOutputs feeds a version's name back: the output is exact, or empty with a word in the log, as another text
// would find nothing.
func TestNamesInOutputs(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"v1.22.8-é": "v1.22.8-é", "a  b": "a  b", "a`|<b>": "a`|<b>", "a\u200db": "", "a\nb": "", "##[x": "",
		strings.Repeat("x", 500): "",
	} {
		story{name: fmt.Sprintf("%.10q", name), setup: named(name), inputs: []string{"version-id", newest}, attempts: 1,
			live: newest, outputs: map[string]string{"version-name": want}}.run(t)
		if want != "" {
			story{name: fmt.Sprintf("%.10q again", name), setup: named(name), inputs: []string{"version-name", want},
				attempts: 1, live: newest}.run(t)
		}
	}
}

// TestSameNameTwice has versions of one name, which are told apart by their numbers.
func TestSameNameTwice(t *testing.T) {
	same := story{name: "before and after", setup: named(sandbox.LiveName), inputs: []string{"version-id", newest},
		attempts: 1, live: newest, says: []string{"is now on v1.22.7 (231) (was v1.22.7 (228)) and"}}
	same.run(t)
	same.name, same.faults = "and refused", []sandbox.Fault{{Status: 400, Body: apiErrorBody}}
	same.code, same.live = "PUBLISH_FAILED", sandbox.LiveID
	same.says = []string{"Diga refused v1.22.7 (231)", "Front desk is still on v1.22.7 (228)"}
	same.run(t)
	story{name: "and somebody else's", setup: named(sandbox.NextName), faults: always(appliedAndLost),
		after: publishing(newest), code: "ACTION_NETWORK_ERROR", status: "unknown", attempts: 5, live: newest,
		says: []string{"Front desk is on v1.22.8 (231), which this step did not request"}}.run(t)
}

// TestRequestCount has the requests of a publish: three reads and the change, or two reads by name.
func TestRequestCount(t *testing.T) {
	night := []string{"agent-id", sandbox.NightDesk, "version-name", "night-3", "inbound-phone-number",
		sandbox.SwitchNumber}
	for name, test := range map[string]struct {
		inputs []string
		paths  []string // sorted; without the agent's
	}{
		"by ID": {[]string{"version-id", sandbox.NextID}, []string{
			"GET /v1/phone/?limit=100", "GET ?version_id=" + sandbox.NextID, "GET /version?is_published=true&limit=1",
			"PATCH /published_version"}},
		"by name": {[]string{"agent-id", sandbox.Support, "version-name", "support-3"}, []string{
			"GET /v1/phone/?limit=100", "GET /version?limit=100", "PATCH /published_version"}},
		"by name, the first": {night, []string{"GET /v1/phone/?limit=100", "GET /version?is_published=true&limit=1",
			"GET /version?limit=100", "PATCH /published_version"}},
		"unpublish": {[]string{"unpublish", "true", "expect-version-id", sandbox.LiveID}, []string{
			"GET /v1/phone/?limit=100", "GET /v1/phone/?limit=100", "GET /version?is_published=true&limit=1",
			"GET /version?is_published=true&limit=1", "PATCH /published_version"}},
		"show-live": {[]string{"show-live", "true", "version-id", ""}, []string{
			"GET /v1/phone/?limit=100", "GET /version?is_published=true&limit=1"}},
	} {
		t.Run(name, func(t *testing.T) {
			api, server := newSandbox(t)
			s := with(test.inputs...)
			if res := s.runInMemory(t, server); res.exit != 0 {
				t.Error(res.stdout)
			}
			var got []string
			agent := "/v1/agent/" + cmp.Or(s.inputs["agent-id"], sandbox.FrontDesk)
			for _, r := range api.Requests() {
				path := strings.TrimSuffix(strings.TrimPrefix(r.Path, agent)+"?"+r.RawQuery, "?")
				got = append(got, r.Method+" "+path)
				if r.Method == http.MethodGet && r.Header.Get("Cache-Control") != "no-cache" {
					t.Errorf("%s may come from a cache", path)
				}
			}
			slices.Sort(got)
			slices.Sort(test.paths)
			if !slices.Equal(got, test.paths) {
				t.Errorf("sent %q, want %q", got, test.paths)
			}
		})
	}
}
