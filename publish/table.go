package publish

import (
	"fmt"
	"strings"

	"publish-agent-version/diga"

	"github.com/google/uuid"
)

// table appends a table of the state before and after.
func (r *run) table(md *markdown) {
	left, right, was, is := "before", "now", r.before, r.now
	if r.status == dryRun {
		left, right = "now", "after a real run"
	}
	version := versionOf(is)
	if r.wish.launch {
		version = say("%s, from the draft", diga.Foreign(r.in.VersionName))
	}
	rows := tableRow("Version", md.cell(was.live.known(), versionOf(was)), md.cell(is.live.known(), version))
	for d, name := range [diga.Directions]string{"Inbound", "Outbound"} {
		before, now := was.bound[d], is.bound[d]
		rows += tableRow(name, md.cell(before.known(), phoneNames(before.value)),
			md.cell(now.known() || len(now.value) > 0, phoneNames(now.value)))
	}
	if rows != "" {
		md.add("| | %s | %s |\n|:--|:--|:--|%s", left, right, rows)
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

// tableRow returns a row that shows what differs, or nothing if there is nothing to show.
func tableRow(name, was, is string) string {
	isEmpty := func(cell string) bool { return cell == notKnown || cell == nothing }
	switch {
	case isEmpty(was) && isEmpty(is):
		return ""
	case is == was:
		is = "unchanged"
	case !isEmpty(is):
		is = "**" + is + "**"
	}
	return fmt.Sprintf("\n| %s | %s | %s |", name, was, is)
}

// versionOf names the version that a view shows, if any.
func versionOf(v view) message {
	if v.live.value.ID == uuid.Nil {
		return message{}
	}
	return fullVersionName(v.live.value)
}
