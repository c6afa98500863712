package publish

import (
	"fmt"
	"strings"
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
	case r.in.ShowLive && r.before.offline():
		r.status, r.now = offline, r.before
	case r.in.ShowLive:
		r.status, r.now = live, r.before
	case r.in.DryRun:
		r.status, r.now = dryRun, requested(r.wish, r.before)
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

// requested is the view with what is asked for in place of what was. What Diga does with other numbers is not known.
func requested(w wish, before view) view {
	v := before
	v.live = readNow(w.version, nil)
	for d, n := range w.numbers {
		switch {
		case w.unpublish:
			v.bound[d] = reading[[]diga.Phone]{} // unpublishing may release them
		case n.asked && n.phone.ID == uuid.Nil:
			v.bound[d] = readNow([]diga.Phone(nil), nil)
		case n.asked && !before.has(diga.Direction(d), n.phone.ID):
			v.bound[d] = readNow([]diga.Phone{n.phone}, nil)
		}
	}
	return v
}

// success says what a successful step did, or what is live, with a title and an icon for it.
func (r *run) success() (title, icon string, m message) {
	was, is := r.before.live.value, "is now on"
	switch {
	case r.before.isLive(r.wish.version.ID):
		is = "is on"
	case r.status == dryRun:
		is = "would be on"
	}
	target := r.name(r.wish.version)
	if r.wish.launch {
		target = r.fromDraft()
	}
	m = say("%s %s %s", r.agent(), is, target)
	wasOn := "was"
	if r.in.Unpublish {
		m, wasOn = say("%s is offline", r.agent()), "was on"
	}
	if r.status == dryRun {
		wasOn = "now on"
	}
	if was.ID != uuid.Nil && was.ID != r.wish.version.ID {
		m = say("%s (%s %s)", m, wasOn, r.name(was))
	}
	numbers := r.onNumbers()
	switch r.status {
	case offline:
		return "Offline", "📴", say("%s: no version is live", r.agent())
	case live:
		if !r.now.bound[diga.Inbound].known() {
			numbers = say(", phone numbers unknown")
		}
		return "Live", "📞", say("%s%s", m, numbers)
	case unpublished:
		return "Unpublished", "✅", m
	case dryRun:
		return "Dry run", "🔍", say("after a real run, %s%s", m, numbers)
	case published, failed, unknown: // a success is never one of the last two
	}
	if icon = "✅"; len(r.warnings) > 0 {
		icon = "⚠️"
	}
	if lost := len(r.lost[diga.Inbound]) + len(r.lost[diga.Outbound]); lost > 0 {
		numbers = say("%s, but lost %s", numbers, diga.Count(lost, "phone number"))
		if len(r.lost[diga.Inbound]) > 0 && len(r.now.bound[diga.Inbound].value) == 0 {
			icon, numbers = "🚨", say(", but nobody can call it: it lost %s", diga.Count(lost, "phone number"))
		}
	}
	if m = say("%s%s", m, numbers); r.launched {
		m = say("launched %s from the draft. %s", target, m)
	}
	return "Published", icon, m
}

// fromDraft names the version that is going to be launched.
func (r *run) fromDraft() message { return say("%s, from the draft", diga.Foreign(r.in.VersionName)) }

// onNumbers says which numbers the agent answers and calls from, as the end of a sentence.
func (r *run) onNumbers() message {
	inbound, outbound := r.now.bound[diga.Inbound], r.now.bound[diga.Outbound]
	m, s := say(""), "s"
	if r.status == dryRun { // it would answer
		s = ""
	}
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

// nothingChanged says what is live when nothing was changed.
func (r *run) nothingChanged() message {
	if r.in.ShowLive {
		return message{}
	}
	m := say("Nothing was changed")
	if r.launched {
		m = say("%s was launched and is not live", versionName(r.wish.version))
	}
	if live, _ := r.liveNow(); !live.empty() {
		m = say("%s: %s", m, live)
	}
	return m
}

// liveNow says what is live by the last reading, as a clause about the version, empty if there is no reading, and as
// one about the agent. What the change has not touched "is still" so; what was read before an attempt at it, or long
// ago, "was".
func (r *run) liveNow() (version, agent message) {
	live, is, age := r.now.live, "is", say("")
	if !live.known() {
		live = r.before.live
	}
	switch {
	case !live.known():
		return message{}, r.name(r.wish.version)
	case r.now.live.known() && r.before.isLive(live.value.ID) && !live.at.Before(r.lastAttempt) && !r.moved:
		is = "is still"
	case live.isOlder(maxAge) || live.at.Before(r.lastAttempt):
		is, age = "was", say(" when this step read it, %s ago", diga.FormatDuration(time.Since(live.at)))
	}
	if live.value.ID == uuid.Nil {
		return say("no version %s live%s", strings.TrimSuffix(is, " still"), age),
			say("%s %s offline%s", r.agent(), is, age)
	}
	name := r.name(live.value)
	return say("%s %s live%s", name, is, age), say("%s %s on %s%s", r.agent(), is, name, age)
}
