package publish

import (
	"fmt"
	"os"
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
	stdout, stderr strings.Builder
}

func newTestReport(env map[string]string) *testReport {
	p := new(testReport)
	step := Step{Environ: environ(env), Stdout: &p.stdout, Stderr: &p.stderr}
	p.report = newReport(step, arguments{}, env["GITHUB_ACTIONS"] == "true")
	return p
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
	t.Parallel()
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
	p := newTestReport(map[string]string{"GITHUB_ACTIONS": "true"})
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

func ExampleToken() { fmt.Println(secretToken("do not print me")) } // Output: ***
