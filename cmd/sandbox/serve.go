package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"publish-agent-version/internal/sandbox"
)

// banner shows the address and two commands to paste, which publish the same version.
const banner = `The API is at http://%[1]s until Ctrl-C. With curl:

  curl -X PATCH http://%[1]s/v1/agent/%[2]s/published_version -H 'Authorization: Bearer %[3]s' ` +
	`-H 'Content-Type: application/json' -d '{"version_id":"%[4]s"}'

With the action, as a command:

  DIGA_TOKEN=%[3]s go run . --api-url=http://%[1]s --agent-id=%[2]s --version-id=%[4]s

internal/sandbox/fixtures.go lists the tokens, agents, versions and phone numbers.

`

// serve serves a new sandbox on l until ctx is done.
func serve(ctx context.Context, l net.Listener, stdout io.Writer) error {
	fmt.Fprintf(stdout, banner, l.Addr(), sandbox.FrontDesk, sandbox.Token, sandbox.NextID)
	server := &http.Server{Handler: sandbox.New(), ReadHeaderTimeout: 10 * time.Second}
	defer context.AfterFunc(ctx, func() { server.Close() })()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
