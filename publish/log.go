package publish

import (
	"cmp"
	"fmt"
	"net/http"
	"time"

	"publish-agent-version/diga"

	"github.com/google/uuid"
)

// logAttempt logs attempts at a change, and all waits. Attempts at reads go to the debug log.
func (r *run) logAttempt(a diga.Attempt) {
	if a.Method == http.MethodPatch {
		r.attempts, r.lastAttempt, r.lastStatus = a.Number, time.Now(), a.Status
	}
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
	if a.Wait > 0 {
		r.log(say("%s.", wait))
	}
}

// request describes what is requested, for the log.
func (r *run) request() message {
	what := say("publish version %s", diga.Foreign(r.in.Version.UUID.String()))
	switch {
	case r.in.ShowLive:
		what = say("show what is live")
	case r.in.Unpublish:
		what = say("unpublish")
	case r.in.VersionName != "":
		what = say("publish %s", diga.Foreign(r.in.VersionName))
	}
	for d, p := range r.in.Phones {
		if !p.isOpen() {
			number := cmp.Or(idOrEmpty(p.ID.UUID), string(p.Number.Text()), "none")
			what = say("%s, %s number %s", what, diga.Direction(d), diga.Foreign(number))
		}
	}
	return what
}

// logView logs what was read before the change.
func (r *run) logView() {
	b := r.before
	switch {
	case b.offline():
		r.log(say("No version is live now."))
	case b.live.known():
		r.log(say("Live version of %s: %s.", r.agent(), fullVersionName(b.live.value)))
	}
	for d, bound := range b.bound {
		if len(bound.value) > 0 {
			r.log(say("Bound for %s calls: %s.", diga.Direction(d), phoneNames(bound.value)))
		}
	}
	unread := []error{b.live.err, b.bound[diga.Inbound].err, r.target.err}
	for i, what := range []string{"live version", "phone numbers", "requested version"} {
		if unread[i] != nil {
			r.log(say("Could not read the %s: %s.", what, diga.Foreign(unread[i].Error())))
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
