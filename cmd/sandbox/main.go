// Command sandbox tries the action without the live API. "sandbox serve" serves an in-memory API on a local address,
// and "sandbox try" runs the action against one and prints what GitHub would show.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"publish-agent-version/internal/sandbox"
)

const usage = `usage:
  sandbox serve [-addr 127.0.0.1:0]   serve an in-memory API until Ctrl-C
  sandbox try [-scenario promotion]   run the action against a new API; -scenario list shows all scenarios`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	addr, name := flags.String("addr", "127.0.0.1:0", ""), flags.String("scenario", "promotion", "")
	if len(args) == 0 || args[0] != "serve" && args[0] != "try" {
		return errors.New(usage)
	}
	if err := flags.Parse(args[1:]); err != nil || flags.NArg() > 0 {
		return fmt.Errorf("%w\n%s", cmp.Or(err, errors.New("too many arguments")), usage)
	}
	if *name == "list" {
		for _, sc := range scenarios {
			fmt.Fprintf(stdout, "%-15s %s\n", sc.name, sc.description)
		}
		return nil
	}
	l, err := net.Listen("tcp", *addr)
	if err != nil {
		return err
	}
	defer l.Close()
	if args[0] == "serve" {
		return serve(ctx, l, stdout)
	}
	return try(ctx, *name, l, nil, stdout)
}

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
