package main

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"publish-agent-version/diga"
	"publish-agent-version/publish"
)

//go:generate go test -run ^TestTablesInDocs$ . -update

var update = flag.Bool("update", false, "update the tables in the README and in docs")

// action is the content of action.yml. The nodes keep its order.
type action struct {
	Description     string
	Inputs, Outputs yaml.Node
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
		mention := regexp.MustCompile(`\{([^}]+)\}`)
		for _, f := range diga.Faults {
			name := cmp.Or(f.Code, "HTTP_"+f.Status)
			if strings.Contains(name, " ") {
				name = "HTTP_<status>"
			}
			if name != "HTTP_" {
				fmt.Fprintf(&b, "| `%s` | %s | %s |\n", name,
					mention.ReplaceAllString(f.Means, "`$1`"), mention.ReplaceAllString(f.Advice, "`$1`"))
			}
		}
	}
	return b.String()
}

// docs lists the Markdown files for users and contributors.
func docs(t *testing.T) []string { return append(glob(t, "*.md"), glob(t, "docs/*.md")...) }

// glob lists the files that match a pattern, without tests.
func glob(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %q, %v", pattern, files, err)
	}
	return slices.DeleteFunc(files, func(name string) bool { return strings.HasSuffix(name, "_test.go") })
}

func TestEveryCodeIsUsedAndDocumented(t *testing.T) {
	code := regexp.MustCompile(`\bACTION_[A-Z_]*[A-Z]`)
	var source []byte
	for _, file := range glob(t, "publish/*.go") {
		source = append(source, readFile(t, file)...)
	}
	var defined []string
	for _, f := range diga.Faults {
		if f.Code != "" && !slices.Contains(defined, f.Code) {
			defined = append(defined, f.Code)
		}
	}
	for _, found := range regexp.MustCompile(`(code[A-Z]\w+) += "(ACTION_[A-Z_]+)"`).FindAllSubmatch(source, -1) {
		if uses := regexp.MustCompile(`\b`+string(found[1])+`\b`).FindAll(source, -1); len(uses) < 2 {
			t.Errorf("%s is never used", found[1])
		}
		defined = append(defined, string(found[2]))
	}
	for _, name := range defined {
		if !bytes.Contains(readFile(t, "docs/errors.md"), []byte("| `"+name+"` |")) {
			t.Errorf("%s is not documented", name)
		}
	}
	for _, path := range docs(t) {
		for _, name := range code.FindAllString(string(readFile(t, path)), -1) {
			if !slices.Contains(defined, name) {
				t.Errorf("%s has %s, which is no code", path, name)
			}
		}
	}
}

// TestEveryInputIsAFlag compares action.yml with the command line and its usage.
func TestEveryInputIsAFlag(t *testing.T) {
	run := func(args ...string) string {
		var printed strings.Builder
		step := publish.Step{Args: args, Stdout: &printed, Stderr: &printed}
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
		if f.Default != "" && f.Default != "false" && !strings.Contains(usage, "(default "+f.Default+")") {
			t.Errorf("--help does not have the default of --%s, %q", f.Name, f.Default)
		}
		if printed := run("--" + f.Name + "=x"); !strings.Contains(printed, "DIGA_TOKEN is missing") {
			t.Errorf("--%s: %s", f.Name, printed)
		}
	}
}

func TestDescription(t *testing.T) {
	if length := len(readAction(t).Description); length == 0 || length >= 125 {
		t.Errorf("the description has %d characters, the marketplace requires fewer than 125", length)
	}
}

// workflow is a workflow in the documentation.
type workflow struct {
	source      string
	Concurrency map[string]string
	Jobs        map[string]struct {
		Environment any
		Concurrency map[string]string
		Steps       []struct {
			ID, Name, Uses, Run string
			With                map[string]any
		}
	}
}

// workflows returns the workflows in a Markdown file: its blocks of YAML with "on:". The others are fragments, or files of
// another CI system.
func workflows(t *testing.T, path string) (list []workflow) {
	t.Helper()
	for _, block := range regexp.MustCompile("(?s)\n```yaml\n(.*?)\n```\n").FindAllSubmatch(readFile(t, path), -1) {
		if !bytes.Contains(block[1], []byte("\non:\n")) {
			continue
		}
		w := workflow{source: string(block[1])}
		if err := yaml.Unmarshal(block[1], &w); err != nil {
			t.Fatalf("%v in\n%s", err, block[1])
		}
		list = append(list, w)
	}
	return list
}

// Workflows use inputs and outputs that exist. A job that can change an agent gets its key from an environment, and is in the
// agent's concurrency group, where no job is lost. actionlint, in .ci/run, checks the rest, but does not know "queue" yet.
func TestWorkflowsInDocs(t *testing.T) {
	a := readAction(t)
	inputs, outputs := fields(t, a.Inputs), fields(t, a.Outputs)
	declares := func(list []field, name string) bool {
		return slices.ContainsFunc(list, func(f field) bool { return f.Name == name })
	}
	steps, keys := 0, 0
	for _, path := range docs(t) {
		for _, w := range workflows(t, path) {
			bad := func(format string, args ...any) {
				t.Helper()
				t.Errorf("%s: %s, in\n%s", path, fmt.Sprintf(format, args...), w.source)
			}
			queues := strings.Count(w.source, "queue:")
			check := func(concurrency map[string]string) (changes bool) {
				changes = strings.HasPrefix(concurrency["group"], "diga-${{ ")
				if _, ok := concurrency["queue"]; ok {
					queues--
				}
				if changes && (len(concurrency) != 2 || concurrency["queue"] != "max") {
					bad("%v, want a group with queue: max and nothing else", concurrency)
				}
				return changes
			}
			all := check(w.Concurrency)
			for id, job := range w.Jobs {
				one := check(job.Concurrency)
				for _, step := range job.Steps {
					if step.With["token"] == "${{ secrets.DIGA_TOKEN }}" {
						keys++
						if job.Environment == nil || !all && !one {
							bad("the job %s has the key, but no environment or no concurrency", id)
						}
					}
					if !strings.HasPrefix(step.Uses, "your-org/publish-agent-version@") {
						continue
					}
					steps++
					if step.With["token"] == nil || step.With["agent-id"] == nil {
						bad("no token or no agent-id")
					}
					for name := range step.With {
						if !declares(inputs, name) {
							bad("the input %q does not exist", name)
						}
					}
					read := regexp.MustCompile(`steps\.` + regexp.QuoteMeta(step.ID) + `\.outputs\.([\w-]+)`)
					for _, found := range read.FindAllStringSubmatch(w.source, -1) {
						if !declares(outputs, found[1]) {
							bad("the output %q does not exist", found[1])
						}
					}
				}
			}
			if queues != 0 {
				bad("queue outside of concurrency")
			}
		}
	}
	if steps < 14 || keys < 10 {
		t.Errorf("only %d uses of this action and %d steps with the key found", steps, keys)
	}
}

// The recipe that comments the plan makes one comment, and renews it, whatever others have written. The fake of GitHub's client
// has the comments of a pull request, and prints what is to be done.
func TestCommentRecipe(t *testing.T) {
	if _, err := exec.LookPath("jq"); err != nil && os.Getenv("CI") == "" {
		t.Skipf("the recipe needs jq: %v", err)
	}
	var script string
	for _, w := range workflows(t, "docs/recipes.md") {
		for _, step := range w.Jobs["plan"].Steps {
			if step.Name == "Comment" {
				script = step.Run
			}
		}
	}
	const mark, dir, summary = "<!-- plan of front-desk -->", "repos/o/r/issues", "### Plan\n\n`$(id)` \\n 'quoted' \"twice\" @-"
	others := fmt.Sprintf(`{"id": 1, "user": {"login": "github-actions[bot]"}, "body": "quoted: %s"},
		{"id": 2, "user": {"login": "mallory"}, "body": "%[1]s"}, {"id": 3, "user": {"login": "other[bot]"}, "body": "%[1]s"}`, mark)
	own := fmt.Sprintf(`, {"id": 9, "user": {"login": "github-actions[bot]"}, "body": %q}`, mark+"\n\nold")
	bin := t.TempDir()
	gh := "#!/bin/sh\ncase \"$*\" in \"api --paginate " + dir + "/7/comments\") printf %s \"$COMMENTS\";; *) echo \"$*\"; cat;; esac\n"
	if err := os.WriteFile(filepath.Join(bin, "gh"), []byte(gh), 0o755); err != nil {
		t.Fatal(err)
	}
	for comments, request := range map[string]string{
		"[" + others + "]": "POST " + dir + "/7/comments", "[" + others + own + "]": "PATCH " + dir + "/comments/9",
	} {
		for _, summary := range []string{summary, "@file", strings.Repeat("x", 60<<10)} {
			command := exec.CommandContext(t.Context(), "bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script)
			command.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "COMMENTS="+comments, "GITHUB_REPOSITORY=o/r",
				"NUMBER=7", "MARK="+mark, "SUMMARY="+summary)
			got, err := command.CombinedOutput()
			want := "api --method " + request + " --field body=@- --silent\n" + mark + "\n\n" + summary + "\n"
			if err != nil || string(got) != want {
				t.Errorf("%v: got %.999q, want %.999q", err, got, want)
			}
		}
	}
}

// The pipeline in the documentation is the one run by e2e/gitlab/run.
func TestPipelineInDocs(t *testing.T) {
	want := fmt.Appendf(nil, "```yaml\n%s```\n", readFile(t, "e2e/gitlab/.gitlab-ci.yml"))
	if !bytes.Contains(readFile(t, "docs/other-ci.md"), want) {
		t.Errorf("docs/other-ci.md does not have e2e/gitlab/.gitlab-ci.yml:\n%s", want)
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
	files, listed := append(glob(t, "publish/*.go"), glob(t, "diga/*.go")...), []string(nil)
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
