package publish_test

import (
	"strings"
	"testing"

	"publish-agent-version/internal/sandbox"
)

// net/http logs, by the standard logger, what a server sends on an idle connection, and quotes it; which disarms neither
// the second grammar nor the token. (Whether the connection is idle by then is a matter of luck, so it is tried often.)
func TestUnaskedText(t *testing.T) {
	for range 10 {
		before := liveVersion(sandbox.LiveID)
		before.raw += "##[set-output name=status]published ##[error]" + sandbox.Token
		address := startServer(t, &fakeAPI{readsBefore: before, replies: []response{confirmation}})
		res := scenario{inputs: map[string]string{"api-url": "http://" + address, "max-retries": "0"}}.runBinary(t)
		if printed := strings.Join(res.log.Printed, "\n"); strings.Contains(printed, "Unsolicited") || strings.Contains(printed, "##[") {
			t.Fatalf("net/http's own log shows:\n%s", printed)
		}
	}
}
