package publish

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"publish-agent-version/diga"
)

// describe says what e reports, as a clause.
func (r *result) describe(e *diga.Error) text {
	t := say("%s", e.Message)
	if e.Code != "" && isRefusal(e.Status) && r.changeSent && e.Cause == diga.Answered {
		t = say("Diga refused %s", r.requested())
		if e.Untrusted == "" && len(e.Details) == 0 {
			t = say("%s (%s)", t, diga.StatusText(e.Status))
		}
	}
	if e.Untrusted != "" {
		t = say("%s: %s", t, literal(strings.TrimSuffix(e.Untrusted, ".")))
	}
	if e.GaveUp != "" {
		t = say("%s; %s", t, e.GaveUp)
	}
	if last := e.LastReply; last != nil {
		t = say("%s; before that: %s", t, r.describe(last))
		if last.Code != "" {
			t = say("%s (%s)", t, literal(last.Code))
		}
	}
	return t
}

// isRefusal reports whether a status rejects a request for what it asks.
func isRefusal(status int) bool {
	return 400 <= status && status < 500 && status != http.StatusRequestTimeout && status != http.StatusTooManyRequests
}

// listDetails lists what a 422 found, by the names of the inputs, five at most.
func listDetails(details []diga.Detail) []text {
	const maxListed = 5
	var list []text
	for _, d := range details[:min(len(details), maxListed)] {
		item := say("%s", literal(d.Message))
		if d.Field != "" {
			item = say("%s: %s", literal(inputName(d.Field)), item)
		}
		list = append(list, item)
	}
	if more := len(details) - maxListed; more > 0 {
		list = append(list, say("and %d more", more))
	}
	return list
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

// listVersions lists the versions that a reader may have meant.
func listVersions(e *diga.NameError) []text {
	var items []text
	for _, v := range e.Versions {
		item := say("%s", literal(v.Name))
		if e.Matches > 1 {
			item = say("%s", literal(v.ID.String()))
		}
		var notes []string
		if v.Number != 0 {
			notes = append(notes, strconv.Itoa(v.Number))
		}
		switch {
		case e.Matches > 1 && !v.Created.IsZero():
			notes = append(notes, "created "+v.Created.UTC().Format("2006-01-02 15:04 MST"))
		case e.Matches > 1:
		case v.Name == e.Name:
			notes = append(notes, "a draft")
		case strings.EqualFold(v.Name, e.Name):
			notes = append(notes, "differs in case")
		case strings.TrimPrefix(v.Name, "v") == strings.TrimPrefix(e.Name, "v"):
			notes = append(notes, "differs by a leading v")
		}
		if notes != nil {
			item = say("%s (%s)", item, strings.Join(notes, ", "))
		}
		items = append(items, item)
	}
	if more := e.Matches - len(e.Versions); e.Matches > 1 && more > 0 {
		items = append(items, say("and %d more", more))
	}
	if len(items) == 0 {
		items = append(items, say("none of the agent's %d versions has a similar name", e.Total))
	}
	return items
}

// request says what the inputs ask for.
func (r *result) request() text {
	var t text
	switch {
	case r.in.ShowLive:
		return say("show what is live")
	case r.in.Unpublish:
		t = say("unpublish")
	default:
		t = say("publish %s", r.requested())
	}
	for d, p := range r.in.Phones {
		direction := diga.Direction(d)
		switch {
		case p.Release:
			t = say("%s, release the %s number", t, direction)
		case p.Number != "":
			t = say("%s, %s number %s", t, direction, literal(p.Number))
		case p.ID.Valid:
			t = say("%s, %s number %s", t, direction, literal(p.ID.UUID.String()))
		}
	}
	return t
}

// nothingChanged says what is live when nothing was changed.
func (r *result) nothingChanged() text {
	switch {
	case r.in.ShowLive:
		return text{}
	case r.before.version.known:
		return say("Nothing was changed: %s is still live", r.name(r.before.version.value))
	default:
		return say("Nothing was changed")
	}
}

// liveNow says what reading back showed as live, as a clause.
func (r *result) liveNow() text {
	now, was := r.after.version, r.before.version
	switch {
	case r.after.offline:
		return say("no version is live")
	case !now.known:
		return say("what is live is not known")
	case was.known && was.value.ID == now.value.ID:
		return say("%s is still live", r.name(now.value))
	default:
		return say("%s is live", r.name(now.value))
	}
}

// explain says of a change that is not in force what is live now, and what to do.
func (r *result) explain(f *failure, effect diga.Effect, seen observation) {
	now := r.after.version
	targetIsLive := now.known && r.plan.version.Valid && r.plan.version.UUID == now.value.ID
	switch {
	case f.status == failed:
		f.live = say("Nothing was changed: %s", r.liveNow())
	case seen == unreadable && targetIsLive:
		f.live = say("%s, but the phone numbers could not be read", r.liveNow().capitalized())
	case seen == unreadable:
		f.live = say("The change may have been applied: what is live could not be read (%s)", literal(r.readError()))
	case seen == partial && targetIsLive:
		f.live = say("Only part of it was applied: %s, but %s", r.liveNow(), r.missingPart())
	case seen == partial:
		f.live = say("Only part of it was applied: %s, but %s", r.liveNow(), r.appliedPart())
	case seen == replaced:
		f.live = say("%s, which was neither live before nor asked for", r.liveNow().capitalized())
	case effect == diga.MaybeApplied:
		f.live = say("%s, but there was no time to make sure", r.liveNow().capitalized())
	default:
		f.live = say("%s, but the change may still be applied", r.liveNow().capitalized())
	}
	switch {
	case f.status == failed:
	case seen == replaced:
		f.advice = say("Find out who else publishes this agent, then run this step again if needed: that is safe.")
	case f.code == codeResponseInvalid:
		f.advice = say("Check that %s is the API, then run this step again: that is safe.", literal("api-url"))
	case f.code != codeResponseMismatch:
		f.advice = say("Run this step again: that is safe.")
	}
}

// readError is why reading back did not show what was needed.
func (r *result) readError() string {
	for _, err := range []error{r.after.version.err, r.after.bound[diga.Inbound].err, r.after.bound[diga.Outbound].err} {
		if err != nil {
			return strings.TrimSuffix(err.Error(), ".")
		}
	}
	return "no answer"
}

// appliedPart names the first number that was asked for and is bound, or released.
func (r *result) appliedPart() text {
	for d, binding := range r.plan.bindings {
		switch {
		case binding == (diga.Binding{}) || !isBound(binding, r.after.bound[d]):
		case binding.Release:
			return say("its %s number is released", diga.Direction(d))
		default:
			return say("%s is bound", phoneName(r.phone(binding.Phone.UUID)))
		}
	}
	return text{}
}

// missingPart names the first number that was asked for and is not bound.
func (r *result) missingPart() text {
	for d, binding := range r.plan.bindings {
		switch {
		case binding == (diga.Binding{}) || isBound(binding, r.after.bound[d]):
		case binding.Release:
			return say("its %s number is not released", diga.Direction(d))
		default:
			return say("%s is not bound", phoneName(r.phone(binding.Phone.UUID)))
		}
	}
	return text{}
}

// releasedWarning names the numbers that were released although nothing asked for that.
func (r *result) releasedWarning(d diga.Direction, phones []diga.Phone) text {
	verb, pronoun := "answers", "it"
	if d == diga.Outbound {
		verb = "calls from"
	}
	if len(phones) > 1 {
		pronoun = "them"
	}
	return say("%s no longer %s %s, although this step did not ask for that. If needed, bind %s again in Diga: one publication binds at most one number in each direction.",
		r.agent(), verb, phoneNames(phones), pronoun)
}

// takenOver says which agents a run takes, or would take, numbers from.
func (r *result) takenOver() []text {
	verb := "was"
	if r.in.DryRun {
		verb = "would be"
	}
	var lines []text
	for d, asked := range r.before.phones {
		if owner := asked.value.Agents[d]; owner.Valid && owner.UUID != r.in.Agent && r.failure == nil {
			lines = append(lines, say("%s %s taken from another agent, %s, which used it for %s calls.",
				phoneName(asked.value), verb, literal(owner.UUID.String()), diga.Direction(d)))
		}
	}
	return lines
}

// olderWarning says that the step goes back in time.
func (r *result) olderWarning() text {
	return say("%s is older than %s, which is live. Set %s to refuse older versions.",
		fullVersionName(r.before.target.value), fullVersionName(r.before.version.value), literal("only-newer: true"))
}

// success is the notice of a step that did not fail.
func (r *result) success() (title string, message text) {
	agent, target := r.agent(), r.name(r.target())
	change := target
	was := r.before.version
	if was.known && was.value.ID != r.target().ID {
		change = say("%s → %s", r.name(was.value), target)
	}
	switch r.status() {
	case live:
		return "Live", say("%s: %s is live%s.", agent, target, r.onNumbers())
	case offline:
		return "Offline", say("%s: no version is live.", agent)
	case dryRun:
		switch {
		case r.in.Unpublish && was.known:
			return "Dry run", say("%s: a real run would unpublish %s.", agent, r.name(was.value))
		case r.in.Unpublish:
			return "Dry run", say("%s: no version is live; there is nothing to unpublish.", agent)
		case r.target().Draft:
			return "Dry run", say("%s: %s would be live%s. It is a draft: Diga may refuse it.", agent, change, r.onNumbers())
		}
		return "Dry run", say("%s: %s would be live%s.", agent, change, r.onNumbers())
	case unpublished:
		title, message = "Unpublished", say("%s is offline.", agent)
		if was.known {
			message = say("%s is offline: %s is no longer live.", agent, r.name(was.value))
		}
	default:
		title, message = "Published", say("%s: %s is live%s.", agent, change, r.onNumbers())
	}
	if f := r.confirmedAfter; f != nil {
		message = say("%s Confirmed by reading it back, because the request failed: %s.", message, f.cause)
	}
	return title, message
}

// onNumbers says which numbers the agent answers and calls from, as the end of a sentence.
func (r *result) onNumbers() text {
	inbound, inboundKnown := r.phonesAfter(diga.Inbound)
	outbound, outboundKnown := r.phonesAfter(diga.Outbound)
	switch {
	case len(inbound) > 0 && len(outbound) > 0:
		return say(" on %s, calls from %s", phoneNames(inbound), phoneNames(outbound))
	case len(inbound) > 0:
		return say(" on %s", phoneNames(inbound))
	case len(outbound) > 0:
		return say(", calls from %s", phoneNames(outbound))
	case inboundKnown && outboundKnown:
		return say(", without a phone number")
	default:
		return say("")
	}
}

// preflightLines tell the log what was read before the change. All failed reads of phone numbers share one line.
func (r *result) preflightLines() []text {
	b := r.before
	var lines []text
	add := func(format string, args ...any) { lines = append(lines, say(format, args...)) }
	switch {
	case b.version.known:
		add("Live now: %s of %s.", fullVersionName(b.version.value), r.agent())
	case b.offline:
		add("No version is live now.")
	case b.version.err != nil && !errors.Is(b.version.err, errNotNeeded):
		add("What is live could not be read: %s.", literal(b.version.err.Error()))
	}
	for d, bound := range b.bound {
		if len(bound.value) > 0 {
			add("Bound for %s calls: %s.", diga.Direction(d), phoneNames(bound.value))
		}
	}
	for _, err := range []error{b.bound[0].err, b.bound[1].err, b.phones[0].err, b.phones[1].err} {
		if _, notFound := err.(*phoneNotFoundError); err != nil && !notFound {
			add("Phone numbers could not be read: %s.", literal(err.Error()))
			break
		}
	}
	switch {
	case b.target.err != nil && r.in.Version.Valid && !errors.Is(b.target.err, errNotNeeded):
		add("The version could not be read: %s.", literal(b.target.err.Error()))
	case b.version.known && b.target.known && b.version.value.ID == b.target.value.ID:
		add("The version that was asked for is already live; its phone numbers may still differ.")
	case b.target.known && !r.in.Version.Valid:
		add("%s is version %s.", literal(r.in.VersionName), literal(b.target.value.ID.String()))
	}
	return lines
}

func attemptLine(a diga.Attempt) text {
	outcome := say("%s", diga.StatusText(a.Status))
	switch {
	case a.Status == 0 && a.Err != nil:
		outcome = say("%s", literal(a.Err.Error()))
	case a.Err != nil:
		outcome = say("%s, but %s", outcome, literal(a.Err.Error()))
	}
	return say("Attempt %d: %s (%s).", a.Number, outcome, shortDuration(a.Elapsed))
}

func waitLine(w diga.Wait) text {
	next := say("Waiting %s before attempt %d", shortDuration(w.Duration), w.Next)
	if w.Asked > 0 {
		next = say("%s (Retry-After: %s)", next, shortDuration(w.Asked))
	}
	if w.Method == http.MethodPatch {
		return say("%s.", next)
	}
	return say("%s %s failed (%s). %s.", w.Method, literal(w.Path), literal(w.After.Error()), next)
}

// shortDuration formats d for a reader: "2m0s", "1.25s", "83ms".
func shortDuration(d time.Duration) string {
	if d < time.Second {
		return max(d.Round(time.Millisecond), time.Millisecond).String()
	}
	return d.Round(10 * time.Millisecond).String()
}
