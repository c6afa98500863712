package publish

import (
	"errors"
	"slices"
	"strings"
	"syscall"

	"publish-agent-version/diga"
)

// failure is why the step fails, in words for the user.
type failure struct {
	code   string
	status status
	what   text   // what happened: one sentence
	items  []text // a list that follows it, such as one problem per input
	cause  text   // what happened to a request, as a clause
	live   text   // what is live now: one sentence; may be empty
	advice text   // what to do: whole sentences
	http   int    // status of the last HTTP response; 0: none
	signal syscall.Signal
}

// message is what happened and what is live, on one line.
func (f *failure) message(r renderer) string {
	what := f.what.render(r)
	if len(f.items) > 0 {
		what = strings.TrimSuffix(what, ".") + ": " + join(f.items, "; ").render(r)
	}
	return strings.TrimSpace(sentence(what) + " " + sentence(f.live.render(r)))
}

// annotation is what happened, what is live and what to do. Unless it contains a list, it has at most maxAnnotation
// characters, and its first sentence at most maxFirstSentence. The job summary has the full text.
func (f *failure) annotation(r renderer) string {
	advice := f.advice.render(r)
	if len(f.items) > 0 || f.code == codeInputInvalid {
		return f.message(r) + " " + advice
	}
	what := truncate(sentence(f.what.render(r)), maxFirstSentence)
	live := truncate(sentence(f.live.render(r)), maxAnnotation-len([]rune(what))-len([]rune(advice))-2)
	return strings.Join(strings.Fields(what+" "+live+" "+advice), " ")
}

// invalidInputs is the failure for invalid inputs.
func invalidInputs(problems []text) *failure {
	f := &failure{code: codeInputInvalid, status: failed, advice: say("Nothing was sent.")}
	if f.what = problems[0]; len(problems) > 1 {
		f.what, f.items = say("%d problems with the inputs", len(problems)), problems
	}
	return f
}

// outputsUnwritable is the failure of a step that changes nothing because it could not set its outputs.
func outputsUnwritable(err error) *failure {
	return &failure{
		code: codeOutputUnwritable, status: failed,
		what:   say("Cannot write step outputs: %s", literal(err.Error())),
		advice: say("Nothing was sent. The runner provides this file: check what changes or removes it."),
	}
}

// outputsLost is the failure of a step that succeeded but could not set its outputs.
func (r *result) outputsLost(err error) *failure {
	_, message := r.success()
	outputs := say("the outputs")
	if id := r.final().liveID(); id != "" && !r.in.DryRun {
		outputs = say("published-version-id (%s) and the other outputs", literal(id))
	}
	return &failure{
		code: codeOutputUnwritable, status: r.status(),
		what:   message,
		live:   say("Could not write %s: %s", outputs, literal(err.Error())),
		advice: say("Free up disk space, then run this step again: that is safe."),
	}
}

// readFailure is the failure of a read that the change depends on.
func (r *result) readFailure(err error) *failure {
	if f := checkVersion(r.in, r.before); f != nil {
		f.live = r.nothingChanged()
		return f
	}
	if noPhone, ok := errors.AsType[*phoneNotFoundError](err); ok {
		f := noPhone.failure()
		f.live = r.nothingChanged()
		return f
	}
	f, _ := r.apiFailure(err)
	if errors.Is(err, errReadingNumbers) && f.signal == 0 {
		f.what = say("Could not read the phone numbers: %s", f.cause)
		f.advice = say("%s Or pass the number's ID in the input that ends in %s.", f.advice, literal("-id"))
	}
	return f
}

// failure lists numbers that the user may have meant.
func (e *phoneNotFoundError) failure() *failure {
	f := &failure{
		code: codePhoneNotFound, status: failed, what: say("Phone number %s not found", literal(spaced(e.number))),
		advice: say("Check the number, or set its ID instead."),
	}
	candidates := slices.DeleteFunc(slices.Clone(e.all), func(p diga.Phone) bool { return p.Status != diga.Assigned })
	switch {
	case len(e.same) > 0:
		f.what = say("%d phone numbers match %s", len(e.same), literal(spaced(e.number)))
		f.advice = say("Set its ID instead.")
		candidates = e.same
	case len(candidates) == 0:
		f.what = say("%s: this token has no assigned phone numbers", f.what)
	default:
		f.what = say("%s; the assigned ones are", f.what)
	}
	const maxListed = 5
	for _, p := range candidates[:min(len(candidates), maxListed)] {
		f.items = append(f.items, say("%s, ID %s", phoneName(p), literal(p.ID.String())))
	}
	if more := len(candidates) - maxListed; more > 0 {
		f.items = append(f.items, say("and %d more", more))
	}
	return f
}

// stoppedError carries the failure that prevented a retry.
type stoppedError struct{ failure *failure }

func (e *stoppedError) Error() string { return "the checks no longer pass" }

// apiFailure describes an error of the API client, and returns what the change may have done anyway.
func (r *result) apiFailure(err error) (*failure, diga.Effect) {
	e, ok := errors.AsType[*diga.Error](err)
	if !ok {
		e = &diga.Error{Cause: diga.Internal, Message: "the request could not be made", Untrusted: err.Error()}
	}
	if stopped, ok := errors.AsType[*stoppedError](err); ok {
		stopped.failure.live, stopped.failure.http = r.nothingChanged(), e.Status
		return stopped.failure, e.Effect
	}
	f := &failure{status: failed, http: e.Status, signal: signalOf(e), live: r.nothingChanged()}
	f.code, f.advice = classify(e)
	f.what, f.items = r.describe(e).capitalized(), listDetails(e.Details)
	cause := *e
	cause.GaveUp = "" // irrelevant once the change is confirmed
	f.cause = r.describe(&cause)
	if name, ok := errors.AsType[*diga.NameError](e); ok {
		if f.items = listVersions(name); name.Matches == 0 {
			f.what = say("%s; similar names", f.what)
		}
	}
	return f, e.Effect
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
	f := &failure{
		code: codeInternal, status: failed, what: say("The action crashed"), live: say("Nothing was changed"),
		advice: say("Report this as a bug and include this log."),
	}
	switch {
	case r.confirmed != nil:
		f.live = say("The change is in effect")
		f.status = unknown // "failed" would tell later steps that nothing was changed
	case r.changeSent && (r.failure == nil || r.failure.status == unknown):
		f.live = say("The change may have been applied; running this step again is safe")
		f.status = unknown
	}
	r.failure = f
	annotation := f.annotation(func(s string) string { return s })
	defer func() { r.fail(f.code, annotation) }() // even if writing the outputs panics too
	if r.outputFile == nil {
		_ = r.openOutputs()
	}
	_ = r.setOutputs(r.outputs(r.text))
	return 1
}
