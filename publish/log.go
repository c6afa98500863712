package publish

import (
	"fmt"
	"net/http"
	"time"

	"publish-agent-version/diga"
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
		if r.Getenv("RUNNER_DEBUG") == "1" {
			r.annotate("debug", "", r.renderer().text(say("GET %s: %s", diga.Foreign(a.Path), line)))
		}
		wait = say("GET %s failed (%s). %s", diga.Foreign(a.Path), diga.Foreign(fmt.Sprint(a.Problem)), wait)
	} else {
		r.log(line)
	}
	if a.Wait > 0 {
		r.log(say("%s.", wait))
	}
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
	unread := []error{b.live.err, b.bound[diga.Inbound].err, r.versions.err}
	for i, what := range []string{"live version", "phone numbers", "versions"} {
		if unread[i] != nil {
			r.log(say("Could not read the %s: %s.", what, diga.Foreign(unread[i].Error())))
		}
	}
}
