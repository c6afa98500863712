package publish

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"publish-agent-version/diga"
)

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
func (f *failure) addIssues(err error, issues []diga.Foreign) {
	e, _ := errors.AsType[*diga.Error](err)
	if e == nil || len(f.items) > 0 {
		return
	}
	if e.Cause == diga.BadRequest || e.Cause == diga.Unprocessable || e.Cause == diga.Refused {
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
	f := refusal(codeOutputUnwritable,
		say("Check the path and the free disk space, then run this step again: that is safe."),
		"could not write the results: %s", diga.Foreign(err.Error()))
	f.status, f.live = s, done
	if done.empty() {
		f.what = say("cannot write step outputs: %s", diga.Foreign(err.Error()))
		f.advice = say("Nothing was sent. The runner provides this file: check what changes or removes it.")
	}
	return f
}

// apiFailure describes an error of the API client: of the change, once that may have been sent.
func (r *run) apiFailure(err error) *failure { return r.failureOf(err, r.changing) }

// failureOf describes an error of the change, or of any other request.
func (r *run) failureOf(err error, ofChange bool) *failure {
	e, _ := errors.AsType[*diga.Error](err) // all of its errors are
	if stopped, ok := errors.AsType[*stoppedError](err); ok && stopped.failure != nil {
		stopped.failure.http = e.Status
		return stopped.failure
	}
	if e.Cause == diga.Stopped && e.Last != nil { // in force: the failure is the answer before that
		e = e.Last
	}
	f := &failure{code: e.Code, status: failed, http: e.Status, signal: signalOf(e)}
	f.what, f.advice = r.describe(e, ofChange), say(e.Cause.Advice)
	if own := e.Cause.Code; own != "" && !(e.Cause == diga.InvalidReply && e.Code != "") {
		f.code = own
	} else if e.Code == "" || strings.HasPrefix(e.Code, "ACTION_") { // reserved for the step
		f.code = fmt.Sprintf("HTTP_%d", e.Status)
	}
	if ofChange && e.Cause == diga.BadRequest && r.wish.version.Draft {
		f.advice = say("Save the draft as a version in Diga, and publish that.")
	}
	if e.GaveUp != "" {
		f.add("%s", e.GaveUp)
	}
	if last := e.Last; last != nil {
		m := say("previous response: %s", r.describe(last, ofChange))
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
func (r *run) describe(e *diga.Error, ofChange bool) message {
	m := say("%s", e.Message)
	refused := 400 <= e.Status && e.Status < 500 && e.Cause != diga.Limited && e.Cause != diga.ServerFault
	if ofChange && e.Code != "" && refused {
		if m = say("Diga refused %s", r.name(r.wish.version)); r.in.Unpublish {
			m = say("Diga refused to unpublish")
		}
		m = say("%s (%s)", m, diga.StatusText(e.Status))
	}
	if e.Said != "" {
		m = say("%s: %s", m, diga.Foreign(strings.TrimSuffix(string(e.Said), ".")))
	}
	return m
}

// inputOf is the input that sets a field of the request; other fields keep the API's name.
func inputOf(field string) string {
	_, name, _ := strings.Cut(field, ".") // of body.version_id, for example
	if name = strings.ReplaceAll(name, "_", "-"); inputNamed(name) != nil {
		return name
	}
	return field
}

// Signal is the cause of a context that was canceled by SIGINT or SIGTERM.
type Signal struct{ os.Signal }

func (s Signal) Error() string {
	if s.Signal == syscall.SIGTERM {
		return "canceled by SIGTERM"
	}
	return "canceled by SIGINT"
}

// signalOf returns the signal that err reports; 0: none.
func signalOf(err error) syscall.Signal {
	signal, _ := errors.AsType[Signal](err)
	number, _ := signal.Signal.(syscall.Signal)
	return number
}

// reportPanic reports a panic without printing its value or stack, which may hold secrets, and returns the exit status.
func (r *run) reportPanic() (exit int) {
	defer func() {
		_ = recover() // there is no way left to report it
		exit = 1
	}()
	f := refusal(diga.Internal.Code, say(diga.Internal.Advice), "the action crashed")
	switch {
	case r.confirmed: // "failed" would tell later steps that nothing was changed
		f.status, f.live = unknown, say("the change is in effect")
	case r.changing && (r.failure == nil || r.failure.status == unknown):
		f.status, f.live = unknown, say("the change may have been applied; running this step again is safe")
	default:
		f.live = say("nothing was changed")
	}
	if r.launching || r.launched {
		f.live = say("the draft may have been launched; %s", f.live)
	}
	r.failure, r.status = f, f.status
	defer r.fail(f) // even if writing the outputs panics too
	if r.outputFile == nil {
		_ = r.openOutputs()
	}
	_ = r.setOutputs(r.outputs("", r.renderer()))
	return 1
}
