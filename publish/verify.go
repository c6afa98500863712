package publish

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"publish-agent-version/diga"

	"github.com/google/uuid"
)

const (
	verifyTime    = 5 * time.Second        // for reading back what a change did
	cancelledTime = 800 * time.Millisecond // the same after a signal: the runner kills a step that lingers
	replicaLag    = 1 * time.Second        // after which a read reflects a change
	staleAfter    = 5 * time.Second        // after which a read is stale
	recheckAfter  = 30 * time.Second       // after which the numbers are read again before a retry
)

// verify decides the outcome of an unconfirmed change by the state, not by the status code. It may read past the
// timeout, and briefly after a signal. A replica may still show the state before the change, so only success is
// reported without a second read.
func (r *run) verify(signals context.Context, err error) *failure {
	f, effect := r.apiFailure(err)
	// After a refusal, what was read before the change still holds, unless it is stale.
	if effect == diga.NoEffect && (f.http == 0 || signals.Err() != nil || time.Since(r.readAt) < staleAfter) {
		return f
	}
	var directions [diga.Directions]bool
	for d, binding := range r.plan.change().Bindings {
		directions[d] = binding != diga.Binding{} || len(r.before.bound[d].value) > 0
	}
	limit, ctx := verifyTime, signals
	if signals.Err() != nil {
		limit, ctx = cancelledTime, context.WithoutCancel(signals)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("no response within %s", shortDuration(limit)))
	defer cancel()

	var seen observation
	readTwice := false
	for {
		r.after = readState(ctx, r.client, r.in.Agent, directions)
		seen = r.plan.compare(r.before.state, r.after)
		isSure := seen == inEffect || effect == diga.NoEffect || readTwice
		if isSure || signals.Err() != nil || !sleep(ctx, replicaLag) {
			break
		}
		readTwice = true
	}
	if f.signal == 0 {
		f.signal = signalOf(context.Cause(signals))
	}
	r.warnReleased()
	if seen == inEffect && effect != diga.NoEffect {
		r.confirmed, r.confirmedAfter = r.plan.observed(r.after), f
		r.log(say("Read back: the change is in effect."))
		return nil
	}
	f.status = r.plan.outcome(effect, seen, readTwice)
	r.explain(f, effect, seen)
	r.log(say("Read back: %s.", r.liveNow()))
	return f
}

// recheck repeats, before a retry, the checks of the live version and, after a while, those of the numbers: others may have
// published while the step waited. A version that is live because an earlier attempt was applied passes.
func (r *run) recheck(ctx context.Context) error {
	now := r.before
	if r.in.Expect.isSet() || r.in.OnlyNewer {
		now.state = state{bound: r.before.bound}
		if err := now.readLive(ctx, r.client, diga.WithRetries, r.in.Agent); err != nil {
			f, _ := r.apiFailure(err)
			f.what, f.items = say("Could not check again what is live: %s", literal(err.Error())), nil
			return &stoppedError{f}
		}
		r.readAt = time.Now()
		applied := r.plan.compare(r.before.state, now.state) == inEffect || now.version.known && now.version.value.ID == r.plan.version.UUID
		if f := cmp.Or(checkExpectation(r.in, now), checkNewer(r.in, now)); f != nil && !applied {
			r.after = now.state
			return &stoppedError{f}
		}
	}
	if time.Since(r.numbersReadAt) < recheckAfter {
		return nil
	}
	r.numbersReadAt = time.Now() // even if it fails: under a rate limit, the next request is for the change
	return r.recheckNumbers(ctx, now)
}

// recheckNumbers stops a retry that would take a number from another agent, or drop one that was bound meanwhile. A number
// that cannot be read passes.
func (r *run) recheckNumbers(ctx context.Context, now preflight) error {
	ctx, cancel := context.WithTimeout(ctx, optionalReadTime)
	defer cancel()
	var reads group
	for d := range diga.Directions {
		if r.plan.carriedOver[d].ID != uuid.Nil {
			reads.run(func() { now.bound[d].set(r.client.PhonesOf(ctx, diga.Once, r.in.Agent, d)) })
		}
		if phone := r.plan.bindings[d].Phone; phone.Valid {
			reads.run(func() { now.phones[d].set(r.client.Phone(ctx, diga.Once, phone.UUID)) })
		}
	}
	reads.wait()
	for d, phone := range r.plan.carriedOver {
		only, _ := now.onlyPhone(diga.Direction(d))
		if phone.ID != uuid.Nil && now.bound[d].known && only.ID != phone.ID {
			return &stoppedError{&failure{
				code: codePhoneInUse, status: failed,
				what:   say("Someone changed the %s numbers of %s while this step waited", diga.Direction(d), r.agent()),
				advice: say("Run this step again: it will start from what is bound then."),
			}}
		}
		if f := checkPhone(r.in, now, diga.Direction(d)); f != nil && r.plan.bindings[d].Phone.Valid {
			return &stoppedError{f}
		}
	}
	return nil
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

// checkReleased looks for numbers that a confirmed change may have released without a request. The response names only
// one number in each direction, so if more were bound before, they are read.
func (r *run) checkReleased(signals context.Context) {
	var directions [diga.Directions]bool
	needed := false
	for d := range diga.Directions {
		unasked := r.plan.bindings[d] == (diga.Binding{}) && r.plan.carriedOver[d].ID == uuid.Nil
		directions[d] = unasked && !r.plan.unpublish && len(r.before.bound[d].value) > 0
		needed = needed || directions[d]
	}
	if !needed || !sleep(signals, replicaLag) {
		return
	}
	ctx, cancel := context.WithTimeout(signals, optionalReadTime)
	defer cancel()
	r.after = readState(ctx, r.client, r.in.Agent, directions)
	for d, bound := range r.after.bound {
		if directions[d] && !bound.known {
			r.log(say("The %s numbers could not be read after the change, so a released number may have gone unnoticed: %s.",
				diga.Direction(d), literal(bound.err.Error())))
		}
	}
	r.warnReleased()
}

// warnReleased warns about the numbers that were released without a request, once per direction, because the runner
// shows only ten warnings per step.
func (r *run) warnReleased() {
	if r.plan.unpublish {
		return // the agent is offline, its numbers with it
	}
	for d, phones := range r.plan.released(r.before.state, r.after) {
		if len(phones) > 0 {
			warning := r.releasedWarning(diga.Direction(d), phones)
			r.warn("Phone number released", warning)
			r.warnings = append(r.warnings, warning)
		}
	}
}
