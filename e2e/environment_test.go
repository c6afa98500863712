package e2e

import (
	"encoding/pem"
	"io"
	"log"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"publish-agent-version/internal/runner"
	"publish-agent-version/internal/sandbox"
)

// The container has 32 MiB of memory and no swap, no home, no temporary directory, and a read-only file system except for
// the runner's files.
func TestBareContainer(t *testing.T) {
	t.Parallel()
	_, url := newAPI(t)
	j := newJob(t, url, nil)
	delete(j.env, "HOME")
	j.flags = []string{"--read-only", "--memory", "32m", "--memory-swap", "32m"}
	j.publishes("")
}

// The image has its own root certificates, which do not include the test's until SSL_CERT_FILE names it.
func TestTLS(t *testing.T) {
	t.Parallel()
	api, _ := newAPI(t)
	server := httptest.NewUnstartedServer(api)
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // one handshake is meant to fail
	server.StartTLS()
	t.Cleanup(server.Close)
	newJob(t, server.URL, nil).run().want(t, 1, []string{"add-mask", "error ACTION_TLS_ERROR"}, map[string]string{
		"status": "failed", "error-code": "ACTION_TLS_ERROR", "version-id": sandbox.NextID,
	})
	j := newJob(t, server.URL, nil)
	j.env["SSL_CERT_FILE"] = "/github/workspace/roots.pem"
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	j.write("workspace/roots.pem", string(certificate))
	j.publishes("")
}

// Outside Actions no line is a command: stdout has name=value lines, and stderr has the log.
func TestOutsideActions(t *testing.T) {
	t.Parallel()
	_, url := newAPI(t)
	j := newJob(t, url, nil)
	j.args = []string{"--agent-id=" + sandbox.FrontDesk, "--version-id", sandbox.NextID, "--api-url=" + url}
	j.env = map[string]string{"DIGA_TOKEN": sandbox.Token}
	var stdout, stderr strings.Builder
	command := j.command()
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	outputs, err := runner.Outputs(stdout.String())
	if err != nil || !slices.Contains(outputs, runner.Output{Name: "published-version-id", Value: sandbox.NextID}) {
		t.Errorf("stdout: %q, %v", outputs, err)
	}
	all := stdout.String() + stderr.String()
	if commands := runner.ReadLog(all).Commands; len(commands) > 0 || stderr.Len() == 0 {
		t.Errorf("commands %+v, want none, in the log\n%s", commands, stderr.String())
	}
	if found := runner.FindSecret(all, sandbox.Token); len(found) > 0 {
		t.Errorf("the token appears: %q", found)
	}
}
