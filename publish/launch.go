package publish

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"publish-agent-version/diga"
)

// readDraft reads the draft that is to be launched.
func (r *run) readDraft(ctx context.Context) (diga.Version, *failure) {
	draft, err := r.client.Draft(ctx, r.in.Agent)
	if err == nil {
		return draft, nil
	}
	f := r.apiFailure(err)
	if e, ok := errors.AsType[*diga.Error](err); ok && e.Cause == diga.NotFound {
		f.code = codeVersionNotFound
		f.what = say("no version is named %s, and the agent has no draft to launch", quote(r.in.VersionName))
		f.advice = say("Check {version-name}, or edit the agent in Diga: that makes a draft.")
	}
	return diga.Version{}, f
}

// launch makes a version from the draft, and makes it the one to publish. The request is not idempotent; the name makes
// it so: after an unclear answer, the list of versions decides.
func (r *run) launch(ctx context.Context, signals context.Context) *failure {
	for tries := 0; ; tries++ {
		if _, f := r.recheck(ctx, diga.NoEffect); f != nil {
			return f
		}
		r.log(say("Launching the draft as %s.", diga.Foreign(r.in.VersionName)))
		version, err := r.client.Launch(ctx, r.in.Agent, r.in.VersionName)
		if err == nil {
			r.setLaunched(version)
			return nil
		}
		e, _ := errors.AsType[*diga.Error](err)
		f := r.apiFailure(err)
		f.addIssues(e, r.wish.version.Issues)
		if e.Cause == diga.BadRequest || e.Cause == diga.Unprocessable {
			f.advice = say("Fix the draft in Diga, then run this step again.")
		}
		if r.launching = r.launching || e.Effect > diga.NoEffect; r.launching {
			f.advice = say("Run this step again: it finds the version by its name.")
		}
		if !r.launching || e.Cause == diga.InvalidReply || e.Cause == diga.Mismatch {
			return f
		}
		found, isSure := r.findLaunched(signals)
		f.signal = cmp.Or(f.signal, signalOf(context.Cause(signals)))
		switch {
		case len(found) == 1:
			r.setLaunched(found[0])
			return nil
		case len(found) > 1:
			f = ambiguous(r.in.VersionName, found)
			if f.live = r.liveNow(); f.live.empty() {
				f.live = say("nothing was published")
			}
			return f
		case e.Effect != diga.MaybeApplied || !isSure || tries == r.in.MaxRetries || ctx.Err() != nil:
			return f
		}
	}
}

func (r *run) setLaunched(v diga.Version) {
	r.wish.version, r.wish.launch, r.launched, r.launching = v, false, true, false
	r.log(say("Launched %s from the draft: version %s.", versionName(v), diga.Foreign(v.ID.String())))
}

// findLaunched looks for versions with the wanted name. It is sure that there is none only if it could look to the end.
func (r *run) findLaunched(signals context.Context) (found []diga.Version, isSure bool) {
	r.lookBack(signals, func(ctx context.Context, _ time.Duration) bool {
		all := r.listVersions(ctx)
		found, isSure = slices.DeleteFunc(all.value, func(v diga.Version) bool {
			return v.Draft || !sameName(v.Name, r.in.VersionName)
		}), all.known()
		return len(found) > 0
	})
	return found, isSure
}
