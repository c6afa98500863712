package publish

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	"publish-agent-version/diga"

	"github.com/google/uuid"
)

// status is the step output of this name.
type status string

const (
	published   status = "published"
	unpublished status = "unpublished"
	dryRun      status = "dry-run"
	live        status = "live"
	offline     status = "offline"
	failed      status = "failed"  // the change is not in effect, and no request can still apply it
	unknown     status = "unknown" // the outcome is uncertain
)

// Code documents an error code: what it means and what to do. A Name of the form HTTP_404 stands for the API's own code, too.
type Code struct{ Name, Status, Means, Do string }

// The step's own codes of failures that are not a request's; diga.Faults has the others.
const (
	codeInputInvalid      = "ACTION_INPUT_INVALID"
	codeOutputUnwritable  = "ACTION_OUTPUT_UNWRITABLE"
	codeVersionNotFound   = "ACTION_VERSION_NOT_FOUND"
	codeVersionAmbiguous  = "ACTION_VERSION_AMBIGUOUS"
	codeUnexpectedVersion = "ACTION_UNEXPECTED_VERSION"
	codeNotNewer          = "ACTION_NOT_NEWER"
	codePhoneNotFound     = "ACTION_PHONE_NOT_FOUND"
	codePhoneUnusable     = "ACTION_PHONE_UNUSABLE"
	codePhoneInUse        = "ACTION_PHONE_IN_USE"
)

var (
	codeResponseInvalid  = diga.InvalidReply.Code
	codeResponseMismatch = diga.Mismatch.Code
	codeInternal         = diga.Internal.Code
)

var ownCodes = []Code{
	{codeInputInvalid, "", "An input is missing, malformed or unknown, or conflicts with another. No request was sent.",
		"Fix each input named in the message."},
	{codeOutputUnwritable, "", "The results cannot be written. If that shows only after the change, the message says what is live.",
		"Free up disk space, or check what overrides `GITHUB_OUTPUT`."},
	{codeVersionNotFound, "", "No version has this name or ID, or only a draft has it.",
		"Choose a name listed in the message, or save the draft as a version in Diga."},
	{codeVersionAmbiguous, "", "Several versions have the name in `version-name`.", "Set `version-id` to one of the IDs in the message."},
	{codeUnexpectedVersion, "", "The live version is not the one in `expect-version-id`.", "Someone may have published: make a new plan."},
	{codeNotNewer, "", "`only-newer` is set, and the version is older than the live one.", "To roll back on purpose, remove `only-newer`."},
	{codePhoneNotFound, "", "No phone number matches, or several do.", "Use a number listed in the message, or set its ID."},
	{codePhoneUnusable, "", "The phone number is reserved, not yet verified, released or finished.",
		"Choose another number, or have this one assigned in Diga."},
	{codePhoneInUse, "", "Another agent uses the phone number in this direction, or the bound numbers changed while the step waited.",
		"Choose another number, set `take-over: true`, or run the step again: see the message."},
}

// Codes lists the error codes in the order of docs/errors.md.
func Codes() []Code {
	codes := slices.Clone(ownCodes)
	markdown := renderer{literal: func(s string) string { return "`" + s + "`" }}
	for _, f := range diga.Faults {
		name := f.Code
		if name == "" && f.Status != "" {
			name = "HTTP_" + f.Status
			if strings.Contains(f.Status, " ") {
				name = "HTTP_<status>"
			}
		}
		if name != "" {
			codes = append(codes, Code{name, f.Status, markdown.text(say(f.Means)), markdown.text(say(f.Advice))})
		}
	}
	return codes
}

// failure is why the step fails, in words for the user.
type failure struct {
	code   string
	status status
	what   message   // what happened, as a clause
	items  []message // a list that follows it, such as one problem per input
	live   message   // what is live now; may be empty
	advice message   // what to do
	http   int       // status of the last HTTP response; 0: none
	signal syscall.Signal
}

// refusal is the failure of a check before the change.
func refusal(code string, advice message, format string, args ...any) *failure {
	return &failure{code: code, status: failed, advice: advice, what: say(format, args...)}
}

// add appends a clause to what happened.
func (f *failure) add(format string, args ...any) {
	f.what = say("%s; %s", f.what, say(format, args...))
}

// message is what happened and what is live, on one line.
func (f *failure) message(r renderer) string {
	what := f.what
	if len(f.items) > 0 {
		what = say("%s: %s", what, join(f.items, "; "))
	}
	return r.sentences(what, f.live)
}

// addIssues adds the issues that may be why the API refused a version.
func (f *failure) addIssues(issues []diga.Foreign) {
	if len(issues) > 0 && f.http >= 400 && f.http < 500 && len(f.items) == 0 {
		f.items = some(3, issues, foreign)
	}
}

// invalidInputs is the failure for invalid inputs.
func invalidInputs(problems []message) *failure {
	f := refusal(codeInputInvalid, say("Nothing was sent."), "%s", problems[0])
	if len(problems) > 1 {
		f.what, f.items = say("%d problems with the inputs", len(problems)), problems
	}
	return f
}

// outputsUnwritable is the failure of a step that could not write its results; done is what it did, if anything.
func outputsUnwritable(err error, s status, done message) *failure {
	f := refusal(codeOutputUnwritable, say("Free up disk space, then run this step again: that is safe."),
		"could not write the results: %s", diga.Foreign(err.Error()))
	f.status, f.live = s, done
	if done.empty() {
		f.what = say("cannot write step outputs: %s", diga.Foreign(err.Error()))
		f.advice = say("Nothing was sent. The runner provides this file: check what changes or removes it.")
	}
	return f
}

// apiFailure describes an error of the API client.
func (r *run) apiFailure(err error) *failure {
	e, ok := errors.AsType[*diga.Error](err)
	if !ok {
		e = &diga.Error{Cause: diga.Internal, Message: "the request could not be made", Said: diga.Foreign(fmt.Sprint(err))}
	}
	if stopped, ok := errors.AsType[*stoppedError](err); ok && stopped.failure != nil {
		stopped.failure.http, stopped.failure.live = e.Status, r.nothingChanged()
		return stopped.failure
	}
	if e.Cause == diga.Stopped && e.Last != nil { // in force: the failure is the answer before that
		e = e.Last
	}
	f := &failure{code: e.Code, status: failed, http: e.Status, signal: signalOf(e), live: r.nothingChanged(), advice: say(e.Cause.Advice)}
	if own := e.Cause.Code; own != "" && !(e.Cause == diga.InvalidReply && e.Code != "") {
		f.code = own
	} else if e.Code == "" || strings.HasPrefix(e.Code, "ACTION_") { // reserved for the step
		f.code = fmt.Sprintf("HTTP_%d", e.Status)
	}
	f.what = r.describe(e)
	if e.GaveUp != "" {
		f.add("%s", e.GaveUp)
	}
	if last := e.Last; last != nil {
		m := say("previous response: %s", r.describe(last))
		if last.Code != "" {
			m = say("%s (%s)", m, diga.Foreign(last.Code))
		}
		f.add("%s", m)
	}
	f.items = some(5, e.Details, func(d diga.Detail) message {
		if d.Field == "" {
			return foreign(d.Message)
		}
		return say("%s: %s", diga.Foreign(inputOf(d.Field)), d.Message)
	})
	return f
}

// describe describes an error, as a clause.
func (r *run) describe(e *diga.Error) message {
	m := say("%s", e.Message)
	refused := 400 <= e.Status && e.Status < 500 && e.Cause != diga.Limited && e.Cause != diga.ServerFault
	if r.changing && e.Code != "" && refused {
		m = say("Diga refused %s", r.wished())
		if e.Said == "" && len(e.Details) == 0 {
			m = say("%s (%s)", m, diga.StatusText(e.Status))
		}
	}
	if e.Said != "" {
		m = say("%s: %s", m, diga.Foreign(strings.TrimSuffix(string(e.Said), ".")))
	}
	return m
}

// inputOf is the input that sets a field of the request; other fields keep the API's name.
func inputOf(field string) string {
	inputs := map[string]string{
		"body.version_id": "version-id", "path.agent_id": "agent-id", "body.version_name": "version-name",
		"body.inbound_phone_number_id": "inbound-phone-number-id", "body.outbound_phone_number_id": "outbound-phone-number-id",
	}
	if input, ok := inputs[field]; ok {
		return input
	}
	return field
}

// signalOf returns the signal that err reports; 0: none.
func signalOf(err error) syscall.Signal {
	signal, _ := errors.AsType[Signal](err)
	number, _ := signal.Signal.(syscall.Signal)
	return number
}

// nothingChanged says what is live when nothing was changed.
func (r *run) nothingChanged() message {
	if r.in.ShowLive {
		return message{}
	}
	m := say("Nothing was changed")
	if r.launched {
		m = say("%s was launched and is not live", versionName(r.wish.version))
	}
	if live := r.liveNow(); !live.empty() {
		m = say("%s: %s", m, live)
	}
	return m
}

// liveNow says what is live by the last reading, as a clause. What was read before an attempt at a change, or long ago,
// is not said to be so still.
func (r *run) liveNow() message {
	live, is := r.lastRead()
	what := say("no version")
	switch {
	case !live.known():
		return message{}
	case live.value.ID != uuid.Nil:
		what = r.name(live.value)
	case is == "is still":
		is = "is"
	}
	return say("%s %s live%s", what, is, live.since(is))
}

// lastRead is the last reading of what is live, with the verb that it allows: "is", "is still" for what the change has
// not touched, or "was".
func (r *run) lastRead() (live reading[diga.Version], verb string) {
	live = r.now.live
	if !live.known() {
		live = r.before.live
	} else if r.before.isLive(live.value.ID) && !live.at.Before(r.lastAttempt) && !r.moved {
		return live, "is still"
	}
	if live.isOlder(maxAge) || live.at.Before(r.lastAttempt) {
		return live, "was"
	}
	return live, "is"
}

// since says when a reading was made, if the verb is "was".
func (r reading[T]) since(verb string) message {
	if verb != "was" {
		return say("")
	}
	return say(" when this step read it, %s ago", diga.FormatDuration(time.Since(r.at)))
}

// explain fills in what is live now and what to do after a change that was not confirmed.
func (r *run) explain(f *failure, effect diga.Effect, seen observation) {
	if f.status == unknown && f.code != codeResponseMismatch {
		f.advice = say("Run this step again: that is safe.")
		if f.code == codeResponseInvalid {
			f.advice = say("Check that {api-url} points to the API, then run this step again: that is safe.")
		}
	}
	now := r.liveNow()
	switch {
	case effect == diga.NoEffect:
		f.addIssues(r.wish.version.Issues)
		f.live = r.nothingChanged()
	case seen == unreadable:
		reason := "no response"
		if err := r.now.err(); err != nil {
			reason = strings.TrimSuffix(err.Error(), ".")
		}
		f.live = say("the change may have been applied: could not read what is live (%s)", diga.Foreign(reason))
		if r.now.live.known() {
			f.live = say("%s, but the phone numbers could not be read (%s)", now, diga.Foreign(reason))
		}
	case seen == partial:
		f.live = say("only part of it was applied: %s%s", r.isOn(), r.onNumbers())
	case seen == replaced && r.now.offline():
		f.live = say("%s is offline: %s is no longer live", r.agent(), r.name(r.before.live.value))
	case seen == replaced:
		f.live = say("%s, which was neither live before nor requested", now)
		f.advice = say("Find out who else publishes this agent, then run this step again if needed: that is safe.")
	case f.status == unknown:
		f.live = say("%s, but the change may still be applied", now)
	case r.before.live.known():
		f.live = r.nothingChanged()
	default:
		f.live = now
	}
}

// reportPanic reports a panic without printing its value or stack, which may hold secrets, and returns the exit status.
func (r *run) reportPanic() (exit int) {
	defer func() {
		_ = recover() // there is no way left to report it
		exit = 1
	}()
	f := refusal(codeInternal, say(diga.Internal.Advice), "the action crashed")
	f.live = say("nothing was changed")
	switch {
	case r.confirmed:
		f.live = say("the change is in effect")
		f.status = unknown // "failed" would tell later steps that nothing was changed
	case r.changing && (r.failure == nil || r.failure.status == unknown):
		f.live = say("the change may have been applied; running this step again is safe")
		f.status = unknown
	}
	r.failure, r.status = f, f.status
	plainly := renderer{literal: func(s string) string { return s }}
	annotation := plainly.sentences(f.what, f.live, f.advice)
	defer func() { r.fail(f.code, annotation) }() // even if writing the outputs panics too
	if r.outputFile == nil {
		_ = r.openOutputs()
	}
	_ = r.setOutputs(r.outputs("", r.renderer()))
	return 1
}
