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

type agent struct{ id, name string }

// agents are the sandbox's, in the order in which they are shown.
func agents() []agent {
	return []agent{{sandbox.FrontDesk, "Front desk"}, {sandbox.NightDesk, "Night desk"}, {sandbox.Support, "Support"}}
}

// dial opens connections to the listener; nil means the network.
type dial func(ctx context.Context, network, addr string) (net.Conn, error)

// result is what a step leaves behind, as the runner reads it.
type result struct {
	exit    int
	log     *runner.Log
	outputs []runner.Output
	summary string
}

// try plays the scenario called name against a fresh sandbox on l, shows what GitHub would show, and returns what did
// not happen as the scenario says.
func try(ctx context.Context, name string, l net.Listener, d dial, stdout io.Writer) error {
	i := slices.IndexFunc(scenarios(), func(sc scenario) bool { return sc.name == name })
	if i < 0 {
		return fmt.Errorf("no scenario is called %q; -scenario list names them all", name)
	}
	sc, api := scenarios()[i], sandbox.New()
	if sc.order != nil {
		sc.order(api)
	}
	server := &http.Server{Handler: api, ReadHeaderTimeout: 10 * time.Second}
	go server.Serve(l) // returns when server is closed
	defer server.Close()

	fmt.Fprintf(stdout, "%s: %s\n", sc.name, sc.about)
	section(stdout, "before")
	onAir(stdout, api)
	inputs := maps.Clone(sc.inputs)
	for {
		inputs["agent-id"], inputs["api-url"] = sandbox.FrontDesk, "http://"+l.Addr().String()
		res, err := step(ctx, inputs, d)
		if err != nil {
			return err
		}
		res.show(stdout, inputs)
		section(stdout, "after")
		onAir(stdout, api)
		if !sc.back {
			return sc.judge(stdout, api, res)
		}
		sc.back = false
		inputs = map[string]string{"version-id": res.output("previous-version-id")}
	}
}

// step runs the action in this process, with files of its own for the outputs and the summary.
func step(ctx context.Context, inputs map[string]string, d dial) (result, error) {
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
	for _, name := range []string{"output", "summary"} { // the action must not create them
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			return result{}, err
		}
	}
	var printed strings.Builder
	exit := publish.Step{
		Getenv: func(name string) string { return env[name] },
		Stdout: &printed, Stderr: &printed, Version: "try", Dial: d,
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

func (res result) output(name string) string {
	for _, o := range slices.Backward(res.outputs) {
		if o.Name == name {
			return o.Value
		}
	}
	return ""
}

// show writes the step as a workflow's author meets it, from top to bottom.
func (res result) show(w io.Writer, inputs map[string]string) {
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
	section(w, "outputs")
	for _, o := range res.outputs {
		fmt.Fprintf(w, "%s=%s\n", o.Name, o.Value)
	}
	section(w, "job summary")
	fmt.Fprintln(w, strings.TrimSpace(res.summary))
	section(w, fmt.Sprintf("exit status %d", res.exit))
}

// onAir writes a line for each agent: which version is live, and on which numbers.
func onAir(w io.Writer, api *sandbox.Sandbox) {
	for _, a := range agents() {
		version, _, _ := api.Live(a.id)
		line := a.name + ": " + cmp.Or(version, "nothing") + " is live"
		if numbers := numbersOf(api, a.id, sandbox.Inbound); len(numbers) > 0 {
			line += ", answers " + strings.Join(numbers, " and ")
		}
		if numbers := numbersOf(api, a.id, sandbox.Outbound); len(numbers) > 0 {
			line += ", calls from " + strings.Join(numbers, " and ")
		}
		fmt.Fprintln(w, line)
	}
}

// numbersOf returns an agent's phone numbers as people dial them.
func numbersOf(api *sandbox.Sandbox, agentID string, d sandbox.Direction) []string {
	var numbers []string
	for _, id := range api.Numbers(agentID, d) {
		for _, p := range api.Phones() {
			if p.ID == id {
				numbers = append(numbers, p.Number)
			}
		}
	}
	return numbers
}

func section(w io.Writer, title string) {
	fmt.Fprintf(w, "\n--- %s %s\n", title, strings.Repeat("-", 60-len(title)))
}

// judge says what the API saw of the scenario, and returns every difference from what should have happened.
func (sc scenario) judge(w io.Writer, api *sandbox.Sandbox, res result) error {
	section(w, "what the API saw")
	for _, r := range api.Requests() {
		fmt.Fprintf(w, "request: %s %s %s\n", r.Method, r.Path, r.RawQuery)
	}
	var wrong []error
	expect := func(what string, got, want any) {
		if got != want {
			wrong = append(wrong, fmt.Errorf("%s: got %q, want %q", what, fmt.Sprint(got), fmt.Sprint(want)))
		}
	}
	expect("exit status", res.exit, sc.exit)
	for _, name := range slices.Sorted(maps.Keys(sc.outputs)) {
		expect("output "+name, res.output(name), sc.outputs[name])
	}
	live, _, _ := api.Live(sandbox.FrontDesk)
	expect("live version", live, sc.live)
	answers := sc.answers
	if answers == nil && sc.live != "" {
		answers = []string{sandbox.ReceptionNumber}
	}
	expect("numbers that Front desk answers", strings.Join(numbersOf(api, sandbox.FrontDesk, sandbox.Inbound), " "), strings.Join(answers, " "))
	for _, text := range sc.warns {
		if !slices.ContainsFunc(res.log.Annotations(), func(a runner.Annotation) bool {
			return a.Level == "warning" && strings.Contains(a.Message, text)
		}) {
			wrong = append(wrong, fmt.Errorf("no warning has %q", text))
		}
	}
	for _, v := range api.Violations() {
		wrong = append(wrong, fmt.Errorf("not as the OpenAPI document has it: %s", v))
	}
	for _, f := range res.log.Failures {
		wrong = append(wrong, fmt.Errorf("the runner would refuse the log: %w", f))
	}
	if seen := runner.Visible(strings.Join(res.log.Printed, "\n")+res.summary+fmt.Sprint(res.outputs), sandbox.Token); len(seen) > 0 {
		wrong = append(wrong, fmt.Errorf("the token shows: %s", strings.Join(seen, ", ")))
	}
	if len(wrong) > 0 {
		return fmt.Errorf("the scenario went otherwise:\n%w", errors.Join(wrong...))
	}
	fmt.Fprintln(w, "All as it should be.")
	return nil
}
