package publish_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"publish-agent-version/internal/sandbox"
)

const (
	numberInUse = "is already the inbound number of another agent, " + sandbox.Support
	mayUnbind   = "Diga may unbind +34 910 000 001 (Reception): a request can name only one inbound number."
)

// TestFaultsPhones has the rows P of docs/faults.md.
func TestFaultsPhones(t *testing.T) {
	t.Parallel()
	t.Run("P1", func(t *testing.T) {
		unknown := "c9999999-0000-4000-8000-000000000009"
		story{name: "an ID", inputs: []string{"inbound-phone-number-id", unknown}, code: "ACTION_PHONE_NOT_FOUND",
			attempts: -1, says: []string{"hone number ID " + unknown + " not found",
				"Check inbound-phone-number-id"}}.run(t)
		story{name: "a number", inputs: []string{"inbound-phone-number", "+34 955 000 009"},
			code: "ACTION_PHONE_NOT_FOUND", attempts: -1,
			says: []string{"hone number +34 955 000 009 not found; the assigned ones are",
				"+34 910 000 001 (Reception), ID " + sandbox.Reception, "pbx-7@sip.example.com"}}.run(t)
		story{name: "the end of another", is: notation(national),
			inputs: []string{"inbound-phone-number", "+34 910 00 00 02"}, code: "ACTION_PHONE_NOT_FOUND", attempts: -1,
			says: []string{"Diga writes it 910 00 00 02: use that"}}.run(t)
	})
	t.Run("P2", func(t *testing.T) {
		for _, status := range []string{"reserved", "pending_verification", "finished", "RESERVED", "Finished"} {
			story{name: status, inputs: []string{"inbound-phone-number-id", sandbox.Switch},
				code: "ACTION_PHONE_UNUSABLE", attempts: -1,
				setup: withStatus(sandbox.Switch, status),
				says: []string{"+34 910 000 002 (Switch) cannot be used: it is " +
					strings.ToLower(strings.ReplaceAll(status, "_", " "))}}.run(t)
		}
		story{name: "a record with nothing but its id", inputs: []string{"inbound-phone-number-id", sandbox.Switch},
			faults: []sandbox.Fault{get("/v1/phone/", sandbox.Fault{
				Body: `{"data":[{"id":"` + sandbox.Switch + `"}],"has_more":false}`})},
			is: sandbox.Behavior{Unchecked: true}, attempts: 1,
			inbound: []string{sandbox.Switch, sandbox.Reception}}.run(t)
		story{name: "by number", inputs: []string{"inbound-phone-number", "+34 910 000 002"},
			code: "ACTION_PHONE_UNUSABLE", attempts: -1,
			setup: withStatus(sandbox.Switch, "finished"),
			says:  []string{"cannot be used: it is finished"}}.run(t)
		for _, status := range []string{"ASSIGNED", "Assigned", "porting", ""} {
			story{name: "as if assigned: " + status, inputs: []string{"outbound-phone-number-id", sandbox.Switch},
				is:    sandbox.Behavior{Unchecked: true},
				setup: withStatus(sandbox.Switch, status), attempts: 1}.run(t)
		}
	})
	t.Run("P3", func(t *testing.T) {
		story{name: "refused", inputs: []string{"inbound-phone-number-id", sandbox.Hotline},
			code: "ACTION_PHONE_IN_USE", attempts: -1,
			says: []string{"+34 910 000 004 (Hotline) " + numberInUse, "set take-over: true"}}.run(t)
		story{name: "by number", inputs: []string{"inbound-phone-number", sandbox.HotlineNumber},
			code: "ACTION_PHONE_IN_USE", attempts: -1, says: []string{numberInUse}}.run(t)
		story{name: "another direction", inputs: []string{"inbound-phone-number-id", sandbox.Hotline, "dry-run", "true",
			"take-over", "true"}, status: "dry-run", warns: []string{
			mayUnbind},
			summary: []string{"would be taken from another agent"}}.run(t)
		story{name: "taken over", inputs: []string{"inbound-phone-number-id", sandbox.Hotline, "take-over", "true"},
			attempts: 1, is: sandbox.Behavior{AllowTakeOver: true},
			inbound: []string{sandbox.Hotline, sandbox.Reception},
			summary: []string{"was taken from another agent"}}.run(t)
		story{name: "take-over, and the API refuses",
			inputs: []string{"inbound-phone-number-id", sandbox.Hotline, "take-over", "true"}, code: "BAD_PARAMETER",
			attempts: 1}.run(t)
	})
	t.Run("P4", func(t *testing.T) {
		for name, write := range map[string]func(string) string{
			"E.164": nil, "RFC 3966": rfc3966, "international": international,
			"RFC 3966 with an extension": func(s string) string { return rfc3966(s) + ";ext=12" },
		} {
			for _, given := range []string{
				"+34910000002", "+34 910 000 002", "tel:+34-910-00-00-02", "TEL:+34910000002;ext=7", "34910000002",
				"+34\u00a0910\u201100\u201300/0.2", "(+34) [910] 000002",
			} {
				story{name: name + " " + given, is: notation(write), inputs: []string{"inbound-phone-number", given},
					attempts: 1, inbound: []string{sandbox.Switch, sandbox.Reception},
					says: []string{"+34 910 000 002 (Switch)"},
					outputs: map[string]string{"inbound-phone-number": sandbox.SwitchNumber,
						"inbound-phone-number-id": sandbox.Switch}}.run(t)
			}
		}
		for _, given := range []string{"910 00 00 02", "910000002", "910-00-00-02"} {
			story{name: "national " + given, is: notation(national),
				inputs: []string{"inbound-phone-number", given}, attempts: 1,
				inbound: []string{sandbox.Switch, sandbox.Reception}, says: []string{"910 00 00 02 (Switch)"}}.run(t)
		}
		for _, given := range []string{sandbox.PBXNumber, "sip:" + sandbox.PBXNumber,
			"PBX-7@SIP.example.com;transport=udp"} {
			story{name: given, inputs: []string{"inbound-phone-number", given}, attempts: 1,
				inbound: []string{sandbox.PBX, sandbox.Reception}, says: []string{sandbox.PBXNumber},
				outputs: map[string]string{"inbound-phone-number": sandbox.PBXNumber}}.run(t)
		}
		story{name: "of two records, the usable one", inputs: []string{"inbound-phone-number", sandbox.SwitchNumber},
			attempts: 1, inbound: []string{sandbox.Switch, sandbox.Reception}}.run(t) // Retired has the same number
		story{name: "of two usable ones, neither", inputs: []string{"inbound-phone-number", sandbox.SwitchNumber},
			code: "ACTION_PHONE_NOT_FOUND", attempts: -1,
			setup: withStatus(sandbox.Retired, "assigned"),
			says:  []string{"2 phone numbers match +34 910 000 002", sandbox.Retired}}.run(t)
	})
	t.Run("P5", func(t *testing.T) {
		protect := []string{"so inbound and outbound numbers that were bound could not be protected"}
		for _, status := range refusing {
			faults := []sandbox.Fault{noNumbers(status)}
			story{name: fmt.Sprint(status), faults: faults, attempts: 1, warns: protect}.run(t)
			story{name: fmt.Sprint(status, ", dropped"), is: dropping, faults: faults, attempts: 1, inbound: []string{},
				warns: []string{"The reply names no inbound or outbound number"}}.run(t)
		}
		story{name: "another shape", faults: []sandbox.Fault{get("/v1/phone/", sandbox.Fault{Body: "[]"})}, attempts: 1,
			warns: protect}.run(t)
		story{name: "a key without access to phones", inputs: []string{"token", sandbox.AgentsToken},
			is: sandbox.Behavior{PhonesIfNamed: true}, attempts: 1, warns: protect}.run(t)
		story{name: "an API that knows nothing but the change", attempts: 1, warns: protect,
			faults: []sandbox.Fault{get("/v1/", sandbox.Fault{Status: 404, Body: `{"detail":"Not Found"}`})}}.run(t)
		story{name: "show-live", inputs: []string{"show-live", "true"}, faults: []sandbox.Fault{noNumbers(403)},
			status: "live", says: []string{"Front desk is on v1.22.7, phone numbers unknown"}}.run(t)
		story{name: "one open direction", inputs: []string{"inbound-phone-number-id", sandbox.Reception},
			faults: []sandbox.Fault{noNumbers(403)}, attempts: 1,
			warns: []string{"so outbound numbers that were bound"}}.run(t)
		story{name: "no open direction", faults: []sandbox.Fault{noNumbers(503)}, attempts: 1, inputs: []string{
			"inbound-phone-number-id", sandbox.Reception, "outbound-phone-number-id", "none"}}.run(t)
	})
	t.Run("P5a", func(t *testing.T) {
		for code, fault := range passing {
			fault.Times = 2
			story{name: code, is: dropping, faults: []sandbox.Fault{get("/v1/phone/", fault)}, attempts: 1}.run(t)
		}
		story{name: "nor before a retry, while the first reading is fresh", after: injecting(get("/v1/phone/", busy("3600"))),
			faults: []sandbox.Fault{{Status: 500, Body: apiErrorBody}}, attempts: 2}.run(t)
		for range 10 {
			for name, limit := range map[string]sandbox.Limit{
				"one request at a time": {AtATime: 1}, "one request a second": {Requests: 1, Interval: time.Second},
			} {
				is := dropping
				is.Limit = limit
				story{name: name, is: is}.run(t)
			}
		}
	})
	t.Run("P5b", func(t *testing.T) {
		for code, fault := range passing {
			s := story{name: code, is: dropping, faults: []sandbox.Fault{get("/v1/phone/", fault)}, code: code,
				attempts: -1, says: []string{nothingChanged}}
			if fault.Status != 0 {
				s.says = append(s.says,
					"set both numbers by ID: inbound-phone-number-id and outbound-phone-number-id, each an ID or none")
			}
			s.run(t)
		}
	})
	t.Run("P6", func(t *testing.T) {
		for _, status := range refusing {
			code := fmt.Sprint("HTTP_", status)
			if status == 302 {
				code = "ACTION_REDIRECT_REFUSED"
			}
			story{name: fmt.Sprint(status), faults: []sandbox.Fault{noNumbers(status)},
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
			says: []string{"but lost 2 phone numbers: nobody can call it"},
			warns: []string{
				"lost the inbound numbers +34 910 000 002 (Switch) and +34 910 000 001 (Reception), although this " +
					"step did not request that. Nobody can call it now. Bind what is missing in Diga"},
			outputs: map[string]string{"inbound-phone-number-id": "", "inbound-phone-number": ""},
			summary: []string{"### 🚨", "It may not restore every phone number"}}.run(t)
		story{name: "two, and both are kept", setup: bindTwo, attempts: 1,
			inbound: []string{sandbox.Reception, sandbox.Switch},
			outputs: map[string]string{"inbound-phone-number-id": "", "inbound-phone-number": ""}}.run(t)
		story{name: "one of two is requested, and the other is dropped", is: dropping, setup: bindTwo, attempts: 1,
			inputs: []string{"inbound-phone-number-id", sandbox.Reception}, inbound: []string{sandbox.Reception},
			says:  []string{"but lost 1 phone number"},
			warns: []string{"lost the inbound number +34 910 000 002 (Switch)"}}.run(t)
		story{name: "another is requested, and the bound one is dropped", is: dropping, attempts: 1,
			inputs: []string{"inbound-phone-number-id", sandbox.Switch}, inbound: []string{sandbox.Switch},
			warns: []string{"lost the inbound number +34 910 000 001 (Reception)"}}.run(t)
		story{name: "another is requested, and the bound one is kept", attempts: 1,
			inputs:  []string{"inbound-phone-number-id", sandbox.Switch},
			inbound: []string{sandbox.Switch, sandbox.Reception},
			says:    []string{"answers +34 910 000 002 (Switch) and +34 910 000 001 (Reception)"},
			outputs: map[string]string{"inbound-phone-number-id": sandbox.Switch},
			summary: []string{"It may not restore every phone number"}}.run(t)
		story{name: "and reading back fails", is: dropping, setup: bindTwo, attempts: 1, inbound: []string{},
			faults: []sandbox.Fault{get("/v1/phone/", sandbox.Fault{Times: 1}),
				noNumbers(503)},
			warns: []string{"so one that is no longer bound may have gone unnoticed"}}.run(t)
		// A reading of the numbers counts only if what is live was read before it, and shows the change.
		behind := dropping
		behind.ReplicaLag = 1500 * time.Millisecond
		both := []string{"lost the inbound numbers +34 910 000 002 (Switch) and +34 910 000 001"}
		story{name: "and what is live is read late, from a replica", is: behind, setup: bindTwo,
			after:    injecting(get(publishedRead, sandbox.Fault{Status: 503, Times: 1})),
			attempts: 1, inbound: []string{}, warns: both}.run(t)
		story{name: "and the state before looks like that afterward", is: behind, setup: bindTwo,
			inputs: []string{"version-id", sandbox.LiveID, "inbound-phone-number-id", sandbox.Reception},
			faults: []sandbox.Fault{{Drop: sandbox.DropReply, Applied: true}}, attempts: 1, live: sandbox.LiveID,
			status: "published",
			warns:  []string{"lost the inbound number +34 910 000 002 (Switch)"}}.run(t)
		story{name: "and what is live cannot be read", is: dropping, setup: bindTwo, attempts: 1, inbound: []string{},
			faults: []sandbox.Fault{get(publishedRead, sandbox.Fault{Status: 403})}, warns: both}.run(t)
	})
	t.Run("P9", func(t *testing.T) {
		story{name: "released", inputs: []string{"inbound-phone-number-id", "none"}, attempts: 1, inbound: []string{},
			outputs: map[string]string{"inbound-phone-number-id": ""}, says: []string{"without a phone number"}}.run(t)
		unsaid := sandbox.Fault{Body: `{"agent_id":"` + sandbox.FrontDesk + `","published_version_id":"` +
			sandbox.NextID + `"}`}
		story{name: "and the reply does not say so", inputs: []string{"inbound-phone-number-id", "none"}, attempts: 1,
			inbound: []string{}, faults: []sandbox.Fault{unsaid}, says: []string{readBack}}.run(t)
		story{name: "and it is still bound", inputs: []string{"inbound-phone-number-id", "none"}, status: "unknown",
			code: "ACTION_RESPONSE_MISMATCH", attempts: 1, live: sandbox.NextID, faults: []sandbox.Fault{unsaid},
			after: func(api *sandbox.Sandbox) { api.Bind(sandbox.Reception, sandbox.Inbound, sandbox.FrontDesk) },
			says:  []string{"Only part of it was applied: Front desk is on v1.22.8 and answers +34 910 000 001"}}.run(t)
	})
	t.Run("P10", func(t *testing.T) {
		item := `{"id":"` + sandbox.Switch +
			`","number":"+34910000002","telephony_provider":"custom","status":"assigned"}`
		repeats := get("/v1/phone/", sandbox.Fault{Body: `{"data":[` + item + `],"has_more":true}`})
		story{name: "repeats, none asked for", faults: []sandbox.Fault{repeats}, attempts: 1,
			warns: []string{
				"The phone numbers could not be read (the API returned 200 OK, but not a complete list " +
					"of phone numbers"}}.run(t)
		story{name: "repeats, a number asked for", faults: []sandbox.Fault{repeats},
			inputs: []string{"inbound-phone-number", sandbox.SwitchNumber}, code: "ACTION_RESPONSE_INVALID",
			attempts: -1, says: []string{"the list repeats itself"}}.run(t)
		story{name: "endless", is: (&endless{path: "/phone/", item: `{"id":"c%s"}`}).behavior(),
			inputs: []string{"inbound-phone-number", "+34 910"}, code: "ACTION_RESPONSE_INVALID", attempts: -1,
			says: []string{"more than 10000 items"}}.run(t)
	})
	t.Run("P11", func(t *testing.T) {
		late := sandbox.Fault{Status: 429, Header: http.Header{"Retry-After": {"20"}}}
		rebind := func(agent string) func(*sandbox.Sandbox) {
			return func(api *sandbox.Sandbox) { api.Bind(sandbox.Reception, sandbox.Inbound, agent) }
		}
		const newest = "c9000000-0000-4000-8000-000000000001" // on the first page
		story{name: "given away between two pages", attempts: -1,
			is: sandbox.Behavior{AllowTakeOver: true}, code: "ACTION_PHONE_IN_USE",
			setup: func(api *sandbox.Sandbox) {
				for range 100 {
					api.SetPhone(sandbox.Phone{Number: "+34920000000", Status: "assigned"})
				}
				api.SetPhone(sandbox.Phone{ID: newest, Number: "+34920000001", Status: "assigned"})
			},
			after10s: func(api *sandbox.Sandbox) { api.Bind(newest, sandbox.Inbound, sandbox.NightDesk) },
			faults: []sandbox.Fault{get("/v1/phone/?after=", sandbox.Fault{Status: 429,
				Header: http.Header{"Retry-After": {"30"}}, Times: 1})},
			inputs: []string{"inbound-phone-number-id", newest}}.run(t)
		story{name: "carried over, and given away", faults: []sandbox.Fault{late}, after: rebind(sandbox.NightDesk),
			code: "ACTION_PHONE_IN_USE", attempts: 1, inbound: []string{},
			says: []string{"omeone changed the inbound numbers of Front desk while this step waited"}}.run(t)
		story{name: "carried over, and released", faults: []sandbox.Fault{late}, after: rebind(""),
			code: "ACTION_PHONE_IN_USE", attempts: 1, inbound: []string{}}.run(t)
		story{name: "requested, and given away", faults: []sandbox.Fault{late}, after: rebind(sandbox.NightDesk),
			inputs: []string{"inbound-phone-number-id", sandbox.Reception}, code: "ACTION_PHONE_IN_USE", attempts: 1,
			inbound: []string{}}.run(t)
		story{name: "bound meanwhile, where none was", faults: []sandbox.Fault{{Status: 502}},
			setup: rebind(""), after: rebind(sandbox.FrontDesk), code: "ACTION_PHONE_IN_USE", status: "unknown",
			attempts: 1, live: sandbox.LiveID}.run(t)
		story{name: "given away after a lost reply", faults: []sandbox.Fault{{Drop: sandbox.DropReply}},
			after: rebind(sandbox.NightDesk), inputs: []string{"inbound-phone-number-id", sandbox.Reception},
			code: "ACTION_PHONE_IN_USE", status: "unknown", attempts: 1, inbound: []string{},
			warns: []string{"lost the inbound number +34 910 000 001 (Reception)"}}.run(t)
	})
	t.Run("P12", func(t *testing.T) {
		story{name: "the way back", setup: withStatus(sandbox.Reception, "finished"),
			attempts: 1, summary: []string{"Undo: publish", "It may not restore every phone number"},
			hides: []string{"inbound-phone-number-id: " + sandbox.Reception}}.run(t)
		story{name: "dry run", setup: withStatus(sandbox.Reception, "reserved"),
			inputs: []string{"dry-run", "true"}, status: "dry-run", warns: []string{mayUnbind},
			outputs: map[string]string{"inbound-phone-number-id": "", "inbound-phone-number": ""}}.run(t)
		story{name: "dry run of two numbers", setup: bindTwo, inputs: []string{"dry-run", "true"}, status: "dry-run",
			inbound: []string{sandbox.Reception, sandbox.Switch},
			outputs: map[string]string{"inbound-phone-number-id": "", "outbound-phone-number-id": ""},
			warns:   []string{"Diga may unbind +34 910 000 002 (Switch) and +34 910 000 001 (Reception)"}}.run(t)
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
		const said = "No voice.; No prompt ::error::x; No greeting.; and 1 more"
		id := ""
		issues := func(api *sandbox.Sandbox) {
			var list []sandbox.Issue
			for _, text := range []string{"No voice.", "No prompt\n::error::x", "No greeting.", "No language."} {
				list = append(list, sandbox.Issue{Code: "X", Message: text})
			}
			id = api.AddVersion(sandbox.FrontDesk, sandbox.Version{Name: "broken", Issues: list})
		}
		story{name: "refused", setup: issues, inputs: []string{"version-name", "broken"}, code: "BAD_PARAMETER",
			attempts: 1, says: []string{said}}.run(t)
		story{name: "dry run", setup: issues, inputs: []string{"version-name", "broken", "dry-run", "true"},
			status: "dry-run", warns: []string{"Diga may refuse broken: " + said}}.run(t)
		if id == "" {
			t.Error("no version with issues")
		}
	})
	t.Run("P15", func(t *testing.T) {
		story{name: "the key may not write phones", is: sandbox.Behavior{PhonesIfNamed: true},
			inputs: []string{"token", sandbox.PhonesToken}, code: "INTERNAL_SERVER_ERROR", attempts: 1,
			says: []string{"Give the key Write on Agents and Phones", nothingChanged}}.run(t)
	})
}

// refusing are statuses of a read that is refused for good.
var refusing = []int{302, 400, 403, 404, 405, 410, 422, 501}

// passing are faults of a read that may be over soon, with the code if they are not.
var passing = map[string]sandbox.Fault{
	"HTTP_429": {Status: 429}, "HTTP_500": {Status: 500}, "HTTP_503": {Status: 503}, "HTTP_408": {Status: 408},
	"ACTION_NETWORK_ERROR": {Drop: sandbox.DropReply}, "ACTION_RESPONSE_INVALID": {Drop: sandbox.DropBody},
	"ACTION_TIMEOUT": {Delay: time.Hour},
}
