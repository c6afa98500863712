package publish

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"publish-agent-version/diga"

	"github.com/google/uuid"
)

const (
	maxAge        = 10 * time.Second       // of a reading that a check rests on
	readBackTime  = 5 * time.Second        // for reading back what a change did, even after the timeout
	cancelledTime = 800 * time.Millisecond // the same after a signal: the runner kills a step that lingers
)

// looks are the times at which the state is read after an answer that leaves it open. A replica or a cache may still show
// the old state; only one that is seen again 10 s later counts.
var looks = []time.Duration{0, time.Second, 3 * time.Second, 10 * time.Second}

// stoppedError stops the change before an attempt.
type stoppedError struct{ failure *failure } // nil: what was wanted is in force

func (e *stoppedError) Error() string { return "stopped before an attempt" }

// refresh reads again what is older than maxAge and a check rests on, or everything if a change may have had an effect. As
// one read may have to wait until another is too old, that may take several turns. It returns what it read, and a failure
// if something that is needed can no longer be read.
func (r *run) refresh(ctx context.Context, effect diga.Effect) (fresh view, f *failure) {
	maybe, need := effect > diga.NoEffect, r.in.needs()
	checked := r.before.bound[diga.Inbound].known() && !r.in.Unpublish
	for {
		live := need.live && r.before.live.isOlder(maxAge)
		phones := checked && r.before.bound[diga.Inbound].isOlder(maxAge)
		if !maybe && !live && !phones {
			return fresh, nil
		}
		limited, cancel := r.limited(ctx, live || phones || maybe && need.live)
		fresh = r.readView(limited, live || maybe, phones || maybe)
		cancel()
		phonesErr, err := fresh.bound[diga.Inbound].err, error(nil)
		if live || maybe && need.live {
			err = fresh.live.err
		}
		if phones && !isFinal(phonesErr) {
			err = cmp.Or(err, phonesErr)
		}
		if err != nil {
			f = r.apiFailure(err)
			f.what = say("could not check again what is live: %s", f.what)
			return fresh, f
		}
		if r.effect = effect; !maybe {
			r.renew(fresh)
			checked = checked && phonesErr == nil
		} else if r.now = fresh; !fresh.live.isStale() && !fresh.bound[diga.Inbound].isStale() {
			return fresh, nil
		}
	}
}

// renew puts fresh readings into what is known before the change. If somebody else has published meanwhile, the log says so.
func (r *run) renew(fresh view) {
	was := r.before.live
	r.before = r.before.updated(fresh)
	if was.known() && was.value.ID != r.before.live.value.ID {
		r.moved = true
		r.logView()
		r.compareVersions()
	}
}

// ready is called before each attempt at the change, with the effect of the earlier ones. It stops the change with a
// stoppedError if a check now refuses it, or if what was wanted is in force.
func (r *run) ready(ctx context.Context, effect diga.Effect) error {
	fresh, f := r.refresh(ctx, effect)
	now := r.before.updated(fresh)
	switch {
	case f != nil:
		return &stoppedError{f}
	case effect > diga.NoEffect && r.wish.isInForce(fresh):
		return &stoppedError{}
	case effect == diga.NoEffect || !now.isLive(r.wish.version.ID): // what our own attempt published passes
		f = r.refuseVersion(r.wish, now)
	}
	for d := range diga.Directions {
		f = cmp.Or(f, r.refusePhone(r.wish, now, d))
	}
	if f != nil {
		return &stoppedError{f}
	}
	return nil
}

// launch makes a version from the draft, and makes it the one to publish. The request is not idempotent; the name makes
// it so: after an unclear answer, the list of versions decides.
func (r *run) launch(ctx context.Context, signals context.Context) *failure {
	name := r.in.VersionName
	for tries := 0; ; tries++ {
		if stopped, ok := errors.AsType[*stoppedError](r.ready(ctx, diga.NoEffect)); ok {
			stopped.failure.live = r.nothingChanged()
			return stopped.failure
		}
		r.log(say("Launching the draft as %s.", diga.Foreign(name)))
		version, err := r.client.Launch(ctx, r.in.Agent, name)
		if err == nil {
			r.setLaunched(version)
			return nil
		}
		e, _ := errors.AsType[*diga.Error](err)
		f := r.apiFailure(err)
		f.addIssues(r.wish.version.Issues)
		f.live = r.nothingChanged()
		if e.Effect == diga.NoEffect {
			return f
		}
		f.live = say("%s. %s may still appear: run this step again, and it will be found by its name", f.live,
			diga.Foreign(name))
		if e.Cause == diga.InvalidReply || e.Cause == diga.Mismatch {
			return f
		}
		found, isSure := r.findLaunched(ctx, signals)
		switch {
		case len(found) == 1:
			r.setLaunched(found[0])
			return nil
		case len(found) > 1:
			return ambiguous(name, found)
		case e.Effect != diga.MaybeApplied || !isSure || tries == r.in.MaxRetries || ctx.Err() != nil:
			return f
		}
	}
}

func (r *run) setLaunched(v diga.Version) {
	r.wish.version, r.wish.launch, r.launched = v, false, true
	r.log(say("Launched %s from the draft: version %s.", versionName(v), diga.Foreign(v.ID.String())))
}

// findLaunched looks for versions with the wanted name. It is sure that there is none only if it could look to the end.
func (r *run) findLaunched(ctx, signals context.Context) (found []diga.Version, isSure bool) {
	r.lookBack(ctx, signals, func(ctx context.Context, _ time.Duration) bool {
		found, isSure = nil, true
		for v, err := range r.client.Versions(ctx, r.in.Agent) {
			if err != nil {
				isSure = false
				break
			}
			if v.Agent == r.in.Agent && sameName(v.Name, r.in.VersionName) && !v.Draft {
				found = append(found, v)
			}
		}
		return len(found) > 0
	})
	return found, isSure
}

// lookBack calls look at the times in looks, with the time since the first, until that returns true. It reports whether it
// came to the end. It may look past the timeout, and once more after a signal.
func (r *run) lookBack(ctx, signals context.Context, look func(context.Context, time.Duration) bool) (spanned bool) {
	limit, parent := readBackTime, signals
	if deadline, ok := ctx.Deadline(); ok {
		limit = max(limit, min(time.Until(deadline), looks[len(looks)-1]+readBackTime))
	}
	if signals.Err() != nil {
		limit, parent = cancelledTime, context.WithoutCancel(signals)
	}
	within := fmt.Errorf("within %s", diga.FormatDuration(limit))
	ctx, cancel := context.WithTimeoutCause(parent, limit, within)
	defer cancel()
	start := time.Now()
	for _, at := range looks {
		if at > 0 && (signals.Err() != nil || !sleep(ctx, time.Until(start.Add(at)))) {
			return false
		}
		if look(ctx, time.Since(start)) {
			return false
		}
	}
	return true
}

// change makes the change and finds out what came of it.
func (r *run) change(ctx, signals context.Context) *failure {
	if stopped, ok := errors.AsType[*stoppedError](r.ready(ctx, diga.NoEffect)); ok {
		stopped.failure.live = r.nothingChanged()
		return stopped.failure
	}
	if ctx.Err() == nil {
		r.log(say("PATCH %s", diga.Foreign(r.in.APIURL.JoinPath("v1/agent", r.in.Agent.String(),
			"published_version").Redacted())))
	}
	r.changing = true
	reply, err := r.client.Publish(ctx, r.wish.change())
	if err != nil {
		return r.settle(ctx, signals, err)
	}
	r.confirmed = true
	r.now = r.confirm(reply)
	r.checkKept(ctx, signals)
	return nil
}

// confirm is the view after a reply that confirms the change. What the reply does not say is not known.
func (r *run) confirm(reply diga.Change) view {
	v := view{live: readNow(r.wish.version, nil), phones: r.before.phones}
	for d, before := range r.before.bound {
		named, stated := reply.Phones[d].Phone, reply.Phones[d].Stated
		var phones []diga.Phone
		if named.Valid {
			phones = []diga.Phone{r.before.phone(named.UUID)}
		}
		others := slices.ContainsFunc(before.value, func(p diga.Phone) bool { return !named.Valid || p.ID != named.UUID })
		if r.wish.numbers[d].asked && !named.Valid {
			others = false // released
		}
		v.bound[d].value = phones
		if (before.known() || stated) && !others {
			v.bound[d].at = time.Now()
		}
	}
	return v
}

// checkKept reads the numbers after a change that was confirmed without them, if some were bound before that a request or
// a reply does not name: those have only one in each direction. A reading that does not show the change is too old to tell.
func (r *run) checkKept(ctx, signals context.Context) {
	open := false
	for d, before := range r.before.bound {
		others := slices.ContainsFunc(before.value, func(p diga.Phone) bool { return p.ID != r.wish.numbers[d].phone.ID })
		open = open || others && (!r.now.bound[d].known() || r.confirmedAfter != nil)
	}
	if !open {
		return
	}
	err := errors.New("what was read is older than the change")
	alike := !r.before.live.known() || r.wish.isInForce(r.before) // a reading from before looks like one from afterwards
	r.lookBack(ctx, signals, func(ctx context.Context, since time.Duration) bool {
		if alike && since < looks[2] {
			return false
		}
		now := view{live: r.now.live}
		if !r.wish.unpublish {
			live := r.readView(ctx, true, false).live // first: it shows that the reading of the phones is not too old
			if !isFinal(live.err) || since < looks[2] {
				now.live = live
			}
		}
		phones := r.readView(ctx, false, true)
		now.bound, now.phones = phones.bound, phones.phones
		if !r.wish.isInForce(now) || !now.bound[diga.Inbound].known() {
			err = cmp.Or(now.err(), err)
			return false
		}
		now.live = r.now.live
		r.now, open = now, false
		return true
	})
	if err = cmp.Or(context.Cause(signals), err); open && !r.wish.unpublish {
		r.warn("Phone numbers not checked", say("The phone numbers could not be read after the change (%s), so a released one "+
			"may have gone unnoticed. Check in Diga which numbers are bound.", diga.Foreign(err.Error())))
	}
}

// settle decides the outcome of an unconfirmed change by the state, not by the status code.
func (r *run) settle(ctx, signals context.Context, err error) *failure {
	f, effect := r.apiFailure(err), diga.NoEffect
	if e, ok := errors.AsType[*diga.Error](err); ok {
		effect = e.Effect
	}
	if stopped, ok := errors.AsType[*stoppedError](err); ok && stopped.failure == nil {
		r.confirmAfter(ctx, signals, f)
		return nil
	}
	seen, spanned := unreadable, false
	r.now = view{} // what was read before the last attempt
	if effect > diga.NoEffect || f.http != 0 && signals.Err() == nil {
		steady := true
		spanned = r.lookBack(ctx, signals, func(ctx context.Context, _ time.Duration) bool {
			now := r.readView(ctx, true, true)
			steady = steady && compare(r.wish, r.before, now) == unchanged
			if now.live.known() || !r.now.live.known() {
				r.now = now
			}
			seen = compare(r.wish, r.before, r.now)
			return effect == diga.NoEffect || seen == inEffect
		}) && steady
	}
	if f.signal == 0 {
		f.signal = signalOf(context.Cause(signals))
	}
	if seen == inEffect && effect > diga.NoEffect {
		r.confirmAfter(ctx, signals, f)
		return nil
	}
	if f.status = failed; effect == diga.MaybePending || effect == diga.MaybeApplied && !(seen == unchanged && spanned) {
		f.status = unknown
	}
	r.explain(f, effect, seen)
	if live, _ := r.liveNow(); !live.empty() && r.now.live.known() {
		r.log(say("Read back: %s.", live))
	}
	return f
}

// confirmAfter reports success that was found by reading back after this failure.
func (r *run) confirmAfter(ctx, signals context.Context, f *failure) {
	r.confirmed, r.confirmedAfter = true, f
	r.log(say("Read back: the change is in effect."))
	r.checkKept(ctx, signals)
}

// observation is what reading back shows of a change.
type observation int

const (
	unreadable observation = iota // something that was wanted could not be read
	unchanged                     // none of it is in effect
	partial                       // part of it is in effect, or a number is no longer bound
	replaced                      // another version is live than before, or none, and that was not wanted
	inEffect                      // all of it is in effect
)

// compare says how much of a wish came true. It judges only what is known.
func compare(w wish, before, now view) observation {
	isLive := now.isLive(w.version.ID)
	some := isLive && !before.isLive(w.version.ID)
	for d, n := range w.numbers {
		some = some || n.asked && w.isMet(diga.Direction(d), now) && before.bound[d].known() &&
			!w.isMet(diga.Direction(d), before)
	}
	lost := lostNumbers(w, before, now)
	switch {
	case !w.isReadable(now):
		return unreadable
	case w.isInForce(now):
		return inEffect
	case some, len(lost[diga.Inbound])+len(lost[diga.Outbound]) > 0:
		return partial
	case !isLive && before.live.known() && now.live.value.ID != before.live.value.ID:
		return replaced
	default:
		return unchanged
	}
}

// lostNumbers lists the phones that are known to be bound before and not any more, although nobody asked to release them.
func lostNumbers(w wish, before, now view) (lost [diga.Directions][]diga.Phone) {
	for d, was := range before.bound {
		released := w.numbers[d].asked && w.numbers[d].phone.ID == uuid.Nil
		for _, p := range was.value {
			if now.bound[d].known() && !now.has(diga.Direction(d), p.ID) && !released && !w.unpublish {
				lost[d] = append(lost[d], p)
			}
		}
	}
	return lost
}

// sleep waits for d and reports whether ctx lasted that long.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
