package e2e

import (
	"net/http"
	"syscall"
	"testing"
	"time"

	"publish-agent-version/internal/sandbox"
)

// hanging starts a step, and returns it once the API has received the change, which it never answers.
func hanging(t *testing.T) *job {
	api, url := newAPI(t)
	received := make(chan struct{}, 1)
	api.Set(sandbox.Behavior{Fault: func(r *http.Request) (f sandbox.Fault) {
		if r.Method == http.MethodPatch {
			f.Delay = time.Hour
			received <- struct{}{}
		}
		return f
	}})
	j := newJob(t, url, nil)
	j.start()
	select {
	case <-received:
	case <-j.ended:
		t.Fatalf("ended before it sent a change:\n%s", j.quoted())
	}
	return j
}

// To cancel, a runner sends SIGINT to the docker client, SIGTERM after 7.5 s, and kills the client 2.5 s later, which would
// leave the container running. The client forwards the signals to the binary, which as process 1 has no default actions.
func TestCancel(t *testing.T) {
	image(t)
	for signal, exit := range map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143} {
		t.Run(signal.String(), func(t *testing.T) {
			j := hanging(t)
			start := time.Now()
			if err := j.client.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			r := j.finish()
			// The step ends within 1 s. The rest is for the engine to remove the container.
			if took := time.Since(start); took > 2*time.Second {
				t.Errorf("ended %v after the signal, want 2 s at most", took)
			}
			r.want(t, exit, []string{"add-mask", "error ACTION_CANCELLED"}, outputs(map[string]string{
				"status": "unknown", "error-code": "ACTION_CANCELLED",
			}))
		})
	}
}

// A killed process leaves no partial output, which the runner would reject.
func TestKill(t *testing.T) {
	t.Parallel()
	j := hanging(t)
	docker(t, "kill", "--signal", "KILL", j.name)
	r := j.finish()
	if want := 128 + int(syscall.SIGKILL); r.exit != want || len(r.outputs) > 0 || r.summary != "" {
		t.Errorf("exit status %d, want %d; outputs %q and summary %q, want none", r.exit, want, r.outputs, r.summary)
	}
}
