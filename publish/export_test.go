package publish

import (
	"os"
	"path/filepath"
	"testing"
)

// OutputNames are the outputs that action.yml declares.
var OutputNames = []string{
	"status", "agent-id", "published-version-id", "inbound-phone-number-id", "outbound-phone-number-id",
	"inbound-phone-number",
	"outbound-phone-number", "version-id", "version-name", "launched", "changed-fields", "previous-version-id",
	"previous-version-name", "previous-inbound-phone-number-id", "previous-outbound-phone-number-id", "error-code",
	"error-message", "http-status", "attempts", "summary",
}

// InputNames are the inputs that action.yml declares.
func InputNames() (names []string) {
	for _, in := range inputTable {
		names = append(names, in.name)
	}
	return names
}

// environ is an environment without the variables that are empty.
func environ(env map[string]string) (list []string) {
	for name, value := range env {
		if value != "" {
			list = append(list, name+"="+value)
		}
	}
	return list
}

// newFile makes a file with this content and returns its path.
func newFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// What the tests of both packages use.
var (
	Environ  = environ
	NewFile  = newFile
	ReadFile = readFile
)
