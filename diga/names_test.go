package diga

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestVersionNamed(t *testing.T) {
	const draft = `"is_draft":true`
	huge := strings.Repeat("x", 100_000)
	tests := []struct {
		name  string
		asked string
		pages []reply
		want  int // its number; 0: there is none
		cause Cause
		near  []int // the versions of the error
		total int
	}{
		{"exact", "v1.0", []reply{pageOf(false, []string{item(3, "v1.1"), item(2, "v1.0"), item(1, "V1.0")})}, 2, 0, nil, 0},
		{"on the last page", "v1", []reply{pageOf(true, items(9, 5)), pageOf(false, items(4, 1))}, 1, 0, nil, 0},
		{"exact to the blank", " v1 ", []reply{pageOf(false, []string{item(2, "v1"), item(1, " v1 ")})}, 1, 0, nil, 0},
		{"beside its draft", "v1", []reply{pageOf(false, []string{item(2, "v1", draft), item(1, "v1")})}, 1, 0, nil, 0},
		{"huge", huge, []reply{pageOf(false, []string{item(2, huge+"y"), item(1, huge)})}, 1, 0, nil, 0},
		{"beside another agent's", "v1", []reply{pageOf(false, []string{strings.Replace(item(2, "v1"), agentID.String(), outbound.String(), 1), item(1, "v1")})}, 1, 0, nil, 0},
		{"seen twice", "v7", []reply{pageOf(true, items(9, 5)), pageOf(false, items(8, 1))}, 7, 0, nil, 0},

		{"none at all", "v1", []reply{pageOf(false, nil)}, 0, VersionNotFound, nil, 0},
		{"none like it", "production", []reply{pageOf(false, items(9, 1))}, 0, VersionNotFound, nil, 9},
		{"no names", "v1", []reply{pageOf(false, []string{item(2, ""), item(1, "")})}, 0, VersionNotFound, nil, 2},
		{"a draft only", "v1", []reply{pageOf(false, []string{item(2, "V1"), item(1, "v1", draft)})}, 0, VersionNotFound, []int{1, 2}, 2},
		{"case", "RELEASE-7", []reply{pageOf(false, []string{item(2, "release-8"), item(1, "release-7")})}, 0, VersionNotFound, []int{1, 2}, 2},
		{"a leading v", "1.2.0", []reply{pageOf(false, []string{item(3, "1.2.1"), item(2, "v1.2.0"), item(1, "9.9.9")})}, 0, VersionNotFound, []int{2, 3}, 3},
		{"blanks", "v2 ", []reply{pageOf(false, []string{item(2, "v2")})}, 0, VersionNotFound, []int{2}, 1},
		{"five at most, newest first", "v", []reply{pageOf(false, items(9, 1))}, 0, VersionNotFound, []int{9, 8, 7, 6, 5}, 9},
		{"newest first in any order", "v", []reply{pageOf(false, []string{item(2, "v2"), item(9, "v9"), item(5, "v5")})}, 0, VersionNotFound, []int{9, 5, 2}, 3},
		{"the draft is one of five", "v1", []reply{pageOf(false, []string{item(7, "V1"), item(6, "1"), item(5, " v1"), item(4, "V1"), item(3, "1 "), item(2, "1"), item(1, "v1", draft)})},
			0, VersionNotFound, []int{1, 7, 6, 5, 4}, 7},
		{"nearest first", "v1.2.3", []reply{pageOf(false, []string{item(4, "v2.3.3"), item(3, "v1.2"), item(2, "v1.2.4"), item(1, "else")})}, 0, VersionNotFound, []int{2, 4, 3}, 4},
		{"short names differ by two at most", "v1", []reply{pageOf(false, []string{item(3, "v2"), item(2, "v234"), item(1, "v23")})}, 0, VersionNotFound, []int{3, 1}, 3},
		{"a huge name among others", "v1", []reply{pageOf(false, []string{item(2, huge), item(1, "v2")})}, 0, VersionNotFound, []int{1}, 2},

		{"two", "v1", []reply{pageOf(true, []string{item(3, "v1"), item(2, "v2")}), pageOf(false, []string{item(1, "v1")})}, 0, VersionAmbiguous, []int{3, 1}, 3},
		{"two in rising order", "v1", []reply{pageOf(false, []string{item(1, "v1"), item(3, "v1")})}, 0, VersionAmbiguous, []int{3, 1}, 2},
		{"two and a draft", "v1", []reply{pageOf(false, []string{item(3, "v1"), item(2, "v1", draft), item(1, "v1")})}, 0, VersionAmbiguous, []int{3, 1}, 3},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			n := &network{replies: test.pages}
			n.play(t, func(t *testing.T, c *Client) {
				got, err := c.VersionNamed(t.Context(), WithRetries, agentID, test.asked)
				if len(n.heard()) != len(test.pages) {
					t.Errorf("%d requests for %d pages", len(n.heard()), len(test.pages))
				}
				if test.want != 0 {
					if err != nil || got.Number != test.want {
						t.Errorf("%+v, %v", got, err)
					}
					return
				}
				e := failed(t, err)
				var named *NameError
				if !errors.As(err, &named) || e.Cause != test.cause || e.Effect != NoEffect || named.Name != test.asked || named.Total != test.total {
					t.Fatalf("%+v: %+v", e, named)
				}
				var near []int
				for _, v := range named.Versions {
					near = append(near, v.Number)
				}
				if !slices.Equal(near, test.near) {
					t.Errorf("nearest are %d, want %d", near, test.near)
				}
			})
		})
	}
	n := &network{replies: []reply{pageOf(true, items(9, 5)), apiError(403, "NO")}}
	n.play(t, func(t *testing.T, c *Client) {
		if _, err := c.VersionNamed(t.Context(), WithRetries, agentID, "v9"); failed(t, err).Code != "NO" {
			t.Error("a name is taken for unique before every page was read")
		}
	})
}

// The nearest versions are sorted by distance and then by number, regardless of their order in the list.
func TestSimilarNamesAreTheNearest(t *testing.T) {
	for seed := range uint64(40) {
		random := rand.New(rand.NewPCG(seed, 0))
		name := func() string {
			letters := make([]byte, random.IntN(10))
			for i := range letters {
				letters[i] = "vV0123.- "[random.IntN(9)]
			}
			return string(letters)
		}
		asked := "v1.0." + name()
		var want []candidate
		var got nearestVersions
		for _, number := range random.Perm(2345) {
			c := candidate{Version{Number: number, Name: name()}, 0}
			switch random.IntN(300) {
			case 0:
				c.Name, c.Draft = asked, true
			case 1:
				c.Name = strings.ToUpper(asked) + " "
			}
			c.Config = map[string]json.RawMessage{"prompt": nil}
			got.add(c.Version, asked)
			c.Config = nil
			if c.distance = distance(fold(asked), fold(c.Name)); c.Draft {
				c.distance = sameName
			}
			if c.Name != "" && c.distance <= max(len(fold(asked))/2, 2) {
				want = append(want, c)
			}
		}
		slices.SortFunc(want, func(a, b candidate) int {
			return cmp.Or(cmp.Compare(a.distance, b.distance), cmp.Compare(b.Number, a.Number))
		})
		if len(want) < 10 || !reflect.DeepEqual([]candidate(got), want[:5]) {
			t.Errorf("nearest to %q are\n%+v, want\n%+v", asked, got, want)
		}
	}
}

// All versions with the name count, even if only five are listed.
func TestAmbiguousNamesAreCounted(t *testing.T) {
	var pages []reply
	for number := 40; number > 0; number -= 10 {
		var page []string
		for i := range 10 {
			name := "v1"
			if i%3 == 1 {
				name = "v2"
			}
			page = append(page, item(number-i, name, fmt.Sprintf(`"is_draft":%t`, i == 5)))
		}
		pages = append(pages, pageOf(number > 10, page))
	}
	n := &network{replies: pages}
	n.play(t, func(t *testing.T, c *Client) {
		_, err := c.VersionNamed(t.Context(), WithRetries, agentID, "v1")
		var named *NameError
		e := failed(t, err)
		if !errors.As(err, &named) || e.Cause != VersionAmbiguous || e.Message != "24 versions of the agent have this name" || named.Matches != 24 || named.Total != 40 {
			t.Fatalf("%+v: %+v", e, named)
		}
		var numbers []int
		for _, v := range named.Versions {
			numbers = append(numbers, v.Number)
		}
		if want := []int{40, 38, 37, 34, 32}; !slices.Equal(numbers, want) {
			t.Errorf("lists %d, want %d", numbers, want)
		}
	})
}

func TestDistance(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"abc", "abc", 0}, {"kitten", "sitting", 3}, {"flaw", "lawn", 2}, {"ab", "ba", 2},
		{strings.Repeat("a", 100) + "b", strings.Repeat("a", 5000), 0},
	} {
		if got := distance(test.a, test.b); got != test.want || got != distance(test.b, test.a) {
			t.Errorf("%.10q to %.10q: %d, want %d", test.a, test.b, got, test.want)
		}
	}
}
