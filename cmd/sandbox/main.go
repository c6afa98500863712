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
  sandbox serve [-addr 127.0.0.1:0]       serve an in-memory API until Ctrl-C
  sandbox try [-scenario promotion]       run the action against a new API; -scenario list shows all scenarios
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run returns the exit status: 0 for success, 1 for an error or an unexpected result, 2 for an invalid command line.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("sandbox", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {}
	addr, name := "127.0.0.1:0", "promotion"
	command := ""
	if len(args) > 0 {
		command = args[0]
	}
	switch command {
	case "serve":
		flags.StringVar(&addr, "addr", addr, "")
		args = args[1:]
	case "try":
		flags.StringVar(&name, "scenario", name, "")
		args = args[1:]
	}
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		help(stdout)
		return 0
	case err != nil, command == "", flags.NArg() > 0:
		help(stderr)
		return 2
	case name == "list":
		list(stdout)
		return 0
	case command == "serve":
		err = listen(addr, func(l net.Listener) error { return serve(ctx, l, stdout) })
	default:
		err = listen(addr, func(l net.Listener) error { return try(ctx, name, l, nil, stdout) })
	}
	if err != nil {
		fmt.Fprintf(stderr, "%v\n", err)
		return 1
	}
	return 0
}

func help(w io.Writer) {
	fmt.Fprint(w, usage)
	list(w)
}

// listen calls use with a listener, which it closes afterwards.
func listen(addr string, use func(net.Listener) error) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	defer l.Close()
	return use(l)
}
