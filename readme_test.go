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

//go:generate go test -run ^TestReadmeTables$ . -update

var update = flag.Bool("update", false, "update the tables in the README")

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

// TestReadmeTables compares the README's tables with action.yml and the error codes, and updates them with -update.
func TestReadmeTables(t *testing.T) {
	a := readAction(t)
	var inputs, outputs, codes strings.Builder
	inputs.WriteString("| input | default | meaning |\n|---|---|---|\n")
	for _, f := range fields(t, a.Inputs) {
		value := ""
		switch {
		case f.Required:
			value = "required"
		case f.Default != "":
			value = "`" + f.Default + "`"
		}
		fmt.Fprintf(&inputs, "| `%s` | %s | %s |\n", f.Name, value, f.Description)
	}
	outputs.WriteString("| output | meaning |\n|---|---|\n")
	for _, f := range fields(t, a.Outputs) {
		fmt.Fprintf(&outputs, "| `%s` | %s |\n", f.Name, f.Description)
	}
	codes.WriteString("| code | what it means | what to do |\n|---|---|---|\n")
	for _, c := range publish.Codes() {
		fmt.Fprintf(&codes, "| `%s` | %s | %s |\n", c.Name, c.Means, c.Do)
	}

	readme := readFile(t, "README.md")
	want := readme
	for name, table := range map[string]string{"inputs": inputs.String(), "outputs": outputs.String(), "codes": codes.String()} {
		section := regexp.MustCompile(`(?s)(<!-- ` + name + `:[^>]*-->\n).*?(<!-- end -->)`)
		if !section.Match(want) {
			t.Fatalf("the README has no markers for the table of %s", name)
		}
		want = section.ReplaceAll(want, []byte("${1}\n"+strings.ReplaceAll(table, "$", "$$")+"\n${2}"))
	}
	if bytes.Equal(readme, want) {
		return
	}
	if !*update {
		t.Fatal("a table in the README differs from action.yml or the code: run go generate")
	}
	if err := os.WriteFile("README.md", want, 0o644); err != nil {
		t.Fatal(err)
	}
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
		// One use is the definition and one is the table that Codes returns.
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

func TestActionMetadata(t *testing.T) {
	a := readAction(t)
	if len(a.Description) >= 125 {
		t.Errorf("the description has %d characters, the marketplace requires fewer than 125", len(a.Description))
	}
	if a.Runs.Using != "docker" || a.Runs.Image != "Dockerfile" {
		t.Errorf("runs %+v", a.Runs)
	}
}

// Whether the workflows are valid otherwise is checked by actionlint, in .ci/run.
func TestReadmeWorkflowsUseExistingInputsAndOutputs(t *testing.T) {
	a := readAction(t)
	declares := func(node yaml.Node, name string) bool {
		return slices.ContainsFunc(fields(t, node), func(f field) bool { return f.Name == name })
	}
	readme := readFile(t, "README.md")
	blocks := regexp.MustCompile("(?s)\n```yaml\n(.*?)\n```\n").FindAllSubmatch(readme, -1)
	steps := 0
	for _, block := range blocks {
		var workflow struct {
			Jobs map[string]struct {
				Steps []struct {
					Uses string
					With map[string]any
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
						t.Errorf("a workflow sets the input %q, which does not exist", name)
					}
				}
				for _, name := range []string{"token", "agent-id"} {
					if step.With[name] == nil {
						t.Errorf("a workflow does not set %s:\n%s", name, block[1])
					}
				}
			}
		}
		for _, found := range regexp.MustCompile(`steps\.promote\.outputs\.([\w-]+)`).FindAllSubmatch(block[1], -1) {
			if !declares(a.Outputs, string(found[1])) {
				t.Errorf("a workflow reads the output %q, which does not exist", found[1])
			}
		}
	}
	if steps < 6 {
		t.Errorf("only %d uses of this action found in %d YAML blocks", steps, len(blocks))
	}
}
