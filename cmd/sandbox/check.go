package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"publish-agent-version/internal/runner"
	"publish-agent-version/internal/sandbox"
)

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
		expect("output "+name, res.output(name), sc.outputs[name])
	}
	live, _, _ := api.Live(sandbox.FrontDesk)
	expect("live version", live, sc.live)
	inbound := sc.inbound
	if inbound == nil && sc.live != "" {
		inbound = []string{sandbox.ReceptionNumber}
	}
	expect("inbound numbers of Front desk", strings.Join(numbersOf(api, sandbox.FrontDesk, sandbox.Inbound), " "), strings.Join(inbound, " "))
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
	if found := runner.FindSecret(strings.Join(res.log.Printed, "\n")+res.summary+fmt.Sprint(res.outputs), sandbox.Token); len(found) > 0 {
		errs = append(errs, fmt.Errorf("the token appears: %s", strings.Join(found, ", ")))
	}
	if len(errs) > 0 {
		return fmt.Errorf("unexpected:\n%w", errors.Join(errs...))
	}
	return nil
}
