package publish

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"publish-agent-version/diga"

	"github.com/google/uuid"
)

// summary returns the job summary in Markdown. Text from the workflow or a server is in code spans. uses is the value
// of "uses" in the rollback step.
func (r *result) summary(c cleaner, uses string) string {
	md := &markdown{cleaner: c}
	md.add("### %s", r.headline().render(md.codeSpan))
	if f := r.failure; f != nil {
		md.failure(f, f.status == unknown || !r.isStillLive())
	}
	for _, warning := range r.warnings {
		md.add("⚠️ %s", warning.render(md.codeSpan))
	}
	if r.requestID == uuid.Nil {
		return md.String()
	}
	if table := r.table(); !isUnknown(table) {
		md.table(table)
	}
	for _, line := range r.takenOver() {
		md.add("%s Rolling back does not return it to that agent: bind it there in Diga.", line.render(md.codeSpan))
	}
	if f := r.confirmedAfter; f != nil {
		md.add("The request failed (%s), but reading back confirmed the change.", f.cause.render(md.codeSpan))
	}
	if len(r.changes) > 0 {
		title := "What changed"
		if r.confirmed == nil {
			title = "What changes"
		}
		md.add("**%s:** %s", title, changesText(r.changes).render(md.codeSpan))
		if r.in.ShowChanges == fullChanges {
			md.fold("Changes in full", false, md.fence("diff", fullDiff(r.changes, c)))
		}
	}
	if steps := r.rollback(c, uses); steps != nil {
		title := "Roll back to " + fullVersionName(r.before.version.value).render(md.codeHTML)
		block := md.fence("yaml", steps)
		if r.in.Unpublish && !(r.before.bound[diga.Inbound].known && r.before.bound[diga.Outbound].known) {
			block += "\n\nAdd the phone numbers that the agent had: unpublishing may have released them."
		}
		md.fold(title, r.failure != nil, block)
	}
	md.fold("Details", false, r.details(md))
	return md.String()
}

// headline is the first line, which must be enough on its own.
func (r *result) headline() text {
	if r.failure != nil {
		return r.failureHeadline(r.failure)
	}
	icon, headline := r.successHeadline()
	return say("%s %s", icon, headline)
}

func (r *result) successHeadline() (icon string, headline text) {
	agent, target := r.agent(), r.name(r.target())
	switch r.status() {
	case live:
		return "📞", say("%s: %s is live", agent, target)
	case offline:
		return "📴", say("%s: no version is live", agent)
	case dryRun:
		if r.in.Unpublish {
			return "🔍", say("Dry run: %s would be offline", agent)
		}
		return "🔍", say("Dry run: %s would be on %s", agent, target)
	case unpublished:
		return "✅", say("%s is offline", agent)
	default:
		if len(r.warnings) > 0 {
			return "⚠️", say("%s: %s is live, but lost a phone number", agent, target)
		}
		return "✅", say("%s: %s is live", agent, target)
	}
}

// failureHeadline says what is live, if known, rather than what failed.
func (r *result) failureHeadline(f *failure) text {
	agent, target, was := r.agent(), r.name(r.target()), r.before.version
	named := r.target().Name != ""
	switch {
	case r.requestID == uuid.Nil && len(f.items) > 0:
		return say("❌ Nothing was sent: %d inputs to fix", len(f.items))
	case r.requestID == uuid.Nil:
		return say("❌ Nothing was sent")
	case f.code == codeOutputUnwritable:
		_, headline := r.successHeadline()
		return say("⚠️ %s, but the step failed", headline)
	case r.in.ShowLive:
		return say("❌ %s: could not read what is live", agent)
	case r.after.offline && !r.before.offline && !r.in.Unpublish:
		return say("⚠️ %s is offline", agent)
	case f.status == unknown && !was.known && !named:
		return say("⚠️ Could not confirm the change") // without names, it would be only IDs
	case f.status == unknown && r.in.Unpublish:
		return say("⚠️ %s: could not confirm that it is offline", agent)
	case f.status == unknown:
		return say("⚠️ %s: could not confirm %s", agent, target)
	case r.isStillLive():
		return say("❌ %s is still on %s", agent, r.name(was.value))
	case r.final().version.known:
		return say("❌ %s is on %s", agent, r.name(r.final().version.value))
	case r.in.Unpublish:
		return say("❌ %s was not unpublished", agent)
	case !named:
		return say("❌ Nothing was published")
	default:
		return say("❌ %s: %s was not published", agent, target)
	}
}

// isStale reports whether what was read before the change may no longer be true, and nothing was read since.
func (r *result) isStale() bool {
	return !r.after.version.known && !r.after.offline && time.Since(r.readAt) > staleAfter
}

// isStillLive reports whether the version that was live before the run is known to be live after it.
func (r *result) isStillLive() bool {
	was, is := r.before.version, r.final().version
	return !r.isStale() && was.known && is.known && was.value.ID == is.value.ID
}

// cell is a cell of the table.
type cell struct {
	text  text
	known bool
}

// table compares the state before with the state after, or with the requested one. The first row is the header; empty
// rows are omitted.
func (r *result) table() [][]cell {
	head := func(names ...string) (row []cell) {
		for _, name := range names {
			row = append(row, cell{say("%s", name), true})
		}
		return row
	}
	before, after := "before", "now"
	was, is := r.before.state, r.final()
	switch {
	case r.status() == dryRun:
		before, after = "now", "after a real run"
	case r.status() == failed:
		before, after = "live", "requested"
		was, is = is, state{version: lookup[diga.Version]{value: r.target(), known: !r.in.Unpublish}, offline: r.in.Unpublish}
		for d := range diga.Directions {
			is.bound[d] = r.planned(d)
		}
	}
	table := [][]cell{head("", before, after)}
	row := func(name string, was, is cell) {
		if was.known && is.known && was.text.empty() && is.text.empty() {
			return
		}
		table = append(table, append(head(name), was, is))
	}
	row("Version", was.versionCell(), is.versionCell())
	for d, name := range [diga.Directions]string{"Inbound", "Outbound"} {
		now := phonesCell(is.bound[d])
		if other := r.perhapsStill(diga.Direction(d)); len(other) > 0 {
			now.text = say("%s; not checked: %s", now.text, phoneNames(other))
		}
		row(name, phonesCell(was.bound[d]), now)
	}
	if r.in.ShowLive {
		for i := range table {
			table[i] = table[i][:2]
		}
		table[0][1] = head("now")[0]
	}
	return table
}

func (s state) versionCell() cell {
	if !s.version.known {
		return cell{known: s.offline}
	}
	return cell{fullVersionName(s.version.value), true}
}

func phonesCell(phones lookup[[]diga.Phone]) cell {
	return cell{phoneNames(phones.value), phones.known}
}

// isUnknown reports whether a table has no known cell.
func isUnknown(table [][]cell) bool {
	for _, row := range table[1:] {
		if slices.ContainsFunc(row[1:], func(c cell) bool { return c.known }) {
			return false
		}
	}
	return true
}

// details are the IDs and figures that few readers need.
func (r *result) details(md *markdown) string {
	var lines []string
	add := func(name, value string) { lines = append(lines, fmt.Sprintf("- %s<br>%s", name, value)) }
	add("agent", md.codeSpan(r.in.Agent.String()))
	if target := r.target(); target.ID != uuid.Nil && !r.in.ShowLive {
		add("requested version", md.codeSpan(target.ID.String()))
	}
	if r.before.version.known {
		add("previous version", md.codeSpan(r.before.version.value.ID.String()))
	}
	var seen []uuid.UUID
	for d := range diga.Directions {
		for _, p := range slices.Concat(r.planned(d).value, r.before.bound[d].value) {
			if p.ID != uuid.Nil && !slices.Contains(seen, p.ID) {
				seen = append(seen, p.ID)
				add("phone number "+md.codeSpan(spaced(p.Number)), md.codeSpan(p.ID.String()))
			}
		}
	}
	if r.attempts > 0 {
		add("publish requests", strconv.Itoa(r.attempts))
	}
	add("time", shortDuration(r.elapsed))
	add("request ID", md.codeSpan(r.requestID.String()))
	return strings.Join(lines, "\n")
}

// rollback returns the lines of a step that restores what was live before, if that has changed or may have; nil
// otherwise.
func (r *result) rollback(c cleaner, uses string) []string {
	was := r.before.version
	nothingAsked := r.plan.compare(state{}, r.before.state) == inEffect
	if !was.known || !r.changeSent || r.status() == failed && r.confirmed == nil || nothingAsked {
		return nil
	}
	lines := []string{"- uses: " + c.text(uses), "  with:"}
	with := func(name, value string) { lines = append(lines, fmt.Sprintf("    %s: %s", name, value)) }
	with("token", "${{ secrets.DIGA_TOKEN }}")
	with("agent-id", r.in.Agent.String())
	with("version-id", was.value.ID.String())
	for d, bound := range r.before.bound {
		name := diga.Direction(d).String() + "-phone-number-id"
		phone, only := r.before.onlyPhone(diga.Direction(d))
		switch {
		case only:
			with(name, phone.ID.String())
		case bound.known && len(bound.value) == 0 && r.plan.bindings[d].Phone.Valid:
			with(name, "none")
		}
	}
	if address := r.in.APIURL.String(); address != defaultAPIURL {
		with("api-url", strconv.Quote(c.text(address)))
	}
	return lines
}
