package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"publish-agent-version/internal/sandbox"
)

type agent struct{ id, name string }

func agents() []agent {
	return []agent{{sandbox.FrontDesk, "Front desk"}, {sandbox.NightDesk, "Night desk"}, {sandbox.Support, "Support"}}
}

// print writes a step's inputs and everything that GitHub would show.
func (res result) print(w io.Writer, inputs map[string]string) {
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

// printState writes each agent's published version and phone numbers.
func printState(w io.Writer, api *sandbox.Sandbox) {
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

// numbersOf returns an agent's phone numbers in E.164.
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

// printRequests writes the requests that the sandbox received.
func printRequests(w io.Writer, api *sandbox.Sandbox) {
	section(w, "requests")
	for _, r := range api.Requests() {
		fmt.Fprintf(w, "request: %s %s %s\n", r.Method, r.Path, r.RawQuery)
	}
}

// section writes a heading.
func section(w io.Writer, title string) {
	fmt.Fprintf(w, "\n--- %s %s\n", title, strings.Repeat("-", 60-len(title)))
}
