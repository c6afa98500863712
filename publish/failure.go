package publish

import (
	"errors"
	"fmt"
	"strings"
	"syscall"

	"publish-agent-version/diga"
)

// show turns a text that this program did not write into one that is safe where it goes: report.text for a line,
// report.codeSpan for Markdown.
type renderer func(text string) string

// failure is why the step fails, as its reader is told.
type failure struct {
	code   string
	status status
	what   func(renderer) string // what happened: one sentence, without a full stop
	cause  func(renderer) string // the same as a clause, of a request that failed
	live   func(renderer) string // what is live now, in the same form; nil: the code says enough
	do     string                // what to do: whole sentences, the names of inputs in back quotes
	list   bool                  // what lists problems, and may be long
	http   int                   // status of the last HTTP reply; 0: none
	signal syscall.Signal        // what ended the step; 0: nothing did
}

// message is what happened and what is live.
func (f *failure) message(render renderer) string {
	text := sentence(f.what(render))
	if f.live != nil {
		text += " " + sentence(f.live(render))
	}
	return text
}

// advice is what to do.
func (f *failure) advice(render renderer) string {
	parts := strings.Split(f.do, "`")
	for i := 1; i < len(parts); i += 2 {
		parts[i] = render(parts[i])
	}
	return strings.Join(parts, "")
}

// annotation is all of it in at most mostAnnotation characters, lists apart. What happened is cut first: the summary has
// all of it.
func (f *failure) annotation(render renderer) string {
	what, live, do := f.what(render), "", f.advice(render)
	if f.live != nil {
		live = f.live(render)
	}
	if !f.list {
		room := maxAnnotation - len([]rune(do)) - len(". . ")
		what = truncate(what, max(room-len([]rune(live)), 120))
		live = truncate(live, max(room-len([]rune(what)), 0))
	}
	text := sentence(what)
	for _, part := range []string{sentence(live), do} {
		if part != "" {
			text += " " + part
		}
	}
	return text
}

func truncate(text string, most int) string {
	if runes := []rune(text); len(runes) > most {
		return string(runes[:max(most-1, 0)]) + "…"
	}
	return text
}

// endSentence adds a full stop where one is missing.
func sentence(s string) string {
	if s == "" || strings.HasSuffix(s, "?") || strings.HasSuffix(s, ".") {
		return s
	}
	return s + "."
}

// capital makes one of our own texts begin a sentence.
func capitalize(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// invalidInputs is the failure of inputs with problems.
func invalidInputs(problems []problem) *failure {
	return &failure{
		code: codeInputInvalid, status: failed, list: true,
		what: func(render renderer) string {
			if len(problems) == 1 {
				return problems[0].message(render)
			}
			list := make([]string, len(problems))
			for i, p := range problems {
				list[i] = fmt.Sprintf("(%d) %s", i+1, p.message(render))
			}
			return fmt.Sprintf("%d problems: %s", len(problems), strings.Join(list, "; "))
		},
		do: "Nothing was sent.",
	}
}

// unwritableBefore is the failure of a step that could not set its outputs, and therefore changes nothing.
func outputsUnwritable(err error) *failure {
	return &failure{
		code: codeOutputUnwritable, status: failed,
		what: func(render renderer) string { return "No outputs can be set: " + render(err.Error()) },
		do:   "Nothing was sent. The runner provides this file: check what changes or removes it.",
	}
}

// unwritableAfter is the failure of a step that did what was asked, and cannot tell the steps after it.
func (r *run) outputsLost(err error) *failure {
	return &failure{
		code: codeOutputUnwritable, status: r.status(),
		what: func(render renderer) string {
			_, message := r.success(render)
			return fmt.Sprintf("%s The outputs could not be written: %v", message, err)
		},
		do: "Free the disk, then run this step again: that is safe.",
	}
}

// readFailed is the failure of a read before the change.
func (r *run) readFailure(err error) *failure {
	var unknownPhone *phoneNotFoundError
	if errors.As(err, &unknownPhone) {
		return &failure{
			code: codePhoneNotFound, status: failed, live: r.nothingChanged, list: true,
			what: func(render renderer) string { return unknownPhone.message(render) },
			do:   "Check the number, or set its id instead.",
		}
	}
	f, _ := r.apiFailure(err)
	f.live = r.nothingChanged
	return f
}

// changeFailed is the failure of a change that was not confirmed, as far as its replies tell, and what it may have done.
func (r *run) changeFailure(err error) (*failure, diga.Effect) {
	f, effect := r.apiFailure(err)
	f.live = r.nothingChanged
	return f, effect
}

// apiFailure puts an error of the API client into words.
func (r *run) apiFailure(err error) (*failure, diga.Effect) {
	var e *diga.Error
	if !errors.As(err, &e) {
		e = &diga.Error{Cause: diga.Internal, Message: "the request could not be made", Untrusted: err.Error()}
	}
	f := &failure{status: failed, http: e.Status, signal: signalOf(e), list: len(e.Details) > 0}
	f.code, f.do = classify(e)
	if r.text(f.code) != f.code { // a server can say our secret as its code
		f.code = fmt.Sprint(codeHTTPPrefix, e.Status)
	}
	f.cause = func(render renderer) string { return r.describe(e, render) }
	f.what = func(render renderer) string { return capitalize(f.cause(render)) }
	var named *diga.NameError
	if errors.As(e, &named) {
		f.list = true
	}
	return f, e.Effect
}

// signalOf returns the signal that err tells of; 0: none.
func signalOf(err error) syscall.Signal {
	var signal Signal
	if !errors.As(err, &signal) {
		return 0
	}
	number, _ := signal.Signal.(syscall.Signal)
	return number
}

// explain says of a change that is not in force what is live now, by what reading back showed, and what to do.
func (r *run) explainState(f *failure, effect diga.Effect, found observation) {
	version, now := r.after.version, r.liveNow
	isTarget := version.known && r.plan.version.UUID == version.value.ID && r.plan.version.Valid
	switch {
	case f.status == failed:
	case f.code == codeResponseInvalid:
		f.do = "Check that `api-url` is the API, then run this step again: that is safe."
	case f.code != codeResponseMismatch:
		f.do = "Run this step again: that is safe."
	}
	switch {
	case f.status == failed:
		f.live = func(render renderer) string { return "Nothing was changed: " + now(render) }
	case found == unreadable && isTarget:
		f.live = func(render renderer) string { return now(render) + ", but the phone numbers could not be read" }
	case found == unreadable:
		f.live = func(render renderer) string {
			return "The change may have been applied; what is live could not be read: " + render(strings.TrimSuffix(r.readError().Error(), "."))
		}
	case found == partial && isTarget:
		f.live = func(render renderer) string {
			return "The change was applied in part: " + now(render) + ", but " + r.missingPart(render)
		}
	case found == partial:
		f.live = func(render renderer) string {
			return "The change was applied in part: " + now(render) + ", but the phone number is bound"
		}
	case found == replaced:
		f.live = func(render renderer) string { return now(render) + ": it was neither live before nor asked for" }
		f.do = "Find out who else publishes this agent, then run this step again if needed: that is safe."
	case effect == diga.MaybeApplied:
		f.live = func(render renderer) string { return now(render) + ", but there was no time to make sure" }
	default:
		f.live = func(render renderer) string { return now(render) + ", but the change may still be applied" }
	}
}

// unread is the error of the read that reading back lacked.
func (r *run) readError() error {
	errs := []error{r.after.version.err, r.after.bound[diga.Inbound].err, r.after.bound[diga.Outbound].err}
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return errors.New("no answer")
}

// reportPanic reports a panic, without a word of what was held when it came, and returns the exit status.
func (r *run) reportPanic() (exit int) {
	defer func() {
		_ = recover() // there is nobody left to tell
		exit = 1
	}()
	f := &failure{code: codeInternal, status: failed, do: "Report this as a bug, with this log."}
	live := "Nothing was changed"
	switch {
	case r.confirmed != nil:
		live = "The change is in force"
		f.status = unknown // to a step that asks: "failed" would say that nothing was changed
	case r.changeSent && (r.failure == nil || r.failure.status == unknown):
		live = "The change may have been applied; running this step again is safe"
		f.status = unknown
	}
	f.what = func(renderer) string { return "The action crashed" }
	f.live = func(renderer) string { return live }
	r.failure = f
	defer func() { r.fail(f.code, "The action crashed. "+live+". "+f.do) }() // even if the outputs crash too
	if r.outputs == nil {
		_ = r.openOutputs()
	}
	_ = r.setOutputs(r.stepOutputs())
	return 1
}
