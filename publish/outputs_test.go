package publish

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"publish-agent-version/internal/runner"
)

// source reads a file as a shell does, and returns the variables of these names.
func source(t *testing.T, path string, names []string) []string {
	t.Helper()
	script := `set -eu; . "$1"; shift; for name; do eval "printf '%s\0' \"\$$name\""; done`
	cmd := exec.Command("sh", append([]string{"-c", script, "sh", path}, names...)...)
	cmd.Dir, cmd.Env = filepath.Dir(path), []string{"HOME=/nowhere"}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
}

// checkReadable checks that every reader reads the outputs as they are, in every format.
func checkReadable(t *testing.T, outputs []output) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	text, left := dotenv.print(outputs)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var names, want []string
	for _, o := range outputs {
		if !slices.Contains(left, o.name) && o.name != "summary" { // that has lines
			names, want = append(names, strings.ToUpper(strings.ReplaceAll(o.name, "-", "_"))), append(want, o.value)
		}
	}
	gitlab := strings.Split(strings.TrimSuffix(text, "\n"),
		"\n") // keeps everything after the first "=" but outer blanks
	for i, name := range names {
		if len(gitlab) != len(names) || gitlab[i] != name+"="+want[i] || strings.TrimSpace(want[i]) != want[i] {
			t.Fatalf("GitLab reads %q, want %s=%q", gitlab, name, want[i])
		}
	}
	if got := source(t, path, names); !slices.Equal(got, want) {
		t.Errorf("a shell reads %q, want %q", got, want)
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
		t.Errorf("the shell made files: %v, %v", entries, err)
	}

	text, left = asJSON.print(outputs)
	var object map[string]any
	if err := json.Unmarshal([]byte(text), &object); err != nil || left != nil || len(object) != len(outputs) {
		t.Errorf("%v, left %q: %s", err, left, text)
	}
	for _, o := range outputs {
		if fmt.Sprint(object[o.name]) != o.value {
			t.Errorf("JSON has %q as %q, want %q", o.name, object[o.name], o.value)
		}
	}
	text, _ = forRunner.print(outputs)
	list, err := runner.Outputs(text)
	same := func(a runner.Output, b output) bool { return a.Name == b.name && a.Value == b.value }
	if err != nil || !slices.EqualFunc(list, outputs, same) {
		t.Errorf("%v: the runner reads %q", err, list)
	}
}

func TestFormats(t *testing.T) {
	outputs := []output{
		{"status", "published"}, {"error-message", "It's <b>\"no\"</b> & $HOME"}, {"agent-id", ""},
		{"inbound-phone-number", "+34910000001"}, {"attempts", "2"}, {"launched", "false"},
	}
	for format, want := range map[format]string{
		plain: "status=published\nerror-message=It's <b>\"no\"</b> & $HOME\n" +
			"agent-id=\ninbound-phone-number=+34910000001\nattempts=2\nlaunched=false\n",
		dotenv: "STATUS=published\nAGENT_ID=\nINBOUND_PHONE_NUMBER=+34910000001\nATTEMPTS=2\nLAUNCHED=false\n",
		asJSON: "{\n  \"agent-id\": \"\",\n  \"attempts\": 2,\n" +
			"  \"error-message\": \"It's <b>\\\"no\\\"</b> & $HOME\",\n" +
			"  \"inbound-phone-number\": \"+34910000001\",\n  \"launched\": false,\n  \"status\": \"published\"\n}\n",
	} {
		got, left := format.print(outputs)
		if got != want || (format == dotenv) != slices.Equal(left, []string{"error-message"}) {
			t.Errorf("%s: left %q, got\n%s\nwant\n%s", format, left, got, want)
		}
	}
	checkReadable(t, outputs)
	checkReadable(t, append(outputs, output{"summary", "### a\n\nsummary<<b\n::c::\nb"}))
}

// Each character that a shell may take for more than itself is tried at the beginning, within and at the end of a
// value.
func TestFormatsOfEveryCharacter(t *testing.T) {
	var outputs []output
	for r := rune(' '); r <= '\u00ff'; r++ {
		for i, value := range []string{string(r), string(r) + "a", "a" + string(r) + "a", "a" + string(r),
			"a:" + string(r), string(r) + string(r)} {
			outputs = append(outputs, output{fmt.Sprintf("o%d-%d", r, i), newCleaner("").clean(value, maxLine)})
		}
	}
	checkReadable(t, outputs)
}

// A report cleans everything that it writes, even what should be clean already.
func TestReportIsClean(t *testing.T) {
	for _, text := range append(HostileTexts, strings.Repeat("long ", 1000)) {
		text, path := text+secret+text, filepath.Join(t.TempDir(), "outputs")
		var printed strings.Builder
		env := []string{"GITHUB_ACTIONS=true", "RUNNER_DEBUG=1", "GITHUB_OUTPUT=" + path}
		r := newReport(Step{Stdout: &printed, Environ: env}, arguments{})
		r.cleaner = newCleaner(secret)
		err := errors.Join(os.WriteFile(path, nil, 0o600), r.openOutputs())
		r.log(say("%s", text))
		r.annotate("debug", "", text)
		r.warn(text, say("%s", text))
		r.notice(text, say("%s", text))
		r.fail(&failure{code: text, what: say("%s", text)})
		err = errors.Join(err, r.setOutputs([]output{{"first", text}, {"second", text}}))
		written, _ := os.ReadFile(path)
		outputs, _ := runner.Outputs(string(written))
		clean := r.line(text, maxLine)
		log, commands := runner.ReadLog(printed.String()), ""
		for _, c := range log.Commands {
			commands += c.Name + " "
		}
		want := []runner.Output{{Name: "first", Value: clean}, {Name: "second", Value: clean}}
		if err != nil || !slices.Equal(outputs, want) ||
			commands != "debug warning notice error " || len(log.Lines) != 4 || len(printed.String()) > 9*maxLine ||
			len(runner.FindSecret(printed.String()+string(written), secret)) > 0 {
			t.Errorf("%.100q: %v, outputs %.100q, the runner finds %s, %.100q", text, err, outputs, commands, log.Lines)
		}
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
	p := newReport(Step{Stdout: io.Discard, Environ: []string{"GITHUB_ACTIONS=true"}}, arguments{})
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
