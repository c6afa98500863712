package publish

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"publish-agent-version/diga"
)

const (
	readBackTime  = 5 * time.Second        // for reading back what a change did, even after the timeout
	cancelledTime = 800 * time.Millisecond // the same after a signal: the runner kills a step that lingers
)

// renew reads again what a check rests on and is older than maxAge: the live version, the phones, or both. As one read
// may have to wait until another is too old, that may take several turns. It fails if something that is needed can no
// longer be read.
func (r *run) renew(ctx context.Context, v view, live, phones bool) (view, *failure) {
	for {
		live, phones = live && v.live.isOlder(maxAge), phones && v.bound[diga.Inbound].isOlder(maxAge)
		if !live && !phones {
			return v, nil
		}
		fresh := r.readView(ctx, live, phones)
		v = v.updated(fresh)
		if err := fresh.live.err; err != nil {
			if live = false; r.in.needs().live {
				return v, r.notRenewed(err)
			}
		}
		if err := fresh.bound[diga.Inbound].err; err != nil {
			tooOld := r.before.bound[diga.Inbound].isOlder(maxAge)
			if phones = false; !isFinal(err) && r.needsPhones() && tooOld {
				return v, r.notRenewed(err)
			}
		}
	}
}

// renewBefore renews the view before the change.
func (r *run) renewBefore(ctx context.Context) (f *failure) {
	was := r.before.live
	r.before, f = r.renew(ctx, r.before, r.in.needs().live, r.needsPhones())
	if was.known() && was.value.ID != r.before.live.value.ID { // somebody else has published
		r.moved = true
		r.logView()
		r.compareVersions()
	}
	return f
}

// needsPhones reports whether a check rests on the phones.
func (r *run) needsPhones() bool { return r.before.bound[diga.Inbound].known() && !r.in.Unpublish }

// notRenewed is the failure of a read before an attempt.
func (r *run) notRenewed(err error) *failure {
	f := r.failureOf(err, false)
	f.what = say("could not check again what is live: %s", f.what)
	return f
}

// looks are the times at which the state is read after an answer that leaves it open. A replica or a cache may still
// show the old state; only one that is seen again 10 s later counts.
var looks = []time.Duration{0, time.Second, 3 * time.Second, 10 * time.Second}

// lookBack calls look at the times in looks, with the time since the first, until that returns true. It reports
// whether it came to the end. It may look past the timeout, and once more after a signal.
func (r *run) lookBack(signals context.Context, look func(context.Context, time.Duration) bool) (spanned bool) {
	left := time.Until(r.start.Add(r.in.Timeout + readBackTime))
	limit, parent := min(left, looks[len(looks)-1]+readBackTime), signals
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

// checkKept reads the numbers after a change that was confirmed without them, if some were bound before that a
// request or a reply does not name: those have only one in each direction. A reading that does not show the change
// is too old to tell.
func (r *run) checkKept(signals context.Context) {
	open := false
	for d, before := range r.before.bound {
		isOther := func(p diga.Phone) bool { return p.ID != r.wish.numbers[d].phone.ID }
		isTold := r.now.bound[d].known() && r.confirmedAfter == nil
		open = open || slices.ContainsFunc(before.value, isOther) && !isTold
	}
	if !open {
		return
	}
	err := errors.New("what was read is older than the change")
	// A reading from before looks like one from afterwards.
	alike := !r.before.live.known() || r.wish.isInForce(r.before)
	r.lookBack(signals, func(ctx context.Context, since time.Duration) bool {
		if alike && since < looks[2] {
			return false
		}
		now := r.readView(ctx, true, false) // first: it shows that the reading of the phones is not too old
		if isFinal(now.live.err) && since >= looks[2] {
			now.live = r.now.live
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
		r.warn("Phone numbers not checked", say("The phone numbers could not be read after the change (%s), "+
			"so one that is no longer bound may have gone unnoticed. Check in Diga which numbers are bound.",
			diga.Foreign(err.Error())))
	}
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
