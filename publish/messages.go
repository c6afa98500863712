package publish

import (
	"strings"

	"publish-agent-version/diga"
)

// request describes the requested change.
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
	case r.after.version.known || r.after.offline:
		return say("Nothing was changed: %s", r.liveNow())
	case r.before.version.known && r.isStale():
		return say("Nothing was changed: %s was live when this step began", r.name(r.before.version.value))
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
		return say("the live version is unknown")
	case was.known && was.value.ID == now.value.ID:
		return say("%s is still live", r.name(now.value))
	default:
		return say("%s is live", r.name(now.value))
	}
}

// explain fills in what is live now and what to do after a change that is not in effect.
func (r *result) explain(f *failure, effect diga.Effect, seen observation) {
	now := r.liveNow()
	runAgain := say("Run this step again: that is safe.")
	if f.code == codeResponseInvalid {
		runAgain = say("Check that %s points to the API, then run this step again: that is safe.", literal("api-url"))
	}
	if f.status != failed && f.code != codeResponseMismatch {
		f.advice = runAgain
	}
	switch seen {
	case unreadable:
		f.live = say("The change may have been applied: could not read what is live (%s)", literal(r.readError()))
		if r.after.version.known || r.after.offline {
			f.live = say("%s, but the phone numbers could not be read (%s)", now.capitalized(), literal(r.readError()))
		}
	case partial:
		f.live = say("Only part of it was applied: %s, but %s", now, r.difference())
		if effect == diga.NoEffect { // somebody else did that
			f.live = say("%s, but %s", now.capitalized(), r.difference())
		}
	case wentOffline:
		f.live = say("%s is offline: %s is no longer live, and %s was not published", r.agent(), r.name(r.before.version.value), r.name(r.target()))
		if effect != diga.NoEffect { // what to do about a refusal stays true
			f.advice = say("Run this step again, or roll back.")
		}
	case replaced:
		f.live = say("%s, but it was neither live before nor requested", now.capitalized())
		if effect != diga.NoEffect {
			f.advice = say("Find out who else publishes this agent, then run this step again if needed: that is safe.")
		}
	default:
		switch {
		case f.status == failed && (r.before.version.known || r.before.offline):
			f.live = say("Nothing was changed: %s", now)
		case f.status == failed:
			f.live = now.capitalized()
		case effect == diga.MaybeApplied:
			f.live = say("%s, but there was no time to check again", now.capitalized())
		default:
			f.live = say("%s, but the change may still be applied", now.capitalized())
		}
	}
}

// readError is the first error of reading back.
func (r *result) readError() string {
	errs := []error{r.after.version.err, r.after.bound[diga.Inbound].err, r.after.bound[diga.Outbound].err}
	if r.after.offline {
		errs[0] = nil
	}
	for _, err := range errs {
		if err != nil {
			return strings.TrimSuffix(err.Error(), ".")
		}
	}
	return "no response"
}

// difference names a number that shows that only part of the change was applied.
func (r *result) difference() text {
	if r.after.version.known && r.plan.version.UUID == r.after.version.value.ID || r.plan.unpublish && r.after.offline {
		return r.missingPart()
	}
	if part := r.appliedPart(); !part.empty() {
		return part
	}
	for d, before := range r.before.bound {
		for _, phone := range before.value {
			if after := r.after.bound[d]; after.known && !isBound(bindingTo(phone.ID), after) {
				return say("%s is no longer bound", phoneName(phone))
			}
		}
	}
	return text{}
}

// appliedPart names the first requested number that is bound, or says that a number is released.
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

// missingPart names the first requested number that is not bound, or says that a number is not released.
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

// releasedWarning names the numbers that were released without being requested.
func (r *result) releasedWarning(d diga.Direction, phones []diga.Phone) text {
	verb, pronoun := "answers", "it"
	if d == diga.Outbound {
		verb = "calls from"
	}
	if len(phones) > 1 {
		pronoun = "them"
	}
	return say("%s no longer %s %s, although this step did not request that. If needed, bind %s again in Diga: a publish request can bind only one number in each direction.",
		r.agent(), verb, phoneNames(phones), pronoun)
}

// takenOver says which agents a run takes, or would take, numbers from.
func (r *result) takenOver() []text {
	verb := map[status]string{published: "was", dryRun: "would be"}[r.status()]
	var lines []text
	for d, asked := range r.before.phones {
		if owner := asked.value.Agents[d]; owner.Valid && owner.UUID != r.in.Agent && verb != "" {
			lines = append(lines, say("%s %s taken from another agent, %s, which used it for %s calls.",
				phoneName(asked.value), verb, literal(owner.UUID.String()), diga.Direction(d)))
		}
	}
	return lines
}

// olderWarning says that the version is older than the live one.
func (r *result) olderWarning() text {
	return say("%s is older than %s, which is live. Set %s to refuse older versions.",
		fullVersionName(r.before.target.value), fullVersionName(r.before.version.value), literal("only-newer: true"))
}

// success is the notice of a successful step.
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
		message = say("%s The request failed (%s), but reading back confirmed the change.", message, f.cause)
	}
	return title, message
}

// onNumbers says which numbers the agent answers and calls from, as the end of a sentence.
func (r *result) onNumbers() text {
	final := r.final()
	inbound, outbound := final.bound[diga.Inbound].value, final.bound[diga.Outbound].value
	switch {
	case len(inbound) > 0 && len(outbound) > 0:
		return say(" on %s, calls from %s", phoneNames(inbound), phoneNames(outbound))
	case len(inbound) > 0:
		return say(" on %s", phoneNames(inbound))
	case len(outbound) > 0:
		return say(", calls from %s", phoneNames(outbound))
	case final.bound[diga.Inbound].known && final.bound[diga.Outbound].known:
		return say(", without a phone number")
	default:
		return say("")
	}
}
