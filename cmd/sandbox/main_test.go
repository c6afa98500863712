package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"publish-agent-version/internal/sandbox"
	"publish-agent-version/publish"
)

func TestCommandLine(t *testing.T) {
	for _, tt := range []struct {
		args           []string
		stdout, failed string // parts of the output and of the error
	}{
		{[]string{"try"}, "\nstatus=published\n", ""},
		{[]string{"try", "-scenario", "list"}, "\nlost-reply  ", ""},
		{[]string{"try", "-scenario", "nonsense"}, "", `unknown scenario "nonsense"`},
		{[]string{"try", "-help"}, "", "usage:"},
		{nil, "", "usage:"},
		{[]string{"play"}, "", "usage:"},
		{[]string{"try", "promotion"}, "", "too many arguments"},
		{[]string{"serve", "-port", "1"}, "", "flag provided but not defined: -port"},
		{[]string{"serve", "-addr", "127.0.0.1:-1"}, "", "invalid port"},
	} {
		var stdout bytes.Buffer
		err := run(t.Context(), tt.args, &stdout)
		if (err == nil) != (tt.failed == "") || err != nil && !strings.Contains(err.Error(), tt.failed) ||
			!strings.Contains(stdout.String(), tt.stdout) || (stdout.Len() > 0) != (tt.stdout != "") {
			t.Errorf("%q: got %v and\n%s", tt.args, err, &stdout)
		}
	}
}

// The commands in the banner work as they are printed.
func TestServe(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	var out bytes.Buffer
	go func() { ended <- serve(ctx, l, &out) }()
	banner := fmt.Sprintf(banner, l.Addr(), sandbox.FrontDesk, sandbox.Token, sandbox.NextID)
	command := regexp.MustCompile(`(?m)^  DIGA_TOKEN=(\S+) go run \. (.*)$`).FindStringSubmatch(banner)
	var printed bytes.Buffer
	code := publish.Step{Args: strings.Fields(command[2]), Environ: []string{"DIGA_TOKEN=" + command[1]}, Stdout: &printed, Stderr: &printed}.Run(t.Context())
	if code != 0 || !strings.Contains(printed.String(), "published-version-id="+sandbox.NextID+"\n") {
		t.Errorf("%s: exit status %d\n%s", command[0], code, &printed)
	}
	if _, err := exec.LookPath("curl"); err == nil {
		curl := regexp.MustCompile(`(?m)^  curl .*$`).FindString(banner)
		answer, err := exec.CommandContext(t.Context(), "sh", "-c", curl).Output()
		if err != nil || !bytes.Contains(answer, []byte(`"published_version_id":"`+sandbox.NextID+`"`)) {
			t.Errorf("%s: %v\n%s", curl, err, answer)
		}
	}

	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if got := out.String(); got != banner {
		t.Errorf("got\n%s, want\n%s", got, banner)
	}
}
