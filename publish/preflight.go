package publish

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"publish-agent-version/diga"

	"github.com/google/uuid"
)

// lookup is the result of one read. The zero value is a read that was not made.
type lookup[T any] struct {
	value T
	known bool
	err   error // why it is not known; nil: it was not made
}

func (l *lookup[T]) set(value T, err error) {
	if *l = (lookup[T]{err: err}); err == nil {
		l.value, l.known = value, true
	}
}

// state is what is live for an agent at one time.
type state struct {
	version   lookup[diga.Version] // the live one
	offline   bool                 // no version is live
	agentName string               // if no version is live; may be empty
	bound     [diga.Directions]lookup[[]diga.Phone]
}

// onlyPhone returns the number that is bound in direction d, if exactly one is.
func (s state) onlyPhone(d diga.Direction) (diga.Phone, bool) {
	if bound := s.bound[d]; bound.known && len(bound.value) == 1 {
		return bound.value[0], true
	}
	return diga.Phone{}, false
}

// readLive reads the live version. The API's response when none is live is not documented. So unless the read returns a
// live version or fails, the list of versions decides: each must say that it is not live.
func (s *state) readLive(ctx context.Context, c *diga.Client, retries diga.Retries, agent uuid.UUID) error {
	s.version.set(c.PublishedVersion(ctx, retries, agent))
	if s.version.known || !mayMeanOffline(s.version.err) {
		return s.version.err
	}
	for v, err := range c.Versions(ctx, retries, agent) {
		switch {
		case err != nil:
			return err // the first error may only have meant that none is live
		case v.Published && v.Agent == agent:
			return s.version.err
		case !v.PublishedKnown || v.Agent != agent:
			return &diga.Error{Cause: diga.InvalidReply, Status: http.StatusOK, Message: "the list of versions does not show whether one is live"}
		}
		s.agentName = v.AgentName
	}
	s.offline = true
	return nil
}

// mayMeanOffline reports whether this error of the read of the live version may only mean that none is live.
func mayMeanOffline(err error) bool {
	e, ok := errors.AsType[*diga.Error](err)
	return ok && (200 <= e.Status && e.Status < 300 || isRefusal(e.Status))
}

// preflight is what was read before the change.
type preflight struct {
	state
	target     lookup[diga.Version]                // the requested version
	phones     [diga.Directions]lookup[diga.Phone] // the requested numbers
	idsSwapped bool                                // agent-id and version-id are swapped
}

const optionalReadTime = 5 * time.Second

// errReadingNumbers marks the error of the list of all phone numbers.
var errReadingNumbers = errors.New("reading the phone numbers")

// errNotNeeded cancels a read whose result no longer matters.
var errNotNeeded = errors.New("another read failed")

// readPreflight makes all reads before the change concurrently. Reads that the step depends on are retried; if one
// fails, its error is returned. Each of the others gets one attempt, of at most optionalReadTime or a quarter of the
// timeout.
func readPreflight(ctx context.Context, c *diga.Client, in inputs) (p preflight, err error) {
	required, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	limit := min(optionalReadTime, in.Timeout/4) // leave a short timeout to the change
	optional, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("no response within %s", shortDuration(limit)))
	defer cancel()

	var reads group
	var liveErr, targetErr, numbersErr error
	require := func(err *error, read func() error) {
		reads.run(func() {
			// "Not found" is a result: together with the other reads, it shows what is wrong.
			if *err = read(); *err != nil && !isNotFound(*err) {
				giveUp(errNotNeeded)
			}
		})
	}

	switch {
	case in.needsLive():
		require(&liveErr, func() error { return p.readLive(required, c, diga.WithRetries, in.Agent) })
	case in.DryRun: // its outputs become expect-version-id, so "no version is live" matters too
		reads.run(func() { _ = p.readLive(optional, c, diga.Once, in.Agent) })
	default:
		reads.run(func() { p.version.set(c.PublishedVersion(optional, diga.Once, in.Agent)) })
	}
	switch {
	case in.VersionName != "":
		require(&targetErr, func() error {
			p.target.set(c.VersionNamed(required, diga.WithRetries, in.Agent, in.VersionName))
			return p.target.err
		})
	case in.Version.Valid && in.needsTarget():
		require(&targetErr, func() error {
			p.target.set(c.Version(required, diga.WithRetries, in.Agent, in.Version.UUID))
			return p.target.err
		})
	case in.Version.Valid:
		reads.run(func() { p.target.set(c.Version(optional, diga.Once, in.Agent, in.Version.UUID)) })
	}
	for d := range diga.Directions {
		reads.run(func() { p.bound[d].set(c.PhonesOf(optional, diga.Once, in.Agent, d)) })
		if id := in.Phones[d].ID; id.Valid {
			reads.run(func() { p.phones[d].set(c.Phone(optional, diga.Once, id.UUID)) })
		}
	}
	var all []diga.Phone
	if in.Phones[diga.Inbound].Number+in.Phones[diga.Outbound].Number != "" {
		require(&numbersErr, func() (err error) {
			if all, err = c.Phones(required, diga.WithRetries); err != nil {
				err = fmt.Errorf("%w: %w", errReadingNumbers, err)
			}
			return err
		})
	}
	reads.wait()

	errs := []error{liveErr, targetErr, numbersErr}
	for d, phone := range in.Phones {
		if phone.Number != "" && numbersErr == nil {
			p.phones[d].set(findPhone(all, phone.Number))
			errs = append(errs, p.phones[d].err)
		}
	}
	if in.Version.Valid && isNotFound(p.version.err) && isNotFound(p.target.err) {
		_, err := c.Version(optional, diga.Once, in.Version.UUID, in.Agent)
		p.idsSwapped = err == nil
	}
	errs = slices.DeleteFunc(errs, func(err error) bool { return errors.Is(err, errNotNeeded) })
	return p, cmp.Or(errs...)
}

// needsLive reports whether the step depends on knowing what is live.
func (in inputs) needsLive() bool {
	return in.ShowLive || in.Expect.isSet() || in.OnlyNewer || in.Unpublish && in.DryRun
}

// needsTarget reports whether the step depends on reading the requested version. A plan does, or it could promise to
// publish a version that does not exist.
func (in inputs) needsTarget() bool { return in.DryRun || in.OnlyNewer }

// isNotFound reports whether the API itself, in its own error body, says that something does not exist.
func isNotFound(err error) bool {
	e, ok := errors.AsType[*diga.Error](err)
	return ok && e.Code != "" && (e.Status == http.StatusNotFound || e.Status == http.StatusBadRequest)
}

// findPhone returns the one assigned phone with this number in E.164. If none is assigned, it returns an unassigned
// one, which the checks then refuse.
func findPhone(phones []diga.Phone, number string) (diga.Phone, error) {
	var same, assigned []diga.Phone
	for _, p := range phones {
		if e164, ok := diga.E164(p.Number); !ok || e164 != number {
			continue
		}
		same = append(same, p)
		if canTakeCalls(p) {
			assigned = append(assigned, p)
		}
	}
	switch {
	case len(assigned) == 1:
		return assigned[0], nil
	case len(assigned) == 0 && len(same) > 0:
		return same[0], nil
	default:
		return diga.Phone{}, &phoneNotFoundError{number: number, same: assigned, all: phones}
	}
}

// phoneNotFoundError says that no phone has a number, or more than one.
type phoneNotFoundError struct {
	number string
	same   []diga.Phone // the assigned ones with this number
	all    []diga.Phone
}

func (e *phoneNotFoundError) Error() string {
	return "no phone number, or more than one, matches " + e.number
}

// readState reads the live version, and the bound numbers in the given directions.
func readState(ctx context.Context, c *diga.Client, agent uuid.UUID, directions [diga.Directions]bool) (s state) {
	var reads group
	reads.run(func() { _ = s.readLive(ctx, c, diga.Once, agent) })
	for d, read := range directions {
		if read {
			reads.run(func() { s.bound[d].set(c.PhonesOf(ctx, diga.Once, agent, diga.Direction(d))) })
		}
	}
	reads.wait()
	return s
}

// group runs functions concurrently. A panic in one of them is raised again in the waiting goroutine: otherwise it
// would end the process unreported.
type group struct {
	running  sync.WaitGroup
	once     sync.Once
	panicked any
}

func (g *group) run(f func()) {
	g.running.Go(func() {
		defer func() {
			if p := recover(); p != nil {
				g.once.Do(func() { g.panicked = p })
			}
		}()
		f()
	})
}

func (g *group) wait() {
	g.running.Wait()
	if g.panicked != nil {
		panic(g.panicked)
	}
}
