// Package release tests the scripts in this directory, on temporary repositories and with a fake gh.
package release

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const (
	digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	image  = "ghcr.io/your-org/publish-agent-version@" + digest

	changelog = `# Changelog

## [Unreleased]

- Not yet released.

## [1.4.0] - 2026-01-05

### Added

- Like "## [1.3.0]", but better.
- Something new.

## [1.3.0] - 2026-01-04

- Something old.

## [1.2.0] - 2026-01-03

### Fixed

## [1.1.0] - 2026-01-02

- Something at the end.

[1.4.0]: https://github.com/your-org/publish-agent-version/releases/tag/v1.4.0
`
)

// repository is a checkout with one commit on main, which has the real action.yml and a changelog.
type repository struct {
	*testing.T
	dir string
	env []string
}

// newRepository skips the test on a machine that has only Go, except in CI.
func newRepository(t *testing.T) *repository {
	t.Helper()
	for _, tool := range []string{"bash", "git", "awk", "sed", "sort"} {
		if _, err := exec.LookPath(tool); err != nil && os.Getenv("CI") == "" {
			t.Skipf("the release scripts need bash, git and the usual tools: %v", err)
		}
	}
	r := &repository{T: t, dir: t.TempDir(), env: append(os.Environ(),
		"GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@localhost", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@localhost",
		"GIT_COMMITTER_DATE=2026-01-05T09:00:00Z", "GIT_AUTHOR_DATE=2026-01-05T09:00:00Z",
	)}
	r.must("git", "init", "--quiet", "--initial-branch=main")
	r.write("action.yml", source(t, "action.yml"))
	r.write("CHANGELOG.md", changelog)
	r.must("git", "add", "--all")
	r.must("git", "commit", "--quiet", "--message=First")
	return r
}

// run runs a command in the checkout. A name with a slash is a script, relative to the root of this project.
func (r *repository) run(name string, args ...string) (stdout, stderr string, exit int) {
	r.Helper()
	if strings.Contains(name, "/") {
		path, err := filepath.Abs(filepath.Join("..", name))
		if err != nil {
			r.Fatal(err)
		}
		name = path
	}
	var out, errs strings.Builder
	command := exec.CommandContext(r.Context(), name, args...)
	command.Dir, command.Env, command.Stdout, command.Stderr = r.dir, r.env, &out, &errs
	if err := command.Run(); err != nil && command.ProcessState == nil {
		r.Fatal(err)
	}
	return strings.TrimSpace(out.String()), errs.String(), command.ProcessState.ExitCode()
}

// must runs a command that must succeed, and returns its output.
func (r *repository) must(name string, args ...string) string {
	r.Helper()
	stdout, stderr, exit := r.run(name, args...)
	if exit != 0 {
		r.Fatalf("%s %q: exit status %d\n%s", name, args, exit, stderr)
	}
	return stdout
}

func (r *repository) write(name, content string) {
	r.Helper()
	if err := os.WriteFile(filepath.Join(r.dir, name), []byte(content), 0o644); err != nil {
		r.Fatal(err)
	}
}

func (r *repository) read(name string) string {
	r.Helper()
	content, err := os.ReadFile(filepath.Join(r.dir, name))
	if err != nil {
		r.Fatal(err)
	}
	return string(content)
}

func TestCheck(t *testing.T) {
	r := newRepository(t)
	for _, test := range []struct {
		version string
		tags    []string
		ok      bool
	}{
		{"0.0.1", nil, true},
		{"1.4.0", []string{"v1", "v1.3.9"}, true},
		{"1.10.0", []string{"v1.9.0"}, true},
		{"2.0.0", []string{"v1.99.99"}, true},
		{"1.4.0", []string{"v9.9.9-rc.1", "wave9.9.9", "v1.3.0"}, true}, // not release tags
		{"1.4.0", []string{"v1.4.0"}, false},
		{"1.4.0", []string{"v1.4.1"}, false},
		{"1.9.0", []string{"v1.10.0"}, false},
		{"1.9.1", []string{"v2.0.0"}, false},
		{"v1.4.0", nil, false},
		{"1.4", nil, false},
		{"1.4.0-rc.1", nil, false},
		{"01.4.0", nil, false},
		{"1.4.0\n", nil, false},
		{"$(id).0.0", nil, false},
		{"", nil, false},
		{"1.5.0", nil, false}, // not in the changelog
	} {
		r.write("CHANGELOG.md", "## ["+strings.Replace(test.version, "1.5.0", "1.6.0", 1)+"] - 2026-01-05\n\n- Something.\n")
		for _, tag := range test.tags {
			r.must("git", "tag", tag)
		}
		_, stderr, exit := r.run("release/check", test.version)
		if (exit == 0) != test.ok || (stderr == "") != test.ok {
			t.Errorf("%q after %q: exit status %d, %q", test.version, test.tags, exit, stderr)
		}
		if test.tags != nil {
			r.must("git", append([]string{"tag", "--delete"}, test.tags...)...)
		}
	}
}

func TestChangelog(t *testing.T) {
	r := newRepository(t)
	for _, test := range []struct {
		version, want string // empty: refused
	}{
		{"1.4.0", "### Added\n\n- Like \"## [1.3.0]\", but better.\n- Something new."},
		{"1.3.0", "- Something old."},
		{"1.2.0", ""},                        // nothing listed
		{"1.1.0", "- Something at the end."}, // without the links after it
		{"1.0.0", ""},
		{"1.4", ""},
		{"1.4.", ""},
		{"1.3.0] - 2026-01-04\n", ""},
		{"", ""},
	} {
		stdout, stderr, exit := r.run("release/changelog", test.version)
		if stdout != test.want || (exit == 0) != (test.want != "") || (stderr == "") != (exit == 0) {
			t.Errorf("%q: exit status %d, %q, %q, want %q", test.version, exit, stdout, stderr, test.want)
		}
	}
}

func TestCommit(t *testing.T) {
	r, again := newRepository(t), newRepository(t)
	main := r.must("git", "rev-parse", "main")
	commit := r.must("release/commit", "1.4.0", image)

	if got := r.must("git", "rev-parse", commit+"^"); got != main {
		t.Errorf("the commit's parent is %s, want %s", got, main)
	}
	if got := r.must("git", "rev-parse", "main"); got != main {
		t.Errorf("main moved to %s", got)
	}
	if got := r.must("git", "diff", "--name-only", "main", commit); got != "action.yml" {
		t.Errorf("the commit changes %q", got)
	}
	want := strings.Replace(source(t, "action.yml"), "image: Dockerfile\n", "image: docker://"+image+"\n", 1)
	if got := r.read("action.yml"); got != want || got == source(t, "action.yml") {
		t.Errorf("action.yml is now\n%s", got)
	}
	// The result does not depend on the machine, the clock or the user.
	again.env = append(again.env, "GIT_COMMITTER_DATE=2031-01-01T00:00:00Z", "GIT_AUTHOR_NAME=b")
	if got := again.must("release/commit", "1.4.0", image); got != commit {
		t.Errorf("the second commit is %s, want %s", got, commit)
	}
}

func TestCommitRefuses(t *testing.T) {
	for _, test := range []struct{ name, image, content string }{
		{"no digest", "ghcr.io/your-org/publish-agent-version:1.4.0", source(t, "action.yml")},
		{"short digest", image[:len(image)-1], source(t, "action.yml")},
		{"long digest", image + "0", source(t, "action.yml")},
		{"upper case", strings.Replace(image, "your-org", "Your-Org", 1), source(t, "action.yml")},
		{"second line", image + "\n  entrypoint: /bin/sh", source(t, "action.yml")},
		{"action.yml already names an image", image, strings.Replace(source(t, "action.yml"), "image: Dockerfile", "image: docker://"+image, 1)},
		{"a stray file", image, source(t, "action.yml")},
		{"action.yml names two images", image, source(t, "action.yml") + "  image: Dockerfile\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRepository(t)
			r.write("action.yml", test.content)
			r.must("git", "commit", "--quiet", "--all", "--allow-empty", "--message=Second")
			if test.name == "a stray file" {
				r.write("stray", "")
			}
			before := r.must("git", "rev-parse", "HEAD")
			if _, stderr, exit := r.run("release/commit", "1.4.0", test.image); exit != 1 || stderr == "" {
				t.Errorf("exit status %d, %q", exit, stderr)
			}
			if r.read("action.yml") != test.content || r.must("git", "rev-parse", "HEAD") != before {
				t.Error("something was changed")
			}
		})
	}
}

func TestNotes(t *testing.T) {
	r := newRepository(t)
	notes := r.must("release/notes", "1.4.0", image, "your-org/publish-agent-version", digest)
	for _, want := range []string{
		"- Something new.\n",
		"- uses: your-org/publish-agent-version@" + digest + " # v1.4.0\n",
		"gh attestation verify oci://" + image + " --repo your-org/publish-agent-version\n",
	} {
		if !strings.Contains(notes, want) {
			t.Errorf("no %q in\n%s", want, notes)
		}
	}
	if stdout, _, exit := r.run("release/notes", "1.5.0", image, "your-org/publish-agent-version", digest); exit == 0 {
		t.Errorf("notes for a version that is not in the changelog:\n%s", stdout)
	}
}

// gh is a fake of GitHub's client. It appends its arguments to $LOG and stores a release in the file $RELEASE, whose
// content is the value of "isDraft". It fails to create a release if $FAIL is set.
const gh = `#!/usr/bin/env bash
echo "$*" >>"$LOG"
case $2 in
  view) cat "$RELEASE" ;;
  create) [[ -z $FAIL ]] && echo false >"$RELEASE" ;;
esac
`

func TestPublish(t *testing.T) {
	for _, test := range []struct {
		name    string
		before  string // tags, all on main; "v1.4.0=release" is on the release commit
		release string // on GitHub: nothing, a draft or a release
		fail    string
		exit    int
		after   string // every tag and its commit
		calls   string // to gh
	}{
		{"first release", "", "", "", 0, "v1=release v1.4=release v1.4.0=release", "view create"},
		{"next release", "v1 v1.3 v1.3.0", "", "", 0, "v1=release v1.3=main v1.3.0=main v1.4=release v1.4.0=release", "view create"},
		{"v1.4.0 is on another commit", "v1 v1.4.0", "", "", 1, "v1=main v1.4.0=main", ""},
		{"creating the release fails", "v1 v1.3.0", "", "yes", 1, "v1=main v1.3.0=main v1.4.0=release", "view create"},
		{"again, after the tag", "v1 v1.4.0=release", "", "", 0, "v1=release v1.4=release v1.4.0=release", "view create"},
		{"again, after the release", "v1 v1.4.0=release", "false", "", 0, "v1=release v1.4=release v1.4.0=release", "view"},
		{"again, after the minor tag", "v1 v1.4=release v1.4.0=release", "false", "", 0,
			"v1=release v1.4=release v1.4.0=release", "view"},
		{"somebody's draft", "", "true", "", 0, "v1=release v1.4=release v1.4.0=release", "view create"},
		{"a newer minor version was released", "v1 v1.10 v1.10.0", "", "", 0,
			"v1=main v1.10=main v1.10.0=main v1.4=release v1.4.0=release", "view create"},
		{"a newer patch was released", "v1 v1.4 v1.4.10", "", "", 0, "v1=main v1.4=main v1.4.0=release v1.4.10=main", "view create"},
		{"a newer major version was released", "v1 v2 v2.0.0", "", "", 0,
			"v1=release v1.4=release v1.4.0=release v2=main v2.0.0=main", "view create"},
		{"tags of other forms", "v1 v1.5.0-rc.1 v1.99", "", "", 0,
			"v1=release v1.4=release v1.4.0=release v1.5.0-rc.1=main v1.99=main", "view create"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, origin, bin, files := newRepository(t), t.TempDir(), t.TempDir(), t.TempDir()
			r.must("git", "init", "--quiet", "--bare", origin)
			r.must("git", "remote", "add", "origin", origin)
			commit := r.must("release/commit", "1.4.0", image)
			names := map[string]string{r.must("git", "rev-parse", "main"): "main", commit: "release"}
			for tag := range strings.FieldsSeq(test.before) {
				tag, on, _ := strings.Cut(tag, "=")
				from := "main"
				if on == "release" {
					from = commit
				}
				r.must("git", "push", "--quiet", "origin", from+":refs/tags/"+tag)
			}
			log, release := filepath.Join(bin, "log"), filepath.Join(bin, "release")
			for path, content := range map[string]string{filepath.Join(bin, "gh"): gh, filepath.Join(files, "checksums.txt"): "", log: ""} {
				if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			if test.release != "" {
				if err := os.WriteFile(release, []byte(test.release), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			r.env = append(r.env, "PATH="+bin+":"+os.Getenv("PATH"), "LOG="+log, "RELEASE="+release, "FAIL="+test.fail)

			_, stderr, exit := r.run("release/publish", "1.4.0", commit, "/dev/null", files)
			if exit != test.exit {
				t.Errorf("exit status %d, want %d", exit, test.exit)
			}
			var after []string
			for line := range strings.Lines(r.must("git", "ls-remote", "--tags", origin)) {
				id, ref, _ := strings.Cut(strings.TrimSpace(line), "\t")
				after = append(after, strings.TrimPrefix(ref, "refs/tags/")+"="+names[id])
			}
			if got := strings.Join(after, " "); got != test.after {
				t.Errorf("tags %q, want %q", got, test.after)
			}
			content, err := os.ReadFile(log)
			if err != nil {
				t.Fatal(err)
			}
			var calls []string
			for line := range strings.Lines(string(content)) {
				calls = append(calls, strings.Fields(line)[1])
			}
			if got := strings.Join(calls, " "); got != test.calls {
				t.Errorf("calls of gh release: %q, want %q", got, test.calls)
			}
			if t.Failed() {
				t.Log(stderr)
			}
		})
	}
}

// Dependabot updates only the list in .github/images, but the images are used elsewhere.
func TestImages(t *testing.T) {
	listed := make(map[string]string) // by name
	from := regexp.MustCompile(`(?m)^FROM ((\S+):\S+@sha256:[0-9a-f]{64})$`)
	for _, match := range from.FindAllStringSubmatch(source(t, ".github/images/Dockerfile"), -1) {
		listed[match[2]] = match[1]
	}
	for _, use := range []struct{ file, before, name string }{
		{"Dockerfile", "ARG GO_IMAGE=", "golang"},
		{".github/workflows/try.yml", "image: ", "golang"},
		{".github/workflows/release.yml", "driver-opts: image=", "moby/buildkit"},
	} {
		used := regexp.MustCompile(`(?m)^\s*` + use.before + "(" + use.name + `\S*)$`).FindStringSubmatch(source(t, use.file))
		if used == nil || used[1] != listed[use.name] {
			t.Errorf("%s: the image after %q is %q, want %q", use.file, use.before, used, listed[use.name])
		}
	}
}

func source(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("..", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
