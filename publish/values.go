package publish

import (
	"fmt"
	"io"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"publish-agent-version/diga"

	"github.com/google/uuid"
)

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
	p.choice = r.choice(byID)
	switch number := diga.ParseNumber(text); {
	case text == "":
	case r.get(byID) != "":
		r.invalid(name, "and {"+byID+"} exclude each other: set only one")
	case text == "none":
		r.invalid(name, "must be a phone number; to unbind the current one, set {"+byID+": none}")
	case len(number.Digits()) < 2 && !number.IsSIP(), strings.HasPrefix(number.Digits(), "00"), len(text) > 500:
		r.invalid(name, `must be a phone number such as "+34910000001" (+, not 00), or a SIP identifier such as `+
			"user@example.com, not %s", quote(text))
	default:
		p.Number = number
	}
	return p
}

// choice reads an ID, or the word none.
func (r *inputReader) choice(name string) choice {
	if r.get(name) == "none" {
		return choice{None: true}
	}
	return choice{ID: r.id(name)}
}

// apiURL reads the API's base URL: https, or http to a host that keeps the token off the network.
func (r *inputReader) apiURL(name string) *url.URL {
	value := r.or(name)
	u, err := url.Parse(value)
	if err != nil {
		u = &url.URL{}
	}
	host := u.Hostname()
	address := net.ParseIP(host)
	parts := strings.Split(u.Path, "/")
	switch {
	case u.User != nil, u.RawQuery != "", u.ForceQuery, strings.Contains(value, "#"), slices.Contains(parts, ".."):
		r.invalid(name, "must not contain a password, a query, a fragment or .. in its path")
	case u.Scheme != "https" && u.Scheme != "http", u.Opaque != "", address == nil && !isName(host, "._-"):
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

// isName reports whether s consists of ASCII letters, digits and the characters in others, and is not empty.
func isName(s, others string) bool {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	return s != "" && strings.Trim(s, letters+others) == ""
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

// A secretToken authorizes requests. Only reveal returns it.
type secretToken string

// Format writes stars, whatever the verb.
func (secretToken) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "***") }

func (t secretToken) reveal() string { return string(t) }

const minToken = 8 // a shorter one would mask unrelated text

// problem returns what is wrong with the token, without any part of it, or "".
func (t secretToken) problem() string {
	is := func(pattern string) bool { return regexp.MustCompile(pattern).MatchString(t.reveal()) }
	switch {
	case t == "":
		return "is missing or empty: is the secret defined here? Pull requests from forks get none"
	case is(`(?i)^(bearer|token|diga_token)[ :=]`), is(`^["']|["']$`):
		return "must be the key alone, without quotes or a prefix such as Bearer"
	case is(`[^!-~]`):
		return "contains a space, a line break or another invalid character: was extra text pasted with it?"
	case is(`^(\$|\{\{|\*+$)`), len(t) < minToken:
		return "is a placeholder or too short to be a key: was the variable replaced?"
	}
	return ""
}
