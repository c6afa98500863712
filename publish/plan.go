package publish

import (
	"publish-agent-version/diga"

	"github.com/google/uuid"
)

// goal is the requested state.
type goal struct {
	agent     uuid.UUID
	version   uuid.NullUUID // to publish
	unpublish bool          // publish no version; version is then null
	bindings  [diga.Directions]diga.Binding
}

// plan is what the step is going to do.
type plan struct {
	goal
	carriedOver [diga.Directions]diga.Phone // bound numbers that are sent without being requested; zero: none
}

// change returns the request. Whether the API keeps a number that is omitted is not documented, so a bound number is
// sent along even if it was not requested: this is correct either way.
func (p plan) change() diga.Change {
	c := diga.Change{Agent: p.agent, Version: p.version, Unpublish: p.unpublish, Bindings: p.bindings}
	for d, phone := range p.carriedOver {
		if phone.ID != uuid.Nil {
			c.Bindings[d] = bindingTo(phone.ID)
		}
	}
	return c
}

// canTakeCalls reports whether a phone is assigned, or the API does not say.
func canTakeCalls(p diga.Phone) bool { return p.Status == diga.Assigned || p.Status == "" }

func bindingTo(phone uuid.UUID) diga.Binding {
	return diga.Binding{Phone: uuid.NullUUID{UUID: phone, Valid: true}}
}

// newPlan makes a plan from the inputs and what was read, or refuses a change that cannot be right.
func newPlan(in inputs, p preflight) (plan, *failure) {
	plan := plan{goal: goal{agent: in.Agent, version: in.Version, unpublish: in.Unpublish}}
	if p.target.known {
		plan.version = uuid.NullUUID{UUID: p.target.value.ID, Valid: true}
	}
	for d, asked := range in.Phones {
		switch {
		case asked.Release:
			plan.bindings[d] = diga.Binding{Release: true}
		case asked.Number != "" && p.phones[d].known:
			plan.bindings[d] = bindingTo(p.phones[d].value.ID)
		case asked.ID.Valid:
			plan.bindings[d] = diga.Binding{Phone: asked.ID}
		case !in.Unpublish:
			// Diga would refuse a number that cannot take calls.
			if phone, only := p.onlyPhone(diga.Direction(d)); only && canTakeCalls(phone) {
				plan.carriedOver[d] = phone
			}
		}
	}
	return plan, check(in, p)
}
