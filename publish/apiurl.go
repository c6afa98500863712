package publish

import (
	"cmp"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

const defaultAPIURL = "https://api.diga.io"

// parseAPIURL parses the API's base URL: https, or http to a host that keeps the token off the network. problem is a
// format string. Its verb, if any, stands for the quoted value; there is none if the value may contain a password.
func parseAPIURL(value string) (u *url.URL, problem string) {
	u, err := url.Parse(value)
	if err != nil {
		return nil, "is not a URL: %s"
	}
	host := u.Hostname()
	address := net.ParseIP(host)
	port, portErr := strconv.Atoi(cmp.Or(u.Port(), "443"))
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
		return nil, "must begin with https://, not %s: http would send the token unencrypted (allowed for localhost and service containers only)"
	}
	return u, ""
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
