package publish

import (
	"slices"

	"publish-agent-version/diga"

	"github.com/google/uuid"
)

// status is the step output of this name.
type status string

const (
	published   status = "published"
	unpublished status = "unpublished"
	dryRun      status = "dry-run"
	live        status = "live"
	offline     status = "offline"
	failed      status = "failed"  // the change is not in effect, and no request can still apply it
	unknown     status = "unknown" // the outcome is uncertain
)

// observation is how much of a goal reading back shows to be in effect.
type observation int

const (
	unreadable  observation = iota // something that the goal needs could not be read
	unchanged                      // none of it is in effect
	partial                        // part of it is in effect, or a number is no longer bound
	wentOffline                    // no version is live, although one was before and one was requested
	replaced                       // a version is live that was neither live before nor requested
	inEffect                       // all of it is in effect
)

// outcome decides how an unconfirmed change ended, from what its attempts may have done and what reading back showed.
// readTwice says that replicas had time to catch up before the last read.
func (g goal) outcome(effect diga.Effect, seen observation, readTwice bool) status {
	switch {
	case effect == diga.NoEffect:
		return failed
	case seen == inEffect:
		return g.success()
	case effect == diga.MaybeApplied && seen == unchanged && readTwice:
		return failed
	default:
		return unknown
	}
}

// success is the status once the goal is in effect.
func (g goal) success() status {
	if g.unpublish {
		return unpublished
	}
	return published
}

// compare says how much of the goal is in effect now, given the state before the change.
func (g goal) compare(before, now state) observation {
	isLive := func(s state) bool {
		if g.unpublish {
			return s.offline
		}
		return s.version.known && s.version.value.ID == g.version.UUID
	}
	readable := now.version.known || now.offline
	all, some := isLive(now), isLive(now) && !isLive(before)
	for d, binding := range g.bindings {
		if binding == (diga.Binding{}) {
			continue
		}
		readable = readable && now.bound[d].known
		is := isBound(binding, now.bound[d])
		all = all && is
		some = some || is && !isBound(binding, before.bound[d])
	}
	switch {
	case !readable:
		return unreadable
	case all:
		return inEffect
	case some:
		return partial
	case isLive(now):
		return unchanged
	case before.version.known && now.offline:
		return wentOffline
	case before.version.known && now.version.value.ID != before.version.value.ID, before.offline && now.version.known:
		return replaced
	default:
		return unchanged
	}
}

// compare is goal.compare, except that losing a number counts as partial.
func (p plan) compare(before, now state) observation {
	seen := p.goal.compare(before, now)
	if seen != unchanged {
		return seen
	}
	for d, phones := range before.bound {
		for _, phone := range phones.value {
			if now.bound[d].known && !isBound(bindingTo(phone.ID), now.bound[d]) {
				return partial
			}
		}
	}
	return unchanged
}

// isBound reports whether the numbers in one direction are known to be what binding says.
func isBound(binding diga.Binding, numbers lookup[[]diga.Phone]) bool {
	if !numbers.known {
		return false
	}
	if binding.Release {
		return len(numbers.value) == 0
	}
	return slices.ContainsFunc(numbers.value, func(p diga.Phone) bool { return p.ID == binding.Phone.UUID })
}

// released lists the numbers that were bound before and no longer are, in directions for which nothing was requested.
func (g goal) released(before, now state) (phones [diga.Directions][]diga.Phone) {
	for d := range diga.Directions {
		if g.bindings[d] != (diga.Binding{}) || !now.bound[d].known {
			continue
		}
		for _, p := range before.bound[d].value {
			if !isBound(bindingTo(p.ID), now.bound[d]) {
				phones[d] = append(phones[d], p)
			}
		}
	}
	return phones
}

// observed is the publication that reading back showed to be in effect.
func (p plan) observed(now state) *diga.Publication {
	result := &diga.Publication{Agent: p.agent, Version: p.version}
	for d, binding := range p.change().Bindings {
		if isBound(binding, now.bound[d]) {
			result.Phones[d] = binding.Phone
		} else if phone, only := now.onlyPhone(diga.Direction(d)); only {
			result.Phones[d] = uuid.NullUUID{UUID: phone.ID, Valid: true}
		}
	}
	return result
}
