package publish

import (
	"strings"
	"testing"

	"publish-agent-version/diga"

	"github.com/google/uuid"
)

func TestSpaced(t *testing.T) {
	for number, want := range map[string]string{
		"+12025550143":      "+1 202 555 0143",
		"+74951234567":      "+7 495 123 4567",
		"+34910000001":      "+34 910 000 001",
		"+442079460958":     "+44 207 946 0958",
		"+4930123456":       "+49 301 234 56",
		"+8613812345678":    "+86 138 123 456 78",
		"+351912345678":     "+351 912 345 678",
		"+21261234567":      "+212 612 345 67",
		"+3581234567":       "+358 123 4567",
		"+9991234567":       "+999 123 4567", // an unassigned code
		"+123456789012345":  "+1 234 567 890 123 45",
		"+3491000":          "+34 910 00",
		"+1234567":          "+1 234 567",
		"+123456":           "+123456", // too short to be a number with a country code
		"+34":               "+34",
		"+":                 "+",
		"":                  "",
		"910000001":         "910000001", // no country code
		"0034910000001":     "0034910000001",
		"+34 910 000 001":   "+34 910 000 001",
		"+34-910-000-001":   "+34-910-000-001",
		"+0123456789":       "+0123456789",
		"+1234567890123456": "+1234567890123456", // longer than E.164 allows
		"sip:front@example": "sip:front@example",
		"+34９１０":            "+34９１０",
		"tel":               "tel",
	} {
		if got := spaced(number); got != want {
			t.Errorf("spaced(%q) = %q, want %q", number, got, want)
		}
	}
}

func FuzzSpaced(f *testing.F) {
	for _, number := range []string{"+34910000001", "+1", "+7495", "+999999999999999", "tel"} {
		f.Add(number)
	}
	f.Fuzz(func(t *testing.T, number string) {
		got := spaced(number)
		if got == number {
			return
		}
		if e164, ok := diga.E164(got); !ok || e164 != number || strings.ReplaceAll(got, " ", "") != number {
			t.Errorf("spaced(%q) = %q", number, got)
		}
		for i, group := range strings.Split(got, " ") {
			if n := len(group); i == 0 && (n < 2 || n > 4) || i > 0 && (n < 2 || n > 4) {
				t.Errorf("spaced(%q) = %q has a group of %d", number, got, n)
			}
		}
	})
}

func TestNames(t *testing.T) {
	const id = "b1000000-0000-4000-8000-000000000229"
	version := func(name string, number int, draft bool) diga.Version {
		return diga.Version{ID: uuid.MustParse(id), Name: name, Number: number, Draft: draft}
	}
	for _, test := range []struct {
		version     diga.Version
		short, full string
	}{
		{version("v1", 7, false), "«v1»", "«v1» (7)"},
		{version("v1", 0, false), "«v1»", "«v1»"},
		{version("v1", 7, true), "«v1»", "«v1» (7), a draft"},
		{version("", 7, false), "version 7", "version 7"},
		{version("", 7, true), "version 7", "version 7, a draft"},
		{version("\u200b \u00a0", 7, false), "version 7", "version 7"},
		{version("", 0, false), "version «" + id + "»", "version «" + id + "»"},
	} {
		if short, full := versionName(test.version).render(shout), fullVersionName(test.version).render(shout); short != test.short || full != test.full {
			t.Errorf("%+v is %q and %q, want %q and %q", test.version, short, full, test.short, test.full)
		}
	}
	phone := diga.Phone{ID: uuid.MustParse(id), Number: "+34910000001", Nickname: "Reception"}
	for want, phones := range map[string][]diga.Phone{
		"":                                nil,
		"«+34 910 000 001» («Reception»)": {phone},
		"«+34 910 000 001»":               {{ID: phone.ID, Number: phone.Number}},
		"phone number «" + id + "»":       {{ID: phone.ID, Number: "\u200b", Nickname: "Reception"}},
		"«+34 910 000 002»":               {{ID: phone.ID, Number: "+34910000002", Nickname: "\u200b"}},
		"«+1 202 555 0143», «x» and «front» («d»)": {{Number: "+12025550143"}, {Number: "x"}, {Number: "front", Nickname: "d"}},
	} {
		if got := phoneNames(phones).render(shout); got != want {
			t.Errorf("%+v are %q, want %q", phones, got, want)
		}
	}
}

// Two versions of one name are told apart by their numbers, wherever the run met them.
func TestSameNameTwice(t *testing.T) {
	one := diga.Version{ID: uuid.MustParse("b1000000-0000-4000-8000-000000000001"), Name: "stable", Number: 1}
	two := diga.Version{ID: uuid.MustParse("b1000000-0000-4000-8000-000000000002"), Name: "stable", Number: 2}
	known := func(v diga.Version) lookup[diga.Version] { return lookup[diga.Version]{value: v, known: true} }
	for name, r := range map[string]*result{
		"live":   {before: preflight{state: state{version: known(two)}}},
		"target": {before: preflight{target: known(two)}},
		"after":  {after: state{version: known(two)}},
	} {
		if got := r.name(one).render(shout); got != "«stable» (1)" {
			t.Errorf("%s: %q", name, got)
		}
		if got := r.name(two).render(shout); got != "«stable»" {
			t.Errorf("%s: itself: %q", name, got)
		}
	}
}
