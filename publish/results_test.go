package publish

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"publish-agent-version/internal/runner"
)

// readDotenv reads a file as GitLab reads a dotenv report: one NAME=value a line, everything after the first "=" but outer
// blanks as it stands.
func readDotenv(text string) (map[string]string, error) {
	values := make(map[string]string)
	for line := range strings.Lines(text) {
		name, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		if !ok || !isName(name, "_") {
			return nil, fmt.Errorf("%q", line)
		}
		values[name] = strings.TrimSpace(value)
	}
	return values, nil
}

// source reads a file as a shell does, and returns the variables of these names.
func source(t *testing.T, path string, names []string) []string {
	t.Helper()
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("no sh on this machine")
	}
	script := `set -eu; . "$1"; shift; for name; do eval "printf '%s\0' \"\$$name\""; done`
	cmd := exec.Command(sh, append([]string{"-c", script, "sh", path}, names...)...)
	cmd.Dir, cmd.Env = filepath.Dir(path), []string{"HOME=/nowhere"}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
}

// wantReadable checks that every reader reads the outputs as they are, in every format.
func wantReadable(t *testing.T, outputs []output) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "publish.env")
	text, left := dotenv.print(outputs)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var names, want []string
	for _, o := range outputs {
		if !slices.Contains(left, o.name) {
			names, want = append(names, strings.ToUpper(strings.ReplaceAll(o.name, "-", "_"))), append(want, o.value)
		}
	}
	values, err := readDotenv(text)
	if err != nil || len(values) != len(names) {
		t.Errorf("%v: %q", err, text)
	}
	for i, name := range names {
		if values[name] != want[i] {
			t.Errorf("GitLab reads %s as %q, want %q", name, values[name], want[i])
		}
	}
	if len(names) > 0 {
		if got := source(t, path, names); !slices.Equal(got, want) {
			t.Errorf("a shell reads %q, want %q", got, want)
		}
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
		t.Errorf("the shell made files: %v, %v", entries, err)
	}

	text, left = asJSON.print(outputs)
	var object map[string]string
	if err := json.Unmarshal([]byte(text), &object); err != nil || left != nil || len(object) != len(outputs) {
		t.Errorf("%v, left %q: %s", err, left, text)
	}
	for _, o := range outputs {
		if object[o.name] != o.value {
			t.Errorf("JSON has %q as %q, want %q", o.name, object[o.name], o.value)
		}
	}

	text, left = plain.print(outputs)
	list, err := runner.Outputs(text)
	if err != nil || left != nil || !slices.EqualFunc(list, outputs, func(a runner.Output, b output) bool { return a.Name == b.name && a.Value == b.value }) {
		t.Errorf("%v, left %q: %q is read as %q", err, left, text, list)
	}
}

func TestFormats(t *testing.T) {
	outputs := []output{{"status", "published"}, {"error-message", "It's <b>\"no\"</b> & $HOME"}, {"agent-id", ""}, {"inbound-phone-number", "+34910000001"}}
	for format, want := range map[format]string{
		plain:  "status=published\nerror-message=It's <b>\"no\"</b> & $HOME\nagent-id=\ninbound-phone-number=+34910000001\n",
		dotenv: "STATUS=published\nAGENT_ID=\nINBOUND_PHONE_NUMBER=+34910000001\n",
		asJSON: "{\n  \"agent-id\": \"\",\n  \"error-message\": \"It's <b>\\\"no\\\"</b> & $HOME\",\n  \"inbound-phone-number\": \"+34910000001\",\n  \"status\": \"published\"\n}\n",
	} {
		got, left := format.print(outputs)
		if got != want || (format == dotenv) != slices.Equal(left, []string{"error-message"}) {
			t.Errorf("%s: left %q, got\n%s\nwant\n%s", format, left, got, want)
		}
	}
	wantReadable(t, outputs)
}

// Each character that a shell may take for more than itself is tried at the beginning, within and at the end of a value.
func TestFormatsOfEveryCharacter(t *testing.T) {
	var outputs []output
	for r := rune(' '); r <= '\u00ff'; r++ {
		for i, value := range []string{string(r), string(r) + "a", "a" + string(r) + "a", "a" + string(r), "a:" + string(r), string(r) + string(r)} {
			outputs = append(outputs, output{fmt.Sprintf("o%d-%d", r, i), newCleaner().clean(value, maxLine)})
		}
	}
	wantReadable(t, outputs)
}

func FuzzFormats(f *testing.F) {
	for _, text := range append([]string{"", "published", "+34910000001", "v1.22.8", "a/b:c@d%e,f-g", "~", "~root", "a:~", "#", "a #b", "-n", "=", "a=b", "'", `"`, "$HOME", "$(id)", "`id`", "a\\", "*", "[a]", "a;b", "a&b", "{a,b}", "!x"}, HostileTexts...) {
		f.Add(text, text+"x")
	}
	f.Fuzz(func(t *testing.T, first, second string) {
		c := newCleaner(secret)
		wantReadable(t, []output{{"first", c.clean(first, maxLine)}, {"second-value", c.clean(second, maxLine)}})
	})
}
