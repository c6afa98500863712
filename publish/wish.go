package publish

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"publish-agent-version/diga"

	"github.com/google/uuid"
)

// A wish is what the step is going to bring about.
type wish struct {
	agent     uuid.UUID
	version   diga.Version // the zero Version: none
	unpublish bool         // no version is to be live; said twice, as a request without a version unpublishes
	launch    bool         // version is the draft, to be launched first
	numbers   [diga.Directions]wantedNumber
}

// wantedNumber is a phone in one direction. The zero value leaves the direction open.
type wantedNumber struct {
	input string     // that asks for it; empty: the phone is carried over
	phone diga.Phone // the zero Phone: none
}

func (n wantedNumber) isAsked() bool  { return n.input != "" }
func (n wantedNumber) isOpen() bool   { return !n.isAsked() && n.phone.ID == uuid.Nil }
func (n wantedNumber) releases() bool { return n.isAsked() && n.phone.ID == uuid.Nil }

// change is the request. Whether the API keeps a number that is left out is not documented, so a bound one is sent
// along even if it was not asked for: this is correct either way.
func (w wish) change() diga.Change {
	orNull := func(id uuid.UUID) uuid.NullUUID { return uuid.NullUUID{UUID: id, Valid: id != uuid.Nil} }
	c := diga.Change{Agent: w.agent, Version: orNull(w.version.ID), Unpublish: w.unpublish}
	for d, n := range w.numbers {
		if !n.isOpen() {
			c.Phones[d] = diga.Binding{Stated: true, Phone: orNull(n.phone.ID)}
		}
	}
	return c
}

// isMet reports whether a direction is known to be as wanted. An open one always is.
func (w wish) isMet(d diga.Direction, v view) bool {
	switch n := w.numbers[d]; {
	case n.isOpen():
		return true
	case n.phone.ID == uuid.Nil:
		return v.bound[d].known() && len(v.bound[d].value) == 0
	default:
		return v.has(d, n.phone.ID)
	}
}

// isInForce reports whether everything wanted is known to be so.
func (w wish) isInForce(v view) bool {
	return v.isLive(w.version.ID) && w.isMet(diga.Inbound, v) && w.isMet(diga.Outbound, v)
}

// isReadable reports whether v shows everything that the wish is about.
func (w wish) isReadable(v view) bool {
	for d, n := range w.numbers {
		if !n.isOpen() && !v.bound[d].known() {
			return false
		}
	}
	return v.live.known()
}

// makeWish makes the wish from the inputs and what was read, or refuses what cannot be right.
func (r *run) makeWish(ctx context.Context) (f *failure) {
	w := &r.wish
	switch {
	case r.in.ShowLive:
		w.version = r.before.live.value
		return nil
	case r.in.VersionName != "":
		version, f := r.pickVersion()
		if f == nil && version.ID == uuid.Nil {
			w.launch = true
			version, f = r.readDraft(ctx)
		}
		if f != nil {
			return f
		}
		w.version = version
	}
	if w.version.Draft && r.in.DryRun && !w.launch {
		return refusal(codeVersionNotFound,
			say("Save it as a version in Diga, or publish it by name with {launch-draft: true}."),
			"%s is a draft, which Diga does not publish", versionName(w.version))
	}
	for d, asked := range r.in.Phones {
		n, number := wantedNumber{}, diga.Direction(d).String()+"-phone-number"
		switch {
		case asked.Number != diga.Number{}:
			n.input = number
			n.phone, f = pickPhone(r.before.phones, asked.Number)
		case !asked.isOpen():
			n = wantedNumber{number + "-id", r.before.phone(asked.ID.UUID)}
		case !r.in.Unpublish:
			n.phone = r.before.carried(diga.Direction(d))
		}
		if w.numbers[d] = n; f != nil {
			return f
		}
	}
	return r.refuse(r.before)
}

// refuse is the failure of a check, given a view of the agent; nil: all pass.
func (r *run) refuse(v view) *failure {
	f := r.refuseVersion(v)
	for d := range diga.Directions {
		f = cmp.Or(f, r.refusePhone(v, d))
	}
	return f
}

// refuseVersion checks the live version: expect-version-id and only-newer.
func (r *run) refuseVersion(v view) *failure {
	w, live := r.wish, v.live.value
	expected := r.in.Expect.ID
	switch {
	case r.effect > diga.NoEffect && v.isLive(w.version.ID):
		return nil // our own attempt published it
	case r.in.Expect == choice{}, v.isLive(expected.UUID):
	default:
		wanted, is := say("no live version"), fullVersionName(live)
		if expected.Valid {
			wanted = say("version %s", diga.Foreign(expected.UUID.String()))
		}
		if v.offline() {
			is = say("none")
		}
		f := refusal(codeUnexpectedVersion,
			say("Someone may have published in the meantime: make a new plan, or correct {expect-version-id}."),
			"expected %s, but %s is live", wanted, is)
		if live.ID == w.version.ID && !v.offline() {
			f.what = say("%s, perhaps from an earlier run", f.what)
			f.advice = say("To bind its numbers too, remove {expect-version-id}.")
		}
		return f
	}
	switch {
	case !r.in.OnlyNewer, v.offline(), w.version.ID == live.ID, w.launch && live.Number > 0:
		return nil
	case w.version.Number <= 0 || live.Number <= 0:
		return refusal(diga.InvalidReply.Code, say("Remove {only-newer} to publish regardless."),
			"could not tell which version is newer: a version number is missing")
	case isOlder(w, v):
		return refusal(codeNotNewer, say("To roll back on purpose, remove {only-newer}."),
			"%s is older than %s, which is live", fullVersionName(w.version), fullVersionName(live))
	}
	return nil
}

// isOlder reports whether the version is known to be older than the live one.
func isOlder(w wish, v view) bool {
	return v.live.known() && 0 < w.version.Number && w.version.Number < v.live.value.Number
}

// refusePhone checks the number in direction d: that it exists, can be bound, and does not belong to another agent. A
// number that is carried over must still be what is bound.
func (r *run) refusePhone(v view, d diga.Direction) *failure {
	n := r.wish.numbers[d]
	if !v.bound[d].known() || !r.before.bound[d].known() || r.in.Unpublish {
		return nil
	}
	phone := v.phone(n.phone.ID)
	owner := phone.Agents[d]
	taken := owner.Valid && owner.UUID != r.in.Agent
	if !n.isAsked() {
		isNew := func(p diga.Phone) bool { return !r.before.has(d, p.ID) }
		ours := r.effect > diga.NoEffect && !taken && !slices.ContainsFunc(v.bound[d].value, isNew)
		if v.carried(d).ID == n.phone.ID || ours {
			return nil // what our own attempt released may be bound again
		}
		return refusal(codePhoneInUse, say("Run this step again: it will start from what is bound then."),
			"someone changed the %s numbers of %s while this step waited", d, r.agent())
	}
	name := phoneName(n.phone)
	switch {
	case n.phone.ID == uuid.Nil:
		return nil
	case !slices.ContainsFunc(v.phones, func(p diga.Phone) bool { return p.ID == n.phone.ID }):
		return refusal(codePhoneNotFound, say("Check {"+n.input+"}."),
			"phone number ID %s not found", diga.Foreign(n.phone.ID.String()))
	case !phone.Usable():
		return refusal(codePhoneUnusable,
			say("Choose another number in {"+n.input+"}, or have this one assigned in Diga."),
			"%s cannot be used: it is %s", name, diga.Foreign(strings.ReplaceAll(string(phone.Status), "_", " ")))
	case taken && !r.in.TakeOver:
		return refusal(codePhoneInUse,
			say("Choose another number, or set {take-over: true} to take it from that agent."),
			"%s is already the %s number of another agent, %s", name, d, diga.Foreign(owner.UUID.String()))
	}
	return nil
}
