package publish

import (
	"cmp"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
)

const usage = `publish-agent-version publishes a version of a Diga voice agent.

Usage:
  publish-agent-version --agent-id=ID (--version-id=ID | --version-name=NAME | --unpublish | --show-live) [flags]

The API token comes from the environment: DIGA_TOKEN or INPUT_TOKEN. All flags except --output and --summary can also be
set there, as INPUT_ plus the name in upper case (INPUT_AGENT_ID). Flags take precedence.

What to do:
  --agent-id=ID                       the agent
  --version-id=ID                     publish this version
  --version-name=NAME                 publish the version with exactly this name
  --unpublish                         take the agent offline
  --show-live                         only report what is live
  --dry-run                           check everything and show what would change, but change nothing

Phone numbers (bound numbers stay bound unless you change them here):
  --inbound-phone-number=+34…         answer this number
  --inbound-phone-number-id=ID        the same, by ID; none releases the bound number
  --outbound-phone-number=+34…        call from this number
  --outbound-phone-number-id=ID       the same, by ID; none releases the bound number
  --take-over                         take a number from another agent if needed

Safeguards:
  --expect-version-id=ID              require that this version is live; none: that none is live
  --only-newer                        refuse a version older than the live one

Output:
  --output=plain|json|dotenv          format of the results on stdout (default plain: name=value lines)
  --summary=FILE                      write a Markdown summary to FILE
  --show-changes=names|full|off       configuration changes to show (default names)

Connection:
  --api-url=URL                       default https://api.diga.io
  --timeout=DURATION                  for the whole step, 1s to 30m (default 2m)
  --max-retries=N                     0 to 10 (default 4)

  --version                           print the version
  --help                              print this

The log goes to stderr. Exit status: 0 success, 1 failure, 130 and 143 after SIGINT and SIGTERM.

Examples:
  export DIGA_TOKEN=…
  publish-agent-version --agent-id=a0000000-0000-4000-8000-000000000001 --show-live
  publish-agent-version --agent-id=a0000000-0000-4000-8000-000000000001 --version-name=v1.4.0 --dry-run
  publish-agent-version --agent-id=a0000000-0000-4000-8000-000000000001 --version-name=v1.4.0 --output=dotenv >publish.env
`

// arguments is the parsed command line.
type arguments struct {
	inputs        map[string]string // by input name
	output        format
	summary       string // file for the summary; empty: none
	help, version bool
	secret        string // a token given as a flag: masked, never used
}

// parseArgs parses the command line, up to the first problem.
func parseArgs(args []string) (a arguments, problem text) {
	a.inputs = make(map[string]string)
	flags := flag.NewFlagSet("publish-agent-version", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	for name, set := range map[string]*bool{"help": &a.help, "h": &a.help, "version": &a.version} {
		flags.BoolFunc(name, "", func(string) error { *set = true; return nil })
	}
	flags.StringVar(&a.summary, "summary", "", "")
	var empty []string
	output := flags.String("output", string(plain), "")
	for _, input := range inputNames {
		set := func(value string) error {
			a.inputs[input.name] = strings.TrimSpace(value)
			if isPhone := strings.Contains(input.name, "phone"); a.inputs[input.name] == "" && !isPhone {
				empty = append(empty, input.name) // an undefined variable must not remove a safeguard
			}
			return nil
		}
		if input.isBool {
			flags.BoolFunc(input.name, "", set)
		} else {
			flags.Func(input.name, "", set)
		}
	}
	err := flags.Parse(args)
	if i := slices.IndexFunc(args, func(arg string) bool { return strings.HasSuffix(arg, "-output=json") }); err != nil && i >= 0 {
		*output = string(asJSON) // report the error as JSON too
	}
	a.secret = a.inputs["token"]
	onToken := err != nil && strings.HasSuffix(err.Error(), "argument: -token")
	switch a.output = format(*output); {
	case err != nil && !onToken:
		return a, flagProblem(flags, err)
	case onToken || a.secret != "":
		return a, say("%s is not supported: anyone on this machine can see the command line. Set %s in the environment", literal("--token"), literal("DIGA_TOKEN"))
	case len(empty) > 0:
		return a, say("%s is empty (is the variable defined here?): remove the flag, or give it a value", literal("--"+empty[0]))
	case flags.NArg() > 0:
		return a, say("Unexpected argument: write flags as %s", literal("--name=value")) // it may be a token
	case a.output != plain && a.output != asJSON && a.output != dotenv:
		return a, say("%s must be plain, json or dotenv, not %s", literal("--output"), literal(quote(*output)))
	}
	return a, text{}
}

// flagProblem describes an error of the flag package without any value, which may be a token. For an unknown flag, it
// suggests the nearest known one.
func flagProblem(flags *flag.FlagSet, err error) text {
	problem, _, _ := strings.Cut(err.Error(), "=")
	name, unknown := strings.CutPrefix(problem, "flag provided but not defined: -")
	if !unknown {
		return say("%s", literal(capitalize(strings.Replace(problem, "argument: -", "argument: --", 1))))
	}
	nearest, least := "", (len(name)+1)/2
	flags.VisitAll(func(f *flag.Flag) {
		if d := levenshtein.ComputeDistance(name, f.Name); d < least {
			nearest, least = f.Name, d
		}
	})
	if nearest == "" {
		return say("Unknown flag %s", literal(quote("--"+name)))
	}
	return say("Unknown flag %s: did you mean %s?", literal(quote("--"+name)), literal("--"+nearest))
}

// input returns the trimmed value of an input. Inside Actions it comes from INPUT_<NAME> with the hyphens kept.
// Elsewhere flags take precedence, hyphens may be underscores, and the token may be in DIGA_TOKEN.
func (s Step) input(flags map[string]string, name string) string {
	env := func(name string) string { return strings.TrimSpace(s.Getenv(name)) }
	key := "INPUT_" + strings.ToUpper(name)
	if s.inActions() {
		return env(key)
	}
	value := cmp.Or(flags[name], env(key), env(strings.ReplaceAll(key, "-", "_")))
	if name == "token" {
		value = cmp.Or(env(key), env("DIGA_TOKEN")) // never from a flag
	}
	return value
}

// emptyBooleans lists the boolean inputs that are set but empty: an undefined variable must not turn a dry run into a
// real one.
func (s Step) emptyBooleans(flags map[string]string) (problems []text) {
	for _, input := range inputNames {
		if !input.isBool || s.input(flags, input.name) != "" {
			continue
		}
		_, set := flags[input.name]
		key := "INPUT_" + strings.ToUpper(input.name)
		for _, name := range []string{key, strings.ReplaceAll(key, "-", "_")} {
			if s.LookupEnv != nil && !set {
				_, set = s.LookupEnv(name)
			}
		}
		if set {
			problems = append(problems, say("%s is empty (is the variable defined here?): it must be true or false", literal(input.name)))
		}
	}
	return problems
}

func (s Step) inActions() bool { return s.Getenv("GITHUB_ACTIONS") == "true" }

// printUsage handles --help and --version.
func (s Step) printUsage(a arguments) {
	if a.version {
		fmt.Fprintln(s.Stdout, s.Version)
		return
	}
	fmt.Fprint(s.Stdout, usage)
}
