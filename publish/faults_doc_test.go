package publish_test

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestFaultsDocumented compares docs/faults.md with the tests: each row has a subtest with its id, or names a test
// function, and each id of a subtest in the files for faults has a row.
func TestFaultsDocumented(t *testing.T) {
	doc, err := os.ReadFile("../docs/faults.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := make(map[string]string)
	for _, row := range regexp.MustCompile(`(?m)^\| ([A-Z][0-9]+[a-z]?) \|.*$`).FindAllStringSubmatch(string(doc), -1) {
		if _, twice := rows[row[1]]; twice {
			t.Errorf("row %s is duplicated", row[1])
		}
		rows[row[1]] = row[0]
	}
	if len(rows) == 0 {
		t.Fatal("no rows")
	}

	var sources strings.Builder
	tested := make(map[string]bool)
	for _, pattern := range []string{"*_test.go", "../e2e/*_test.go"} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			source, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			sources.Write(source)
			for _, id := range regexp.MustCompile(
				`"([NTHRBVPGAYDLXIESC][0-9]{1,2}[a-z]?)(?:[ /][^"]*)?"`).FindAllStringSubmatch(string(source), -1) {
				if strings.HasPrefix(path, "faults_") {
					tested[id[1]] = true
				}
			}
		}
	}
	function := regexp.MustCompile("`(Test[A-Za-z]+)`")
	for id, row := range rows {
		named := function.FindStringSubmatch(row)
		if named != nil && !strings.Contains(sources.String(), "\nfunc "+named[1]+"(t *testing.T)") {
			t.Errorf("row %s names %s, which is not there", id, named[1])
		}
		for _, other := range regexp.MustCompile(`Tests: (.*?)\.`).FindAllStringSubmatch(row, -1) {
			for id := range strings.SplitSeq(other[1], ", ") {
				named = other
				if !tested[id] {
					t.Errorf("row %s names %s, which has no test", row, id)
				}
			}
		}
		if named == nil && !tested[id] {
			t.Errorf("row %s has no test", id)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(tested)) {
		if rows[id] == "" {
			t.Errorf("%s is tested and has no row", id)
		}
	}
}
