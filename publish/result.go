package publish

import (
	"strconv"
	"time"

	"publish-agent-version/diga"

	"github.com/google/uuid"
)

// result is everything known about a run. Messages and outputs are derived from it.
type result struct {
	in        inputs
	requestID uuid.UUID // nil: no request was prepared
	elapsed   time.Duration

	before         preflight
	readAt         time.Time // when the live version in before, or a later one, was read
	plan           plan
	changeSent     bool              // the change may have been sent
	attempts       int               // publish requests sent
	confirmed      *diga.Publication // what is in effect, if certain
	confirmedAfter *failure          // why it had to be read back; nil: the API confirmed it
	after          state             // what was read after the change
	warnings       []text            // about numbers that were released without a request
	changes        []fieldChange     // configuration fields that differ between the versions before and after
	compared       bool              // both versions were read, so changes is complete
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
	final := r.final()
	if !r.in.DryRun {
		set("published-version-id", final.liveID())
	}
	for d, bound := range final.bound {
		direction := diga.Direction(d).String()
		name := direction + "-phone-number-id"
		phones := bound.value
		if r.confirmed != nil && r.confirmed.Phones[d].Valid { // of several, the one that was confirmed
			phones = []diga.Phone{r.phone(r.confirmed.Phones[d].UUID)}
		}
		switch {
		case r.in.DryRun: // in the format of the input of that name
			setKnown(name, bindingInput(r.plan.change().Bindings[d]))
		case len(phones) == 1:
			set(name, phones[0].ID.String())
		case bound.known && len(phones) == 0, r.confirmed != nil && r.confirmed.Stated[d]:
			set(name, "")
		}
		if len(phones) == 1 {
			setKnown(direction+"-phone-number", e164(phones[0]))
		}
	}
	return list
}

// liveID is the id of the live version; empty: none is live.
func (s state) liveID() string {
	if !s.version.known {
		return ""
	}
	return s.version.value.ID.String()
}

// bindingInput is the input value that requests a binding; empty: none.
func bindingInput(b diga.Binding) string {
	switch {
	case b.Release:
		return "none"
	case b.Phone.Valid:
		return b.Phone.UUID.String()
	default:
		return ""
	}
}

// e164 is a phone's number in E.164 if possible, otherwise as the API writes it.
func e164(p diga.Phone) string {
	if number, ok := diga.E164(p.Number); ok {
		return number
	}
	return p.Number
}

// target is the requested version with everything known about it or, for show-live, the live one.
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

// phone is a phone with everything known about it.
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

// final is the state after the run, as far as it is known: read back, confirmed by the API, or unchanged. After a dry
// run, it is the state that a real run would leave.
func (r *result) final() state {
	s, confirmed := r.after, r.confirmed
	wasKept := confirmed == nil && r.status() != unknown
	isPlan := r.status() == dryRun
	switch {
	case confirmed != nil && confirmed.Version.Valid, isPlan && !r.in.Unpublish:
		s.version.set(r.target(), nil)
	case confirmed != nil, isPlan:
		s.version, s.offline = lookup[diga.Version]{}, true
	case wasKept && !s.version.known && !s.offline:
		s.version, s.offline = r.before.version, r.before.offline
	}
	for d, before := range r.before.bound {
		switch planned := r.planned(diga.Direction(d)); {
		case s.bound[d].known:
		case isPlan:
			s.bound[d] = planned
		case confirmed != nil && confirmed.Phones[d].Valid:
			s.bound[d].set([]diga.Phone{r.phone(confirmed.Phones[d].UUID)}, nil)
		case confirmed != nil && (r.plan.bindings[d].Release || before.known && len(before.value) == 0):
			s.bound[d].set(nil, nil)
		case wasKept:
			s.bound[d] = before
		}
	}
	return s
}

// perhapsStill lists the numbers that were bound before the API confirmed another one: whether it keeps them is not
// documented, and they have not been read since.
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

// planned is what the plan binds in direction d.
func (r *result) planned(d diga.Direction) (bound lookup[[]diga.Phone]) {
	switch binding := r.plan.change().Bindings[d]; {
	case r.in.Phones[d].Number != "" && !r.before.phones[d].known:
		bound.set([]diga.Phone{{Number: r.in.Phones[d].Number}}, nil)
	case binding.Phone.Valid:
		bound.set([]diga.Phone{r.phone(binding.Phone.UUID)}, nil)
	case binding.Release, r.in.Unpublish:
		bound.set(nil, nil)
	default:
		return r.before.bound[d]
	}
	return bound
}
