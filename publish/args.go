package publish

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"publish-agent-version/diga"
)

const usage = `publish-agent-version publishes a version of a Diga voice agent.

Usage:
  publish-agent-version --agent-id=ID (--version-id=ID | --version-name=NAME | --unpublish | --show-live) [flags]

The API token comes from the environment: DIGA_TOKEN or INPUT_TOKEN. The flags down to --max-retries can also be set
there, as INPUT_ plus the name in upper case (INPUT_AGENT_ID). Flags take precedence.

Flags:
`

const usageEnd = `  --output=plain|json|dotenv          format of the results (default plain: name=value lines)
  --summary=FILE                      write a Markdown summary to FILE
  --version                           print the version
  --help                              print this

The log goes to stderr. Exit status: 0 success, 1 failure, 130 and 143 after SIGINT and SIGTERM.

Example:
  publish-agent-version --agent-id=a0000000-0000-4000-8000-000000000001 --version-name=v1.4.0 --dry-run
`

// printUsage handles --help and --version.
func (s Step) printUsage(a arguments) {
	if a.version {
		fmt.Fprintln(s.Stdout, s.Version)
		return
	}
	fmt.Fprint(s.Stdout, usage)
	for _, in := range inputTable[1:] { // but the token
		help := in.help
		if in.fallback != "" && in.kind != "" {
			help += " (default " + in.fallback + ")"
		}
		fmt.Fprintf(s.Stdout, "  %-34s  %s\n", "--"+in.name+in.kind, help)
	}
	fmt.Fprint(s.Stdout, usageEnd)
}

// arguments is the parsed command line.
type arguments struct {
	inputs        map[string]string // by name; also "output", the format, and "summary", a file
	help, version bool
}

// parseArgs parses the command line, up to the first problem, which it describes without any value that may be a token.
// A value that is a word of its own must not begin with a hyphen: after an empty variable, that would be the next flag.
func parseArgs(args []string) (a arguments, problem message) {
	a.inputs = make(map[string]string)
	for i := 0; i < len(args); i++ {
		flag := args[i]
		name, value, hasValue := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(flag, "-"), "-"), "=")
		in := inputNamed(name)
		switch {
		case !strings.HasPrefix(flag, "-"):
			before, _, _ := strings.Cut(append([]string{"the command"}, args...)[i], "=")
			return a, say("Unexpected argument after %s: write flags as --name=value. See --help", diga.Foreign(before))
		case name == "help", name == "h", name == "version":
			a.help, a.version = a.help || name != "version", a.version || name == "version"
			continue
		case name == "token":
			return a, say("--token is not supported: anyone on this machine can see the command line. " +
				"Set DIGA_TOKEN in the environment")
		case in == nil && name != "output" && name != "summary":
			return a, unknownInput("flag", "--"+name)
		case hasValue:
		case in != nil && in.kind == "":
			value = "true"
		case i+1 == len(args) || strings.HasPrefix(args[i+1], "-"):
			return a, say("--%s needs a value: is a variable empty? "+
				"One that begins with a hyphen is written --%[1]s=VALUE", name)
		default:
			i++
			value = args[i]
		}
		value = strings.TrimSpace(value)
		if value == "" && !strings.Contains(name, "phone") { // an undefined variable must not remove a safeguard
			return a, say("--%s is empty: remove the flag, or give it a value", name)
		}
		if name == "output" && !slices.Contains([]format{plain, asJSON, dotenv}, format(value)) {
			return a, say("--output must be plain, json or dotenv, not %s", quote(value))
		}
		a.inputs[name] = value
	}
	return a, problem
}

// unknownInput is the problem of a name that is no input's. It suggests one that differs only in case, hyphens and
// underscores.
func unknownInput(kind, name string) message {
	fold := func(s string) string { return strings.NewReplacer("-", "", "_", "").Replace(strings.ToLower(s)) }
	for _, in := range inputTable {
		if fold(in.name) == fold(name) {
			return say("Unknown %s %s: did you mean {"+in.name+"}?", kind, quote(name))
		}
	}
	return say("Unknown %s %s", kind, quote(name))
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
			problems = append(problems, unknownInput("input", name))
		case in.kind == "" && strings.TrimSpace(value) == "":
			problems = append(problems, say("{"+name+"} is empty: is the variable defined here? "+
				"It must be true or false"))
		default:
			values[name] = cmp.Or(values[name], strings.TrimSpace(value))
		}
	}
	if !s.inActions() && values["token"] == "" {
		values["token"] = strings.TrimSpace(s.Getenv("DIGA_TOKEN"))
	}
	return values, problems
}
