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

	"publish-agent-version/internal/sandbox"
)

const usage = `usage:
  sandbox serve [-addr 127.0.0.1:0] [flags]   serve an in-memory API until Ctrl-C
    -notation e164    how it writes numbers: e164, rfc3966, international or national
    -at-a-time 0      how many requests it serves at a time, the others get a 429; 0 is any number
    -drop             it releases the phone numbers that a publish request leaves out
  sandbox try [-scenario promotion]           run the action against a new API; -scenario list shows all scenarios
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
	var b sandbox.Behavior
	addr, name, command := "127.0.0.1:0", "promotion", ""
	if len(args) > 0 {
		command = args[0]
	}
	switch command {
	case "serve":
		flags.StringVar(&addr, "addr", addr, "")
		flags.Func("notation", "", func(name string) (err error) { b.Notation, err = notation(name); return err })
		flags.IntVar(&b.Limit.AtATime, "at-a-time", 0, "")
		flags.BoolVar(&b.ReleaseOmitted, "drop", false, "")
		args = args[1:]
	case "try":
		flags.StringVar(&name, "scenario", name, "")
		args = args[1:]
	}
	err := flags.Parse(args)
	b.DropOthers = b.ReleaseOmitted
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
	}
	l, err := net.Listen("tcp", addr)
	if err == nil {
		defer l.Close()
		if command == "serve" {
			err = serve(ctx, l, b, stdout)
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

// notation returns how the sandbox writes numbers in a notation.
func notation(name string) (func(string) string, error) {
	switch name {
	case "e164":
		return nil, nil
	case "rfc3966":
		return sandbox.RFC3966, nil
	case "international":
		return sandbox.International, nil
	case "national":
		return sandbox.National, nil
	}
	return nil, errors.New("want e164, rfc3966, international or national")
}

func help(w io.Writer) {
	fmt.Fprint(w, usage)
	list(w)
}
