package publish

import "fmt"

const usage = `publish-agent-version publishes a version of a Diga voice agent.

As a GitHub action it is used from a workflow. As a plain program it reads the same inputs from environment variables
(INPUT_ and the input's name in upper case, hyphens kept), logs to stderr and prints its results to stdout:

  env 'INPUT_TOKEN=…' 'INPUT_AGENT-ID=…' 'INPUT_VERSION-ID=…' publish-agent-version

Inputs:  token, agent-id, version-id | version-name | unpublish,
         inbound-phone-number-id | inbound-phone-number, outbound-phone-number-id | outbound-phone-number, take-over,
         dry-run, api-url, timeout, max-retries
Options: -version  print the version and stop
         -help     print this and stop
`

// usage answers command-line arguments. The step itself takes none.
func (s Step) usage() int {
	switch s.Args[0] {
	case "-version", "--version":
		fmt.Fprintln(s.Stdout, s.Version)
		return 0
	case "-h", "-help", "--help":
		fmt.Fprint(s.Stdout, usage)
		return 0
	default:
		fmt.Fprintf(s.Stderr, "unknown argument %q\n\n%s", s.Args[0], usage)
		return 1
	}
}
