package publish_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"publish-agent-version/internal/runner"
	"publish-agent-version/internal/sandbox"
)

func TestFaultsSurroundings(t *testing.T) {
	t.Parallel()
	t.Run("E1", func(t *testing.T) {
		dir := t.TempDir()
		at := func(name string) string { return filepath.Join(dir, name) }
		err := errors.Join(
			os.Mkdir(at("directory"), 0o755), syscall.Mkfifo(at("fifo"), 0o644), os.Symlink(at("nowhere"), at("dangling")),
			os.Symlink(at("fifo"), at("link to fifo")), os.Symlink(at("loop"), at("loop")),
		)
		if err != nil {
			t.Fatal(err)
		}
		const named = "Cannot write step outputs: opening GITHUB_OUTPUT: "
		for path, reason := range map[string]string{
			"":                           named + "no such file or directory",
			at("missing"):                named + "no such file or directory",
			at("dangling"):               named + "no such file or directory",
			at("directory"):              named + "not a regular file",
			at("fifo"):                   named + "not a regular file",
			at("fifo") + "/":             named + "not a directory",
			os.DevNull:                   named + "not a regular file",
			at("link to fifo"):           named + "not a regular file",
			at("loop"):                   named + "too many levels of symbolic links",
			at("nul\x00"):                named + "invalid argument",
			at(strings.Repeat("x", 300)): named + "file name too long",
		} {
			summary := newFile(t, "")
			s := scenario{env: map[string]string{"GITHUB_OUTPUT": path, "GITHUB_STEP_SUMMARY": summary}}
			res := s.runOffline(t)
			want := runner.Annotation{
				Level: "error", Title: "ACTION_OUTPUT_UNWRITABLE",
				Message: reason + ". Nothing was sent. The runner provides this file: check what changes or removes it.",
			}
			if got := res.log.Annotations(); len(got) != 1 || got[0] != want || res.exit != 1 {
				t.Errorf("%q: exit status %d, annotations %+v, want %+v", path, res.exit, got, want)
			}
			if got := readFile(t, summary); !strings.Contains(got, "ACTION_OUTPUT_UNWRITABLE") || strings.Contains(got,
				"|") {
				t.Errorf("%q: the summary is\n%s", path, got)
			}
		}
		for _, name := range []string{"missing", "nowhere"} {
			if _, err := os.Lstat(at(name)); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s was created", name)
			}
		}
		// Wrong inputs come first: they are what the author of the workflow can fix.
		res := scenario{inputs: map[string]string{"timeout": "x"},
			env: map[string]string{"GITHUB_OUTPUT": at("missing")}}.run(t)
		if got := res.log.Annotations(); len(got) != 1 || got[0].Title != "ACTION_INPUT_INVALID" {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("E1/unwritable", func(t *testing.T) {
		api := &fakeAPI{}
		path, summary := newFile(t, "a=b\n"), newFile(t, "")
		process := scenario{
			inputs: map[string]string{"api-url": api.start(t)},
			env:    map[string]string{"GITHUB_OUTPUT": path, "GITHUB_STEP_SUMMARY": summary},
		}.process(t, "")
		if err := os.Chmod(path, 0o444); err != nil {
			t.Fatal(err)
		}
		if os.Geteuid() == 0 { // root may write everything, so use another user
			process.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
			for _, file := range []string{path, summary, builtAction(), process.Dir + "/x"} {
				for dir := filepath.Dir(file); dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
					if err := os.Chmod(dir, 0o755); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		res := process.finish(t)
		got := res.log.Annotations()
		if got := got[len(got)-1]; got.Title != "ACTION_OUTPUT_UNWRITABLE" || !strings.Contains(got.Message,
			"permission denied. Nothing was sent") || res.exit != 1 {
			t.Errorf("exit status %d, got %+v", res.exit, got)
		}
		if n := len(api.requests("")); n > 0 || readFile(t, path) != "a=b\n" {
			t.Errorf("%d requests, the file holds %q", n, readFile(t, path))
		}
	})
	t.Run("E2", func(t *testing.T) {
		limit := fileLimit(t)
		for name, tt := range map[string]struct {
			inputs map[string]string
			says   string
		}{
			"publish": {
				map[string]string{"inbound-phone-number-id": sandbox.Reception},
				"Front desk is now on v1.22.8 (was v1.22.7) and answers +34 910 000 001 (Reception) (version " +
					sandbox.NextID + ")",
			},
			"unpublish": {map[string]string{"unpublish": "true"}, "Front desk is offline (was on v1.22.7)."},
			"dry run": {map[string]string{"dry-run": "true"},
				"After a real run, Front desk would be on v1.22.8 (now on v1.22.7) and answer +34 910 000 001 (Reception)."},
		} {
			for _, room := range []int{1, 20, 50} {
				api, server := newSandbox(t)
				held := "held=" + strings.Repeat("x", limit-room-6) + "\n"
				path, summary := newFile(t, held), newFile(t, held)
				inputs := map[string]string{"api-url": "http://" + startServer(t, server)}
				maps.Copy(inputs, tt.inputs)
				res := scenario{inputs: inputs,
					env: map[string]string{"GITHUB_OUTPUT": path, "GITHUB_STEP_SUMMARY": summary}}.runDiskFull(t)
				got := res.log.Annotations()
				says := "Could not write the results: file too large. " + tt.says
				warning := runner.Annotation{Level: "warning", Title: "No job summary",
					Message: "Writing it failed: file too large."}
				if len(got) != 2 || res.exit != 1 || got[0] != warning || got[1].Title != "ACTION_OUTPUT_UNWRITABLE" ||
					!strings.HasPrefix(got[1].Message, says) ||
					!strings.HasSuffix(got[1].Message, " Free up disk space, then run this step again: that is safe.") {
					t.Errorf("%s: exit status %d, got %+v", name, res.exit, got)
				}
				if readFile(t, path) != held || readFile(t, summary) != held {
					t.Errorf("%s: with room for %d bytes the files hold %q and %q", name, room, readFile(t, path),
						readFile(t, summary))
				}
				want := map[string]string{"publish": sandbox.NextID, "unpublish": "", "dry run": sandbox.LiveID}[name]
				checkLive(t, api, want)
			}
		}
	})
	t.Run("E2/after a failure", func(t *testing.T) {
		held := "held=" + strings.Repeat("x", fileLimit(t)-26) + "\n"
		path := newFile(t, held)
		api := replying(apiError(404, "AGENT_NOT_FOUND", "no such agent"))
		res := scenario{
			inputs: map[string]string{"api-url": api.start(t)}, env: map[string]string{"GITHUB_OUTPUT": path},
		}.runDiskFull(t)
		got := res.log.Annotations()
		if got := got[len(got)-1]; got.Title != "AGENT_NOT_FOUND" || res.exit != 1 || !strings.Contains(res.stdout,
			"\nCould not write the results: file too large.\n") {
			t.Errorf("exit status %d, got %+v", res.exit, got)
		}
		if readFile(t, path) != held {
			t.Errorf("the file holds %q", readFile(t, path))
		}
	})
	t.Run("E3", func(t *testing.T) {
		for _, held := range []string{"a=b", "a=b\n", "a=b\n\n", "a<<EOF\nstatus=x\nEOF", "a=b\r", "\n",
			"a=" + strings.Repeat("x", 1<<20)} {
			res := scenario{outputFile: held}.check(t, &fakeAPI{}, expected{attempts: 1})
			if len(res.outputs) != 16 {
				t.Errorf("after %.30q: outputs %q", held, res.outputs)
			}
		}
		path, link := newFile(t, ""), filepath.Join(t.TempDir(), "link")
		if err := os.Symlink(path, link); err != nil {
			t.Fatal(err)
		}
		scenario{env: map[string]string{"GITHUB_OUTPUT": link}}.runInMemory(t, &fakeAPI{})
		if !strings.HasPrefix(readFile(t, path), "status=published\n") {
			t.Errorf("behind a link: %q", readFile(t, path))
		}
		// What another process appends in the meantime is kept.
		path = newFile(t, "first=1\n")
		confirm := confirmation
		confirm.onRequest = func() { _ = os.WriteFile(path, []byte("first=1\nsecond=2\n"), 0o644) }
		scenario{env: map[string]string{"GITHUB_OUTPUT": path}}.runInMemory(t, replying(confirm))
		if got := readFile(t, path); !strings.HasPrefix(got, "first=1\nsecond=2\nstatus=published\n") {
			t.Errorf("the outputs are %q", got)
		}
	})
	t.Run("E4", func(t *testing.T) {
		missing := filepath.Join(t.TempDir(), "missing")
		for path, reason := range map[string]string{
			"": "Writing it failed: no such file or directory.", t.TempDir(): "Writing it failed: not a regular file.",
			missing: "Writing it failed: no such file or directory.",
		} {
			res := scenario{env: map[string]string{"GITHUB_STEP_SUMMARY": path}}.check(t, &fakeAPI{}, expected{attempts: 1})
			if got, want := res.log.Annotations()[0],
				(runner.Annotation{Level: "warning", Title: "No job summary", Message: reason}); got != want {
				t.Errorf("%q: got %+v, want %+v", path, got, want)
			}
		}
		if _, err := os.Lstat(missing); err == nil {
			t.Error("a summary was created")
		}
		for _, held := range []string{"", "x", "x\n"} {
			path := newFile(t, held)
			scenario{env: map[string]string{"GITHUB_STEP_SUMMARY": path}}.check(t, &fakeAPI{}, expected{attempts: 1})
			if got := readFile(t, path); !strings.HasPrefix(got,
				strings.TrimPrefix(strings.TrimSpace(held)+"\n### ✅ ", "\n")) {
				t.Errorf("after %q the summary is\n%s", held, got)
			}
		}
	})
	t.Run("E5", func(t *testing.T) {
		reader, writer, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		reader.Close()
		defer writer.Close()
		full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		if err != nil {
			full = writer // where there is no such device
		}
		defer full.Close()
		for name, tt := range map[string]struct {
			script  string
			streams *os.File
		}{
			"a pipe without a reader": {`exec "$@"`, writer},
			"a full disk":             {`exec "$@"`, full},
			"no standard output":      {`exec "$@" >&-`, nil},
			"no streams at all":       {`exec "$@" <&- >&- 2>&-`, nil},
		} {
			for _, actions := range []string{"true", ""} {
				api, server := newSandbox(t)
				outputs, summary := newFile(t, ""), newFile(t, "")
				process := scenario{
					inputs: map[string]string{"api-url": "http://" + startServer(t, server)},
					env: map[string]string{"GITHUB_ACTIONS": actions, "GITHUB_OUTPUT": outputs,
						"GITHUB_STEP_SUMMARY": summary, "RUNNER_DEBUG": "1"},
				}.process(t, tt.script)
				if tt.streams != nil {
					process.Stdout, process.Stderr = tt.streams, tt.streams
				}
				lost := actions == "" && tt.streams != nil // the results
				if err := process.Run(); (err != nil) != lost {
					t.Errorf("%s: %v\n%s", name, err, process.stderr.String())
				}
				got, err := runner.Outputs(readFile(t, outputs))
				if err != nil || !lost && (len(got) < 10 ||
					got[0] != (runner.Output{Name: "status", Value: "published"})) ||
					!strings.Contains(readFile(t, summary), "is now on") {
					t.Errorf("%s: outputs %q, %v, summary\n%s", name, got, err, readFile(t, summary))
				}
				if live, _, _ := api.Live(sandbox.FrontDesk); live != sandbox.NextID {
					t.Errorf("%s: live is %s", name, live)
				}
			}
		}
	})
	// The read-only root and the container's memory limit are tested with the image.
	t.Run("E6", func(t *testing.T) {
		var process *process
		started, statuses := make(chan struct{}), make(chan string, 1)
		confirm := confirmation
		confirm.onRequest = func() {
			<-started
			status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", process.Process.Pid)) // there is none but on Linux
			statuses <- string(status)
		}
		api := replying(confirm)
		process = with("api-url", api.start(t)).process(t, "")
		process.Dir = "/dev" // neither a HOME nor a TMPDIR, and nothing is created here
		if err := process.Start(); err != nil {
			t.Fatal(err)
		}
		close(started)
		res := process.finish(t)
		res.check(t, expected{attempts: 1})
		if _, peak, found := strings.Cut(<-statuses, "VmHWM:"); found {
			var kilobytes int
			if _, err := fmt.Sscan(peak, &kilobytes); err != nil || kilobytes > 16<<10 {
				t.Errorf("%d kB were resident, want at most 16 MiB (%v)", kilobytes, err)
			}
		}
	})
	t.Run("E7", func(t *testing.T) {
		outside := map[string]string{"GITHUB_ACTIONS": "", "GITHUB_OUTPUT": "", "GITHUB_STEP_SUMMARY": ""}
		res := scenario{env: outside}.runInMemory(t, &fakeAPI{})
		wantOutputs := fmt.Sprintf(`status=published
previous-version-id=%s
previous-version-name=v1.22.7
previous-inbound-phone-number-id=
previous-outbound-phone-number-id=
version-id=%[2]s
version-name=v1.22.8
changed-fields=call_tools,prompt,voice
attempts=1
agent-id=%s
published-version-id=%[2]s
inbound-phone-number-id=%[4]s
inbound-phone-number=+34910000001
outbound-phone-number-id=
outbound-phone-number=
`, sandbox.LiveID, sandbox.NextID, sandbox.FrontDesk, sandbox.Reception)
		if res.exit != 0 || res.stdout != wantOutputs {
			t.Errorf("exit status %d, standard output %q, want %q", res.exit, res.stdout, wantOutputs)
		}
		for _, line := range []string{"publish-agent-version test\n", "\nAttempt 1: 200 OK (",
			"\nnotice: Published: Front desk is now on v1.22.8 (was v1.22.7) and answers "} {
			if !strings.Contains("\n"+res.stderr, line) {
				t.Errorf("standard error does not have %q:\n%s", line, res.stderr)
			}
		}

		failing := replying(apiError(404, "AGENT_NOT_FOUND", "no\n::error::such agent"))
		res = scenario{env: outside}.runInMemory(t, failing)
		if !strings.Contains(res.stdout,
			"\nerror-code=AGENT_NOT_FOUND\nerror-message=Diga refused v1.22.8: no ::error::such agent. Nothing") ||
			res.exit != 1 ||
			!strings.Contains(res.stderr,
				"\nerror: AGENT_NOT_FOUND: Diga refused v1.22.8: no ::error::such agent. Nothing") {
			t.Errorf("exit status %d, standard output %q, standard error %q", res.exit, res.stdout, res.stderr)
		}

		// The files are honoured where they are named.
		res = scenario{env: map[string]string{"GITHUB_ACTIONS": ""}}.check(t, &fakeAPI{}, expected{attempts: 1})
		if res.stdout != wantOutputs || !strings.Contains(res.summary, "### ✅ `Front desk` is now on `v1.22.8`") {
			t.Errorf("standard output %q, summary\n%s", res.stdout, res.summary)
		}
		for _, path := range []string{"/nowhere/at/all", t.TempDir()} {
			res := scenario{env: map[string]string{"GITHUB_ACTIONS": "", "GITHUB_OUTPUT": path,
				"GITHUB_STEP_SUMMARY": ""}}.run(t)
			if !strings.Contains(res.stdout, "error-code=ACTION_OUTPUT_UNWRITABLE\n") || res.exit != 1 {
				t.Errorf("%s: exit status %d, standard output %q", path, res.exit, res.stdout)
			}
		}
		res = scenario{env: outside, inputs: map[string]string{"version-id": ""}}.run(t)
		if !strings.HasPrefix(res.stdout, "status=failed\nerror-code=ACTION_INPUT_INVALID\n") || res.exit != 1 {
			t.Errorf("exit status %d, standard output %q", res.exit, res.stdout)
		}
	})
	t.Run("E8", func(t *testing.T) {
		replies := []response{apiError(503, "BUSY", "body of the first", "Set-Cookie: session=cookie-value",
			"X-Debug: header-value"), confirmation}
		res := scenario{env: map[string]string{"RUNNER_DEBUG": "1"}}.check(t, &fakeAPI{replies: replies},
			expected{attempts: 2, neverShown: []string{"Bearer", "uthorization", "cookie-value", "header-value",
				"body of the first", `{"`, "BUSY"}})
		var debug []string
		for _, c := range res.log.Commands {
			if c.Name == "debug" {
				debug = append(debug, c.Data)
			}
		}
		if len(debug) < 3 || !slices.ContainsFunc(debug, func(line string) bool {
			return strings.HasPrefix(line, "GET /v1/agent/"+sandbox.FrontDesk+": Attempt 1: 200 OK (")
		}) {
			t.Errorf("debug lines %q", debug)
		}
		for _, value := range []string{"", "0", "true", "11"} {
			quiet := scenario{env: map[string]string{"RUNNER_DEBUG": value}}.runInMemory(t, &fakeAPI{replies: replies})
			if strings.Contains(quiet.stdout, "debug") {
				t.Errorf("RUNNER_DEBUG=%q: debug lines that nobody asked for:\n%s", value, quiet.stdout)
			}
		}
	})
}
