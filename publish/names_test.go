package publish_test

import (
	"strings"
	"testing"

	"publish-agent-version/internal/sandbox"
)

// TestNames has the ways in which versions and phone numbers are written.
func TestNames(t *testing.T) {
	page := func(item string) response { return respond(200, `{"data":[`+item+`],"has_more":false}`) }
	check := func(version, phones, logged, says string) {
		t.Helper()
		res := with("version-id", "", "show-live", "true").check(t, &fakeAPI{
			readsBefore: page(`{"agent_id":"` + sandbox.FrontDesk + `","version_id":"` + sandbox.LiveID +
				`","name":"Desk","is_published":true` + version + `}`),
			phones: page(strings.ReplaceAll(phones, `{"id`, `{"inbound_agent_id":"`+sandbox.FrontDesk+`","id`)),
		}, expected{status: "live"})
		logged = "Live version of Desk: " + logged + ".\n"
		if res.message() != "Desk is on "+says+"." || !strings.Contains(res.stdout, logged) {
			t.Errorf("%s, %s: says %q, want %q; logs %q", version, phones, res.message(), says, res.log.Lines)
		}
	}
	for _, test := range []struct{ version, short, full string }{
		{`,"version_name":"v1","version_number":7`, "v1", "v1 (7)"},
		{`,"version_name":"v1"`, "v1", "v1"},
		{`,"version_number":7`, "version 7", "version 7"},
		{`,"version_name":"\u200b \u00a0","version_number":7`, "version 7", "version 7"},
		{``, "version " + sandbox.LiveID, "version " + sandbox.LiveID},
	} {
		check(test.version, "", test.full, test.short+", without a phone number")
	}
	const id = sandbox.Reception
	for phones, says := range map[string]string{
		`{"id":"` + id + `","number":"\u200b","nickname":"Reception"}`:    "phone number " + id,
		`{"id":"` + id + `","number":"+34910000002","nickname":"\u200b"}`: "+34 910 000 002",
		`{"id":"` + id + `","number":"x"},{"id":"` + sandbox.Switch + `","number":"+12025550143"},{"id":"` +
			sandbox.Callback + `","number":"front","nickname":"d"}`: "x, +1 202 555 0143 and front (d)",
	} {
		check(`,"version_name":"v1"`, phones, "v1", "v1 and answers "+says)
	}
	for number, says := range map[string]string{
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
		"+123456":              "+123456",      // too short to be a number with a country code
		"910 00 00 01":         "910 00 00 01", // no country code
		"0034910000001":        "0034910000001",
		"+0123456789":          "+0123456789",
		"+1234567890123456":    "+1234567890123456", // longer than E.164 allows
		"sip:Front@example":    "sip:Front@example",
		"+34９１０":               "+34９１０",
	} {
		check(`,"version_name":"v1"`, `{"id":"`+id+`","number":"`+number+`"}`, "v1", "v1 and answers "+says)
	}
}
