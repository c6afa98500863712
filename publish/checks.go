package publish

import (
	"cmp"

	"publish-agent-version/diga"

	"github.com/google/uuid"
)

// check refuses a change that cannot be right, given what was read before it.
func check(in inputs, p preflight) *failure {
	return cmp.Or(
		checkVersion(in, p),
		checkExpectation(in, p),
		checkNewer(in, p),
		checkPhone(in, p, diga.Inbound),
		checkPhone(in, p, diga.Outbound),
	)
}

// checkVersion refuses a version-id that the agent does not have. The API itself must have said so, and must know the
// agent: any other response may come from a gateway.
func checkVersion(in inputs, p preflight) *failure {
	switch {
	case p.idsSwapped:
		return swappedIDs()
	case !p.version.known || !isNotFound(p.target.err):
		return nil
	}
	advice := say("Check %s.", literal("version-id"))
	if in.Version.UUID == in.Agent {
		advice = say("Check %s: it has the value of %s.", literal("version-id"), literal("agent-id"))
	}
	return &failure{
		code: codeVersionNotFound, status: failed, advice: advice,
		what: say("%s has no version %s", p.agent(in.Agent), literal(in.Version.UUID.String())),
	}
}

func swappedIDs() *failure {
	return &failure{
		code: codeVersionNotFound, status: failed,
		what:   say("%s and %s are swapped", literal("agent-id"), literal("version-id")),
		advice: say("Swap them."),
	}
}

// checkExpectation refuses a change if the live version is not the expected one.
func checkExpectation(in inputs, p preflight) *failure {
	expected := say("version %s", literal(in.Expect.Version.UUID.String()))
	switch {
	case !in.Expect.isSet(), in.Expect.Nothing && p.offline,
		in.Expect.Version.Valid && p.version.known && p.version.value.ID == in.Expect.Version.UUID:
		return nil
	case in.Expect.Nothing:
		expected = say("no version")
	case p.target.known && p.target.value.ID == in.Expect.Version.UUID:
		expected = fullVersionName(p.target.value)
	}
	live := say("none is")
	if p.version.known {
		live = say("%s is", fullVersionName(p.version.value))
	}
	f := &failure{
		code: codeUnexpectedVersion, status: failed,
		what:   say("Expected %s to be live, but %s", expected, live),
		advice: say("Someone may have published in the meantime. Make a new plan, or correct %s.", literal("expect-version-id")),
	}
	if p.version.known && p.target.known && p.version.value.ID == p.target.value.ID {
		f.advice = say("%s is already live: an earlier run may have published it. To bind its numbers too, remove %s.",
			versionName(p.target.value), literal("expect-version-id"))
	}
	return f
}

// checkNewer refuses a version with a lower number than the live one, if only-newer is set.
func checkNewer(in inputs, p preflight) *failure {
	switch {
	case !in.OnlyNewer, p.offline, p.target.value.ID == p.version.value.ID:
		return nil
	case p.target.value.Number <= 0 || p.version.value.Number <= 0:
		return &failure{
			code: codeResponseInvalid, status: failed,
			what:   say("Could not tell which version is newer: a version number is missing"),
			advice: say("Remove %s to publish regardless.", literal("only-newer")),
		}
	case !isOlder(p):
		return nil
	}
	return &failure{
		code: codeNotNewer, status: failed,
		what:   say("%s is older than %s, which is live", fullVersionName(p.target.value), fullVersionName(p.version.value)),
		advice: say("To roll back on purpose, remove %s.", literal("only-newer")),
	}
}

// isOlder reports whether the requested version is known to be older than the live one.
func isOlder(p preflight) bool {
	return p.target.known && p.version.known && 0 < p.target.value.Number && p.target.value.Number < p.version.value.Number
}

// checkPhone refuses a number that cannot be bound: it does not exist, cannot take calls, or belongs to another agent.
func checkPhone(in inputs, p preflight, d diga.Direction) *failure {
	asked, input := p.phones[d], literal(phoneInputName(in, d))
	phone := asked.value
	switch {
	case !asked.known:
		// A 404 counts only if the API is known to support reading phone numbers.
		if listed := p.bound[diga.Inbound].known || p.bound[diga.Outbound].known; !listed || !isNotFound(asked.err) {
			return nil
		}
		return &failure{
			code: codePhoneNotFound, status: failed, advice: say("Check %s.", input),
			what: say("Phone number ID %s not found", literal(in.Phones[d].ID.UUID.String())),
		}
	case !canTakeCalls(phone):
		return &failure{
			code: codePhoneUnusable, status: failed,
			what:   say("%s cannot take calls: it is %s, not assigned", phoneName(phone), literal(phone.Status)),
			advice: say("Choose another number in %s, or have this one assigned in Diga.", input),
		}
	case phone.Agents[d].Valid && phone.Agents[d].UUID != in.Agent && !in.TakeOver:
		return &failure{
			code: codePhoneInUse, status: failed,
			what:   say("%s is already the %s number of another agent, %s", phoneName(phone), d, literal(phone.Agents[d].UUID.String())),
			advice: say("Choose another number, or set %s to take it from that agent.", literal("take-over: true")),
		}
	}
	return nil
}

// phoneInputName is the name of the input that sets the number in direction d.
func phoneInputName(in inputs, d diga.Direction) string {
	if in.Phones[d].Number != "" {
		return d.String() + "-phone-number"
	}
	return d.String() + "-phone-number-id"
}

// agent names the agent by its name, or else by its id.
func (p preflight) agent(id uuid.UUID) text {
	if name := cmp.Or(p.version.value.AgentName, p.target.value.AgentName, p.agentName); isVisible(name) {
		return say("%s", literal(name))
	}
	return say("agent %s", literal(id.String()))
}
