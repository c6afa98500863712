package publish

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"publish-agent-version/diga"

	"github.com/google/uuid"
)

// stoppedError stops the change before an attempt.
type stoppedError struct{ failure *failure } // nil: what was wanted is in force

func (e *stoppedError) Error() string { return "stopped before an attempt" }

// recheck repeats the checks before an attempt, on readings that are fresh; effect is that of the earlier attempts. It
// reports whether what was wanted is in force already.
func (r *run) recheck(ctx context.Context, effect diga.Effect) (inForce bool, f *failure) {
	r.effect = effect
	if effect == diga.NoEffect {
		f = r.renewBefore(ctx)
	} else {
		limited, cancel := r.limited(ctx, r.in.needs().live || r.needsPhones())
		defer cancel()
		r.now, f = r.renew(limited, view{}, true, true)
		inForce = r.wish.isInForce(r.now)
	}
	if f != nil || inForce {
		return inForce, f
	}
	return false, r.refuse(r.before.updated(r.now))
}

// beforeRetry stops the change with a stoppedError if a check now refuses it, or if what was wanted is in force.
func (r *run) beforeRetry(ctx context.Context, effect diga.Effect) error {
	if inForce, f := r.recheck(ctx, effect); inForce || f != nil {
		return &stoppedError{f}
	}
	if r.lastStatus == http.StatusServiceUnavailable {
		sleep(ctx, time.Second) // it may be a gateway's rate limit, and the reads just now counted
	}
	return nil
}

// change makes the change and finds out what came of it.
func (r *run) change(ctx, signals context.Context) *failure {
	if _, f := r.recheck(ctx, diga.NoEffect); f != nil {
		return f
	}
	if ctx.Err() == nil {
		r.log(say("PATCH %s", diga.Foreign(r.in.APIURL.JoinPath("v1/agent", r.in.Agent.String(),
			"published_version").Redacted())))
	}
	r.changing = true
	reply, err := r.client.Publish(ctx, r.wish.change())
	if err != nil {
		return r.settle(signals, err)
	}
	r.confirmed = true
	r.now = r.before.after(r.wish, reply)
	r.checkKept(signals)
	return nil
}

// settle decides the outcome of an unconfirmed change by the state, not by the status code.
func (r *run) settle(signals context.Context, err error) *failure {
	f := r.apiFailure(err)
	e, _ := errors.AsType[*diga.Error](err)
	r.effect = e.Effect
	if stopped, ok := errors.AsType[*stoppedError](err); ok && stopped.failure == nil {
		r.confirmAfter(signals, f)
		return nil
	}
	r.now = view{} // what was read before the last attempt
	spanned, steady := false, true
	if r.effect > diga.NoEffect || f.http != 0 && signals.Err() == nil {
		spanned = r.lookBack(signals, func(ctx context.Context, _ time.Duration) bool {
			now := r.readView(ctx, true, true)
			steady = steady && compare(r.wish, r.before, now) == unchanged
			if now.live.known() || !r.now.live.known() {
				r.now = now
			}
			r.seen = compare(r.wish, r.before, r.now)
			return r.effect == diga.NoEffect || r.seen == inEffect
		})
	}
	f.addIssues(err, r.wish.version.Issues)
	f.signal = cmp.Or(f.signal, signalOf(context.Cause(signals)))
	switch {
	case r.seen == inEffect && r.effect > diga.NoEffect:
		r.confirmAfter(signals, f)
		return nil
	case r.effect == diga.MaybePending, r.effect == diga.MaybeApplied && !(spanned && steady && r.seen == unchanged):
		f.status = unknown
	}
	if r.now.live.known() {
		r.log(say("Read back: %s.", r.liveNow()))
	}
	return f
}

// confirmAfter reports success that was found by reading back after this failure.
func (r *run) confirmAfter(signals context.Context, f *failure) {
	r.confirmed, r.confirmedAfter = true, f
	r.log(say("Read back: the change is in effect."))
	r.checkKept(signals)
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
		some = some || n.isAsked() && w.isMet(diga.Direction(d), now) && before.bound[d].known() &&
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

// lostNumbers lists the phones that are known to be bound before and not any more, although nobody asked to release
// them.
func lostNumbers(w wish, before, now view) (lost [diga.Directions][]diga.Phone) {
	for d, was := range before.bound {
		for _, p := range was.value {
			if now.bound[d].known() && !now.has(diga.Direction(d), p.ID) && !w.numbers[d].releases() && !w.unpublish {
				lost[d] = append(lost[d], p)
			}
		}
	}
	return lost
}

// explain says what is live after a failure, and what to do if the outcome is unknown.
func (r *run) explain(f *failure) {
	if f.status == unknown && f.code != diga.Mismatch.Code {
		f.advice = say("Run this step again: that is safe.")
		if f.code == diga.InvalidReply.Code {
			f.advice = say("Check that {api-url} points to the API, then run this step again: that is safe.")
		}
	}
	now := r.liveNow()
	nothing := say("Nothing was changed")
	switch {
	case r.launched:
		nothing = say("%s was launched and is not live", versionName(r.wish.version))
	case r.launching:
		nothing = say("Nothing was published")
	}
	if !now.empty() {
		nothing = say("%s: %s", nothing, now)
	}
	switch {
	case r.in.ShowLive, r.requestID == uuid.Nil, !f.live.empty():
		return
	case r.launching:
		f.live = say("%s. The version %s may still appear", nothing, diga.Foreign(r.in.VersionName))
		return
	case r.effect == diga.NoEffect, f.status == failed && (r.before.live.known() || r.launched):
		f.live = nothing
		return
	case r.seen == unreadable:
		reason := diga.Foreign("no response")
		if err := r.now.err(); err != nil {
			reason = diga.Foreign(strings.TrimSuffix(err.Error(), "."))
		}
		f.live = say("the change may have been applied: could not read what is live (%s)", reason)
		if r.now.live.known() {
			f.live = say("%s, but the phone numbers could not be read (%s)", now, reason)
		}
	case r.seen == partial:
		f.live = say("only part of it was applied: %s%s", now, r.now.onNumbers("s"))
	case r.seen == replaced:
		f.live = say("%s, which this step did not request", now)
		f.advice = say("Find out who else publishes this agent, then run this step again if needed: that is safe.")
	case f.status == unknown:
		f.live = say("%s, but the change may still be applied", now)
	default:
		f.live = now
	}
	if r.launched {
		f.live = say("%s was launched from the draft; %s", versionName(r.wish.version), f.live)
	}
}
