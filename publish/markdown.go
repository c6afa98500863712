package publish

import (
	"fmt"
	"strings"
)

// markdown builds a document of blocks.
type markdown struct {
	cleaner
	strings.Builder
}

// add appends a block.
func (md *markdown) add(format string, args ...any) {
	if md.Len() > 0 {
		md.WriteString("\n")
	}
	fmt.Fprintf(md, format+"\n", args...)
}

// failure appends what happened and what to do, after what is live if withLive is set.
func (md *markdown) failure(f *failure, withLive bool) {
	if live := sentence(f.live.render(md.codeSpan)); withLive && live != "" {
		md.add("%s", live)
	}
	if len(f.items) == 0 {
		md.add("**%s** %s", md.codeSpan(f.code), sentence(f.what.render(md.codeSpan)))
	} else {
		md.add("**%s** %s:", md.codeSpan(f.code), f.what.render(md.codeSpan))
		var items []string
		for _, item := range f.items {
			items = append(items, "- "+item.render(md.codeSpan))
		}
		md.add("%s", strings.Join(items, "\n"))
	}
	if advice := f.advice.render(md.codeSpan); f.code != codeInputInvalid {
		md.add("**What to do:** %s", advice)
	}
}

// table appends a table whose first row is the header. An empty cell becomes a dash, and one that repeats the cell
// before it becomes "unchanged".
func (md *markdown) table(rows [][]cell) {
	var lines []string
	for i, row := range rows {
		var cells []string
		for j, c := range row {
			shown := c.text.render(md.codeSpan)
			switch {
			case i == 0:
			case !c.known:
				shown = "unknown"
			case shown == "":
				shown = "–"
			case j > 1 && row[j-1].known && shown == row[j-1].text.render(md.codeSpan):
				shown = "unchanged"
			case j > 1:
				shown = "**" + shown + "**"
			}
			cells = append(cells, strings.ReplaceAll(shown, "|", `\|`))
		}
		lines = append(lines, "| "+strings.Join(cells, " | ")+" |")
		if i == 0 {
			lines = append(lines, "|"+strings.Repeat(":--|", len(row)))
		}
	}
	md.add("%s", strings.Join(lines, "\n"))
}

// fold appends a collapsible block. The title is HTML.
func (md *markdown) fold(title string, open bool, block string) {
	attribute := ""
	if open {
		attribute = " open"
	}
	md.add("<details%s><summary>%s</summary>\n\n%s\n\n</details>", attribute, title, block)
}

// fence returns clean lines as a code block that none of them can close.
func (md *markdown) fence(language string, lines []string) string {
	// GitHub's renderer counts at most 255 backticks of an opening fence, so longer runs are broken up.
	const longRun = 100
	block := strings.ReplaceAll(strings.Join(lines, "\n"), strings.Repeat("`", longRun), strings.Repeat("`", longRun-1)+"…")
	fence := "```"
	for strings.Contains(block, fence) {
		fence += "`"
	}
	return fence + language + "\n" + block + "\n" + fence
}
