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
	values := [][2]string{{"agent-id", r.in.Agent.String()}, {"version-id", was.ID.String()}}
	restoresAll := true
	for d, bound := range r.before.bound {
		n, only := r.wish.numbers[d], r.before.only(diga.Direction(d)).ID
		input := diga.Direction(d).String() + "-phone-number-id"
		switch added := n.asked && n.phone.ID != uuid.Nil && n.phone.ID != only; {
		case only != uuid.Nil:
			values = append(values, [2]string{input, only.String()})
			restoresAll = restoresAll && !added
		case !bound.known() || len(bound.value) > 1:
			restoresAll = false
		case n.phone.ID != uuid.Nil:
			values = append(values, [2]string{input, "none"})
		}
	}
	if address := r.in.APIURL.String(); address != inputNamed("api-url").fallback {
		quoted := strconv.Quote(r.text(address))
		if !r.actions {
			quoted = "'" + strings.ReplaceAll(r.text(address), "'", `'\''`) + "'"
		}
		values = append(values, [2]string{"api-url", quoted})
	}
	lines := []string{"- uses: " + r.text(r.uses()), "  with:", "    token: ${{ secrets.DIGA_TOKEN }}"}
	language := "yaml"
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
	if title = say("Undo: publish %s again", fullVersionName(was)); r.status == unknown {
		title = say("To stay on %s with the phone numbers as before", fullVersionName(was))
	}
	block = fence(language, lines)
	if !restoresAll {
		block += "\n\nIt does not restore every phone number: compare them in Diga with what was bound before."
	}
	return title, block
}
