//go:build !race

// The race detector allocates too.

package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"publish-agent-version/publish"
)

// mostAllocations is the allocation limit of one publish by ID, including the API's end: a tenth more than when this
// was written.
const mostAllocations = 2200

// publishByID returns a step that publishes by id, against an API at the other end of a pipe.
func publishByID(tb testing.TB) func() {
	replies := map[string]string{http.MethodGet: reply(http.StatusOK, version(0, "live")), http.MethodPatch: reply(http.StatusOK, publication)}
	dir := tb.TempDir()
	env := map[string]string{
		"GITHUB_ACTIONS": "true", "GITHUB_OUTPUT": filepath.Join(dir, "output"), "GITHUB_STEP_SUMMARY": filepath.Join(dir, "summary"),
		"INPUT_TOKEN": token, "INPUT_AGENT-ID": agentID, "INPUT_VERSION-ID": versionID, "INPUT_API-URL": "http://localhost",
	}
	const reads = 4 // concurrent; a late one reuses another's connection
	step := publish.Step{
		Getenv: func(name string) string { return env[name] },
		Stdout: io.Discard, Stderr: io.Discard,
	}
	return func() {
		for _, name := range []string{"GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"} {
			if err := os.WriteFile(env[name], nil, 0o600); err != nil {
				tb.Fatal(err)
			}
		}
		var connections atomic.Int64 // of this run: a connection that is no longer needed may be opened after it ends
		step.Dial = func(context.Context, string, string) (net.Conn, error) {
			connections.Add(1)
			return pipe(replies), nil
		}
		if exit := step.Run(context.Background()); exit != 0 || connections.Load() > reads {
			tb.Fatalf("exit status %d after %d connections, want 0 after %d at most", exit, connections.Load(), reads)
		}
	}
}

func BenchmarkStep(b *testing.B) {
	run := publishByID(b)
	b.ReportAllocs()
	for b.Loop() {
		run()
	}
}

func TestAllocations(t *testing.T) {
	if got := testing.AllocsPerRun(50, publishByID(t)); got > mostAllocations {
		t.Errorf("%.0f allocations, want at most %d", got, mostAllocations)
	}
}

const publication = `{"agent_id":"` + agentID + `","published_version_id":"` + versionID + `",` +
	`"inbound_phone_number_id":null,"outbound_phone_number_id":null}`
