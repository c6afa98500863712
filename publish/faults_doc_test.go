package publish_test

import (
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestFaultsDocumented compares docs/faults.md with the tests: each row has a subtest with its id, or names a test
// function, and each id of a subtest in the files for faults has a row.
func TestFaultsDocumented(t *testing.T) {
	doc := readFile(t, "../docs/faults.md")
	rows := make(map[string]string)
	for _, row := range regexp.MustCompile(`(?m)^\| ([A-Z][0-9]+[a-z]?) \|.*$`).FindAllStringSubmatch(doc, -1) {
		if rows[row[1]] != "" {
			t.Errorf("row %s is duplicated", row[1])
		}
		rows[row[1]] = row[0]
	}
	if len(rows) == 0 {
		t.Fatal("no rows")
	}
	sources, tested := "", make(map[string]bool)
	subtest := regexp.MustCompile(`"([NTHRBVPGAYDLXIESC][0-9]{1,2}[a-z]?)(?:[ /][^"]*)?"`)
	for _, path := range slices.Concat(must(filepath.Glob("*_test.go")), must(filepath.Glob("../e2e/*_test.go"))) {
		source := readFile(t, path)
		sources += source
		for _, id := range subtest.FindAllStringSubmatch(source, -1) {
			tested[id[1]] = tested[id[1]] || strings.HasPrefix(path, "faults_")
		}
	}
	for id, row := range rows {
		named := regexp.MustCompile("`(Test[A-Za-z]+)`").FindStringSubmatch(row)
		if named != nil && !strings.Contains(sources, "\nfunc "+named[1]+"(t *testing.T)") {
			t.Errorf("row %s names %s, which is not there", id, named[1])
		}
		if named == nil && !tested[id] {
			t.Errorf("row %s has no test", id)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(tested)) {
		if tested[id] && rows[id] == "" {
			t.Errorf("%s is tested and has no row", id)
		}
	}
}
