package e2e

import (
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"publish-agent-version/internal/runner"
	"publish-agent-version/internal/sandbox"
)

// The output file is checked before anything is sent.
func TestUnwritableOutputs(t *testing.T) {
	image(t)
	const unwritable = "error ACTION_OUTPUT_UNWRITABLE"
	for _, test := range []struct {
		name     string
		setup    func(*job)
		commands []string
	}{
		{
			name: "missing file",
			setup: func(j *job) {
				if err := os.Remove(filepath.Join(j.dir, outputFile)); err != nil {
					j.Fatal(err)
				}
			},
			commands: []string{"add-mask", unwritable},
		},
		{
			name:     "read-only mount",
			setup:    func(j *job) { j.mode = ":ro" },
			commands: []string{"add-mask", "warning No job summary", unwritable},
		},
		{
			name:     "unset variable",
			setup:    func(j *job) { delete(j.env, "GITHUB_OUTPUT") },
			commands: []string{"add-mask", unwritable},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			api := newAPI(t)
			j := newJob(t, api.URL, map[string]string{"version-id": sandbox.NextID})
			test.setup(j)
			r := j.run()
			if r.exit != 1 || len(r.outputs) != 0 {
				t.Errorf("exit status %d and outputs %q, want 1 and none", r.exit, r.outputs)
			}
			if !slices.Equal(r.commands, test.commands) {
				t.Errorf("commands %q, want %q", r.commands, test.commands)
			}
			// Creating the file would hide that the runner's file is missing.
			if _, err := os.Stat(filepath.Join(j.dir, outputFile)); test.name == "missing file" && err == nil {
				t.Error("the missing file was created")
			}
			if got := api.methods(); got != "" {
				t.Errorf("requests %s, want none", got)
			}
		})
	}
}

// The disk fills up between the check and the outputs. Earlier outputs stay intact, and the annotation says what is live.
func TestFullDisk(t *testing.T) {
	api := newAPI(t)
	j := newJob(t, api.URL, map[string]string{"version-id": sandbox.NextID})
	if os.Geteuid() != 0 {
		t.Skip("mounting a file system that is almost full takes root")
	}
	disk := filepath.Join(j.dir, "disk")
	if err := os.Mkdir(disk, 0o755); err != nil {
		t.Fatal(err)
	}
	page := os.Getpagesize()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, fmt.Sprintf("size=%d", page)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, 0); err != nil {
			t.Error(err)
		}
	})
	const earlier = "earlier="
	before := earlier + strings.Repeat("x", page-len(earlier)-len("\nstatus=published\n"))
	j.write("disk/set_output", before)
	j.flags = []string{"-v", disk + ":/github/disk"}
	j.env["GITHUB_OUTPUT"] = "/github/disk/set_output"

	r := j.run()
	if want := []string{"add-mask", "error ACTION_OUTPUT_UNWRITABLE"}; r.exit != 1 || !slices.Equal(r.commands, want) {
		t.Errorf("exit status %d and commands %q, want 1 and %q", r.exit, r.commands, want)
	}
	if shown := r.log.Annotations(); len(shown) != 1 || !strings.Contains(shown[0].Message, "is now on "+sandbox.NextName) {
		t.Errorf("annotations %+v, want one that says that the agent is on %s", shown, sandbox.NextName)
	}
	if after := j.read("disk/set_output"); after != before {
		t.Errorf("the output file ends with %q", after[len(after)-min(len(after), 40):])
	}
	api.wantLive(t, [3]string{sandbox.NextID, sandbox.Reception, ""})
}

// The container has 32 MiB of memory and no swap, no home, no temporary directory, and a read-only file system except for
// the runner's files.
func TestBareContainer(t *testing.T) {
	t.Parallel()
	api := newAPI(t)
	j := newJob(t, api.URL, map[string]string{"version-name": sandbox.NextName})
	delete(j.env, "HOME")
	j.flags = []string{"--read-only", "--memory", "32m", "--memory-swap", "32m"}
	j.run().want(t, 0, []string{"add-mask", "notice Published"}, published(sandbox.NextID, sandbox.NextName, sandbox.Reception, "", "1"))
}

func TestNoNetwork(t *testing.T) {
	t.Parallel()
	j := newJob(t, defaults(t)["api-url"], map[string]string{"version-id": sandbox.NextID, "max-retries": "0"})
	j.network = "none"
	j.run().want(t, 1, []string{"add-mask", "error ACTION_NETWORK_ERROR"}, map[string]string{
		"status": "failed", "error-code": "ACTION_NETWORK_ERROR", "version-id": sandbox.NextID,
	})
}

// The image has its own root certificates, which do not include the test's until SSL_CERT_FILE names it.
func TestTLS(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(newAPI(t))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // one handshake is meant to fail
	server.StartTLS()
	t.Cleanup(server.Close)
	inputs := map[string]string{"version-id": sandbox.NextID}

	newJob(t, server.URL, inputs).run().want(t, 1, []string{"add-mask", "error ACTION_TLS_ERROR"}, map[string]string{
		"status": "failed", "error-code": "ACTION_TLS_ERROR", "version-id": sandbox.NextID,
	})

	j := newJob(t, server.URL, inputs)
	j.env["SSL_CERT_FILE"] = "/github/workspace/roots.pem"
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	j.write("workspace/roots.pem", string(certificate))
	j.run().want(t, 0, []string{"add-mask", "notice Published"}, published(sandbox.NextID, sandbox.NextName, sandbox.Reception, "", "1"))
}

// Outside Actions no line is a command: stdout has name=value lines, and stderr has the log. Inputs are variables or flags.
func TestOutsideActions(t *testing.T) {
	image(t)
	for name, setup := range map[string]func(*job){
		"variables": func(j *job) {
			maps.DeleteFunc(j.env, func(name, _ string) bool { return strings.HasPrefix(name, "GITHUB_") })
		},
		"flags": func(j *job) {
			j.args = []string{"--agent-id=" + sandbox.FrontDesk, "--version-id", sandbox.NextID, "--api-url=" + j.env["INPUT_API-URL"]}
			j.env = map[string]string{"DIGA_TOKEN": sandbox.Token}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := newAPI(t)
			j := newJob(t, api.URL, map[string]string{"version-id": sandbox.NextID})
			setup(j)
			var stdout, stderr strings.Builder
			command := j.command()
			command.Stdout, command.Stderr = &stdout, &stderr
			if err := command.Run(); err != nil {
				t.Fatalf("%v\n%s", err, stderr.String())
			}

			outputs, err := runner.Outputs(stdout.String())
			if err != nil {
				t.Errorf("stdout: %v", err)
			}
			results := make(map[string]string)
			for _, o := range outputs {
				results[o.Name] = o.Value
			}
			if want := published(sandbox.NextID, sandbox.NextName, sandbox.Reception, "", "1"); !maps.Equal(results, want) {
				t.Errorf("stdout\n%q, want\n%q", results, want)
			}
			all := stdout.String() + stderr.String()
			if commands := runner.ReadLog(all).Commands; len(commands) > 0 {
				t.Errorf("commands %+v, want none", commands)
			}
			if found := runner.FindSecret(all, sandbox.Token); len(found) > 0 {
				t.Errorf("the token appears: %q", found)
			}
			if stderr.Len() == 0 {
				t.Error("no log on stderr")
			}
		})
	}
}
