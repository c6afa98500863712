// Command publish-agent-version publishes a version of a Diga voice agent: the last step of a release workflow.
package main

import (
	"context"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"

	"publish-agent-version/publish"
)

// version is stamped by the linker.
var version = "dev"

func main() {
	signal.Ignore(syscall.SIGPIPE) // a closed log must not end the process in the middle of a change
	log.SetOutput(io.Discard)      // net/http logs unsolicited data from servers, which may be a workflow command
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		cancel(publish.Signal{Signal: <-signals})
		for again := range signals {
			if again == syscall.SIGINT { // a second Ctrl-C; not SIGTERM, which timeout(1) sends twice
				os.Exit(128 + int(syscall.SIGINT))
			}
		}
	}()
	os.Exit(publish.Step{
		Args: os.Args[1:], Environ: os.Environ(), Stdout: os.Stdout, Stderr: os.Stderr, Version: version,
	}.Run(ctx))
}
