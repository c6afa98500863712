package publish

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"publish-agent-version/diga"

	"github.com/google/uuid"
)

// warning is an annotation about something that did not stop the step. The summary has it too.
type warning struct {
	title string
	text  message
}

// warnBefore gives the warnings about the wish.
func (r *run) warnBefore() {
	w, v := r.wish, r.before
	if isOlder(w, v) {
		verb := "replaces"
		if r.in.DryRun {
			verb = "would replace"
		}
		r.warn("Older version", say("This run %s %s with the older %s. Set {only-newer: true} to refuse older versions.",
			verb, fullVersionName(v.live.value), fullVersionName(w.version)))
	}
	if issues := w.version.Issues; len(issues) > 0 && r.in.DryRun {
		r.warn("Validation issues", say("Diga may refuse %s: %s.", r.name(w.version), join(some(3, issues, foreign), "; ")))
	}
	var leaving []diga.Phone
	for d, n := range w.numbers {
		for _, p := range append([]diga.Phone{n.phone}, v.bound[d].value...) {
			same := func(other diga.Phone) bool { return other.ID == p.ID }
			if !p.ReleaseAt.IsZero() && !slices.ContainsFunc(leaving, same) && !w.unpublish {
				leaving = append(leaving, p)
			}
		}
	}
	if len(leaving) > 0 {
		r.warn("Number will be released", say("Diga is going to release %s. Stop that in Diga if calls depend on it.",
			list(some(3, leaving, func(p diga.Phone) message { return say("%s on %s", phoneName(p), p.ReleaseAt.Format("2 January 2006")) }))))
	}
	if !r.in.DryRun {
		return
	}
	for d, n := range w.numbers {
		others := slices.DeleteFunc(slices.Clone(v.bound[d].value), func(p diga.Phone) bool { return p.ID == n.phone.ID })
		if len(others) > 0 && !(n.asked && n.phone.ID == uuid.Nil) && !w.unpublish {
			reason := say("a request can name only one %s number", diga.Direction(d))
			if len(others) == 1 && n.isOpen() {
				reason = say("a number that is %s cannot be sent along", others[0].Status)
			}
			r.warn("Numbers may be released", say("Diga may release %s: %s.", phoneNames(others), reason))
		}
	}
}

// warnAfter gives the warnings about a change that is, or may be, in effect.
func (r *run) warnAfter() {
	for d, phones := range r.lost {
		if len(phones) == 0 {
			continue
		}
		verb, pronoun, end := "answers", "it", ""
		if d == int(diga.Outbound) {
			verb = "calls from"
		} else if len(r.now.bound[d].value) == 0 {
			end = " Nobody can call it now."
		}
		if len(phones) > 1 {
			pronoun = "them"
		}
		r.warn("Phone number released", say("%s no longer %s %s, although this step did not request that.%s "+
			"Bind %s again in Diga: a request can bind only one number in each direction.", r.agent(), verb, phoneNames(phones), end, pronoun))
	}
	if err := r.before.bound[diga.Inbound].err; err != nil && (r.status == published || r.status == dryRun) {
		var open, empty []message
		for d, n := range r.wish.numbers {
			if direction := diga.Direction(d); n.isOpen() {
				open = append(open, say("%s", direction))
				if len(r.now.bound[d].value) == 0 {
					empty = append(empty, say("%s", direction))
				}
			}
		}
		if len(open) == 0 {
			return
		}
		m := say("The phone numbers could not be read (%s), so %s numbers that were bound could not be protected. "+
			"Check them in Diga; set {inbound-phone-number-id} and {outbound-phone-number-id}, or give the key Read on Phones.",
			diga.Foreign(err.Error()), list(open))
		if len(empty) > 0 && r.status == published {
			m = say("%s The reply names no %s number.", m, list(empty))
		}
		r.warn("Phone numbers not protected", m)
	}
}

// takenOver says which agents a run takes, or would take, numbers from.
func (r *run) takenOver() (lines []message) {
	verb := map[status]string{published: "was", dryRun: "would be"}[r.status]
	for d, n := range r.wish.numbers {
		owner := r.before.phone(n.phone.ID).Agents[d]
		if n.asked && n.phone.ID != uuid.Nil && owner.Valid && owner.UUID != r.in.Agent && verb != "" {
			lines = append(lines, say("%s %s taken from another agent, %s, which used it for %s calls.",
				phoneName(n.phone), verb, diga.Foreign(owner.UUID.String()), diga.Direction(d)))
		}
	}
	return lines
}

// success says what a successful step did, or what is live, with a title and an icon for it.
func (r *run) success() (title, icon string, m message) {
	agent, target, was := r.agent(), r.name(r.wish.version), r.before.live.value
	switch r.status {
	case live:
		return "Live", "📞", say("%s is on %s%s", agent, target, r.onNumbers())
	case offline:
		return "Offline", "📴", say("%s: no version is live", agent)
	case unpublished:
		title, icon, m = "Unpublished", "✅", say("%s is offline", agent)
		if was.ID != uuid.Nil {
			m = say("%s (was on %s)", m, r.name(was))
		}
		return title, icon, m
	case dryRun:
		switch {
		case r.in.Unpublish && r.before.offline():
			return "Dry run", "🔍", say("%s: no version is live, so there is nothing to unpublish", agent)
		case r.in.Unpublish:
			return "Dry run", "🔍", say("a real run would take %s offline (now on %s)", agent, r.name(was))
		case r.wish.launch:
			m = say("a real run would launch the draft as %s and put %s on it", diga.Foreign(r.in.VersionName), agent)
		default:
			m = say("a real run would put %s on %s", agent, target)
		}
		if was.ID != uuid.Nil && was.ID != r.wish.version.ID {
			m = say("%s (now on %s)", m, r.name(was))
		}
		return "Dry run", "🔍", say("%s%s", m, r.onNumbers())
	case published, failed, unknown: // a success is never one of the last two
	}
	icon, m = "✅", say("%s is now on %s", agent, target)
	switch {
	case r.before.isLive(r.wish.version.ID):
		m = say("%s is on %s", agent, target)
	case was.ID != uuid.Nil:
		m = say("%s (was %s)", m, r.name(was))
	}
	if len(r.warnings) > 0 {
		icon = "⚠️"
	}
	lost := len(r.lost[diga.Inbound]) + len(r.lost[diga.Outbound])
	switch {
	case len(r.lost[diga.Inbound]) > 0 && len(r.now.bound[diga.Inbound].value) == 0:
		icon, m = "🚨", say("%s, but nobody can call it: it lost %s", m, count(lost, "phone number"))
	case lost > 0:
		m = say("%s%s, but lost %s", m, r.onNumbers(), count(lost, "phone number"))
	default:
		m = say("%s%s", m, r.onNumbers())
	}
	if r.launched {
		m = say("launched %s from the draft. %s", target, m)
	}
	return "Published", icon, m
}

// onNumbers says which numbers the agent answers and calls from, as the end of a sentence.
func (r *run) onNumbers() message {
	answers, calls := " and answers %s", " and calls from %s"
	if r.status == dryRun {
		answers, calls = ", answering %s", ", calling from %s"
	}
	inbound, outbound := r.now.bound[diga.Inbound].value, r.now.bound[diga.Outbound].value
	switch {
	case len(inbound) > 0 && len(outbound) > 0:
		return say("%s%s", say(answers, phoneNames(inbound)), say(strings.Replace(calls, ",", " and", 1), phoneNames(outbound)))
	case len(inbound) > 0:
		return say(answers, phoneNames(inbound))
	case len(outbound) > 0:
		return say(calls, phoneNames(outbound))
	case r.now.bound[diga.Inbound].known() && r.now.bound[diga.Outbound].known():
		return say(", without a phone number")
	default:
		return say("")
	}
}

// changed reports whether the change put another version live.
func (r *run) changed() bool {
	return r.status == published && !r.before.isLive(r.wish.version.ID)
}

// planned is the view after the change if everything goes as wished. What Diga does with numbers that a request does not
// name is not known; they are kept.
func planned(w wish, before view) view {
	v := before
	v.live = readNow(w.version, nil)
	for d, n := range w.numbers {
		switch {
		case w.unpublish:
			v.bound[d] = reading[[]diga.Phone]{} // unpublishing may release them
		case n.isOpen():
		case n.phone.ID == uuid.Nil:
			v.bound[d] = readNow([]diga.Phone(nil), nil)
		case !before.has(diga.Direction(d), n.phone.ID):
			phones := append([]diga.Phone{n.phone}, before.bound[d].value...)
			v.bound[d] = readNow(phones, nil)
		}
	}
	return v
}

// conclude decides, at the end of a run, what its views show.
func (r *run) conclude() {
	r.elapsed = time.Since(r.start)
	switch {
	case r.failure != nil:
		r.status = r.failure.status
	case r.in.ShowLive && r.before.offline():
		r.status, r.now = offline, r.before
	case r.in.ShowLive:
		r.status, r.now = live, r.before
	case r.in.DryRun:
		r.status, r.now = dryRun, planned(r.wish, r.before)
	case r.in.Unpublish:
		r.status = unpublished
	default:
		r.status = published
	}
	if r.status == published || r.status == unknown {
		r.lost = lostNumbers(r.wish, r.before, r.now)
	}
	if f := r.failure; f != nil && r.text(f.code) != f.code { // a server can send the token as its code
		f.code = fmt.Sprintf("HTTP_%d", f.http)
	}
}
