package e2e

import (
	"syscall"
	"testing"
	"time"

	"publish-agent-version/internal/sandbox"
)

// To cancel, a runner sends SIGINT to the docker client, SIGTERM after 7.5 s, and kills the client 2.5 s later, which would
// leave the container running. The client forwards the signals to the binary, which as process 1 has no default actions.
func TestCancel(t *testing.T) {
	image(t)
	for _, test := range []struct {
		signal syscall.Signal
		exit   int
	}{
		{syscall.SIGINT, 130},
		{syscall.SIGTERM, 143},
	} {
		t.Run(test.signal.String(), func(t *testing.T) {
			api := newAPI(t, sandbox.Fault{Delay: time.Hour, Times: -1})
			s := newJob(t, api.URL, map[string]string{"version-id": sandbox.NextID}).start()
			s.awaitChange(api)
			start := time.Now()
			if err := s.client.Process.Signal(test.signal); err != nil {
				t.Fatal(err)
			}
			r := s.finish()
			// The step ends within 1 s. The rest is for the engine to remove the container.
			if took := time.Since(start); took > 2*time.Second {
				t.Errorf("ended %v after the signal, want 2 s at most", took)
			}
			r.want(t, test.exit, []string{"add-mask", "error ACTION_CANCELLED"}, outputs(map[string]string{
				"status": "unknown", "error-code": "ACTION_CANCELLED", "attempts": "1",
				"version-id": sandbox.NextID, "version-name": sandbox.NextName, "changed-fields": changedFields,
			}))
		})
	}
}

// A killed process leaves no partial output, which the runner would reject.
func TestKill(t *testing.T) {
	t.Parallel()
	api := newAPI(t, sandbox.Fault{Delay: time.Hour})
	s := newJob(t, api.URL, map[string]string{"version-id": sandbox.NextID}).start()
	s.awaitChange(api)
	docker(t, "kill", "--signal", "KILL", s.name)
	r := s.finish()
	if want := 128 + int(syscall.SIGKILL); r.exit != want {
		t.Errorf("exit status %d, want %d", r.exit, want)
	}
	if file := s.read(outputFile); file != "" || r.summary != "" {
		t.Errorf("output file %q and summary %q, want both empty", file, r.summary)
	}
}
