package main

import (
	"bytes"
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"

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
	const success, failure = "\n--- exit status 0 -", "\n--- exit status 1 -"
	const noChange = "!\nrequest: PATCH"
	after := "\n--- after " + strings.Repeat("-", 55) + "\n"
	stays := after + sandbox.LiveID + " is live, answers " + sandbox.ReceptionNumber + "\n"
	goesLive := after + sandbox.NextID + " is live, answers " + sandbox.ReceptionNumber + "\n"
	tests := map[string][]string{ // parts of the output, or after "!" what is not in it
		"promotion": {
			"promotion: publish ", "\n--- before -", "version-name: v1.22.8\n", "\n##[notice]", "\nnotice: Published: ",
			"\nstatus=published\n", "\nprevious-version-id=" + sandbox.LiveID + "\n", "\n--- job summary -",
			"\n- uses: example/publish-agent-version@v1\n", success, goesLive,
			"\nrequest: GET /v1/agent/" + sandbox.FrontDesk + "/version after=b1000000-0000-4000-8000-000000000031&limit=",
			"!" + sandbox.Token,
		},
		"launch":        {"\nlaunched=true\n", success, after + "b1000000-0000-4000-8000-000000000231 is live, answers +34910000001\n"},
		"read-only-key": {"\nerror: INTERNAL_SERVER_ERROR: ", "Give the key Write on Agents and Phones", "\nhttp-status=403\n", failure, stays},
		"phone-number": {"\ninbound-phone-number-id=" + sandbox.Switch + "\n", "\ninbound-phone-number=+34910000002\n", success,
			after + sandbox.NextID + " is live, answers +34910000001, answers +34910000002\n"},
		"number-in-use":  {"\nerror: ACTION_PHONE_IN_USE: ", "\nerror-code=ACTION_PHONE_IN_USE\n", failure, noChange},
		"number-dropped": {"\nwarning: ", "\n##[warning]", success, after + sandbox.NextID + " is live\n"},
		"retry":          {"503", "\nattempts=2\n", success, goesLive},
		"lost-reply":     {"\nattempts=1\n", success, goesLive},
		"unknown":        {"\nerror: ACTION_NETWORK_ERROR: ", "\nstatus=unknown\n", failure, stays},
		"dry-run":        {"\nstatus=dry-run\n", success, noChange},
		"wrong-name":     {"\nerror: ACTION_VERSION_NOT_FOUND: ", "v1.22.8", failure, noChange},
	}
	for _, sc := range scenarios {
		t.Run(sc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newPipeListener()
				var out bytes.Buffer
				if err := try(t.Context(), sc.name, l, l.dial, &out); err != nil || tests[sc.name] == nil {
					t.Errorf("%v\n%s", err, &out)
				}
				for _, part := range tests[sc.name] {
					part, unwanted := strings.CutPrefix(part, "!")
					if strings.Contains(out.String(), part) == unwanted {
						t.Errorf("%q: unwanted: %t, in\n%s", part, unwanted, &out)
					}
				}
			})
		})
	}
}
