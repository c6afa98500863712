package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

const image = "ghcr.io/your-org/publish-agent-version@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// root builds the action as the image has it.
func root(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), runtime.GOARCH)
	build := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(dir, "publish-agent-version"), "../..")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	certs := filepath.Join(dir, "etc/ssl/certs")
	if err := os.MkdirAll(certs, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(certs, "ca-certificates.crt"), []byte("roots"), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestRun(t *testing.T) {
	dir := root(t)
	var out strings.Builder
	if err := run(&out, "1.4.0", image, "2026-01-05T09:00:00Z", []string{dir, dir}); err != nil {
		t.Fatal(err)
	}
	var d document
	if err := json.Unmarshal([]byte(out.String()), &d); err != nil {
		t.Fatal(err)
	}
	var names, ids []string
	for _, p := range d.Packages {
		names, ids = append(names, p.Name), append(ids, p.SPDXID)
	}
	// What is linked in, and no tool and no module that only the tests need. What two architectures share is there once.
	want := []string{
		"ghcr.io/your-org/publish-agent-version", "publish-agent-version", "stdlib", "github.com/google/uuid",
		"github.com/hashicorp/go-cleanhttp", "github.com/hashicorp/go-retryablehttp", "github.com/sethvargo/go-githubactions",
		"ca-certificates",
	}
	if !slices.Equal(names, want) {
		t.Errorf("packages %q, want %q", names, want)
	}
	described := []string{d.SPDXID}
	for _, r := range d.Relationships {
		if !slices.Contains(described, r.From) {
			t.Errorf("%s %s %s: nothing leads to the first", r.From, r.Type, r.To)
		}
		described = append(described, r.To)
	}
	for _, id := range ids {
		if !slices.Contains(described, id) {
			t.Errorf("nothing leads to %s", id)
		}
	}
	const roots = `"checksumValue": "a4e3c20a327766600f2e45b9b0735d26e2f809088dd323d7a5ad5d71d757dc69"`
	for _, want := range []string{
		`"spdxVersion": "SPDX-2.3"`, `"created": "2026-01-05T09:00:00Z"`,
		`"pkg:oci/publish-agent-version@sha256%3A0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef?repository_url=ghcr.io/your-org/publish-agent-version"`,
		`"pkg:golang/github.com/hashicorp/go-retryablehttp@v`, roots,
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %s in\n%s", want, out.String())
		}
	}
}

func TestRunRefuses(t *testing.T) {
	dir := root(t)
	foreign := filepath.Join(t.TempDir(), "s390x")
	if err := os.Symlink(dir, foreign); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, version, image string
		roots                []string
	}{
		{"no version", "", image, []string{dir}},
		{"no digest", "1.4.0", "ghcr.io/your-org/publish-agent-version:1", []string{dir}},
		{"no files", "1.4.0", image, nil},
		{"no binary", "1.4.0", image, []string{t.TempDir()}},
		{"a binary for another architecture", "1.4.0", image, []string{foreign}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if err := run(new(strings.Builder), test.version, test.image, "2026-01-05T09:00:00Z", test.roots); err == nil {
				t.Error("no error")
			}
		})
	}
}
