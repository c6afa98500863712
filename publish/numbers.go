package publish

import (
	"slices"
	"strings"

	"publish-agent-version/diga"
)

// phoneName names a phone by its number and nickname, or else by its ID.
func phoneName(p diga.Phone) message {
	number := spaced(p.Number)
	switch {
	case !isVisible(number):
		return say("phone number %s", diga.Foreign(p.ID.String()))
	case !isVisible(p.Nickname):
		return foreign(number)
	default:
		return say("%s", number+" ("+p.Nickname+")")
	}
}

func phoneNames(phones []diga.Phone) message {
	return list(some(len(phones), phones, phoneName))
}

// pickPhone returns the one phone with this number that can be bound. If none can, it returns one that the checks then
// refuse.
func pickPhone(phones []diga.Phone, number diga.Number) (diga.Phone, *failure) {
	var found, unusable, similar, others []diga.Phone
	exact := slices.ContainsFunc(phones, func(p diga.Phone) bool { return p.Number.Exactly(number) })
	for _, p := range phones {
		switch same := p.Number.Exactly(number) || !exact && p.Number.Equal(number); {
		case same && p.Usable():
			found = append(found, p)
		case same:
			unusable = append(unusable, p)
		case p.Usable() && p.Number.EndsLike(number):
			similar = append(similar, p)
		case p.Usable():
			others = append(others, p)
		}
	}
	f := refusal(codePhoneNotFound, say("Check the number, or set its ID instead."),
		"phone number %s not found; the assigned ones are", spaced(number))
	candidates := slices.Concat(similar, others)
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		f.what, f.advice = say("%d phone numbers match %s", len(found), spaced(number)), say("Set its ID instead.")
		candidates = found
	case len(unusable) > 0:
		return unusable[0], nil
	case len(similar) > 1:
		f.advice = say("Several end like this one: choose one of these.")
	case len(similar) > 0:
		f.advice = say("Diga writes it %s: use that.", similar[0].Number.Text())
	case len(others) == 0:
		f.what = say("phone number %s not found: this key sees no assigned phone numbers", spaced(number))
	}
	f.items = some(5, candidates, func(p diga.Phone) message {
		return say("%s, ID %s", phoneName(p), diga.Foreign(p.ID.String()))
	})
	return diga.Phone{}, f
}

// twoDigitCodes are the two-digit country codes of E.164. +1 and +7 have one digit, all others three.
const twoDigitCodes = "20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 " +
	"60 61 62 63 64 65 66 81 82 84 86 90 91 92 93 94 95 98"

// spaced writes a number as people do: in E.164, with its country code and groups of three digits, such as
// +34 910 000 001. The last group may have four digits or two. A number in any other format is as it was written.
func spaced(number diga.Number) diga.Foreign {
	digits := strings.TrimPrefix(number.E164(), "+")
	if len(digits) < 7 {
		return number.Text()
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
	return diga.Foreign(strings.Join(append(groups, rest), " "))
}
