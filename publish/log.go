package publish

import (
	"cmp"
	"net/http"
	"time"

	"publish-agent-version/diga"

	"github.com/google/uuid"
)

// logAttempt logs attempts at a change. Attempts at reads go to the debug log.
func (r *run) logAttempt(a diga.Attempt) {
	outcome := say("%s", diga.StatusText(a.Status))
	switch {
	case a.Status == 0 && a.Err != nil:
		outcome = foreign(a.Err.Error())
	case a.Err != nil:
		outcome = say("%s, but %s", outcome, diga.Foreign(a.Err.Error()))
	}
	line := say("Attempt %d: %s (%s).", a.Number, outcome, diga.FormatDuration(a.Elapsed))
	if a.Method == http.MethodGet {
		r.debug(say("GET %s: %s", diga.Foreign(a.Path), line))
		return
	}
	if a.Method == http.MethodPatch {
		r.attempts, r.lastAttempt = a.Number, time.Now()
	}
	r.log(line)
}

func (r *run) logWait(w diga.Wait) {
	next := say("Waiting %s before attempt %d", diga.FormatDuration(w.Duration), w.Next)
	if w.Asked > 0 {
		next = say("%s (Retry-After: %s)", next, diga.FormatDuration(w.Asked))
	}
	if w.Method == http.MethodGet {
		next = say("%s %s failed (%s). %s", w.Method, diga.Foreign(w.Path), diga.Foreign(w.After.Error()), next)
	}
	r.log(say("%s.", next))
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
