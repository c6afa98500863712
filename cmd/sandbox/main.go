// Command sandbox explores the action without the live API: serve offers the API in memory on a local address, and try
// plays one promotion against it and shows what GitHub would show.
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
  sandbox serve [-addr 127.0.0.1:0]       offer the API in memory until Ctrl-C
  sandbox try [-scenario promotion]       play one step against a fresh API; -scenario list names them all
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run returns the exit status: 0 if all went as it should, 1 if not, 2 for a command line that makes no sense.
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

// help shows how to call the program, and lists the scenarios.
func help(w io.Writer) {
	fmt.Fprint(w, usage)
	list(w)
}

// listen opens a local address for as long as use takes.
func listen(addr string, use func(net.Listener) error) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	defer l.Close()
	return use(l)
}
