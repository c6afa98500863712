// Package publish is the step: it publishes one version of an agent and tells the runner what came of it.
package publish

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"publish-agent-version/diga"

	"github.com/google/uuid"
)

// Step is one run of the action.
type Step struct {
	Args    []string                 // after the program's name: -version, -help or none
	Getenv  func(name string) string // the environment
	Stdout  io.Writer
	Stderr  io.Writer
	Version string // of this program

	// Dial opens connections; nil means the network.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Jitter picks the random part of a wait between attempts, 0 ≤ d < limit; nil means uniformly at random. It may be
	// called concurrently.
	Jitter func(limit time.Duration) (d time.Duration)
}

// Signal is the cause of a context that a signal cancelled.
type Signal struct{ os.Signal }

func (s Signal) Error() string {
	switch s.Signal {
	case syscall.SIGINT:
		return "cancelled by SIGINT"
	case syscall.SIGTERM:
		return "cancelled by SIGTERM"
	default:
		return "cancelled by a signal"
	}
}

// run is a Step under way: what is known so far.
type run struct {
	Step
	*report
	in     Inputs
	client *diga.Client
	start  time.Time

	before    before
	plan      plan
	changing  bool              // the change may have been sent
	attempts  int               // requests that the change took
	confirmed *diga.Publication // what is in force, when that is certain
	readBack  *failure          // why it had to be read back; nil: the API confirmed it
	after     state             // what was read after the change
	failure   *failure
}

// Run returns the exit status: 0, 1 for a failure, and 130 or 143 when ctx was cancelled with a Signal as its cause.
func (s Step) Run(ctx context.Context) (exit int) {
	if len(s.Args) > 0 {
		return s.usage()
	}
	r := &run{Step: s, report: newReport(s, true), start: time.Now()}
	defer func() {
		if recover() != nil {
			exit = r.reportPanic()
		}
	}()
	r.report = newReport(s, s.Getenv("GITHUB_ACTIONS") == "true")
	r.failure = r.publish(ctx)
	return r.finish()
}

// publish is the order of things. Nothing is changed before every check and every read that the change depends on.
func (r *run) publish(signals context.Context) *failure {
	if err := r.begin(); err != nil {
		return err
	}
	defer r.client.Close()
	budget := fmt.Errorf("gave up after %s", shortDuration(r.in.Timeout))
	ctx, cancel := context.WithDeadlineCause(signals, r.start.Add(r.in.Timeout), budget)
	defer cancel()

	var err error
	r.before, err = readBefore(ctx, r.client, r.in)
	r.logBefore()
	if err != nil {
		return r.readFailed(err)
	}
	var refused *failure
	if r.plan, refused = newPlan(r.in, r.before); refused != nil || r.in.DryRun {
		return refused
	}
	if err := r.change(ctx); err != nil {
		return r.verify(signals, err)
	}
	r.checkNumbers(signals)
	return nil
}

// begin masks the token, checks every input and opens the file for the outputs.
func (r *run) begin() *failure {
	r.mask(Token(r.action.GetInput("token")))
	r.log("publish-agent-version %s", r.Version)
	in, problems := readInputs(r.action.GetInput)
	outputsErr := r.openOutputs()
	if len(problems) > 0 {
		return invalidInputs(problems)
	}
	if outputsErr != nil {
		return unwritableBefore(outputsErr)
	}
	r.in = in
	r.client = &diga.Client{
		BaseURL: in.APIURL, Token: in.Token.reveal(), MaxRetries: in.MaxRetries, Dial: r.Dial, Jitter: r.Jitter,
		UserAgent: "publish-agent-version/" + r.Version, RequestID: uuid.New(),
		Attempted: r.logAttempt, Waiting: r.logWait,
	}
	r.log("Agent %s: %s. Request id %s.", in.Agent, r.asked(r.text), r.client.RequestID)
	return nil
}

// change sends the change, and returns why it was not confirmed.
func (r *run) change(ctx context.Context) error {
	if ctx.Err() == nil {
		r.log("PATCH %s", r.in.APIURL.JoinPath("v1/agent", r.in.Agent.String(), "published_version").Redacted())
	}
	r.changing = true
	confirmed, _, err := r.client.Publish(ctx, r.plan.change())
	if err == nil {
		r.confirmed = &confirmed
	}
	return err
}

// verify decides by the state, and not by the status code, what came of a change that was not confirmed. It reads past
// the timeout if it must, and for a moment after a signal. A replica may show what was true before the change, so nothing
// but success is said before a second look.
func (r *run) verify(signals context.Context, err error) *failure {
	f, effect := r.changeFailed(err)
	if effect == diga.NoEffect {
		return f
	}
	var wanted [diga.Directions]bool
	for d, binding := range r.plan.change().Bindings {
		wanted[d] = binding != diga.Binding{} || len(r.before.bound[d].value) > 0
	}
	limit := verifyTime
	ctx := signals
	if signals.Err() != nil {
		limit, ctx = cancelledTime, context.WithoutCancel(signals)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("no answer within %s", shortDuration(limit)))
	defer cancel()

	found, settled := unreadable, false
	for {
		r.after = readAfter(ctx, r.client, r.in.Agent, wanted)
		found = r.plan.compare(r.before.state, r.after)
		if found == inForce || settled || signals.Err() != nil || !sleep(ctx, replicaLag) {
			break
		}
		settled = true
	}
	if f.signal == 0 {
		f.signal = signalOf(context.Cause(signals))
	}
	f.status = r.plan.outcome(effect, found, settled)
	if f.status != failed && f.status != unknown {
		r.confirmed, r.readBack = r.observed(), f
		r.log("Read back: all that was asked for is in force.")
		r.warnLost()
		return nil
	}
	r.explain(f, effect, found)
	r.log("Read back: %s.", f.live(r.text))
	return f
}

// sleep waits for d and reports whether ctx lasted that long.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// observed is the publication that reading back showed.
func (r *run) observed() *diga.Publication {
	p := &diga.Publication{Agent: r.in.Agent, Version: r.plan.version}
	for d, binding := range r.plan.change().Bindings {
		if bound(binding, r.after.bound[d]) {
			p.Phones[d] = binding.Phone
		} else if phone, only := r.after.onlyPhone(diga.Direction(d)); only {
			p.Phones[d] = uuid.NullUUID{UUID: phone.ID, Valid: true}
		}
	}
	return p
}

// checkNumbers looks, after a confirmed change, for numbers that it may have released unasked. The reply tells of one
// number in each direction; where more were bound before, they are read.
func (r *run) checkNumbers(signals context.Context) {
	var wanted [diga.Directions]bool
	any := false
	for d := range diga.Directions {
		unasked := r.plan.bindings[d] == (diga.Binding{}) && r.plan.carried[d].ID == uuid.Nil
		wanted[d] = unasked && r.plan.version.Valid && len(r.before.bound[d].value) > 0
		any = any || wanted[d]
	}
	if !any || !sleep(signals, replicaLag) {
		return
	}
	ctx, cancel := context.WithTimeout(signals, optionalReadTime)
	defer cancel()
	r.after = readAfter(ctx, r.client, r.in.Agent, wanted)
	for d, bound := range r.after.bound {
		if wanted[d] && !bound.known {
			r.log("The %s numbers could not be read after the change, so whether any was released is not known: %s.", diga.Direction(d), r.text(bound.err.Error()))
		}
	}
	r.warnLost()
}

// warnLost warns of the numbers that are not bound any more, although nothing asked for that: once in each direction,
// because the runner shows ten warnings of a step and drops the rest.
func (r *run) warnLost() {
	if !r.plan.version.Valid {
		return // the agent is off the air, its numbers with it
	}
	for d, phones := range r.plan.lost(r.before.state, r.after) {
		if len(phones) > 0 {
			r.warn("Phone number released", r.lost(diga.Direction(d), phones, r.text))
		}
	}
}
