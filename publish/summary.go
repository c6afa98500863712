package publish

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// summary is the job summary, in Markdown. Whatever the workflow or a server wrote stands in code spans.
func (r *run) summary() string {
	var b strings.Builder
	fmt.Fprintf(&b, "### %s\n\n", r.headline())
	if f := r.failure; f != nil {
		fmt.Fprintf(&b, "**%s** %s\n\n", r.codeSpan(f.code), stop(f.happens(r.codeSpan)))
		if f.do != "" {
			fmt.Fprintf(&b, "**What to do:** %s\n\n", f.do)
		}
	}
	if r.client == nil {
		return b.String()
	}
	row := func(name, value string) { fmt.Fprintf(&b, "| %s | %s |\n", name, strings.ReplaceAll(value, "|", `\|`)) }
	row("Agent", r.codeSpan(r.in.Agent.String()))
	b.WriteString("|:--|:--|\n") // a table needs a heading, and an empty one would be shown as a bar
	row("Asked for", r.asked(r.codeSpan))
	row("Published before", r.now(r.codeSpan))
	if r.status() == "dry-run" {
		row("After a real run", r.then(r.codeSpan))
	} else {
		row("Published now", r.live(r.codeSpan))
	}
	var inbound, outbound *uuid.NullUUID
	if p := r.confirmed; p != nil {
		inbound, outbound = &p.Inbound, &p.Outbound
	}
	row("Inbound phone number", r.phoneCell(r.in.Inbound, inbound))
	row("Outbound phone number", r.phoneCell(r.in.Outbound, outbound))
	if r.attempts > 0 {
		row("Requests for the change", strconv.Itoa(r.attempts))
	}
	row("Time", shortDuration(time.Since(r.start)))
	row("Request id", r.codeSpan(r.client.RequestID.String()))
	b.WriteString(r.wayBack())
	return b.String()
}

func (r *run) headline() string {
	if r.failure != nil && r.confirmed != nil {
		return "⚠️ Done, but the step failed"
	}
	switch r.status() {
	case "published":
		return "✅ Published"
	case "unpublished":
		return "✅ Unpublished"
	case "dry-run":
		return "🔍 Dry run: nothing was changed"
	case "unknown":
		return "⚠️ Not confirmed: the change may have been applied"
	}
	if r.attempts > 0 {
		return "❌ Not done: nothing was changed, as far as the API's answers tell"
	}
	return "❌ Not done: nothing was changed"
}

// live says what is published after the step.
func (r *run) live(show show) string {
	switch {
	case r.confirmed != nil:
		return r.then(show)
	case r.settled != nil:
		return describe(*r.settled, show) + ", as the API showed after the failure"
	case r.status() == "unknown", r.before == nil:
		return "not known"
	default:
		return "the same, as far as is known"
	}
}

// phoneCell says what was asked for and, with a confirmation, what the API says is bound.
func (r *run) phoneCell(asked uuid.NullUUID, confirmed *uuid.NullUUID) string {
	switch {
	case confirmed != nil && confirmed.Valid:
		return r.codeSpan(confirmed.UUID.String())
	case confirmed != nil:
		return "none in the API's reply"
	case asked.Valid:
		return r.codeSpan(asked.UUID.String()) + " asked for"
	default:
		return "not in the request"
	}
}

// wayBack is a step to paste that publishes again what was published before, where that has changed or may have.
func (r *run) wayBack() string {
	if r.before == nil || !r.changing || r.status() == "failed" && r.confirmed == nil ||
		r.in.Version.Valid && r.in.Version.UUID == r.before.ID {
		return ""
	}
	uses := "./" // an action in the workflow's own repository
	if repository := r.action.Getenv("GITHUB_ACTION_REPOSITORY"); isName(repository, "._/-") && strings.Contains(repository, "/") {
		uses = repository
		if ref := r.action.Getenv("GITHUB_ACTION_REF"); isName(ref, "._/-") {
			uses += "@" + ref
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\nThe way back to %s:\n\n```yaml\n- uses: %s\n  with:\n", describe(*r.before, r.codeSpan), r.text(uses))
	with := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "    %s: %s\n", name, value)
		}
	}
	with("token", "${{ secrets.DIGA_TOKEN }}")
	with("agent-id", r.in.Agent.String())
	with("version-id", r.before.ID.String())
	with("inbound-phone-number-id", orEmpty(r.in.Inbound))
	with("outbound-phone-number-id", orEmpty(r.in.Outbound))
	if address := r.in.APIURL.String(); address != defaultAPIURL {
		with("api-url", strconv.Quote(r.text(address)))
	}
	b.WriteString("```\n")
	if r.in.Unpublish {
		b.WriteString("\nAdd the phone numbers that it answered on: unpublishing may have released them.\n")
	}
	return b.String()
}
