package publish

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/google/uuid"
	"publish-agent-version/diga"
)

// show turns a text that this program did not write into one that is safe where it goes: report.text for a line,
// report.codeSpan for Markdown.
type show func(text string) string

// failure is why the step fails.
type failure struct {
	code    string
	happens func(show) string // what happened and what is live, without a full stop
	do      string            // what the reader should do; whole sentences
	status  int               // of the last HTTP reply; 0: none
	unknown bool              // the change may have been applied
	signal  syscall.Signal    // what ended the step; 0: nothing did
}

// failed turns an error of the API client into the step's failure.
func (r *run) failed(err error) *failure {
	var e *diga.Error
	if !errors.As(err, &e) {
		e = &diga.Error{Cause: diga.Internal, Message: "the request could not be made", Said: err.Error()}
	}
	f := &failure{status: e.Status, unknown: e.Unknown}
	f.code, f.do = classify(e)
	if r.text(f.code) != f.code { // a server can say our secret as its code
		f.code = fmt.Sprint(codeHTTPPrefix, e.Status)
	}
	live := "Nothing was changed"
	switch {
	case e.Unknown:
		live = "The change may have been applied; running this step again is safe"
	case r.changing && e.Status != 0:
		live = "Nothing was changed, as far as the API's answers tell"
	}
	f.happens = func(show show) string {
		text := capital(happened(e, show)) + ". " + live
		if r.before != nil && !e.Unknown {
			text += "; published, when this step looked, was " + describe(*r.before, show)
		}
		return text
	}
	if e.Unknown && (e.Cause == diga.Unreachable || e.Cause == diga.Timeout) {
		f.do = "Run this step again to settle it."
	}
	f.signal = signalOf(e)
	return f
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

// happened puts e into a sentence without a full stop.
func happened(e *diga.Error, show show) string {
	text := e.Message
	if e.Said != "" {
		text += ": " + show(strings.TrimSuffix(e.Said, "."))
	}
	if len(e.Details) > 0 {
		text += ": " + findings(e.Details, show)
	}
	if e.GaveUp != "" {
		text += "; " + e.GaveUp
	}
	if before := e.Before; before != nil {
		text += "; before that: " + happened(before, show)
		if before.Code != "" {
			text += " (" + show(before.Code) + ")"
		}
	}
	var named *diga.NameError
	if errors.As(e, &named) {
		text += ". " + choices(named, e.Cause == diga.VersionAmbiguous, show)
	}
	return text
}

// stop ends a sentence with a full stop, unless it ends as a question.
func stop(s string) string {
	if strings.HasSuffix(s, "?") {
		return s
	}
	return s + "."
}

func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// findings lists what a 422 found, by the names of the inputs, five at most.
func findings(details []diga.Detail, show show) string {
	const most = 5
	var list []string
	for _, d := range details[:min(len(details), most)] {
		text := d.Message
		if d.Field != "" {
			text = inputName(d.Field) + ": " + text
		}
		list = append(list, show(text))
	}
	if more := len(details) - most; more > 0 {
		list = append(list, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(list, "; ")
}

// inputName is the input behind a field of the request; other fields keep the API's name.
func inputName(field string) string {
	switch field {
	case "body.version_id":
		return "version-id"
	case "body.inbound_phone_number_id":
		return "inbound-phone-number-id"
	case "body.outbound_phone_number_id":
		return "outbound-phone-number-id"
	case "path.agent_id":
		return "agent-id"
	}
	return field
}

// choices lists the versions that a reader may have meant.
func choices(e *diga.NameError, ambiguous bool, show show) string {
	if len(e.Versions) == 0 {
		return fmt.Sprintf("None of the agent's %d versions has a name like it", e.Total)
	}
	var list []string
	for _, v := range e.Versions {
		text := describe(v, show)
		switch {
		case ambiguous && !v.Created.IsZero():
			text += ", created " + v.Created.UTC().Format(time.RFC3339)
		case ambiguous:
		case v.Name == e.Name:
			text += ": the very name, but drafts are not published by name"
		case strings.EqualFold(v.Name, e.Name):
			text += ": differs in case only"
		case strings.TrimPrefix(v.Name, "v") == strings.TrimPrefix(e.Name, "v"):
			text += ": differs by a leading v only"
		}
		list = append(list, text)
	}
	if ambiguous {
		return "They are " + strings.Join(list, "; ")
	}
	return "The nearest are " + strings.Join(list, "; ")
}

// describe names a version by all that is known of it.
func describe(v diga.Version, show show) string {
	var known []string
	if v.Name != "" {
		known = append(known, show(v.Name))
	}
	if v.Number != 0 {
		known = append(known, fmt.Sprintf("number %d", v.Number))
	}
	if v.Draft {
		known = append(known, "a draft")
	}
	text := "version " + show(v.ID.String())
	if len(known) > 0 {
		text += " (" + strings.Join(known, ", ") + ")"
	}
	return text
}

// asked says what the inputs ask for.
func (r *run) asked(show show) string {
	var what string
	switch {
	case r.in.Unpublish:
		return "unpublish"
	case r.in.VersionName != "":
		what = "publish the version named " + show(r.in.VersionName)
	default:
		what = "publish version " + show(r.in.Version.UUID.String())
	}
	phones := phoneNumbers(r.in.Inbound, r.in.Outbound, show)
	return what + ", with " + or(phones, "no phone number in the request")
}

// phoneNumbers lists the phone numbers that are not null.
func phoneNumbers(inbound, outbound uuid.NullUUID, show show) string {
	var list []string
	if inbound.Valid {
		list = append(list, "inbound phone number "+show(inbound.UUID.String()))
	}
	if outbound.Valid {
		list = append(list, "outbound phone number "+show(outbound.UUID.String()))
	}
	return strings.Join(list, " and ")
}

// then says what is published once the change is made.
func (r *run) then(show show) string {
	switch {
	case r.in.Unpublish:
		return "nothing: the agent does not answer"
	case r.target != nil:
		return describe(*r.target, show)
	default:
		return "version " + show(r.in.Version.UUID.String())
	}
}

// now says what was published when the step looked.
func (r *run) now(show show) string {
	if r.before == nil {
		return "not known"
	}
	return describe(*r.before, show)
}

func (r *run) status() string {
	switch {
	case r.failure != nil && r.failure.unknown:
		return "unknown"
	case r.failure != nil:
		return "failed"
	case r.in.DryRun:
		return "dry-run"
	case r.in.Unpublish:
		return "unpublished"
	default:
		return "published"
	}
}

// stepOutputs are the outputs of the contract that this run has a value for.
func (r *run) stepOutputs() []output {
	list := []output{{"status", r.status()}}
	add := func(name, value string) { list = append(list, output{name, value}) }
	if r.before != nil {
		add("previous-version-id", r.before.ID.String())
	}
	if r.attempts > 0 {
		add("attempts", strconv.Itoa(r.attempts))
	}
	if f := r.failure; f != nil {
		add("error-code", f.code)
		add("error-message", stop(f.happens(r.text)))
		if f.status != 0 {
			add("http-status", strconv.Itoa(f.status))
		}
	} else if p := r.confirmed; p != nil {
		add("agent-id", p.Agent.String())
		add("published-version-id", orEmpty(p.Version))
		add("inbound-phone-number-id", orEmpty(p.Inbound))
		add("outbound-phone-number-id", orEmpty(p.Outbound))
	}
	return list
}

func orEmpty(id uuid.NullUUID) string {
	if !id.Valid {
		return ""
	}
	return id.UUID.String()
}

// success is what a step that did not fail ends with.
func (r *run) success(show show) (title, message string) {
	p := r.confirmed
	switch {
	case p == nil:
		message = fmt.Sprintf("Nothing was changed. Published now: %s. After a real run: %s.", r.now(show), r.then(show))
		if r.target != nil && r.target.Draft {
			message += " The API may refuse a draft."
		}
		return "Dry run", message
	case r.in.Unpublish:
		return "Unpublished", fmt.Sprintf("Agent %s has no published version any more: it does not answer.", p.Agent)
	default:
		return "Published", fmt.Sprintf("%s of agent %s is live, with %s.", capital(r.then(show)), p.Agent,
			or(phoneNumbers(p.Inbound, p.Outbound, show), "no phone number in the API's reply"))
	}
}

// finish reports the result and returns the exit status.
func (r *run) finish() int {
	if err := r.setOutputs(r.stepOutputs()); err != nil && r.failure != nil {
		r.log("The outputs could not be written: %v.", err)
	} else if err != nil {
		r.failure = r.unwritten(err)
	}
	r.addSummary(r.summary())
	if f := r.failure; f != nil {
		r.fail(f.code, stop(f.happens(r.text))+" "+f.do)
		if f.signal != 0 {
			return 128 + int(f.signal) // as a shell reports a process that a signal ended
		}
		return 1
	}
	r.notice(r.success(r.text))
	return 0
}

// unwritten is the failure of a step that did what was asked, and cannot tell the steps after it.
func (r *run) unwritten(err error) *failure {
	return &failure{
		code: codeOutputUnwritable,
		happens: func(show show) string {
			_, message := r.success(show)
			return fmt.Sprintf("%s The outputs could not be written: %v", message, err)
		},
		do: "Free the disk; running this step again is safe.",
	}
}

// broken reports a panic, without a word of what was held when it came, and returns the exit status.
func (r *run) broken() (exit int) {
	defer func() {
		_ = recover() // there is nobody left to tell
		exit = 1
	}()
	f := &failure{code: codeInternal, do: "Please report it, with this log."}
	what := "The action broke off. Nothing was changed"
	switch {
	case r.confirmed != nil:
		what = "The action broke off after the API had confirmed the change. It is live"
		f.unknown = true // to a step that asks: "failed" would say that nothing was changed
	case r.changing && (r.failure == nil || r.failure.unknown):
		what = "The action broke off. The change may have been applied; running this step again is safe"
		f.unknown = true
	}
	f.happens = func(show) string { return what }
	r.failure = f
	defer r.fail(f.code, what+". "+f.do) // even if the outputs break off too
	if r.outputs == nil {
		_ = r.openOutputs()
	}
	_ = r.setOutputs(r.stepOutputs())
	return 1
}

func (r *run) logAttempt(a diga.Attempt) {
	var said []string
	if a.Status != 0 {
		said = append(said, diga.StatusText(a.Status))
	}
	if a.Err != nil {
		said = append(said, r.text(a.Err.Error()))
	}
	what := strings.Join(said, ", but ")
	line := fmt.Sprintf("Attempt %d: %s after %s.", a.Number, what, shortDuration(a.Elapsed))
	if a.Method == http.MethodPatch {
		r.attempts = a.Number
		r.log("%s", line)
	} else {
		r.debug("%s %s: %s", a.Method, a.Path, line)
	}
	r.debug("Connection used before: %t; HTTP/2: %t.", a.Reused, a.HTTP2)
}

func (r *run) logWait(w diga.Wait) {
	asked := ""
	if w.Asked > 0 {
		asked = fmt.Sprintf(", which the reply asked for (%s)", shortDuration(w.Asked))
	}
	if w.Method == http.MethodPatch {
		r.log("Waiting %s before attempt %d%s.", shortDuration(w.Duration), w.Next, asked)
	} else {
		r.log("%s %s brought no answer (%v). Waiting %s before attempt %d%s.",
			w.Method, w.Path, w.After, shortDuration(w.Duration), w.Next, asked)
	}
}

// shortDuration formats d for a reader: "2m0s", "1.25s", "83ms".
func shortDuration(d time.Duration) string {
	if d < time.Second {
		return max(d.Round(time.Millisecond), time.Millisecond).String()
	}
	return d.Round(10 * time.Millisecond).String()
}

// numbered lists problems, one after the other.
func numbered(problems []string, show show) string {
	if len(problems) == 1 {
		return capital(show(problems[0]))
	}
	list := make([]string, len(problems))
	for i, problem := range problems {
		list[i] = fmt.Sprintf("(%d) %s", i+1, show(problem))
	}
	return fmt.Sprintf("%d problems: %s", len(problems), strings.Join(list, "; "))
}
