// Package e2e runs the built image with a GitHub runner's flags, files and signals, against a sandbox in this process. The
// ported runner parses what the image prints.
//
// E2E_IMAGE names the image, for example E2E_IMAGE=$(e2e/build). Without it every test is skipped, because the image takes
// Docker to build and to run. The Docker engine must be on this machine: the containers share its network and files.
package e2e

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"maps"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

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

// newAPI starts a sandbox on a loopback address. At the end of the test it fails the test if a request violated the API's
// contract.
func newAPI(t *testing.T) (api *sandbox.Sandbox, url string) {
	api = sandbox.New()
	server := httptest.NewServer(api)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		if violations := api.Violations(); len(violations) > 0 {
			t.Errorf("contract violations: %q", violations)
		}
	})
	return api, server.URL
}

// job is a workflow job whose only step is the action.
type job struct {
	*testing.T
	engine string            // docker or podman
	image  string            // as the engine calls it
	name   string            // of the container
	dir    string            // its subdirectories are mounted below /github
	env    map[string]string // the step's environment
	flags  []string          // additional flags of "docker run"

	// Once it runs:
	client *exec.Cmd
	output bytes.Buffer
	ended  chan struct{} // closed when the client has exited
}

const (
	outputFile  = "file_commands/set_output"
	summaryFile = "file_commands/step_summary"
)

// newJob prepares a step with the given inputs and action.yml's defaults. Unless inputs override them, it publishes
// FrontDesk's next version, and the API is at url.
func newJob(t *testing.T, url string, inputs map[string]string) *job {
	j := &job{
		T: t, engine: "docker", image: image(t), name: "publish-agent-version-" + strings.ToLower(rand.Text()), dir: t.TempDir(),
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
	all := defaults(t)
	maps.Copy(all, map[string]string{
		"token": sandbox.Token, "agent-id": sandbox.FrontDesk, "version-id": sandbox.NextID, "api-url": url,
	})
	maps.Copy(all, inputs)
	for name, value := range all { // as a runner sets them, which keeps hyphens
		j.env["INPUT_"+strings.ToUpper(name)] = value
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

// defaults returns the default of every input in action.yml, "" if it has none, as a runner sets it.
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

// write creates a file below the job's directory. As on a runner, it does not belong to root.
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

// command is the runner's "docker run" (DockerCommandManager.cs), except that it does not mount the Docker socket. Values
// are passed in the client's environment, so that they do not appear in the list of processes.
func (j *job) command() *exec.Cmd {
	args := []string{"run", "--name", j.name, "--label", "publish-agent-version-e2e", "--workdir", "/github/workspace", "--rm"}
	environment := os.Environ()
	for _, name := range slices.Sorted(maps.Keys(j.env)) {
		args = append(args, "-e", name)
		environment = append(environment, name+"="+j.env[name])
	}
	args = append(args, "--network", "host")
	for _, dir := range []string{"file_commands", "home", "workflow", "workspace"} {
		args = append(args, "-v", filepath.Join(j.dir, dir)+":/github/"+dir)
	}
	args = append(args, j.flags...)
	command := exec.CommandContext(j.Context(), j.engine, append(args, j.image)...)
	command.Env = environment
	return command
}

// docker runs the docker client and returns what it prints, trimmed.
func docker(t *testing.T, args ...string) string {
	t.Helper()
	return command(t, "docker", args...)
}

// command runs a command and returns what it prints, trimmed.
func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	var stderr strings.Builder
	command := exec.CommandContext(t.Context(), name, args...)
	command.Stderr = &stderr
	output, err := command.Output()
	if err != nil {
		t.Fatal(fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, stderr.String()))
	}
	return strings.TrimSpace(string(output))
}
