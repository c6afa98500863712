package publish

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"

	"publish-agent-version/diga"
	"publish-agent-version/internal/runner"
)

// testReport is a report with the environment and the streams of a test.
type testReport struct {
	*report
	env            map[string]string
	stdout, stderr strings.Builder
}

func newTestReport(env map[string]string) *testReport {
	p := &testReport{env: env}
	step := Step{Environ: environ(env), Stdout: &p.stdout, Stderr: &p.stderr}
	p.report = newReport(step, arguments{}, env["GITHUB_ACTIONS"] == "true")
	return p
}

// environ is the environment of a step.
func environ(env map[string]string) (list []string) {
	for name, value := range env {
		list = append(list, name+"="+value)
	}
	return list
}

func newActionsReport() *testReport {
	return newTestReport(map[string]string{"GITHUB_ACTIONS": "true", "RUNNER_DEBUG": "1"})
}

// newFile makes a file with this content and returns its path.
func newFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestReportInsideActions(t *testing.T) {
	p := newActionsReport()
	p.mask(secret)
	p.log(say("%d%% of %s", 5, diga.Foreign("a\nb")))
	p.debug(say("c %s", "d"))
	p.notice("Title: e, f", say("%s", diga.Foreign("g\n::h")))
	p.warn("i", say("%s", diga.Foreign("j%")))
	p.fail("CODE", "k")
	p.mask("")
	want := "::add-mask::" + strings.ReplaceAll(secret, "%", "%25") + "\n" +
		"5% of a b\n::debug::c d\n::notice title=Title%3A e%2C f::g ::h.\n::warning title=i::j%25.\n::error title=CODE::k\n"
	if got := p.stdout.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := p.stderr.String(); got != "" {
		t.Errorf("standard error has %q", got)
	}
}

func TestReportOutsideActions(t *testing.T) {
	p := newTestReport(map[string]string{"RUNNER_DEBUG": "1"})
	p.mask(secret)
	p.log(say("a %s", diga.Foreign(secret)))
	p.debug(say("b"))
	p.notice("c", say("%s", diga.Foreign("d")))
	p.warn("e", say("%s", diga.Foreign("f")))
	p.fail("CODE", "g")
	if err := p.setOutputs([]output{{"h", "i j"}, {"l", ""}}); err != nil {
		t.Error(err)
	}
	if err := p.addSummary("# m"); err != nil {
		t.Error(err)
	}
	if got, want := p.stderr.String(), "a ***\ndebug: b\nnotice: c: d.\nwarning: e: f.\nerror: CODE: g\n"; got != want {
		t.Errorf("standard error: got\n%s\nwant\n%s", got, want)
	}
	if got, want := p.stdout.String(), "h=i j\nl=\n"; got != want {
		t.Errorf("standard output: got\n%s\nwant\n%s", got, want)
	}
}

func TestDebugIsOffUnlessAskedFor(t *testing.T) {
	for _, value := range []string{"", "0", "true", "11"} {
		p := newTestReport(map[string]string{"GITHUB_ACTIONS": "true", "RUNNER_DEBUG": value})
		if p.debug(say("a")); p.stdout.String() != "" {
			t.Errorf("RUNNER_DEBUG=%q: got %q", value, &p.stdout)
		}
	}
}

// sinks are the ways by which a text leaves the program, each with the commands that the runner has to find then.
var sinks = []struct {
	name     string
	say      func(p *testReport, foreign string)
	commands []string
}{
	{"log", func(p *testReport, foreign string) { p.log(say("%s", diga.Foreign(foreign))) }, nil},
	{"debug", func(p *testReport, foreign string) { p.debug(say("%s", diga.Foreign(foreign))) }, []string{"debug"}},
	{"notice", func(p *testReport, foreign string) { p.notice("Title", say("%s", diga.Foreign(foreign))) },
		[]string{"notice"}},
	{"a notice's title", func(p *testReport, foreign string) { p.notice(foreign, say("a")) }, []string{"notice"}},
	{"warning", func(p *testReport, foreign string) { p.warn("Title", say("%s", diga.Foreign(foreign))) },
		[]string{"warning"}},
	{"a warning's title", func(p *testReport, foreign string) { p.warn(foreign, say("a")) }, []string{"warning"}},
	{"error", func(p *testReport, foreign string) { p.fail("CODE", foreign) }, []string{"error"}},
	{"an error's title", func(p *testReport, foreign string) { p.fail(foreign, "a") }, []string{"error"}},
}

func TestEverySinkIsClean(t *testing.T) {
	for _, env := range []map[string]string{{"GITHUB_ACTIONS": "true", "RUNNER_DEBUG": "1"}, {"RUNNER_DEBUG": "1"}} {
		for _, sink := range sinks {
			for _, text := range append([]string{strings.Repeat("long ", 1e3)}, HostileTexts...) {
				p := newTestReport(env)
				p.cleaner = newCleaner(secret)
				sink.say(p, text+secret+text)
				for _, stream := range []string{p.stdout.String(), p.stderr.String()} {
					log := runner.ReadLog(stream)
					var commands []string
					for _, c := range log.Commands {
						commands = append(commands, c.Name)
					}
					want := sink.commands
					if !p.actions || stream == "" {
						want = nil
					}
					if !slices.Equal(commands, want) || len(log.Lines) > 1 || len(log.Failures) > 0 {
						t.Errorf("%s of %.100q: the runner finds %q in %q", sink.name, text, commands, stream)
					}
					if seen := runner.FindSecret(stream, secret); len(seen) > 0 {
						t.Errorf("%s of %.100q shows the token: %v", sink.name, text, seen)
					}
					if n := utf8.RuneCountInString(stream); n > maxLine+300 {
						t.Errorf("%s of %.100q prints %d characters", sink.name, text, n)
					}
				}
			}
		}
	}
}

func TestOutputsAreReadBack(t *testing.T) {
	want := []output{{"status", "published"}, {"empty", ""}, {"sign", "a=b"}, {"heredoc", "a<<EOF"}, {"only", "=<<="},
		{"é", "ü 中"}}
	for _, before := range []string{"", "\n", "a=b\n", "a=b", "a<<EOF\nb\nEOF", "a=b\r\n"} {
		path := newFile(t, before)
		p := newTestReport(map[string]string{"GITHUB_ACTIONS": "true", "GITHUB_OUTPUT": path})
		if err := p.openOutputs(); err != nil {
			t.Fatal(err)
		}
		if err := p.setOutputs(want); err != nil {
			t.Fatal(err)
		}
		after := readFile(t, path)
		held, err := runner.Outputs(before)
		if err != nil || !strings.HasPrefix(after, before) {
			t.Fatalf("after %q the file holds %q (%v)", before, after, err)
		}
		wantAll := held
		for _, o := range want {
			wantAll = append(wantAll, runner.Output{Name: o.name, Value: o.value})
		}
		if got, err := runner.Outputs(after); err != nil || !slices.Equal(got, wantAll) {
			t.Errorf("after %q: got %q, %v; want %q", before, got, err, wantAll)
		}
	}
}

// What another process appends in the meantime is kept.
func TestOutputsAreAppended(t *testing.T) {
	path := newFile(t, "first=1\n")
	p := newTestReport(map[string]string{"GITHUB_OUTPUT": path})
	if err := p.openOutputs(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("first=1\nsecond=2\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := p.setOutputs([]output{{"third", "3"}}); err != nil {
		t.Fatal(err)
	}
	if got, want := readFile(t, path), "first=1\nsecond=2\nthird=3\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A datagram socket preserves message boundaries: one read returns one write.
func TestOutputsAreOneWrite(t *testing.T) {
	ends, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_DGRAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	near, far := os.NewFile(uintptr(ends[0]), "near"), os.NewFile(uintptr(ends[1]), "far")
	defer near.Close()
	defer far.Close()
	p := newActionsReport()
	p.outputFile = near
	if err := p.setOutputs([]output{{"a", "1"}, {"b", "2"}, {"c", strings.Repeat("x", maxLine)}}); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 1<<16)
	n, err := far.Read(got)
	if want := "a=1\nb=2\nc=" + strings.Repeat("x", maxLine) + "\n"; err != nil || string(got[:n]) != want {
		t.Errorf("the first write is %q (%v), want everything", got[:n], err)
	}
}

// TestFaultsSurroundings has the files that cannot be opened.
func TestOpenOutputs(t *testing.T) {
	path := newFile(t, "")
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{path, link} {
		p := newTestReport(map[string]string{"GITHUB_ACTIONS": "true", "GITHUB_OUTPUT": path})
		if err := p.openOutputs(); err != nil || p.outputFile == nil {
			t.Errorf("%q: %v", path, err)
		}
	}
	outside := newTestReport(nil)
	if err := outside.openOutputs(); err != nil || outside.outputFile != nil {
		t.Errorf("outside Actions, without GITHUB_OUTPUT: got %v", err)
	}
}

func TestAppendWholeFails(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_RDWR|os.O_APPEND, 0)
	if err != nil {
		t.Skipf("no device that is always full: %v", err)
	}
	defer full.Close()
	if _, err := appendWhole(full, "a=b\n"); !errors.Is(err, syscall.ENOSPC) ||
		err.Error() != "no space left on device" {
		t.Errorf("got %v", err)
	}

	path := newFile(t, "held=1\n")
	closed, err := openAppend(path)
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	if _, err := appendWhole(closed, "a=b\n"); err == nil {
		t.Error("a closed file takes text")
	}
	readOnly, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer readOnly.Close()
	if _, err := appendWhole(readOnly, "a=b\n"); !errors.Is(err, syscall.EBADF) {
		t.Errorf("a file that is open for reading: got %v", err)
	}
	if got := readFile(t, path); got != "held=1\n" {
		t.Errorf("the file holds %q", got)
	}
}

// TestFaultsSurroundings has the files that cannot be written.
func TestAddSummary(t *testing.T) {
	for _, before := range []string{"", "x\n", "x"} {
		path := newFile(t, before)
		p := newTestReport(map[string]string{"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": path})
		if err := p.addSummary("### a\n"); err != nil {
			t.Error(err)
		}
		want := strings.TrimPrefix(strings.TrimSuffix(before, "\n")+"\n### a\n", "\n")
		if got := readFile(t, path); got != want || p.stdout.Len() > 0 {
			t.Errorf("after %q the summary is %q, want %q; printed %q", before, got, want, &p.stdout)
		}
	}
}

func ExampleToken() { fmt.Println(secretToken("do not print me")) } // Output: ***
