package publish_test

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"publish-agent-version/internal/sandbox"
	"publish-agent-version/publish"
)

// A story is a run against the sandbox: what the API does, and what the step must do and say.
type story struct {
	name   string
	inputs []string // names and values; version-id is sandbox.NextID unless a version is given
	is     sandbox.Behavior
	setup  func(api *sandbox.Sandbox) // before the run; nil: nothing
	after  func(api *sandbox.Sandbox) // after each request for the change
	faults []sandbox.Fault

	after10s func(api *sandbox.Sandbox) // at that time after the start

	code, status string   // as in expected
	attempts     int      // -1: the change is not sent; 0: any number
	says         []string // parts of the annotation or error-message
	hides        []string // must not be printed or written
	warns        []string // a part of each warning, in order; nil: there is none
	live         string   // version afterwards; empty: NextID after success, LiveID after a failure; "none"
	inbound      []string // ids afterwards; nil: Reception, if a version is live
	outputs      map[string]string
	requests     int // of any kind; 0: any number
	summary      []string
}

func (s story) run(t *testing.T) {
	t.Helper()
	t.Run(s.name, func(t *testing.T) {
		api, server := newSandbox(t, s.faults...)
		api.Set(s.is)
		if s.setup != nil {
			s.setup(api)
		}
		if s.after != nil {
			server = withHookAfterChange(api, func() { s.after(api) })
		}
		run := with(s.inputs...)
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
		res := run.runInMemory(t, server)
		res.check(t, expected{code: s.code, status: s.status, attempts: s.attempts, says: s.says, neverShown: s.hides})
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
		want := cmp.Or(s.live, map[bool]string{true: sandbox.NextID, false: sandbox.LiveID}[s.code == ""])
		if live != strings.Replace(want, "none", "", 1) {
			t.Errorf("live is %s, want %s", live, want)
		}
		inbound := s.inbound
		if inbound == nil && want != "none" {
			inbound = []string{sandbox.Reception}
		}
		if got := api.Numbers(sandbox.FrontDesk, sandbox.Inbound); !slices.Equal(got, inbound) {
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
		if t.Failed() {
			t.Logf("printed:\n%s\noutputs %q", res.stdout, res.outputs)
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

// notation is what the API does to the way in which numbers are written.
func notation(write func(string) string) sandbox.Behavior { return sandbox.Behavior{Notation: write} }

// dropping is an API that releases what a request leaves out.
var dropping = sandbox.Behavior{ReleaseOmitted: true, DropOthers: true}

func and(b sandbox.Behavior, change func(*sandbox.Behavior)) sandbox.Behavior {
	change(&b)
	return b
}

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

// get is a fault of reads.
func get(path string, f sandbox.Fault) sandbox.Fault {
	f.Method, f.Path = http.MethodGet, path
	f.Times = cmp.Or(f.Times, -1)
	return f
}

// publishedRead is in the read of what is published.
const publishedRead = "is_published=true"

// takeOffline unpublishes FrontDesk behind the step's back.
func takeOffline(api *sandbox.Sandbox) { api.SetPublished(sandbox.FrontDesk, "") }

// sentBodies are the bodies of the requests for the change.
func sentBodies(api *sandbox.Sandbox) (bodies []string) {
	for _, r := range api.Requests() {
		if r.Method == http.MethodPatch {
			bodies = append(bodies, r.Body)
		}
	}
	return bodies
}

const numberInUse = "is already the inbound number of another agent, " + sandbox.Support

// TestFaultsPhones has the rows P of docs/faults.md.
func TestFaultsPhones(t *testing.T) {
	t.Run("P1", func(t *testing.T) {
		unknown := "c9999999-0000-4000-8000-000000000009"
		story{name: "an ID", inputs: []string{"inbound-phone-number-id", unknown}, code: "ACTION_PHONE_NOT_FOUND",
			attempts: -1,
			says:     []string{"hone number ID " + unknown + " not found", "Check inbound-phone-number-id"}}.run(t)
		story{name: "a number", inputs: []string{"inbound-phone-number", "+34 955 000 009"},
			code: "ACTION_PHONE_NOT_FOUND", attempts: -1,
			says: []string{"hone number +34 955 000 009 not found; the assigned ones are",
				"+34 910 000 001 (Reception), ID " + sandbox.Reception,
				"pbx-7@sip.example.com"}}.run(t)
		story{name: "the end of another", is: notation(sandbox.National),
			inputs: []string{"inbound-phone-number", "+34 910 00 00 02"},
			code:   "ACTION_PHONE_NOT_FOUND", attempts: -1,
			says: []string{"Diga writes it 910 00 00 02: use that"}}.run(t)
	})
	t.Run("P2", func(t *testing.T) {
		for _, status := range []string{"reserved", "pending_verification", "finished", "RESERVED", "Finished"} {
			story{name: status, inputs: []string{"inbound-phone-number-id", sandbox.Switch},
				code: "ACTION_PHONE_UNUSABLE", attempts: -1,
				setup: phone(sandbox.Switch, func(p *sandbox.Phone) { p.Status = status }),
				says:  []string{"+34 910 000 002 (Switch) cannot be used: it is " + strings.ToLower(status)}}.run(t)
		}
		for _, status := range []string{"ASSIGNED", "Assigned", "porting", ""} {
			story{name: "as if assigned: " + status, inputs: []string{"outbound-phone-number-id", sandbox.Switch},
				is: sandbox.Behavior{Unchecked: true}, setup: phone(sandbox.Switch,
					func(p *sandbox.Phone) { p.Status = status }),
				attempts: 1}.run(t)
		}
	})
	t.Run("P3", func(t *testing.T) {
		story{name: "refused", inputs: []string{"inbound-phone-number-id", sandbox.Hotline},
			code: "ACTION_PHONE_IN_USE", attempts: -1,
			says: []string{"+34 910 000 004 (Hotline) " + numberInUse, "set take-over: true"}}.run(t)
		story{name: "by number", inputs: []string{"inbound-phone-number", sandbox.HotlineNumber},
			code: "ACTION_PHONE_IN_USE", attempts: -1,
			says: []string{numberInUse}}.run(t)
		story{name: "another direction", inputs: []string{"inbound-phone-number-id", sandbox.Hotline, "dry-run", "true",
			"take-over", "true"},
			status: "dry-run", attempts: -1, live: sandbox.LiveID,
			warns:   []string{"Diga may release +34 910 000 001 (Reception): a request can name only one inbound number."},
			summary: []string{"would be taken from another agent"}}.run(t)
		story{name: "taken over", inputs: []string{"inbound-phone-number-id", sandbox.Hotline, "take-over", "true"},
			attempts: 1,
			is:       sandbox.Behavior{AllowTakeOver: true}, inbound: []string{sandbox.Hotline, sandbox.Reception},
			summary: []string{"was taken from another agent"}}.run(t)
		story{name: "take-over, and the API refuses", inputs: []string{"inbound-phone-number-id", sandbox.Hotline,
			"take-over", "true"},
			code: "BAD_PARAMETER", attempts: 1}.run(t)
	})
	t.Run("P4", func(t *testing.T) {
		for name, write := range map[string]func(string) string{
			"E.164": nil, "RFC 3966": sandbox.RFC3966, "international": sandbox.International,
			"RFC 3966 with an extension": func(s string) string { return sandbox.RFC3966(s) + ";ext=12" },
		} {
			for _, given := range []string{
				"+34910000002", "+34 910 000 002", "tel:+34-910-00-00-02", "TEL:+34910000002;ext=7", "34910000002",
				"+34\u00a0910\u201100\u201300/0.2", "(+34) [910] 000002",
			} {
				story{name: name + " " + given, is: notation(write), inputs: []string{"inbound-phone-number", given},
					attempts: 1,
					inbound:  []string{sandbox.Switch, sandbox.Reception}, says: []string{"+34 910 000 002 (Switch)"},
					outputs: map[string]string{"inbound-phone-number": sandbox.SwitchNumber,
						"inbound-phone-number-id": sandbox.Switch}}.run(t)
			}
		}
		for _, given := range []string{"910 00 00 02", "910000002", "910-00-00-02"} {
			story{name: "national " + given, is: notation(sandbox.National),
				inputs: []string{"inbound-phone-number", given}, attempts: 1,
				inbound: []string{sandbox.Switch, sandbox.Reception}, says: []string{"910 00 00 02 (Switch)"}}.run(t)
		}
		for _, given := range []string{sandbox.PBXNumber, "sip:" + sandbox.PBXNumber,
			"PBX-7@SIP.example.com;transport=udp"} {
			story{name: given, inputs: []string{"inbound-phone-number", given}, attempts: 1,
				inbound: []string{sandbox.PBX, sandbox.Reception},
				says:    []string{sandbox.PBXNumber}, outputs: map[string]string{"inbound-phone-number": sandbox.PBXNumber}}.run(t)
		}
		story{name: "of two records, the usable one", inputs: []string{"inbound-phone-number", sandbox.SwitchNumber},
			attempts: 1,
			inbound:  []string{sandbox.Switch, sandbox.Reception}}.run(t) // Retired has the same number
		story{name: "of two usable ones, neither", inputs: []string{"inbound-phone-number", sandbox.SwitchNumber},
			code: "ACTION_PHONE_NOT_FOUND", attempts: -1,
			setup: phone(sandbox.Retired, func(p *sandbox.Phone) { p.Status = "assigned" }),
			says:  []string{"2 phone numbers match +34 910 000 002", sandbox.Retired}}.run(t)
	})
	t.Run("P5", testNumbersRefused)
	t.Run("P5a", testNumbersReadLate)
	t.Run("P5b", testNumbersNotReadable)
	t.Run("P6", func(t *testing.T) {
		for _, status := range refusing {
			code := fmt.Sprint("HTTP_", status)
			if status == 302 {
				code = "ACTION_REDIRECT_REFUSED"
			}
			story{name: fmt.Sprint(status), faults: []sandbox.Fault{get("/v1/phone/", sandbox.Fault{Status: status})},
				inputs: []string{"inbound-phone-number", sandbox.SwitchNumber}, code: code, attempts: -1,
				says: []string{"ould not read the phone numbers"}}.run(t)
		}
	})
	t.Run("P7", func(t *testing.T) {
		for _, is := range []sandbox.Behavior{{}, dropping} {
			story{name: fmt.Sprint("one, drops ", is.ReleaseOmitted), is: is, attempts: 1, requests: 4}.run(t)
		}
	})
	t.Run("P8", func(t *testing.T) {
		story{name: "two, and both are dropped", is: dropping, setup: bindTwo, attempts: 1, inbound: []string{},
			says:    []string{"but nobody can call it: it lost 2 phone numbers"},
			warns:   []string{"no longer answers +34 910 000 002 (Switch) and +34 910 000 001 (Reception), although this step did not request that. Nobody can call it now. Bind them again in Diga"},
			outputs: map[string]string{"inbound-phone-number-id": "", "inbound-phone-number": ""},
			summary: []string{"### 🚨", "It binds no inbound number: bind"}}.run(t)
		story{name: "two, and both are kept", setup: bindTwo, attempts: 1,
			inbound: []string{sandbox.Reception, sandbox.Switch},
			outputs: map[string]string{"inbound-phone-number-id": "", "inbound-phone-number": ""}}.run(t)
		story{name: "one of two is requested, and the other is dropped", is: dropping, setup: bindTwo, attempts: 1,
			inputs: []string{"inbound-phone-number-id", sandbox.Reception}, inbound: []string{sandbox.Reception},
			says: []string{"but lost 1 phone number"}, warns: []string{"no longer answers +34 910 000 002 (Switch)"}}.run(t)
		story{name: "another is requested, and the bound one is dropped", is: dropping, attempts: 1,
			inputs: []string{"inbound-phone-number-id", sandbox.Switch}, inbound: []string{sandbox.Switch},
			warns: []string{"no longer answers +34 910 000 001 (Reception)"}}.run(t)
		story{name: "another is requested, and the bound one is kept", attempts: 1,
			inputs:  []string{"inbound-phone-number-id", sandbox.Switch},
			inbound: []string{sandbox.Switch, sandbox.Reception},
			says:    []string{"answers +34 910 000 002 (Switch) and +34 910 000 001 (Reception)"},
			outputs: map[string]string{"inbound-phone-number-id": sandbox.Switch},
			summary: []string{"It does not release `+34 910 000 002 (Switch)`"}}.run(t)
		story{name: "and reading back fails", is: dropping, setup: bindTwo, attempts: 1, inbound: []string{},
			faults: []sandbox.Fault{get("/v1/phone/", sandbox.Fault{Times: 1}),
				get("/v1/phone/", sandbox.Fault{Status: 503})},
			warns: []string{"so a released one may have gone unnoticed"}}.run(t)
	})
	t.Run("P9", func(t *testing.T) {
		story{name: "released", inputs: []string{"inbound-phone-number-id", "none"}, attempts: 1, inbound: []string{},
			outputs: map[string]string{"inbound-phone-number-id": ""}, says: []string{"without a phone number"}}.run(t)
		story{name: "and the reply does not say so", inputs: []string{"inbound-phone-number-id", "none"}, attempts: 1,
			inbound: []string{},
			faults: []sandbox.Fault{{Body: `{"agent_id":"` + sandbox.FrontDesk + `","published_version_id":"` +
				sandbox.NextID + `"}`}},
			says: []string{readBack}}.run(t)
		story{name: "and it is still bound", inputs: []string{"inbound-phone-number-id", "none"}, status: "unknown",
			code: "ACTION_RESPONSE_MISMATCH", attempts: 1, live: sandbox.NextID,
			faults: []sandbox.Fault{{Body: `{"agent_id":"` + sandbox.FrontDesk + `","published_version_id":"` +
				sandbox.NextID + `"}`}},
			after: func(api *sandbox.Sandbox) { api.Bind(sandbox.Reception, sandbox.Inbound, sandbox.FrontDesk) },
			says:  []string{"Only part of it was applied: Front desk is on v1.22.8 and answers +34 910 000 001 (Reception)"}}.run(t)
	})
	t.Run("P10", func(t *testing.T) {
		item := `{"id":"` + sandbox.Switch + `","number":"+34910000002","telephony_provider":"custom","status":"assigned"}`
		repeats := get("/v1/phone/", sandbox.Fault{Body: `{"data":[` + item + `],"has_more":true}`})
		story{name: "repeats, none asked for", faults: []sandbox.Fault{repeats}, attempts: 1,
			warns: []string{"The phone numbers could not be read (the API returned 200 OK, but not a complete list of phone numbers"}}.run(t)
		story{name: "repeats, a number asked for", faults: []sandbox.Fault{repeats},
			inputs: []string{"inbound-phone-number", sandbox.SwitchNumber},
			code:   "ACTION_RESPONSE_INVALID", attempts: -1, says: []string{"the list repeats itself"}}.run(t)
	})
	t.Run("P10", func(t *testing.T) {
		n := 0
		endless := func(r *http.Request) sandbox.Fault {
			if !strings.HasPrefix(r.URL.Path, "/v1/phone/") {
				return sandbox.Fault{}
			}
			var items []string
			for range 100 {
				n++
				items = append(items, fmt.Sprintf(`{"id":"c9000000-0000-4000-8000-%012d"}`, n))
			}
			return sandbox.Fault{Status: 200, Body: `{"data":[` + strings.Join(items, ",") + `],"has_more":true}`}
		}
		story{name: "endless", is: sandbox.Behavior{Fault: endless, Unchecked: true},
			inputs: []string{"inbound-phone-number", "+34 910"},
			code:   "ACTION_RESPONSE_INVALID", attempts: -1, says: []string{"more than 10000 items"}}.run(t)
	})
	t.Run("P11", func(t *testing.T) {
		late := sandbox.Fault{Status: 429, Header: http.Header{"Retry-After": {"20"}}}
		rebind := func(agent string) func(*sandbox.Sandbox) {
			return func(api *sandbox.Sandbox) { api.Bind(sandbox.Reception, sandbox.Inbound, agent) }
		}
		story{name: "carried over, and given away", faults: []sandbox.Fault{late}, after: rebind(sandbox.NightDesk),
			code:     "ACTION_PHONE_IN_USE",
			attempts: 1, inbound: []string{}, says: []string{"omeone changed the inbound numbers of Front desk while this step waited"}}.run(t)
		story{name: "carried over, and released", faults: []sandbox.Fault{late}, after: rebind(""),
			code: "ACTION_PHONE_IN_USE", attempts: 1, inbound: []string{}}.run(t)
		story{name: "requested, and given away", faults: []sandbox.Fault{late}, after: rebind(sandbox.NightDesk),
			inputs: []string{"inbound-phone-number-id", sandbox.Reception}, code: "ACTION_PHONE_IN_USE", attempts: 1,
			inbound: []string{}}.run(t)
		story{name: "given away after a lost reply", faults: []sandbox.Fault{{Drop: sandbox.DropReply}},
			after:  rebind(sandbox.NightDesk),
			inputs: []string{"inbound-phone-number-id", sandbox.Reception}, code: "ACTION_PHONE_IN_USE",
			status: "unknown", attempts: 1,
			inbound: []string{}, warns: []string{"no longer answers +34 910 000 001 (Reception)"}}.run(t)
	})
	t.Run("P12", func(t *testing.T) {
		story{name: "dry run", setup: phone(sandbox.Reception, func(p *sandbox.Phone) { p.Status = "reserved" }),
			inputs: []string{"dry-run", "true"}, status: "dry-run", attempts: -1, live: sandbox.LiveID,
			outputs: map[string]string{"inbound-phone-number-id": "", "inbound-phone-number": ""},
			warns:   []string{"Diga may release +34 910 000 001 (Reception): a number that is reserved cannot be sent along."}}.run(t)
		story{name: "dry run of two numbers", setup: bindTwo, inputs: []string{"dry-run", "true"}, status: "dry-run",
			attempts: -1,
			live:     sandbox.LiveID, inbound: []string{sandbox.Reception, sandbox.Switch},
			outputs: map[string]string{"inbound-phone-number-id": "", "outbound-phone-number-id": ""},
			warns:   []string{"Diga may release +34 910 000 002 (Switch) and +34 910 000 001 (Reception)"}}.run(t)
		story{name: "not assigned, not sent", setup: phone(sandbox.Reception,
			func(p *sandbox.Phone) { p.Status = "reserved" }), attempts: 1}.run(t)
	})
	t.Run("P13", func(t *testing.T) {
		on := time.Date(2026, time.December, 24, 0, 0, 0, 0, time.UTC)
		leaving := func(id string) func(*sandbox.Sandbox) {
			return phone(id, func(p *sandbox.Phone) { p.ScheduledReleaseAt = &on })
		}
		story{name: "a bound one", setup: leaving(sandbox.Reception), attempts: 1,
			warns: []string{"Diga is going to release +34 910 000 001 (Reception) on 24 December 2026"}}.run(t)
		story{name: "a requested one", setup: leaving(sandbox.Switch),
			inputs: []string{"inbound-phone-number-id", sandbox.Switch}, attempts: 1,
			inbound: []string{sandbox.Switch, sandbox.Reception},
			warns:   []string{"+34 910 000 002 (Switch) on 24 December 2026"}}.run(t)
		story{name: "another one", setup: leaving(sandbox.Callback), attempts: 1}.run(t)
	})
	t.Run("P14", func(t *testing.T) {
		id := ""
		issues := func(api *sandbox.Sandbox) {
			var list []sandbox.Issue
			for _, text := range []string{"No voice.", "No prompt\n::error::x", "No greeting.", "No language."} {
				list = append(list, sandbox.Issue{Code: "X", Message: text})
			}
			id = api.AddVersion(sandbox.FrontDesk, sandbox.Version{Name: "broken", Issues: list})
		}
		story{name: "refused", setup: issues, inputs: []string{"version-name", "broken"}, code: "BAD_PARAMETER",
			attempts: 1,
			says:     []string{"No voice.; No prompt ::error::x; No greeting.; and 1 more"}}.run(t)
		story{name: "dry run", setup: issues, inputs: []string{"version-name", "broken", "dry-run", "true"},
			status: "dry-run", attempts: -1,
			live: sandbox.LiveID, warns: []string{"Diga may refuse broken: No voice.; No prompt ::error::x; No greeting.; and 1 more"}}.run(t)
		if id == "" {
			t.Error("no version with issues")
		}
	})
	t.Run("P15", func(t *testing.T) {
		key := func(api *sandbox.Sandbox) {
			api.AddKey(sandbox.Token, sandbox.Key{Agents: sandbox.Write, Phones: sandbox.Read})
		}
		story{name: "the key may not write phones", is: sandbox.Behavior{PhonesIfNamed: true}, setup: key,
			code: "INTERNAL_SERVER_ERROR", attempts: 1,
			says: []string{"Give the key Write on Agents and Phones", nothingChanged}}.run(t)
	})
}

// refusing are statuses of a read that is refused for good.
var refusing = []int{302, 400, 403, 404, 405, 410, 422, 501}

func testNumbersRefused(t *testing.T) {
	protect := []string{"so inbound and outbound numbers that were bound could not be protected"}
	for _, status := range refusing {
		faults := []sandbox.Fault{get("/v1/phone/", sandbox.Fault{Status: status})}
		story{name: fmt.Sprint(status), faults: faults, attempts: 1, warns: protect}.run(t)
		story{name: fmt.Sprint(status, ", dropped"), is: dropping, faults: faults, attempts: 1, inbound: []string{},
			warns: []string{"The reply names no inbound and outbound number"}}.run(t)
	}
	story{name: "another shape", faults: []sandbox.Fault{get("/v1/phone/", sandbox.Fault{Body: "[]"})}, attempts: 1,
		warns: protect}.run(t)
	story{name: "a key without access to phones", inputs: []string{"token", sandbox.AgentsToken},
		is: sandbox.Behavior{PhonesIfNamed: true}, attempts: 1, warns: protect}.run(t)
	story{name: "an API that knows nothing but the change", is: sandbox.Behavior{PatchOnly: true, Unchecked: true},
		attempts: 1,
		warns:    protect}.run(t)
	story{name: "one open direction", inputs: []string{"inbound-phone-number-id", sandbox.Reception},
		faults: []sandbox.Fault{get("/v1/phone/", sandbox.Fault{Status: 403})}, attempts: 1,
		warns: []string{"so outbound numbers that were bound"}}.run(t)
	story{name: "no open direction", faults: []sandbox.Fault{get("/v1/phone/", sandbox.Fault{Status: 503})},
		attempts: 1,
		inputs:   []string{"inbound-phone-number-id", sandbox.Reception, "outbound-phone-number-id", "none"}}.run(t)
}

// passing are faults of a read that may be over soon, with the code if they are not.
var passing = map[string]sandbox.Fault{
	"HTTP_429": {Status: 429}, "HTTP_500": {Status: 500}, "HTTP_503": {Status: 503}, "HTTP_408": {Status: 408},
	"ACTION_NETWORK_ERROR": {Drop: sandbox.DropReply}, "ACTION_RESPONSE_INVALID": {Drop: sandbox.DropBody},
	"ACTION_TIMEOUT": {Delay: time.Hour},
}

func testNumbersReadLate(t *testing.T) {
	for code, fault := range passing {
		fault.Times = 2
		story{name: code, is: dropping, faults: []sandbox.Fault{get("/v1/phone/", fault)}, attempts: 1}.run(t)
	}
	for range 10 {
		for name, limit := range map[string]sandbox.Limit{
			"one request at a time": {AtATime: 1}, "one request a second": {Requests: 1, Interval: time.Second},
		} {
			story{name: name, is: and(dropping, func(b *sandbox.Behavior) { b.Limit = limit })}.run(t)
		}
	}
}

func testNumbersNotReadable(t *testing.T) {
	for code, fault := range passing {
		s := story{name: code, is: dropping, faults: []sandbox.Fault{get("/v1/phone/", fault)}, code: code,
			attempts: -1,
			says:     []string{nothingChanged}}
		if fault.Status != 0 {
			s.says = append(s.says, "set both numbers by ID: inbound-phone-number-id and outbound-phone-number-id, each an ID or none")
		}
		s.run(t)
	}
}

// newest is the first version that a test adds to FrontDesk.
const newest = "b1000000-0000-4000-8000-000000000231"

// named adds versions with these names to FrontDesk.
func named(names ...string) func(*sandbox.Sandbox) {
	return func(api *sandbox.Sandbox) {
		for _, name := range names {
			api.AddVersion(sandbox.FrontDesk, sandbox.Version{Name: name})
		}
	}
}

// TestFaultsLive has the rows G, Y and L of docs/faults.md.
func TestFaultsLive(t *testing.T) {
	offline := takeOffline
	unexpected := func(says ...string) story {
		return story{code: "ACTION_UNEXPECTED_VERSION", attempts: -1, says: append(says, nothingChanged)}
	}
	refused := func(name string, s story, setup func(*sandbox.Sandbox), inputs ...string) {
		for _, dry := range []string{"false", "true"} {
			s.name, s.setup, s.inputs = name+", dry run "+dry, setup, append(slices.Clone(inputs), "dry-run", dry)
			if setup != nil {
				s.live = "none"
			}
			s.run(t)
		}
	}
	t.Run("G1", func(t *testing.T) {
		refused("G1 another", unexpected("Expected version "+sandbox.OldestID+", but v1.22.7 (228) is live"), nil,
			"expect-version-id", sandbox.OldestID)
		refused("G1 by name", unexpected("Expected version "+sandbox.OldestID), nil, "version-name", sandbox.NextName,
			"expect-version-id", sandbox.OldestID)
		refused("G1 none expected", unexpected("Expected no live version, but v1.22.7 (228) is live"), nil,
			"expect-version-id", "none")
		refused("G1 none live", unexpected("Expected version "+sandbox.LiveID+" to be live, but none is"), offline,
			"expect-version-id", sandbox.LiveID)
		refused("G1 published already", unexpected("v1.22.7 (228) is live, perhaps from an earlier run",
			"remove expect-version-id"), nil,
			"version-id", sandbox.LiveID, "expect-version-id", sandbox.OldestID)
		story{name: "as expected", inputs: []string{"expect-version-id", sandbox.LiveID}, attempts: 1,
			requests: 4}.run(t)
		story{name: "none, as expected", inputs: []string{"expect-version-id", "none"}, setup: offline, attempts: 1,
			inbound: []string{},
			outputs: map[string]string{"previous-version-id": ""}}.run(t)
	})
	t.Run("G2", func(t *testing.T) {
		for _, inputs := range [][]string{{"expect-version-id", sandbox.LiveID}, {"only-newer", "true"},
			{"expect-version-id", "none"}} {
			for _, status := range []int{403, 404, 503} {
				story{name: fmt.Sprint(inputs[0], status), inputs: inputs,
					faults: []sandbox.Fault{get("is_published=true", sandbox.Fault{Status: status})},
					code:   fmt.Sprint("HTTP_", status), attempts: -1}.run(t)
			}
			story{name: inputs[0] + ", the list is not filtered", inputs: inputs,
				is:   sandbox.Behavior{IgnorePublished: true},
				code: "ACTION_RESPONSE_INVALID", attempts: -1}.run(t)
		}
	})
	t.Run("G3", func(t *testing.T) {
		older := story{code: "ACTION_NOT_NEWER", attempts: -1,
			says: []string{"v1.0.0 (1) is older than v1.22.7 (228), which is live"}}
		refused("G3 by ID", older, nil, "only-newer", "true", "version-id", sandbox.OldestID)
		refused("G3 by name", older, nil, "only-newer", "true", "version-name", sandbox.OldestName)
		story{name: "newer", inputs: []string{"only-newer", "true"}, attempts: 1}.run(t)
		story{name: "none live", inputs: []string{"only-newer", "true", "version-id", sandbox.OldestID}, setup: offline,
			attempts: 1, live: sandbox.OldestID, inbound: []string{}}.run(t)
		story{name: "the live one", inputs: []string{"only-newer", "true", "version-id", sandbox.LiveID}, attempts: 1,
			live: sandbox.LiveID}.run(t)
		unnumbered := `{"agent_id":"` + sandbox.FrontDesk + `","version_id":"` + sandbox.LiveID +
			`","is_published":true}`
		story{name: "the live one, without a number", inputs: []string{"only-newer", "true", "version-id",
			sandbox.LiveID}, attempts: 1,
			live: sandbox.LiveID, faults: []sandbox.Fault{
				get(publishedRead, sandbox.Fault{Body: `{"data":[` + unnumbered + `],"has_more":false}`}),
				get("version_id=", sandbox.Fault{Body: unnumbered}),
			}}.run(t)
		story{name: "no number", inputs: []string{"only-newer", "true"}, code: "ACTION_RESPONSE_INVALID", attempts: -1,
			says: []string{"a version number is missing"},
			faults: []sandbox.Fault{get("version_id="+sandbox.NextID, sandbox.Fault{
				Body: `{"agent_id":"` + sandbox.FrontDesk + `","version_id":"` + sandbox.NextID + `"}`})}}.run(t)
	})
	t.Run("G4", func(t *testing.T) {
		for _, name := range []string{"version-id", "version-name"} {
			value := map[string]string{"version-id": sandbox.OldestID, "version-name": sandbox.OldestName}[name]
			story{name: name, inputs: []string{name, value}, attempts: 1, live: sandbox.OldestID,
				warns: []string{"This run replaces v1.22.7 (228) with the older v1.0.0 (1). Set only-newer: true"}}.run(t)
		}
		story{name: "dry run", inputs: []string{"version-id", sandbox.OldestID, "dry-run", "true"}, status: "dry-run",
			attempts: -1, live: sandbox.LiveID,
			warns: []string{"This run would replace v1.22.7 (228) with the older v1.0.0 (1)"}}.run(t)
	})
	t.Run("G5", func(t *testing.T) {
		for name, guard := range map[string][2]string{
			"ACTION_UNEXPECTED_VERSION": {"expect-version-id", sandbox.LiveID},
			"ACTION_NOT_NEWER":          {"only-newer", "true"},
		} {
			other := func(version string) func(*sandbox.Sandbox) {
				return func(api *sandbox.Sandbox) { api.SetPublished(sandbox.FrontDesk, version) }
			}
			s := story{inputs: guard[:], faults: []sandbox.Fault{busy("20")}, attempts: 1, code: name, live: newest,
				setup: named("newest"), after: other(newest), says: []string{"Nothing was changed: newest is live"}}
			s.name = name + ", 429"
			s.run(t)
			s.name, s.faults, s.status = name+", lost", []sandbox.Fault{{Drop: sandbox.DropReply}}, "unknown"
			s.says = []string{"newest is live"}
			s.run(t)
			s.name, s.faults, s.after = name+", our own",
				[]sandbox.Fault{{Status: 500, Body: apiErrorBody, Applied: true}}, nil
			s.code, s.status, s.live, s.says = "", "", "", []string{readBack}
			s.run(t)
		}
	})
	t.Run("G6", func(t *testing.T) {
		story{name: "a ref", inputs: []string{"version-name", "refs/tags/v1.22.8"}, code: "ACTION_VERSION_NOT_FOUND",
			attempts: -1, says: []string{"github.ref_name"}}.run(t)
	})
	t.Run("G7", func(t *testing.T) {
		for _, saved := range []string{" v3 ", "v3\u200b", "\ufeffv3"} {
			id := ""
			story{name: fmt.Sprintf("%q", saved), inputs: []string{"version-name", "v3"}, attempts: 1, live: newest,
				setup: func(api *sandbox.Sandbox) {
					id = api.AddVersion(sandbox.FrontDesk, sandbox.Version{Name: saved})
				}}.run(t)
			if id != newest {
				t.Errorf("the version is %s", id)
			}
		}
	})
	t.Run("Y1", func(t *testing.T) {
		story{name: "digits alone", inputs: []string{"inbound-phone-number", "34910000002"}, attempts: 1,
			inbound: []string{sandbox.Switch, sandbox.Reception}}.run(t)
	})
	t.Run("Y2", func(t *testing.T) {
		story{name: "both", setup: named("1.1", "1.10"), inputs: []string{"version-name", "1.1"}, attempts: 1,
			live:  newest,
			warns: []string{`There is also a version "1.10". YAML reads 1.10 as 1.1`}}.run(t)
		story{name: "another number", setup: named("1.1", "1.11"), inputs: []string{"version-name", "1.1"}, attempts: 1,
			live: newest}.run(t)
	})
	t.Run("Y3", func(t *testing.T) {
		for given, saved := range map[string]string{"1.1": "1.10", "3": "3.0", "2": "2.00"} {
			story{name: saved, setup: named(saved), inputs: []string{"version-name", given},
				code: "ACTION_VERSION_NOT_FOUND", attempts: -1,
				says: []string{"YAML reads " + saved + " as " + given + ": put the name in quotes"}}.run(t)
		}
	})
	t.Run("Y4", func(t *testing.T) { // the runner hands over an empty value
		story{name: "expect-version-id", inputs: []string{"expect-version-id", ""}, attempts: 1}.run(t)
		res := with("version-id", "").runOffline(t)
		res.check(t, expected{code: "ACTION_INPUT_INVALID",
			says: []string{"et version-id or version-name: both are empty"}})
	})
	t.Run("G8", func(t *testing.T) {
		for _, s := range []story{
			{inputs: []string{"version-name", "1.22.8"},
				says: []string{`o version is named "1.22.8"; did you mean v1.22.8?`}},
			{inputs: []string{"version-name", "V1.22.8"}, says: []string{"did you mean v1.22.8?"}},
			{inputs: []string{"version-name", "v9"}, says: []string{"the newest of 230 versions: v1.22.8, v1.22.7, v1.22.6"}},
			{inputs: []string{"version-name", sandbox.DraftName},
				says: []string{"is only a draft", "set launch-draft: true"}},
			{inputs: []string{"version-name", "vX"}, setup: named("v\u0425"),
				says: []string{"looks like it, but has U+0425 at position 2"}},
			{inputs: []string{"version-name", "v2 0"}, setup: named("v2\u00a00"), code: "-", live: newest},
			{inputs: []string{"version-name", "a b"}, setup: named("A  b", "A b"),
				says: []string{`did you mean "A b"?`}},
			{inputs: []string{"version-name", sandbox.SharedName}, code: "ACTION_VERSION_AMBIGUOUS",
				says: []string{"2 versions are named", "b1000000-0000-4000-8000-000000000020", "created 2026-"}},
		} {
			s.name, s.attempts = s.inputs[1], -1
			switch s.code {
			case "":
				s.code = "ACTION_VERSION_NOT_FOUND"
			case "-":
				s.code, s.attempts = "", 1
			}
			s.run(t)
		}
	})
	t.Run("G9", func(t *testing.T) {
		story{name: "another agent's version", inputs: []string{"version-id", sandbox.NightID},
			code: "ACTION_VERSION_NOT_FOUND", attempts: -1,
			says: []string{"Front desk has no version " + sandbox.NightID, "Check version-id"}}.run(t)
		story{name: "the agent's ID", inputs: []string{"version-id", sandbox.FrontDesk},
			code: "ACTION_VERSION_NOT_FOUND", attempts: -1,
			says: []string{"it has the value of agent-id"}}.run(t)
		story{name: "a draft", inputs: []string{"version-id", sandbox.DraftID}, code: "BAD_PARAMETER",
			attempts: 1}.run(t)
		story{name: "a draft, dry run", inputs: []string{"version-id", sandbox.DraftID, "dry-run", "true"},
			code: "ACTION_VERSION_NOT_FOUND", attempts: -1,
			says: []string{"is a draft, which Diga does not publish", "launch-draft: true"}}.run(t)
	})
	t.Run("L1", func(t *testing.T) {
		n := 0
		endless := func(r *http.Request) sandbox.Fault {
			if !strings.HasSuffix(r.URL.Path, "/version") || r.URL.Query().Has("is_published") {
				return sandbox.Fault{}
			}
			var items []string
			for range 100 {
				n++
				items = append(items, fmt.Sprintf(`{"agent_id":%q,"version_id":"b9000000-0000-4000-8000-%012d"}`,
					sandbox.FrontDesk, n))
			}
			return sandbox.Fault{Status: 200, Body: `{"data":[` + strings.Join(items, ",") + `],"has_more":true}`}
		}
		story{name: "endless", inputs: []string{"version-name", "v1"},
			is:   sandbox.Behavior{Fault: endless, Unchecked: true},
			code: "ACTION_RESPONSE_INVALID", attempts: -1, says: []string{"more than 20000 items"}}.run(t)
		if n != 20_100 {
			t.Errorf("%d items were read", n)
		}
	})
	t.Run("L2", func(t *testing.T) {
		large := map[string]any{"prompt": strings.Repeat("x", 1200<<10)}
		story{name: "an old version of more than 1 MiB", inputs: []string{"version-name", sandbox.NextName},
			attempts: 1,
			setup: func(api *sandbox.Sandbox) {
				api.AddVersion(sandbox.FrontDesk, sandbox.Version{Name: "large", Number: 300, Configuration: large})
			}}.run(t)
		story{name: "it is live, and there is a guard", inputs: []string{"expect-version-id", newest}, attempts: 1,
			setup: func(api *sandbox.Sandbox) {
				id := api.AddVersion(sandbox.FrontDesk, sandbox.Version{Name: "large", Configuration: large})
				api.SetPublished(sandbox.FrontDesk, id)
			}, warns: []string{"replaces large (231)"}}.run(t)
		story{name: "pages of more than 8 MiB", inputs: []string{"version-name", sandbox.NextName}, attempts: 1,
			setup: func(api *sandbox.Sandbox) {
				for n := range 8 {
					api.AddVersion(sandbox.FrontDesk, sandbox.Version{Name: fmt.Sprint("large ", n),
						Configuration: large})
				}
			}}.run(t)
	})
	t.Run("L3", func(t *testing.T) {
		story{name: "a refused cursor", inputs: []string{"version-name", sandbox.OldestName}, attempts: 1,
			live: sandbox.OldestID, warns: []string{"older"},
			faults: []sandbox.Fault{get("after=", sandbox.Fault{Status: 404, Body: apiErrorBody, Times: 1})}}.run(t)
		story{name: "a cursor that is always refused", inputs: []string{"version-name", sandbox.OldestName},
			code: "PUBLISH_FAILED", attempts: -1,
			says: []string{"The publication failed"}, faults: []sandbox.Fault{get("after=",
				sandbox.Fault{Status: 404, Body: apiErrorBody})}}.run(t)
	})
	t.Run("H5", func(t *testing.T) {
		for _, path := range []string{"/v1/phone/", "is_published=true", "version_id="} {
			story{name: path, faults: []sandbox.Fault{get(path, sandbox.Fault{Status: 401, Times: 1})},
				code: "HTTP_401", attempts: -1}.run(t)
		}
	})
}

// TestShowLive has the runs that only report.
func TestShowLive(t *testing.T) {
	show := []string{"show-live", "true"}
	story{name: "live", inputs: show, status: "live", attempts: -1, live: sandbox.LiveID, requests: 2,
		says: []string{"Front desk is on v1.22.7 and answers +34 910 000 001 (Reception)"},
		outputs: map[string]string{"published-version-id": sandbox.LiveID, "version-name": sandbox.LiveName,
			"inbound-phone-number": sandbox.ReceptionNumber},
		summary: []string{"live version<br>"}}.run(t)
	story{name: "two numbers", inputs: show, setup: bindTwo, status: "live", attempts: -1, live: sandbox.LiveID,
		inbound: []string{sandbox.Reception, sandbox.Switch},
		outputs: map[string]string{"inbound-phone-number-id": "", "inbound-phone-number": "",
			"outbound-phone-number": ""}}.run(t)
	story{name: "offline", inputs: show, setup: takeOffline, status: "offline", attempts: -1, live: "none",
		outputs: map[string]string{"published-version-id": ""}, says: []string{"no version is live"}}.run(t)
	story{name: "not readable", inputs: show, faults: []sandbox.Fault{get("is_published", sandbox.Fault{Status: 403})},
		code: "HTTP_403", attempts: -1}.run(t)
	story{name: "numbers not readable now", inputs: show,
		faults: []sandbox.Fault{get("/v1/phone/", sandbox.Fault{Status: 503})}, code: "HTTP_503", attempts: -1}.run(t)
}

// TestNamesInOutputs feeds a version's name back: the output is exact, or empty with a word in the log, as another text
// would find nothing.
func TestNamesInOutputs(t *testing.T) {
	for name, want := range map[string]string{
		"v1.22.8-é": "v1.22.8-é", "a  b": "a  b", "a`|<b>": "a`|<b>", "a\u200db": "", "a\nb": "", "##[x": "",
		strings.Repeat("x", 500): "",
	} {
		story{name: fmt.Sprintf("%.10q", name), setup: named(name), inputs: []string{"version-id", newest}, attempts: 1,
			live:    newest,
			outputs: map[string]string{"version-name": want}}.run(t)
		if want != "" {
			story{name: fmt.Sprintf("%.10q again", name), setup: named(name), inputs: []string{"version-name", want},
				attempts: 1,
				live:     newest}.run(t)
		}
	}
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
		"by name": {night, []string{"GET /v1/phone/?limit=100", "GET /version?limit=100", "PATCH /published_version"}},
		"unpublish": {[]string{"unpublish", "true", "expect-version-id", sandbox.LiveID}, []string{
			"GET /v1/phone/?limit=100", "GET /v1/phone/?limit=100", "GET /version?is_published=true&limit=1",
			"PATCH /published_version"}},
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
