package publish

import (
	"context"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"
)

// Step is one run of the program.
type Step struct {
	Args    []string // after the program's name
	Environ []string // the environment, in the form "name=value"
	Stdout  io.Writer
	Stderr  io.Writer
	Version string // of this program

	// Dial opens connections; nil means the network.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)

	// Jitter returns a duration in [0, limit), limit > 0; nil means uniformly at random.
	Jitter func(limit time.Duration) time.Duration
}

// Getenv returns the value of a variable, or "".
func (s Step) Getenv(name string) string {
	for _, variable := range s.Environ {
		if rest, ok := strings.CutPrefix(variable, name+"="); ok {
			return rest
		}
	}
	return ""
}

func (s Step) inActions() bool { return s.Getenv("GITHUB_ACTIONS") == "true" }

// Signal is the cause of a context that was canceled by SIGINT or SIGTERM.
type Signal struct{ os.Signal }

func (s Signal) Error() string {
	if s.Signal == syscall.SIGTERM {
		return "canceled by SIGTERM"
	}
	return "canceled by SIGINT"
}
