package e2e

import (
	"syscall"
	"testing"
	"time"

	"publish-agent-version/internal/sandbox"
)

// A runner that cancels sends SIGINT to the docker client, SIGTERM after 7.5 s, and kills the client 2.5 s later, which would
// leave the container running. The client passes both on to the binary, which is process 1 and so has no default action for them.
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
			s.await(api)
			start := time.Now()
			if err := s.client.Process.Signal(test.signal); err != nil {
				t.Fatal(err)
			}
			r := s.finish()
			// The step ends within 1 s. The rest is the engine's, which has a container to take apart.
			if took := time.Since(start); took > 2*time.Second {
				t.Errorf("ended %v after the signal, want 2 s at most", took)
			}
			r.want(t, test.exit, []string{"add-mask", "error ACTION_CANCELLED"}, map[string]string{
				"status": "unknown", "error-code": "ACTION_CANCELLED", "attempts": "1", "previous-version-id": sandbox.LiveID,
			})
		})
	}
}

// A process that is killed says nothing, and leaves no half of an output for the runner to stumble over.
func TestKill(t *testing.T) {
	t.Parallel()
	api := newAPI(t, sandbox.Fault{Delay: time.Hour})
	s := newJob(t, api.URL, map[string]string{"version-id": sandbox.NextID}).start()
	s.await(api)
	docker(t, "kill", "--signal", "KILL", s.name)
	r := s.finish()
	if want := 128 + int(syscall.SIGKILL); r.exit != want {
		t.Errorf("exit status %d, want %d", r.exit, want)
	}
	if file := s.read(outputFile); file != "" || r.summary != "" {
		t.Errorf("the output file holds %q and the summary %q, want nothing in either", file, r.summary)
	}
}
