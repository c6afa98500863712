package publish

import (
	"testing"

	"publish-agent-version/diga"

	"github.com/google/uuid"
)

func TestSpaced(t *testing.T) {
	for number, want := range map[string]diga.Foreign{
		"+12025550143":         "+1 202 555 0143",
		"+74951234567":         "+7 495 123 4567",
		"+34910000001":         "+34 910 000 001",
		"tel:+34-910-00-00-01": "+34 910 000 001",
		"+34 91-00 00.00(1)":   "+34 910 000 001",
		"+442079460958":        "+44 207 946 0958",
		"+4930123456":          "+49 301 234 56",
		"+351912345678":        "+351 912 345 678",
		"+9991234567":          "+999 123 4567", // an unassigned code
		"+123456789012345":     "+1 234 567 890 123 45",
		"+1234567":             "+1 234 567",
		"+123456":              "+123456", // too short to be a number with a country code
		"":                     "",
		"910 00 00 01":         "910 00 00 01", // no country code
		"0034910000001":        "0034910000001",
		"+0123456789":          "+0123456789",
		"+1234567890123456":    "+1234567890123456", // longer than E.164 allows
		"sip:Front@example":    "sip:Front@example",
		"+34９１０":               "+34９１０",
	} {
		if got := spaced(diga.ParseNumber(number)); got != want {
			t.Errorf("%q is written %q, want %q", number, got, want)
		}
	}
}

func TestNames(t *testing.T) {
	const id = "b1000000-0000-4000-8000-000000000229"
	version := func(name diga.Foreign, number int, draft bool) diga.Version {
		return diga.Version{ID: uuid.MustParse(id), Name: name, Number: number, Draft: draft}
	}
	for _, test := range []struct {
		version     diga.Version
		short, full string
	}{
		{version("v1", 7, false), "«v1»", "«v1» (7)"},
		{version("v1", 0, false), "«v1»", "«v1»"},
		{version("", 7, false), "version 7", "version 7"},
		{version("\u200b \u00a0", 7, false), "version 7", "version 7"},
		{version("", 0, false), "version «" + id + "»", "version «" + id + "»"},
	} {
		short, full := shout.text(versionName(test.version)), shout.text(fullVersionName(test.version))
		if short != test.short || full != test.full {
			t.Errorf("%+v is %q and %q, want %q and %q", test.version, short, full, test.short, test.full)
		}
	}
	number := diga.ParseNumber
	phone := diga.Phone{ID: uuid.MustParse(id), Number: number("+34910000001"), Nickname: "Reception"}
	for want, phones := range map[string][]diga.Phone{
		"":                              nil,
		"«+34 910 000 001 (Reception)»": {phone},
		"«+34 910 000 001»":             {{ID: phone.ID, Number: phone.Number}},
		"phone number «" + id + "»":     {{ID: phone.ID, Number: number("\u200b"), Nickname: "Reception"}},
		"«+34 910 000 002»":             {{ID: phone.ID, Number: number("+34910000002"), Nickname: "\u200b"}},
		"«+1 202 555 0143», «x» and «front (d)»": {
			{Number: number("+12025550143")}, {Number: number("x")}, {Number: number("front"), Nickname: "d"},
		},
	} {
		if got := shout.text(phoneNames(phones)); got != want {
			t.Errorf("%+v are %q, want %q", phones, got, want)
		}
	}
}
