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

const maxListed = 5 // versions in a NameError

// VersionNamed finds the one version of an agent with exactly this name that is not a draft. Names need not be unique, so
// it reads the whole list of versions. The error is an *Error; with the causes VersionNotFound and VersionAmbiguous it
// wraps a *NameError.
func (c *Client) VersionNamed(ctx context.Context, retries Retries, agent uuid.UUID, name string) (Version, error) {
	result := NameError{Name: name}
	var nearest nearestVersions
	for v, err := range c.Versions(ctx, retries, agent) {
		if err != nil {
			return Version{}, err
		}
		if v.Agent != agent {
			continue
		}
		result.Total++
		if v.Name == name && !v.Draft {
			result.Matches++
		}
		nearest.add(v, name)
	}
	for _, c := range nearest {
		if result.Matches == 0 || c.distance == exact {
			result.Versions = append(result.Versions, c.Version)
		}
	}
	switch result.Matches {
	case 1:
		return result.Versions[0], nil
	case 0:
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
	Versions []Version // the newest of those; if there are none, those with the most similar names. Five at most
	Total    int       // versions of the agent
}

func (e *NameError) Error() string { return fmt.Sprintf("%q is not the name of one version", e.Name) }

// nearestVersions are the versions whose names are closest to a name, the newest first among equals.
type nearestVersions []candidate

type candidate struct {
	Version
	distance int
}

// Distances that sort before all others.
const (
	exact    = -2
	sameName = -1 // of a draft
)

func (n *nearestVersions) add(v Version, name string) {
	c := candidate{v, exact}
	if v.Name != name || v.Draft {
		c.Config = nil // not needed, and it may be large
		c.distance = distance(fold(name), fold(v.Name))
		if v.Name == name {
			c.distance = sameName
		}
		if v.Name == "" || c.distance > max(len(fold(name))/2, 2) {
			return
		}
	}
	i, _ := slices.BinarySearchFunc(*n, c, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.distance, b.distance), cmp.Compare(b.Number, a.Number), -1) // after its equals
	})
	*n = slices.Insert(*n, i, c)
	*n = (*n)[:min(len(*n), maxListed)]
}

// fold removes what most often differs between a tag and a version's name: case, surrounding blanks and a leading v.
func fold(name string) string {
	return strings.TrimPrefix(strings.ToLower(strings.TrimSpace(name)), "v")
}

// distance returns the Levenshtein distance between the first 100 bytes of a and b.
func distance(a, b string) int {
	return levenshtein.ComputeDistance(a[:min(len(a), 100)], b[:min(len(b), 100)])
}
