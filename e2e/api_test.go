package e2e

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"publish-agent-version/internal/sandbox"
)

// api is a sandbox on a loopback address.
type api struct {
	*sandbox.Sandbox
	URL     string
	changes chan struct{} // receives once for each PATCH whose body has been read
}

// newAPI starts a sandbox with faults. At the end of the test it fails the test if a request violated the API's contract.
func newAPI(t *testing.T, faults ...sandbox.Fault) *api {
	a := &api{Sandbox: sandbox.New(), changes: make(chan struct{}, 100)}
	a.Inject(faults...)
	server := httptest.NewServer(a)
	a.URL = server.URL
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		if violations := a.Violations(); len(violations) > 0 {
			t.Errorf("contract violations: %q", violations)
		}
	})
	return a
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPatch {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		a.changes <- struct{}{}
	}
	a.Sandbox.ServeHTTP(w, r)
}

// methods returns the methods of the requests so far, separated by spaces.
func (a *api) methods() string {
	var all []string
	for _, r := range a.Requests() {
		all = append(all, r.Method)
	}
	return strings.Join(all, " ")
}

func (a *api) wantLive(t *testing.T, want [3]string) {
	t.Helper()
	version, inbound, outbound := a.Live(sandbox.FrontDesk)
	if got := [3]string{version, inbound, outbound}; got != want {
		t.Errorf("live is %q, want %q", got, want)
	}
}
