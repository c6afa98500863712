// Package publish is the step: it promotes one version of an agent and tells the runner what came of it.
package publish

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/google/uuid"
	"publish-agent-version/diga"
)

const (
	lookTime        = 5 * time.Second        // for a read that the step can do without
	lookTimeAtDeath = 800 * time.Millisecond // the same after a signal, of which the runner wants to see the end soon
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

	target    *diga.Version // the version to publish, as far as it was read
	before    *diga.Version // what was published before; nil: not known
	changing  bool          // the change may have been sent
	attempts  int           // requests that the change took
	confirmed *diga.Publication
	settled   *diga.Version // what the API shows after a change of unknown outcome; nil: not known
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
			exit = r.broken()
		}
	}()
	r.report = newReport(s, s.Getenv("GITHUB_ACTIONS") == "true")
	r.failure = r.promote(ctx)
	return r.finish()
}

// promote is the order of things. Nothing is changed before every check and every read that the change depends on.
func (r *run) promote(ctx context.Context) *failure {
	if err := r.begin(); err != nil {
		return err
	}
	defer r.client.Close()
	budget := fmt.Errorf("gave up after %s", shortDuration(r.in.Timeout))
	signals := ctx
	ctx, cancel := context.WithDeadlineCause(signals, r.start.Add(r.in.Timeout), budget)
	defer cancel()

	if r.in.VersionName != "" {
		err := r.resolveName(ctx)
		if err != nil {
			r.look(ctx) // a failure too should say what is live
			return r.failed(err)
		}
	}
	r.look(ctx)
	if r.in.DryRun {
		return r.plan(ctx)
	}
	failure := r.change(ctx)
	if failure != nil && failure.unknown {
		r.settle(signals, failure)
	}
	return failure
}

// begin masks the token, checks every input and opens the file for the outputs.
func (r *run) begin() *failure {
	r.mask(Token(r.action.GetInput("token")))
	r.log("publish-agent-version %s", r.Version)
	in, err := readInputs(r.action.GetInput)
	outputsErr := r.openOutputs()
	if err != nil {
		problems := strings.Split(err.Error(), "\n")
		return &failure{code: codeInputInvalid, do: "Correct the inputs; nothing was sent.", happens: func(show show) string {
			return numbered(problems, show)
		}}
	}
	if outputsErr != nil {
		return &failure{code: codeOutputUnwritable, do: "The runner provides this file: check what changes or removes it.",
			happens: func(show show) string {
				return "No outputs can be set: " + show(outputsErr.Error()) + ". Nothing was sent"
			}}
	}
	r.in = in
	r.client = &diga.Client{
		BaseURL: in.APIURL, Token: in.Token.reveal(), MaxRetries: in.MaxRetries, Dial: r.Dial,
		UserAgent: "publish-agent-version/" + r.Version, RequestID: uuid.New(),
		Attempted: r.logAttempt, Waiting: r.logWait,
	}
	r.log("Agent %s: %s. Request id %s.", in.Agent, r.asked(r.text), r.client.RequestID)
	return nil
}

// resolveName finds the version that version-name names.
func (r *run) resolveName(ctx context.Context) error {
	version, err := r.client.VersionNamed(ctx, r.in.Agent, r.in.VersionName)
	if err != nil {
		return err
	}
	r.target = &version
	r.in.Version = uuid.NullUUID{UUID: version.ID, Valid: true}
	r.log("The name is that of %s.", describe(version, r.text))
	return nil
}

// look reads what is published now. The step can do without.
func (r *run) look(ctx context.Context) {
	if ctx.Err() != nil {
		return
	}
	version, err := r.published(ctx, min(lookTime, r.in.Timeout/4)) // a short budget is for the change
	if err != nil {
		r.log("Published now: not known (%v).", err)
		return
	}
	r.before = &version
	r.log("Published now: %s.", describe(version, r.text))
	if r.in.Version.Valid && version.ID == r.in.Version.UUID {
		r.target = &version
		r.log("That is the version asked for already; the phone numbers may still differ.")
	}
}

func (r *run) published(ctx context.Context, most time.Duration) (diga.Version, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, most, fmt.Errorf("no answer within %s", shortDuration(most)))
	defer cancel()
	return r.client.PublishedVersion(ctx, r.in.Agent)
}

// plan ends a dry run: it makes sure that the version, or at least the agent, exists and shows what would change.
func (r *run) plan(ctx context.Context) *failure {
	if r.in.Unpublish && r.before == nil {
		for _, err := range r.client.Versions(ctx, r.in.Agent) {
			if err != nil {
				return r.failed(err)
			}
			break
		}
	}
	if r.in.Version.Valid && r.target == nil {
		version, err := r.client.Version(ctx, r.in.Agent, r.in.Version.UUID)
		if err != nil {
			return r.failed(err)
		}
		r.target = &version
	}
	return nil
}

// change makes the change.
func (r *run) change(ctx context.Context) *failure {
	if ctx.Err() == nil {
		r.log("PATCH %s", r.in.APIURL.JoinPath("v1/agent", r.in.Agent.String(), "published_version").Redacted())
	}
	r.changing = true
	confirmed, _, err := r.client.Publish(ctx, diga.Change{
		Agent: r.in.Agent, Version: r.in.Version, Unpublish: r.in.Unpublish, Inbound: r.in.Inbound, Outbound: r.in.Outbound,
	})
	if err != nil {
		return r.failed(err)
	}
	r.confirmed = &confirmed
	return nil
}

// settle asks once more what is published, so that a change of unknown outcome leaves its reader with a fact. It does so
// past the budget, and for a moment after a signal; one that comes meanwhile ends it.
func (r *run) settle(signals context.Context, f *failure) {
	ctx, most := signals, lookTime
	if signals.Err() != nil {
		ctx, most = context.WithoutCancel(signals), lookTimeAtDeath
	}
	version, err := r.published(ctx, most)
	if f.signal == 0 {
		f.signal = signalOf(context.Cause(signals))
	}
	outcome := func(show show) string {
		return "What is published now could not be read: " + show(strings.TrimSuffix(err.Error(), "."))
	}
	if err == nil {
		r.settled = &version
		relation := ""
		switch {
		case r.before != nil && r.before.ID == version.ID:
			relation = ", as before"
		case r.in.Version.Valid && r.in.Version.UUID == version.ID:
			relation = ", which is the one that was asked for"
		}
		outcome = func(show show) string {
			return fmt.Sprintf("The API now shows %s as published%s", describe(version, show), relation)
		}
	}
	happened := f.happens
	f.happens = func(show show) string { return happened(show) + ". " + outcome(show) }
	r.log("%s.", outcome(r.text))
}
