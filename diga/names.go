package diga

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/agnivade/levenshtein"
	"github.com/google/uuid"
)

// maxListed is the most versions that an error lists.
const maxListed = 5

// VersionNamed finds the one version of an agent with exactly this name that is not a draft. Names need not be unique, so
// it reads every page; it keeps only what it returns. The error is an *Error; with the causes VersionNotFound and
// VersionAmbiguous it wraps a *NameError.
func (c *Client) VersionNamed(ctx context.Context, retries Retries, agent uuid.UUID, name string) (Version, error) {
	result := NameError{Name: name}
	var similar similarNames
	for v, err := range c.Versions(ctx, retries, agent) {
		if err != nil {
			return Version{}, err
		}
		result.Total++
		if v.Name != name || v.Draft {
			similar.add(v, name)
			continue
		}
		result.Matches++
		if len(result.Versions) < maxListed {
			result.Versions = append(result.Versions, v)
		}
	}
	switch result.Matches {
	case 1:
		return result.Versions[0], nil
	case 0:
		result.Versions = similar.versions()
		return Version{}, &Error{Cause: VersionNotFound, Message: "no version of the agent has this name", Untrusted: strconv.Quote(name), Err: &result}
	default:
		message := fmt.Sprintf("%d versions of the agent have this name", result.Matches)
		return Version{}, &Error{Cause: VersionAmbiguous, Message: message, Untrusted: strconv.Quote(name), Err: &result}
	}
}

// NameError lists versions to choose from when a name does not identify one.
type NameError struct {
	Name     string
	Matches  int       // versions with this name that are not drafts
	Versions []Version // those; if there are none, the ones with similar names, closest first. Five at most
	Total    int       // versions of the agent
}

func (e *NameError) Error() string { return fmt.Sprintf("%q is not the name of one version", e.Name) }

// similarNames collects the versions whose names are closest to a name, a draft of that very name first.
type similarNames []candidate

type candidate struct {
	Version
	distance int
}

func (n *similarNames) add(v Version, name string) {
	if v.Name == "" {
		return
	}
	d := distance(fold(name), fold(v.Name))
	if v.Name == name {
		d = -1 // a draft, or it would have matched
	}
	if d > max(len(fold(name))/2, 2) {
		return
	}
	v.Config = nil // not needed, and it may be large
	i, _ := slices.BinarySearchFunc(*n, d+1, func(c candidate, d int) int { return cmp.Compare(c.distance, d) })
	*n = slices.Insert(*n, i, candidate{v, d})
	*n = (*n)[:min(len(*n), maxListed)]
}

func (n similarNames) versions() []Version {
	var list []Version
	for _, c := range n {
		list = append(list, c.Version)
	}
	return list
}

// fold drops what most often differs between a tag and a version's name: case, blanks and a leading v.
func fold(name string) string {
	return strings.TrimPrefix(strings.ToLower(strings.TrimSpace(name)), "v")
}

// distance is the Levenshtein distance between the first 100 bytes of a and of b.
func distance(a, b string) int {
	return levenshtein.ComputeDistance(a[:min(len(a), 100)], b[:min(len(b), 100)])
}
