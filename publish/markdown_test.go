package publish

import (
	"strings"
	"testing"
)

func known(s string) cell { return cell{say("%s", literal(s)), true} }

func TestTable(t *testing.T) {
	head := []cell{{say(""), true}, {say("before"), true}, {say("now"), true}}
	row := func(was, is cell) []cell { return []cell{{say("Row"), true}, was, is} }
	for _, test := range []struct {
		name    string
		was, is cell
		want    string
	}{
		{"a change", known("a"), known("b"), "| Row | `a` | **`b`** |"},
		{"no change", known("a"), known("a"), "| Row | `a` | unchanged |"},
		{"nothing before", known(""), known("b"), "| Row | – | **`b`** |"},
		{"nothing any more", known("a"), known(""), "| Row | `a` | – |"},
		{"nothing at all", known(""), known(""), "| Row | – | – |"},
		{"not known before", cell{}, known("b"), "| Row | unknown | **`b`** |"},
		{"not known now", known("a"), cell{}, "| Row | `a` | unknown |"},
		{"not known at all", cell{}, cell{}, "| Row | unknown | unknown |"},
		{"a stale value that is not known", cell{say("%s", literal("a")), false}, known("a"), "| Row | unknown | **`a`** |"},
		{"pipes", known("a|b"), known(`a\|b|`), "| Row | `a\\|b` | **`a\\\\|b\\|`** |"},
		{"pipes that stay", known("a|b"), known("a|b"), "| Row | `a\\|b` | unchanged |"},
		{"a backtick", known("`"), known("``a"), "| Row | `` ` `` | **` ``a `** |"},
		{"line breaks", known("a\n| b |\n"), known("c"), "| Row | `a \\| b \\|` | **`c`** |"},
	} {
		t.Run(test.name, func(t *testing.T) {
			md := &markdown{cleaner: newCleaner()}
			md.table([][]cell{head, row(test.was, test.is)})
			if got, want := md.String(), "|  | before | now |\n|:--|:--|:--|\n"+test.want+"\n"; got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// A row keeps its columns whatever its cells contain: GitHub ends a cell at every pipe without a backslash before it.
func TestTableOfHostileTexts(t *testing.T) {
	for _, text := range append([]string{secret, "|", `\|`, `\\|`, "||", `\`}, HostileTexts...) {
		md := &markdown{cleaner: newCleaner(secret)}
		md.table([][]cell{{known("a"), known("b"), known("c")}, {known("d"), known(text), known(text + "x")}})
		lines := strings.Split(strings.TrimSuffix(md.String(), "\n"), "\n")
		if len(lines) != 3 {
			t.Errorf("%q: %d lines", text, len(lines))
		}
		if columns := strings.Count(strings.ReplaceAll(lines[len(lines)-1], `\|`, ""), "|"); columns != 4 {
			t.Errorf("%q: %d pipes in %s", text, columns, lines[len(lines)-1])
		}
	}
}

func TestFoldAndFence(t *testing.T) {
	md := &markdown{cleaner: newCleaner()}
	md.add("a")
	md.fold("b", true, md.fence("yaml", []string{"c: ````", "d"}))
	md.fold("e", false, "f")
	want := "a\n\n<details open><summary>b</summary>\n\n`````yaml\nc: ````\nd\n`````\n\n</details>\n\n<details><summary>e</summary>\n\nf\n\n</details>\n"
	if got := md.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
