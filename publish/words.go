package publish

import (
	"fmt"
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

// conclude decides, at the end of a run, what its views show.
func (r *run) conclude() {
	r.elapsed = time.Since(r.start)
	switch {
	case r.failure != nil:
		r.status = r.failure.status
	case r.in.ShowLive:
		r.status, r.now = live, r.before
		if r.now.offline() {
			r.status = offline
		}
	case r.in.DryRun:
		r.status, r.now = dryRun, r.planned()
	case r.in.Unpublish:
		r.status = unpublished
	default:
		r.status = published
	}
	if r.status == published || r.status == unknown {
		r.lost = lostNumbers(r.wish, r.before, r.now)
	}
	if f := r.failure; f != nil {
		r.explain(f)
		if r.text(f.code) != f.code { // a server can send the token as its code
			f.code = fmt.Sprintf("HTTP_%d", f.http)
		}
	}
}

// planned is the view after a change that Diga confirms in full.
func (r *run) planned() view { return r.before.after(r.wish, r.wish.change()) }

// success says what a successful step did, or what is live, with a title and an icon for it.
func (r *run) success() (title, icon string, m message) {
	is, was, s := "is now", "was", "s"
	switch {
	case r.status == dryRun:
		is, was, s = "would be", "now", "" // it would answer
	case r.before.isLive(r.wish.version.ID):
		is = "is"
	}
	m = r.goal(is)
	if old := r.before.live.value; old.ID != uuid.Nil && old.ID != r.wish.version.ID {
		m = say("%s (%s %s)", m, was, r.name(old))
	}
	numbers := r.now.onNumbers(s)
	if r.in.Unpublish {
		numbers = message{}
	}
	switch r.status {
	case offline:
		return "Offline", "📴", m
	case unpublished:
		return "Unpublished", "✅", m
	case dryRun:
		return "Dry run", "🔍", say("%s%s", m, numbers)
	case live:
		if !r.now.bound[diga.Inbound].known() {
			numbers = say(", phone numbers unknown")
		}
		return "Live", "📞", say("%s%s", m, numbers)
	case published, failed, unknown: // a success is never one of the last two
	}
	if icon = "✅"; len(r.warnings) > 0 {
		icon = "⚠️"
	}
	if count := len(r.lost[diga.Inbound]) + len(r.lost[diga.Outbound]); count > 0 {
		lost := say(", but lost %s", diga.Count(count, "phone number"))
		if r.nobodyCanCall() {
			icon, numbers, lost = "🚨", say(""), say("%s: nobody can call it", lost)
		}
		numbers = say("%s%s", numbers, lost)
	}
	if m = say("%s%s", m, numbers); r.launched {
		m = say("launched %s from the draft. %s", r.name(r.wish.version), m)
	}
	return "Published", icon, m
}

// headline is the first line of the summary, which must be enough on its own: what is live, rather than what failed.
func (r *run) headline() (icon string, m message) {
	title, icon, done := r.success()
	switch f := r.failure; {
	case f == nil && r.status == dryRun:
		return icon, say("%s: %s", title, done)
	case f == nil:
		return icon, done
	case r.requestID == uuid.Nil:
		return "❌", say("nothing was sent")
	case f.code == codeOutputUnwritable:
		return "⚠️", say("the step failed, but: %s", done)
	case r.in.ShowLive && !r.before.live.known():
		return "❌", say("%s: could not read what is live", r.agent())
	case r.in.ShowLive && !r.before.bound[diga.Inbound].known():
		return "❌", say("%s, but its phone numbers could not be read", r.liveNow())
	case r.in.ShowLive:
		return "❌", r.liveNow()
	case f.status == unknown && r.now.offline() && !r.in.Unpublish:
		return "⚠️", r.liveNow()
	case f.status == unknown && r.now.isLive(r.wish.version.ID):
		return "⚠️", say("%s, but its phone numbers could not be confirmed", r.liveNow())
	case f.status == unknown:
		m = say("could not confirm that %s", r.goal("is"))
		if v := r.planned(); len(v.bound[diga.Inbound].value)+len(v.bound[diga.Outbound].value) > 0 {
			m = say("%s%s", m, v.onNumbers("s"))
		}
		return "⚠️", m
	default:
		return "❌", f.live
	}
}

// nobodyCanCall reports whether the agent lost its last number for inbound calls.
func (r *run) nobodyCanCall() bool {
	return len(r.lost[diga.Inbound]) > 0 && len(r.now.bound[diga.Inbound].value) == 0
}

// goal is a clause about what the step is to bring about; is is its verb.
func (r *run) goal(is string) message {
	switch {
	case r.in.Unpublish, r.status == offline:
		return say("%s %s offline", r.agent(), is)
	case r.wish.launch:
		return say("%s %s on %s", r.agent(), is, r.fromDraft())
	default:
		return say("%s %s on %s", r.agent(), is, r.name(r.wish.version))
	}
}

// fromDraft names the version that is going to be launched.
func (r *run) fromDraft() message { return say("%s, from the draft", diga.Foreign(r.in.VersionName)) }

// onNumbers says which numbers the agent answers and calls from, as the end of a sentence; s ends its verbs.
func (v view) onNumbers(s string) message {
	inbound, outbound := v.bound[diga.Inbound], v.bound[diga.Outbound]
	m := say("")
	if len(inbound.value) > 0 {
		m = say(" and answer%s %s", s, phoneNames(inbound.value))
	}
	if len(outbound.value) > 0 {
		m = say("%s and call%s from %s", m, s, phoneNames(outbound.value))
	}
	if len(inbound.value)+len(outbound.value) == 0 && inbound.known() && outbound.known() {
		m = say(", without a phone number")
	}
	return m
}

// liveNow says what is live by the last reading; it is empty if there is none. What the change has not touched "is
// still" so; what was read before an attempt at it, or long ago, "was".
func (r *run) liveNow() message {
	live, is, age := r.now.live, "is", say("")
	if !live.known() {
		live = r.before.live
	}
	switch {
	case !live.known():
		return message{}
	case r.now.live.known() && r.before.isLive(live.value.ID) && !live.at.Before(r.lastAttempt) && !r.moved:
		is = "is still"
	case live.isOlder(maxAge) || live.at.Before(r.lastAttempt):
		is, age = "was", say(" when this step read it, %s ago", diga.FormatDuration(time.Since(live.at)))
	}
	if live.value.ID == uuid.Nil {
		return say("%s %s offline%s", r.agent(), is, age)
	}
	return say("%s %s on %s%s", r.agent(), is, r.name(live.value), age)
}
