package publish

import (
	"strings"

	"publish-agent-version/diga"
)

// versionName names a version by its name, or else by its number or its id.
func versionName(v diga.Version) text {
	switch {
	case isVisible(v.Name):
		return say("%s", literal(v.Name))
	case v.Number != 0:
		return say("version %d", v.Number)
	default:
		return say("version %s", literal(v.ID.String()))
	}
}

// fullVersionName is the name with the number.
func fullVersionName(v diga.Version) text {
	name := versionName(v)
	if isVisible(v.Name) && v.Number != 0 {
		name = say("%s (%d)", name, v.Number)
	}
	if v.Draft {
		name = say("%s, a draft", name)
	}
	return name
}

// name names a version, with its number if another version in this run has the same name.
func (r *result) name(v diga.Version) text {
	for _, other := range []lookup[diga.Version]{r.before.version, r.before.target, r.after.version} {
		if other.known && other.value.Name == v.Name && other.value.ID != v.ID {
			return fullVersionName(v)
		}
	}
	return versionName(v)
}

func (r *result) agent() text { return r.before.agent(r.in.Agent) }

// requested is the change, as the object of "refused".
func (r *result) requested() text {
	if r.in.Unpublish {
		return say("to unpublish")
	}
	return r.name(r.target())
}

// phoneName names a phone by its number and nickname, or else by its id.
func phoneName(p diga.Phone) text {
	switch {
	case !isVisible(p.Number):
		return say("phone number %s", literal(p.ID.String()))
	case !isVisible(p.Nickname):
		return say("%s", literal(spaced(p.Number)))
	default:
		return say("%s (%s)", literal(spaced(p.Number)), literal(p.Nickname))
	}
}

func phoneNames(phones []diga.Phone) text {
	var names []text
	for _, p := range phones {
		names = append(names, phoneName(p))
	}
	return list(names)
}

// twoDigitCodes are the two-digit country codes of E.164. +1 and +7 have one digit, all others three.
const twoDigitCodes = "20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60 61 62 63 64 65 66 " +
	"81 82 84 86 90 91 92 93 94 95 98"

// spaced splits an E.164 number into its country code and groups of three digits, such as +34 910 000 001. The last
// group may have four digits or two. A number in any other format is returned unchanged.
func spaced(number string) string {
	digits, isPlain := strings.CutPrefix(number, "+")
	if e164, ok := diga.E164(number); !isPlain || !ok || e164 != number || len(digits) < 7 {
		return number
	}
	code := 3
	switch {
	case digits[0] == '1' || digits[0] == '7':
		code = 1
	case strings.Contains(twoDigitCodes, digits[:2]):
		code = 2
	}
	groups, rest := []string{"+" + digits[:code]}, digits[code:]
	for len(rest) > 4 {
		groups, rest = append(groups, rest[:3]), rest[3:]
	}
	return strings.Join(append(groups, rest), " ")
}
