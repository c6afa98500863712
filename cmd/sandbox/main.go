// Command sandbox tries the action without the live API. "sandbox serve" serves an in-memory API on a local address, and
// "sandbox try" runs the action against one and prints what GitHub would show.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"
)

const usage = `usage:
  sandbox serve [-addr 127.0.0.1:0]   serve an in-memory API until Ctrl-C
  sandbox try [-scenario promotion]   run the action against a new API; -scenario list shows all scenarios
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run returns the exit status: 0 for success, 1 for an error, 2 for an invalid command line.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("sandbox", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() { fmt.Fprint(stderr, usage) }
	addr, name, command := "127.0.0.1:0", "promotion", ""
	if len(args) > 0 {
		command = args[0]
	}
	switch command {
	case "serve":
		flags.StringVar(&addr, "addr", addr, "")
	case "try":
		flags.StringVar(&name, "scenario", name, "")
	default:
		flags.Usage()
		return 2
	}
	err := flags.Parse(args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case flags.NArg() > 0:
		flags.Usage()
		return 2
	case name == "list":
		for _, sc := range scenarios {
			fmt.Fprintf(stdout, "%-15s %s\n", sc.name, sc.description)
		}
		return 0
	}
	l, err := net.Listen("tcp", addr)
	if err == nil {
		defer l.Close()
		if command == "serve" {
			err = serve(ctx, l, stdout)
		} else {
			err = try(ctx, name, l, nil, stdout)
		}
	}
	if err != nil {
		fmt.Fprintf(stderr, "%v\n", err)
		return 1
	}
	return 0
}
