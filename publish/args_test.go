package publish_test

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"publish-agent-version/internal/sandbox"
	"publish-agent-version/publish"
)

// runCommandLine runs the step outside Actions, with a command line and an environment, against its own API.
func runCommandLine(t *testing.T, args []string, env map[string]string) (exit int, stdout, stderr string) {
	t.Helper()
	_, server := newSandbox(t)
	vars := map[string]string{
		"DIGA_TOKEN": sandbox.Token, "INPUT_AGENT_ID": sandbox.FrontDesk,
		"INPUT_API_URL": "http://" + startServer(t, server), "INPUT_MAX_RETRIES": "0",
	}
	maps.Copy(vars, env)
	var out, log bytes.Buffer
	step := publish.Step{Args: args, Stdout: &out, Stderr: &log, Version: "test", Environ: environ(vars)}
	exit = step.Run(t.Context())
	return exit, out.String(), log.String()
}

func TestCommandLine(t *testing.T) {
	t.Parallel()
	next, summary := "--version-id="+sandbox.NextID, filepath.Join(t.TempDir(), "summary.md")
	tests := []struct {
		name   string
		args   []string
		env    map[string]string
		exit   int
		stdout string // a part of it
		stderr string // the same
	}{
		{"version", []string{"-version"}, nil, 0, "test\n", ""},
		{"help", []string{"--help", "x"}, nil, 0, "publish-agent-version publishes", ""},
		{"short help", []string{"-h"}, nil, 0, "publish-agent-version publishes", ""},
		{"publish", []string{next}, nil, 0, "published-version-id=" + sandbox.NextID + "\n",
			"notice: Published: Front desk is now on v1.22.8 (was v1.22.7)"},
		{"a value after a blank", []string{"--version-id", sandbox.NextID}, nil, 0, "status=published\n", ""},
		{"a bare boolean", []string{next, "--dry-run"}, nil, 0, "status=dry-run\n", ""},
		{"a boolean with a value", []string{next, "--dry-run=false"}, nil, 0, "status=published\n", ""},
		{"a plan to release a number", []string{next, "--dry-run", "--inbound-phone-number-id=none"}, nil, 0,
			"\ninbound-phone-number-id=none\n", ""},
		{"an invalid boolean", []string{next, "--dry-run=maybe"}, nil, 1, "error-code=ACTION_INPUT_INVALID\n",
			`--dry-run must be true or false, not "maybe"`},
		{"a flag before the environment", []string{next, "--dry-run=true"}, map[string]string{"INPUT_DRY_RUN": "false"},
			0, "status=dry-run\n", ""},
		{"INPUT_TOKEN before DIGA_TOKEN", []string{next},
			map[string]string{"INPUT_TOKEN": sandbox.Token, "DIGA_TOKEN": "wrong-token"}, 0, "status=published\n", ""},
		{"no token", []string{next}, map[string]string{"DIGA_TOKEN": ""}, 1, "", "DIGA_TOKEN is missing or empty"},
		{"a token on the command line", []string{next, "--token=secret-of-mine"}, nil, 1, "",
			"--token is not supported: anyone on this machine can see the command line. Set DIGA_TOKEN"},
		{"an unknown flag", []string{next, "--inbound-phone-nummer=1"}, nil, 1, "",
			`Unknown flag "--inbound-phone-nummer". Nothing was sent.`},
		{"a misspelled flag", []string{next, "--dry_run"}, nil, 1, "",
			`Unknown flag "--dry_run": did you mean --dry-run?`},
		{"a flag that swallows the next", []string{next, "--summary", "--dry-run"}, nil, 1, "",
			"--summary needs a value: is a variable empty?"},
		{"a safeguard that swallows the next", []string{next, "--only-newer", "--version-name", "--dry-run"}, nil, 1,
			"", "--version-name needs a value"},
		{"a value that begins with a hyphen", []string{"--version-name=--dry-run"}, nil, 1, "",
			`No version is named "--dry-run"`},
		{"a boolean with a separate value", []string{next, "--dry-run", "true"}, nil, 1, "",
			"Unexpected argument after --dry-run: write flags as --name=value. See --help"},
		{"a token in a flag that does not exist", []string{next, "---token=secret-of-mine"}, nil, 1, "",
			`Unknown flag "---token"`},
		{"a token as an argument", []string{next, "token=secret-of-mine"}, nil, 1, "", "Unexpected argument"},
		{"an unknown flag and JSON", []string{"--output=json", "--bogus"}, nil, 1,
			`"error-code": "ACTION_INPUT_INVALID"`, ""},
		{"version inside Actions", []string{"--version"}, map[string]string{"GITHUB_ACTIONS": "true"}, 1,
			"not supported in GitHub Actions", ""},
		{"inside Actions", []string{next}, map[string]string{
			"GITHUB_ACTIONS": "true", "INPUT_AGENT-ID": sandbox.FrontDesk, "INPUT_VERSION-ID": sandbox.LiveID,
			"INPUT_TOKEN": sandbox.Token,
		}, 1, "::error title=ACTION_INPUT_INVALID::Command-line arguments are not supported in GitHub Actions: " +
			"set the inputs under with:. Nothing was sent.", ""},
		{"an empty safeguard", []string{next, "--expect-version-id="}, nil, 1, "error-code=ACTION_INPUT_INVALID\n",
			"--expect-version-id is empty: remove the flag, or give it a value"},
		{"an empty boolean", []string{next, "--dry-run="}, nil, 1, "error-code=ACTION_INPUT_INVALID\n",
			"--dry-run is empty"},
		{"a blank safeguard", []string{next, "--expect-version-id", " "}, nil, 1, "error-code=ACTION_INPUT_INVALID\n",
			"--expect-version-id is empty"},
		{"an unknown flag like no other", []string{"-x\n::error::y"}, nil, 1, "",
			`Unknown flag "--x\n::error::y". Nothing was sent.`},
		{"a stray argument", []string{next, "false"}, nil, 1, "",
			"Unexpected argument after --version-id: write flags as --name=value"},
		{"an empty argument", []string{""}, nil, 1, "", "Unexpected argument"},
		{"a flag without its value", []string{"--version-id"}, nil, 1, "", "--version-id needs a value"},
		{"an unknown format", []string{next, "--output=xml"}, nil, 1, "",
			`--output must be plain, json or dotenv, not "xml"`},
		{"nothing chosen", []string{"--dry-run"}, nil, 1, "",
			"Set --version-id or --version-name: both are empty. To take the agent offline, set --unpublish"},
		{"show-live", []string{"--show-live"}, nil, 0, "status=live\nversion-id=" + sandbox.LiveID +
			"\nversion-name=v1.22.7\nagent-id=" + sandbox.FrontDesk + "\npublished-version-id=" + sandbox.LiveID,
			"Front desk is on v1.22.7 and answers +34 910 000 001"},
		{"show-live with something else", []string{next, "--show-live"}, nil, 1, "",
			"--version-id and --show-live exclude each other"},
		{"unpublish with only-newer", []string{"--unpublish", "--only-newer"}, nil, 1, "",
			"--only-newer has no effect with --unpublish: remove it"},
		{"inside Actions", []string{next}, map[string]string{
			"GITHUB_ACTIONS": "true", "INPUT_AGENT-ID": sandbox.FrontDesk, "INPUT_VERSION-ID": sandbox.LiveID,
			"INPUT_TOKEN": sandbox.Token,
		}, 1, "::error title=ACTION_INPUT_INVALID::Command-line arguments are not supported in GitHub Actions: " +
			"set the inputs under with:. Nothing was sent.", ""},
		{"a summary inside Actions, which is not even written to say so", []string{"--summary=" + summary},
			map[string]string{"GITHUB_ACTIONS": "true"}, 1, "not supported in GitHub Actions", ""},
		{"underscores inside Actions", nil, map[string]string{"GITHUB_ACTIONS": "true",
			"INPUT_VERSION_ID": sandbox.NextID}, 1, "Unknown input \"version_id\": did you mean version-id?", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			exit, stdout, stderr := runCommandLine(t, tt.args, tt.env)
			if exit != tt.exit || !strings.Contains(stdout, tt.stdout) || !strings.Contains(stderr, tt.stderr) ||
				strings.Contains(stdout+stderr, "secret-of-mine") {
				t.Errorf("exit status %d\nstdout: %s\nstderr: %s", exit, stdout, stderr)
			}
		})
	}
	if _, err := os.Lstat(summary); !os.IsNotExist(err) {
		t.Errorf("%s was written: %v", summary, err)
	}
}

// An undefined variable must not turn a dry run into a real one.
func TestEmptyBooleans(t *testing.T) {
	const (
		isEmpty = "dry-run is empty: is the variable defined here? It must be true or false"
		unknown = `Unknown input "dry`
	)
	for _, test := range []struct{ variable, actions, says string }{ // says: empty if it publishes
		{"INPUT_DRY-RUN", "true", isEmpty}, {"INPUT_DRY-RUN", "", isEmpty}, {"INPUT_DRY_RUN", "", isEmpty},
		{"INPUT_DRY_RUN", "true", unknown}, {"INPUT_DRY", "true", unknown}, {"INPUT_DRY", "", unknown},
		{"INPUT_DRYRUN", "", unknown}, {"INPUT_TIMEOUT", "true", ""}, {"NOTHING", "true", ""}, {"NOTHING", "", ""},
	} {
		t.Run(test.variable+" "+test.actions, func(t *testing.T) {
			api := &fakeAPI{}
			s := scenario{env: map[string]string{"GITHUB_ACTIONS": test.actions, "INPUT_DRY-RUN": "",
				"INPUT_UNPUBLISH": ""}}
			s.modify = func(step *publish.Step, _ context.CancelCauseFunc) {
				step.Environ = append(step.Environ, test.variable+"=")
			}
			want := expected{attempts: 1}
			if test.says != "" {
				want = expected{code: "ACTION_INPUT_INVALID", attempts: -1, says: []string{test.says}}
			}
			if s.check(t, api, want); test.says != "" && len(api.requests("")) > 0 {
				t.Errorf("%d requests", len(api.requests("")))
			}
		})
	}
}

func TestOutputFormats(t *testing.T) {
	next := "--version-id=" + sandbox.NextID
	t.Run("json", func(t *testing.T) {
		_, stdout, _ := runCommandLine(t, []string{next, "--output=json"}, nil)
		var got map[string]any
		if err := json.Unmarshal([]byte(stdout), &got); err != nil || got["status"] != "published" ||
			got["attempts"] != 1.0 || got["inbound-phone-number"] != "+34910000001" {
			t.Errorf("%v: %s", err, stdout)
		}
	})
	t.Run("json of a failure", func(t *testing.T) {
		exit, stdout, _ := runCommandLine(t, []string{"--version-id=" + sandbox.DraftID, "--output=json"}, nil)
		var got map[string]any
		if err := json.Unmarshal([]byte(stdout), &got); err != nil || exit != 1 ||
			got["error-code"] != "BAD_PARAMETER" || got["http-status"] != 400.0 {
			t.Errorf("exit status %d, %v: %s", exit, err, stdout)
		}
	})
	t.Run("dotenv", func(t *testing.T) {
		exit, stdout, stderr := runCommandLine(t, []string{"--version-name=no such $(touch oops) `name`",
			"--output=dotenv"}, nil)
		if exit != 1 || !strings.Contains(stdout, "\nERROR_CODE=ACTION_VERSION_NOT_FOUND\n") ||
			strings.Contains(stdout, "touch") ||
			!strings.Contains(stderr,
				"Omitted from the dotenv output, which cannot represent their values: version-name, error-message.") {
			t.Errorf("exit status %d\n%s%s", exit, stdout, stderr)
		}
	})
	t.Run("summary", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "summary.md")
		for range 2 { // the second replaces the first
			if exit, _, stderr := runCommandLine(t, []string{next, "--summary=" + path}, nil); exit != 0 {
				t.Fatal(stderr)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil || strings.Count(string(got),
			"### ✅ `Front desk` is now on `v1.22.8` (was `v1.22.7`) and answers") != 1 {
			t.Errorf("%v: %s", err, got)
		}
		exit, stdout, stderr := runCommandLine(t, []string{next, "--summary=" + filepath.Join(path, "x")}, nil)
		if exit != 1 || !strings.Contains(stdout, "\nerror-code=ACTION_OUTPUT_UNWRITABLE\n") ||
			strings.Contains(stdout, "published-version-id") || !strings.Contains(stderr,
			"error: ACTION_OUTPUT_UNWRITABLE: Could not write the results: writing the summary: not a directory. "+
				"Front desk is now on v1.22.8") {
			t.Errorf("exit status %d: %s%s", exit, stdout, stderr)
		}
	})
}

func TestBinaryKnowsItsVersion(t *testing.T) {
	version, err := exec.Command(builtAction(), "-version").CombinedOutput()
	if err != nil || strings.TrimSpace(string(version)) == "" || strings.Count(string(version), "\n") != 1 {
		t.Errorf("the binary says %q, %v", version, err)
	}
}
