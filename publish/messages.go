package publish

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"publish-agent-version/diga"

	"github.com/google/uuid"
)

// happened puts e into a sentence without a full stop.
func (r *run) describe(e *diga.Error, render renderer) string {
	text := e.Message
	if e.Code != "" && isRefusal(e.Status) && r.changeSent && e.Cause == diga.Answered {
		text = "Diga refused " + r.requested(render)
		if e.Untrusted == "" && len(e.Details) == 0 {
			text += " (" + diga.StatusText(e.Status) + ")"
		}
	}
	if e.Untrusted != "" {
		text += ": " + render(strings.TrimSuffix(e.Untrusted, "."))
	}
	if len(e.Details) > 0 {
		text += ": " + listDetails(e.Details, render)
	}
	if e.GaveUp != "" {
		text += "; " + e.GaveUp
	}
	if before := e.LastReply; before != nil {
		text += "; before that: " + r.describe(before, render)
		if before.Code != "" {
			text += " (" + render(before.Code) + ")"
		}
	}
	var named *diga.NameError
	if errors.As(e, &named) {
		text += ". " + listVersions(named, render)
	}
	return text
}

// refusal reports whether a status turns a request down for what it asks.
func isRefusal(status int) bool {
	return 400 <= status && status < 500 && status != http.StatusRequestTimeout && status != http.StatusTooManyRequests
}

// findings lists what a 422 found, by the names of the inputs, five at most.
func listDetails(details []diga.Detail, render renderer) string {
	const most = 5
	var list []string
	for _, d := range details[:min(len(details), most)] {
		text := render(d.Message)
		if d.Field != "" {
			text = render(inputName(d.Field)) + ": " + text
		}
		list = append(list, text)
	}
	if more := len(details) - most; more > 0 {
		list = append(list, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(list, "; ")
}

// inputName is the input behind a field of the request; other fields keep the API's name.
func inputName(field string) string {
	switch field {
	case "body.version_id":
		return "version-id"
	case "body.inbound_phone_number_id":
		return "inbound-phone-number-id"
	case "body.outbound_phone_number_id":
		return "outbound-phone-number-id"
	case "path.agent_id":
		return "agent-id"
	}
	return field
}

// choices lists the versions that a reader may have meant.
func listVersions(e *diga.NameError, render renderer) string {
	if len(e.Versions) == 0 {
		return fmt.Sprintf("None of the agent's %d versions has a similar name", e.Total)
	}
	var list []string
	for _, v := range e.Versions {
		text := render(v.Name)
		if e.Matches > 1 {
			text = render(v.ID.String())
		}
		if v.Number != 0 {
			text += fmt.Sprintf(" (%d)", v.Number)
		}
		switch {
		case e.Matches > 1 && !v.Created.IsZero():
			text += ", created " + v.Created.UTC().Format(time.RFC3339)
		case e.Matches > 1:
		case v.Name == e.Name:
			text += " has this name but is a draft"
		case strings.EqualFold(v.Name, e.Name):
			text += " differs in case"
		case strings.TrimPrefix(v.Name, "v") == strings.TrimPrefix(e.Name, "v"):
			text += " differs by a leading v"
		}
		list = append(list, text)
	}
	if e.Matches > 1 {
		if more := e.Matches - len(e.Versions); more > 0 {
			list = append(list, fmt.Sprintf("and %d more", more))
		}
		return "They are " + strings.Join(list, "; ")
	}
	return "The most similar: " + strings.Join(list, "; ")
}

// text lists the numbers that a reader may have meant.
func (e *phoneNotFoundError) message(render renderer) string {
	text, list := "There is no phone number "+render(e.number), e.all
	if len(e.same) > 0 {
		text, list = fmt.Sprintf("%d phone numbers are %s", len(e.same), render(e.number)), e.same
	}
	const most = 5
	var names []string
	for _, p := range list[:min(len(list), most)] {
		names = append(names, phoneName(p, render)+" with the id "+render(p.ID.String()))
	}
	if more := len(list) - most; more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	switch {
	case len(names) == 0:
		return text + ". The token sees no numbers at all"
	case len(e.same) > 0:
		return text + ". They are " + strings.Join(names, "; ")
	default:
		return text + ". There are " + strings.Join(names, "; ")
	}
}

// versionName names a version by its name, or else by its number or its id.
func versionName(v diga.Version, render renderer) string {
	switch {
	case v.Name != "":
		return render(v.Name)
	case v.Number != 0:
		return fmt.Sprintf("version %d", v.Number)
	default:
		return "version " + render(v.ID.String())
	}
}

// fullVersionName is the name with the number.
func fullVersionName(v diga.Version, render renderer) string {
	text := versionName(v, render)
	if v.Name != "" && v.Number != 0 {
		text += fmt.Sprintf(" (%d)", v.Number)
	}
	if v.Draft {
		text += ", a draft"
	}
	return text
}

// name names a version, with its number where another version in the story has the same name.
func (r *run) name(v diga.Version, render renderer) string {
	for _, other := range []lookup[diga.Version]{r.before.version, r.before.target, r.after.version} {
		if other.known && other.value.Name == v.Name && other.value.ID != v.ID {
			return fullVersionName(v, render)
		}
	}
	return versionName(v, render)
}

// target is the version that was asked for, with all that is known of it.
func (r *run) target() diga.Version {
	for _, v := range []lookup[diga.Version]{r.before.target, r.before.version, r.after.version} {
		if v.known && r.plan.version.Valid && v.value.ID == r.plan.version.UUID {
			return v.value
		}
	}
	return diga.Version{ID: r.in.Version.UUID, Name: r.in.VersionName}
}

// wanted says what is to be done: the object of "refused".
func (r *run) requested(render renderer) string {
	if r.in.Unpublish {
		return "to unpublish"
	}
	return r.name(r.target(), render)
}

// agentName names the agent by its name, or else by its id.
func agentName(b preflight, id uuid.UUID, render renderer) string {
	for _, v := range []lookup[diga.Version]{b.version, b.target} {
		if v.known && v.value.AgentName != "" {
			return render(v.value.AgentName)
		}
	}
	return "agent " + render(id.String())
}

func (r *run) agent(render renderer) string { return agentName(r.before, r.in.Agent, render) }

// phoneName names a phone number as people write it, with its nickname, or else by its id.
func phoneName(p diga.Phone, render renderer) string {
	if p.Number == "" {
		return "phone number " + render(p.ID.String())
	}
	text := render(p.Number)
	if p.Nickname != "" {
		text += " (" + render(p.Nickname) + ")"
	}
	return text
}

// phone is a number with all that is known of it.
func (r *run) phone(id uuid.UUID) diga.Phone {
	for d := range diga.Directions {
		known := append([]diga.Phone{r.before.asked[d].value}, r.before.bound[d].value...)
		for _, p := range append(known, r.after.bound[d].value...) {
			if p.ID == id && p.Number != "" {
				return p
			}
		}
	}
	return diga.Phone{ID: id}
}

func phoneNames(phones []diga.Phone, render renderer) string {
	var names []string
	for _, p := range phones {
		names = append(names, phoneName(p, render))
	}
	if last := len(names) - 1; last > 0 {
		return strings.Join(names[:last], ", ") + " and " + names[last]
	}
	return strings.Join(names, "")
}

// boundNow lists the numbers that are bound once the step is done, and whether that is known.
func (r *run) phonesNow(d diga.Direction) ([]diga.Phone, bool) {
	switch {
	case r.after.bound[d].known:
		return r.after.bound[d].value, true
	case r.confirmed != nil && r.confirmed.Phones[d].Valid:
		return []diga.Phone{r.phone(r.confirmed.Phones[d].UUID)}, true
	case r.confirmed != nil && (r.plan.bindings[d].Release || r.before.bound[d].known && len(r.before.bound[d].value) == 0):
		return nil, true
	case r.confirmed == nil && (r.failure == nil || r.failure.status == failed):
		return r.before.bound[d].value, r.before.bound[d].known
	default:
		return nil, false
	}
}

// boundThen lists the numbers that a real run would leave bound.
func (r *run) phonesPlanned(d diga.Direction) ([]diga.Phone, bool) {
	switch binding := r.plan.change().Bindings[d]; {
	case binding.Phone.Valid:
		return []diga.Phone{r.phone(binding.Phone.UUID)}, true
	case binding.Release, r.in.Unpublish:
		return nil, true
	default:
		return r.before.bound[d].value, r.before.bound[d].known
	}
}

// asked says what the inputs ask for.
func (r *run) request(render renderer) string {
	text := "unpublish"
	if !r.in.Unpublish {
		text = "publish " + r.requested(render)
	}
	for d, p := range r.in.Phones {
		switch {
		case p.Release:
			text += fmt.Sprintf(", release the %s number", diga.Direction(d))
		case p.asked():
			text += fmt.Sprintf(", %s number %s", diga.Direction(d), render(or(p.Number, p.ID.UUID.String())))
		}
	}
	return text
}

// liveNow says what reading back showed as live, as a clause.
func (r *run) liveNow(render renderer) string {
	now, was := r.after.version, r.before.version
	switch {
	case r.after.offline:
		return "no version is live"
	case !now.known:
		return "what is live is not known"
	case was.known && was.value.ID == now.value.ID:
		return r.name(now.value, render) + " is still live"
	default:
		return r.name(now.value, render) + " is live"
	}
}

// nothingChanged says what is live when nothing was changed.
func (r *run) nothingChanged(render renderer) string {
	if !r.before.version.known {
		return "Nothing was changed"
	}
	return "Nothing was changed: " + r.name(r.before.version.value, render) + " is still live"
}

// unbound names the first number that was asked for and is not bound.
func (r *run) missingPart(render renderer) string {
	for d, binding := range r.plan.bindings {
		switch {
		case binding == (diga.Binding{}) || bound(binding, r.after.bound[d]):
		case binding.Release:
			return fmt.Sprintf("its %s number is not released", diga.Direction(d))
		default:
			return phoneName(r.phone(binding.Phone.UUID), render) + " is not bound"
		}
	}
	return ""
}

// lost names the numbers that were released although nothing asked for that.
func (r *run) released(d diga.Direction, phones []diga.Phone, render renderer) string {
	was, again := "was", "it"
	if len(phones) > 1 {
		was, again = "were", "them"
	}
	return fmt.Sprintf("%s %s bound to %s for %s calls and %s released, although nothing asked for that. Bind %s again in Diga if needed: a publication binds at most one number in each direction.",
		phoneNames(phones, render), was, r.agent(render), d, was, again)
}

// success is what a step that did not fail ends with.
func (r *run) success(render renderer) (title, message string) {
	was := ""
	if r.before.version.known && r.before.version.value.ID != r.target().ID {
		was = r.name(r.before.version.value, render) + " → "
	}
	switch {
	case r.confirmed == nil && r.in.Unpublish:
		title, message = "Dry run", fmt.Sprintf("%s: a real run would unpublish it.", r.agent(render))
		if r.before.version.known {
			message = fmt.Sprintf("%s: a real run would unpublish %s.", r.agent(render), r.name(r.before.version.value, render))
		}
	case r.confirmed == nil:
		title, message = "Dry run", fmt.Sprintf("%s: %s%s would be live%s.", r.agent(render), was, r.name(r.target(), render), r.numbers(r.phonesPlanned, render))
		if r.target().Draft {
			message += " It is a draft: Diga may refuse it."
		}
	case r.in.Unpublish:
		title, message = "Unpublished", fmt.Sprintf("%s is off the air: nothing is live any more.", r.agent(render))
		if was != "" {
			message = fmt.Sprintf("%s is off the air: %s is not live any more.", r.agent(render), r.name(r.before.version.value, render))
		}
	default:
		title, message = "Published", fmt.Sprintf("%s: %s%s is live%s.", r.agent(render), was, r.name(r.target(), render), r.numbers(r.phonesNow, render))
	}
	if f := r.confirmedAfter; f != nil {
		message += fmt.Sprintf(" Confirmed by reading it back; the request ended with: %s.", f.cause(render))
	}
	return title, message
}

// numbers says on which numbers the agent answers and from which it calls, as the end of a sentence.
func (r *run) numbers(bound func(diga.Direction) ([]diga.Phone, bool), render renderer) string {
	inbound, inboundKnown := bound(diga.Inbound)
	outbound, outboundKnown := bound(diga.Outbound)
	text := ""
	if len(inbound) > 0 {
		text += " on " + phoneNames(inbound, render)
	}
	if len(outbound) > 0 {
		text += ", calls from " + phoneNames(outbound, render)
	}
	if text == "" && inboundKnown && outboundKnown {
		text = ", without a phone number"
	}
	return text
}

// logBefore tells the log what was read before the change. A read that the step could do without costs one line when it
// fails, the numbers together one.
func (r *run) logBefore() {
	b := r.before
	if b.version.known {
		r.log("Live now: %s of %s.", fullVersionName(b.version.value, r.text), r.agent(r.text))
	} else if b.version.err != nil {
		r.log("What is live could not be read: %s.", r.text(b.version.err.Error()))
	}
	for d, bound := range b.bound {
		if len(bound.value) > 0 {
			r.log("Bound for %s calls: %s.", diga.Direction(d), phoneNames(bound.value, r.text))
		}
	}
	for _, err := range []error{b.bound[0].err, b.bound[1].err, b.asked[0].err, b.asked[1].err} {
		var unknownPhone *phoneNotFoundError
		if err != nil && !errors.As(err, &unknownPhone) {
			r.log("Phone numbers could not be read, so they are not checked: %s.", r.text(err.Error()))
			break
		}
	}
	if b.version.known && b.target.known && b.version.value.ID == b.target.value.ID {
		r.log("That is the version asked for already; the phone numbers may still differ.")
	}
	switch {
	case !r.in.Version.Valid && b.target.known:
		r.log("%s is version %s.", r.text(r.in.VersionName), b.target.value.ID)
	case b.target.err != nil && r.in.Version.Valid && !errors.Is(b.target.err, errNotNeeded):
		r.log("The version could not be read: %s.", r.text(b.target.err.Error()))
	}
}

func (r *run) logAttempt(a diga.Attempt) {
	var said []string
	if a.Status != 0 {
		said = append(said, diga.StatusText(a.Status))
	}
	if a.Err != nil {
		said = append(said, r.text(a.Err.Error()))
	}
	what := strings.Join(said, ", but ")
	line := fmt.Sprintf("Attempt %d: %s after %s.", a.Number, what, shortDuration(a.Elapsed))
	if a.Method == http.MethodPatch {
		r.attempts = a.Number
		r.log("%s", line)
	} else {
		r.debug("%s %s: %s", a.Method, a.Path, line)
	}
	r.debug("Connection used before: %t; HTTP/2: %t.", a.Reused, a.HTTP2)
}

func (r *run) logWait(w diga.Wait) {
	asked := ""
	if w.Asked > 0 {
		asked = fmt.Sprintf(", which the reply asked for (%s)", shortDuration(w.Asked))
	}
	if w.Method == http.MethodPatch {
		r.log("Waiting %s before attempt %d%s.", shortDuration(w.Duration), w.Next, asked)
	} else {
		r.log("%s %s failed (%v). Waiting %s before attempt %d%s.",
			w.Method, w.Path, w.After, shortDuration(w.Duration), w.Next, asked)
	}
}

// shortDuration formats d for a reader: "2m0s", "1.25s", "83ms".
func shortDuration(d time.Duration) string {
	if d < time.Second {
		return max(d.Round(time.Millisecond), time.Millisecond).String()
	}
	return d.Round(10 * time.Millisecond).String()
}
