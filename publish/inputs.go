package publish

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"publish-agent-version/diga"
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

	Inbound, Outbound uuid.NullUUID // null: left out of the request
	DryRun            bool
	APIURL            *url.URL
	Timeout           time.Duration // 1 s to 30 min
	MaxRetries        int           // 0 to 10
}

const defaultAPIURL = "https://api.diga.io"

// readInputs reads every input by get, which takes an input's name and returns its trimmed value. The error joins
// all problems, each of which begins with the input's name.
func readInputs(get func(name string) string) (Inputs, error) {
	var problems []error
	problem := func(name, format string, args ...any) {
		problems = append(problems, fmt.Errorf("%s %s", name, fmt.Sprintf(format, args...)))
	}
	id := func(name string) uuid.NullUUID {
		value := get(name)
		if value == "" {
			return uuid.NullUUID{}
		}
		parsed, err := diga.ParseID(value)
		if err != nil {
			problem(name, "is not valid: %v", err)
		}
		return uuid.NullUUID{UUID: parsed, Valid: true}
	}
	flag := func(name string) bool {
		switch value := get(name); value {
		case "true", "True", "TRUE":
			return true
		case "", "false", "False", "FALSE":
			return false
		default:
			problem(name, "must be true or false, not %s", quote(value))
			return false
		}
	}

	in := Inputs{Token: Token(get("token"))}
	if err := checkToken(in.Token.reveal()); err != nil {
		problem("token", "%v", err)
	}
	agent := id("agent-id")
	in.Agent = agent.UUID
	if !agent.Valid {
		problem("agent-id", "is missing or empty: is the variable that it comes from defined here?")
	}
	in.Version, in.VersionName, in.Unpublish = id("version-id"), get("version-name"), flag("unpublish")
	chosen := 0
	for _, is := range []bool{in.Version.Valid, in.VersionName != "", in.Unpublish} {
		if is {
			chosen++
		}
	}
	switch {
	case chosen == 0:
		problem("version-id", "and version-name are empty and unpublish is not true. Choose one of the three. "+
			"(The API unpublishes when it is given no version, so an empty value is never sent)")
	case chosen > 1:
		problem("version-id,", "version-name and unpublish: true exclude each other. Choose one of the three")
	}
	in.Inbound, in.Outbound = id("inbound-phone-number-id"), id("outbound-phone-number-id")
	if in.Unpublish && in.Inbound.Valid {
		problem("inbound-phone-number-id", "has no meaning with unpublish: true")
	}
	if in.Unpublish && in.Outbound.Valid {
		problem("outbound-phone-number-id", "has no meaning with unpublish: true")
	}
	in.DryRun = flag("dry-run")

	var err error
	if in.APIURL, err = parseAPIURL(or(get("api-url"), defaultAPIURL)); err != nil {
		problem("api-url", "%v", err)
	}
	timeout := or(get("timeout"), "2m")
	if in.Timeout, err = time.ParseDuration(timeout); err != nil || in.Timeout < time.Second || in.Timeout > 30*time.Minute {
		problem("timeout", "must be a duration from 1s to 30m, such as 90s or 2m, not %s", quote(timeout))
	}
	retries := or(get("max-retries"), "4")
	in.MaxRetries, _ = strconv.Atoi(retries)
	if in.MaxRetries < 0 || in.MaxRetries > 10 || strconv.Itoa(in.MaxRetries) != retries {
		problem("max-retries", "must be a whole number from 0 to 10, not %s", quote(retries))
	}
	return in, errors.Join(problems...)
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
func checkToken(token string) error {
	switch {
	case token == "":
		return errors.New("is missing or empty: is the secret undefined, or is this a pull request from a fork, which gets no secrets?")
	case strings.HasPrefix(strings.ToLower(token), "bearer "):
		return errors.New(`must be the token alone, without "Bearer" in front`)
	case strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }):
		return errors.New("holds a blank, a line break or another character that no token has: was it pasted with something else?")
	}
	return nil
}

// isName reports whether s begins with an ASCII letter or digit, and holds nothing but these and others.
func isName(s, others string) bool {
	return s != "" && strings.TrimLeft(s, others) == s && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || 'z' < r) && (r < 'A' || 'Z' < r) && (r < '0' || '9' < r) && !strings.ContainsRune(others, r)
	})
}

// parseAPIURL reads the address of the API: https, or http where nothing leaves the machine or its container network.
func parseAPIURL(value string) (*url.URL, error) {
	u, err := url.Parse(value)
	if err != nil {
		return nil, fmt.Errorf("is not a URL: %s", quote(value))
	}
	host := u.Hostname()
	address := net.ParseIP(host)
	port, portErr := strconv.Atoi(or(u.Port(), "443"))
	switch {
	case u.User != nil:
		return nil, errors.New("must not hold a user name or a password")
	case u.Scheme != "https" && u.Scheme != "http", u.Opaque != "":
		return nil, fmt.Errorf("must be a URL that begins with https://, not %s", quote(value))
	case address == nil && (!isName(host, "._-") || strings.TrimRight(host, "._-") != host), portErr != nil, port < 1, port > 65535:
		return nil, fmt.Errorf("has no valid host: %s", quote(value))
	case u.RawQuery != "", u.ForceQuery, u.Fragment != "", strings.Contains(value, "#"):
		return nil, errors.New("must not hold a query or a fragment")
	case slices.Contains(strings.Split(u.Path, "/"), ".."):
		return nil, errors.New("must not hold .. in its path")
	case u.Scheme == "http" && !staysInside(host, address):
		return nil, fmt.Errorf("must begin with https://: the token would cross the network in the clear (http:// is for localhost and for service containers), not %s", quote(value))
	}
	return u, nil
}

// staysInside reports whether a host is this machine or has a name of one label, as a job's service container has.
// A number is no name: some resolvers take it for an IPv4 address.
func staysInside(host string, address net.IP) bool {
	if address != nil {
		return address.IsLoopback()
	}
	_, err := strconv.ParseUint(host, 0, 64)
	return err != nil && !strings.Contains(host, ".")
}
