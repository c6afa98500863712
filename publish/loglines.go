package publish

import (
	"errors"
	"net/http"
	"time"

	"publish-agent-version/diga"
)

// preflightLines returns the log lines about the reads before the change. Failed reads of phone numbers share one line.
func (r *result) preflightLines() []text {
	b := r.before
	var lines []text
	add := func(format string, args ...any) { lines = append(lines, say(format, args...)) }
	switch {
	case b.version.known:
		add("Live version of %s: %s.", r.agent(), fullVersionName(b.version.value))
	case b.offline:
		add("No version is live now.")
	case b.version.err != nil && !errors.Is(b.version.err, errNotNeeded):
		add("Could not read the live version: %s.", literal(b.version.err.Error()))
	}
	for d, bound := range b.bound {
		if len(bound.value) > 0 {
			add("Bound %s numbers: %s.", diga.Direction(d), phoneNames(bound.value))
		}
	}
	for _, err := range []error{b.bound[0].err, b.bound[1].err, b.phones[0].err, b.phones[1].err} {
		if _, notFound := errors.AsType[*phoneNotFoundError](err); err != nil && !notFound {
			add("Could not read the phone numbers: %s.", literal(err.Error()))
			break
		}
	}
	switch {
	case b.target.err != nil && r.in.Version.Valid && !errors.Is(b.target.err, errNotNeeded):
		add("Could not read the requested version: %s.", literal(b.target.err.Error()))
	case b.version.known && b.target.known && b.version.value.ID == b.target.value.ID:
		add("%s is already live; only phone numbers may change.", r.name(r.target()))
	case b.target.known && !r.in.Version.Valid:
		add("%s is version %s.", literal(r.in.VersionName), literal(b.target.value.ID.String()))
	}
	return lines
}

func attemptLine(a diga.Attempt) text {
	outcome := say("%s", diga.StatusText(a.Status))
	switch {
	case a.Status == 0 && a.Err != nil:
		outcome = say("%s", literal(a.Err.Error()))
	case a.Err != nil:
		outcome = say("%s, but %s", outcome, literal(a.Err.Error()))
	}
	return say("Attempt %d: %s (%s).", a.Number, outcome, shortDuration(a.Elapsed))
}

func waitLine(w diga.Wait) text {
	next := say("Waiting %s before attempt %d", shortDuration(w.Duration), w.Next)
	if w.Asked > 0 {
		next = say("%s (Retry-After: %s)", next, shortDuration(w.Asked))
	}
	if w.Method == http.MethodPatch {
		return say("%s.", next)
	}
	return say("%s %s failed (%s). %s.", w.Method, literal(w.Path), literal(w.After.Error()), next)
}

// shortDuration formats d for a reader: "2m0s", "1.25s", "83ms".
func shortDuration(d time.Duration) string {
	if d < time.Second {
		return max(d.Round(time.Millisecond), time.Millisecond).String()
	}
	return d.Round(10 * time.Millisecond).String()
}
