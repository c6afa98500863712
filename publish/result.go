package publish

import (
	"strconv"

	"publish-agent-version/diga"

	"github.com/google/uuid"
)

func (r *run) status() status {
	switch {
	case r.failure != nil:
		return r.failure.status
	case r.in.DryRun:
		return dryRun
	default:
		return r.plan.success()
	}
}

// stepOutputs are the outputs of the contract that this run has a value for.
func (r *run) stepOutputs() []output {
	list := []output{{"status", string(r.status())}}
	add := func(name, value string) { list = append(list, output{name, value}) }
	known := func(name, value string) {
		if value != "" {
			add(name, value)
		}
	}
	if was := r.before.version; was.known {
		add("previous-version-id", was.value.ID.String())
		known("previous-version-name", was.value.Name)
	}
	for d := range diga.Directions {
		if phone, only := r.before.onlyPhone(d); only {
			add("previous-"+d.String()+"-phone-number-id", phone.ID.String())
		}
	}
	known("version-name", r.target().Name)
	if r.attempts > 0 {
		add("attempts", strconv.Itoa(r.attempts))
	}
	if f := r.failure; f != nil {
		add("error-code", f.code)
		add("error-message", f.message(r.text))
		if f.http != 0 {
			add("http-status", strconv.Itoa(f.http))
		}
	} else if p := r.confirmed; p != nil {
		add("agent-id", p.Agent.String())
		add("published-version-id", orEmpty(p.Version))
		for d := range diga.Directions {
			add(d.String()+"-phone-number-id", orEmpty(p.Phones[d]))
			if p.Phones[d].Valid {
				known(d.String()+"-phone-number", e164(r.phone(p.Phones[d].UUID)))
			}
		}
	}
	return list
}

// e164 is the number of a phone for machines.
func e164(p diga.Phone) string {
	if number, ok := diga.E164(p.Number); ok {
		return number
	}
	return p.Number
}

func orEmpty(id uuid.NullUUID) string {
	if !id.Valid {
		return ""
	}
	return id.UUID.String()
}

// finish reports the result and returns the exit status.
func (r *run) finish() int {
	if err := r.setOutputs(r.stepOutputs()); err != nil && r.failure != nil {
		r.log("The outputs could not be written: %v.", err)
	} else if err != nil {
		r.failure = r.outputsLost(err)
	}
	r.addSummary(r.summary())
	if f := r.failure; f != nil {
		r.fail(f.code, f.annotation(r.text))
		if f.signal != 0 {
			return 128 + int(f.signal) // as a shell reports a process that a signal ended
		}
		return 1
	}
	r.notice(r.success(r.text))
	return 0
}
