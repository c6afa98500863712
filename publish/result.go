package publish

import (
	"strconv"
	"time"

	"publish-agent-version/diga"

	"github.com/google/uuid"
)

// result is all that is known of a run: what its words and outputs are made from.
type result struct {
	in        Inputs
	requestID uuid.UUID // nil: no request was ever prepared
	elapsed   time.Duration

	before         preflight
	plan           plan
	changeSent     bool              // the change may have been sent
	attempts       int               // requests that the change took
	confirmed      *diga.Publication // what is in force, when that is certain
	confirmedAfter *failure          // why it had to be read back; nil: the API confirmed it
	after          state             // what was read after the change
	changes        []fieldChange     // of the configuration, by the versions before and after
	compared       bool              // both versions were read, so that changes is complete
	failure        *failure
}

func (r *result) status() status {
	switch {
	case r.failure != nil:
		return r.failure.status
	case r.in.ShowLive && r.before.offline:
		return offline
	case r.in.ShowLive:
		return live
	case r.in.DryRun:
		return dryRun
	default:
		return r.plan.success()
	}
}

// outputs returns the step outputs that this run has a value for, not yet cleaned.
func (r *result) outputs(render renderer) []output {
	list := []output{{"status", string(r.status())}}
	set := func(name, value string) { list = append(list, output{name, value}) }
	setKnown := func(name, value string) {
		if value != "" {
			set(name, value)
		}
	}
	if was := r.before.version; was.known && !r.in.ShowLive {
		set("previous-version-id", was.value.ID.String())
		setKnown("previous-version-name", was.value.Name)
	}
	for d := range diga.Directions {
		if phone, only := r.before.onlyPhone(d); only && !r.in.ShowLive {
			set("previous-"+d.String()+"-phone-number-id", phone.ID.String())
		}
	}
	if target := r.target(); target.ID != uuid.Nil {
		set("version-id", target.ID.String())
	}
	setKnown("version-name", r.target().Name)
	if r.compared {
		set("changed-fields", fieldNames(r.changes))
	}
	if r.attempts > 0 {
		set("attempts", strconv.Itoa(r.attempts))
	}
	if f := r.failure; f != nil {
		set("error-code", f.code)
		set("error-message", f.message(render))
		if f.http != 0 {
			set("http-status", strconv.Itoa(f.http))
		}
		return list
	}
	set("agent-id", r.in.Agent.String())
	if !r.in.DryRun {
		set("published-version-id", r.liveID())
	}
	for d := range diga.Directions {
		set(d.String()+"-phone-number-id", r.phoneOutput(d))
		if phones, known := r.phonesAfter(d); known && len(phones) == 1 {
			setKnown(d.String()+"-phone-number", e164(phones[0]))
		}
	}
	return list
}

// liveID is the version that is live after a successful run; empty: none is.
func (r *result) liveID() string {
	switch {
	case r.in.ShowLive && r.before.version.known:
		return r.before.version.value.ID.String()
	case r.confirmed != nil && r.confirmed.Version.Valid:
		return r.confirmed.Version.UUID.String()
	default:
		return ""
	}
}

// phoneOutput is the id of the number that is bound in direction d after a successful run; empty: none, several, or not
// known. A dry run gives what a real run would ask for, so that it can be passed on as the input of that name.
func (r *result) phoneOutput(d diga.Direction) string {
	if r.confirmed != nil {
		if !r.confirmed.Phones[d].Valid {
			return ""
		}
		return r.confirmed.Phones[d].UUID.String()
	}
	if r.in.DryRun && r.plan.bindings[d].Release {
		return "none"
	}
	if phones, known := r.phonesAfter(d); known && len(phones) == 1 && !r.in.Unpublish {
		return phones[0].ID.String()
	}
	return ""
}

// e164 is the number of a phone for machines.
func e164(p diga.Phone) string {
	if number, ok := diga.E164(p.Number); ok {
		return number
	}
	return p.Number
}

// target is the version that was asked for, with all that is known of it; for show-live, the live one.
func (r *result) target() diga.Version {
	if r.in.ShowLive {
		return r.before.version.value
	}
	for _, v := range []lookup[diga.Version]{r.before.target, r.before.version, r.after.version} {
		if v.known && r.plan.version.Valid && v.value.ID == r.plan.version.UUID {
			return v.value
		}
	}
	return diga.Version{ID: r.in.Version.UUID, Name: r.in.VersionName}
}

// phone is a phone with all that is known of it.
func (r *result) phone(id uuid.UUID) diga.Phone {
	for d := range diga.Directions {
		known := append([]diga.Phone{r.before.phones[d].value}, r.before.bound[d].value...)
		for _, p := range append(known, r.after.bound[d].value...) {
			if p.ID == id && p.Number != "" {
				return p
			}
		}
	}
	return diga.Phone{ID: id}
}

// phonesAfter lists the numbers that are bound once the step is done, or after a dry run those that would be, and whether
// that is known.
func (r *result) phonesAfter(d diga.Direction) (phones []diga.Phone, known bool) {
	before, after := r.before.bound[d], r.after.bound[d]
	switch {
	case after.known:
		return after.value, true
	case r.confirmed != nil && r.confirmed.Phones[d].Valid:
		return []diga.Phone{r.phone(r.confirmed.Phones[d].UUID)}, true
	case r.confirmed != nil:
		return nil, r.plan.bindings[d].Release || before.known && len(before.value) == 0
	case r.failure == nil && r.in.DryRun:
		return r.phonesPlanned(d)
	case r.failure == nil || r.failure.status == failed:
		return before.value, before.known
	default:
		return nil, false
	}
}

// perhapsStill lists the numbers that were bound before the API confirmed another one: whether it keeps them is not
// documented, and nothing was read since.
func (r *result) perhapsStill(d diga.Direction) (phones []diga.Phone) {
	if r.confirmed == nil || r.after.bound[d].known || !r.confirmed.Phones[d].Valid {
		return nil
	}
	for _, p := range r.before.bound[d].value {
		if p.ID != r.confirmed.Phones[d].UUID {
			phones = append(phones, p)
		}
	}
	return phones
}

// phonesPlanned lists the numbers that were to be bound, and whether that is known.
func (r *result) phonesPlanned(d diga.Direction) (phones []diga.Phone, known bool) {
	switch binding := r.plan.change().Bindings[d]; {
	case r.in.Phones[d].Number != "" && !r.before.phones[d].known:
		return []diga.Phone{{Number: r.in.Phones[d].Number}}, true
	case binding.Phone.Valid:
		return []diga.Phone{r.phone(binding.Phone.UUID)}, true
	case binding.Release, r.in.Unpublish:
		return nil, true
	default:
		return r.before.bound[d].value, r.before.bound[d].known
	}
}
