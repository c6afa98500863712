package publish

import (
	"cmp"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"publish-agent-version/diga"

	"github.com/google/uuid"
)

// inputs are the step's validated inputs.
type inputs struct {
	Token secretToken
	Agent uuid.UUID

	// Exactly one of these four is chosen.
	Version     uuid.NullUUID
	VersionName string
	Unpublish   bool
	ShowLive    bool // only report what is live

	Phones      [diga.Directions]phoneInput
	TakeOver    bool // a number may be taken from another agent
	Expect      expectation
	OnlyNewer   bool // refuse a version with a lower number than the live one
	ShowChanges changeDetail
	DryRun      bool
	APIURL      *url.URL
	Timeout     time.Duration // 1 s to 30 min
	MaxRetries  int           // 0 to 10
}

// phoneInput is the phone number requested in one direction. At most one field is set.
type phoneInput struct {
	ID      uuid.NullUUID
	Number  string // E.164
	Release bool   // bind no number
}

// expectation is what must be live for a change to be made. The zero value accepts anything.
type expectation struct {
	Version uuid.NullUUID
	Nothing bool // no version is live
}

func (e expectation) isSet() bool { return e != expectation{} }

// changeDetail is how much of the configuration changes is shown.
type changeDetail string

// The values of show-changes.
const (
	namesOnly   changeDetail = "names" // names of fields, and line counts of texts
	fullChanges changeDetail = "full"  // values too
	noChanges   changeDetail = "off"
)

// inputNames lists every input, in the order of action.yml. isBool marks booleans.
var inputNames = []struct {
	name   string
	isBool bool
}{
	{"token", false}, {"agent-id", false}, {"version-id", false}, {"version-name", false}, {"unpublish", true},
	{"inbound-phone-number-id", false}, {"outbound-phone-number-id", false},
	{"inbound-phone-number", false}, {"outbound-phone-number", false}, {"take-over", true},
	{"expect-version-id", false}, {"only-newer", true}, {"show-changes", false}, {"dry-run", true}, {"show-live", true},
	{"api-url", false}, {"timeout", false}, {"max-retries", false},
}

// inputReader reads inputs by name and collects their problems.
type inputReader struct {
	get      func(name string) string // returns the trimmed value; empty: not set
	problems []text
}

// readInputs reads and validates every input. It returns all problems, each beginning with the input's name.
func readInputs(get func(name string) string) (inputs, []text) {
	r := &inputReader{get: get}
	in := inputs{
		Token:       secretToken(get("token")),
		Agent:       r.id("agent-id").UUID,
		Version:     r.id("version-id"),
		VersionName: get("version-name"),
		Unpublish:   r.bool("unpublish"),
		ShowLive:    r.bool("show-live"),
		Phones:      [diga.Directions]phoneInput{r.phone("inbound-phone-number"), r.phone("outbound-phone-number")},
		TakeOver:    r.bool("take-over"),
		Expect:      r.expectation("expect-version-id"),
		OnlyNewer:   r.bool("only-newer"),
		ShowChanges: r.detail("show-changes"),
		DryRun:      r.bool("dry-run"),
		APIURL:      r.apiURL("api-url"),
		Timeout:     r.timeout("timeout"),
		MaxRetries:  r.maxRetries("max-retries"),
	}
	if problem := in.Token.problem(); problem != "" {
		r.invalid("token", "%s", problem)
	}
	if get("agent-id") == "" {
		r.invalid("agent-id", "is missing or empty (is the variable defined here?)")
	}
	r.checkChoice(in)
	return in, r.problems
}

// invalid records a problem of one input.
func (r *inputReader) invalid(name, format string, args ...any) {
	r.problems = append(r.problems, say("%s "+format, append([]any{literal(name)}, args...)...))
}

func (r *inputReader) id(name string) uuid.NullUUID {
	value := r.get(name)
	if value == "" {
		return uuid.NullUUID{}
	}
	id, err := diga.ParseID(value)
	if err != nil {
		r.invalid(name, "is not valid: %s", literal(err.Error()))
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
		r.invalid(name, "must be true or false, not %s", literal(quote(value)))
	}
	return false
}

// phone reads a number from the input of this name, or its ID from the input with the suffix -id.
func (r *inputReader) phone(name string) (p phoneInput) {
	number, byID := r.get(name), name+"-id"
	if p.Release = r.get(byID) == "none"; !p.Release {
		p.ID = r.id(byID)
	}
	switch e164, ok := diga.E164(number); {
	case number == "":
	case r.get(byID) != "":
		r.invalid(name, "and %s are mutually exclusive: set only one", literal(byID))
	case number == "none":
		r.invalid(name, "must be a phone number; to release the bound one, set %s to none", literal(byID))
	case !ok:
		r.invalid(name, "must be a number with its country code, such as +34910000001, not %s", literal(quote(number)))
	default:
		p.Number = e164
	}
	return p
}

func (r *inputReader) expectation(name string) expectation {
	if r.get(name) == "none" {
		return expectation{Nothing: true}
	}
	return expectation{Version: r.id(name)}
}

func (r *inputReader) detail(name string) changeDetail {
	switch d := changeDetail(cmp.Or(r.get(name), string(namesOnly))); d {
	case namesOnly, fullChanges, noChanges:
		return d
	default:
		r.invalid(name, "must be names, full or off, not %s", literal(quote(string(d))))
		return ""
	}
}

func (r *inputReader) apiURL(name string) *url.URL {
	address := cmp.Or(r.get(name), defaultAPIURL)
	u, problem := parseAPIURL(address)
	if strings.Contains(problem, "%s") {
		r.invalid(name, problem, literal(quote(address)))
	} else if problem != "" {
		r.invalid(name, "%s", problem)
	}
	return u
}

func (r *inputReader) timeout(name string) time.Duration {
	value := cmp.Or(r.get(name), "2m")
	d, err := time.ParseDuration(value)
	if err != nil || d < time.Second || d > 30*time.Minute {
		r.invalid(name, "must be a duration from 1s to 30m, such as 90s or 2m, not %s", literal(quote(value)))
	}
	return d
}

func (r *inputReader) maxRetries(name string) int {
	value := cmp.Or(r.get(name), "4")
	n, _ := strconv.Atoi(value)
	if n < 0 || n > 10 || strconv.Itoa(n) != value {
		r.invalid(name, "must be a whole number from 0 to 10, not %s", literal(quote(value)))
	}
	return n
}

// checkChoice requires exactly one action, and rejects inputs that have no effect with it. Without a version the API
// would unpublish, so an empty version-id, for example from a misspelled variable, must not pass.
func (r *inputReader) checkChoice(in inputs) {
	var chosen []text
	for _, choice := range []struct {
		name string
		is   bool
	}{{"version-id", in.Version.Valid}, {"version-name", in.VersionName != ""}, {"unpublish", in.Unpublish}, {"show-live", in.ShowLive}} {
		if choice.is {
			chosen = append(chosen, say("%s", literal(choice.name)))
		}
	}
	switch {
	case len(chosen) == 0:
		r.invalid("version-id", "or %s is required, unless %s or %s is true (an empty version is never sent: Diga would unpublish the agent)",
			literal("version-name"), literal("unpublish"), literal("show-live"))
	case len(chosen) > 1:
		r.problems = append(r.problems, say("%s are mutually exclusive: set only one", list(chosen)))
	}
	reject := func(choice string, names ...string) {
		for _, name := range names {
			if value := r.get(name); value != "" && !strings.EqualFold(value, "false") {
				r.invalid(name, "has no effect with %s: remove it", literal(choice))
			}
		}
	}
	phones := []string{"inbound-phone-number", "inbound-phone-number-id", "outbound-phone-number", "outbound-phone-number-id", "take-over", "only-newer"}
	switch {
	case in.ShowLive:
		reject("show-live: true", append(phones, "expect-version-id", "dry-run")...)
	case in.Unpublish:
		reject("unpublish: true", phones...)
	}
}

// quote quotes a value for a message. A long one is not shown, not even in part: it may be a secret, and only the whole
// secret would be masked.
func quote(value string) string {
	const maxQuoted = 100
	if quoted := strconv.Quote(value); len(quoted) <= maxQuoted {
		return quoted
	}
	return fmt.Sprintf("a value of %d bytes", len(value))
}
