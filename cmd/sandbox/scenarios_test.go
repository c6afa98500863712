package main

import (
	"bytes"
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"publish-agent-version/internal/sandbox"
)

// pipeListener accepts the connections that it dials, without a network, so that it works in virtual time.
type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
}

func newPipeListener() pipeListener { return pipeListener{make(chan net.Conn), make(chan struct{})} }

func (l pipeListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case l.conns <- server:
		return client, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-l.done:
		return nil, errors.New("refused")
	}
}

func (l pipeListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l pipeListener) Close() error { close(l.done); return nil }
func (pipeListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80} }

func TestEveryScenarioEndsAsExpected(t *testing.T) {
	type expectation struct {
		least, most time.Duration // in virtual time
		lines, not  []string      // what the output contains, and what it does not
	}
	const agent = "/v1/agent/" + sandbox.FrontDesk
	tests := map[string]expectation{
		"promotion": {lines: []string{
			"promotion: publish ", "\n--- before -", "version-name: v1.22.8\n", "\n--- job summary -", "\n--- after -",
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
		"take-over":      {lines: []string{"\nSupport: " + sandbox.SupportID + " is live, calls from +34910000004\n", "\n--- exit status 0 -"}},
		"number-dropped": {time.Second, time.Second, []string{"\nwarning: ", "\n##[warning]", "\n--- exit status 0 -"}, nil},
		"retry":          {500 * time.Millisecond, time.Second, []string{"\nattempts=2\n", "503"}, nil},
		"lost-reply":     {500 * time.Millisecond, time.Second, []string{"\nattempts=1\n", "\nstatus=published\n"}, nil},
		"lost-and-confirmed": {lines: []string{
			"\nattempts=1\n", "\nstatus=published\n", "\nnotice: ", "\n--- exit status 0 -",
		}, not: []string{"\nerror: "}},
		"gateway-503": {lines: []string{
			"\nattempts=1\n", "\nstatus=published\n", "\nnotice: ", "503", "\n--- exit status 0 -",
		}, not: []string{"\nerror: "}},
		// The state may be read again, in case a replica lags.
		"unknown": {500 * time.Millisecond, 30 * time.Second, []string{
			"\nerror: ACTION_NETWORK_ERROR: ", "\nstatus=unknown\n", "\n--- exit status 1 -",
		}, []string{"\nnotice: "}},
		"rate-limit":      {lines: []string{"\nattempts=1\n", "\nprevious-version-id=" + sandbox.LiveID + "\n"}},
		"imported-number": {lines: []string{"\ninbound-phone-number=pbx-7@sip.example.com\n"}},
		"national-number": {lines: []string{"answers `910 00 00 02 (Switch)`"}},
		"line-kept":       {0, time.Minute, []string{"\nattempts=1\n"}, nil},
		"tag-is-release":  {lines: []string{"Launched v1.23.0 from the draft.", "\nlaunched=true\n"}},
		"tag-again":       {lines: []string{"\nlaunched=true\n", "\nlaunched=false\n"}},
		"launch-lost":     {lines: []string{"\nlaunched=true\n"}},
		"read-only-key":   {lines: []string{"Give the key Write on Agents and Phones"}},
		"rollback":        {lines: []string{"\npublished-version-id=" + sandbox.NextID + "\n", "\npublished-version-id=" + sandbox.LiveID + "\n"}},
		"unpublish":       {lines: []string{"\nunpublish: true\n", "\nstatus=unpublished\n", "\npublished-version-id=\n"}},
		"dry-run":         {lines: []string{"\nstatus=dry-run\n", "\nrequest: GET " + agent + " version_id=" + previousID + "\n"}},
		"wrong-name":      {lines: []string{"\nerror: ACTION_VERSION_NOT_FOUND: ", "v1.22.8", "\n--- exit status 1 -"}},
		"api-error":       {lines: []string{"\nerror: BAD_PARAMETER: ", "is a draft", "\nhttp-status=400\n", "\n--- exit status 1 -"}},
		"bad-input": {
			lines: []string{"\nerror: ACTION_INPUT_INVALID: ", "version-id", "timeout", "\n--- exit status 1 -"},
			not:   []string{"\nrequest: "},
		},
	}
	for _, sc := range scenarios() {
		t.Run(sc.name, func(t *testing.T) {
			want, ok := tests[sc.name]
			if !ok {
				t.Fatal("no expectation")
			}
			synctest.Test(t, func(t *testing.T) {
				l, start := newPipeListener(), time.Now()
				var out bytes.Buffer
				if err := try(t.Context(), sc.name, l, l.dial, &out); err != nil {
					t.Errorf("%v\n%s", err, &out)
				}
				if elapsed := time.Since(start); elapsed < want.least || elapsed > max(want.most, time.Second) {
					t.Errorf("took %v, want %v to %v", elapsed, want.least, want.most)
				}
				for _, line := range append(want.lines, "As expected.\n") {
					if !strings.Contains(out.String(), line) {
						t.Errorf("no %q in\n%s", line, &out)
					}
				}
				for _, line := range want.not {
					if strings.Contains(out.String(), line) {
						t.Errorf("unwanted %q in\n%s", line, &out)
					}
				}
			})
		})
	}
	if len(tests) != len(scenarios()) {
		t.Errorf("got %d scenarios, want %d", len(scenarios()), len(tests))
	}
}
