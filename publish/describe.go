package publish

import (
	"net/http"
	"strconv"
	"strings"

	"publish-agent-version/diga"
)

// describe describes e, as a clause.
func (r *result) describe(e *diga.Error) text {
	t := say("%s", e.Message)
	if hasAPICode(e) && isRefusal(e.Status) && r.changeSent && e.Cause == diga.Answered {
		t = say("Diga refused %s", r.requested())
		if e.Untrusted == "" && len(e.Details) == 0 {
			t = say("%s (%s)", t, diga.StatusText(e.Status))
		}
	}
	if e.Untrusted != "" {
		t = say("%s: %s", t, literal(strings.TrimSuffix(e.Untrusted, ".")))
	}
	if e.GaveUp != "" {
		t = say("%s; %s", t, e.GaveUp)
	}
	if last := e.LastReply; last != nil {
		t = say("%s; previous response: %s", t, r.describe(last))
		if last.Code != "" {
			t = say("%s (%s)", t, literal(last.Code))
		}
	}
	return t
}

// isRefusal reports whether a status rejects the content of a request.
func isRefusal(status int) bool {
	return 400 <= status && status < 500 && status != http.StatusRequestTimeout && status != http.StatusTooManyRequests
}

// listDetails lists the problems in a 422 by input name, at most five.
func listDetails(details []diga.Detail) []text {
	const maxListed = 5
	var list []text
	for _, d := range details[:min(len(details), maxListed)] {
		item := say("%s", literal(d.Message))
		if d.Field != "" {
			item = say("%s: %s", literal(inputName(d.Field)), item)
		}
		list = append(list, item)
	}
	if more := len(details) - maxListed; more > 0 {
		list = append(list, say("and %d more", more))
	}
	return list
}

// inputName is the input that sets a field of the request; other fields keep the API's name.
func inputName(field string) string {
	switch field {
	case "body.version_id":
		return "version-id"
	case "body.inbound_phone_number_id":
		return "inbound-phone-number-id"
	case "body.outbound_phone_number_id":
		return "outbound-phone-number-id"
	case "path.agent_id":
		return "agent-id"
	}
	return field
}

// listVersions lists versions that the user may have meant.
func listVersions(e *diga.NameError) []text {
	var items []text
	for _, v := range e.Versions {
		item := say("%s", literal(v.Name))
		if e.Matches > 1 {
			item = say("%s", literal(v.ID.String()))
		}
		var notes []string
		if v.Number != 0 {
			notes = append(notes, strconv.Itoa(v.Number))
		}
		switch {
		case e.Matches > 1 && !v.Created.IsZero():
			notes = append(notes, "created "+v.Created.UTC().Format("2006-01-02 15:04 MST"))
		case e.Matches > 1:
		case v.Name == e.Name:
			notes = append(notes, "a draft")
		case strings.EqualFold(v.Name, e.Name):
			notes = append(notes, "differs in case")
		case strings.TrimPrefix(v.Name, "v") == strings.TrimPrefix(e.Name, "v"):
			notes = append(notes, "differs by a leading v")
		}
		if notes != nil {
			item = say("%s (%s)", item, strings.Join(notes, ", "))
		}
		items = append(items, item)
	}
	if more := e.Matches - len(e.Versions); e.Matches > 1 && more > 0 {
		items = append(items, say("and %d more", more))
	}
	if len(items) == 0 {
		items = append(items, say("none of the agent's %d versions", e.Total))
	}
	return items
}
