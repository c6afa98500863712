package publish

import (
	"cmp"
	"flag"
	"fmt"
	"io"
	"strings"

	"publish-agent-version/diga"
)

const usage = `publish-agent-version publishes a version of a Diga voice agent.

Usage:
  publish-agent-version --agent-id=ID (--version-id=ID | --version-name=NAME | --unpublish | --show-live) [flags]

The API token comes from the environment: DIGA_TOKEN or INPUT_TOKEN. All flags except --output and --summary can also be
set there, as INPUT_ plus the name in upper case (INPUT_AGENT_ID). Flags take precedence.
`

const usageEnd = `
  --output=plain|json|dotenv          format of the results on stdout (default plain: name=value lines)
  --summary=FILE                      write a Markdown summary to FILE
  --version                           print the version
  --help                              print this

The log goes to stderr. Exit status: 0 success, 1 failure, 130 and 143 after SIGINT and SIGTERM.

Examples:
  export DIGA_TOKEN=…
  publish-agent-version --agent-id=a0000000-0000-4000-8000-000000000001 --show-live
  publish-agent-version --agent-id=a0000000-0000-4000-8000-000000000001 --version-name=v1.4.0 --dry-run
  publish-agent-version --agent-id=a0000000-0000-4000-8000-000000000001 --version-name=v1.4.0 --output=dotenv >publish.env
`

// printUsage handles --help and --version.
func (s Step) printUsage(a arguments) {
	if a.version {
		fmt.Fprintln(s.Stdout, s.Version)
		return
	}
	fmt.Fprint(s.Stdout, usage)
	var groups []string
	flags := make(map[string]string)
	for _, in := range inputTable {
		if in.group == "" {
			continue
		}
		if flags[in.group] == "" {
			groups = append(groups, in.group)
		}
		help := in.help
		if in.fallback != "" && in.kind != "" {
			help += " (default " + in.fallback + ")"
		}
		flags[in.group] += fmt.Sprintf("  %-34s  %s\n", "--"+in.name+in.kind, help)
	}
	for _, group := range groups {
		fmt.Fprintf(s.Stdout, "\n%s:\n%s", group, flags[group])
	}
	fmt.Fprint(s.Stdout, usageEnd)
}

// arguments is the parsed command line.
type arguments struct {
	inputs        map[string]string // by input name
	output        format
	summary       string // file for the summary; empty: none
	help, version bool
}

// parseArgs parses the command line, up to the first problem. It describes the problem without any value, which may be
// a token.
func parseArgs(args []string) (a arguments, problem message) {
	a.inputs, a.output = make(map[string]string), plain
	flags := flag.NewFlagSet("publish-agent-version", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	for name, set := range map[string]*bool{"help": &a.help, "h": &a.help, "version": &a.version} {
		flags.BoolFunc(name, "", func(string) error { *set = true; return nil })
	}
	refuse := func(format string, args ...any) { // the first problem counts
		if problem.empty() {
			problem = say(format, args...)
		}
	}
	text := func(name string, to func(string)) func(string) error {
		return func(value string) error {
			if value = strings.TrimSpace(value); value == "" && !strings.Contains(name, "phone") {
				refuse("--%s is empty: remove the flag, or give it a value", name) // an undefined variable must not remove a safeguard
			}
			to(value)
			return nil
		}
	}
	flags.Func("summary", "", text("summary", func(v string) { a.summary = v }))
	flags.Func("output", "", text("output", func(v string) { a.output = format(v) }))
	withValue := map[string]bool{"summary": true, "output": true}
	for _, in := range inputTable {
		set := text(in.name, func(v string) { a.inputs[in.name] = v })
		if in.kind == "" {
			flags.BoolFunc(in.name, "", set)
		} else {
			flags.Func(in.name, "", set)
			withValue[in.name] = true
		}
	}
	for i, arg := range args {
		name := strings.TrimLeft(arg, "-")
		if name != arg && withValue[name] && i+1 < len(args) && strings.HasPrefix(args[i+1], "-") {
			refuse("--%s needs a value, but a flag follows: is a variable empty? A value that begins with a hyphen is written --%s=VALUE", name, name)
			return a, problem
		}
	}
	err := flags.Parse(args)
	if token, ok := a.inputs["token"]; ok || err != nil && strings.HasSuffix(err.Error(), "argument: -token") {
		a.inputs["token"] = token // masked, never used
		return a, say("--token is not supported: anyone on this machine can see the command line. Set DIGA_TOKEN in the environment")
	}
	switch a.output {
	case plain, asJSON, dotenv:
	default:
		refuse("--output must be plain, json or dotenv, not %s", quote(string(a.output)))
	}
	switch {
	case err != nil:
		return a, flagProblem(err)
	case flags.NArg() > 0 && problem.empty():
		after := ""
		if i := len(args) - flags.NArg() - 1; i >= 0 {
			after, _, _ = strings.Cut(args[i], "=")
			after = " after " + after
		}
		return a, say("Unexpected argument%s: write flags as --name=value. See --help", diga.Foreign(after))
	}
	return a, problem
}

// flagProblem describes an error of the flag package. For an unknown flag, it suggests the one that was meant.
func flagProblem(err error) message {
	problem, _, _ := strings.Cut(err.Error(), "=")
	name, unknown := strings.CutPrefix(problem, "flag provided but not defined: -")
	if !unknown {
		return foreign(strings.Replace(problem, "argument: -", "argument: --", 1))
	}
	if in := similarInput(name); in != nil {
		return say("Unknown flag %s. Did you mean --%s?", quote("--"+name), in.name)
	}
	return say("Unknown flag %s. See --help", quote("--"+name))
}

// readEnv returns the inputs in the environment, by name, and its problems. In Actions, a variable is INPUT_<NAME> with
// the hyphens kept; elsewhere, hyphens may be underscores. A name that is not an input's is a problem, as a misspelled
// safeguard would be ignored otherwise. So is an empty boolean: an undefined variable must not turn a dry run into a
// real one.
func (s Step) readEnv() (values map[string]string, problems []message) {
	values = make(map[string]string)
	for _, variable := range s.Environ {
		key, value, _ := strings.Cut(variable, "=")
		name, ok := strings.CutPrefix(key, "INPUT_")
		if !ok {
			continue
		}
		if name = strings.ToLower(name); !s.inActions() {
			name = strings.ReplaceAll(name, "_", "-")
		}
		switch in := inputNamed(name); {
		case in == nil:
			problem := say("Unknown input %s", quote(name))
			if similar := similarInput(name); similar != nil {
				problem = say("%s. Did you mean {"+similar.name+"}?", problem)
			}
			problems = append(problems, problem)
		case in.kind == "" && strings.TrimSpace(value) == "":
			problems = append(problems, say("{"+name+"} is empty: is the variable defined here? It must be true or false"))
		default:
			values[name] = cmp.Or(strings.TrimSpace(value), values[name])
		}
	}
	if !s.inActions() && values["token"] == "" {
		values["token"] = strings.TrimSpace(s.Getenv("DIGA_TOKEN"))
	}
	return values, problems
}
