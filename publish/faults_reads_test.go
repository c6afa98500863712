package publish_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"publish-agent-version/internal/sandbox"
)

// TestFaultsReads has the rows P and L of docs/faults.md: what the reads before the change show, and how they fail.
func TestFaultsReads(t *testing.T) {
	t.Run("P1", testNumberNotFound)
	t.Run("P2", testNumberUnusable)
	t.Run("P3", testNumberInUse)
	t.Run("P4", testNumberAmbiguous)
	t.Run("P5", testNumbersUnreadable)
	t.Run("P6", testNumbersUnreadableButNeeded)
	t.Run("P7", testNumberKept)
	t.Run("P8", testNumberLost)
	t.Run("P9", testNumberReleased)
	t.Run("P10", testEndlessNumbers)
	t.Run("P11", testNumberMovedMeanwhile)
	t.Run("P12", testBoundNumberUnusable)
	t.Run("L1", testEndlessVersions)
}

const phonesUnreadable = "Could not read the phone numbers: "

// checkRefused runs a step against api and checks that it ends in code without a request for the change.
func checkRefused(t *testing.T, api *sandbox.Sandbox, inputs map[string]string, code string, says ...string) {
	t.Helper()
	scenario{inputs: inputs}.check(t, &http.Server{Handler: api},
		expected{code: code, attempts: -1, says: says, neverShown: []string{mayBeApplied}})
	if sent := sentBodies(api); len(sent) > 0 {
		t.Errorf("sent %q", sent)
	}
	checkState(t, api, sandbox.LiveID, sandbox.Reception)
}

// sentBodies returns the bodies of the requests for the change.
func sentBodies(api *sandbox.Sandbox) (bodies []string) {
	for _, r := range api.Requests() {
		if r.Method == http.MethodPatch {
			bodies = append(bodies, r.Body)
		}
	}
	return bodies
}

// checkSent checks that the change was sent once, with this body.
func checkSent(t *testing.T, api *sandbox.Sandbox, body string) {
	t.Helper()
	if sent := sentBodies(api); !slices.Equal(sent, []string{body}) {
		t.Errorf("sent %q, want %q once", sent, body)
	}
}

func testNumberNotFound(t *testing.T) {
	for _, d := range []string{"inbound", "outbound"} {
		for input, value := range map[string]string{d + "-phone-number-id": sandbox.NightID, d + "-phone-number": "+34 910 009 999"} {
			t.Run(input, func(t *testing.T) {
				api, _ := newSandbox(t)
				checkRefused(t, api, map[string]string{input: value}, "ACTION_PHONE_NOT_FOUND",
					"hone number ")
			})
		}
	}
}

func testNumberUnusable(t *testing.T) {
	for _, test := range []struct{ input, value, status string }{
		{"inbound-phone-number-id", sandbox.Reserved, "reserved"},
		{"inbound-phone-number-id", sandbox.Released, "released"},
		{"outbound-phone-number-id", sandbox.Retired, "finished"},
		{"inbound-phone-number", sandbox.ReservedNumber, "reserved"},
		{"outbound-phone-number", sandbox.ReleasedNumber, "released"},
	} {
		t.Run(test.input+" "+test.status, func(t *testing.T) {
			api, _ := newSandbox(t)
			checkRefused(t, api, map[string]string{test.input: test.value, "take-over": "true"}, "ACTION_PHONE_UNUSABLE",
				"it is "+test.status+", not assigned", test.input)
		})
	}
}

func testNumberInUse(t *testing.T) {
	for _, inputs := range []map[string]string{
		{"inbound-phone-number-id": sandbox.Hotline}, {"outbound-phone-number-id": sandbox.Hotline},
		{"inbound-phone-number": sandbox.HotlineNumber}, {"outbound-phone-number": sandbox.HotlineNumber},
	} {
		t.Run(fmt.Sprint(inputs), func(t *testing.T) {
			api, _ := newSandbox(t)
			checkRefused(t, api, inputs, "ACTION_PHONE_IN_USE", "+34 910 000 004 (Hotline)", "another agent, "+sandbox.Support, "take-over: true")
		})
	}
	t.Run("summary", func(t *testing.T) {
		_, server := newSandbox(t)
		res := with("inbound-phone-number-id", sandbox.Hotline, "outbound-phone-number", sandbox.CallbackNumber).runInMemory(t, server)
		for _, row := range []string{
			"| Inbound | `+34 910 000 001` (`Reception`) | **`+34 910 000 004` (`Hotline`)** |\n", "| Outbound | – | **`+34 910 000 003` (`Callback`)** |\n",
		} {
			if !strings.Contains(res.summary, row) {
				t.Errorf("no row %q:\n%s", row, res.summary)
			}
		}
	})
	inputs := map[string]string{"inbound-phone-number-id": sandbox.Hotline, "take-over": "true"}
	t.Run("taken over", func(t *testing.T) {
		api, server := newSandbox(t)
		api.Set(sandbox.Behavior{AllowTakeOver: true})
		scenario{inputs: inputs}.check(t, server, expected{attempts: 1})
		checkState(t, api, sandbox.NextID, sandbox.Hotline)
		if calls := api.Numbers(sandbox.Support, sandbox.Outbound); !slices.Equal(calls, []string{sandbox.Hotline}) {
			t.Errorf("the other agent calls from %v", calls)
		}
	})
	t.Run("taken over, but the API refuses", func(t *testing.T) {
		api, server := newSandbox(t)
		scenario{inputs: inputs}.check(t, server, expected{code: "BAD_PARAMETER", attempts: 1, says: []string{nothingChanged}})
		checkState(t, api, sandbox.LiveID, sandbox.Reception)
	})
}

func testNumberAmbiguous(t *testing.T) {
	t.Run("one assigned", func(t *testing.T) {
		api, server := newSandbox(t)
		with("inbound-phone-number", "(+34) 910-000.002").check(t, server, expected{attempts: 1})
		checkState(t, api, sandbox.NextID, sandbox.Switch)
	})
	(&fakeAPI{phones: respond(200, pageJSON(false, phoneJSON(sandbox.Switch, sandbox.SwitchNumber), phoneJSON(sandbox.Retired, sandbox.SwitchNumber)))}).test(t, "two assigned", with("inbound-phone-number", sandbox.SwitchNumber), expected{
		code: "ACTION_PHONE_NOT_FOUND", attempts: -1, noRequest: true,
		says: []string{"2 phone numbers match +34 910 000 002", sandbox.Switch, sandbox.Retired},
	})
	unstated := func(id string) string { return fmt.Sprintf(`{"id":%q,"number":%q}`, id, sandbox.SwitchNumber) }
	(&fakeAPI{phones: respond(200, pageJSON(false, unstated(sandbox.Switch), unstated(sandbox.Retired)))}).test(t, "two without a status", with("inbound-phone-number", sandbox.SwitchNumber), expected{
		code: "ACTION_PHONE_NOT_FOUND", attempts: -1, noRequest: true,
		says: []string{"2 phone numbers match +34 910 000 002", sandbox.Switch, sandbox.Retired},
	})
}

// phoneJSON is the API's JSON for an assigned number that is not bound.
func phoneJSON(id, number string) string {
	return fmt.Sprintf(`{"id":%q,"number":%q,"status":"assigned"}`, id, number)
}

func pageJSON(more bool, records ...string) string {
	return fmt.Sprintf(`{"data":[%s],"has_more":%t}`, strings.Join(records, ","), more)
}

// failingPhoneReads are the ways in which phone numbers cannot be read, and the code where the step depends on them.
var failingPhoneReads = map[string]struct {
	fault sandbox.Fault
	code  string
}{
	"403":      {sandbox.Fault{Status: 403, Body: `{"error_code":"FORBIDDEN","message":"No."}`}, "FORBIDDEN"},
	"404":      {sandbox.Fault{Status: 404, Body: `{"detail":"Not Found"}`}, "HTTP_404"},
	"500":      {sandbox.Fault{Status: 500, Body: apiErrorBody}, "PUBLISH_FAILED"},
	"503":      {sandbox.Fault{Status: 503}, "HTTP_503"},
	"lost":     {sandbox.Fault{Drop: sandbox.DropReply}, "ACTION_NETWORK_ERROR"},
	"silent":   {sandbox.Fault{Delay: time.Hour}, "ACTION_TIMEOUT"},
	"nonsense": {sandbox.Fault{Body: `{"data":"none"}`}, "ACTION_RESPONSE_INVALID"},
	"HTML":     {sandbox.Fault{Body: gatewayPage}, "ACTION_RESPONSE_INVALID"},
}

func testNumbersUnreadable(t *testing.T) {
	const body = `{"version_id":"` + sandbox.NextID + `","inbound_phone_number_id":"` + sandbox.Switch + `"}`
	published := func(t *testing.T, api *sandbox.Sandbox, server *http.Server) {
		t.Helper()
		res := with("inbound-phone-number-id", sandbox.Switch).check(t, server, expected{attempts: 1, maxTime: 5 * time.Second})
		if n := strings.Count(res.stdout, phonesUnreadable); n != 1 {
			t.Errorf("%d lines say so:\n%s", n, res.stdout)
		}
		checkSent(t, api, body)
		checkState(t, api, sandbox.NextID, sandbox.Switch)
	}
	for name, test := range failingPhoneReads {
		t.Run(name, func(t *testing.T) {
			test.fault.Method, test.fault.Path, test.fault.Times = http.MethodGet, "/v1/phone/", -1
			api, server := newSandbox(t, test.fault)
			published(t, api, server)
		})
	}
	t.Run("no such reads", func(t *testing.T) {
		api := sandbox.New() // which takes a read that it does not have for a violation
		api.Set(sandbox.Behavior{WithoutPhones: true})
		published(t, api, &http.Server{Handler: api})
	})
}

func testNumbersUnreadableButNeeded(t *testing.T) {
	for name, test := range failingPhoneReads {
		t.Run(name, func(t *testing.T) {
			test.fault.Method, test.fault.Path, test.fault.Times = http.MethodGet, "/v1/phone/", -1
			api, _ := newSandbox(t, test.fault)
			checkRefused(t, api, map[string]string{"inbound-phone-number": sandbox.SwitchNumber}, test.code, nothingChanged)
		})
	}
	t.Run("and then they can", func(t *testing.T) {
		api, server := newSandbox(t, sandbox.Fault{Method: http.MethodGet, Path: "/v1/phone/?limit=100", Status: 503, Times: 4})
		with("inbound-phone-number", sandbox.SwitchNumber).check(t, server, expected{attempts: 1})
		checkState(t, api, sandbox.NextID, sandbox.Switch)
	})
}

func testNumberKept(t *testing.T) {
	for _, drops := range []bool{false, true} {
		t.Run(fmt.Sprint("drops ", drops), func(t *testing.T) {
			api, server := newSandbox(t)
			api.Set(sandbox.Behavior{ReleaseOmitted: drops, DropOthers: drops})
			api.Bind(sandbox.Callback, sandbox.Outbound, sandbox.FrontDesk)
			scenario{}.check(t, server, expected{attempts: 1})
			checkSent(t, api, `{"version_id":"`+sandbox.NextID+`","inbound_phone_number_id":"`+sandbox.Reception+`","outbound_phone_number_id":"`+sandbox.Callback+`"}`)
			checkState(t, api, sandbox.NextID, sandbox.Reception)
			if calls := api.Numbers(sandbox.FrontDesk, sandbox.Outbound); !slices.Equal(calls, []string{sandbox.Callback}) {
				t.Errorf("calls from %v", calls)
			}
		})
	}
	t.Run("nothing bound", func(t *testing.T) {
		api, server := newSandbox(t)
		api.Bind(sandbox.Reception, sandbox.Inbound, "")
		scenario{}.check(t, server, expected{attempts: 1})
		checkSent(t, api, `{"version_id":"`+sandbox.NextID+`"}`)
	})
	t.Run("unpublishing", func(t *testing.T) {
		api, server := newSandbox(t)
		with("unpublish", "true").check(t, server, expected{status: "unpublished", attempts: 1})
		checkSent(t, api, `{"version_id":null}`)
	})
}

func testNumberLost(t *testing.T) {
	// Two numbers are bound, so the change names neither. after is called when the API has made the change.
	for name, test := range map[string]struct {
		drops bool // the API releases what the change leaves out
		after func(api *sandbox.Sandbox)
		warns []string // parts of the warning; nil: there is none
		not   string   // no part of it
		logs  string
	}{
		"one of two": {
			after: func(api *sandbox.Sandbox) { api.Bind(sandbox.Switch, sandbox.Inbound, "") },
			warns: []string{"\nFront desk no longer answers +34 910 000 002 (Switch), although"}, not: "+34 910 000 001",
		},
		"both": {drops: true, warns: []string{"+34 910 000 002", "+34 910 000 001"}},
		"not known": {
			drops: true,
			after: func(api *sandbox.Sandbox) {
				api.Inject(sandbox.Fault{Method: http.MethodGet, Path: "/v1/phone/", Status: 503, Times: -1})
			},
			logs: "The inbound numbers could not be read after the change, so a released number may have gone unnoticed: the API returned 503",
		},
		"none": {},
	} {
		t.Run(name, func(t *testing.T) {
			api, server := newSandbox(t)
			api.Bind(sandbox.Switch, sandbox.Inbound, sandbox.FrontDesk)
			api.Set(sandbox.Behavior{ReleaseOmitted: test.drops})
			if test.after != nil {
				server.Handler = withHookAfterChange(api, func() { test.after(api) }).Handler
			}
			res := scenario{}.check(t, server, expected{attempts: 1})
			checkSent(t, api, `{"version_id":"`+sandbox.NextID+`"}`)
			var warnings []string
			for _, a := range res.log.Annotations() {
				if a.Level == "warning" {
					warnings = append(warnings, a.Message)
				}
			}
			if len(warnings) != min(len(test.warns), 1) || !strings.Contains(res.stdout, test.logs) {
				t.Errorf("warns %q, printed\n%s", warnings, res.stdout)
			}
			for _, part := range test.warns {
				if warning := "\n" + strings.Join(warnings, "\n"); !strings.Contains(warning, part) || test.not != "" && strings.Contains(warning, test.not) {
					t.Errorf("warns %q, want %q in it and not %q", warnings, part, test.not)
				}
			}
		})
	}
}

func testNumberReleased(t *testing.T) {
	api, server := newSandbox(t)
	res := with("inbound-phone-number-id", "none").check(t, server,
		expected{attempts: 1, says: []string{"v1.22.8 is live, without a phone number"}})
	checkSent(t, api, `{"version_id":"`+sandbox.NextID+`","inbound_phone_number_id":null}`)
	checkState(t, api, sandbox.NextID, "")
	if got, set := res.outputs["inbound-phone-number-id"]; got != "" || !set {
		t.Errorf("inbound-phone-number-id is %q, %t", got, set)
	}

	// A reply that does not name the number may be that of an API for which null is the same as nothing.
	silent := sandbox.Fault{Status: 200, Body: `{"agent_id":"` + sandbox.FrontDesk + `","published_version_id":"` + sandbox.NextID + `"}`}
	t.Run("not confirmed, and still bound", func(t *testing.T) {
		api, server := newSandbox(t, silent)
		server.Handler = withHookAfterChange(api, func() { api.SetPublished(sandbox.FrontDesk, sandbox.NextID) }).Handler
		with("inbound-phone-number-id", "none").check(t, server, expected{
			code: "ACTION_RESPONSE_INVALID", status: "unknown", attempts: 1, httpStatus: "200",
			says: []string{"without inbound_phone_number_id, so the release is not confirmed", "v1.22.8 is live, but its inbound number is not released"},
		})
		checkState(t, api, sandbox.NextID, sandbox.Reception)
	})
	t.Run("not confirmed, but released", func(t *testing.T) {
		silent.Applied = true
		_, server := newSandbox(t, silent)
		with("inbound-phone-number-id", "none").check(t, server, expected{attempts: 1, says: []string{"v1.22.8 is live, without a phone number", readBack}})
	})
}

// A number that the step only carries over is not taken back from the agent that got it while the step waited.
func testNumberMovedMeanwhile(t *testing.T) {
	for name, test := range map[string]struct {
		wait   string // before the second attempt, in seconds
		inputs map[string]string
		owner  string // that gets the number after the first attempt; empty: nobody
		want   expected
	}{
		"to another agent": {"40", nil, sandbox.Support, expected{code: "ACTION_PHONE_IN_USE", attempts: 1, httpStatus: "429",
			says: []string{"Someone changed the inbound numbers of Front desk while this step waited", stillLive, "it will start from what is bound then"}}},
		"to no agent": {"40", nil, "", expected{code: "ACTION_PHONE_IN_USE", attempts: 1, says: []string{stillLive}}},
		"not at all":  {"40", nil, sandbox.FrontDesk, expected{attempts: 2}},
		"requested, to another agent": {"40", map[string]string{"inbound-phone-number-id": sandbox.Reception}, sandbox.Support, expected{code: "ACTION_PHONE_IN_USE", attempts: 1,
			says: []string{"is already the inbound number of another agent"}}},
		"but it was asked":    {"40", map[string]string{"inbound-phone-number-id": sandbox.Reception, "take-over": "true"}, sandbox.Support, expected{attempts: 2}},
		"expecting and moved": {"40", map[string]string{"expect-version-id": sandbox.LiveID}, sandbox.Support, expected{code: "ACTION_PHONE_IN_USE", attempts: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			api, server := newSandbox(t, sandbox.Fault{Status: 429, Header: http.Header{"Retry-After": {test.wait}}})
			api.Set(sandbox.Behavior{AllowTakeOver: true})
			var moved atomic.Bool
			server.Handler = withHookAfterChange(api, func() {
				if !moved.Swap(true) {
					api.Bind(sandbox.Reception, sandbox.Inbound, test.owner)
				}
			}).Handler
			test.want.neverShown = []string{"part of it was applied"}
			res := scenario{inputs: test.inputs}.check(t, server, test.want)
			if want := stillLive + ", but +34 910 000 001 (Reception) is no longer bound."; test.want.code != "" && test.inputs == nil && !strings.HasSuffix(res.outputs["error-message"], want) {
				t.Errorf("%q does not end with %q", res.outputs["error-message"], want)
			}
			if sent := sentBodies(api); len(sent) != test.want.attempts {
				t.Errorf("sent %q", sent)
			}
			if test.want.code != "" && test.owner != "" && !slices.Contains(api.Numbers(test.owner, sandbox.Inbound), sandbox.Reception) {
				t.Error("the number was taken back")
			}
		})
	}
}

// A bound number that cannot take calls is not carried over: the API would refuse it.
func testBoundNumberUnusable(t *testing.T) {
	for dry, status := range map[string]string{"true": "dry-run", "false": "published"} {
		api, server := newSandbox(t)
		api.Bind(sandbox.Reception, sandbox.Inbound, "")
		api.Bind(sandbox.Retired, sandbox.Inbound, sandbox.FrontDesk)
		res := with("dry-run", dry).runInMemory(t, server)
		if res.outputs["status"] != status {
			t.Errorf("outputs %q", res.outputs)
		}
		if id, set := res.outputs["inbound-phone-number-id"]; set && dry == "true" {
			t.Errorf("the plan has the number %s", id)
		}
		if sent := sentBodies(api); dry == "false" && !slices.Equal(sent, []string{`{"version_id":"` + sandbox.NextID + `"}`}) {
			t.Errorf("sent %q", sent)
		}
	}
}

// endlessPages serves, where a path ends in path, pages without an end, and elsewhere what a fakeAPI would answer. It returns
// its address.
func endlessPages(t *testing.T, path string, page func(n int) string) string {
	api := &fakeAPI{}
	rest := "http://" + startServer(t, api)
	var n atomic.Int64
	return "http://" + startServer(t, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, path) {
			_, _ = io.WriteString(w, page(int(n.Add(1))))
			return
		}
		again, err := http.NewRequest(r.Method, rest+r.URL.RequestURI(), r.Body)
		if err != nil {
			t.Error(err)
			return
		}
		res, err := http.DefaultTransport.RoundTrip(again)
		if err != nil {
			t.Error(err)
			return
		}
		defer res.Body.Close()
		w.WriteHeader(res.StatusCode)
		_, _ = io.Copy(w, res.Body)
	})})
}

func testEndlessNumbers(t *testing.T) {
	t.Parallel()
	records := func(from int) (list []string) {
		for i := range 100 {
			list = append(list, phoneJSON(fmt.Sprintf("c0000000-0000-4000-8000-%012d", from+i), sandbox.HotlineNumber[:6]+fmt.Sprintf("%06d", from+i)))
		}
		return list
	}
	for name, test := range map[string]struct {
		page func(n int) string
		says string
	}{
		"repeats":    {func(int) string { return pageJSON(true, records(0)...) }, "the list repeats itself"},
		"is empty":   {func(int) string { return pageJSON(true) }, "the list repeats itself"},
		"never ends": {func(n int) string { return pageJSON(true, records(100*n)...) }, "more than 10000 items"},
	} {
		t.Run(name, func(t *testing.T) {
			address := endlessPages(t, "/v1/phone/", test.page)
			res := with("api-url", address, "inbound-phone-number", sandbox.SwitchNumber).runMeasured(t)
			res.check(t, expected{code: "ACTION_RESPONSE_INVALID", attempts: -1, says: []string{test.says, nothingChanged}})

			address = endlessPages(t, "/v1/phone/", test.page)
			res = with("api-url", address).runMeasured(t)
			res.check(t, expected{attempts: 1})
			if n := strings.Count(res.stdout, phonesUnreadable); n != 1 {
				t.Errorf("%d lines say so:\n%s", n, res.stdout)
			}
		})
	}
}

func testEndlessVersions(t *testing.T) {
	t.Parallel()
	address := endlessPages(t, "/version", func(n int) string {
		var list []string
		for i := range 100 {
			list = append(list, fmt.Sprintf(`{"agent_id":%q,"version_id":"b0000000-0000-4000-8000-%012d","version_name":"v1.22.%d","is_draft":false,"is_published":false,"prompt":%q}`,
				sandbox.FrontDesk, 100*n+i, 100*n+i, strings.Repeat("x", 100)))
		}
		return pageJSON(true, list...)
	})
	res := with("api-url", address, "version-name", "v1.22").runMeasured(t)
	res.check(t, expected{code: "ACTION_RESPONSE_INVALID", attempts: -1, says: []string{"more than 100000 items", nothingChanged}})
}

// A dry run of unpublishing has no version to look up, but still checks the agent and the token.
func TestDryRunOfUnpublishing(t *testing.T) {
	const elsewhere = "a0000000-0000-4000-8000-000000000009"
	for _, test := range []struct{ agent, token, status, code string }{
		{sandbox.FrontDesk, sandbox.Token, "dry-run", ""},
		{sandbox.NightDesk, sandbox.Token, "dry-run", ""}, // which has nothing published
		{elsewhere, sandbox.Token, "failed", "AGENT_NOT_FOUND"},
		{sandbox.FrontDesk, "another-token", "failed", "UNAUTHORIZED"},
	} {
		api, server := newSandbox(t)
		res := with(
			"api-url", "http://"+startServer(t, server), "agent-id", test.agent, "token", test.token, "unpublish", "true", "version-id", "", "dry-run", "true",
		).run(t)
		if res.outputs["status"] != test.status || res.outputs["error-code"] != test.code {
			t.Errorf("%s with %s: %q", test.agent, test.token, res.outputs)
		}
		for _, request := range api.Requests() {
			if request.Method != "GET" {
				t.Errorf("a dry run sent a %s", request.Method)
			}
		}
	}
}

func TestDryRunOfDraft(t *testing.T) {
	_, server := newSandbox(t)
	res := with("api-url", "http://"+startServer(t, server), "version-id", sandbox.DraftID, "dry-run", "true").run(t)
	if res.exit != 0 || !strings.Contains(res.stdout, "It is a draft: Diga may refuse it.") || !strings.Contains(res.summary, "a draft") {
		t.Errorf("exit status %d\n%s\n%s", res.exit, res.stdout, res.summary)
	}
}
