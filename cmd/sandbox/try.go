package main

import (
	"cmp"
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

// try runs a scenario against a new sandbox on l and prints what GitHub would show. The error says how the step broke
// the contract with the API or the runner, if it did: whether it fails is up to the scenario.
func try(ctx context.Context, name string, l net.Listener, dial dialFunc, stdout io.Writer) error {
	i := slices.IndexFunc(scenarios, func(sc scenario) bool { return sc.name == name })
	if i < 0 {
		return fmt.Errorf("unknown scenario %q; -scenario list shows all scenarios", name)
	}
	sc, api := scenarios[i], sandbox.New()
	if sc.setup != nil {
		sc.setup(api)
	}
	server := &http.Server{Handler: api, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(l) }() // until server is closed
	defer server.Close()

	dir, err := os.MkdirTemp("", "sandbox-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	output, summary := filepath.Join(dir, "output"), filepath.Join(dir, "summary")
	for _, path := range []string{output, summary} { // the runner creates them; the action must not
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			return err
		}
	}
	inputs := maps.Clone(sc.inputs)
	token := cmp.Or(inputs["token"], sandbox.Token)
	delete(inputs, "token") // it is not shown
	env := []string{
		"GITHUB_ACTIONS=true", "GITHUB_ACTION_REPOSITORY=example/publish-agent-version", "GITHUB_ACTION_REF=v1",
		"GITHUB_OUTPUT=" + output, "GITHUB_STEP_SUMMARY=" + summary, "INPUT_TOKEN=" + token,
	}
	inputs["agent-id"], inputs["api-url"] = sandbox.FrontDesk, "http://"+l.Addr().String()
	fmt.Fprintf(stdout, "%s: %s\n", sc.name, sc.description)
	printState(stdout, "before", api)
	section(stdout, "with")
	for _, name := range slices.Sorted(maps.Keys(inputs)) {
		fmt.Fprintf(stdout, "%s: %s\n", name, inputs[name])
		env = append(env, "INPUT_"+strings.ToUpper(name)+"="+inputs[name])
	}
	var printed strings.Builder
	exit := publish.Step{Environ: env, Stdout: &printed, Stderr: &printed, Version: "try", Dial: dial}.Run(ctx)

	log := runner.ReadLog(printed.String())
	if err := show(stdout, log, output, summary); err != nil {
		return err
	}
	section(stdout, fmt.Sprintf("exit status %d", exit))
	printState(stdout, "after", api)
	section(stdout, "requests")
	for _, r := range api.Requests() {
		fmt.Fprintf(stdout, "request: %s %s %s\n", r.Method, r.Path, r.RawQuery)
	}
	if broken := api.Violations(); len(broken) > 0 || len(log.Failures) > 0 {
		return fmt.Errorf("against the OpenAPI document: %q, against the runner's rules: %q", broken, log.Failures)
	}
	return nil
}

// show writes the log, the outputs and the summary of a step as GitHub shows them. The latter two are the runner's
// files.
func show(w io.Writer, log *runner.Log, output, summary string) error {
	section(w, "log")
	for _, line := range log.Lines {
		fmt.Fprintln(w, line)
	}
	section(w, "annotations")
	for _, a := range log.Annotations() {
		fmt.Fprintf(w, "%s: %s: %s\n", a.Level, a.Title, a.Message)
	}
	section(w, "outputs, besides the job summary")
	content, err := os.ReadFile(output)
	if err != nil {
		return err
	}
	outputs, err := runner.Outputs(string(content))
	if err != nil {
		return fmt.Errorf("the outputs: %w", err)
	}
	for _, o := range outputs {
		if o.Name != "summary" {
			fmt.Fprintf(w, "%s=%s\n", o.Name, o.Value)
		}
	}
	section(w, "job summary")
	content, err = os.ReadFile(summary)
	fmt.Fprintln(w, strings.TrimSpace(string(content)))
	return err
}

// section writes a heading.
func section(w io.Writer, title string) {
	fmt.Fprintf(w, "\n--- %s %s\n", title, strings.Repeat("-", 60-len(title)))
}

// printState writes what is live, and on which phone numbers.
func printState(w io.Writer, title string, api *sandbox.Sandbox) {
	section(w, title)
	state := api.State()
	version, _, _ := state.Live(sandbox.FrontDesk)
	fmt.Fprintf(w, "%s is live", cmp.Or(version, "nothing"))
	for _, p := range state.Phones() {
		if state.Owner(p.ID, sandbox.Inbound) == sandbox.FrontDesk {
			fmt.Fprintf(w, ", answers %s", p.Number)
		}
		if state.Owner(p.ID, sandbox.Outbound) == sandbox.FrontDesk {
			fmt.Fprintf(w, ", calls from %s", p.Number)
		}
	}
	fmt.Fprintln(w)
}

// scenario is a step to run, and what the sandbox does meanwhile.
type scenario struct {
	name, description string
	inputs            map[string]string        // besides token, agent-id and api-url
	setup             func(s *sandbox.Sandbox) // nil: nothing
}

// next are the inputs that publish the next version.
var next = map[string]string{"version-id": sandbox.NextID}

// scenarios are the ways in which a run can go.
var scenarios = []scenario{{
	name: "promotion", description: "publish the version that has the tag's name, as a release workflow does",
	inputs: map[string]string{"version-name": sandbox.NextName},
}, {
	name: "launch", description: "no version has the tag's name: the draft is launched under it and published",
	inputs: map[string]string{"version-name": "v1.23.0", "launch-draft": "true"},
}, {
	name:        "phone-number",
	description: "publish on an additional phone number, given as +34 910 000 002 instead of its ID",
	inputs:      map[string]string{"version-id": sandbox.NextID, "inbound-phone-number": "+34 910 000 002"},
}, {
	name:        "number-in-use",
	description: "another agent answers the phone number: the step fails before it changes anything",
	inputs:      map[string]string{"version-id": sandbox.NextID, "inbound-phone-number-id": sandbox.Hotline},
}, {
	name: "number-dropped", inputs: next,
	description: "the agent answers two numbers and the API unbinds those that a request omits: the step warns",
	setup: func(s *sandbox.Sandbox) {
		s.Set(sandbox.Behavior{ReleaseOmitted: true, DropOthers: true})
		s.Bind(sandbox.Switch, sandbox.Inbound, sandbox.FrontDesk)
	},
}, {
	name: "retry", description: "the API returns 503 once: the step retries", inputs: next,
	setup: func(s *sandbox.Sandbox) { s.Inject(sandbox.Fault{Status: http.StatusServiceUnavailable}) },
}, {
	name: "lost-reply", inputs: next,
	description: "the change is applied but the response is lost: the step finds it in effect before it tries again",
	setup:       func(s *sandbox.Sandbox) { s.Inject(sandbox.Fault{Drop: sandbox.DropReply, Applied: true}) },
}, {
	name: "unknown", inputs: map[string]string{"version-id": sandbox.NextID, "max-retries": "1"},
	description: "every connection is closed before the change is applied: the step cannot rule out that it will be",
	setup:       func(s *sandbox.Sandbox) { s.Inject(sandbox.Fault{Drop: sandbox.DropReply, Times: -1}) },
}, {
	name: "dry-run", description: "everything is read and checked, nothing is changed",
	inputs: map[string]string{"version-id": sandbox.OldestID, "dry-run": "true"},
}, {
	name: "wrong-name", description: "no version has the tag's name: the step fails and lists similar names",
	inputs: map[string]string{"version-name": "1.22.8"},
}, {
	name: "read-only-key", description: "the key may only read: the API refuses and the step says what the key lacks",
	inputs: map[string]string{"version-id": sandbox.NextID, "token": sandbox.ReadToken},
}}
