package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"publish-agent-version/publish"
)

//go:generate go test -run ^TestTablesInDocs$ . -update

var update = flag.Bool("update", false, "update the tables in the README and in docs")

// action is the content of action.yml. The nodes keep its order.
type action struct {
	Name, Description string
	Inputs, Outputs   yaml.Node
	Runs              struct{ Using, Image string }
}

type field struct {
	Name                 string
	Description, Default string
	Required             bool
}

func readAction(t *testing.T) action {
	t.Helper()
	var a action
	if err := yaml.Unmarshal(readFile(t, "action.yml"), &a); err != nil {
		t.Fatal(err)
	}
	return a
}

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func fields(t *testing.T, node yaml.Node) []field {
	t.Helper()
	var list []field
	for i := 0; i+1 < len(node.Content); i += 2 {
		f := field{Name: node.Content[i].Value}
		if err := node.Content[i+1].Decode(&f); err != nil {
			t.Fatal(err)
		}
		list = append(list, f)
	}
	if len(list) == 0 {
		t.Fatal("no fields in action.yml")
	}
	return list
}

// TestTablesInDocs compares the tables in the README and in docs with action.yml and the error codes, and updates them with
// -update. The README's table has only the inputs that its marker lists.
func TestTablesInDocs(t *testing.T) {
	a := readAction(t)
	marker := regexp.MustCompile(`(?s)(<!-- (inputs|outputs|codes)( [\w, -]+)?: made from [^>]*-->\n).*?(<!-- end -->)`)
	tables := 0
	for _, path := range docs(t) {
		doc := readFile(t, path)
		want := marker.ReplaceAllFunc(doc, func(section []byte) []byte {
			tables++
			m := marker.FindSubmatch(section)
			var only []string
			if len(m[3]) > 0 {
				only = strings.Split(strings.TrimSpace(string(m[3])), ", ")
			}
			return fmt.Appendf(nil, "%s\n%s\n%s", m[1], table(t, a, string(m[2]), only), m[4])
		})
		if bytes.Equal(doc, want) {
			continue
		}
		if !*update {
			t.Errorf("a table in %s differs from action.yml or the code: run go generate", path)
		} else if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if tables != 4 {
		t.Errorf("found the markers of %d tables, want 4", tables)
	}
}

// table returns the Markdown table of inputs, outputs or codes. A list of names selects some of the inputs.
func table(t *testing.T, a action, kind string, only []string) string {
	t.Helper()
	var b strings.Builder
	switch kind {
	case "inputs":
		b.WriteString("| input | default | meaning |\n|---|---|---|\n")
		rows := 0
		for _, f := range fields(t, a.Inputs) {
			if only != nil && !slices.Contains(only, f.Name) {
				continue
			}
			rows++
			value := ""
			switch {
			case f.Required:
				value = "required"
			case f.Default != "":
				value = "`" + f.Default + "`"
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", f.Name, value, f.Description)
		}
		if only != nil && rows != len(only) {
			t.Errorf("only %d of the inputs %q exist", rows, only)
		}
	case "outputs":
		b.WriteString("| output | meaning |\n|---|---|\n")
		for _, f := range fields(t, a.Outputs) {
			fmt.Fprintf(&b, "| `%s` | %s |\n", f.Name, f.Description)
		}
	case "codes":
		b.WriteString("| code | what it means | what to do |\n|---|---|---|\n")
		for _, c := range publish.Codes() {
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", c.Name, c.Means, c.Do)
		}
	}
	return b.String()
}

// docs lists the Markdown files for users and contributors.
func docs(t *testing.T) []string {
	t.Helper()
	root, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	return append(root, pages...)
}

func TestEveryCodeIsUsedAndDocumented(t *testing.T) {
	var documented []string
	for _, c := range publish.Codes() {
		if strings.HasPrefix(c.Name, "ACTION_") {
			documented = append(documented, c.Name)
		}
		if c.Means == "" || c.Do == "" {
			t.Errorf("%s has an empty cell", c.Name)
		}
	}
	files, err := filepath.Glob("publish/*.go")
	if err != nil {
		t.Fatal(err)
	}
	var source []byte
	for _, file := range files {
		if !strings.HasSuffix(file, "_test.go") {
			source = append(source, readFile(t, file)...)
		}
	}
	var defined []string
	for _, found := range regexp.MustCompile(`(code[A-Z]\w+) += "(ACTION_[A-Z_]+)"`).FindAllSubmatch(source, -1) {
		// One use is the definition, another the table that Codes returns.
		if uses := regexp.MustCompile(`\b`+string(found[1])+`\b`).FindAll(source, -1); len(uses) < 3 {
			t.Errorf("%s is never used", found[1])
		}
		defined = append(defined, string(found[2]))
	}
	slices.Sort(documented)
	slices.Sort(defined)
	if !slices.Equal(documented, defined) {
		t.Errorf("documented %q, defined %q", documented, defined)
	}
}

// TestEveryInputIsAFlag compares action.yml with the command line and its usage.
func TestEveryInputIsAFlag(t *testing.T) {
	run := func(args ...string) string {
		var printed strings.Builder
		step := publish.Step{Args: args, Getenv: func(string) string { return "" }, Stdout: &printed, Stderr: &printed}
		step.Run(t.Context())
		return printed.String()
	}
	usage := run("--help")
	for _, f := range fields(t, readAction(t).Inputs) {
		if f.Name == "token" { // never on the command line
			continue
		}
		if !strings.Contains(usage, "--"+f.Name) {
			t.Errorf("--help does not mention --%s", f.Name)
		}
		if printed := run("--" + f.Name + "=x"); !strings.Contains(printed, "token is missing") {
			t.Errorf("--%s: %s", f.Name, printed)
		}
	}
}

func TestActionMetadata(t *testing.T) {
	a := readAction(t)
	if len(a.Description) >= 125 {
		t.Errorf("the description has %d characters, the marketplace requires fewer than 125", len(a.Description))
	}
	if a.Runs.Using != "docker" || a.Runs.Image != "Dockerfile" {
		t.Errorf("runs %+v", a.Runs)
	}
}

// actionlint, in .ci/run, checks that the workflows are valid otherwise.
func TestWorkflowsInDocsUseExistingInputsAndOutputs(t *testing.T) {
	a := readAction(t)
	declares := func(node yaml.Node, name string) bool {
		return slices.ContainsFunc(fields(t, node), func(f field) bool { return f.Name == name })
	}
	steps := 0
	for _, path := range docs(t) {
		for _, block := range regexp.MustCompile("(?s)\n```yaml\n(.*?)\n```\n").FindAllSubmatch(readFile(t, path), -1) {
			if !bytes.Contains(block[1], []byte("\non:\n")) {
				continue // a fragment, or a file of another CI system
			}
			var workflow struct {
				Jobs map[string]struct {
					Steps []struct {
						ID, Uses string
						With     map[string]any
					}
				}
			}
			if err := yaml.Unmarshal(block[1], &workflow); err != nil {
				t.Fatalf("%v in\n%s", err, block[1])
			}
			for _, job := range workflow.Jobs {
				for _, step := range job.Steps {
					if !strings.HasPrefix(step.Uses, "your-org/publish-agent-version@") {
						continue
					}
					steps++
					for name := range step.With {
						if !declares(a.Inputs, name) {
							t.Errorf("%s: a workflow sets the input %q, which does not exist", path, name)
						}
					}
					for _, name := range []string{"token", "agent-id"} {
						if step.With[name] == nil {
							t.Errorf("%s: a workflow does not set %s:\n%s", path, name, block[1])
						}
					}
					outputs := regexp.MustCompile(`steps\.` + regexp.QuoteMeta(step.ID) + `\.outputs\.([\w-]+)`)
					for _, found := range outputs.FindAllSubmatch(block[1], -1) {
						if !declares(a.Outputs, string(found[1])) {
							t.Errorf("%s: a workflow reads the output %q, which does not exist", path, found[1])
						}
					}
				}
			}
		}
	}
	if steps < 14 {
		t.Errorf("only %d uses of this action found", steps)
	}
}

// TestLinksInDocs follows every relative link, with its anchor, to a file and a heading.
func TestLinksInDocs(t *testing.T) {
	link := regexp.MustCompile(`(?:\]\(|src="|srcset=")([^)\s":]*)[)"]`) // no colon: not on the web
	links := 0
	for _, path := range docs(t) {
		for _, m := range link.FindAllSubmatch(readFile(t, path), -1) {
			links++
			file, anchor, _ := strings.Cut(string(m[1]), "#")
			target := path
			if file != "" {
				target = filepath.Join(filepath.Dir(path), file)
			}
			content, err := os.ReadFile(target)
			if err != nil {
				t.Errorf("%s: link to %s: %v", path, m[1], err)
			} else if anchor != "" && !slices.Contains(anchors(content), anchor) {
				t.Errorf("%s: link to %s: no such heading", path, m[1])
			}
		}
	}
	if links < 50 {
		t.Errorf("only %d links found", links)
	}
}

// anchors lists the anchors that GitHub gives the headings of a Markdown file.
func anchors(markdown []byte) (list []string) {
	for _, heading := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllSubmatch(markdown, -1) {
		anchor := strings.ReplaceAll(strings.ToLower(string(heading[1])), " ", "-")
		list = append(list, regexp.MustCompile(`[^\pL\pN_-]`).ReplaceAllString(anchor, ""))
	}
	return list
}

// TestArchitectureListsEveryFile compares the table in docs/architecture.md with the source files.
func TestArchitectureListsEveryFile(t *testing.T) {
	var files, listed []string
	for _, dir := range []string{"publish", "diga"} {
		paths, err := filepath.Glob(dir + "/*.go")
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			if !strings.HasSuffix(path, "_test.go") {
				files = append(files, path)
			}
		}
	}
	for _, row := range regexp.MustCompile("(?m)^\\| .* \\| `(publish|diga)` \\| (.*)$").FindAllSubmatch(readFile(t, "docs/architecture.md"), -1) {
		for _, file := range regexp.MustCompile(`\w+\.go`).FindAll(row[2], -1) {
			listed = append(listed, filepath.Join(string(row[1]), string(file)))
		}
	}
	slices.Sort(files)
	slices.Sort(listed)
	if !slices.Equal(files, listed) {
		t.Errorf("docs/architecture.md lists\n%q, but there are\n%q", listed, files)
	}
}
