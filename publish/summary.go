package publish

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"publish-agent-version/diga"

	"github.com/google/uuid"
)

// summary is the job summary, in Markdown. Whatever the workflow or a server wrote stands in code spans.
func (r *run) summary() string {
	var b strings.Builder
	fmt.Fprintf(&b, "### %s\n\n", r.headline())
	if f := r.failure; f != nil {
		fmt.Fprintf(&b, "**%s** %s\n\n", r.codeSpan(f.code), sentence(f.what(r.codeSpan)))
		if f.live != nil {
			fmt.Fprintf(&b, "%s\n\n", sentence(f.live(r.codeSpan)))
		}
		fmt.Fprintf(&b, "**What to do:** %s\n\n", f.advice(r.codeSpan))
	}
	if r.client == nil {
		return b.String()
	}
	b.WriteString(r.table())
	if f := r.confirmedAfter; f != nil {
		fmt.Fprintf(&b, "\nConfirmed by reading it back; the request ended with: %s.\n", f.cause(r.codeSpan))
	}
	b.WriteString(r.rollback())
	b.WriteString(r.details())
	return b.String()
}

// headline is the first line, which alone must tell the story.
func (r *run) headline() string {
	agent, target := r.agent(r.codeSpan), r.name(r.target(), r.codeSpan)
	was := r.before.version
	switch f := r.failure; {
	case f != nil && r.client == nil:
		return "❌ Nothing was sent"
	case f != nil && r.confirmed != nil:
		return "⚠️ Done, but the step failed"
	case f != nil && f.status == unknown && r.in.Unpublish:
		return fmt.Sprintf("⚠️ %s: could not confirm that it is off the air", agent)
	case f != nil && f.status == unknown:
		return fmt.Sprintf("⚠️ %s: could not confirm %s", agent, target)
	case f != nil && was.known:
		return fmt.Sprintf("❌ %s is still on %s", agent, r.name(was.value, r.codeSpan))
	case f != nil && r.in.Unpublish:
		return fmt.Sprintf("❌ %s was not unpublished", agent)
	case f != nil:
		return fmt.Sprintf("❌ %s: %s was not published", agent, target)
	case r.in.DryRun && r.in.Unpublish:
		return fmt.Sprintf("🔍 Dry run: %s would be off the air", agent)
	case r.in.DryRun:
		return fmt.Sprintf("🔍 Dry run: %s would be on %s", agent, target)
	case r.in.Unpublish:
		return fmt.Sprintf("✅ %s is off the air", agent)
	default:
		return fmt.Sprintf("✅ %s: %s is live", agent, target)
	}
}

// table compares the version and the numbers before with those after the step, or with those that were asked for.
func (r *run) table() string {
	var b strings.Builder
	row := func(cells ...string) {
		for _, cell := range cells {
			fmt.Fprintf(&b, "| %s ", strings.ReplaceAll(or(cell, "–"), "|", `\|`))
		}
		b.WriteString("|\n")
	}
	heads := [2]string{"before", "now"}
	then, numbers := r.versionAfter(), r.phonesNow
	switch {
	case r.failure == nil && r.in.DryRun:
		heads[1] = "after a real run"
		then, numbers = r.versionAsked(), r.phonesPlanned
	case r.failure != nil && r.failure.status == failed && r.confirmed == nil:
		heads = [2]string{"live", "asked for"}
		then, numbers = r.versionAsked(), r.phonesPlanned
	}
	row(" ", heads[0], heads[1])
	b.WriteString("|:--|:--|:--|\n")
	row("Version", r.versionBefore(), then)
	for d, name := range [diga.Directions]string{"Answers on", "Calls from"} {
		was := "not known"
		if bound := r.before.bound[d]; bound.known {
			was = phoneNames(bound.value, r.codeSpan)
		}
		is := "not known"
		if phones, known := numbers(diga.Direction(d)); known {
			is = phoneNames(phones, r.codeSpan)
		}
		row(name, was, is)
	}
	return b.String()
}

func (r *run) versionBefore() string {
	if !r.before.version.known {
		return "not known"
	}
	return fullVersionName(r.before.version.value, r.codeSpan)
}

func (r *run) versionAsked() string {
	if r.in.Unpublish {
		return "none"
	}
	return fullVersionName(r.target(), r.codeSpan)
}

// versionAfter is what is live after the step.
func (r *run) versionAfter() string {
	switch {
	case r.confirmed != nil && r.in.Unpublish, r.after.offline:
		return "**none**"
	case r.confirmed != nil:
		return "**" + fullVersionName(r.target(), r.codeSpan) + "**"
	case r.after.version.known:
		return fullVersionName(r.after.version.value, r.codeSpan)
	default:
		return "not known"
	}
}

// details are the ids and figures that few readers need.
func (r *run) details() string {
	var lines []string
	add := func(name, value string) { lines = append(lines, fmt.Sprintf("- %s: %s", name, value)) }
	add("agent", r.codeSpan(r.in.Agent.String()))
	if target := r.target(); target.ID != uuid.Nil {
		add("version asked for", r.codeSpan(target.ID.String()))
	}
	if r.before.version.known {
		add("version before", r.codeSpan(r.before.version.value.ID.String()))
	}
	seen := make(map[uuid.UUID]bool)
	for d := range diga.Directions {
		then, _ := r.phonesPlanned(d)
		for _, p := range append(then, r.before.bound[d].value...) {
			if !seen[p.ID] {
				seen[p.ID] = true
				add("phone number "+or(r.codeSpan(p.Number), "id"), r.codeSpan(p.ID.String()))
			}
		}
	}
	if r.attempts > 0 {
		add("requests for the change", strconv.Itoa(r.attempts))
	}
	add("time", shortDuration(time.Since(r.start)))
	add("request id", r.codeSpan(r.client.RequestID.String()))
	return fold("Details", false, strings.Join(lines, "\n")+"\n")
}

// fold is a block that opens with a click. The title is HTML.
func fold(title string, open bool, markdown string) string {
	attribute := ""
	if open {
		attribute = " open"
	}
	return fmt.Sprintf("\n<details%s><summary>%s</summary>\n\n%s\n</details>\n", attribute, title, markdown)
}

// rollback is a step to paste that publishes again what was live before, where that has changed or may have.
func (r *run) rollback() string {
	was := r.before.version
	if !was.known || !r.changeSent || r.status() == failed && r.confirmed == nil || !r.changes() {
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
	fmt.Fprintf(&b, "```yaml\n- uses: %s\n  with:\n", r.text(uses))
	with := func(name, value string) { fmt.Fprintf(&b, "    %s: %s\n", name, value) }
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
		with("api-url", strconv.Quote(r.text(address)))
	}
	b.WriteString("```\n")
	if r.in.Unpublish && !(r.before.bound[diga.Inbound].known && r.before.bound[diga.Outbound].known) {
		b.WriteString("\nAdd the phone numbers that the agent had: unpublishing may have released them.\n")
	}
	return fold("Roll back to "+fullVersionName(was.value, r.codeHTML), r.failure != nil, b.String())
}

// changes reports whether the step asked for anything that was not in force before.
func (r *run) changes() bool {
	return r.plan.compare(state{}, r.before.state) != inForce
}
