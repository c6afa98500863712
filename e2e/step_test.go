package e2e

import (
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
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

// live is what the API shows of FrontDesk before any test.
var live = [...]string{sandbox.LiveID, sandbox.Reception, ""}

// published returns the outputs of a step that made versionID live in this many attempts.
func published(versionID, inbound, outbound, attempts string) map[string]string {
	return map[string]string{
		"status": "published", "agent-id": sandbox.FrontDesk, "published-version-id": versionID,
		"inbound-phone-number-id": inbound, "outbound-phone-number-id": outbound,
		"previous-version-id": sandbox.LiveID, "attempts": attempts,
	}
}

func TestStep(t *testing.T) {
	image(t)
	for _, test := range []struct {
		name     string
		inputs   map[string]string
		faults   []sandbox.Fault
		exit     int
		commands []string
		outputs  map[string]string
		message  string // a part of error-message
		requests string
		live     [3]string // version, inbound and outbound number afterwards
	}{
		{
			name:     "publish by id",
			inputs:   map[string]string{"version-id": sandbox.NextID, "outbound-phone-number-id": sandbox.Callback},
			commands: []string{"add-mask", "notice Published"},
			outputs:  published(sandbox.NextID, sandbox.Reception, sandbox.Callback, "1"),
			requests: "GET PATCH",
			live:     [3]string{sandbox.NextID, sandbox.Reception, sandbox.Callback},
		},
		{
			name:     "publish by name",
			inputs:   map[string]string{"version-name": sandbox.OldestName, "inbound-phone-number-id": sandbox.Switch},
			commands: []string{"add-mask", "notice Published"},
			outputs:  published(sandbox.OldestID, sandbox.Switch, "", "1"),
			requests: "GET GET GET GET PATCH", // three pages of versions, what is live, the change
			live:     [3]string{sandbox.OldestID, sandbox.Switch, ""},
		},
		{
			name:     "unpublish",
			inputs:   map[string]string{"unpublish": "true"},
			commands: []string{"add-mask", "notice Unpublished"},
			outputs: map[string]string{
				"status": "unpublished", "agent-id": sandbox.FrontDesk, "published-version-id": "",
				"inbound-phone-number-id": "", "outbound-phone-number-id": "",
				"previous-version-id": sandbox.LiveID, "attempts": "1",
			},
			requests: "GET PATCH",
		},
		{
			name:     "dry run",
			inputs:   map[string]string{"version-id": sandbox.NextID, "dry-run": "true"},
			commands: []string{"add-mask", "notice Dry run"},
			outputs:  map[string]string{"status": "dry-run", "previous-version-id": sandbox.LiveID},
			requests: "GET GET",
			live:     live,
		},
		{
			name:     "an error of the API",
			inputs:   map[string]string{"version-id": sandbox.NextID, "agent-id": sandbox.Callback}, // there is no such agent
			exit:     1,
			commands: []string{"add-mask", "error AGENT_NOT_FOUND"},
			outputs:  map[string]string{"status": "failed", "error-code": "AGENT_NOT_FOUND", "http-status": "404", "attempts": "1"},
			message:  "There is no agent " + sandbox.Callback,
			requests: "GET PATCH",
			live:     live,
		},
		{
			name:     "a retry that succeeds",
			inputs:   map[string]string{"version-id": sandbox.NextID},
			faults:   []sandbox.Fault{{Status: http.StatusServiceUnavailable}},
			commands: []string{"add-mask", "notice Published"},
			outputs:  published(sandbox.NextID, sandbox.Reception, "", "2"),
			requests: "GET PATCH PATCH",
			live:     [3]string{sandbox.NextID, sandbox.Reception, ""},
		},
		{
			name:     "bad inputs",
			inputs:   map[string]string{"agent-id": "front-desk", "timeout": "30", "max-retries": "11"},
			exit:     1,
			commands: []string{"add-mask", "error ACTION_INPUT_INVALID"},
			outputs:  map[string]string{"status": "failed", "error-code": "ACTION_INPUT_INVALID"},
			message:  "version-id",
			live:     live,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			api := newAPI(t, test.faults...)
			r := newJob(t, api.URL, test.inputs).run()
			r.want(t, test.exit, test.commands, test.outputs)
			if !strings.Contains(r.message, test.message) {
				t.Errorf("error-message %q, want %q in it", r.message, test.message)
			}
			if got := api.methods(); got != test.requests {
				t.Errorf("requests %s, want %s", got, test.requests)
			}
			api.wantLive(t, test.live)
		})
	}
}

func (a *api) wantLive(t *testing.T, want [3]string) {
	t.Helper()
	version, inbound, outbound := a.Live(sandbox.FrontDesk)
	if got := [3]string{version, inbound, outbound}; got != want {
		t.Errorf("live is %q, want %q", got, want)
	}
}

// The file for the outputs is looked at before anything is sent.
func TestUnwritableOutputs(t *testing.T) {
	image(t)
	const unwritable = "error ACTION_OUTPUT_UNWRITABLE"
	for _, test := range []struct {
		name     string
		spoil    func(*job)
		commands []string
	}{
		{
			name: "missing file",
			spoil: func(j *job) {
				if err := os.Remove(filepath.Join(j.dir, outputFile)); err != nil {
					j.Fatal(err)
				}
			},
			commands: []string{"add-mask", unwritable},
		},
		{
			name:     "read-only mount",
			spoil:    func(j *job) { j.mode = ":ro" },
			commands: []string{"add-mask", "warning No job summary", unwritable},
		},
		{
			name:     "unset variable",
			spoil:    func(j *job) { delete(j.env, "GITHUB_OUTPUT") },
			commands: []string{"add-mask", unwritable},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			api := newAPI(t)
			j := newJob(t, api.URL, map[string]string{"version-id": sandbox.NextID})
			test.spoil(j)
			r := j.run()
			if r.exit != 1 || len(r.outputs) != 0 {
				t.Errorf("exit status %d and outputs %q, want 1 and none", r.exit, r.outputs)
			}
			if !slices.Equal(r.commands, test.commands) {
				t.Errorf("commands %q, want %q", r.commands, test.commands)
			}
			// A library that creates the file would hide that the runner's is not there.
			if _, err := os.Stat(filepath.Join(j.dir, outputFile)); test.name == "missing file" && err == nil {
				t.Error("the missing file was created")
			}
			if got := api.methods(); got != "" {
				t.Errorf("requests %s, want none", got)
			}
		})
	}
}

// The disk fills up between the check and the outputs. Earlier outputs stay whole, and the annotation says what is live.
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
	if shown := r.log.Annotations(); len(shown) != 1 || !strings.Contains(shown[0].Message, sandbox.NextID) {
		t.Errorf("annotations %+v, want one that names %s", shown, sandbox.NextID)
	}
	if after := j.read("disk/set_output"); after != before {
		t.Errorf("the output file ends with %q", after[len(after)-min(len(after), 40):])
	}
	api.wantLive(t, [3]string{sandbox.NextID, sandbox.Reception, ""})
}

// A container of 32 MiB without swap, in which nothing but the runner's own files can be written, and which has neither a
// home nor a place for temporary files.
func TestBareContainer(t *testing.T) {
	t.Parallel()
	api := newAPI(t)
	j := newJob(t, api.URL, map[string]string{"version-name": sandbox.NextName})
	delete(j.env, "HOME")
	j.flags = []string{"--read-only", "--memory", "32m", "--memory-swap", "32m"}
	j.run().want(t, 0, []string{"add-mask", "notice Published"}, published(sandbox.NextID, sandbox.Reception, "", "1"))
}

func TestNoNetwork(t *testing.T) {
	t.Parallel()
	j := newJob(t, defaults(t)["api-url"], map[string]string{"version-id": sandbox.NextID, "max-retries": "0"})
	j.network = "none"
	j.run().want(t, 1, []string{"add-mask", "error ACTION_NETWORK_ERROR"}, map[string]string{
		"status": "failed", "error-code": "ACTION_NETWORK_ERROR", "attempts": "1",
	})
}

// The image has roots of its own, which do not know the test's certificate until SSL_CERT_FILE names it.
func TestTLS(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(newAPI(t))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // it would tell of the handshake that is meant to fail
	server.StartTLS()
	t.Cleanup(server.Close)
	inputs := map[string]string{"version-id": sandbox.NextID}

	newJob(t, server.URL, inputs).run().want(t, 1, []string{"add-mask", "error ACTION_TLS_ERROR"}, map[string]string{
		"status": "failed", "error-code": "ACTION_TLS_ERROR", "attempts": "1",
	})

	j := newJob(t, server.URL, inputs)
	j.env["SSL_CERT_FILE"] = "/github/workspace/roots.pem"
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	j.write("workspace/roots.pem", string(certificate))
	j.run().want(t, 0, []string{"add-mask", "notice Published"}, published(sandbox.NextID, sandbox.Reception, "", "1"))
}

// Outside Actions no line is a command: the results are name=value lines on stdout, the log is on stderr.
func TestOutsideActions(t *testing.T) {
	t.Parallel()
	api := newAPI(t)
	j := newJob(t, api.URL, map[string]string{"version-id": sandbox.NextID})
	maps.DeleteFunc(j.env, func(name, _ string) bool { return strings.HasPrefix(name, "GITHUB_") })
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
	if want := published(sandbox.NextID, sandbox.Reception, "", "1"); !maps.Equal(results, want) {
		t.Errorf("stdout\n%q, want\n%q", results, want)
	}
	all := stdout.String() + stderr.String()
	if commands := runner.ReadLog(all).Commands; len(commands) > 0 {
		t.Errorf("commands %+v, want none", commands)
	}
	if seen := runner.FindSecret(all, sandbox.Token); len(seen) > 0 {
		t.Errorf("the token shows: %q", seen)
	}
	if stderr.Len() == 0 {
		t.Error("no log on stderr")
	}
}
