package publish_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"publish-agent-version/internal/runner"
	"publish-agent-version/internal/sandbox"
	"publish-agent-version/publish"
)

// TestMain gives the tests a network of their own: no proxy, and no certificate authority but theirs.
func TestMain(m *testing.M) {
	if os.Getenv(measureEnv) != "" {
		measureMemory()
	}
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "REQUEST_METHOD"} {
		os.Unsetenv(name)
	}
	dir, err := os.MkdirTemp("", "publish-test-")
	if err != nil {
		panic(err)
	}
	tempDir = dir
	os.Setenv("SSL_CERT_FILE", trusted().write(dir))
	os.Setenv("SSL_CERT_DIR", dir)
	status := m.Run()
	os.RemoveAll(dir)
	os.Exit(status)
}

// tempDir is a directory that lives as long as the tests.
var tempDir string

// A scenario is one run of the step. The zero value publishes sandbox.NextID for sandbox.FrontDesk, inside Actions.
type scenario struct {
	inputs     map[string]string // by their names; over the defaults
	env        map[string]string // other variables; an empty one is not set
	outputFile string            // what the file for the outputs holds already

	ctx      context.Context // nil: the test's
	signal   syscall.Signal  // what ends the run; 0: nothing does
	signalAt time.Duration   // after the start, when signal comes

	dial      func(ctx context.Context, network, addr string) (net.Conn, error) // nil: the network; not for virtual time
	jitter    func(limit time.Duration) time.Duration                           // nil: random
	dialError func(ctx context.Context, n int) error                            // how the n-th dial in virtual time ends, from 1; nil: every one connects
}

// result is what a run leaves behind.
type result struct {
	exit           int
	stdout, stderr string
	log            *runner.Log
	outputs        map[string]string // nil: the scenario names a file of its own, or none
	summary        string            // empty: the same
	elapsed        time.Duration
	memory         int64 // the most that was resident, in bytes; of runMeasured alone
}

// outputNames are the contract's.
var outputNames = []string{
	"status", "agent-id", "published-version-id", "inbound-phone-number-id", "outbound-phone-number-id",
	"inbound-phone-number", "outbound-phone-number", "version-id", "version-name", "changed-fields", "previous-version-id", "previous-version-name",
	"previous-inbound-phone-number-id", "previous-outbound-phone-number-id",
	"error-code", "error-message", "http-status", "attempts",
}

// environment returns every variable of the run, with files of its own for the outputs and the summary unless the scenario names
// them. The defaults are those that reach the action from a workflow that says no more than it must.
func (tr scenario) environment(t *testing.T) (env map[string]string, outputs, summary string) {
	t.Helper()
	env = map[string]string{
		"GITHUB_ACTIONS":           "true",
		"GITHUB_ACTION_REPOSITORY": "octo-org/publish-agent-version",
		"GITHUB_ACTION_REF":        "v1",
	}
	inputs := map[string]string{
		"token": sandbox.Token, "agent-id": sandbox.FrontDesk, "unpublish": "false", "dry-run": "false",
		"api-url": "http://diga", "timeout": "2m", "max-retries": "4",
	}
	if tr.inputs["version-name"] == "" && !strings.EqualFold(tr.inputs["unpublish"], "true") {
		inputs["version-id"] = sandbox.NextID
	}
	maps.Copy(inputs, tr.inputs)
	for name, value := range inputs {
		env["INPUT_"+strings.ToUpper(name)] = value
	}
	dir := t.TempDir()
	file := func(variable, content string) (path string) {
		if _, named := tr.env[variable]; named {
			return ""
		}
		path = filepath.Join(dir, variable)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		env[variable] = path
		return path
	}
	outputs, summary = file("GITHUB_OUTPUT", tr.outputFile), file("GITHUB_STEP_SUMMARY", "")
	maps.Copy(env, tr.env)
	return env, outputs, summary
}

// run runs the step in this process and checks what is true of every run.
func (tr scenario) run(t *testing.T) result {
	t.Helper()
	env, outputs, summary := tr.environment(t)
	ctx := tr.ctx
	if ctx == nil {
		ctx = t.Context()
	}
	if tr.signal != 0 {
		cancellable, cancel := context.WithCancelCause(ctx)
		ctx = cancellable
		defer time.AfterFunc(tr.signalAt, func() { cancel(publish.Signal{Signal: tr.signal}) }).Stop()
	}
	var stdout, stderr bytes.Buffer
	step := publish.Step{
		Getenv: func(name string) string { return env[name] },
		Stdout: &stdout, Stderr: &stderr, Version: "test", Dial: tr.dial, Jitter: tr.jitter,
	}
	begin := time.Now()
	res := result{exit: step.Run(ctx), elapsed: time.Since(begin)}
	res.stdout, res.stderr = stdout.String(), stderr.String()
	tr.collect(t, &res, env, outputs, summary)
	return res
}

// runInMemory is run against a server in memory, in virtual time. It ends when every connection has.
func (tr scenario) runInMemory(t *testing.T, server fakeServer) (res result) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := newMemoryNetwork()
		var serving sync.WaitGroup
		serving.Go(func() { _ = server.Serve(l) })
		var dials atomic.Int64
		tr.dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
			n := int(dials.Add(1))
			if tr.dialError != nil {
				if err := tr.dialError(ctx, n); err != nil {
					return nil, err
				}
			}
			return l.dial(ctx)
		}
		res = tr.run(t)
		_ = server.Close()
		l.Close()
		serving.Wait()
	})
	return res
}

// runBinary is run in a process of its own. Of the variables of this process it gets none.
func (tr scenario) runBinary(t *testing.T) result {
	t.Helper()
	return tr.runCommand(t, exec.CommandContext(t.Context(), builtAction()))
}

// runMeasured is runBinary with a look at the memory that it takes.
func (tr scenario) runMeasured(t *testing.T) result {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	cmd := exec.CommandContext(t.Context(), os.Args[0], builtAction())
	cmd.Env, cmd.ExtraFiles = []string{measureEnv + "=1"}, []*os.File{write}
	res := tr.runCommand(t, cmd)
	write.Close()
	if _, err := fmt.Fscan(read, &res.memory); err != nil {
		t.Error(err)
	}
	return res
}

func (tr scenario) runCommand(t *testing.T, cmd *exec.Cmd) result {
	t.Helper()
	env, outputs, summary := tr.environment(t)
	cmd.Dir = t.TempDir()
	cmd.Env = append([]string{}, cmd.Env...) // nil would mean all of them
	for name, value := range env {
		if value != "" {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	begin := time.Now()
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	res := result{exit: cmd.ProcessState.ExitCode(), elapsed: time.Since(begin), stdout: stdout.String(), stderr: stderr.String()}
	tr.collect(t, &res, env, outputs, summary)
	return res
}

// measureEnv is the variable that turns this program into one that runs another, and writes the most memory that it took,
// in bytes, to file 3. What the kernel reports of a process is never less than what its parent had when it started it, so
// the parent has to be a small one.
const measureEnv = "PUBLISH_TEST_MEASURE"

func measureMemory() {
	os.Unsetenv(measureEnv)
	cmd := exec.Command(os.Args[1])
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	_ = cmd.Run() // the exit status says the same
	fmt.Fprintln(os.NewFile(3, "memory"), cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss<<10)
	os.Exit(cmd.ProcessState.ExitCode())
}

// builtAction builds the action once and returns the path of its binary.
var builtAction = sync.OnceValue(func() string {
	path := filepath.Join(tempDir, "publish-agent-version")
	build := exec.Command("go", "build", "-o", path, "..")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		panic(fmt.Sprintf("building the action: %v\n%s", err, out))
	}
	return path
})

// collect reads what the run left behind and checks what is true of every run.
func (tr scenario) collect(t *testing.T, res *result, env map[string]string, outputs, summary string) {
	t.Helper()
	res.log = runner.ReadLog(res.stdout + res.stderr)
	read := func(path string) string {
		if path == "" {
			return ""
		}
		content, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
		}
		return string(content)
	}
	res.summary = read(summary)
	text := read(outputs)
	if outputs == "" && env["GITHUB_ACTIONS"] != "true" {
		text = res.stdout
	}
	list, err := runner.Outputs(text)
	if err != nil {
		t.Errorf("outputs: %v", err)
	}
	if earlier, err := runner.Outputs(tr.outputFile); err == nil && len(earlier) <= len(list) {
		list = list[len(earlier):]
	}
	if text != "" || outputs != "" {
		res.outputs = make(map[string]string)
	}
	for _, output := range list {
		if _, twice := res.outputs[output.Name]; twice || !slices.Contains(outputNames, output.Name) {
			t.Errorf("output %q is not the contract's, or stands twice", output.Name)
		}
		res.outputs[output.Name] = output.Value
	}
	if !slices.Contains([]int{0, 1, 130, 143}, res.exit) {
		t.Errorf("exit status %d", res.exit)
	}
	res.checkOutputs(t)
	if env["GITHUB_ACTIONS"] == "true" {
		res.checkCommands(t, strings.TrimSpace(env["INPUT_TOKEN"]), env["RUNNER_DEBUG"] == "1")
	} else if len(res.log.Commands) > 0 {
		t.Errorf("commands outside Actions: %v", res.log.Commands)
	}
	for _, place := range append(slices.Clone(res.log.Printed), text, res.summary) {
		token := strings.TrimSpace(env["INPUT_TOKEN"])
		if seen := runner.FindSecret(place, token); len(token) >= 8 && len(seen) > 0 {
			t.Errorf("shows the token, %v:\n%s", seen, place)
		}
	}
	if t.Failed() {
		t.Logf("printed:\n%s%s\noutputs: %q", res.stdout, res.stderr, res.outputs)
	}
}

func (res *result) checkOutputs(t *testing.T) {
	t.Helper()
	if res.outputs == nil {
		return
	}
	of := map[bool][]string{true: {"published", "unpublished", "dry-run", "live", "offline"}, false: {"failed", "unknown"}}
	if status := res.outputs["status"]; !slices.Contains(of[res.exit == 0], status) {
		t.Errorf("status %q with exit status %d", status, res.exit)
	}
	confirmed := []string{"agent-id", "published-version-id", "inbound-phone-number-id", "outbound-phone-number-id", "inbound-phone-number", "outbound-phone-number"}
	wrong := []string{"error-code", "error-message", "http-status"}
	if res.exit != 0 {
		wrong = confirmed
		if res.outputs["error-code"] == "" || res.outputs["error-message"] == "" {
			t.Error("a failure without error-code or error-message")
		}
	}
	for _, name := range wrong {
		if value, set := res.outputs[name]; set {
			t.Errorf("output %s is %q with exit status %d", name, value, res.exit)
		}
	}
}

// checkCommands holds the commands that the runner finds against those that the step means to give.
func (res *result) checkCommands(t *testing.T, token string, debug bool) {
	t.Helper()
	for i, command := range res.log.Commands {
		meant := command.Grammar == 1
		switch command.Name {
		case "add-mask":
			meant = meant && i == 0 && token != "" && command.Data == token
		case "notice", "warning", "error":
		case "debug":
			meant = meant && debug
		default:
			meant = false
		}
		if !meant {
			t.Errorf("command %d: %+v", i, command)
		}
	}
	if len(res.log.Failures) > 0 {
		t.Errorf("commands that fail the step: %v", res.log.Failures)
	}
	count := make(map[string]int)
	for _, a := range res.log.Annotations() {
		count[a.Level]++
		if a.Level == "error" && res.outputs != nil && a.Title != res.outputs["error-code"] {
			t.Errorf("the annotation's title is %q, the error-code %q", a.Title, res.outputs["error-code"])
		}
	}
	want := map[bool][2]int{true: {0, 1}, false: {1, 0}}[res.exit == 0]
	if got := [2]int{count["error"], count["notice"]}; got != want {
		t.Errorf("%d errors and %d notices with exit status %d", got[0], got[1], res.exit)
	}
}

// message is the text of the one error or notice.
func (res *result) message() string {
	for _, a := range res.log.Annotations() {
		if a.Level != "warning" {
			return a.Message
		}
	}
	return ""
}

// expected is what a run must end with. A zero field is not looked at, but an empty code means success.
type expected struct {
	code       string
	status     string        // empty: failed after a failure, else published
	httpStatus string        // the output http-status; "none": there is none
	attempts   int           // the output, and how many requests for the change the API receives; -1: there is no such output
	noRequest  bool          // the API receives none of them
	says       []string      // parts of the message of the annotation
	neverShown []string      // what must be in nothing that is printed or written
	minTime    time.Duration // the time that the run takes, at least
	maxTime    time.Duration // and at most
	verifyTime time.Duration // what reading back adds to both
}

// check holds res against w.
func (res *result) check(t *testing.T, w expected) {
	t.Helper()
	status := w.status
	if status == "" && w.code != "" {
		status = "failed"
	} else if status == "" {
		status = "published"
	}
	if res.outputs["error-code"] != w.code || res.outputs["status"] != status {
		t.Errorf("code %q, status %q; want %q, %q", res.outputs["error-code"], res.outputs["status"], w.code, status)
	}
	if got, set := res.outputs["http-status"]; w.httpStatus == "none" && set || w.httpStatus != "none" && w.httpStatus != "" && got != w.httpStatus {
		t.Errorf("http-status %q, want %s", got, w.httpStatus)
	}
	if got, set := res.outputs["attempts"]; w.attempts < 0 && set || w.attempts > 0 && got != strconv.Itoa(w.attempts) {
		t.Errorf("attempts %q, want %d", got, w.attempts)
	}
	for _, part := range w.says {
		if !strings.Contains(res.message(), part) && !strings.Contains(res.outputs["error-message"], part) {
			t.Errorf("the message does not say %q", part)
		}
		inHeadline := (strings.HasPrefix(part, nothingChanged) || strings.HasSuffix(part, stillLive)) && strings.Contains(res.summary, "is still on")
		if w.code != "" && res.summary != "" && !inHeadline && !res.summarySays(part) {
			t.Errorf("the summary does not say %q:\n%s", part, res.summary)
		}
	}
	for _, part := range w.neverShown {
		for _, place := range []string{res.stdout, res.stderr, res.summary, fmt.Sprint(res.outputs)} {
			if strings.Contains(place, part) {
				t.Errorf("shows %q:\n%s", part, place)
			}
		}
	}
	headline := map[string][]string{
		"published": {"is live"}, "unpublished": {"is offline"}, "dry-run": {"Dry run"},
		"failed": {"is still on", "was not", "Nothing was sent", "Done, but"}, "unknown": {"ould not confirm", "Done, but"},
	}[status]
	first, _, _ := strings.Cut(res.summary, "\n")
	if res.summary != "" && !slices.ContainsFunc(headline, func(part string) bool { return strings.Contains(first, part) }) {
		t.Errorf("the summary is headed %q, want one of %q", first, headline)
	}
	if w.minTime > 0 {
		w.minTime += w.verifyTime
	}
	if w.maxTime > 0 {
		w.maxTime += w.verifyTime
	}
	if res.elapsed < w.minTime || w.maxTime > 0 && res.elapsed > w.maxTime {
		t.Errorf("took %s, want %s to %s", res.elapsed, w.minTime, w.maxTime)
	}
	if t.Failed() {
		t.Logf("printed:\n%s%s\noutputs: %q", res.stdout, res.stderr, res.outputs)
	}
}

// summarySays reports whether the summary has each of the items that are joined by semicolons in a message.
func (res *result) summarySays(message string) bool {
	summary := strings.ReplaceAll(res.summary, "`", "")
	for item := range strings.SplitSeq(strings.TrimPrefix(message, ": "), "; ") {
		if !strings.Contains(summary, item) {
			return false
		}
	}
	return true
}

// within returns w with bounds on the time that the run takes.
func (w expected) within(least, most time.Duration) expected {
	w.minTime, w.maxTime = least, most
	return w
}

// unknownOutcome is the end of a change that may have been applied, when the API shows that it was not.
func unknownOutcome(code string, attempts int, says ...string) expected {
	return expected{code: code, status: "unknown", attempts: attempts, says: append(says, mayBeApplied), verifyTime: time.Second}
}

// notSent is the end of a change that never left this machine.
func notSent(code string, attempts int, says ...string) expected {
	return expected{
		code: code, attempts: attempts, noRequest: true, httpStatus: "none",
		says: append(says, nothingChanged), neverShown: []string{mayBeApplied},
	}
}

// The sentences on what is live that most rows share.
const (
	nothingChanged = "Nothing was changed"
	stillLive      = "v1.22.7 is still live"
	mayBeApplied   = stillLive + ", but the change may still be applied"
	notReadable    = "he change may have been applied: what is live could not be read"
	readBack       = "Confirmed by reading it back"
	isSafe         = "un this step again: that is safe"
	checkFirst     = "Check in Diga what is live"
)

// TestHarness sees one success through each way to run the step.
func TestHarness(t *testing.T) {
	t.Run("sockets", func(t *testing.T) {
		p := &fakeAPI{}
		res := scenario{inputs: map[string]string{"api-url": p.start(t)}}.run(t)
		res.check(t, expected{attempts: 1})
	})
	t.Run("TLS", func(t *testing.T) {
		p := &fakeAPI{onConnect: serveTLS(trustedConfig())}
		res := scenario{inputs: map[string]string{"api-url": "https://" + startServer(t, p)}}.run(t)
		res.check(t, expected{attempts: 1})
	})
	t.Run("virtual time", func(t *testing.T) {
		p := &fakeAPI{replies: []response{respond(503, ""), confirmation}}
		res := scenario{}.runInMemory(t, p)
		res.check(t, expected{attempts: 2, minTime: 500 * time.Millisecond, maxTime: time.Second})
	})
	t.Run("a sandbox in virtual time", func(t *testing.T) {
		api, server := newSandbox(t, sandbox.Fault{Status: 503})
		res := scenario{}.runInMemory(t, server)
		res.check(t, expected{attempts: 2, minTime: 500 * time.Millisecond, maxTime: time.Second})
		if live, _, _ := api.Live(sandbox.FrontDesk); live != sandbox.NextID {
			t.Errorf("live is %s", live)
		}
	})
	t.Run("a process", func(t *testing.T) {
		p := &fakeAPI{}
		res := scenario{inputs: map[string]string{"api-url": p.start(t)}}.runMeasured(t)
		res.check(t, expected{attempts: 1})
		if res.memory < 1<<20 || res.memory > maxMemory {
			t.Errorf("took %d bytes", res.memory)
		}
	})
}
