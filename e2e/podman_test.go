package e2e

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Podman runs the image as Docker does, with the same flags, files and results.
func TestPodman(t *testing.T) {
	name := image(t)
	if _, err := exec.LookPath("podman"); err != nil {
		t.Skip("podman is not installed")
	}
	archive := filepath.Join(t.TempDir(), "image.tar")
	docker(t, "save", "--output", archive, name)
	_, loaded, _ := strings.Cut(command(t, "podman", "load", "--quiet", "--input", archive), ": ")
	t.Cleanup(func() { _ = exec.Command("podman", "rmi", loaded).Run() })

	_, url := newAPI(t)
	j := newJob(t, url, nil)
	j.engine, j.image = "podman", loaded
	// In podman's own environment, HOME is where it keeps its images.
	delete(j.env, "HOME")
	// By default, podman raises these limits, which takes a capability that root lacks on some virtual machines.
	j.flags = []string{"--env", "HOME=/github/home", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"}
	j.publishes("")
}
