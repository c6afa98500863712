package publish

import (
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

// A Token authorises requests. It prints as stars; reveal alone gives it away.
type Token string

// String returns stars.
func (Token) String() string { return "***" }

// GoString returns stars.
func (Token) GoString() string { return "***" }

func (t Token) reveal() string { return string(t) }

// Inputs are the step's inputs after every check: they cannot contradict the contract.
type Inputs struct {
	Token Token
	Agent uuid.UUID

	// Exactly one of these three is chosen.
	Version     uuid.NullUUID
	VersionName string
	Unpublish   bool

	Phones     [diga.Directions]PhoneInput
	TakeOver   bool // a number that another agent has may be taken from it
	DryRun     bool
	APIURL     *url.URL
	Timeout    time.Duration // 1 s to 30 min
	MaxRetries int           // 0 to 10
}

// PhoneInput is what the inputs ask for in one direction: one of the three, or nothing.
type PhoneInput struct {
	ID      uuid.NullUUID
	Number  string // E.164
	Release bool   // no number is to be bound
}

// asked reports whether the inputs ask for anything in this direction.
func (p PhoneInput) asked() bool { return p != PhoneInput{} }

// problem is what is wrong with one input.
type problem struct {
	name   string // of the input
	format string // for the values
	values []any  // strings that the workflow wrote
}

// text returns the problem as a clause that begins with the input's name.
func (p problem) message(render renderer) string {
	shown := make([]any, len(p.values))
	for i, value := range p.values {
		shown[i] = render(value.(string))
	}
	return render(p.name) + " " + fmt.Sprintf(p.format, shown...)
}

const defaultAPIURL = "https://api.diga.io"

// readInputs reads every input by get, which takes an input's name and returns its trimmed value. It returns all problems
// at once.
func readInputs(get func(name string) string) (Inputs, []problem) {
	var problems []problem
	wrong := func(name, format string, values ...any) {
		problems = append(problems, problem{name, format, values})
	}
	parseID := func(name, value string) uuid.NullUUID {
		if value == "" {
			return uuid.NullUUID{}
		}
		id, err := diga.ParseID(value)
		if err != nil {
			wrong(name, "is not valid: %s", err.Error())
		}
		return uuid.NullUUID{UUID: id, Valid: true}
	}
	id := func(name string) uuid.NullUUID { return parseID(name, get(name)) }
	flag := func(name string) bool {
		switch value := get(name); value {
		case "true", "True", "TRUE":
			return true
		case "", "false", "False", "FALSE":
			return false
		default:
			wrong(name, "must be true or false, not %s", quote(value))
			return false
		}
	}
	phone := func(name string) (p PhoneInput) { // name is that of the number; -id follows for that of the id
		byID, number := get(name+"-id"), get(name)
		if byID == "none" {
			p.Release = true
		} else {
			p.ID = parseID(name+"-id", byID)
		}
		switch e164, ok := diga.E164(number); {
		case number == "":
		case byID != "":
			wrong(name, "and %s exclude each other: set one of them", name+"-id")
		case number == "none":
			wrong(name, "takes a number; to release the bound one, set %s to none", name+"-id")
		case !ok:
			wrong(name, "must be a number with its country code, such as +34910000001, not %s", quote(number))
		default:
			p.Number = e164
		}
		return p
	}

	in := Inputs{Token: Token(get("token"))}
	if problem := checkToken(in.Token.reveal()); problem != "" {
		wrong("token", problem)
	}
	agent := id("agent-id")
	in.Agent = agent.UUID
	if !agent.Valid {
		wrong("agent-id", "is missing or empty: is the variable that it comes from defined here?")
	}
	in.Version, in.VersionName, in.Unpublish = id("version-id"), get("version-name"), flag("unpublish")
	var chosen []string
	for _, choice := range []struct {
		name string
		is   bool
	}{{"version-id", in.Version.Valid}, {"version-name", in.VersionName != ""}, {"unpublish", in.Unpublish}} {
		if choice.is {
			chosen = append(chosen, choice.name)
		}
	}
	switch len(chosen) {
	case 0:
		wrong("version-id", "and %s are empty and %s is not true: choose one of them. An empty version is never sent: "+
			"to Diga it would mean to unpublish", "version-name", "unpublish")
	case 2:
		wrong(chosen[0], "and %s exclude each other: choose one of them", chosen[1])
	case 3:
		wrong(chosen[0], "%s and %s exclude each other: choose one of them", chosen[1], chosen[2])
	}
	for d := range diga.Directions {
		name := d.String() + "-phone-number"
		in.Phones[d] = phone(name)
		for _, name := range []string{name, name + "-id"} {
			if in.Unpublish && get(name) != "" {
				wrong(name, "has no meaning with %s: leave it out", "unpublish: true")
			}
		}
	}
	in.TakeOver, in.DryRun = flag("take-over"), flag("dry-run")

	address := or(get("api-url"), defaultAPIURL)
	var addressProblem string
	if in.APIURL, addressProblem = parseAPIURL(address); strings.Contains(addressProblem, "%s") {
		wrong("api-url", addressProblem, quote(address))
	} else if addressProblem != "" {
		wrong("api-url", addressProblem) // without the value: it may hold a password
	}
	var err error
	timeout := or(get("timeout"), "2m")
	if in.Timeout, err = time.ParseDuration(timeout); err != nil || in.Timeout < time.Second || in.Timeout > 30*time.Minute {
		wrong("timeout", "must be a duration from 1s to 30m, such as 90s or 2m, not %s", quote(timeout))
	}
	retries := or(get("max-retries"), "4")
	in.MaxRetries, _ = strconv.Atoi(retries)
	if in.MaxRetries < 0 || in.MaxRetries > 10 || strconv.Itoa(in.MaxRetries) != retries {
		wrong("max-retries", "must be a whole number from 0 to 10, not %s", quote(retries))
	}
	return in, problems
}

func or(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}

// quote quotes a value for a message. A long one is not shown: a part of a secret would pass for harmless.
func quote(value string) string {
	const most = 100
	if quoted := strconv.Quote(value); len(quoted) <= most {
		return quoted
	}
	return fmt.Sprintf("a text of %d bytes", len(value))
}

// checkToken never repeats the token.
func checkToken(token string) (problem string) {
	switch {
	case token == "":
		return "is missing or empty: is the secret undefined, or is this a pull request from a fork, which gets no secrets?"
	case strings.HasPrefix(strings.ToLower(token), "bearer "):
		return `must be the token alone, without "Bearer" in front`
	case strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }):
		return "has a blank, a line break or another character that no token has: was it pasted with something else?"
	}
	return ""
}

// isName reports whether s begins with an ASCII letter or digit, and holds nothing but these and others.
func isName(s, others string) bool {
	return s != "" && strings.TrimLeft(s, others) == s && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || 'z' < r) && (r < 'A' || 'Z' < r) && (r < '0' || '9' < r) && !strings.ContainsRune(others, r)
	})
}

// parseAPIURL reads the address of the API: https, or http where nothing leaves the machine or its container network.
// It returns what is wrong with it as a format for quoted, the value as it may be shown.
func parseAPIURL(value string) (u *url.URL, wrong string) {
	u, err := url.Parse(value)
	if err != nil {
		return nil, "is not a URL: %s"
	}
	host := u.Hostname()
	address := net.ParseIP(host)
	port, portErr := strconv.Atoi(or(u.Port(), "443"))
	switch {
	case u.User != nil:
		return nil, "must not contain a user name or a password"
	case u.Scheme != "https" && u.Scheme != "http", u.Opaque != "":
		return nil, "must be a URL that begins with https://, not %s"
	case address == nil && (!isName(host, "._-") || strings.TrimRight(host, "._-") != host), portErr != nil, port < 1, port > 65535:
		return nil, "has no valid host: %s"
	case u.RawQuery != "", u.ForceQuery, u.Fragment != "", strings.Contains(value, "#"):
		return nil, "must not contain a query or a fragment"
	case slices.Contains(strings.Split(u.Path, "/"), ".."):
		return nil, "must not contain .. in its path"
	case u.Scheme == "http" && !isLocal(host, address):
		return nil, "must begin with https://, not %s: over http the token would cross the network unencrypted (allowed to localhost and service containers only)"
	}
	return u, ""
}

// staysInside reports whether a host is this machine or has a name of one label, as a job's service container has.
// A number is no name: some resolvers take it for an IPv4 address.
func isLocal(host string, address net.IP) bool {
	if address != nil {
		return address.IsLoopback()
	}
	_, err := strconv.ParseUint(host, 0, 64)
	return err != nil && !strings.Contains(host, ".")
}
