package publish

import (
	"fmt"
	"slices"
	"strconv"
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
	r.table(md)
	for _, line := range r.takenOver() {
		md.add("%s Undoing this run does not return it to that agent: bind it there in Diga.", md.text(line))
	}
	if f := r.confirmedAfter; f != nil && r.failure == nil {
		md.add("The request failed (%s), but reading back confirmed the change.", md.text(f.what))
	}
	if r.changed() && !r.before.offline() {
		md.add("Calls in progress end on the version they began with. New calls use %s.", md.text(r.name(r.wish.version)))
	}
	if len(r.changes) > 0 {
		title := "What changed"
		if r.status != published {
			title = "What would change"
		}
		md.add("**%s:** %s", title, md.text(changesText(r.changes)))
		if r.in.ShowChanges == "full" {
			md.fold("Changes in full", false, fence("diff", fullDiff(r.changes, r.cleaner)))
		}
	} else if r.compared && !r.before.isLive(r.wish.version.ID) {
		md.add("No configuration field differs.")
	}
	if title, block := r.undo(); block != "" {
		md.fold(renderer{r.codeHTML, !r.actions}.text(title), r.failure != nil, block)
	}
	md.fold("Details", false, r.details(md))
	return md.String()
}

// failure appends what happened, what is live and what to do.
func (md *markdown) failure(f *failure) {
	if live := md.sentence(f.live); live != "" {
		md.add("%s", live)
	}
	if len(f.items) == 0 {
		md.add("**%s** %s", md.literal(f.code), md.sentence(f.what))
	} else {
		md.add("**%s** %s:", md.literal(f.code), strings.TrimSuffix(md.sentence(f.what), "."))
		var items []string
		for _, item := range f.items {
			items = append(items, "- "+md.text(item))
		}
		md.add("%s", strings.Join(items, "\n"))
	}
	if f.code != codeInputInvalid {
		md.add("**What to do:** %s", md.sentence(f.advice))
	}
}

// headline is the first line, which must be enough on its own: what is live, rather than what failed.
func (r *run) headline() (icon string, m message) {
	agent, target, f := r.agent(), r.name(r.wish.version), r.failure
	title, icon, done := r.success()
	switch {
	case f == nil && r.status == dryRun:
		return icon, say("%s: %s", title, done)
	case f == nil:
		return icon, done
	case r.requestID == uuid.Nil && len(f.items) > 0:
		return "❌", say("nothing was sent: %d inputs to fix", len(f.items))
	case r.requestID == uuid.Nil:
		return "❌", say("nothing was sent")
	case f.code == codeOutputUnwritable:
		return "⚠️", say("the step failed, but: %s", done)
	case r.in.ShowLive:
		return "❌", say("%s: could not read what is live", agent)
	case f.status == unknown && r.now.offline():
		return "⚠️", say("%s is offline", agent)
	case f.status == unknown && r.before.isLive(r.wish.version.ID):
		return "⚠️", say("%s: could not confirm its phone numbers", agent)
	case f.status == unknown && !r.in.Unpublish:
		return "⚠️", say("%s: could not confirm %s", agent, target)
	case f.status == unknown:
		return "⚠️", say("%s: could not confirm that it is offline", agent)
	case r.in.Unpublish:
		return "❌", say("not unpublished: %s", r.isOn())
	default:
		return "❌", say("not published: %s", r.isOn())
	}
}

// isOn says which version the agent is on, by the last reading.
func (r *run) isOn() message {
	switch live, verb := r.lastRead(); {
	case !live.known():
		return r.name(r.wish.version)
	case live.value.ID == uuid.Nil:
		return say("%s %s offline%s", r.agent(), verb, live.since(verb))
	default:
		return say("%s %s on %s%s", r.agent(), verb, r.name(live.value), live.since(verb))
	}
}

// cell is a cell of the table.
type cell struct {
	text  message
	known bool
}

// table appends a table of the state before and after, or of what is live and what was requested. Rows in which nothing
// is known, or there is nothing, are left out.
func (r *run) table(md *markdown) {
	head, was, is := []string{"before", "now"}, r.before, r.now
	switch r.status {
	case live, offline:
		head = []string{"now"}
	case dryRun:
		head = []string{"now", "after a real run"}
	case failed:
		head, is = []string{"live", "requested"}, planned(r.wish, r.before)
		for d, n := range r.wish.numbers {
			if n.asked && n.phone.ID != uuid.Nil {
				is.bound[d] = readNow([]diga.Phone{n.phone}, nil)
			}
		}
		if r.now.live.known() {
			was = r.now
		}
	case published, unpublished, unknown: // before and now
	}
	rows := []string{"| | " + strings.Join(head, " | ") + " |\n|:--|" + strings.Repeat(":--|", len(head))}
	row := func(name string, cells ...cell) {
		cells = cells[:len(head)]
		if !slices.ContainsFunc(cells, func(c cell) bool { return c.known && !c.text.empty() }) {
			return
		}
		shown := []string{name}
		for i, c := range cells {
			text := md.text(c.text)
			switch {
			case !c.known:
				text = "unknown"
			case text == "":
				text = "–"
			case i > 0 && cells[0].known && text == md.text(cells[0].text):
				text = "unchanged"
			case i > 0:
				text = "**" + text + "**"
			}
			shown = append(shown, strings.ReplaceAll(text, "|", `\|`))
		}
		rows = append(rows, "| "+strings.Join(shown, " | ")+" |")
	}
	version := cell{r.versionOf(is), is.live.known()}
	if r.wish.launch {
		version.text = say("%s, from the draft", diga.Foreign(r.in.VersionName))
	}
	row("Version", cell{r.versionOf(was), was.live.known()}, version)
	for d, name := range [diga.Directions]string{"Inbound", "Outbound"} {
		row(name, cell{phoneNames(was.bound[d].value), was.bound[d].known()},
			cell{phoneNames(is.bound[d].value), is.bound[d].known() || len(is.bound[d].value) > 0})
	}
	if len(rows) > 1 {
		md.add("%s", strings.Join(rows, "\n"))
	}
}

func (r *run) versionOf(v view) message {
	if v.live.value.ID == uuid.Nil && v.live.value.Name == "" {
		return message{}
	}
	return fullVersionName(v.live.value)
}

// details are the IDs and figures that few readers need.
func (r *run) details(md *markdown) string {
	var lines []string
	add := func(name, value string) { lines = append(lines, fmt.Sprintf("- %s<br>%s", name, value)) }
	add("agent", md.literal(r.in.Agent.String()))
	if id := r.wish.version.ID; id != uuid.Nil && !r.wish.launch {
		name := "requested version"
		if r.in.ShowLive {
			name = "live version"
		}
		add(name, md.literal(id.String()))
	}
	if was := r.before.live.value.ID; was != uuid.Nil && !r.in.ShowLive {
		add("previous version", md.literal(was.String()))
	}
	add("time", diga.FormatDuration(r.elapsed))
	add("request ID", md.literal(r.requestID.String()))
	return strings.Join(lines, "\n")
}

// undo returns what restores the state before a change that is, or may be, in effect: a step or, outside Actions, a
// command, and what it does not undo.
func (r *run) undo() (title message, block string) {
	was := r.before.live.value
	if was.ID == uuid.Nil || !r.changing || r.status == failed || r.wish.isInForce(r.before) {
		return message{}, ""
	}
	values := [][2]string{{"agent-id", r.in.Agent.String()}, {"version-id", was.ID.String()}}
	var notes []string
	md := renderer{r.codeSpan, !r.actions}
	for d, bound := range r.before.bound {
		input, n, direction := diga.Direction(d).String()+"-phone-number-id", r.wish.numbers[d], diga.Direction(d)
		switch {
		case r.before.only(direction).ID != uuid.Nil:
			values = append(values, [2]string{input, r.before.only(direction).ID.String()})
		case bound.known() && len(bound.value) == 0 && n.phone.ID != uuid.Nil:
			values = append(values, [2]string{input, "none"})
		case len(bound.value) > 1:
			notes = append(notes, fmt.Sprintf("It binds no %s number: bind %s in Diga if they are not bound any more.", direction, md.text(phoneNames(bound.value))))
		}
		if n.asked && n.phone.ID != uuid.Nil && len(bound.value) > 0 && !r.before.has(direction, n.phone.ID) {
			notes = append(notes, fmt.Sprintf("It does not release %s: do that in Diga.", md.text(phoneName(n.phone))))
		}
	}
	if r.in.Unpublish && !r.before.bound[diga.Inbound].known() {
		notes = append(notes, "Add the phone numbers that the agent had: unpublishing may have released them.")
	}
	if address := r.in.APIURL.String(); address != inputNamed("api-url").fallback {
		values = append(values, [2]string{"api-url", quoteFor(r.actions, r.text(address))})
	}
	lines, language := []string{"- uses: " + r.text(r.uses()), "  with:", "    token: ${{ secrets.DIGA_TOKEN }}"}, "yaml"
	if !r.actions {
		lines, language = []string{"publish-agent-version"}, "sh"
	}
	for _, v := range values {
		if r.actions {
			lines = append(lines, fmt.Sprintf("    %s: %s", v[0], v[1]))
		} else {
			lines[0] += fmt.Sprintf(" --%s=%s", v[0], v[1])
		}
	}
	onlyNumbers := was.ID == r.wish.version.ID
	switch {
	case r.status == unknown && onlyNumbers:
		title = say("To keep the phone numbers as they were instead")
	case r.status == unknown:
		title = say("To stay on %s instead", fullVersionName(was))
	case onlyNumbers:
		title = say("Undo: bind the phone numbers as before")
	default:
		title = say("Undo: publish %s again", fullVersionName(was))
	}
	return title, strings.Join(append([]string{fence(language, lines)}, notes...), "\n\n")
}

// quoteFor quotes text for YAML or for a shell.
func quoteFor(yaml bool, text string) string {
	if yaml {
		return strconv.Quote(text)
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// fence returns clean lines as a code block that none of them can close.
func fence(language string, lines []string) string {
	// GitHub's renderer counts at most 255 backticks of an opening fence, so longer runs are broken up.
	const longRun = 100
	block := strings.ReplaceAll(strings.Join(lines, "\n"), strings.Repeat("`", longRun), strings.Repeat("`", longRun-1)+"…")
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
