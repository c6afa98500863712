// Package e2e runs the built image as a GitHub runner does, with the same flags, files and signals, against the sandbox
// in this process, and lets the port of the runner's rules judge what comes out.
//
// E2E_IMAGE names the image, for example E2E_IMAGE=$(e2e/build). Without it every test is skipped: the image takes
// Docker to build and to run. The engine has to be on this machine, as the containers share its network and its files.
package e2e

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"publish-agent-version/internal/runner"
	"publish-agent-version/internal/sandbox"
)

// image names the image under test.
func image(t *testing.T) string {
	name := os.Getenv("E2E_IMAGE")
	if name == "" {
		t.Skip("E2E_IMAGE is not set: E2E_IMAGE=$(e2e/build) go test ./e2e/... builds the image and tests it")
	}
	return name
}

// api is a sandbox that listens on the loopback address.
type api struct {
	*sandbox.Sandbox
	URL     string
	changes chan struct{} // receives once for each PATCH that has arrived whole
}

// newAPI starts a sandbox that ends with the test, which fails if anything the sandbox received broke the API's contract.
func newAPI(t *testing.T, faults ...sandbox.Fault) *api {
	a := &api{Sandbox: sandbox.New(), changes: make(chan struct{}, 100)}
	a.Inject(faults...)
	server := httptest.NewServer(a)
	a.URL = server.URL
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		if broken := a.Violations(); len(broken) > 0 {
			t.Errorf("broke the API's contract: %q", broken)
		}
	})
	return a
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPatch {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		a.changes <- struct{}{}
	}
	a.Sandbox.ServeHTTP(w, r)
}

// methods returns the methods of the requests so far, separated by blanks.
func (a *api) methods() string {
	var all []string
	for _, r := range a.Requests() {
		all = append(all, r.Method)
	}
	return strings.Join(all, " ")
}

// job is a workflow job with one step, the action, before it runs.
type job struct {
	*testing.T
	name    string            // of the container
	dir     string            // what the runner mounts
	env     map[string]string // the step's environment
	mode    string            // of the mount with the output file: "" or ":ro"
	network string
	flags   []string // for docker, beside the runner's own
}

const (
	outputFile  = "file_commands/set_output"
	summaryFile = "file_commands/step_summary"
)

// newJob prepares a step with these inputs; the others have the defaults of action.yml. It publishes for FrontDesk in the
// API at url unless the inputs say otherwise.
func newJob(t *testing.T, url string, inputs map[string]string) *job {
	image(t)
	j := &job{
		T: t, name: "publish-agent-version-" + strings.ToLower(rand.Text()), dir: t.TempDir(), network: "host",
		env: map[string]string{
			"CI":                       "true",
			"GITHUB_ACTIONS":           "true",
			"GITHUB_ACTION_REF":        "v1",
			"GITHUB_ACTION_REPOSITORY": "octo-org/publish-agent-version",
			"GITHUB_OUTPUT":            "/github/" + outputFile,
			"GITHUB_STEP_SUMMARY":      "/github/" + summaryFile,
			"GITHUB_WORKSPACE":         "/github/workspace",
			"HOME":                     "/github/home",
		},
	}
	for name, value := range defaults(t) {
		j.input(name, value)
	}
	for name, value := range map[string]string{"token": sandbox.Token, "agent-id": sandbox.FrontDesk, "api-url": url} {
		j.input(name, value)
	}
	for name, value := range inputs {
		j.input(name, value)
	}
	for _, dir := range []string{"file_commands", "home", "workflow", "workspace"} {
		if err := os.Mkdir(filepath.Join(j.dir, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{outputFile, summaryFile} {
		j.write(file, "")
	}
	return j
}

// defaults returns the default of every input that action.yml declares; a runner sets those without one to nothing.
func defaults(t *testing.T) map[string]string {
	data, err := os.ReadFile("../action.yml")
	if err != nil {
		t.Fatal(err)
	}
	var metadata struct {
		Inputs map[string]struct{ Default string }
	}
	if err := yaml.Unmarshal(data, &metadata); err != nil {
		t.Fatal(err)
	}
	values := make(map[string]string)
	for name, input := range metadata.Inputs {
		values[name] = input.Default
	}
	if len(values) == 0 {
		t.Fatal("action.yml declares no inputs")
	}
	return values
}

// input sets the variable of an input, by the runner's rule: hyphens stay.
func (j *job) input(name, value string) {
	j.env["INPUT_"+strings.ToUpper(strings.ReplaceAll(name, " ", "_"))] = value
}

// write makes a file below the job's directory that belongs, as a runner's do, to a user who is not root.
func (j *job) write(name, content string) {
	j.Helper()
	path := filepath.Join(j.dir, name)
	err := os.WriteFile(path, []byte(content), 0o644)
	if err == nil && os.Geteuid() == 0 {
		err = os.Chown(path, 1001, 1001)
	}
	if err != nil {
		j.Fatal(err)
	}
}

func (j *job) read(name string) string {
	j.Helper()
	content, err := os.ReadFile(filepath.Join(j.dir, name))
	if err != nil {
		j.Fatal(err)
	}
	return string(content)
}

// command is the runner's "docker run" (DockerCommandManager.cs), less the engine's own socket. Values come from the client's
// environment, so that none of them shows in the machine's list of processes.
func (j *job) command() *exec.Cmd {
	args := []string{"run", "--name", j.name, "--label", "publish-agent-version-e2e", "--workdir", "/github/workspace", "--rm"}
	environment := os.Environ()
	for _, name := range slices.Sorted(maps.Keys(j.env)) {
		args = append(args, "-e", name)
		environment = append(environment, name+"="+j.env[name])
	}
	args = append(args, "--network", j.network)
	for _, dir := range []string{"home", "workflow", "workspace"} {
		args = append(args, "-v", filepath.Join(j.dir, dir)+":/github/"+dir)
	}
	args = append(args, "-v", filepath.Join(j.dir, "file_commands")+":/github/file_commands"+j.mode)
	args = append(args, j.flags...)
	command := exec.CommandContext(j.Context(), "docker", append(args, image(j.T))...)
	command.Env = environment
	return command
}

// step is a container under way.
type step struct {
	*job
	client *exec.Cmd
	output bytes.Buffer
	ended  chan struct{} // closed when the client has exited
}

// start runs the container.
func (j *job) start() *step {
	j.Helper()
	s := &step{job: j, client: j.command(), ended: make(chan struct{})}
	s.client.Stdout, s.client.Stderr = &s.output, &s.output
	if err := s.client.Start(); err != nil {
		j.Fatal(err)
	}
	j.Cleanup(func() { _ = exec.Command("docker", "rm", "--force", j.name).Run() })
	go func() {
		defer close(s.ended)
		_ = s.client.Wait() // the exit status is in ProcessState
	}()
	return s
}

// await waits until a change has arrived at a.
func (s *step) await(a *api) {
	s.Helper()
	select {
	case <-a.changes:
	case <-s.ended:
		s.Fatalf("ended before it sent the change:\n%s", s.quoted())
	}
}

// quoted returns the log with a mark before each line: when these tests run in a workflow, its runner must not obey them.
func (s *step) quoted() string {
	return "| " + strings.Join(runner.Lines(s.output.String()), "\n| ")
}

// result is what a step leaves behind, as the runner takes it.
type result struct {
	exit     int
	log      *runner.Log
	outputs  map[string]string // less error-message
	message  string            // the output error-message
	summary  string
	commands []string // "name title", in order
}

// finish waits for the container and checks what holds for every step: the container is gone, every command is one
// that was meant, the output file parses, and the token shows nowhere.
func (s *step) finish() result {
	s.Helper()
	<-s.ended
	s.Cleanup(func() {
		if s.Failed() {
			s.Logf("the step's log:\n%s", s.quoted())
		}
	})
	r := result{exit: s.client.ProcessState.ExitCode(), outputs: make(map[string]string), summary: s.read(summaryFile)}
	if left := docker(s.T, "ps", "--all", "--quiet", "--filter", "name="+s.name); left != "" {
		s.Errorf("the container is still there: %s", left)
	}

	r.log = runner.ReadLog(s.output.String())
	for _, c := range r.log.Commands {
		r.commands = append(r.commands, strings.TrimSpace(c.Name+" "+c.Properties["title"]))
	}
	if len(r.log.Failures) > 0 {
		s.Errorf("commands that fail the step: %v", r.log.Failures)
	}
	file := ""
	if content, err := os.ReadFile(filepath.Join(s.dir, outputFile)); err == nil {
		file = string(content)
	}
	outputs, err := runner.Outputs(file)
	if err != nil {
		s.Errorf("the output file: %v", err)
	}
	for _, o := range outputs {
		if _, twice := r.outputs[o.Name]; twice {
			s.Errorf("the output %s is set twice", o.Name)
		}
		r.outputs[o.Name] = o.Value
	}
	r.message = r.outputs["error-message"]
	delete(r.outputs, "error-message")

	for where, text := range map[string]string{
		"log": strings.Join(r.log.Printed, "\n"), "output file": file, "summary": r.summary, "command line": strings.Join(s.client.Args, " "),
	} {
		if seen := runner.FindSecret(text, sandbox.Token); len(seen) > 0 {
			s.Errorf("the token shows in the %s: %q", where, seen)
		}
	}
	return r
}

// run runs the container to its end.
func (j *job) run() result {
	j.Helper()
	return j.start().finish()
}

// want checks the exit status, the commands and the outputs, each of them exactly. A failed step must have one error,
// which says what the output error-message says.
func (r result) want(t *testing.T, exit int, commands []string, outputs map[string]string) {
	t.Helper()
	if r.exit != exit {
		t.Errorf("exit status %d, want %d", r.exit, exit)
	}
	if !slices.Equal(r.commands, commands) {
		t.Errorf("commands %q, want %q", r.commands, commands)
	}
	if !maps.Equal(r.outputs, outputs) {
		t.Errorf("outputs\n%q, want\n%q", r.outputs, outputs)
	}
	if r.summary == "" {
		t.Error("no job summary")
	}
	shown := r.log.Annotations()
	if len(shown) != 1 {
		t.Errorf("annotations %+v, want one", shown)
	} else if failed := exit != 0; failed != (r.message != "") || !strings.HasPrefix(shown[0].Message, r.message) {
		t.Errorf("the output error-message is %q, the annotation says %q", r.message, shown[0].Message)
	}
}

// docker runs the docker client and returns what it prints, trimmed.
func docker(t *testing.T, args ...string) string {
	t.Helper()
	var stderr strings.Builder
	command := exec.CommandContext(t.Context(), "docker", args...)
	command.Stderr = &stderr
	output, err := command.Output()
	if err != nil {
		t.Fatal(fmt.Errorf("docker %s: %w\n%s", strings.Join(args, " "), err, stderr.String()))
	}
	return strings.TrimSpace(string(output))
}
