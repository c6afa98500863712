package release

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

type workflow struct {
	Permissions *map[string]string
	Concurrency map[string]any
	Jobs        map[string]struct {
		Uses        string
		Permissions *map[string]string
		Timeout     int `yaml:"timeout-minutes"`
		Steps       []struct {
			Name, Uses, Run string
			With            map[string]any
		}
	}
}

// commit matches an action pinned to a commit.
var commit = regexp.MustCompile(`^[\w.-]+(/[\w.-]+)+@[0-9a-f]{40}$`)

// Permissions are set per job, no outside text becomes a script, and every action is pinned.
func TestWorkflows(t *testing.T) {
	files, err := filepath.Glob("../.github/workflows/*.yml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no workflows: %v", err)
	}
	writers := map[string]string{
		"release.yml/build":   "attestations contents id-token packages",
		"release.yml/publish": "attestations contents",
		"codeql.yml/analyze":  "contents security-events",
	}
	for _, file := range files {
		text, name := source(t, strings.TrimPrefix(file, "../")), filepath.Base(file)
		var w workflow
		if err := yaml.Unmarshal([]byte(text), &w); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if w.Permissions == nil || len(*w.Permissions) > 0 {
			t.Errorf("%s: permissions are not {} on top", name)
		}
		if w.Concurrency == nil && name != "try.yml" { // which runs in its caller's group
			t.Errorf("%s: no concurrency", name)
		}
		for _, not := range []string{"pull_request_target", "workflow_run", "secrets: inherit"} {
			if strings.Contains(text, not) {
				t.Errorf("%s: has %s", name, not)
			}
		}
		for id, job := range w.Jobs {
			where := name + "/" + id
			if job.Permissions == nil {
				t.Errorf("%s: no permissions", where)
				continue
			}
			for scope, access := range *job.Permissions {
				if (access != "read" || scope != "contents") && !strings.Contains(writers[where], scope) {
					t.Errorf("%s: may %s %s", where, access, scope)
				}
			}
			if job.Uses != "" {
				if !strings.HasPrefix(job.Uses, "./") {
					t.Errorf("%s: uses %s", where, job.Uses)
				}
				continue
			}
			if job.Timeout == 0 || len(job.Steps) == 0 {
				t.Errorf("%s: %d steps, timeout-minutes %d", where, len(job.Steps), job.Timeout)
			}
			for _, step := range job.Steps {
				if strings.Contains(step.Run, "${{") {
					t.Errorf("%s: an expression in a script: %s", where, step.Run)
				}
				action, _, _ := strings.Cut(step.Uses, "@")
				if step.Uses != "" && step.Uses != "./" && (!commit.MatchString(step.Uses) || !strings.Contains(text, step.Uses+" # v")) {
					t.Errorf("%s: uses %s, want a commit, and its tag in a comment", where, step.Uses)
				}
				for of, setting := range map[string]string{
					"actions/checkout": "persist-credentials", "actions/setup-go": "cache", "docker/setup-buildx-action": "cache-binary",
				} {
					if action == of && step.With[setting] != false {
						t.Errorf("%s: %s without %s: false", where, of, setting)
					}
				}
			}
		}
	}
}

// Every dependency is listed in CONTRIBUTING.md with a reason.
func TestDependencies(t *testing.T) {
	var used []string
	find := func(file, pattern string) {
		t.Helper()
		matches := regexp.MustCompile(pattern).FindAllStringSubmatch(source(t, file), -1)
		if matches == nil {
			t.Errorf("%s: nothing matches %s", file, pattern)
		}
		for _, match := range matches {
			used = append(used, match[1])
		}
	}
	find("go.mod", `(?m)^\t(\S+) v\S+$`)
	for _, file := range []string{".ci/run", ".github/workflows/ci.yml", "e2e/act", "release/files", "release/rehearse"} {
		find(file, `([\w.-]+\.\w+/[\w./-]+)@v?[\d$]`) // a tool that "go run" builds
	}
	for _, file := range []string{"ci", "codeql", "release", "try"} {
		find(".github/workflows/"+file+".yml", `uses: ([\w-]+/[\w-]+)\S*@`)
	}
	find(".github/images/Dockerfile", `(?m)^FROM ([^:]+):`)

	listed := regexp.MustCompile("(?m)^\\| `(.+?)` \\|").FindAllStringSubmatch(source(t, "CONTRIBUTING.md"), -1)
	for _, name := range used {
		if !slices.ContainsFunc(listed, func(row []string) bool { return name == row[1] || strings.HasPrefix(name, row[1]+"/") }) {
			t.Errorf("%s is not listed", name)
		}
	}
	for _, row := range listed {
		if strings.HasSuffix(row[1], "/") || row[1] == "main.go" {
			continue // the layout
		}
		if !slices.ContainsFunc(used, func(name string) bool { return name == row[1] || strings.HasPrefix(name, row[1]+"/") }) {
			t.Errorf("%s is listed but not used", row[1])
		}
	}
}
