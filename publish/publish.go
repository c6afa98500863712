// Package publish implements the step: it publishes a version of an agent and reports the result to the runner.
package publish

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"

	"publish-agent-version/diga"

	"github.com/google/uuid"
)

// Step is one run of the program.
type Step struct {
	Args   []string                 // after the program's name
	Getenv func(name string) string // the environment

	// LookupEnv distinguishes an empty variable from an unset one; nil: empty variables count as unset.
	LookupEnv func(name string) (value string, set bool)

	Stdout  io.Writer
	Stderr  io.Writer
	Version string // of this program

	// Dial opens connections; nil means the network.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)

	// Jitter returns a duration in [0, limit), limit > 0; nil means uniformly at random.
	Jitter func(limit time.Duration) time.Duration
}

// Signal is the cause of a context that was cancelled by a signal.
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

// run is a Step in progress.
type run struct {
	Step
	*report
	result
	client *diga.Client
	start  time.Time

	numbersReadAt time.Time // when the numbers were last read before an attempt
}

// Run returns the exit status: 0 for success, 1 for failure, 130 or 143 when ctx was cancelled with a Signal as its cause.
func (s Step) Run(ctx context.Context) (exit int) {
	args, problem := parseArgs(s.Args)
	if (args.help || args.version) && !s.inActions() {
		s.printUsage(args)
		return 0
	}
	r := &run{Step: s, report: newReport(s, args, true), start: time.Now()}
	defer func() {
		if recover() != nil {
			exit = r.reportPanic()
		}
	}()
	r.report = newReport(s, args, s.inActions())
	r.failure = r.publish(ctx, args, problem)
	return r.finish()
}

// publish runs the step. It changes nothing until every check has passed and every read that the change depends on has
// succeeded.
func (r *run) publish(signals context.Context, args arguments, problem text) *failure {
	if f := r.begin(args, problem); f != nil {
		return f
	}
	defer r.client.Close()
	budget := fmt.Errorf("gave up after %s", shortDuration(r.in.Timeout))
	ctx, cancel := context.WithDeadlineCause(signals, r.start.Add(r.in.Timeout), budget)
	defer cancel()

	var err error
	r.before, err = readPreflight(ctx, r.client, r.in)
	r.readAt = time.Now()
	r.numbersReadAt = r.readAt
	r.logAll(r.preflightLines())
	var refused *failure
	r.plan, refused = newPlan(r.in, r.before)
	switch {
	case err != nil:
		return r.readFailure(err)
	case r.in.ShowLive:
		return nil
	case refused != nil:
		refused.live = r.nothingChanged()
		return refused
	}
	r.reviewChanges()
	if r.in.DryRun {
		return nil
	}
	if err := r.change(ctx); err != nil {
		return r.verify(signals, err)
	}
	r.checkReleased(signals)
	return nil
}

// begin masks the token, validates every input and opens the file for the outputs.
func (r *run) begin(args arguments, problem text) *failure {
	get := func(name string) string { return r.input(args.inputs, name) }
	r.mask(secretToken(get("token")), secretToken(args.secret))
	r.log(say("publish-agent-version %s", r.Version))
	in, problems := readInputs(get)
	problems = append(problems, r.emptyBooleans(args.inputs)...)
	switch {
	case !problem.empty():
		problems = []text{problem}
	case len(r.Args) > 0 && r.inActions():
		problems = []text{say("Command-line arguments are not supported in GitHub Actions: set the inputs under %s", literal("with:"))}
	}
	outputsErr := r.openOutputs()
	if len(problems) > 0 {
		return invalidInputs(problems)
	}
	if outputsErr != nil {
		return outputsUnwritable(outputsErr)
	}
	r.in, r.requestID = in, uuid.New()
	r.client = &diga.Client{
		BaseURL: in.APIURL, Token: in.Token.reveal(), MaxRetries: in.MaxRetries, Dial: r.Dial, Jitter: r.Jitter,
		UserAgent: "publish-agent-version/" + r.Version, RequestID: r.requestID,
		BeforeRetry: r.recheck, OnAttempt: r.logAttempt, OnWait: func(w diga.Wait) { r.log(waitLine(w)) },
	}
	r.log(say("Agent %s: %s. Request ID %s.", literal(in.Agent.String()), r.request(), literal(r.requestID.String())))
	return nil
}

// reviewChanges compares the live version with its replacement, and warns if that is older.
func (r *run) reviewChanges() {
	if isOlder(r.before) {
		r.warn("Older version", r.olderWarning())
	}
	r.compared = r.in.ShowChanges != noChanges && r.before.version.known && r.before.target.known
	if !r.compared {
		return
	}
	r.changes = compareConfig(r.before.version.value, r.before.target.value)
	if len(r.changes) > 0 {
		r.log(say("Configuration fields that differ: %s.", changesText(r.changes)))
	}
	if r.in.DryRun && r.in.ShowChanges == fullChanges {
		r.logLines(fullDiff(r.changes, r.cleaner))
	}
}

// change sends the change. The error is why it was not confirmed.
func (r *run) change(ctx context.Context) error {
	if ctx.Err() == nil {
		r.log(say("PATCH %s", literal(r.in.APIURL.JoinPath("v1/agent", r.in.Agent.String(), "published_version").Redacted())))
	}
	r.changeSent = true
	confirmed, _, err := r.client.Publish(ctx, r.plan.change())
	if err == nil {
		r.confirmed = &confirmed
	}
	return err
}

// logAttempt logs attempts at the change. Attempts at reads go to the debug log.
func (r *run) logAttempt(a diga.Attempt) {
	line := attemptLine(a)
	if a.Method == http.MethodPatch {
		r.attempts = a.Number
		r.log(line)
	} else {
		r.debug(say("%s %s: %s", a.Method, literal(a.Path), line))
	}
	r.debug(say("Connection reused: %t; HTTP/2: %t.", a.Reused, a.HTTP2))
}

// finish reports the result and returns the exit status.
func (r *run) finish() int {
	r.elapsed = time.Since(r.start)
	if f := r.failure; f != nil && r.text(f.code) != f.code { // a server can send the token as its code
		f.code = fmt.Sprint(codeHTTPPrefix, f.http)
	}
	if err := r.setOutputs(r.outputs(r.text)); err != nil && r.failure != nil {
		r.log(say("Could not write the outputs: %s.", literal(err.Error())))
	} else if err != nil {
		r.failure = r.outputsLost(err)
	}
	r.addSummary(r.summary(r.cleaner, r.uses()))
	if f := r.failure; f != nil {
		r.fail(f.code, f.annotation(r.text))
		if f.signal != 0 {
			return 128 + int(f.signal) // as a shell reports a process that a signal ended
		}
		return 1
	}
	r.notice(r.success())
	return 0
}
