package publish

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"publish-agent-version/diga"

	"github.com/google/uuid"
)

// format is the format of the results.
type format string

const (
	plain     format = "plain"  // name=value lines; the default
	asJSON    format = "json"   // one object
	dotenv    format = "dotenv" // NAME=value lines that GitLab's dotenv reports and a shell's source read alike
	forRunner format = "runner" // like plain, with the summary
)

// output is one step output.
type output struct{ name, value string }

// outputs returns the step outputs that this run has a value for. A value is exact: one that cannot be written as it is
// becomes empty.
func (r *run) outputs(markdown string, render renderer) []output {
	list := []output{{"status", string(r.status)}}
	set := func(name, value string) { list = append(list, output{name, value}) }
	exact := func(name, value string) {
		if r.line(value, maxText) != value {
			r.log(say("The output %s is empty: its exact value cannot be written.", name))
			value = ""
		}
		set(name, value)
	}
	if was := r.before.live; was.known() && !r.in.ShowLive {
		set("previous-version-id", idOrEmpty(was.value.ID))
		exact("previous-version-name", string(was.value.Name))
	}
	for d := range diga.Directions {
		if r.before.bound[d].known() && !r.in.ShowLive {
			set("previous-"+d.String()+"-phone-number-id", idOrEmpty(r.before.only(d).ID))
		}
	}
	v := r.wish.version
	id, name := idOrEmpty(v.ID), string(v.Name)
	if r.wish.launch { // these are the draft's
		id, name = "", r.in.VersionName
	}
	if v.ID != uuid.Nil || r.status == live {
		set("version-id", id)
	}
	if name != "" {
		exact("version-name", name)
	}
	if r.in.LaunchDraft {
		set("launched", strconv.FormatBool(r.launched))
	}
	if r.compared {
		set("changed-fields", fieldNames(r.changes))
	}
	if r.attempts > 0 {
		set("attempts", strconv.Itoa(r.attempts))
	}
	if f := r.failure; f != nil {
		set("error-code", f.code)
		set("error-message", r.clean(f.message(render), maxLine))
		if f.http != 0 {
			set("http-status", strconv.Itoa(f.http))
		}
	} else {
		set("agent-id", r.in.Agent.String())
		if r.status != dryRun {
			set("published-version-id", idOrEmpty(r.now.live.value.ID))
		}
		for d := range diga.Directions {
			phone, n := r.now.only(d), r.wish.numbers[d]
			if r.status == dryRun || n.isAsked() && r.now.has(d, n.phone.ID) {
				phone = n.phone // which a real run would send, or the one of several that was asked for
			}
			id := idOrEmpty(phone.ID)
			if r.status == dryRun && n.releases() {
				id = "none" // for the input of the same name
			}
			set(d.String()+"-phone-number-id", id)
			exact(d.String()+"-phone-number", cmp.Or(phone.Number.E164(), string(phone.Number.Text())))
		}
	}
	set("summary", markdown)
	return list
}

func idOrEmpty(id uuid.UUID) string {
	if id == uuid.Nil {
		return ""
	}
	return id.String()
}

// print returns the outputs in format f, and the names of those that it cannot represent.
func (f format) print(outputs []output) (printed string, omitted []string) {
	var b strings.Builder
	if f == asJSON {
		values := make(map[string]any, len(outputs))
		for _, o := range outputs {
			values[o.name] = o.value
			switch o.name {
			case "attempts", "http-status", "launched":
				values[o.name] = json.RawMessage(o.value)
			}
		}
		encoder := json.NewEncoder(&b)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		_ = encoder.Encode(values) // encoding strings cannot fail
		return b.String(), nil
	}
	for _, o := range outputs {
		switch {
		case o.name == "summary" && f == forRunner: // has many lines, between delimiters that nobody can guess
			delimiter := "summary-" + uuid.NewString()
			fmt.Fprintf(&b, "summary<<%s\n%s\n%s\n", delimiter, strings.TrimSuffix(o.value, "\n"), delimiter)
		case o.name == "summary":
		case f != dotenv:
			fmt.Fprintf(&b, "%s=%s\n", o.name, o.value)
		case o.value == "" || isName(o.value, "_./:+@%,-"): // to a shell and to GitLab, which has quotes but no escapes
			fmt.Fprintf(&b, "%s=%s\n", strings.ToUpper(strings.ReplaceAll(o.name, "-", "_")), o.value)
		default:
			omitted = append(omitted, o.name)
		}
	}
	return b.String(), omitted
}
