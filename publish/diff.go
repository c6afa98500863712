package publish

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"publish-agent-version/diga"

	"github.com/aymanbagabas/go-udiff"
)

// Limits on the full diff.
const (
	maxDiffLines = 200
	maxDiffLine  = 1000 // characters; of a value that is not compared line by line, maxText
	longText     = 60   // bytes; longer texts are compared line by line
)

// shownFields are the configuration fields whose values may be shown. The others may hold credentials or customers'
// data, as integrations, call_tools, dynamic_variables and flows do. So may any field that the API's document does not
// list.
var shownFields = []string{
	"voice", "volume", "language", "mode", "description", "prompt", "greeting", "time_before_start",
	"max_reminder_count", "reminder_frequency_ms", "reminder_messages", "knowledge_base_ids", "knowledge_item_ids",
	"conversational_path_id", "background_audio", "source_template_id", "voicemail_detection", "voicemail_action",
	"voicemail_message", "phone_menu_detection", "phone_menu_action", "phone_menu_navigation_mode",
	"phone_menu_goal", "phone_menu_key_sequence",
}

// fieldChange is a configuration field that differs between two versions.
type fieldChange struct {
	name           string   // as the API writes it
	added, removed int      // lines of a text; both 0 for any other value
	shown          bool     // its values may be shown
	was, is        string   // as normalJSON writes them
	diff           []string // line diff of a text, unclean; nil for any other value
}

// compareVersions compares the live version with its replacement.
func (r *run) compareVersions() {
	was, is := r.before.live, r.wish.version
	r.changes = nil
	r.compared = r.in.ShowChanges != "off" && was.known() && was.value.Config != nil && is.Config != nil
	if !r.compared {
		return
	}
	r.changes = compareConfig(was.value, is)
	if len(r.changes) > 0 {
		r.log(say("Configuration fields that differ: %s.", changesText(r.changes)))
	}
	if r.in.DryRun && r.in.ShowChanges == "full" {
		r.logLines(fullDiff(r.changes, r.cleaner))
	}
}

// compareConfig returns the fields that differ between two versions, by name. Values are compared as JSON, ignoring key
// order and white space. Numbers are compared as written, so 1 and 1.0 differ. An absent field counts as null.
func compareConfig(before, after diga.Version) []fieldChange {
	names := maps.Clone(before.Config)
	maps.Copy(names, after.Config)
	var changes []fieldChange
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if bytes.Equal(before.Config[name], after.Config[name]) {
			continue
		}
		was, is := normalJSON(before.Config[name]), normalJSON(after.Config[name])
		if was == is {
			continue
		}
		c := fieldChange{name: name, was: was, is: is, shown: slices.Contains(shownFields, name)}
		if c.shown {
			c.compareText()
		}
		changes = append(changes, c)
	}
	return changes
}

// compareText computes the line diff of a long text. Null counts as empty.
func (c *fieldChange) compareText() {
	var before, after string
	isText := json.Unmarshal([]byte(c.was), &before) == nil && json.Unmarshal([]byte(c.is), &after) == nil
	if !isText || max(len(before), len(after)) <= longText && !strings.Contains(before+after, "\n") {
		return
	}
	before, after = endLine(before), endLine(after)
	c.diff = []string{}
	text, _ := udiff.ToUnifiedDiff("", "", before, udiff.Lines(before, after), udiff.DefaultContextLines)
	lines := strings.Split(text.String(), "\n")                       // the library's own edits always make a diff
	for _, line := range lines[min(2, len(lines)-1) : len(lines)-1] { // without the names of files
		switch {
		case strings.HasPrefix(line, "@@"):
			line = "@@" // the library's line numbers are wrong after a hunk with two changes
		case strings.HasPrefix(line, "+"):
			c.added++
		case strings.HasPrefix(line, "-"):
			c.removed++
		}
		c.diff = append(c.diff, line)
	}
}

// message names the field and, for a text, counts the lines added and removed.
func (c fieldChange) message() message {
	name := foreign(c.name)
	if c.added+c.removed > 0 {
		return say("%s (+%d −%d lines)", name, c.added, c.removed)
	}
	return name
}

// changesText names the fields that differ, at most 20.
func changesText(changes []fieldChange) message {
	return join(some(20, changes, fieldChange.message), ", ")
}

// fullDiff returns all changes as clean lines, within the limits.
func fullDiff(changes []fieldChange, c cleaner) []string {
	var all []string
	for _, change := range changes {
		switch {
		case !change.shown:
			all = append(all, change.name+": changed (value not shown)")
		case change.diff == nil:
			all = append(all, change.name+": "+c.line(change.was, maxText)+" → "+c.line(change.is, maxText))
		case len(change.diff) == 0:
			all = append(all, change.name+": only line breaks changed")
		default:
			all = append(append(all, change.name+":"), change.diff...)
		}
	}
	if more := len(all) - maxDiffLines; more > 0 {
		all = append(all[:maxDiffLines], fmt.Sprintf("… %s not shown", diga.Count(more, "more line")))
	}
	for i, line := range all {
		all[i] = c.line(line, maxDiffLine)
	}
	return all
}

// normalJSON formats a value canonically: with sorted keys, numbers as written, and without white space or needless
// escapes. No value is null.
func normalJSON(data json.RawMessage) string {
	var value any
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	_ = decoder.Decode(&value) // it was valid when the version was read
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(value) // what was decoded can be encoded
	return strings.TrimSuffix(b.String(), "\n")
}

// endLine converts line endings to \n, and adds one at the end of a non-empty text.
func endLine(s string) string {
	s = strings.ReplaceAll(s, "\r\n", "\n")
	if s == "" || strings.HasSuffix(s, "\n") {
		return s
	}
	return s + "\n"
}

// fieldNames lists the fields for a step output, separated by commas. It omits names that are not plain words.
func fieldNames(changes []fieldChange) string {
	var names []string
	for _, c := range changes {
		if isName(c.name, "_.-") {
			names = append(names, c.name)
		}
	}
	return strings.Join(names, ",")
}
