package publish

import (
	"fmt"
	"strconv"
	"strings"

	"publish-agent-version/diga"

	"github.com/google/uuid"
)

// undo returns what restores the state before a change that is, or may be, in effect: a step or, outside Actions, a
// command.
func (r *run) undo() (title message, block string) {
	was := r.before.live.value
	if was.ID == uuid.Nil || !r.changing || r.status == failed || r.wish.isInForce(r.before) {
		return message{}, ""
	}
	step := "- uses: " + r.text(r.uses()) + "\n  with:\n    token: ${{ secrets.DIGA_TOKEN }}"
	format, language := "\n    %s: %s", "yaml"
	if !r.actions {
		step, format, language = "publish-agent-version", " --%s=%s", "sh"
	}
	set := func(name, value string) { step += fmt.Sprintf(format, name, value) }
	set("agent-id", r.in.Agent.String())
	set("version-id", was.ID.String())
	restoresAll := true
	for d, bound := range r.before.bound {
		n, only := r.wish.numbers[d], r.before.carried(diga.Direction(d)).ID
		input := diga.Direction(d).String() + "-phone-number-id"
		switch added := n.isAsked() && !n.releases() && n.phone.ID != only; {
		case only != uuid.Nil:
			set(input, only.String())
			restoresAll = restoresAll && !added
		case !bound.known() || len(bound.value) > 0:
			restoresAll = false
		case n.phone.ID != uuid.Nil:
			set(input, "none")
		}
	}
	if address := r.in.APIURL.String(); address != inputNamed("api-url").fallback {
		quoted := strconv.Quote(r.text(address))
		if !r.actions {
			quoted = "'" + strings.ReplaceAll(r.text(address), "'", `'\''`) + "'"
		}
		set("api-url", quoted)
	}
	if title = say("Undo: publish %s again", fullVersionName(was)); r.status == unknown {
		verb := "go back to"
		switch {
		case !r.now.live.known():
			verb = "make sure of"
		case r.now.isLive(was.ID):
			verb = "stay on"
		}
		title = say("To %s %s with the phone numbers as before", verb, fullVersionName(was))
	} else if was.ID == r.wish.version.ID {
		title = say("Undo: bind the phone numbers as before")
	}
	block = fence(language, []string{step})
	if !restoresAll {
		block += "\n\nIt may not restore every phone number: check in Diga which are bound."
	}
	return title, block
}
