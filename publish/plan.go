package publish

import (
	"fmt"

	"publish-agent-version/diga"

	"github.com/google/uuid"
)

// plan is what the step is going to do.
type plan struct {
	goal                                // what was asked for
	carried [diga.Directions]diga.Phone // the bound numbers that are sent along unasked; the zero value: none
}

// change is the request: what was asked for and, where nothing was, what is bound already. Whether the API keeps or drops
// a number that is left out is not documented; sending it is right in both cases.
func (p plan) change() diga.Change {
	c := diga.Change{Agent: p.agent, Version: p.version, Unpublish: !p.version.Valid, Bindings: p.bindings}
	for d, phone := range p.carried {
		if phone.ID != uuid.Nil {
			c.Bindings[d] = bindingTo(phone.ID)
		}
	}
	return c
}

func bindingTo(phone uuid.UUID) diga.Binding {
	return diga.Binding{Phone: uuid.NullUUID{UUID: phone, Valid: true}}
}

// newPlan turns the inputs into a plan, by what was read, or refuses what is plainly wrong.
func newPlan(in Inputs, b before) (plan, *failure) {
	p := plan{goal: goal{agent: in.Agent, version: in.Version}}
	if b.target.known {
		p.version = uuid.NullUUID{UUID: b.target.value.ID, Valid: true}
	}
	if refused := refuseVersion(in, b); refused != nil {
		return p, refused
	}
	for d := range diga.Directions {
		asked := in.Phones[d]
		switch {
		case asked.Release:
			p.bindings[d] = diga.Binding{Release: true}
		case asked.asked():
			p.bindings[d] = diga.Binding{Phone: asked.ID}
			if asked.Number != "" {
				p.bindings[d] = bindingTo(b.asked[d].value.ID)
			}
		case !in.Unpublish:
			// A number that cannot take calls would only be refused.
			if phone, only := b.onlyPhone(d); only && phone.Status == diga.Assigned {
				p.carried[d] = phone
			}
		}
	}
	for d := range diga.Directions {
		if asked := in.Phones[d]; asked.asked() && !asked.Release {
			if refused := refusePhone(in, b, d); refused != nil {
				return p, refused
			}
		}
	}
	return p, nil
}

// refuseVersion refuses a version-id that the agent does not have. The API has to say so itself, and to know the agent:
// any other reply may come from something in front of it.
func refuseVersion(in Inputs, b before) *failure {
	if !b.version.known || !saysNotFound(b.target.err) {
		return nil
	}
	return &failure{
		code: codeVersionNotFound, status: failed,
		what: func(show show) string {
			return fmt.Sprintf("%s has no version %s", agentName(b, in.Agent, show), show(in.Version.UUID.String()))
		},
		do: "Check `version-id`" + swapped(in.Version.UUID == in.Agent, "`agent-id`") + ".",
	}
}

func swapped(is bool, name string) string {
	if is {
		return ": it is the same as " + name
	}
	return ""
}

// refusePhone refuses a number that cannot be bound: it does not exist, cannot take calls, or is another agent's.
func refusePhone(in Inputs, b before, d diga.Direction) *failure {
	asked, input := b.asked[d], phoneInputName(in, d)
	switch phone := asked.value; {
	case !asked.known:
		// A 404 counts only if the API is known to have such reads at all.
		if listed := b.bound[diga.Inbound].known || b.bound[diga.Outbound].known; !listed || !saysNotFound(asked.err) {
			return nil
		}
		return &failure{
			code: codePhoneNotFound, status: failed,
			what: func(show show) string {
				return fmt.Sprintf("There is no phone number %s", show(in.Phones[d].ID.UUID.String()))
			},
			do: fmt.Sprintf("Check `%s`.", input),
		}
	case phone.Status != diga.Assigned && phone.Status != "":
		return &failure{
			code: codePhoneUnusable, status: failed,
			what: func(show show) string {
				return fmt.Sprintf("%s cannot take calls: its status is %s, not %s", phoneName(phone, show), show(phone.Status), diga.Assigned)
			},
			do: fmt.Sprintf("Choose another number in `%s`, or have this one assigned in Diga.", input),
		}
	case phone.Agents[d].Valid && phone.Agents[d].UUID != in.Agent && !in.TakeOver:
		verb := map[diga.Direction]string{diga.Inbound: "is answered by", diga.Outbound: "is used for calls by"}[d]
		return &failure{
			code: codePhoneInUse, status: failed,
			what: func(show show) string {
				return fmt.Sprintf("%s %s another agent, %s", phoneName(phone, show), verb, show(phone.Agents[d].UUID.String()))
			},
			do: "Choose another number, or set `take-over: true` to take it from that agent.",
		}
	}
	return nil
}

// phoneInputName is the name of the input that asks for a number in this direction.
func phoneInputName(in Inputs, d diga.Direction) string {
	if in.Phones[d].Number != "" {
		return d.String() + "-phone-number"
	}
	return d.String() + "-phone-number-id"
}
