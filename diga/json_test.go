package diga

import (
	"strings"
	"testing"

	"github.com/google/uuid"
)

func TestParseID(t *testing.T) {
	const id = "123e4567-e89b-42d3-a456-426614174000"
	for _, s := range []string{id, strings.ToUpper(id), "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"} {
		if got, err := ParseID(s); err != nil || got.String() != strings.ToLower(s) {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
	for _, s := range []string{
		"", id[:35], id + "0", id + "\n", " " + id[1:], id[:35] + "g", id[:34] + "é", "urn:uuid:" + id, "{" + id + "}",
		strings.ReplaceAll(id, "-", ""), strings.ReplaceAll(id, "-", "_"), "123e4567e-89b-42d3-a456-42661417400",
		"{23e4567-e89b-42d3-a456-42661417400}", "../../../../../../../../../../../..a", strings.Repeat("x", 61), strings.Repeat("x", 10_000),
	} {
		if got, err := ParseID(s); err == nil || got != uuid.Nil || len(err.Error()) > 200 {
			t.Errorf("%.50q: %v, %.300v", s, got, err)
		} else if len(s) > 60 && strings.Contains(err.Error(), s[:10]) {
			t.Errorf("shows a part of a long text: %v", err)
		}
	}
}
