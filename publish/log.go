package publish

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
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
	for i, what := range []string{"live version", "phone numbers", "requested version"} {
		if unread[i] != nil {
			r.log(say("Could not read the %s: %s.", what, diga.Foreign(unread[i].Error())))
		}
	}
}

// warning is an annotation about something that did not stop the step. The summary has it too.
type warning struct {
	title string
	text  message
}

// warnBefore gives the warnings about the wish.
func (r *run) warnBefore() {
	w, v := r.wish, r.before
	if isOlder(w, v) {
		r.warn("Older version", say("%s is older than %s, which was live before this run. "+
			"Set {only-newer: true} to refuse older versions.",
			fullVersionName(w.version), fullVersionName(v.live.value)))
	}
	if issues := w.version.Issues; len(issues) > 0 && r.in.DryRun {
		r.warn("Validation issues", say("Diga may refuse %s: %s.",
			r.name(w.version), join(some(3, issues, foreign), "; ")))
	}
	if w.unpublish {
		return
	}
	var leaving []message
	for _, p := range v.phones {
		bound := v.has(diga.Inbound, p.ID) || v.has(diga.Outbound, p.ID)
		asked := p.ID == w.numbers[diga.Inbound].phone.ID || p.ID == w.numbers[diga.Outbound].phone.ID
		if !p.ReleaseAt.IsZero() && (bound || asked) {
			leaving = append(leaving, say("%s on %s", phoneName(p), p.ReleaseAt.Format("2 January 2006")))
		}
	}
	if len(leaving) > 0 {
		r.warn("Number will be released", say("Diga is going to release %s. Stop that in Diga if calls depend on it.",
			list(leaving)))
	}
	for d, n := range w.numbers {
		isNamed := func(p diga.Phone) bool { return p.ID == n.phone.ID }
		others := slices.DeleteFunc(slices.Clone(v.bound[d].value), isNamed)
		if r.in.DryRun && len(others) > 0 && !n.releases() {
			r.warn("Numbers may be unbound", say("Diga may unbind %s: a request can name only one %s number.",
				phoneNames(others), diga.Direction(d)))
		}
	}
}

// warnAfter gives the warnings about a change that is, or may be, in effect.
func (r *run) warnAfter() {
	var lost []message
	for d, phones := range r.lost {
		plural := ""
		if len(phones) > 1 {
			plural = "s"
		}
		if len(phones) > 0 {
			lost = append(lost, say("the %s number%s %s", diga.Direction(d), plural, phoneNames(phones)))
		}
	}
	if len(lost) > 0 {
		end := ""
		if r.nobodyCanCall() {
			end = " Nobody can call it now."
		}
		r.warn("Phone number unbound", say("%s lost %s, although this step did not request that.%s "+
			"Bind what is missing in Diga: a request can bind only one number in each direction.",
			r.agent(), list(lost), end))
	}
	var open, empty []string
	for d, n := range r.wish.numbers {
		direction := diga.Direction(d).String()
		if n.isOpen() {
			open = append(open, direction)
		}
		if n.isOpen() && len(r.now.bound[d].value) == 0 {
			empty = append(empty, direction)
		}
	}
	err := r.before.bound[diga.Inbound].err
	if err == nil || len(open) == 0 || r.status != published && r.status != dryRun {
		return
	}
	m := say("The phone numbers could not be read (%s), so %s numbers that were bound could not be protected. "+
		"Check them in Diga; set {inbound-phone-number-id} and {outbound-phone-number-id}, "+
		"or give the key Read on Phones.", diga.Foreign(err.Error()), strings.Join(open, " and "))
	if len(empty) > 0 && r.status == published {
		m = say("%s The reply names no %s number.", m, strings.Join(empty, " or "))
	}
	r.warn("Phone numbers not protected", m)
}
