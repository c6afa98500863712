package publish

import (
	"cmp"
	"fmt"
	"strings"

	"publish-agent-version/diga"

	"github.com/google/uuid"
)

// markdown builds a document of blocks.
type markdown struct {
	renderer
	strings.Builder
}

// add appends a block.
func (md *markdown) add(format string, args ...any) {
	if md.Len() > 0 {
		md.WriteString("\n")
	}
	fmt.Fprintf(md, format+"\n", args...)
}

// fold appends a collapsible block. The title is HTML.
func (md *markdown) fold(title string, open bool, block string) {
	attribute := ""
	if open {
		attribute = " open"
	}
	md.add("<details%s><summary>%s</summary>\n\n%s\n\n</details>", attribute, title, block)
}

// summary returns the job summary in Markdown. Text from the workflow or a server is in code spans.
func (r *run) summary() string {
	md := &markdown{renderer: renderer{r.codeSpan, !r.actions}}
	icon, headline := r.headline()
	md.add("### %s %s", icon, md.capitalized(headline))
	if r.failure != nil {
		md.failure(r.failure)
	}
	for _, w := range r.warnings {
		md.add("⚠️ %s", md.sentence(w.text))
	}
	if r.requestID == uuid.Nil {
		return md.String()
	}
	if r.status != failed && !r.in.ShowLive { // the headline has it all
		r.table(md)
		r.effects(md)
	}
	if title, block := r.undo(); block != "" {
		md.fold(renderer{r.codeHTML, !r.actions}.text(title), r.failure != nil, block)
	}
	if len(r.changes) > 0 && r.in.ShowChanges == "full" { // after all that a cut must not take away
		md.fold("Changes in full", false, fence("diff", fullDiff(r.changes, r.cleaner)))
	}
	details := "time " + diga.FormatDuration(r.elapsed)
	add := func(what string, id uuid.UUID) {
		if id != uuid.Nil {
			details += fmt.Sprintf("<br>\n%s %s", what, md.literal(id.String()))
		}
	}
	add("agent", r.in.Agent)
	if !r.in.ShowLive {
		add("version before", r.before.live.value.ID)
	}
	if !r.wish.launch { // that is the draft's
		add("version", r.wish.version.ID)
	}
	add("request ID", r.requestID)
	md.fold("Details", false, details)
	return md.String()
}

// effects appends what is worth knowing about a change that is, may be or would be in effect.
func (r *run) effects(md *markdown) {
	for d, n := range r.wish.numbers {
		owner := r.before.phone(n.phone.ID).Agents[d]
		verb := map[status]string{published: "was", dryRun: "would be"}[r.status]
		if verb != "" && n.isAsked() && owner.Valid && owner.UUID != r.in.Agent {
			md.add("%s %s taken from another agent, %s, which used it for %s calls. "+
				"Undoing this run does not return it to that agent: bind it there in Diga.",
				md.text(phoneName(n.phone)), verb, md.literal(owner.UUID.String()), diga.Direction(d))
		}
	}
	if f := r.confirmedAfter; f != nil && r.failure == nil {
		md.add("The request failed (%s), but reading back confirmed the change.", md.text(f.what))
	}
	isNew := !r.before.isLive(r.wish.version.ID)
	switch title := "What changed"; {
	case len(r.changes) > 0:
		if r.status == dryRun || r.status == unknown && !r.now.isLive(r.wish.version.ID) {
			title = "What would change"
		}
		md.add("**%s:** %s", title, md.text(changesText(r.changes)))
	case r.compared && isNew:
		md.add("No configuration field differs.")
	}
}

// failure appends what happened, what is live unless the headline has said it, and what to do.
func (md *markdown) failure(f *failure) {
	if f.status == unknown {
		md.add("%s", md.sentence(f.live))
	}
	what := md.sentence(f.what)
	if len(f.items) > 0 {
		what = strings.TrimSuffix(what, ".") + ":\n"
	}
	for _, item := range f.items {
		what += "\n- " + md.text(item)
	}
	md.add("**%s** %s", md.literal(f.code), what)
	if f.code != codeInputInvalid {
		md.add("**What to do:** %s", md.sentence(f.advice))
	}
}

// table appends a table of the state before and after: the rows that have something to show.
func (r *run) table(md *markdown) {
	const notKnown, nothing = "unknown", "–"
	cell := func(known bool, m message) string {
		if !known {
			return notKnown
		}
		return cmp.Or(strings.ReplaceAll(md.text(m), "|", `\|`), nothing)
	}
	left, right, was, is := "before", "now", r.before, r.now
	if r.status == dryRun {
		left, right = "now", "after a real run"
	}
	version := liveName(is)
	if r.wish.launch {
		version = r.fromDraft()
	}
	lines := []string{fmt.Sprintf("| | %s | %s |\n|:--|:--|:--|", left, right)}
	row := func(name, was, is string) {
		isEmpty := is == notKnown || is == nothing
		switch {
		case isEmpty && (was == notKnown || was == nothing):
			return
		case was == is:
			is = "unchanged"
		case !isEmpty:
			is = "**" + is + "**"
		}
		lines = append(lines, fmt.Sprintf("| %s | %s | %s |", name, was, is))
	}
	row("Version", cell(was.live.known(), liveName(was)), cell(is.live.known(), version))
	for d, name := range [diga.Directions]string{"Inbound", "Outbound"} {
		before, now := was.bound[d], is.bound[d]
		phones := phoneNames(now.value)
		if !now.known() && len(now.value) > 0 {
			phones = say("%s, perhaps others", phones)
		}
		row(name, cell(before.known(), phoneNames(before.value)), cell(now.known() || len(now.value) > 0, phones))
	}
	if len(lines) > 1 {
		md.add("%s", strings.Join(lines, "\n"))
	}
}

// liveName names the version that is live, if any.
func liveName(v view) message {
	if v.live.value.ID == uuid.Nil {
		return message{}
	}
	return fullVersionName(v.live.value)
}

// fence returns clean lines as a code block that none of them can close.
func fence(language string, lines []string) string {
	// GitHub's renderer counts at most 255 backticks of an opening fence, so longer runs are broken up.
	long := strings.Repeat("`", 100)
	block := strings.ReplaceAll(strings.Join(lines, "\n"), long, long[1:]+"…")
	fence := "```"
	for strings.Contains(block, fence) {
		fence += "`"
	}
	return fence + language + "\n" + block + "\n" + fence
}

const maxSummary = 60 << 10 // bytes of the output summary; GitHub takes comments of up to 64 KiB

// shortSummary cuts a summary to what the output may have, between two blocks.
func shortSummary(markdown string) string {
	const note = "\n_The rest is in the job summary._\n"
	if len(markdown) <= maxSummary {
		return markdown
	}
	end := strings.LastIndex(markdown[:maxSummary-len(note)], "\n\n<details")
	if end < 0 {
		end = strings.LastIndex(markdown[:maxSummary-len(note)], "\n\n")
	}
	return markdown[:max(end, 0)+1] + note
}
