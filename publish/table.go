package publish

import (
	"strings"

	"publish-agent-version/diga"

	"github.com/google/uuid"
)

// table appends a table of the state before and after, or of what is live and what was requested.
func (r *run) table(md *markdown) {
	head, was, is := []string{"before", "now"}, r.before, r.now
	switch r.status {
	case live, offline:
		head = []string{"now"}
	case dryRun:
		head = []string{"now", "after a real run"}
	case failed:
		head, is = []string{"live", "requested"}, requested(r.wish, r.before)
		if r.now.live.known() {
			was = r.now
		}
	case published, unpublished, unknown: // before and now
	}
	rows := ""
	row := func(name string, cells ...string) { rows += tableRow(name, cells[:len(head)]) }
	version := md.cell(is.live.known(), versionOf(is))
	if r.wish.launch {
		version = md.cell(true, r.fromDraft())
	}
	row("Version", md.cell(was.live.known(), versionOf(was)), version)
	for d, name := range [diga.Directions]string{"Inbound", "Outbound"} {
		before, now := was.bound[d], is.bound[d]
		row(name, md.cell(before.known(), phoneNames(before.value)),
			md.cell(now.known() || len(now.value) > 0, phoneNames(now.value)))
	}
	if rows != "" {
		md.add("| | %s |\n|:--|%s%s", strings.Join(head, " | "), strings.Repeat(":--|", len(head)), rows)
	}
}

// What a cell has in place of a text.
const (
	notKnown = "unknown"
	nothing  = "–"
)

func (md *markdown) cell(known bool, m message) string {
	switch text := md.text(m); {
	case !known:
		return notKnown
	case text == "":
		return nothing
	default:
		return strings.ReplaceAll(text, "|", `\|`)
	}
}

// tableRow returns a row that shows what is different from the first cell, or nothing if no cell has a text.
func tableRow(name string, cells []string) string {
	isEmpty := func(cell string) bool { return cell == notKnown || cell == nothing }
	row, hasText := "\n| "+name, false
	for i, cell := range cells {
		hasText = hasText || !isEmpty(cell)
		switch {
		case i > 0 && cell == cells[0] && cell != notKnown:
			cell = "unchanged"
		case i > 0 && !isEmpty(cell):
			cell = "**" + cell + "**"
		}
		row += " | " + cell
	}
	if !hasText {
		return ""
	}
	return row + " |"
}

// versionOf names the version that a view shows, if any.
func versionOf(v view) message {
	if v.live.value.ID == uuid.Nil && v.live.value.Name == "" {
		return message{}
	}
	return fullVersionName(v.live.value)
}
