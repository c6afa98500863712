package publish

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"publish-agent-version/diga"

	"github.com/google/uuid"
)

// input is one input of the step: in Actions a key under "with:", elsewhere a flag or an environment variable.
type input struct {
	name     string
	kind     string // in --help: =ID and so on; empty: a boolean
	fallback string // the default
	help     string
}

// inputTable is every input, in the order of action.yml.
var inputTable = []input{
	{"token", "=TOKEN", "", ""},
	{"agent-id", "=ID", "", "the agent"},
	{"version-id", "=ID", "", "publish this version"},
	{"version-name", "=NAME", "", "publish the version with this name"},
	{"launch-draft", "", "false", "if no version has that name, launch the draft under it first"},
	{"unpublish", "", "false", "take the agent offline"},
	{"inbound-phone-number-id", "=ID", "", "answer the number with this ID; none unbinds it; empty keeps it"},
	{"outbound-phone-number-id", "=ID", "", "call from the number with this ID; none unbinds it; empty keeps it"},
	{"inbound-phone-number", "=NUMBER", "", "answer this number, such as +34910000001"},
	{"outbound-phone-number", "=NUMBER", "", "call from this number"},
	{"take-over", "", "false", "take a number from another agent if needed"},
	{"expect-version-id", "=ID", "", "require that this version is live; none: that none is live"},
	{"only-newer", "", "false", "refuse a version older than the live one"},
	{"show-changes", "=names|full|off", "names", "configuration changes to show"},
	{"dry-run", "", "false", "check everything and show what would change, but change nothing"},
	{"show-live", "", "false", "only report what is live"},
	{"api-url", "=URL", "https://api.diga.io", "base URL of the API"},
	{"timeout", "=DURATION", "2m", "for the whole step, 1s to 30m"},
	{"max-retries", "=N", "4", "of each request, 0 to 10"},
}

// inputNamed returns the input of this name, or nil.
func inputNamed(name string) *input {
	if i := slices.IndexFunc(inputTable, func(in input) bool { return in.name == name }); i >= 0 {
		return &inputTable[i]
	}
	return nil
}

// inputs are the step's validated inputs.
type inputs struct {
	Token secretToken
	Agent uuid.UUID

	// Exactly one of these four is chosen.
	Version     uuid.NullUUID
	VersionName string
	Unpublish   bool
	ShowLive    bool // only report what is live

	LaunchDraft bool // if no version has VersionName
	Phones      [diga.Directions]phoneInput
	TakeOver    bool   // a number may be taken from another agent
	Expect      choice // what must be live for a change to be made; the zero value accepts anything
	OnlyNewer   bool   // refuse a version with a lower number than the live one
	ShowChanges string // names, full or off
	DryRun      bool
	APIURL      *url.URL
	Timeout     time.Duration // 1 s to 30 min
	MaxRetries  int           // 0 to 10
}

// hasNumber reports whether a phone is asked for by its number.
func (in inputs) hasNumber() bool {
	none := diga.Number{}
	return in.Phones[diga.Inbound].Number != none || in.Phones[diga.Outbound].Number != none
}

// choice is an ID, the word none, or neither.
type choice struct {
	ID   uuid.NullUUID
	None bool
}

// phoneInput is what is asked for in one direction: a phone by its ID or its number, none, or nothing.
type phoneInput struct {
	choice
	Number diga.Number
}

func (p phoneInput) isOpen() bool { return p == phoneInput{} }

// inputReader reads inputs by name and collects their problems.
type inputReader struct {
	get      func(name string) string // returns the trimmed value; empty: not set
	problems []message
}

// readInputs reads and validates every input. It returns all problems.
func readInputs(get func(name string) string) (inputs, []message) {
	r := &inputReader{get: get}
	in := inputs{
		Token:       secretToken(get("token")),
		Agent:       r.id("agent-id").UUID,
		Version:     r.id("version-id"),
		VersionName: get("version-name"),
		LaunchDraft: r.bool("launch-draft"),
		Unpublish:   r.bool("unpublish"),
		ShowLive:    r.bool("show-live"),
		Phones:      [diga.Directions]phoneInput{r.phone("inbound-phone-number"), r.phone("outbound-phone-number")},
		TakeOver:    r.bool("take-over"),
		Expect:      r.choice("expect-version-id"),
		OnlyNewer:   r.bool("only-newer"),
		ShowChanges: r.or("show-changes"),
		DryRun:      r.bool("dry-run"),
		APIURL:      r.apiURL("api-url"),
	}
	if problem := in.Token.problem(); problem != "" {
		r.invalid("token", problem)
	}
	if get("agent-id") == "" {
		r.invalid("agent-id", "is missing or empty: is the variable defined here?")
	}
	if !slices.Contains([]string{"names", "full", "off"}, in.ShowChanges) {
		r.invalid("show-changes", "must be names, full or off, not %s", quote(in.ShowChanges))
	}
	in.Timeout, _ = time.ParseDuration(r.or("timeout"))
	if in.Timeout < time.Second || in.Timeout > 30*time.Minute {
		r.invalid("timeout", "must be a duration from 1s to 30m, such as 90s or 2m, not %s", quote(get("timeout")))
	}
	retries := r.or("max-retries")
	in.MaxRetries, _ = strconv.Atoi(retries)
	if in.MaxRetries < 0 || in.MaxRetries > 10 || strconv.Itoa(in.MaxRetries) != retries {
		r.invalid("max-retries", "must be a whole number from 0 to 10, not %s", quote(retries))
	}
	r.checkChoice(in)
	return in, r.problems
}

// invalid records a problem of one input.
func (r *inputReader) invalid(name, format string, args ...any) {
	r.problems = append(r.problems, say("{"+name+"} "+format, args...))
}

// or returns the input, or its default.
func (r *inputReader) or(name string) string { return cmp.Or(r.get(name), inputNamed(name).fallback) }

// checkChoice requires exactly one action, and rejects inputs that have no effect with it. Without a version the API
// would unpublish, so an empty version-id, for example from a misspelled variable, must not pass.
func (r *inputReader) checkChoice(in inputs) {
	var chosen []message
	var withoutEffect []string
	choose := func(is bool, choice message, rejected ...string) {
		if is {
			chosen, withoutEffect = append(chosen, choice), rejected
		}
	}
	phones := []string{
		"inbound-phone-number", "inbound-phone-number-id", "outbound-phone-number", "outbound-phone-number-id",
		"take-over", "only-newer", "launch-draft",
	}
	choose(in.VersionName != "", say("{version-name}"))
	choose(in.Version.Valid, say("{version-id}"), "launch-draft")
	choose(in.Unpublish, say("{unpublish}"), phones...)
	choose(in.ShowLive, say("{show-live}"), append(phones, "expect-version-id", "dry-run")...)
	switch len(chosen) {
	case 0:
		r.problems = append(r.problems, say("Set {version-id} or {version-name}: both are empty. "+
			"To take the agent offline, set {unpublish: true}; to see what is live, {show-live: true}"))
	case 1:
		for _, name := range withoutEffect {
			if value := r.get(name); value != "" && !strings.EqualFold(value, "false") {
				r.invalid(name, "has no effect with %s: remove it", chosen[0])
			}
		}
	default:
		r.problems = append(r.problems, say("%s exclude each other: set only one", list(chosen)))
	}
}
