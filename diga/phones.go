package diga

import (
	"context"
	"iter"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/google/uuid"
)

// Direction is the direction of the calls that a phone number is bound for.
type Direction int

const (
	Inbound    Direction = iota // calls to the number, which the agent answers
	Outbound                    // calls that the agent makes from the number
	Directions                  // the number of directions: "for d := range Directions" visits all
)

// String returns "inbound" or "outbound".
func (d Direction) String() string { return [...]string{"inbound", "outbound"}[d] }

// Phone is a phone number of the project.
type Phone struct {
	ID        uuid.UUID
	Number    Number
	Nickname  Foreign                   // may be empty
	Status    Foreign                   // in lower case; empty: not known
	Agents    [Directions]uuid.NullUUID // that it is bound to; null: none
	ReleaseAt time.Time                 // when it is going to be released; zero: it is not
}

func (p Phone) key() uuid.UUID { return p.ID }

// Usable reports whether the number can be bound, as far as the API says: it is not in one of the states before it is
// assigned or after it was given up. A status that is not documented does not make it unusable.
func (p Phone) Usable() bool {
	return !slices.Contains([]Foreign{"reserved", "pending_verification", "released", "finished"}, p.Status)
}

// IsBound reports whether the number is bound to an agent.
func (p Phone) IsBound(agent uuid.UUID, d Direction) bool { return p.Agents[d] == valid(agent) }

// Phones reads all phone numbers of the project (GET /v1/phone/). If the list cannot be read to its end, or has more
// than 10,000 numbers, the last pair holds an *Error.
func (c *Client) Phones(ctx context.Context) iter.Seq2[Phone, error] {
	return list(ctx, c, "v1/phone/", "phone numbers", 10_000, readPhone) // without the slash at its end, it redirects
}

// readPhone reads a phone number. Only its id is required.
func readPhone(data []byte) (Phone, error) {
	r := newRecord(data)
	p := Phone{ID: r.id("id"), ReleaseAt: r.time("scheduled_release_at")}
	for d := range Directions {
		p.Agents[d] = r.optionalID(d.String() + "_agent_id")
	}
	var number string
	r.get("number", "a string", &number)
	r.get("nickname", "a string", &p.Nickname)
	r.get("status", "a string", &p.Status)
	p.Number, p.Status = ParseNumber(number), Foreign(strings.ToLower(string(p.Status)))
	return p, r.err
}

// Number is a phone number or SIP identifier. The zero value is none.
type Number struct {
	text      string // as it was written
	canonical string // equal for all notations of the same number
}

// ParseNumber reads a number in any notation: E.164 with or without blanks, hyphens, dots, slashes and brackets,
// national, a tel: URI (RFC 3966), or a SIP identifier such as user@example.com, with or without sip:. Parameters after
// a semicolon do not count. Nothing is guessed: 00 is not +, and no country code is added.
func ParseNumber(s string) Number {
	n := Number{text: strings.TrimSpace(s)}
	rest, _, _ := strings.Cut(strings.ToLower(n.text), ";")
	n.canonical = strings.TrimSpace(strings.TrimPrefix(strings.TrimPrefix(rest, "tel:"), "sip:"))
	bare := strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.Is(unicode.Pd, r) || strings.ContainsRune("−./()[]", r) {
			return -1
		}
		return r
	}, n.canonical)
	if strings.Trim(bare, "+0123456789") == "" {
		n.canonical = bare
	}
	return n
}

// Text is the number as it was written.
func (n Number) Text() Foreign { return Foreign(n.text) }

// IsSIP reports whether the number is a SIP identifier, user@host.
func (n Number) IsSIP() bool {
	user, host, ok := strings.Cut(n.canonical, "@")
	return ok && user != "" && host != ""
}

// Digits are the digits of a number that has nothing else, but perhaps a plus sign in front of them; otherwise "".
func (n Number) Digits() string {
	digits := strings.TrimPrefix(n.canonical, "+")
	if strings.Trim(digits, "0123456789") != "" {
		return ""
	}
	return digits
}

// E164 returns the number in the format of ITU-T E.164, a plus sign and 2 to 15 digits, the first of which is not 0. It
// returns "" if the number is not written with its country code.
func (n Number) E164() string {
	digits := n.Digits()
	if !strings.HasPrefix(n.canonical, "+") || len(digits) < 2 || len(digits) > 15 || digits[0] == '0' {
		return ""
	}
	return n.canonical
}

// Equal reports whether two notations are of the same number. Digits alone are also equal to the number in E.164 that
// has just these digits, because YAML reads an unquoted +34910000001 as the integer 34910000001.
func (n Number) Equal(other Number) bool {
	return n.Exactly(other) || "+"+n.canonical == other.E164() || "+"+other.canonical == n.E164()
}

// Exactly is Equal without the rule for digits alone.
func (n Number) Exactly(other Number) bool {
	return n.canonical != "" && n.canonical == other.canonical
}

// EndsLike reports whether the digits of one number, six at least, are the end of the other's.
func (n Number) EndsLike(other Number) bool {
	a, b := strings.TrimPrefix(n.Digits(), "00"), strings.TrimPrefix(other.Digits(), "00")
	return min(len(a), len(b)) >= 6 && (strings.HasSuffix(a, b) || strings.HasSuffix(b, a))
}
