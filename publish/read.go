package publish

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptrace"
	"sync"
	"time"

	"publish-agent-version/diga"

	"github.com/google/uuid"
)

// needs says which readings a step depends on. Those have the whole budget, the others optionalTime.
type needs struct{ live, version, phones bool }

const optionalTime = 5 * time.Second

func (in inputs) needs() needs {
	n := needs{
		live:    in.Expect != choice{} || in.OnlyNewer || in.DryRun || in.ShowLive,
		version: in.OnlyNewer || in.DryRun || in.VersionName != "",
		phones:  in.DryRun || in.ShowLive || in.hasNumber(),
	}
	for _, p := range in.Phones {
		n.phones = n.phones || !in.Unpublish && p.isOpen()
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

// readAll reads everything before the change, at the same time: the phones, what is live, and the requested version or,
// by name, the list of versions, which shows the live one too. The phones come first, so that no other answer holds
// them up on the one connection.
func (r *run) readAll(ctx context.Context) {
	need := r.in.needs()
	connected, connect := context.WithCancel(context.Background())
	together(func() {
		defer connect()
		trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connect() }}
		ctx, cancel := r.limited(httptrace.WithClientTrace(ctx, trace), need.phones)
		defer cancel()
		r.before.setPhones(r.in.Agent, r.readPhones(ctx))
	}, func() {
		<-connected.Done()
		if r.in.VersionName == "" {
			r.before.live = r.readLive(ctx, need.live)
		}
	}, func() {
		<-connected.Done()
		ctx, cancel := r.limited(ctx, need.version)
		defer cancel()
		if r.in.VersionName != "" {
			r.readVersions(ctx)
		} else if r.in.Version.Valid {
			v := read(ctx, func(ctx context.Context) (diga.Version, error) {
				return r.client.Version(ctx, r.in.Agent, r.in.Version.UUID)
			})
			if r.versions.err = v.err; v.known() {
				r.versions, r.wish.version = known([]diga.Version{v.value}), v.value
			}
		}
	})
}

// readVersions reads the list of versions, which shows the requested one and the live one.
func (r *run) readVersions(ctx context.Context) {
	r.versions = r.listVersions(ctx)
	r.before.live = reading[diga.Version]{at: r.versions.at, err: r.versions.err}
	for _, v := range r.versions.value {
		if v.Published {
			r.before.live.value = v
		}
	}
	if live := r.before.live; live.known() && live.value.ID == uuid.Nil { // or it changed between two pages
		r.before.live = r.readLive(ctx, r.in.needs().live)
	}
}

// listVersions reads all versions, with the configurations of the live one and of those that have the requested name.
// The others' may be large.
func (r *run) listVersions(ctx context.Context) reading[[]diga.Version] {
	return readList(ctx, func(ctx context.Context) iter.Seq2[diga.Version, error] {
		return r.client.Versions(ctx, r.in.Agent)
	}, func(v *diga.Version) bool {
		if !v.Published && !sameName(v.Name, r.in.VersionName) {
			v.Config = nil
		}
		return v.Agent == r.in.Agent
	})
}

func (r *run) readLive(ctx context.Context, needed bool) reading[diga.Version] {
	ctx, cancel := r.limited(ctx, needed)
	defer cancel()
	return read(ctx, func(ctx context.Context) (diga.Version, error) { return r.client.Live(ctx, r.in.Agent) })
}

func (r *run) readPhones(ctx context.Context) reading[[]diga.Phone] {
	return readList(ctx, r.client.Phones, func(*diga.Phone) bool { return true })
}

// readView reads what is live, the phones, or both.
func (r *run) readView(ctx context.Context, live, phones bool) (v view) {
	together(func() {
		if live {
			v.live = r.readLive(ctx, true)
		}
	}, func() {
		if phones {
			v.setPhones(r.in.Agent, r.readPhones(ctx))
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

// unreadable is the failure of a reading without which nothing is sent, or nil: a key that the API does not know, a
// version that does not exist, or something that the step needs. A read of the phones that is refused for good does not
// stop a change, as the API may simply not offer it.
func (r *run) unreadable() *failure {
	need := r.in.needs()
	phones, versions, live := r.before.bound[diga.Inbound].err, r.versions.err, r.before.live.err
	for _, err := range []error{phones, versions, live} {
		if e, ok := errors.AsType[*diga.Error](err); ok && e.Status == http.StatusUnauthorized {
			return r.apiFailure(err)
		}
	}
	e, _ := errors.AsType[*diga.Error](versions)
	switch {
	case e != nil && (e.Cause == diga.NotFound || e.Cause == diga.BadRequest) && r.in.Version.Valid && live == nil:
		return refusal(codeVersionNotFound, say("Check {version-id}."),
			"%s has no version %s", r.agent(), diga.Foreign(r.in.Version.UUID.String()))
	case versions != nil && need.version:
		f := r.apiFailure(versions)
		if r.in.VersionName != "" {
			f.what = say("could not read the versions: %s", f.what)
		}
		return f
	case live != nil && need.live:
		return r.apiFailure(live)
	case phones != nil && need.phones && (r.in.hasNumber() || !isFinal(phones)):
		f := r.apiFailure(phones)
		if f.http == 0 {
			return f // nothing can be read
		}
		f.what = say("could not read the phone numbers: %s", f.what)
		if !r.in.ShowLive && !r.in.DryRun {
			f.advice = say("%s To publish without this read, set both numbers by ID: {inbound-phone-number-id} and "+
				"{outbound-phone-number-id}, each an ID or none (to unbind).", f.advice)
		}
		return f
	}
	return nil
}

// isFinal reports whether a read was refused for good.
func isFinal(err error) bool {
	e, ok := errors.AsType[*diga.Error](err)
	return ok && e.IsFinal()
}
