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
	const success, failure = "\n--- exit status 0 -", "\n--- exit status 1 -"
	after := "\n--- after " + strings.Repeat("-", 55) + "\nFront desk: "
	stays := after + sandbox.LiveID + " is live, answers " + sandbox.ReceptionNumber + "\n"
	goesLive := after + sandbox.NextID + " is live, answers " + sandbox.ReceptionNumber + "\n"
	tests := map[string]struct {
		least, most time.Duration // in virtual time; 0: a second at most
		want, not   []string      // parts of the output
	}{
		"promotion": {want: []string{
			"promotion: publish ", "\n--- before -", "version-name: v1.22.8\n", "\n##[notice]", "\nnotice: Published: ",
			"\nstatus=published\n", "\nprevious-version-id=" + sandbox.LiveID + "\n", "\n--- job summary -",
			"\n- uses: example/publish-agent-version@v1\n", success, goesLive,
			"\nNight desk: nothing is live\n",
			"\nSupport: " + sandbox.SupportID + " is live, answers +34910000004, calls from +34910000004\n",
			"\nrequest: GET /v1/agent/" + sandbox.FrontDesk + "/version after=b1000000-0000-4000-8000-000000000031&limit=",
		}, not: []string{sandbox.Token}},
		"launch": {want: []string{
			"\nlaunched=true\n", success,
			after + "b1000000-0000-4000-8000-000000000231 is live, answers +34910000001\n",
		}},
		"read-only-key": {want: []string{
			"\nerror: INTERNAL_SERVER_ERROR: ", "Give the key Write on Agents and Phones", "\nhttp-status=403\n", failure, stays,
		}},
		"phone-number": {want: []string{
			"\ninbound-phone-number-id=" + sandbox.Switch + "\n", "\ninbound-phone-number=+34910000002\n", success,
			after + sandbox.NextID + " is live, answers +34910000001, answers +34910000002\n",
		}},
		"number-in-use": {want: []string{
			"\nerror: ACTION_PHONE_IN_USE: ", "\nerror-code=ACTION_PHONE_IN_USE\n", failure,
		}, not: []string{"\nrequest: PATCH"}},
		"number-dropped": {0, 0, []string{
			"\nwarning: ", "\n##[warning]", success, after + sandbox.NextID + " is live\n",
		}, nil},
		"retry":      {1500 * time.Millisecond, 2 * time.Second, []string{"503", "\nattempts=2\n", success, goesLive}, nil},
		"lost-reply": {500 * time.Millisecond, time.Second, []string{"\nattempts=1\n", success, goesLive}, nil},
		// The state may be read again, in case a replica lags.
		"unknown": {500 * time.Millisecond, 30 * time.Second, []string{
			"\nerror: ACTION_NETWORK_ERROR: ", "\nstatus=unknown\n", failure, stays,
		}, nil},
		"dry-run": {want: []string{"\nstatus=dry-run\n", success}, not: []string{"\nrequest: PATCH"}},
		"wrong-name": {want: []string{
			"\nerror: ACTION_VERSION_NOT_FOUND: ", "v1.22.8", failure,
		}, not: []string{"\nrequest: PATCH"}},
	}
	if len(tests) != len(scenarios) {
		t.Errorf("got %d scenarios, want %d", len(scenarios), len(tests))
	}
	for _, sc := range scenarios {
		t.Run(sc.name, func(t *testing.T) {
			test, ok := tests[sc.name]
			if !ok {
				t.Fatal("no expectation")
			}
			synctest.Test(t, func(t *testing.T) {
				l, start := newPipeListener(), time.Now()
				var out bytes.Buffer
				if err := try(t.Context(), sc.name, l, l.dial, &out); err != nil {
					t.Errorf("%v\n%s", err, &out)
				}
				if elapsed := time.Since(start); elapsed < test.least || elapsed > max(test.most, time.Second) {
					t.Errorf("took %v, want %v to %v", elapsed, test.least, test.most)
				}
				for _, part := range test.want {
					if !strings.Contains(out.String(), part) {
						t.Errorf("no %q in\n%s", part, &out)
					}
				}
				for _, part := range test.not {
					if strings.Contains(out.String(), part) {
						t.Errorf("unwanted %q in\n%s", part, &out)
					}
				}
			})
		})
	}
}
