// The harness of this package's tests. A test has four parts:
//
//   - a server: a fakeAPI plays scripted responses, byte by byte if need be; newSandbox returns the sandbox, which has
//     the API's state and rules; network_test.go has the networks in between.
//   - a scenario: the inputs, the environment, and what happens to the run. Its zero value is a workflow that publishes
//     sandbox.NextID for sandbox.FrontDesk.
//   - a run, which ends in a result: run has a real network; runInMemory has one in memory, and virtual time;
//     runBinary, runMeasured and process start the built binary. Each of them checks what must be true of every run:
//     see collect.
//   - what is expected of the result: an expected, often made by notSent, unknownOutcome or rejected.
//
// Most tests need one line, which runs in memory as a subtest:
//
//	replying(apiError(404, "NOT_FOUND", "No.")).test(t, "not found", scenario{}, rejected("NOT_FOUND", 404, ": No."))
//
// A test against the sandbox is most often a story: see story_test.go.
package publish_test

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
	"unicode"
	"unicode/utf8"

	"publish-agent-version/internal/runner"
	"publish-agent-version/internal/sandbox"
	"publish-agent-version/publish"
)

// TestMain gives the tests a network of their own: no proxy, and no certificate authority but theirs.
func TestMain(m *testing.M) {
	if os.Getenv(measureEnv) != "" {
		measureMemory()
	}
	if !slices.ContainsFunc(os.Args, func(arg string) bool { return strings.HasPrefix(arg, "-test.fuzz=") }) {
		_ = flag.Set("test.parallel", "16") // parallel tests mostly wait; the command line still wins
	}
	inputNames, outputNames = declared("inputs"), declared("outputs")
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
		"REQUEST_METHOD"} {
		os.Unsetenv(name)
	}
	dir, err := os.MkdirTemp("", "publish-test-")
	if err != nil {
		panic(err)
	}
	tempDir = dir
	root := newFileIn(dir, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: trusted().Certificate[0]})))
	os.Setenv("SSL_CERT_FILE", root)
	os.Setenv("SSL_CERT_DIR", dir)
	debug.SetGCPercent(400) // short runs leave much garbage, and there is memory enough
	status := m.Run()
	os.RemoveAll(dir)
	os.Exit(status)
}

// What action.yml declares.
var inputNames, outputNames []string

func declared(section string) (names []string) {
	block := regexp.MustCompile(`(?s)\n` + section + `:\n(.*?)\n\w`).FindSubmatch(must(os.ReadFile("../action.yml")))
	for _, name := range regexp.MustCompile(`(?m)^  ([a-z-]+):$`).FindAllSubmatch(block[1], -1) {
		names = append(names, string(name[1]))
	}
	return names
}

// must is for what cannot fail.
func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// environ is an environment without the variables that are empty.
func environ(env map[string]string) (list []string) {
	for name, value := range env {
		if value != "" {
			list = append(list, name+"="+value)
		}
	}
	return list
}

// newFile makes a file with this content and returns its path.
func newFile(t *testing.T, content string) string { return newFileIn(t.TempDir(), content) }

func newFileIn(dir, content string) string {
	f := must(os.CreateTemp(dir, "file"))
	defer f.Close()
	must(f.WriteString(content))
	return f.Name()
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// tempDir is a directory that lives as long as the tests.
var tempDir string

// A scenario is one run of the step. The zero value publishes sandbox.NextID for sandbox.FrontDesk, inside Actions.
type scenario struct {
	inputs     map[string]string // by their names; over the defaults
	env        map[string]string // other variables; an empty one is not set
	outputFile string            // what the file for the outputs contains before the run

	ctx      context.Context // nil: the test's
	signal   syscall.Signal  // what ends the run; 0: nothing does
	signalAt time.Duration   // after the start

	latency time.Duration // of the network in virtual time
	// Nil: the network; not for virtual time.
	dial   func(ctx context.Context, network, addr string) (net.Conn, error)
	jitter func(limit time.Duration) time.Duration // nil: random
	// Changes the step before it runs; nil: nothing does.
	modify func(s *publish.Step, cancel context.CancelCauseFunc)
	// How the n-th dial in virtual time ends, from 1; nil: every one connects.
	dialError func(ctx context.Context, n int) error
}

// with returns a scenario with these inputs, each a name and a value.
func with(inputs ...string) scenario {
	s := scenario{inputs: make(map[string]string)}
	for i := 0; i < len(inputs); i += 2 {
		s.inputs[inputs[i]] = inputs[i+1]
	}
	return s
}

// result is what a run leaves behind.
type result struct {
	exit           int
	stdout, stderr string
	log            *runner.Log
	outputs        map[string]string // nil: the scenario names a file of its own, or none
	summary        string            // empty: the same
	elapsed        time.Duration
}

// environment returns every variable of the run, with new files for the outputs and the summary unless the scenario
// names them. The defaults are those of a workflow that sets only what it must.
func (s scenario) environment(t *testing.T) (env map[string]string, outputs, summary string) {
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
	if s.inputs["version-name"] == "" && !strings.EqualFold(s.inputs["unpublish"], "true") {
		inputs["version-id"] = sandbox.NextID
	}
	maps.Copy(inputs, s.inputs)
	for name, value := range inputs {
		env["INPUT_"+strings.ToUpper(name)] = value
	}
	file := func(variable, content string) (path string) {
		if _, named := s.env[variable]; named {
			return ""
		}
		env[variable] = newFileIn(tempDir, content) // t.TempDir would cost each run four more system calls
		return env[variable]
	}
	outputs, summary = file("GITHUB_OUTPUT", s.outputFile), file("GITHUB_STEP_SUMMARY", "")
	maps.Copy(env, s.env)
	return env, outputs, summary
}

// run runs the step in this process and checks what is true of every run.
func (s scenario) run(t *testing.T) result {
	t.Helper()
	env, outputs, summary := s.environment(t)
	ctx := s.ctx
	if ctx == nil {
		ctx = t.Context()
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if s.signal != 0 {
		defer time.AfterFunc(s.signalAt, func() { cancel(publish.Signal{Signal: s.signal}) }).Stop()
	}
	var stdout, stderr bytes.Buffer
	step := publish.Step{
		Environ: environ(env),
		Stdout:  &stdout, Stderr: &stderr, Version: "test", Dial: s.dial, Jitter: s.jitter,
	}
	if s.modify != nil {
		s.modify(&step, cancel)
	}
	begin := time.Now()
	res := result{exit: step.Run(ctx), elapsed: time.Since(begin)}
	res.stdout, res.stderr = stdout.String(), stderr.String()
	s.collect(t, &res, env, outputs, summary)
	return res
}

// runInMemory is run against a server in memory, in virtual time. It ends when every connection has.
func (s scenario) runInMemory(t *testing.T, server fakeServer) (res result) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l, stop := serveInMemory(server, s.latency)
		defer stop()
		var dials atomic.Int64
		s.dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
			n := int(dials.Add(1))
			if s.dialError != nil {
				if err := s.dialError(ctx, n); err != nil {
					return nil, err
				}
			}
			return l.dial()
		}
		res = s.run(t)
	})
	return res
}

// check runs s against server in memory and checks the result.
func (s scenario) check(t *testing.T, server fakeServer, w expected) result {
	t.Helper()
	res := s.runInMemory(t, server)
	res.check(t, w)
	if api, ok := server.(*fakeAPI); ok && res.outputs != nil {
		api.checkAttempts(t, res)
	}
	return res
}

// test is check as a subtest.
func (s scenario) test(t *testing.T, name string, server fakeServer, w expected) {
	t.Run(name, func(t *testing.T) { s.check(t, server, w) })
}

// runBinary is run in a process of its own. Of the variables of this process it gets none.
func (s scenario) runBinary(t *testing.T) result {
	t.Helper()
	return s.process(t, "").finish(t)
}

// runMeasured is runBinary with a check of the memory that it takes.
func (s scenario) runMeasured(t *testing.T) result {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	p := s.process(t, "")
	p.Path, p.Args = os.Args[0], []string{os.Args[0], builtAction()}
	p.Env, p.ExtraFiles = append(p.Env, measureEnv+"=1"), []*os.File{write}
	res := p.finish(t)
	write.Close()
	var memory int64
	if _, err := fmt.Fscan(read, &memory); err != nil || memory < 1<<20 || memory > maxMemory {
		t.Errorf("took %d bytes (%v)", memory, err)
	}
	return res
}

// measureEnv makes the test binary run another program and write its peak memory, in bytes, to file 3. The kernel never
// reports less than the parent had when it started the process, so the parent has to be small.
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
	// With cgo or without, as these tests: otherwise an empty build cache would have to fill with a second standard
	// library.
	if out, err := exec.Command("go", "build", "-o", path, "..").CombinedOutput(); err != nil {
		panic(fmt.Sprintf("building the action: %v\n%s", err, out))
	}
	return path
})

// collect reads what the run left behind and checks what is true of every run.
func (s scenario) collect(t *testing.T, res *result, env map[string]string, outputs, summary string) {
	t.Helper()
	token := strings.TrimSpace(env["INPUT_TOKEN"])
	res.log = runner.ReadLog(res.stdout + res.stderr)
	read := func(path string) string {
		if path == "" {
			return ""
		}
		return readFile(t, path)
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
	if earlier, err := runner.Outputs(s.outputFile); err == nil && len(earlier) <= len(list) {
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
		res.checkCommands(t, token, env["RUNNER_DEBUG"] == "1")
	} else if len(res.log.Commands) > 0 {
		t.Errorf("commands outside Actions: %v", res.log.Commands)
	}
	hidden := len(token) >= 8 && utf8.ValidString(token) && !strings.Contains(token, "*") // the stars complete that one
	for _, place := range append(slices.Clone(res.log.Printed), text, res.summary) {
		if seen := runner.FindSecret(place, token); hidden && len(seen) > 0 {
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
	of := map[bool][]string{true: {"published", "unpublished", "dry-run", "live", "offline"},
		false: {"failed", "unknown"}}
	if status := res.outputs["status"]; !slices.Contains(of[res.exit == 0], status) {
		t.Errorf("status %q with exit status %d", status, res.exit)
	}
	wrong := []string{"error-code", "error-message", "http-status"}
	if res.exit != 0 {
		wrong = []string{"agent-id", "published-version-id", "inbound-phone-number-id", "outbound-phone-number-id",
			"inbound-phone-number", "outbound-phone-number"}
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

// checkCommands compares the commands that the runner finds with those that the step may give.
func (res *result) checkCommands(t *testing.T, token string, debug bool) {
	t.Helper()
	first, _ := utf8.DecodeRuneInString(token)
	// A short one would mask unrelated text, and the runner would print one that begins with a combining character.
	masked := len(token) >= 8 && !unicode.IsMark(first) && !strings.ContainsRune("\uff9e\uff9f", first)
	if masked && (len(res.log.Commands) == 0 || res.log.Commands[0].Name != "add-mask") {
		t.Error("the token is not masked")
	}
	for i, command := range res.log.Commands {
		meant := command.Grammar == 1
		switch command.Name {
		case "add-mask":
			meant = meant && i == 0 && masked && command.Data == token
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
		isShort := a.Level == "error" && !slices.Contains(lists, a.Title) // others may list numbers or problems
		if n := len([]rune(a.Message)); isShort && n > 1000 || n > 3850 {
			t.Errorf("an annotation of %d characters: %s", n, a.Message)
		}
		if a.Level == "error" && res.outputs != nil && a.Title != res.outputs["error-code"] {
			t.Errorf("the annotation's title is %q, the error-code %q", a.Title, res.outputs["error-code"])
		}
	}
	want := map[bool][2]int{true: {0, 1}, false: {1, 0}}[res.exit == 0]
	if got := [2]int{count["error"], count["notice"]}; got != want {
		t.Errorf("%d errors and %d notices with exit status %d", got[0], got[1], res.exit)
	}
}

// last is the last annotation: the one error or notice.
func (res *result) last() (last runner.Annotation) {
	for _, a := range res.log.Annotations() {
		last = a
	}
	return last
}

func (res *result) message() string { return res.last().Message }

// expected is what a run must end with. A zero field is not checked, but an empty code means success.
type expected struct {
	code       string
	status     string        // empty: failed after a failure, else published
	httpStatus string        // the output http-status; "none": there is none
	attempts   int           // the output; -1: there is none
	says       []string      // parts of the message of the annotation
	neverShown []string      // must not be printed or written
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
	if got, set := res.outputs["http-status"]; w.httpStatus == "none" && set || w.httpStatus != "none" &&
		w.httpStatus != "" && got != w.httpStatus {
		t.Errorf("http-status %q, want %s", got, w.httpStatus)
	}
	if got, set := res.outputs["attempts"]; w.attempts < 0 && set || w.attempts > 0 && got != strconv.Itoa(w.attempts) {
		t.Errorf("attempts %q, want %d", got, w.attempts)
	}
	for _, part := range w.says {
		if !strings.Contains(res.message(), part) && !strings.Contains(res.outputs["error-message"], part) {
			t.Errorf("the message does not say %q", part)
		}
		if w.code != "" && res.summary != "" && !res.summarySays(part) {
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
		"published": {"is now on", "is on"}, "unpublished": {"offline"}, "dry-run": {"Dry run"}, "live": {"is on"},
		"offline": {"is offline"}, "failed": {"❌", "The step failed"},
		"unknown": {"ould not confirm", "could not be confirmed", "offline", "The step failed"},
	}[status]
	first, _, _ := strings.Cut(res.summary, "\n")
	if res.summary != "" && !slices.ContainsFunc(headline,
		func(part string) bool { return strings.Contains(first, part) }) {
		t.Errorf("the summary is headed %q, want one of %q", first, headline)
	}
	if w.code != "" && len(res.summary) > 8000 {
		t.Errorf("the summary has %d bytes", len(res.summary))
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

// asUsual is the result of a change that is published with the first request for it.
var asUsual = expected{attempts: 1}

// within returns w with bounds on the time that the run takes.
func (w expected) within(least, most time.Duration) expected {
	w.minTime, w.maxTime = least, most
	return w
}

// atOnce returns w without any wait but verifyTime.
func (w expected) atOnce() expected { return w.within(0, time.Nanosecond) }

// withHTTP returns w with the output http-status.
func (w expected) withHTTP(status string) expected {
	w.httpStatus = status
	return w
}

// neverShowing returns w with more parts that must not be shown.
func (w expected) neverShowing(parts ...string) expected {
	w.neverShown = append(slices.Clone(w.neverShown), parts...)
	return w
}

// busyMachine is the longest that a run over real sockets may take: less than the 30 s of an attempt, and far more than
// it needs on an idle machine.
const busyMachine = 25 * time.Second

// unknownOutcome is the result of a change that may still be applied, and that the API does not show as applied.
func unknownOutcome(code string, attempts int, says ...string) expected {
	return expected{code: code, status: "unknown", attempts: attempts, says: append(says, mayBeApplied),
		verifyTime: lastLook}
}

// ownError is the result of a change that the API answered with an error of its own, once: nothing comes of it.
func ownError(code string, status int, says ...string) expected {
	return expected{code: code, attempts: 1, httpStatus: fmt.Sprint(status), neverShown: []string{mayBeApplied},
		says: append(says, nothingChanged+": "+stillLive), verifyTime: lastLook}
}

// invalidResponse is the unknown outcome of a change whose one response is not a confirmation; http is as in expected.
func invalidResponse(http string, says ...string) expected {
	return unknownOutcome("ACTION_RESPONSE_INVALID", 1, append(says, isSafe)...).withHTTP(http).atOnce()
}

// notSent is the result of a change that never left this machine.
func notSent(code string, says ...string) expected {
	return expected{
		code: code, attempts: -1, httpStatus: "none",
		says: append(says, nothingChanged), neverShown: []string{mayBeApplied, "offline"}, // it was not read
	}
}

// rejected is the result of a change that the API refused with this status.
func rejected(code string, status int, says ...string) expected {
	refused := "Diga refused v1.22.8"
	if strings.HasPrefix(code, "HTTP_") || strings.HasPrefix(code, "ACTION_") {
		refused = fmt.Sprintf("The API returned %d", status)
	}
	return expected{
		code: code, attempts: 1, httpStatus: fmt.Sprint(status), maxTime: time.Nanosecond,
		says:       append(says, refused, stillLive),
		neverShown: []string{mayBeApplied},
	}
}

// lastLook is when the state is read for the last time after an answer that leaves it open.
const lastLook = 10 * time.Second

// The sentences on what is live that most rows share.
const (
	nothingChanged = "Nothing was changed"
	stillLive      = "Front desk is still on v1.22.7"
	mayBeApplied   = stillLive + ", but the change may still be applied"
	notReadable    = "he change may have been applied: could not read what is live"
	readBack       = "reading back confirmed the change"
	isSafe         = "un this step again: that is safe"
	notTheAPI      = "this is not one of the API's own answers"
	checkFirst     = "Check in Diga what is live"
)

// runOffline runs a step that must not make a connection.
func (s scenario) runOffline(t *testing.T) result {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s.ctx, s.dial = ctx, func(_ context.Context, _, addr string) (net.Conn, error) {
		t.Errorf("a connection to %s", addr)
		cancel()
		return nil, net.ErrClosed
	}
	return s.run(t)
}

// maxMemory is the most memory that the process may take, in bytes, whatever it is sent.
const maxMemory = 64 << 20

// process is a run of the built action that a test can hold on to.
type process struct {
	*exec.Cmd
	scenario
	stdout, stderr   bytes.Buffer
	env              map[string]string
	outputs, summary string // paths of the files
	started          time.Time
}

// process prepares a run of the action. The script is the shell that "$@" starts it in, if there is one; the variables
// follow it there, for shells drop those that have a hyphen in their name.
func (s scenario) process(t *testing.T, script string) *process {
	t.Helper()
	p := &process{scenario: s, Cmd: exec.CommandContext(t.Context(), builtAction())}
	p.env, p.outputs, p.summary = s.environment(t)
	vars := environ(p.env)
	if script == "" {
		p.Env = vars
	} else {
		p.Cmd = exec.CommandContext(t.Context(), "sh",
			slices.Concat([]string{"-c", script, "sh", "env", "-i"}, vars, []string{builtAction()})...)
	}
	p.Dir = t.TempDir()
	p.Stdout, p.Stderr = &p.stdout, &p.stderr
	return p
}

// finish waits for the end of the process, and starts it first if need be.
func (p *process) finish(t *testing.T) result {
	t.Helper()
	if p.Process == nil {
		p.started = time.Now()
		if err := p.Start(); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Wait(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	res := result{exit: p.ProcessState.ExitCode(), elapsed: time.Since(p.started), stdout: p.stdout.String(),
		stderr: p.stderr.String()}
	p.collect(t, &res, p.env, p.outputs, p.summary)
	return res
}

// runDiskFull is runBinary where no file can grow beyond fileLimit.
func (s scenario) runDiskFull(t *testing.T) result {
	t.Helper()
	return s.process(t, `ulimit -f 1 && exec "$@"`).finish(t)
}

// fileLimit returns the size in bytes that "ulimit -f 1" leaves to a file: shells count in different blocks.
func fileLimit(t *testing.T) int {
	t.Helper()
	path := newFile(t, "")
	command := exec.Command("sh", "-c", `ulimit -f 1 && exec head -c 65536 /dev/zero >"$0"`, path)
	_ = command.Run() // a signal ends it
	n := len(readFile(t, path))
	if n == 0 || n > 4096 {
		t.Fatalf("no limit on the size of files: %d bytes were written", n)
	}
	return n
}

// What four retries wait, without and with all of the jitter.
const (
	minBackoff = 7500 * time.Millisecond
	maxBackoff = 15 * time.Second
)
