package publish

import (
	"slices"

	"publish-agent-version/diga"

	"github.com/google/uuid"
)

// goal is what was asked for: what is to be true of an agent.
type goal struct {
	agent    uuid.UUID
	version  uuid.NullUUID // to be live; null: nothing is to be live
	bindings [diga.Directions]diga.Binding
}

// finding is what reading back shows of a goal.
type observation int

const (
	unreadable observation = iota // something that the goal needs could not be read
	unchanged                     // nothing of it came about
	partial                       // a part of it came about
	replaced                      // a version is live that was neither live before nor asked for
	inForce                       // all of it is in force
)

// status is the step output of this name.
type status string

const (
	published   status = "published"
	unpublished status = "unpublished"
	dryRun      status = "dry-run"
	failed      status = "failed"  // what was asked for is not in force, and nothing that was sent can bring it about
	unknown     status = "unknown" // neither is certain
)

// outcome decides how a change ended that was not confirmed: from what its attempts may have done, and from what reading
// back showed. settled reports whether the reading was repeated after a replica's lag.
func (g goal) outcome(effect diga.Effect, found observation, settled bool) status {
	switch {
	case found == inForce:
		return g.success()
	case effect == diga.NoEffect:
		return failed
	case effect == diga.MaybeApplied && found == unchanged && settled:
		return failed
	default:
		return unknown
	}
}

// success is the status when all that was asked for is in force.
func (g goal) success() status {
	if !g.version.Valid {
		return unpublished
	}
	return published
}

// compare says what the state now shows of the goal, by the state before.
func (g goal) compare(before, now state) observation {
	isLive := func(s state) bool {
		if !g.version.Valid {
			return s.offline
		}
		return s.version.known && s.version.value.ID == g.version.UUID
	}
	readable := now.version.known || now.offline
	all, any := isLive(now), isLive(now) && !isLive(before)
	for d, binding := range g.bindings {
		if binding == (diga.Binding{}) {
			continue
		}
		readable = readable && now.bound[d].known
		is := bound(binding, now.bound[d])
		all = all && is
		any = any || is && !bound(binding, before.bound[d])
	}
	switch {
	case !readable:
		return unreadable
	case all:
		return inForce
	case any:
		return partial
	case !isLive(now) && before.version.known && (now.offline || now.version.value.ID != before.version.value.ID):
		return replaced
	default:
		return unchanged
	}
}

// bound reports whether the numbers in one direction are known to be what binding says.
func bound(binding diga.Binding, numbers lookup[[]diga.Phone]) bool {
	if !numbers.known {
		return false
	}
	if binding.Release {
		return len(numbers.value) == 0
	}
	return slices.ContainsFunc(numbers.value, func(p diga.Phone) bool { return p.ID == binding.Phone.UUID })
}

// lost lists the numbers that were bound before and are not bound now, although nothing was asked for in their direction.
func (g goal) released(before, now state) (phones [diga.Directions][]diga.Phone) {
	for d := range diga.Directions {
		if g.bindings[d] != (diga.Binding{}) || !now.bound[d].known {
			continue
		}
		for _, p := range before.bound[d].value {
			if !bound(diga.Binding{Phone: uuid.NullUUID{UUID: p.ID, Valid: true}}, now.bound[d]) {
				phones[d] = append(phones[d], p)
			}
		}
	}
	return phones
}
