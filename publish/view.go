package publish

import (
	"cmp"
	"context"
	"iter"
	"net/http/httptrace"
	"slices"
	"sync/atomic"
	"time"

	"publish-agent-version/diga"

	"github.com/google/uuid"
)

const maxAge = 10 * time.Second // of a reading that a check rests on

// A reading is something that was read, and when, or why it could not be. The zero value is one that was not tried.
type reading[T any] struct {
	value T
	at    time.Time // zero: not known
	err   error
}

// known returns a reading of a value that is not in doubt.
func known[T any](value T) reading[T] { return reading[T]{value: value, at: time.Now()} }

func (r reading[T]) known() bool { return !r.at.IsZero() }

// isOlder reports whether the reading is not known, or older than d.
func (r reading[T]) isOlder(d time.Duration) bool { return time.Since(r.at) > d }

// sentAt returns a context whose requests are timed, and a function that returns when the last one was sent. A reading
// is dated back to that: what the answer says may be that old.
func sentAt(ctx context.Context) (context.Context, func() time.Time) {
	var sent atomic.Int64 // after start
	start := time.Now()
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		WroteRequest: func(httptrace.WroteRequestInfo) { sent.Store(int64(time.Since(start))) },
	}), func() time.Time { return start.Add(time.Duration(sent.Load())) }
}

// read makes a reading of one answer.
func read[T any](ctx context.Context, from func(context.Context) (T, error)) reading[T] {
	ctx, sent := sentAt(ctx)
	value, err := from(ctx)
	if err != nil {
		return reading[T]{err: err}
	}
	return reading[T]{value: value, at: sent()}
}

// readList makes a reading of the items of a list that keep accepts. It is as old as the list's first page.
func readList[T any](
	ctx context.Context, from func(context.Context) iter.Seq2[T, error], keep func(*T) bool,
) (r reading[[]T]) {
	ctx, sent := sentAt(ctx)
	for item, err := range from(ctx) {
		if err != nil {
			return reading[[]T]{err: err}
		}
		if r.at = cmp.Or(r.at, sent()); keep(&item) {
			r.value = append(r.value, item)
		}
	}
	r.at = cmp.Or(r.at, sent())
	return r
}

// A view is what is known about an agent at one time.
type view struct {
	live   reading[diga.Version]                  // the zero Version: none is live
	bound  [diga.Directions]reading[[]diga.Phone] // that the agent has in each direction
	phones []diga.Phone                           // all of the project's; nil: not read
}

func (v view) offline() bool { return v.isLive(uuid.Nil) }

// isLive reports whether this version is known to be live, or for a null one, that none is.
func (v view) isLive(version uuid.UUID) bool { return v.live.known() && v.live.value.ID == version }

// has reports whether a phone is known to be bound in direction d.
func (v view) has(d diga.Direction, phone uuid.UUID) bool {
	return slices.ContainsFunc(v.bound[d].value, func(p diga.Phone) bool { return p.ID == phone })
}

// only returns the one phone that is bound in direction d, or the zero Phone if there is none or more than one.
func (v view) only(d diga.Direction) diga.Phone {
	if phones := v.bound[d].value; len(phones) == 1 {
		return phones[0]
	}
	return diga.Phone{}
}

// carried returns the phone to bind again in direction d if nothing is asked for it: the only one, unless Diga would
// refuse it; otherwise the zero Phone.
func (v view) carried(d diga.Direction) diga.Phone {
	if p := v.only(d); p.Usable() {
		return p
	}
	return diga.Phone{}
}

// phone returns a phone with everything that is known about it.
func (v view) phone(id uuid.UUID) diga.Phone {
	for _, p := range v.phones {
		if p.ID == id {
			return p
		}
	}
	return diga.Phone{ID: id}
}

// err is why something is not known; nil: everything is.
func (v view) err() error { return cmp.Or(v.live.err, v.bound[diga.Inbound].err) }

// setPhones derives what is bound from the list of all phones.
func (v *view) setPhones(agent uuid.UUID, all reading[[]diga.Phone]) {
	v.phones = all.value
	for d := range diga.Directions {
		v.bound[d] = reading[[]diga.Phone]{at: all.at, err: all.err}
		for _, p := range all.value {
			if p.IsBound(agent, d) {
				v.bound[d].value = append(v.bound[d].value, p)
			}
		}
	}
}

// updated is v with everything that newer knows.
func (v view) updated(newer view) view {
	if newer.live.known() {
		v.live = newer.live
	}
	if newer.bound[diga.Inbound].known() {
		v.bound, v.phones = newer.bound, newer.phones
	}
	return v
}

// after is the view after a change, given a reply that confirms it. What the reply does not say is not known.
func (v view) after(w wish, reply diga.Change) view {
	is := view{live: known(w.version), phones: v.phones}
	for d, before := range v.bound {
		named := reply.Phones[d]
		if named.Phone.Valid {
			is.bound[d].value = []diga.Phone{v.phone(named.Phone.UUID)}
		}
		released := w.numbers[d].releases() && !named.Phone.Valid
		isOther := func(p diga.Phone) bool { return p.ID != named.Phone.UUID }
		if (before.known() || named.Stated) && (released || !slices.ContainsFunc(before.value, isOther)) {
			is.bound[d].at = time.Now()
		}
	}
	return is
}
