package publish

import (
	"fmt"
	"net/http"
	"time"

	"publish-agent-version/diga"

	"github.com/google/uuid"
)

// logAttempt logs attempts at a change, and all waits. Attempts at reads go to the debug log.
func (r *run) logAttempt(a diga.Attempt) {
	outcome := say("%s", diga.StatusText(a.Status))
	switch {
	case a.Problem != nil && a.Status == 0:
		outcome = foreign(a.Problem.Error())
	case a.Problem != nil && a.Status < 300: // its body is not complete
		outcome = say("%s, but %s", outcome, diga.Foreign(a.Problem.Error()))
	}
	line := say("Attempt %d: %s (%s).", a.Number, outcome, diga.FormatDuration(a.Elapsed))
	wait := say("Waiting %s before attempt %d", diga.FormatDuration(a.Wait), a.Number+1)
	if a.Asked > 0 {
		wait = say("%s (Retry-After: %s)", wait, diga.FormatDuration(a.Asked))
	}
	if a.Method == http.MethodGet {
		r.debug(say("GET %s: %s", diga.Foreign(a.Path), line))
		wait = say("GET %s failed (%s). %s", diga.Foreign(a.Path), diga.Foreign(fmt.Sprint(a.Problem)), wait)
	} else {
		r.log(line)
	}
	if a.Method == http.MethodPatch {
		r.attempts, r.lastAttempt, r.lastStatus = a.Number, time.Now(), a.Status
	}
	if a.Wait > 0 {
		r.log(say("%s.", wait))
	}
}

// request describes what is requested, for the log.
func (r *run) request() message {
	var parts []message
	switch {
	case r.in.ShowLive:
		parts = append(parts, say("show what is live"))
	case r.in.Unpublish:
		parts = append(parts, say("unpublish"))
	case r.in.VersionName != "":
		parts = append(parts, say("publish %s", diga.Foreign(r.in.VersionName)))
	default:
		parts = append(parts, say("publish version %s", diga.Foreign(r.in.Version.UUID.String())))
	}
	for d, p := range r.in.Phones {
		direction := diga.Direction(d)
		switch {
		case p.Release:
			parts = append(parts, say("release the %s number", direction))
		case p.ID.Valid:
			parts = append(parts, say("%s number %s", direction, diga.Foreign(p.ID.UUID.String())))
		case !p.isOpen():
			parts = append(parts, say("%s number %s", direction, p.Number.Text()))
		}
	}
	return join(parts, ", ")
}

// logView logs what was read before the change.
func (r *run) logView() {
	b := r.before
	switch {
	case b.offline():
		r.log(say("No version is live now."))
	case b.live.known():
		r.log(say("Live version of %s: %s.", r.agent(), fullVersionName(b.live.value)))
	case b.live.err != nil:
		r.log(say("Could not read the live version: %s.", diga.Foreign(b.live.err.Error())))
	}
	for d, bound := range b.bound {
		if len(bound.value) > 0 {
			noun := "number"
			if len(bound.value) > 1 {
				noun = "numbers"
			}
			r.log(say("Bound %s %s: %s.", diga.Direction(d), noun, phoneNames(bound.value)))
		}
	}
	for err, what := range map[error]string{b.bound[diga.Inbound].err: "phone numbers", r.target.err: "requested version"} {
		if err != nil {
			r.log(say("Could not read the %s: %s.", what, diga.Foreign(err.Error())))
		}
	}
}

// logWish logs what the inputs were found to mean.
func (r *run) logWish() {
	switch {
	case r.wish.launch:
		r.log(say("No version is named %s: the draft would become it.", diga.Foreign(r.in.VersionName)))
	case r.wish.version.ID == uuid.Nil:
	case r.before.isLive(r.wish.version.ID):
		r.log(say("%s is already live; only phone numbers may change.", r.name(r.wish.version)))
	case r.in.VersionName != "":
		r.log(say("%s is version %s.", versionName(r.wish.version), diga.Foreign(r.wish.version.ID.String())))
	}
}
