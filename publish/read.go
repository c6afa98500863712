package publish

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"sync"
	"time"

	"publish-agent-version/diga"

	"github.com/google/uuid"
)

// needs says which readings a step depends on. Those have the whole budget, the others optionalTime.
type needs struct{ live, target, phones bool }

const optionalTime = 5 * time.Second

func (in inputs) needs() needs {
	n := needs{
		live:   in.isGuarded() || in.DryRun || in.ShowLive,
		target: in.OnlyNewer || in.DryRun || in.VersionName != "",
		phones: in.DryRun || in.ShowLive,
	}
	for _, p := range in.Phones {
		n.phones = n.phones || !in.Unpublish && p.isOpen() || p.Number != diga.Number{}
	}
	return n
}

// limited is ctx for a read that has the whole budget if it is needed, and otherwise optionalTime.
func (r *run) limited(ctx context.Context, needed bool) (context.Context, context.CancelFunc) {
	if needed {
		return ctx, func() {}
	}
	limit := min(optionalTime, r.in.Timeout/4) // leave a short timeout to the change
	return context.WithTimeoutCause(ctx, limit, fmt.Errorf("within %s", diga.FormatDuration(limit)))
}

// readAll reads everything before the change, at the same time: the phones, what is live, and the requested version.
// The phones come first, so that no other answer holds them up on the one connection.
func (r *run) readAll(ctx context.Context) {
	need := r.in.needs()
	byName := r.in.VersionName != ""
	connected := make(chan struct{})
	first := sync.OnceFunc(func() { close(connected) })
	together(func() {
		defer first()
		trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { first() }}
		ctx, cancel := r.limited(httptrace.WithClientTrace(ctx, trace), need.phones)
		defer cancel()
		r.before.setPhones(r.in.Agent, readList(ctx, r.client.Phones))
	}, func() {
		<-connected
		ctx, cancel := r.limited(ctx, need.live)
		defer cancel()
		if !byName { // the list of versions shows it too
			r.before.live = read(ctx, r.readLive)
		}
	}, func() {
		<-connected
		ctx, cancel := r.limited(ctx, need.target)
		defer cancel()
		if byName {
			r.readVersions(ctx)
		} else if r.in.Version.Valid {
			r.target = readNow(r.client.Version(ctx, r.in.Agent, r.in.Version.UUID))
		}
	})
	if r.target.known() {
		r.wish.version = r.target.value
	}
}

// readVersions reads the list of versions, which shows the requested one and the live one. That may be on any page,
// so it is as old as the whole reading.
func (r *run) readVersions(ctx context.Context) {
	r.before.live.at = time.Now()
	var all []diga.Version
	for v, err := range r.client.Versions(ctx, r.in.Agent) {
		switch {
		case err != nil:
			r.versions.err, r.before.live = err, reading[diga.Version]{err: err}
			return
		case v.Agent != r.in.Agent:
			continue
		case v.Published:
			r.before.live.value = v
		case !sameName(v.Name, r.in.VersionName):
			v.Config = nil // not needed, and it may be large
		}
		all = append(all, v)
	}
	r.versions = readNow(all, nil)
	if r.before.live.value.ID == uuid.Nil { // none is live, or it changed between two pages
		ctx, cancel := r.limited(ctx, r.in.needs().live)
		defer cancel()
		r.before.live = read(ctx, r.readLive)
	}
}

func (r *run) readLive(ctx context.Context) (diga.Version, error) {
	return r.client.Live(ctx, r.in.Agent)
}

// readView reads what is live, the phones, or both.
func (r *run) readView(ctx context.Context, live, phones bool) (v view) {
	together(func() {
		if live {
			v.live = read(ctx, r.readLive)
		}
	}, func() {
		if phones {
			v.setPhones(r.in.Agent, readList(ctx, r.client.Phones))
		}
	})
	return v
}

// together runs functions concurrently. A panic in one of them is raised again here: otherwise it would end the process
// unreported.
func together(functions ...func()) {
	var running sync.WaitGroup
	panics := make([]any, len(functions))
	for i, f := range functions {
		running.Go(func() {
			defer func() { panics[i] = recover() }()
			f()
		})
	}
	running.Wait()
	for _, p := range panics {
		if p != nil {
			panic(p)
		}
	}
}

// unreadable is the failure of a reading without which nothing is sent, or nil: a key that the API does not know, or
// something that the step needs. A read of the phones that is refused for good does not stop a change, as the API may
// simply not offer it.
func (r *run) unreadable() *failure {
	need := r.in.needs()
	phones := r.before.bound[diga.Inbound].err
	target := cmp.Or(r.target.err, r.versions.err)
	for _, err := range []error{phones, target, r.before.live.err} {
		if e, ok := errors.AsType[*diga.Error](err); ok && e.Status == http.StatusUnauthorized {
			return r.apiFailure(err)
		}
	}
	byNumber := r.in.Phones[diga.Inbound].Number != diga.Number{} || r.in.Phones[diga.Outbound].Number != diga.Number{}
	switch {
	case target != nil && need.target && !r.isMissing():
		f := r.apiFailure(target)
		if r.in.VersionName != "" {
			f.what = say("could not read the versions: %s", f.what)
		}
		return f
	case r.before.live.err != nil && need.live && !r.isMissing():
		return r.apiFailure(r.before.live.err)
	case phones != nil && need.phones && (byNumber || !isFinal(phones)):
		f := r.apiFailure(phones)
		if f.http == 0 {
			return f // nothing can be read
		}
		f.what = say("could not read the phone numbers: %s", f.what)
		if !r.in.ShowLive && !r.in.DryRun {
			f.advice = say("%s To publish without this read, set both numbers by ID: {inbound-phone-number-id} and "+
				"{outbound-phone-number-id}, each an ID or none.", f.advice)
		}
		return f
	}
	return nil
}

// isMissing reports whether the API itself says that there is no such version, while it knows the agent.
func (r *run) isMissing() bool {
	e, ok := errors.AsType[*diga.Error](r.target.err)
	return ok && (e.Cause == diga.NotFound || e.Cause == diga.BadRequest) && r.before.live.known()
}

// isFinal reports whether a read was refused for good.
func isFinal(err error) bool {
	e, ok := errors.AsType[*diga.Error](err)
	return ok && e.IsFinal()
}
