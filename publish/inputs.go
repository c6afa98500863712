package publish

import (
	"cmp"
	"fmt"
	"net"
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
	{"inbound-phone-number-id", "=ID", "", "answer the number with this ID; none releases it; empty keeps what is bound"},
	{"outbound-phone-number-id", "=ID", "", "call from it; none releases the bound number"},
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

// similarInput returns the input whose name differs only in case, hyphens and underscores, or nil.
func similarInput(name string) *input {
	fold := func(s string) string { return strings.NewReplacer("-", "", "_", "").Replace(strings.ToLower(s)) }
	for i, in := range inputTable {
		if fold(in.name) == fold(name) {
			return &inputTable[i]
		}
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
	TakeOver    bool // a number may be taken from another agent
	Expect      expectation
	OnlyNewer   bool   // refuse a version with a lower number than the live one
	ShowChanges string // names, full or off
	DryRun      bool
	APIURL      *url.URL
	Timeout     time.Duration // 1 s to 30 min
	MaxRetries  int           // 0 to 10
}

// isGuarded reports whether the change depends on what is live.
func (in inputs) isGuarded() bool { return in.Expect != expectation{} || in.OnlyNewer }

// phoneInput is the phone number requested in one direction. At most one field is set.
type phoneInput struct {
	ID      uuid.NullUUID
	Number  diga.Number
	Release bool // bind no number
}

func (p phoneInput) isOpen() bool { return p == phoneInput{} }

// expectation is what must be live for a change to be made. The zero value accepts anything.
type expectation struct {
	Version uuid.NullUUID
	Nothing bool // no version is live
}

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
		Expect:      r.expectation("expect-version-id"),
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
	var err error
	if in.Timeout, err = time.ParseDuration(r.or("timeout")); err != nil || in.Timeout < time.Second || in.Timeout > 30*time.Minute {
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

func (r *inputReader) id(name string) uuid.NullUUID {
	value := r.get(name)
	if value == "" {
		return uuid.NullUUID{}
	}
	id, err := diga.ParseID(value)
	if err != nil {
		r.invalid(name, "is not valid: %s", diga.Foreign(err.Error()))
	}
	return uuid.NullUUID{UUID: id, Valid: true}
}

// bool accepts what the YAML 1.2 core schema calls a boolean, as GitHub's own toolkit does.
func (r *inputReader) bool(name string) bool {
	switch value := r.get(name); value {
	case "true", "True", "TRUE":
		return true
	case "", "false", "False", "FALSE":
	default:
		r.invalid(name, "must be true or false, not %s", quote(value))
	}
	return false
}

// phone reads a number from the input of this name, or its ID from the input with the suffix -id.
func (r *inputReader) phone(name string) (p phoneInput) {
	text, byID := r.get(name), name+"-id"
	if p.Release = r.get(byID) == "none"; !p.Release {
		p.ID = r.id(byID)
	}
	number := diga.ParseNumber(text)
	switch {
	case text == "":
	case r.get(byID) != "":
		r.invalid(name, "and {"+byID+"} exclude each other: set only one")
	case text == "none":
		r.invalid(name, "must be a phone number; to release the bound one, set {"+byID+": none}")
	case strings.HasPrefix(number.Digits(), "00"):
		r.invalid(name, "must start with + and the country code, not with 00: %s", quote(text))
	case len(number.Digits()) < 2 && !number.IsSIP(), len(text) > 500:
		r.invalid(name, `must be a phone number such as "+34910000001", or a SIP identifier such as user@example.com, not %s`, quote(text))
	default:
		p.Number = number
	}
	return p
}

func (r *inputReader) expectation(name string) expectation {
	if r.get(name) == "none" {
		return expectation{Nothing: true}
	}
	return expectation{Version: r.id(name)}
}

// apiURL reads the API's base URL: https, or http to a host that keeps the token off the network.
func (r *inputReader) apiURL(name string) *url.URL {
	value := r.or(name)
	u, err := url.Parse(value)
	if err != nil {
		r.invalid(name, "is not a URL: %s", quote(value))
		return nil
	}
	host := u.Hostname()
	address := net.ParseIP(host)
	port, portErr := strconv.Atoi(cmp.Or(u.Port(), "443"))
	switch {
	case u.User != nil:
		r.invalid(name, "must not contain a user name or a password")
	case u.RawQuery != "", u.ForceQuery, strings.Contains(value, "#"), slices.Contains(strings.Split(u.Path, "/"), ".."):
		r.invalid(name, "must not contain a query, a fragment or .. in its path")
	case u.Scheme != "https" && u.Scheme != "http", u.Opaque != "", portErr != nil, port < 1, port > 65535,
		address == nil && (!isName(host, "._-") || strings.TrimRight(host, "._-") != host):
		r.invalid(name, "must be a URL such as https://api.diga.io, not %s", quote(value))
	case u.Scheme == "http" && !isLocal(host, address):
		r.invalid(name, "must begin with https://, not %s: http would send the token unencrypted "+
			"(allowed for localhost and service containers only)", quote(value))
	}
	return u
}

// isLocal reports whether a host is this machine, or has a one-label name like a job's service container. A number does
// not count: some resolvers parse it as an IPv4 address.
func isLocal(host string, address net.IP) bool {
	if address != nil {
		return address.IsLoopback()
	}
	_, err := strconv.ParseUint(host, 0, 64)
	return err != nil && !strings.Contains(host, ".")
}

// isName reports whether s begins with an ASCII letter or digit and contains only those and the characters in others.
func isName(s, others string) bool {
	return s != "" && strings.TrimLeft(s, others) == s && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || 'z' < r) && (r < 'A' || 'Z' < r) && (r < '0' || '9' < r) && !strings.ContainsRune(others, r)
	})
}

// checkChoice requires exactly one action, and rejects inputs that have no effect with it. Without a version the API
// would unpublish, so an empty version-id, for example from a misspelled variable, must not pass.
func (r *inputReader) checkChoice(in inputs) {
	var chosen []message
	for name, is := range map[string]bool{
		"version-id": in.Version.Valid, "version-name": in.VersionName != "", "unpublish": in.Unpublish, "show-live": in.ShowLive,
	} {
		if is {
			chosen = append(chosen, say("{"+name+"}"))
		}
	}
	slices.SortFunc(chosen, func(a, b message) int { return strings.Compare(b.format, a.format) })
	reject := func(choice string, names ...string) {
		for _, name := range names {
			if value := r.get(name); value != "" && !strings.EqualFold(value, "false") {
				r.invalid(name, "has no effect with {"+choice+"}: remove it")
			}
		}
	}
	phones := []string{
		"inbound-phone-number", "inbound-phone-number-id", "outbound-phone-number", "outbound-phone-number-id", "take-over", "only-newer",
	}
	switch {
	case len(chosen) == 0:
		r.problems = append(r.problems, say("Set {version-id} or {version-name}: both are empty. "+
			"To take the agent offline, set {unpublish: true}"))
	case len(chosen) > 1:
		r.problems = append(r.problems, say("%s exclude each other: set only one", list(chosen)))
	case in.ShowLive:
		reject("show-live: true", append(phones, "launch-draft", "expect-version-id", "dry-run")...)
	case in.Unpublish:
		reject("unpublish: true", append(phones, "launch-draft")...)
	case in.VersionName == "" && in.LaunchDraft:
		r.invalid("launch-draft", "needs {version-name}: the draft is launched under that name")
	}
}

// quote quotes a value for a message. A long one is not shown, not even in part: it may be a secret, and only the whole
// secret would be masked.
func quote(value string) diga.Foreign {
	const maxQuoted = 100
	if quoted := strconv.Quote(value); len(quoted) <= maxQuoted {
		return diga.Foreign(quoted)
	}
	return diga.Foreign(fmt.Sprintf("a value of %d bytes", len(value)))
}

// A secretToken authorizes requests. It prints as stars; only reveal returns it.
type secretToken string

// String returns stars.
func (secretToken) String() string { return "***" }

// GoString returns stars.
func (secretToken) GoString() string { return "***" }

func (t secretToken) reveal() string { return string(t) }

const minToken = 8 // a shorter one would mask unrelated text

// problem returns what is wrong with the token, without any part of it, or "".
func (t secretToken) problem() string {
	token := t.reveal()
	lower := strings.ToLower(token)
	starts := func(prefixes ...string) bool {
		return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(lower, p) })
	}
	switch {
	case token == "":
		return "is missing or empty: is the secret defined here? Pull requests from forks get none"
	case starts("bearer ", "bearer:", "token=", "token:", "diga_token="):
		return "must be the key alone, without a prefix such as Bearer"
	case strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }):
		return "contains a space, a line break or another invalid character: was extra text pasted with it?"
	case strings.Trim(token, `"'`) != token:
		return "is in quotes: remove them"
	case starts("$") || strings.Trim(token, "*") == "" || strings.HasPrefix(token, "{{"):
		return "is a placeholder, not a key: was the variable replaced?"
	case len(token) < minToken:
		return "is too short to be a key"
	}
	return ""
}
