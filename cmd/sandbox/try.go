package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"publish-agent-version/internal/runner"
	"publish-agent-version/internal/sandbox"
	"publish-agent-version/publish"
)

// dialFunc opens the step's connections, as [net.Dialer.DialContext] does. nil means the network.
type dialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

// result is a step's output as the runner parses it.
type result struct {
	exit    int
	log     *runner.Log
	outputs []runner.Output
	summary string
}

// try runs a scenario against a new sandbox on l and prints what GitHub would show. The error lists every difference
// from the expected result.
func try(ctx context.Context, name string, l net.Listener, dial dialFunc, stdout io.Writer) error {
	i := slices.IndexFunc(scenarios(), func(sc scenario) bool { return sc.name == name })
	if i < 0 {
		return fmt.Errorf("unknown scenario %q; -scenario list shows all scenarios", name)
	}
	sc, api := scenarios()[i], sandbox.New()
	if sc.setup != nil {
		sc.setup(api)
	}
	server := &http.Server{Handler: api, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(l) }() // until server is closed
	defer server.Close()

	fmt.Fprintf(stdout, "%s: %s\n", sc.name, sc.description)
	section(stdout, "before")
	printState(stdout, api)
	inputs := maps.Clone(sc.inputs)
	for {
		inputs["agent-id"], inputs["api-url"] = sandbox.FrontDesk, "http://"+l.Addr().String()
		res, err := runStep(ctx, inputs, dial)
		if err != nil {
			return err
		}
		res.print(stdout, inputs)
		section(stdout, "after")
		printState(stdout, api)
		if !sc.rollback {
			printRequests(stdout, api)
			if err := sc.check(api, res); err != nil {
				return err
			}
			fmt.Fprintln(stdout, "As expected.")
			return nil
		}
		sc.rollback = false
		inputs = map[string]string{"version-id": res.output("previous-version-id")}
	}
}

// runStep runs the action in this process, with temporary files for its outputs and its summary.
func runStep(ctx context.Context, inputs map[string]string, dial dialFunc) (result, error) {
	dir, err := os.MkdirTemp("", "sandbox-")
	if err != nil {
		return result{}, err
	}
	defer os.RemoveAll(dir)
	env := map[string]string{
		"GITHUB_ACTIONS":           "true",
		"GITHUB_ACTION_REPOSITORY": "example/publish-agent-version",
		"GITHUB_ACTION_REF":        "v1",
		"GITHUB_OUTPUT":            filepath.Join(dir, "output"),
		"GITHUB_STEP_SUMMARY":      filepath.Join(dir, "summary"),
		"INPUT_TOKEN":              sandbox.Token,
	}
	for name, value := range inputs {
		env["INPUT_"+strings.ToUpper(name)] = value
	}
	for _, name := range []string{"output", "summary"} { // the runner creates them; the action must not
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			return result{}, err
		}
	}
	var printed strings.Builder
	exit := publish.Step{
		Getenv: func(name string) string { return env[name] },
		Stdout: &printed, Stderr: &printed, Version: "try", Dial: dial,
	}.Run(ctx)
	content, err := os.ReadFile(filepath.Join(dir, "output"))
	if err != nil {
		return result{}, err
	}
	outputs, err := runner.Outputs(string(content))
	if err != nil {
		return result{}, fmt.Errorf("reading the outputs: %w", err)
	}
	summary, err := os.ReadFile(filepath.Join(dir, "summary"))
	return result{exit, runner.ReadLog(printed.String()), outputs, string(summary)}, err
}

// output returns the last value of an output, or "".
func (res result) output(name string) string {
	for _, o := range slices.Backward(res.outputs) {
		if o.Name == name {
			return o.Value
		}
	}
	return ""
}
