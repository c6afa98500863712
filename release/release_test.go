// Package release tests the scripts beside it: on repositories of its own, and with a gh that writes down what it is asked.
package release

import (
	"cmp"
	"fmt"
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
)

// repository is a work tree with one commit on main, which holds the real action.yml.
type repository struct {
	*testing.T
	dir string
	env []string
}

// A machine that has Go and nothing else cannot run the scripts, nor release anything; .ci/run has what they need.
func newRepository(t *testing.T) *repository {
	t.Helper()
	for _, tool := range []string{"bash", "git", "sed", "sort"} {
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
	r.must("git", "add", "--all")
	r.must("git", "commit", "--quiet", "--message=First")
	return r
}

// run runs a command in the work tree. A name with a slash is a script of this directory's parent.
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

// must runs a command that has to succeed, and returns what it prints.
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

func TestPin(t *testing.T) {
	r := newRepository(t)
	r.must("release/pin", "action.yml", image)
	want := strings.Replace(source(t, "action.yml"), "image: Dockerfile\n", "image: docker://"+image+"\n", 1)
	if got := r.read("action.yml"); got != want || got == source(t, "action.yml") {
		t.Errorf("action.yml is now\n%s", got)
	}
}

func TestPinRefuses(t *testing.T) {
	for _, test := range []struct{ name, image, content string }{
		{"no digest", "ghcr.io/your-org/publish-agent-version:1.4.0", source(t, "action.yml")},
		{"a short digest", image[:len(image)-1], source(t, "action.yml")},
		{"a digest and more", image + "0", source(t, "action.yml")},
		{"upper case", strings.Replace(image, "your-org", "Your-Org", 1), source(t, "action.yml")},
		{"a second line", image + "\n  entrypoint: /bin/sh", source(t, "action.yml")},
		{"no line to replace", image, strings.Replace(source(t, "action.yml"), "image: Dockerfile", "image: docker://"+image, 1)},
		{"two lines to replace", image, source(t, "action.yml") + "  image: Dockerfile\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRepository(t)
			r.write("action.yml", test.content)
			_, stderr, exit := r.run("release/pin", "action.yml", test.image)
			if exit != 1 || stderr == "" {
				t.Errorf("exit status %d, %q", exit, stderr)
			}
			if r.read("action.yml") != test.content {
				t.Error("action.yml was changed")
			}
		})
	}
}

func TestCheck(t *testing.T) {
	for _, test := range []struct {
		version string
		tags    []string
		ok      bool
	}{
		{"0.0.1", nil, true},
		{"1.4.0", []string{"v1", "v1.3.9"}, true},
		{"1.10.0", []string{"v1.9.0"}, true},
		{"2.0.0", []string{"v1.99.99"}, true},
		{"1.4.0", []string{"v9.9.9-rc.1", "wave9.9.9", "v1.3.0"}, true}, // not tags of releases
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
	} {
		t.Run(fmt.Sprintf("%q after %q", test.version, test.tags), func(t *testing.T) {
			r := newRepository(t)
			for _, tag := range test.tags {
				r.must("git", "tag", tag)
			}
			_, stderr, exit := r.run("release/check", test.version)
			if (exit == 0) != test.ok || (stderr == "") != test.ok {
				t.Errorf("exit status %d, %q", exit, stderr)
			}
		})
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
	if !strings.Contains(r.read("action.yml"), "docker://"+image) {
		t.Error("the commit is not checked out")
	}
	// Another machine, another clock, another person: the same commit.
	again.env = append(again.env, "GIT_COMMITTER_DATE=2031-01-01T00:00:00Z", "GIT_AUTHOR_NAME=b")
	if got := again.must("release/commit", "1.4.0", image); got != commit {
		t.Errorf("made again, the commit is %s, want %s", got, commit)
	}
	if _, stderr, exit := again.run("release/commit", "1.4.1", image); exit != 1 {
		t.Errorf("on top of a release commit: exit status %d, %q, want a refusal", exit, stderr)
	}
}

func TestCommitRefusesChanges(t *testing.T) {
	r := newRepository(t)
	r.write("stray", "")
	before := r.must("git", "rev-parse", "HEAD")
	if _, stderr, exit := r.run("release/commit", "1.4.0", image); exit != 1 || !strings.Contains(stderr, "stray") {
		t.Errorf("exit status %d, %q", exit, stderr)
	}
	if got := r.must("git", "rev-parse", "HEAD"); got != before {
		t.Errorf("HEAD moved to %s", got)
	}
}

func TestNotes(t *testing.T) {
	r := newRepository(t)
	r.must("git", "tag", "v1.3.0", r.must("release/commit", "1.3.0", image))
	r.must("git", "checkout", "--quiet", "main")
	r.must("git", "commit", "--quiet", "--allow-empty", "--message=Wait longer")
	commit := r.must("release/commit", "1.4.0", image)
	notes := r.must("release/notes", "1.4.0", image, "your-org/publish-agent-version", commit)
	for _, want := range []string{
		"- uses: your-org/publish-agent-version@" + commit + " # v1.4.0\n",
		"gh attestation verify oci://" + image + " --repo your-org/publish-agent-version\n",
		"\n- Wait longer (" + r.must("git", "rev-parse", "--short", "main") + ")",
	} {
		if !strings.Contains(notes, want) {
			t.Errorf("no %q in\n%s", want, notes)
		}
	}
	for _, not := range []string{"First", "Release 1."} {
		if strings.Contains(notes, not) {
			t.Errorf("%q in\n%s", not, notes)
		}
	}
}

// gh stands in for GitHub's client. It writes its arguments to the file $LOG, keeps a draft as the file $DRAFT, and does what
// $TROUBLE says when its second argument is the first word of that.
const gh = `#!/usr/bin/env bash
echo "$*" >>"$LOG"
case $2 in
  view) [[ -e $DRAFT ]] || exit 1 ;;
  create) touch "$DRAFT" ;;
  delete) rm "$DRAFT" || exit 1 ;;
esac
case "$2 $TROUBLE" in
  "create create fails" | "edit edit fails") exit 1 ;;
  "edit edit is stopped") kill -TERM "$PPID" ;;
  "create create, and a tag comes in between") git push --quiet origin main:refs/tags/v1.4.0 ;;
  "create create, and the major tag moves") git push --quiet --force origin "$(git commit-tree -m Other 'main^{tree}'):refs/tags/v1" ;;
esac
exit 0
`

func TestPublish(t *testing.T) {
	for _, test := range []struct {
		name, trouble string
		before        string // tags, all of them on main
		exit          int
		after         string // every tag, with what it points to
		calls         string // what gh was asked
	}{
		{"the first", "", "", 0, "v1=release v1.4.0=release", "view create edit"},
		{"one more", "", "v1 v1.3.0", 0, "v1=release v1.3.0=main v1.4.0=release", "view create edit"},
		{"a tag is there", "", "v1 v1.4.0", 1, "v1=main v1.4.0=main", ""},
		{"the draft fails", "create fails", "v1", 1, "v1=main", "view create delete"},
		{"somebody tags", "create, and a tag comes in between", "v1", 1, "v1=main v1.4.0=main", "view create delete"},
		{"somebody moves v1", "create, and the major tag moves", "v1", 1, "v1=another", "view create delete"},
		{"the release fails", "edit fails", "v1 v1.3.0", 1, "v1=main v1.3.0=main", "view create edit delete"},
		{"the first release fails", "edit fails", "", 1, "", "view create edit delete"},
		{"the release is stopped", "edit is stopped", "v1", 143, "v1=main", "view create edit delete"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, origin, bin, files := newRepository(t), t.TempDir(), t.TempDir(), t.TempDir()
			r.must("git", "init", "--quiet", "--bare", origin)
			r.must("git", "remote", "add", "origin", origin)
			r.must("git", "push", "--quiet", "origin", "main")
			for tag := range strings.FieldsSeq(test.before) {
				r.must("git", "push", "--quiet", "origin", "main:refs/tags/"+tag)
			}
			commit := r.must("release/commit", "1.4.0", image)
			names := map[string]string{r.must("git", "rev-parse", "main"): "main", commit: "release"}
			for path, content := range map[string]string{filepath.Join(bin, "gh"): gh, filepath.Join(files, "checksums.txt"): ""} {
				if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			log, draft := filepath.Join(bin, "log"), filepath.Join(bin, "draft")
			r.env = append(r.env, "PATH="+bin+":"+os.Getenv("PATH"), "LOG="+log, "DRAFT="+draft, "TROUBLE="+test.trouble)

			_, stderr, exit := r.run("release/publish", "1.4.0", commit, "/dev/null", files)
			if exit != test.exit {
				t.Errorf("exit status %d, want %d", exit, test.exit)
			}
			var after []string
			for line := range strings.Lines(r.must("git", "ls-remote", "--tags", origin)) {
				id, ref, _ := strings.Cut(strings.TrimSpace(line), "\t")
				after = append(after, strings.TrimPrefix(ref, "refs/tags/")+"="+cmp.Or(names[id], "another"))
			}
			if got := strings.Join(after, " "); got != test.after {
				t.Errorf("tags %q, want %q", got, test.after)
			}
			if _, err := os.Stat(draft); (err == nil) != (test.exit == 0) {
				t.Errorf("there is a release: %t", err == nil)
			}
			content, err := os.ReadFile(log)
			if err != nil && test.calls != "" {
				t.Fatal(err)
			}
			var calls []string
			for line := range strings.Lines(string(content)) {
				calls = append(calls, strings.Fields(line)[1])
			}
			if got := strings.Join(calls, " "); got != test.calls {
				t.Errorf("gh release %q, want %q", got, test.calls)
			}
			if t.Failed() {
				t.Log(stderr)
			}
		})
	}
}

// A draft that somebody began is not this script's to delete.
func TestPublishKeepsDraft(t *testing.T) {
	r, bin := newRepository(t), t.TempDir()
	r.must("git", "remote", "add", "origin", r.dir)
	draft := filepath.Join(bin, "draft")
	for path, content := range map[string]string{filepath.Join(bin, "gh"): gh, draft: ""} {
		if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	r.env = append(r.env, "PATH="+bin+":"+os.Getenv("PATH"), "LOG="+filepath.Join(bin, "log"), "DRAFT="+draft, "TROUBLE=")
	if _, stderr, exit := r.run("release/publish", "1.4.0", "HEAD", "/dev/null", bin); exit != 1 {
		t.Errorf("exit status %d, %q, want a refusal", exit, stderr)
	}
	if _, err := os.Stat(draft); err != nil {
		t.Error(err)
	}
}

// Dependabot updates the list in .github/images alone; what it lists is used elsewhere.
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
