package e2e

import (
	"encoding/pem"
	"io"
	"log"
	"net/http/httptest"
	"testing"

	"publish-agent-version/internal/sandbox"
)

// The container has 32 MiB of memory and no swap, no home, no temporary directory, and a read-only file system except for
// the runner's files.
func TestBareContainer(t *testing.T) {
	t.Parallel()
	_, url := newAPI(t)
	j := newJob(t, url, nil)
	delete(j.env, "HOME")
	j.flags = []string{"--read-only", "--memory", "32m", "--memory-swap", "32m"}
	j.publishes("")
}

// The image has its own root certificates, which do not include the test's until SSL_CERT_FILE names it.
func TestTLS(t *testing.T) {
	t.Parallel()
	api, _ := newAPI(t)
	server := httptest.NewUnstartedServer(api)
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // one handshake is meant to fail
	server.StartTLS()
	t.Cleanup(server.Close)
	newJob(t, server.URL, nil).run().want(t, 1, []string{"add-mask", "error ACTION_TLS_ERROR"}, map[string]string{
		"status": "failed", "error-code": "ACTION_TLS_ERROR", "version-id": sandbox.NextID,
	})
	j := newJob(t, server.URL, nil)
	j.env["SSL_CERT_FILE"] = "/github/workspace/roots.pem"
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	j.write("workspace/roots.pem", string(certificate))
	j.publishes("")
}
