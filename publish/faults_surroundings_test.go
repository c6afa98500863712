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
			os.Mkdir(at("directory"), 0o755), syscall.Mkfifo(at("fifo"), 0o644), os.Symlink(at("loop"), at("loop")),
			os.Symlink(at("nowhere"), at("dangling")), os.Symlink(at("fifo"), at("link to fifo")),
		)
		if err != nil {
			t.Fatal(err)
		}
		for path, reason := range map[string]string{
			"":                           "no such file or directory",
			at("missing"):                "no such file or directory",
			at("dangling"):               "no such file or directory",
			at("directory"):              "not a regular file",
			at("fifo"):                   "not a regular file",
			at("fifo") + "/":             "not a directory",
			os.DevNull:                   "not a regular file",
			at("link to fifo"):           "not a regular file",
			at("loop"):                   "too many levels of symbolic links",
			at("nul\x00"):                "invalid argument",
			at(strings.Repeat("x", 300)): "file name too long",
		} {
			summary := newFile(t, "")
			res := scenario{env: map[string]string{"GITHUB_OUTPUT": path, "GITHUB_STEP_SUMMARY": summary}}.runOffline(t)
			want := runner.Annotation{Level: "error", Title: "ACTION_OUTPUT_UNWRITABLE",
				Message: "Cannot write step outputs: opening GITHUB_OUTPUT: " + reason +
					". Nothing was sent. The runner provides this file: check what changes or removes it."}
			got := readFile(t, summary)
			if res.last() != want || !strings.Contains(got, "ACTION_OUTPUT_UNWRITABLE") || strings.Contains(got, "|") {
				t.Errorf("%q: annotation %+v, want %+v; the summary is\n%s", path, res.last(), want, got)
			}
		}
		for _, name := range []string{"missing", "nowhere"} {
			if _, err := os.Lstat(at(name)); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s was created", name)
			}
		}
		// Wrong inputs come first: they are what the author of the workflow can fix.
		s := with("timeout", "x")
		s.env = map[string]string{"GITHUB_OUTPUT": at("missing")}
		if res := s.run(t); res.last().Title != "ACTION_INPUT_INVALID" {
			t.Errorf("got %+v", res.last())
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
		if got := res.last(); got.Title != "ACTION_OUTPUT_UNWRITABLE" ||
			!strings.Contains(got.Message, "permission denied. Nothing was sent") {
			t.Errorf("got %+v", got)
		}
		if n := len(api.requests("")); n > 0 || readFile(t, path) != "a=b\n" {
			t.Errorf("%d requests, the file holds %q", n, readFile(t, path))
		}
	})
	t.Run("E2", func(t *testing.T) {
		limit := fileLimit(t)
		for _, test := range []struct{ input, value, live, says string }{
			{"max-retries", "1", sandbox.NextID, "Front desk is now on v1.22.8 (was v1.22.7) and answers " +
				"+34 910 000 001 (Reception) (version " + sandbox.NextID + ")"},
			{"unpublish", "true", "", "Front desk is now offline (was v1.22.7)."},
			{"dry-run", "true", sandbox.LiveID,
				"Front desk would be on v1.22.8 (now v1.22.7) and answer +34 910 000 001 "},
			{"version-id", sandbox.DraftID, sandbox.LiveID, ""},
		} {
			for _, room := range []int{1, 20, 50} {
				api, server := newSandbox(t)
				held := "held=" + strings.Repeat("x", limit-room-6) + "\n"
				path, summary := newFile(t, held), newFile(t, held)
				s := with("api-url", "http://"+startServer(t, server), test.input, test.value)
				s.env = map[string]string{"GITHUB_OUTPUT": path, "GITHUB_STEP_SUMMARY": summary}
				res := s.runDiskFull(t)
				got, failed := res.log.Annotations(), "Could not write the results: file too large."
				wrong := got[len(got)-1].Title != "BAD_PARAMETER" || !strings.Contains(res.stdout, "\n"+failed+"\n")
				if test.says != "" {
					last := got[len(got)-1]
					wrong = last.Title != "ACTION_OUTPUT_UNWRITABLE" ||
						!strings.HasPrefix(last.Message, failed+" "+test.says) ||
						!strings.HasSuffix(last.Message, " Check the path and the free disk space, then run this step again: that is safe.")
				}
				if wrong || len(got) != 2 || got[0] != (runner.Annotation{Level: "warning", Title: "No job summary",
					Message: "Writing it failed: file too large."}) {
					t.Errorf("%s: got %+v", test.input, got)
				}
				if readFile(t, path) != held || readFile(t, summary) != held {
					t.Errorf("%s: with room for %d bytes the files hold %q and %q", test.input, room, readFile(t, path),
						readFile(t, summary))
				}
				checkLive(t, api, test.live)
			}
		}
	})
	t.Run("E3", func(t *testing.T) {
		for _, held := range []string{"a=b", "a=b\n", "a=b\n\n", "a<<EOF\nstatus=x\nEOF", "a=b\r", "\n",
			"a=" + strings.Repeat("x", 1<<20)} {
			res := scenario{outputFile: held}.check(t, &fakeAPI{}, asUsual)
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
			"": "no such file or directory.", t.TempDir(): "not a regular file.", missing: "no such file or directory.",
		} {
			res := scenario{env: map[string]string{"GITHUB_STEP_SUMMARY": path}}.check(t, &fakeAPI{}, asUsual)
			got := res.log.Annotations()[0]
			if got.Title != "No job summary" || got.Message != "Writing it failed: "+reason {
				t.Errorf("%q: got %+v", path, got)
			}
		}
		if _, err := os.Lstat(missing); err == nil {
			t.Error("a summary was created")
		}
		for _, held := range []string{"", "x", "x\n"} {
			path := newFile(t, held)
			scenario{env: map[string]string{"GITHUB_STEP_SUMMARY": path}}.check(t, &fakeAPI{}, asUsual)
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
				checkLive(t, api, sandbox.NextID)
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
		res.check(t, asUsual)
		if _, peak, found := strings.Cut(<-statuses, "VmHWM:"); found {
			var kilobytes int
			if _, err := fmt.Sscan(peak, &kilobytes); err != nil || kilobytes > 16<<10 {
				t.Errorf("%d kB were resident, want at most 16 MiB (%v)", kilobytes, err)
			}
		}
	})
	t.Run("E7", func(t *testing.T) { // the goldens of the command line have every word
		bare := map[string]string{"GITHUB_ACTIONS": "", "GITHUB_OUTPUT": "", "GITHUB_STEP_SUMMARY": ""}
		res := scenario{env: bare}.check(t, &fakeAPI{}, asUsual)
		if !strings.HasPrefix(res.stdout, "status=published\n") || len(res.outputs) != 15 ||
			!strings.HasPrefix(res.stderr, "publish-agent-version test\n") ||
			!strings.Contains(res.stderr, "\nnotice: Published: Front desk is now on v1.22.8 (was v1.22.7) and") {
			t.Errorf("standard output %q, standard error %q", res.stdout, res.stderr)
		}
		// The files are honoured where they are named.
		files := scenario{env: map[string]string{"GITHUB_ACTIONS": ""}}.check(t, &fakeAPI{}, asUsual)
		if files.stdout != res.stdout || !strings.Contains(files.summary, "### ✅ `Front desk` is now on `v1.22.8`") {
			t.Errorf("standard output %q, summary\n%s", files.stdout, files.summary)
		}
		const says = "Diga refused v1.22.8 (404 Not Found): no ::error::such agent"
		res = scenario{env: bare}.check(t, replying(apiError(404, "AGENT_NOT_FOUND", "no\n::error::such agent")),
			rejected("AGENT_NOT_FOUND", 404, says))
		if !strings.Contains(res.stderr, "\nerror: AGENT_NOT_FOUND: "+says+". Nothing") {
			t.Errorf("standard error %q", res.stderr)
		}
		for _, path := range []string{"/nowhere/at/all", t.TempDir()} {
			unwritable := maps.Clone(bare)
			unwritable["GITHUB_OUTPUT"] = path
			res := scenario{env: unwritable}.run(t)
			if !strings.Contains(res.stdout, "error-code=ACTION_OUTPUT_UNWRITABLE\n") || res.exit != 1 {
				t.Errorf("%s: exit status %d, standard output %q", path, res.exit, res.stdout)
			}
		}
		res = scenario{env: bare, inputs: map[string]string{"version-id": ""}}.run(t)
		if !strings.HasPrefix(res.stdout, "status=failed\nerror-code=ACTION_INPUT_INVALID\n") {
			t.Errorf("standard output %q", res.stdout)
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
