package main

import (
	"cmp"
	"context"
	"errors"
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
	outputs values
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
	api.Set(sc.behavior)
	server := &http.Server{Handler: api, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(l) }() // until server is closed
	defer server.Close()

	fmt.Fprintf(stdout, "%s: %s\n", sc.name, sc.description)
	section(stdout, "before")
	printState(stdout, api)
	for inputs := sc.inputs; ; inputs, sc.then = sc.then(inputs), nil {
		inputs = maps.Clone(inputs)
		inputs["agent-id"], inputs["api-url"] = sandbox.FrontDesk, "http://"+l.Addr().String()
		res, err := runStep(ctx, inputs, dial)
		if err != nil {
			return err
		}
		res.print(stdout, inputs)
		section(stdout, "after")
		printState(stdout, api)
		if sc.then != nil {
			inputs = res.outputs
			continue
		}
		section(stdout, "requests")
		for _, r := range api.Requests() {
			fmt.Fprintf(stdout, "request: %s %s %s\n", r.Method, r.Path, r.RawQuery)
		}
		if err := sc.check(api, res); err != nil {
			return err
		}
		fmt.Fprintln(stdout, "As expected.")
		return nil
	}
}

// environ is an environment.
func environ(env values) (list []string) {
	for name, value := range env {
		list = append(list, name+"="+value)
	}
	return list
}

// runStep runs the action in this process, with temporary files for its outputs and its summary.
func runStep(ctx context.Context, inputs values, dial dialFunc) (result, error) {
	dir, err := os.MkdirTemp("", "sandbox-")
	if err != nil {
		return result{}, err
	}
	defer os.RemoveAll(dir)
	env := values{
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
		Environ: environ(env),
		Stdout:  &printed, Stderr: &printed, Version: "try", Dial: dial,
	}.Run(ctx)
	res := result{exit: exit, log: runner.ReadLog(printed.String()), outputs: values{}}
	content, err := os.ReadFile(filepath.Join(dir, "output"))
	if err != nil {
		return result{}, err
	}
	outputs, err := runner.Outputs(string(content))
	if err != nil {
		return result{}, fmt.Errorf("reading the outputs: %w", err)
	}
	for _, o := range outputs {
		res.outputs[o.Name] = o.Value
	}
	summary, err := os.ReadFile(filepath.Join(dir, "summary"))
	res.summary = string(summary)
	return res, err
}

// check compares the step's result and the sandbox's state with what the scenario expects. It also requires that every
// request conforms to the OpenAPI document, that the runner accepts the log, and that the token does not appear.
func (sc scenario) check(api *sandbox.Sandbox, res result) error {
	var errs []error
	expect := func(what string, got, want any) {
		if got != want {
			errs = append(errs, fmt.Errorf("%s: got %q, want %q", what, fmt.Sprint(got), fmt.Sprint(want)))
		}
	}
	expect("exit status", res.exit, sc.exit)
	for _, name := range slices.Sorted(maps.Keys(sc.outputs)) {
		expect("output "+name, res.outputs[name], sc.outputs[name])
	}
	expect("Front desk", describe(api, sandbox.FrontDesk), cmp.Or(sc.after, promoted))
	for _, text := range sc.warnings {
		if !slices.ContainsFunc(res.log.Annotations(), func(a runner.Annotation) bool {
			return a.Level == "warning" && strings.Contains(a.Message, text)
		}) {
			errs = append(errs, fmt.Errorf("no warning contains %q", text))
		}
	}
	for _, v := range api.Violations() {
		errs = append(errs, fmt.Errorf("violates the OpenAPI document: %s", v))
	}
	for _, f := range res.log.Failures {
		errs = append(errs, fmt.Errorf("fails the step: %w", f))
	}
	all := strings.Join(res.log.Printed, "\n") + res.summary + fmt.Sprint(res.outputs)
	if found := runner.FindSecret(all, cmp.Or(sc.inputs["token"], sandbox.Token)); len(found) > 0 {
		errs = append(errs, fmt.Errorf("the token appears: %s", strings.Join(found, ", ")))
	}
	if len(errs) > 0 {
		return fmt.Errorf("unexpected:\n%w", errors.Join(errs...))
	}
	return nil
}

// print writes a step's inputs and everything that GitHub would show.
func (res result) print(w io.Writer, inputs values) {
	section(w, "with")
	for _, name := range slices.Sorted(maps.Keys(inputs)) {
		fmt.Fprintf(w, "%s: %s\n", name, inputs[name])
	}
	section(w, "log")
	for _, line := range res.log.Lines {
		fmt.Fprintln(w, line)
	}
	section(w, "annotations")
	for _, a := range res.log.Annotations() {
		fmt.Fprintf(w, "%s: %s: %s\n", a.Level, a.Title, a.Message)
	}
	section(w, "outputs, besides the job summary")
	for _, name := range slices.Sorted(maps.Keys(res.outputs)) {
		if name == "summary" {
			continue
		}
		fmt.Fprintf(w, "%s=%s\n", name, res.outputs[name])
	}
	section(w, "job summary")
	fmt.Fprintln(w, strings.TrimSpace(res.summary))
	section(w, fmt.Sprintf("exit status %d", res.exit))
}

// section writes a heading.
func section(w io.Writer, title string) {
	fmt.Fprintf(w, "\n--- %s %s\n", title, strings.Repeat("-", 60-len(title)))
}

type agent struct{ id, name string }

func agents() []agent {
	return []agent{{sandbox.FrontDesk, "Front desk"}, {sandbox.NightDesk, "Night desk"}, {sandbox.Support, "Support"}}
}

// printState writes each agent's published version and phone numbers.
func printState(w io.Writer, api *sandbox.Sandbox) {
	for _, a := range agents() {
		fmt.Fprintf(w, "%s: %s\n", a.name, describe(api, a.id))
	}
}

// describe says what is live of an agent and on which phone numbers.
func describe(api *sandbox.Sandbox, agentID string) string {
	version, _, _ := api.Live(agentID)
	facts := []string{cmp.Or(version, "nothing") + " is live"}
	for d, verb := range []string{sandbox.Inbound: "answers ", sandbox.Outbound: "calls from "} {
		var numbers []string
		for _, id := range api.Numbers(agentID, sandbox.Direction(d)) {
			i := slices.IndexFunc(api.State().Phones(), func(p sandbox.Phone) bool { return p.ID == id })
			numbers = append(numbers, api.State().Phones()[i].Number)
		}
		if len(numbers) > 0 {
			facts = append(facts, verb+strings.Join(numbers, " and "))
		}
	}
	return strings.Join(facts, ", ")
}
