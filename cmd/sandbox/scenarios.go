package main

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"publish-agent-version/internal/sandbox"
)

type values = map[string]string

// scenario is a step to run, with its inputs, what the sandbox does, and the expected result.
type scenario struct {
	name        string
	description string
	inputs      values // besides agent-id and api-url; without token: one that may do everything
	setup       func(*sandbox.Sandbox)
	behavior    sandbox.Behavior
	then        func(outputs values) values // the inputs of a second step, whose result is expected

	exit     int
	outputs  values   // outputs not listed may have any value
	warnings []string // text that a warning must contain
	after    string   // Front desk's state, as it is printed; empty: promoted
}

const (
	promoted  = sandbox.NextID + " is live, answers " + sandbox.ReceptionNumber
	unchanged = sandbox.LiveID + " is live, answers " + sandbox.ReceptionNumber
	onSwitch  = sandbox.NextID + " is live, answers " + sandbox.SwitchNumber + " and " + sandbox.ReceptionNumber
)

// launchedID is the version that launching the draft makes.
const (
	launchedID = "b1000000-0000-4000-8000-000000000231"
	launched   = launchedID + " is live, answers " + sandbox.ReceptionNumber
)

// previousID is the version before the live one.
const previousID = "b1000000-0000-4000-8000-000000000227"

// next are the inputs that publish the next version, and more.
func next(more ...string) values {
	inputs := values{"version-id": sandbox.NextID}
	for pair := range slices.Chunk(more, 2) {
		inputs[pair[0]] = pair[1]
	}
	return inputs
}

// faults is a setup that injects faults.
func faults(faults ...sandbox.Fault) func(*sandbox.Sandbox) {
	return func(s *sandbox.Sandbox) { s.Inject(faults...) }
}

func scenarios() []scenario {
	launch := values{"version-name": "v1.23.0", "launch-draft": "true"}
	published, twice := values{"status": "published"}, values{"status": "published", "attempts": "2"}
	return []scenario{{
		name: "promotion", description: "publish the version that has the tag's name, as a release workflow does",
		inputs:  values{"version-name": sandbox.NextName},
		outputs: values{"status": "published", "published-version-id": sandbox.NextID, "previous-version-id": sandbox.LiveID},
	}, {
		name: "publish", description: "publish a version by its ID on an additional phone number",
		inputs:  next("inbound-phone-number-id", sandbox.Switch),
		outputs: values{"status": "published", "inbound-phone-number-id": sandbox.Switch}, after: onSwitch,
	}, {
		name: "by-number", description: "publish on a phone number, given as +34 910 000 002 instead of its ID",
		inputs: next("inbound-phone-number", "+34 910 000 002"), after: onSwitch,
		outputs: values{"inbound-phone-number-id": sandbox.Switch, "inbound-phone-number": sandbox.SwitchNumber},
	}, {
		name: "number-in-use", description: "another agent answers the phone number: the step fails before it changes anything",
		inputs: next("inbound-phone-number-id", sandbox.Hotline),
		exit:   1, outputs: values{"status": "failed", "error-code": "ACTION_PHONE_IN_USE", "attempts": ""}, after: unchanged,
	}, {
		name: "take-over", description: "another agent answers the phone number, and take-over moves it to this one",
		inputs: next("inbound-phone-number-id", sandbox.Hotline, "take-over", "true"), behavior: sandbox.Behavior{AllowTakeOver: true},
		outputs: values{"status": "published", "inbound-phone-number": sandbox.HotlineNumber},
		after:   sandbox.NextID + " is live, answers " + sandbox.HotlineNumber + " and " + sandbox.ReceptionNumber,
	}, {
		name: "number-dropped", inputs: next(),
		description: "the agent answers two numbers and the API releases those that a request omits: the step warns",
		setup:       func(s *sandbox.Sandbox) { s.Bind(sandbox.Switch, sandbox.Inbound, sandbox.FrontDesk) },
		behavior:    sandbox.Behavior{ReleaseOmitted: true, DropOthers: true},
		outputs:     published, warnings: []string{"+34 910 000 001", "+34 910 000 002"}, after: sandbox.NextID + " is live",
	}, {
		name: "retry", description: "the API returns 503 once: the step retries",
		inputs: next(), setup: faults(sandbox.Fault{Status: http.StatusServiceUnavailable}), outputs: twice,
	}, {
		name: "lost-reply", description: "the change is applied but the response is lost: the step finds it in effect before it tries again",
		inputs: next(), setup: faults(sandbox.Fault{Drop: sandbox.DropReply, Applied: true}),
		outputs: values{"status": "published", "attempts": "1"},
	}, {
		name: "lost-and-confirmed", inputs: next("max-retries", "0"),
		description: "the change is applied but every response is lost: the step finds the version live by reading it back",
		setup:       faults(sandbox.Fault{Drop: sandbox.DropReply, Applied: true, Times: -1}),
		outputs:     values{"status": "published", "attempts": "1", "previous-version-id": sandbox.LiveID},
	}, {
		name: "gateway-503", inputs: next("max-retries", "0"),
		description: "the change is applied but a gateway returns 503 every time: the step finds the version live by reading it back",
		setup: faults(sandbox.Fault{
			Status: http.StatusServiceUnavailable, Header: http.Header{"Content-Type": {"text/html"}},
			Body: "<html><body><h1>503 Service Temporarily Unavailable</h1></body></html>", Applied: true, Times: -1,
		}),
		outputs: values{"status": "published", "attempts": "1", "previous-version-id": sandbox.LiveID},
	}, {
		name: "unknown", inputs: next("max-retries", "1"),
		description: "every connection is closed before the change is applied: the step cannot rule out that it will still be applied",
		setup:       faults(sandbox.Fault{Drop: sandbox.DropReply, Times: -1}), exit: 1, after: unchanged,
		outputs: values{"status": "unknown", "error-code": "ACTION_NETWORK_ERROR", "attempts": "2", "previous-version-id": sandbox.LiveID},
	}, {
		name: "imported-number", description: "publish on an imported number, which is a SIP identifier",
		inputs: next("inbound-phone-number", sandbox.PBXNumber), outputs: values{"inbound-phone-number": sandbox.PBXNumber},
		after: sandbox.NextID + " is live, answers " + sandbox.PBXNumber + " and " + sandbox.ReceptionNumber,
	}, {
		name: "national-number", description: "the API writes numbers as 910 00 00 02, and so does the workflow",
		inputs: next("inbound-phone-number", "910 00 00 02"), behavior: sandbox.Behavior{Notation: sandbox.National},
		outputs: values{"inbound-phone-number-id": sandbox.Switch, "inbound-phone-number": "910 00 00 02"}, after: onSwitch,
	}, {
		name: "line-kept", inputs: next(), outputs: published,
		description: "the API serves one request at a time and releases what a request omits: the step waits for the numbers",
		behavior:    sandbox.Behavior{ReleaseOmitted: true, DropOthers: true, Limit: sandbox.Limit{AtATime: 1}},
	}, {
		name: "tag-is-release", description: "no version has the tag's name: the draft is launched under it and published",
		inputs: launch, outputs: values{"status": "published", "launched": "true", "version-id": launchedID}, after: launched,
	}, {
		name: "tag-again", description: "the same release runs twice: the draft is launched once", inputs: launch,
		then: func(values) values { return launch }, outputs: values{"status": "published", "launched": "false"}, after: launched,
	}, {
		name: "launch-lost", description: "the draft is launched but the response is lost: the step finds the version by its name",
		inputs: launch, setup: faults(sandbox.Fault{Method: http.MethodPost, Drop: sandbox.DropReply, Applied: true}),
		outputs: values{"status": "published", "launched": "true", "version-id": launchedID}, after: launched,
	}, {
		name: "rate-limit", description: "the API allows 4 requests and then one every 2 seconds: the step waits for Retry-After",
		inputs: next(), outputs: published,
		behavior: sandbox.Behavior{Limit: sandbox.Limit{Requests: 4, Interval: 8 * time.Second, RetryAfter: true}},
	}, {
		name: "rollback", description: "publish a version, then roll back to previous-version-id in a second step",
		inputs:  values{"version-name": sandbox.NextName},
		then:    func(outputs values) values { return values{"version-id": outputs["previous-version-id"]} },
		outputs: values{"status": "published", "published-version-id": sandbox.LiveID, "previous-version-id": sandbox.NextID},
		after:   unchanged,
	}, {
		name: "unpublish", description: "unpublish the agent", inputs: values{"unpublish": "true"}, after: "nothing is live",
		outputs: values{"status": "unpublished", "published-version-id": "", "previous-version-id": sandbox.LiveID},
	}, {
		name: "dry-run", description: "everything is read and checked, nothing is changed",
		inputs:  values{"version-id": previousID, "dry-run": "true"},
		outputs: values{"status": "dry-run", "previous-version-id": sandbox.LiveID}, after: unchanged,
	}, {
		name: "wrong-name", description: "no version has the tag's name: the step fails and lists similar names",
		inputs: values{"version-name": "1.22.8"}, exit: 1, after: unchanged,
		outputs: values{"status": "failed", "error-code": "ACTION_VERSION_NOT_FOUND"},
	}, {
		name: "read-only-key", description: "the key may only read: the API refuses the change and the step says what the key lacks",
		inputs: next("token", sandbox.ReadToken), exit: 1, after: unchanged,
		outputs: values{"status": "failed", "error-code": "INTERNAL_SERVER_ERROR", "http-status": "403"},
	}, {
		name: "api-error", inputs: next("version-id", sandbox.DraftID), exit: 1, after: unchanged,
		description: "the version is a draft: the API refuses it and the step fails with the API's code",
		outputs:     values{"status": "failed", "error-code": "BAD_PARAMETER", "http-status": "400", "attempts": "1"},
	}, {
		name: "bad-input", inputs: values{"version-id": "", "timeout": "soon"}, exit: 1, after: unchanged,
		description: "version-id is empty, as from an undefined variable, and timeout is invalid: nothing is sent",
		outputs:     values{"status": "failed", "error-code": "ACTION_INPUT_INVALID"},
	}}
}

// list writes the names and descriptions of the scenarios.
func list(w io.Writer) {
	fmt.Fprintln(w, "scenarios:")
	for _, sc := range scenarios() {
		fmt.Fprintf(w, "  %-18s %s\n", sc.name, sc.description)
	}
}
