package publish

import (
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

const (
	optionalReadTime = 5 * time.Second        // for a read that the step can do without
	verifyTime       = 5 * time.Second        // for reading back what a change did
	cancelledTime    = 800 * time.Millisecond // the same after a signal: the runner wants to see the end soon
	replicaLag       = 1 * time.Second        // after which a read shows a change
)

// reading is what one read brought. The zero value is a read that was not made.
type lookup[T any] struct {
	value T
	known bool
	err   error // why it is not known; nil: it was not asked for
}

func (r *lookup[T]) set(value T, err error) { r.value, r.known, r.err = value, err == nil, err }

// state is what an agent's callers meet at one time.
type state struct {
	version lookup[diga.Version] // the live one
	offline bool                 // nothing is live: each version says so
	bound   [diga.Directions]lookup[[]diga.Phone]
}

// onlyPhone returns the number that is bound in direction d, if it is known that exactly one is.
func (s state) onlyPhone(d diga.Direction) (diga.Phone, bool) {
	if bound := s.bound[d]; bound.known && len(bound.value) == 1 {
		return bound.value[0], true
	}
	return diga.Phone{}, false
}

// before is what was read before the change.
type preflight struct {
	state
	target lookup[diga.Version]                // the version that was asked for
	asked  [diga.Directions]lookup[diga.Phone] // the number that was asked for
}

// saysNotFound reports whether the API itself, in its own error body, says that there is no such thing.
func isNotFound(err error) bool {
	var e *diga.Error
	return errors.As(err, &e) && e.Code != "" && (e.Status == http.StatusNotFound || e.Status == http.StatusBadRequest)
}

// errNotNeeded cancels a read whose result no longer matters.
var errNotNeeded = errors.New("another read failed")

// readBefore makes every read that is worth knowing before the change, all at the same time. The step depends on some of
// them: those are retried, and the first that fails is the error. Each of the others has one attempt, in at most
// optionalReadTime or a quarter of the timeout.
func readPreflight(ctx context.Context, c *diga.Client, in Inputs) (b preflight, err error) {
	required, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	most := min(optionalReadTime, in.Timeout/4) // a short timeout is for the change
	optional, cancel := context.WithTimeoutCause(ctx, most, fmt.Errorf("no answer within %s", shortDuration(most)))
	defer cancel()

	var reads group
	var errs [3]error // of the version and of the numbers, in the order in which they are reported
	require := func(at int, read func() error) {
		reads.run(func() {
			if errs[at] = read(); errs[at] != nil {
				giveUp(errNotNeeded)
			}
		})
	}
	reads.run(func() { b.version.set(c.PublishedVersion(optional, diga.Once, in.Agent)) })
	for d := range diga.Directions {
		reads.run(func() { b.bound[d].set(c.PhonesOf(optional, diga.Once, in.Agent, d)) })
		if id := in.Phones[d].ID; id.Valid {
			reads.run(func() { b.asked[d].set(c.Phone(optional, diga.Once, id.UUID)) })
		}
	}
	switch {
	case in.VersionName != "":
		require(0, func() error {
			b.target.set(c.VersionNamed(required, diga.WithRetries, in.Agent, in.VersionName))
			return b.target.err
		})
	case in.Version.Valid && in.DryRun: // a plan of a version that cannot be read is none
		require(0, func() error {
			b.target.set(c.Version(required, diga.WithRetries, in.Agent, in.Version.UUID))
			return b.target.err
		})
	case in.Version.Valid:
		reads.run(func() { b.target.set(c.Version(optional, diga.Once, in.Agent, in.Version.UUID)) })
	}
	var phones []diga.Phone
	if in.Phones[diga.Inbound].Number+in.Phones[diga.Outbound].Number != "" {
		require(1, func() (err error) {
			phones, err = c.Phones(required, diga.WithRetries)
			return err
		})
	}
	reads.wait()

	for d, phone := range in.Phones {
		if phone.Number != "" && errs[1] == nil {
			b.asked[d].set(findPhone(phones, phone.Number))
			errs[1+d] = b.asked[d].err
		}
	}
	if in.Unpublish && in.DryRun && !b.version.known {
		errs[0] = agentExists(ctx, c, in.Agent)
	}
	i := slices.IndexFunc(errs[:], func(err error) bool { return err != nil && !errors.Is(err, errNotNeeded) })
	if i < 0 {
		return b, nil
	}
	return b, errs[i]
}

// agentExists makes sure of an agent of which no version could be read as live.
func agentExists(ctx context.Context, c *diga.Client, agent uuid.UUID) error {
	for _, err := range c.Versions(ctx, diga.WithRetries, agent) {
		return err
	}
	return nil
}

// phoneNumbered picks the one assigned record of a number in E.164, or else the only one of all.
func findPhone(phones []diga.Phone, number string) (diga.Phone, error) {
	var same, assigned []diga.Phone
	for _, p := range phones {
		if e164, ok := diga.E164(p.Number); !ok || e164 != number {
			continue
		}
		same = append(same, p)
		if p.Status == diga.Assigned {
			assigned = append(assigned, p)
		}
	}
	switch {
	case len(assigned) == 1:
		return assigned[0], nil
	case len(assigned) == 0 && len(same) > 0:
		return same[0], nil // its status will be refused
	default:
		return diga.Phone{}, &phoneNotFoundError{number: number, same: assigned, all: phones}
	}
}

// phoneNotFound is a number that no record has, or more than one.
type phoneNotFoundError struct {
	number string
	same   []diga.Phone // the assigned ones that have it
	all    []diga.Phone
}

func (e *phoneNotFoundError) Error() string {
	return "no phone number, or more than one, is " + e.number
}

// readAfter reads once what the agent's callers meet now: the live version, and the numbers in the directions that are
// wanted.
func readState(ctx context.Context, c *diga.Client, agent uuid.UUID, wanted [diga.Directions]bool) (s state) {
	var reads group
	reads.run(func() {
		if s.version.set(c.PublishedVersion(ctx, diga.Once, agent)); !s.version.known {
			s.offline = nothingLive(ctx, c, agent)
		}
	})
	for d, wanted := range wanted {
		if wanted {
			reads.run(func() { s.bound[d].set(c.PhonesOf(ctx, diga.Once, agent, diga.Direction(d))) })
		}
	}
	reads.wait()
	return s
}

// nothingLive reports whether every version of the agent could be read, and none is live.
func nothingLive(ctx context.Context, c *diga.Client, agent uuid.UUID) bool {
	for v, err := range c.Versions(ctx, diga.Once, agent) {
		if err != nil || v.Published {
			return false
		}
	}
	return true
}

// group runs functions at the same time. A panic in one of them, which would end the process unreported, is passed on to
// the goroutine that waits.
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
