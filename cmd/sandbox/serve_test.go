package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"publish-agent-version/internal/sandbox"
	"publish-agent-version/publish"
)

// The commands in the banner work as they are printed, and each request has its line in the log.
func TestServe(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	reader, writer := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{"serve"}, writer)
		writer.Close()
	}()
	stdout, banner := bufio.NewReader(reader), ""
	for !strings.HasSuffix(banner, " phone numbers.\n\n") {
		line, err := stdout.ReadString('\n')
		if err != nil {
			t.Fatalf("%v after\n%s", err, banner)
		}
		banner += line
	}
	log := make(chan string)
	go func() {
		all, _ := io.ReadAll(stdout)
		log <- string(all)
	}()
	command := regexp.MustCompile(`(?m)^  DIGA_TOKEN=(\S+) go run \. (.*)$`).FindStringSubmatch(banner)
	if command == nil {
		t.Fatalf("no command in\n%s", banner)
	}
	var out bytes.Buffer
	code := publish.Step{Args: strings.Fields(command[2]), Environ: []string{"DIGA_TOKEN=" + command[1]}, Stdout: &out, Stderr: &out}.Run(t.Context())
	if code != 0 || !strings.Contains(out.String(), "published-version-id="+sandbox.NextID+"\n") {
		t.Errorf("%s: exit status %d\n%s", command[0], code, &out)
	}
	patches := 1
	if _, err := exec.LookPath("curl"); err == nil {
		patches++
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
	line := func(request string) string { return `\d\d:\d\d:\d\d "` + request + `"\n` }
	patch := line(`PATCH /v1/agent/` + sandbox.FrontDesk + `/published_version`)
	want := `^(` + line(`GET /v1/\S+`) + `)+` + strings.Repeat(patch, patches) + `$`
	if got := <-log; !regexp.MustCompile(want).MatchString(got) {
		t.Errorf("log\n%s, want it to match %s", got, want)
	}
}
