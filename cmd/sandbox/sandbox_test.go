package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"publish-agent-version/internal/sandbox"
	"publish-agent-version/publish"
)

// pipes is a listener without a network: what it dials it accepts. It works in virtual time.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
}

func newPipes() pipes { return pipes{make(chan net.Conn), make(chan struct{})} }

func (p pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.conns <- server:
		return client, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-p.done:
		return nil, errors.New("refused")
	}
}

func (p pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p pipes) Close() error   { close(p.done); return nil }
func (p pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80} }

func TestScenarios(t *testing.T) {
	type facts struct {
		least, most time.Duration // the waits
		lines       []string      // some of what is shown
		not         []string      // none of what is shown
	}
	const agent = "/v1/agent/" + sandbox.FrontDesk
	tests := map[string]facts{
		"promotion": {lines: []string{
			"version-name: v1.22.8\n",
			"\n##[notice]",
			"\nnotice: Published: ",
			"\n- uses: example/publish-agent-version@v1\n",
			"\nstatus=published\n",
			"\nprevious-version-id=" + sandbox.LiveID + "\n",
			"\nrequest: GET " + agent + "/version after=b1000000-0000-4000-8000-000000000031&limit=100\n",
			"\n--- exit status 0 -",
		}},
		"publish": {lines: []string{
			"\ninbound-phone-number-id=" + sandbox.Switch + "\n", "\nattempts=1\n",
			"\nFront desk: " + sandbox.LiveID + " is live, answers +34910000001\n",
			"\nFront desk: " + sandbox.NextID + " is live, answers +34910000002 and +34910000001\n",
			"\nNight desk: nothing is live\n",
			"\nSupport: " + sandbox.SupportID + " is live, answers +34910000004, calls from +34910000004\n",
		}},
		"by-number": {lines: []string{
			"\ninbound-phone-number: +34 910 000 002\n",
			"\ninbound-phone-number-id=" + sandbox.Switch + "\n", "\ninbound-phone-number=+34910000002\n",
			"\nrequest: GET /v1/phone/ ",
		}},
		"number-in-use": {
			lines: []string{"\nerror: ACTION_PHONE_IN_USE: ", sandbox.Support, "\nerror-code=ACTION_PHONE_IN_USE\n", "\n--- exit status 1 -"},
			not:   []string{"\nrequest: PATCH"},
		},
		"number-dropped": {time.Second, time.Second, []string{"\nwarning: ", "\n##[warning]", "\n--- exit status 0 -"}, nil},
		"retry":          {500 * time.Millisecond, time.Second, []string{"\nattempts=2\n", "503"}, nil},
		"lost-reply":     {500 * time.Millisecond, time.Second, []string{"\nattempts=2\n", "\nstatus=published\n"}, nil},
		"lost-and-confirmed": {500 * time.Millisecond, time.Second, []string{
			"\nattempts=2\n", "\nstatus=published\n", "\nnotice: ", "\n--- exit status 0 -",
		}, []string{"\nerror: "}},
		"gateway-503": {500 * time.Millisecond, time.Second, []string{
			"\nattempts=2\n", "\nstatus=published\n", "\nnotice: ", "503", "\n--- exit status 0 -",
		}, []string{"\nerror: "}},
		// The look at the outcome may be repeated, in case that a replica is late.
		"unknown": {500 * time.Millisecond, 30 * time.Second, []string{
			"\nerror: ACTION_NETWORK_ERROR: ", "\nstatus=unknown\n", "\n--- exit status 1 -",
		}, []string{"\nnotice: "}},
		"rate-limit": {2 * time.Second, 4 * time.Second, []string{"\nattempts=2\n", "429"}, nil},
		"rollback":   {lines: []string{"\npublished-version-id=" + sandbox.NextID + "\n", "\npublished-version-id=" + sandbox.LiveID + "\n"}},
		"unpublish":  {lines: []string{"\nunpublish: true\n", "\nstatus=unpublished\n", "\npublished-version-id=\n"}},
		"dry-run":    {lines: []string{"\nstatus=dry-run\n", "\nrequest: GET " + agent + " version_id=" + previousID + "\n"}},
		"wrong-name": {lines: []string{"\nerror: ACTION_VERSION_NOT_FOUND: ", "v1.22.8", "\n--- exit status 1 -"}},
		"api-error":  {lines: []string{"\nerror: BAD_PARAMETER: ", "is a draft", "\nhttp-status=400\n", "\n--- exit status 1 -"}},
		"bad-input": {
			lines: []string{"\nerror: ACTION_INPUT_INVALID: ", "version-id", "timeout", "\n--- exit status 1 -"},
			not:   []string{"\nrequest: "},
		},
	}
	for _, sc := range scenarios() {
		t.Run(sc.name, func(t *testing.T) {
			want, ok := tests[sc.name]
			if !ok {
				t.Fatal("nothing is known of this scenario")
			}
			synctest.Test(t, func(t *testing.T) {
				network, start := newPipes(), time.Now()
				var out bytes.Buffer
				if err := try(t.Context(), sc.name, network, network.dial, &out); err != nil {
					t.Errorf("%v\n%s", err, &out)
				}
				if elapsed := time.Since(start); elapsed < want.least || elapsed > want.most {
					t.Errorf("took %v, want %v to %v", elapsed, want.least, want.most)
				}
				for _, line := range append(want.lines, "All as it should be.\n") {
					if !strings.Contains(out.String(), line) {
						t.Errorf("%q is missing in\n%s", line, &out)
					}
				}
				for _, line := range want.not {
					if strings.Contains(out.String(), line) {
						t.Errorf("%q is shown in\n%s", line, &out)
					}
				}
			})
		})
	}
	if len(tests) != len(scenarios()) {
		t.Errorf("got %d scenarios, want %d", len(scenarios()), len(tests))
	}
}

// judge must notice when a scenario goes otherwise, and every way of it.
func TestJudge(t *testing.T) {
	api := sandbox.New()
	r := httptest.NewRequest("PATCH", "/v1/agent/"+sandbox.FrontDesk+"/published_version", strings.NewReader(`{"version":"v1"}`))
	r.Header.Set("Content-Type", "application/json")
	api.ServeHTTP(httptest.NewRecorder(), r)
	res, err := step(t.Context(), map[string]string{"unpublish": "maybe"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	res.log.Printed = append(res.log.Printed, "Bearer "+sandbox.Token)
	res.log.Failures = append(res.log.Failures, errors.New("set-env"))
	sc := scenario{outputs: map[string]string{"status": "published"}, live: sandbox.NextID, answers: []string{sandbox.SwitchNumber}, warns: []string{"maybe"}}
	err = sc.judge(io.Discard, api, res)
	if err == nil {
		t.Fatal("got no error")
	}
	for _, want := range []string{
		`exit status: got "1", want "0"`,
		`output status: got "failed", want "published"`,
		`live version: got "` + sandbox.LiveID + `", want "` + sandbox.NextID + `"`,
		`numbers that Front desk answers: got "+34910000001", want "+34910000002"`,
		`no warning has "maybe"`,
		`header.authorization`,
		`body: additional properties 'version' not allowed`,
		`the runner would refuse the log: set-env`,
		`the token shows: plain`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in\n%v", want, err)
		}
	}
}

func TestRun(t *testing.T) {
	tests := []struct {
		args   []string
		exit   int
		stdout string
		stderr string
	}{
		{[]string{"try"}, 0, "All as it should be.", ""},
		{[]string{"try", "-scenario", "dry-run"}, 0, "status=dry-run", ""},
		{[]string{"try", "-scenario", "list"}, 0, "  lost-reply  ", ""},
		{[]string{"try", "-scenario", "nonsense"}, 1, "", `no scenario is called "nonsense"`},
		{[]string{"try", "-help"}, 0, "  promotion  ", ""},
		{[]string{"-help"}, 0, "sandbox serve", ""},
		{nil, 2, "", "usage:"},
		{[]string{"play"}, 2, "", "usage:"},
		{[]string{"try", "promotion"}, 2, "", "usage:"},
		{[]string{"serve", "-scenario", "promotion"}, 2, "", "flag provided but not defined: -scenario"},
		{[]string{"serve", "-addr", "127.0.0.1:-1"}, 1, "", "invalid port"},
	}
	for _, tt := range tests {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			exit := run(t.Context(), tt.args, &stdout, &stderr)
			if exit != tt.exit || !strings.Contains(stdout.String(), tt.stdout) || !strings.Contains(stderr.String(), tt.stderr) {
				t.Errorf("got %d\n%s\n%s", exit, &stdout, &stderr)
			}
			if (stdout.Len() > 0) != (tt.stdout != "") || (stderr.Len() > 0) != (tt.stderr != "") {
				t.Errorf("got %d bytes on stdout and %d on stderr:\n%s\n%s", stdout.Len(), stderr.Len(), &stdout, &stderr)
			}
		})
	}
}

// What serve prints works when it is pasted, each request has its line in the log, and the end is orderly.
func TestServe(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	reader, writer := io.Pipe()
	exit := make(chan int, 1)
	go func() {
		exit <- run(ctx, []string{"serve"}, writer, io.Discard)
		writer.Close()
	}()
	lines := bufio.NewScanner(reader)
	commands := map[string]string{}
	var shown strings.Builder
	for len(commands) < 2 && lines.Scan() {
		shown.WriteString(lines.Text() + "\n")
		if name, _, _ := strings.Cut(strings.TrimSpace(lines.Text()), " "); name == "curl" || name == "env" {
			commands[name] = lines.Text()
		}
	}
	for _, line := range []string{
		"  phones    " + sandbox.Reception + " +34910000001, inbound Front desk\n",
		"            " + sandbox.Switch + " +34910000002\n",
		"            " + sandbox.Hotline + " +34910000004, inbound Support, outbound Support\n",
		"            " + sandbox.Retired + " +34910000002, finished\n",
	} {
		if !strings.Contains(shown.String(), line) {
			t.Errorf("%q is missing in\n%s", line, &shown)
		}
	}
	env := map[string]string{}
	for _, pair := range regexp.MustCompile(`(INPUT_\S+)=(\S+)`).FindAllStringSubmatch(commands["env"], -1) {
		env[pair[1]] = pair[2]
	}
	if !strings.HasSuffix(commands["env"], " go run .") || len(env) != 4 {
		t.Fatalf("got %q", commands["env"])
	}
	var out bytes.Buffer
	log := make(chan string)
	go func() {
		defer close(log)
		for lines.Scan() {
			if lines.Text() != "" {
				log <- lines.Text()
			}
		}
	}()
	// wantLine returns how many reads there were before the line: the step makes its own at the same time, in any order.
	wantLine := func(pattern string) (reads int) {
		t.Helper()
		got := <-log
		for strings.Contains(got, `"GET /v1/`) && strings.Contains(got, ` 200 `) {
			got = <-log
			reads++
		}
		if !regexp.MustCompile(`^\d\d:\d\d:\d\d "` + pattern + ` [0-9.]+[mµ]?s$`).MatchString(got) {
			t.Errorf("logged %q, want %q", got, pattern)
		}
		return reads
	}

	done := make(chan int)
	go func() {
		done <- publish.Step{Getenv: func(name string) string { return env[name] }, Stdout: &out, Stderr: &out}.Run(t.Context())
	}()
	if wantLine(`PATCH /v1/agent/`+sandbox.FrontDesk+`/published_version" 200`) == 0 {
		t.Error("the step read nothing before the change")
	}
	if code := <-done; code != 0 || !strings.Contains(out.String(), "published-version-id="+sandbox.NextID+"\n") {
		t.Errorf("got %d\n%s", code, &out)
	}

	if _, err := exec.LookPath("curl"); err == nil { // elsewhere the line is only printed
		go func() {
			answer, err := exec.CommandContext(t.Context(), "sh", "-c", commands["curl"]).Output()
			if err != nil || !bytes.Contains(answer, []byte(`"published_version_id":"`+sandbox.NextID+`"`)) {
				t.Errorf("curl: %v\n%s", err, answer)
			}
			done <- 0
		}()
		if reads := wantLine(`PATCH /v1/agent/` + sandbox.FrontDesk + `/published_version" 200`); reads > 0 {
			t.Errorf("%d reads more than curl made", reads)
		}
		<-done
	}

	cancel()
	if code := <-exit; code != 0 {
		t.Errorf("exit status: got %d, want 0", code)
	}
	for line := range log {
		t.Errorf("unexpected line %q", line)
	}
}

func TestLogIsOneCleanLine(t *testing.T) {
	var log bytes.Buffer
	r := httptest.NewRequest("GET", "/", nil)
	r.RequestURI = "/\n::add-mask::a\x1b[31m"
	r.Header.Set("Authorization", "Bearer "+sandbox.Token)
	func() {
		defer func() { _ = recover() }() // the server's part
		logged(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }), &log).ServeHTTP(httptest.NewRecorder(), r)
	}()
	if got := log.String(); strings.Count(got, "\n") != 1 || strings.ContainsRune(got, '\x1b') || !strings.Contains(got, ` "GET /\n::add-mask::a\x1b[31m" no answer `) || strings.Contains(got, sandbox.Token) {
		t.Errorf("got %q", got)
	}
}
