package publish

import "strings"

// A secretToken authorizes requests. It prints as stars; only reveal returns it.
type secretToken string

// String returns stars.
func (secretToken) String() string { return "***" }

// GoString returns stars.
func (secretToken) GoString() string { return "***" }

func (t secretToken) reveal() string { return string(t) }

// problem returns what is wrong with the token, without any part of it, or "".
func (t secretToken) problem() string {
	switch token := t.reveal(); {
	case token == "":
		return "is missing or empty (in GitHub Actions: is the secret defined, and does the pull request come from a fork, which gets no secrets? Elsewhere, set DIGA_TOKEN)"
	case strings.HasPrefix(strings.ToLower(token), "bearer "):
		return `must not include the "Bearer" prefix`
	case strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }):
		return "contains a space, a line break or another invalid character (was extra text pasted with it?)"
	}
	return ""
}
