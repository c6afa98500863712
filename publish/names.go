package publish

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"publish-agent-version/diga"

	"github.com/google/uuid"
)

// versionName names a version by its name, or else by its number or its ID.
func versionName(v diga.Version) message {
	switch {
	case isVisible(v.Name):
		return foreign(v.Name)
	case v.Number != 0:
		return say("version %d", v.Number)
	default:
		return say("version %s", diga.Foreign(v.ID.String()))
	}
}

// fullVersionName is the name with the number.
func fullVersionName(v diga.Version) message {
	if isVisible(v.Name) && v.Number != 0 {
		return say("%s (%d)", versionName(v), v.Number)
	}
	return versionName(v)
}

// name names a version, with its number if another version in this run has the same name.
func (r *run) name(v diga.Version) message {
	for _, other := range []diga.Version{r.before.live.value, r.wish.version, r.now.live.value} {
		if other.ID != uuid.Nil && other.Name == v.Name && other.ID != v.ID {
			return fullVersionName(v)
		}
	}
	return versionName(v)
}

// agent names the agent by its name, or else by its ID.
func (r *run) agent() message {
	name := cmp.Or(r.before.live.value.AgentName, r.wish.version.AgentName)
	if len(r.versions.value) > 0 {
		name = cmp.Or(name, r.versions.value[0].AgentName)
	}
	if isVisible(name) {
		return foreign(name)
	}
	return say("agent %s", diga.Foreign(r.in.Agent.String()))
}

// sameName reports whether two names of versions are the same but for the blanks around them and for characters that
// cannot be seen.
func sameName[A, B ~string](a A, b B) bool { return visible(string(a)) == visible(string(b)) }

// visible removes what cannot be seen from a name, and the blanks around it.
func visible(name string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.In(r, unicode.C):
			return -1
		}
		return r
	}, name))
}

// foldName removes what most often differs between a tag and a version's name: case and a leading v.
func foldName(name string) string { return strings.TrimPrefix(strings.ToLower(visible(name)), "v") }

// pickVersion finds the one saved version with the wanted name. If there is none and the draft is to be launched, it
// returns the zero Version.
func (r *run) pickVersion() (diga.Version, *failure) {
	all, name := r.versions.value, r.in.VersionName
	var saved, similar, named []diga.Version
	var draft, zeros diga.Version
	for _, v := range all {
		if !v.Draft && isVisible(v.Name) {
			named = append(named, v)
		}
		switch {
		case sameName(v.Name, name) && v.Draft:
			draft = v
		case sameName(v.Name, name):
			saved = append(saved, v)
		case foldName(string(v.Name)) == foldName(name):
			similar = append(similar, v)
		case isSameNumber(name, string(v.Name)):
			zeros = v
		}
	}
	isRef := strings.HasPrefix(name, "refs/")
	launches := r.in.LaunchDraft && len(saved) == 0 && !isRef
	if zeros.ID != uuid.Nil && (len(saved) == 1 || launches) {
		r.warn("Version name", say("There is also a version %s. YAML reads %s as %s: "+
			"if you mean that one, put the name in quotes.",
			quote(string(zeros.Name)), zeros.Name, diga.Foreign(name)))
	}
	switch {
	case len(saved) == 1:
		return saved[0], nil
	case len(saved) > 1:
		return diga.Version{}, ambiguous(name, saved)
	case launches:
		return diga.Version{}, nil
	}
	f := refusal(codeVersionNotFound,
		say("Correct {version-name}, give a version this name in Diga, or set {launch-draft: true}."),
		"no version is named %s", quote(name))
	switch {
	case draft.ID != uuid.Nil:
		f.what = say("%s is only a draft", quote(name))
		f.advice = say("Save it as a version in Diga, or set {launch-draft: true}.")
	case isRef:
		f.advice = say("Use the short name of the tag or branch: github.ref_name.")
	case zeros.ID != uuid.Nil:
		f.advice = say("YAML reads %s as %s: put the name in quotes.", zeros.Name, diga.Foreign(name))
	case len(similar) > 0:
		f.add("did you mean %s?", list(some(5, similar, quoted)))
		f.advice = say("Correct {version-name}.")
	case len(all) > 0:
		slices.SortStableFunc(named, func(a, b diga.Version) int { return cmp.Compare(b.Number, a.Number) })
		named = named[:min(5, len(named))]
		f.add("the newest of %s: %s", diga.Count(len(all), "version"), list(some(5, named, quoted)))
	}
	return diga.Version{}, f
}

// quoted is a version's name, in quotes if it contains blanks.
func quoted(v diga.Version) message {
	if strings.ContainsFunc(string(v.Name), unicode.IsSpace) {
		return foreign(quote(string(v.Name)))
	}
	return versionName(v)
}

// ambiguous lists the versions that have the same name.
func ambiguous(name string, same []diga.Version) *failure {
	f := refusal(codeVersionAmbiguous, say("Set {version-id} instead."),
		"%d versions are named %s", len(same), quote(name))
	f.items = some(5, same, func(v diga.Version) message {
		return say("%s (%d)", diga.Foreign(v.ID.String()), v.Number)
	})
	return f
}

var decimal = regexp.MustCompile(`^[0-9]+(\.[0-9]+)?$`)

// isSameNumber reports whether other is the number that YAML shortens to name: 1.10 to 1.1, 3.0 to 3.
func isSameNumber(name, other string) bool {
	short, isNumber := strings.CutPrefix(other, name)
	return isNumber && short != "" && decimal.MatchString(name) && decimal.MatchString(other) &&
		strings.Trim(strings.TrimPrefix(short, "."), "0") == "" && strings.Contains(other, ".")
}
