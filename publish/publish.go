// Package publish implements the step: it publishes a version of an agent and reports the result to the runner.
package publish

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"publish-agent-version/diga"

	"github.com/google/uuid"
)

// Step is one run of the program.
type Step struct {
	Args    []string // after the program's name
	Environ []string // the environment, in the form "name=value"
	Stdout  io.Writer
	Stderr  io.Writer
	Version string // of this program

	// Dial opens connections; nil means the network.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)

	// Jitter returns a duration in [0, limit), limit > 0; nil means uniformly at random.
	Jitter func(limit time.Duration) time.Duration
}

// Getenv returns the value of a variable, or "".
func (s Step) Getenv(name string) string {
	for _, variable := range s.Environ {
		if rest, ok := strings.CutPrefix(variable, name+"="); ok {
			return rest
		}
	}
	return ""
}

func (s Step) inActions() bool { return s.Getenv("GITHUB_ACTIONS") == "true" }

// run is a Step in progress, and everything that is known about it.
type run struct {
	Step
	*report
	in        inputs
	client    *diga.Client
	start     time.Time
	elapsed   time.Duration
	requestID uuid.UUID // nil: no request was prepared

	// Before the change.
	before    view                    // and while nothing can have come of it
	versions  reading[[]diga.Version] // all of them by name, otherwise the requested one
	wish      wish
	moved     bool          // somebody else published since the step began
	launching bool          // a launch may have had an effect, but is not confirmed
	launched  bool          // wish.version was launched from the draft by this run
	changes   []fieldChange // configuration fields that differ between the versions before and after
	compared  bool          // both versions were read, so changes is complete

	// The change.
	changing       bool        // it may have been sent
	attempts       int         // requests for it that were sent
	effect         diga.Effect // of the attempts so far
	seen           observation // of the change, by reading back
	lastAttempt    time.Time
	lastStatus     int
	confirmed      bool
	confirmedAfter *failure // why it had to be read back; nil: the API confirmed it

	// The end.
	now     view // after the change
	failure *failure
	status  status
	lost    [diga.Directions][]diga.Phone // that nobody asked to release
}

// Run returns the exit status: 0 for success, 1 for failure, 130 or 143 when ctx was canceled with a Signal as its
// cause.
func (s Step) Run(ctx context.Context) (exit int) {
	args, problem := parseArgs(s.Args)
	if (args.help || args.version) && !s.inActions() {
		s.printUsage(args)
		return 0
	}
	r := &run{Step: s, report: newReport(s, args), start: time.Now()}
	defer func() {
		if recover() != nil {
			exit = r.reportPanic()
		}
	}()
	r.failure = r.publish(ctx, problem)
	return r.finish()
}

// publish runs the step. It changes nothing until every check has passed and every read that the change depends on has
// succeeded.
func (r *run) publish(signals context.Context, problem message) *failure {
	if f := r.begin(problem); f != nil {
		return f
	}
	defer r.client.Close()
	budget := fmt.Errorf("within the timeout of %s", diga.FormatDuration(r.in.Timeout))
	ctx, cancel := context.WithDeadlineCause(signals, r.start.Add(r.in.Timeout), budget)
	defer cancel()

	r.readAll(ctx)
	r.logView()
	f := r.unreadable()
	if f == nil {
		f = r.renewBefore(ctx)
	}
	if f == nil {
		f = r.makeWish(ctx)
	}
	if f != nil || r.in.ShowLive {
		return f
	}
	r.warnBefore()
	r.compareVersions()
	if r.in.DryRun {
		return nil
	}
	if r.wish.launch {
		if f := r.launch(ctx, signals); f != nil {
			return f
		}
	}
	return r.change(ctx, signals)
}

// begin masks the token, validates every input and opens the file for the outputs.
func (r *run) begin(problem message) *failure {
	env, problems := r.readEnv()
	get := func(name string) string { return cmp.Or(r.args.inputs[name], env[name]) }
	r.mask(secretToken(get("token")))
	r.log(say("publish-agent-version %s", r.Version))
	in, invalid := readInputs(get)
	problems = append(problems, invalid...)
	switch {
	case len(r.Args) > 0 && r.inActions():
		problems = []message{say("Command-line arguments are not supported in GitHub Actions: " +
			"set the inputs under with:")}
	case !problem.empty():
		problems = []message{problem}
	}
	outputsErr := r.openOutputs()
	if len(problems) > 0 {
		return invalidInputs(problems)
	}
	if outputsErr != nil {
		return outputsUnwritable(outputsErr, failed, message{})
	}
	r.in, r.requestID = in, uuid.New()
	r.wish = wish{agent: in.Agent, unpublish: in.Unpublish}
	r.wish.version = diga.Version{ID: in.Version.UUID, Name: diga.Foreign(in.VersionName)}
	r.client = &diga.Client{
		BaseURL: in.APIURL, Token: in.Token.reveal(), MaxRetries: in.MaxRetries, Dial: r.Dial, Jitter: r.Jitter,
		UserAgent: "publish-agent-version/" + r.Version, RequestID: r.requestID,
		BeforeRetry: r.beforeRetry, OnAttempt: r.logAttempt,
	}
	r.log(say("Agent %s. Request ID %s.", diga.Foreign(in.Agent.String()), diga.Foreign(r.requestID.String())))
	return nil
}

// check makes a step fail that could not write its results.
func (r *run) check(err error) {
	switch {
	case err != nil && r.failure != nil:
		r.log(say("Could not write the results: %s.", diga.Foreign(err.Error())))
	case err != nil:
		_, _, done := r.success()
		if id := r.now.live.value.ID; id != uuid.Nil && r.status != dryRun {
			done = say("%s (version %s)", done, diga.Foreign(id.String()))
		}
		r.failure = outputsUnwritable(err, r.status, done)
	}
}

// finish reports the result and returns the exit status.
func (r *run) finish() int {
	r.conclude()
	r.warnAfter()
	summary := r.summary()
	r.check(r.writeSummary(summary))
	r.check(r.setOutputs(r.outputs(shortSummary(summary), r.renderer())))
	r.addJobSummary(r.summary()) // which tells if the outputs could not be written
	if f := r.failure; f != nil {
		r.fail(f)
		if f.signal != 0 {
			return 128 + int(f.signal) // as a shell reports a process that a signal ended
		}
		return 1
	}
	title, _, m := r.success()
	if f := r.confirmedAfter; f != nil {
		m = say("%s. The request failed (%s), but reading back confirmed the change", m, f.what)
	}
	r.notice(title, m)
	return 0
}
