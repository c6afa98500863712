package e2e

import (
	"crypto/x509"
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Limits for the image in bytes: on disk, and compressed as in a registry.
const (
	maxBytes      = 8_500_000
	maxCompressed = 3_600_000
)

// engineFiles are created in every container by the engine, besides devices and links.
var engineFiles = []string{".dockerenv", "etc/hostname", "etc/hosts", "etc/resolv.conf"}

// contents returns the image's files by path.
func contents(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	files := make(map[string][]byte)
	root := os.DirFS(dir)
	if err := fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() && !slices.Contains(engineFiles, name) {
			files[name], err = fs.ReadFile(root, name)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return files
}

// The image contains the binary, the root certificates and the licenses of all linked modules, and nothing else.
func TestImageContents(t *testing.T) {
	id, dir := docker(t, "create", image(t)), t.TempDir()
	t.Cleanup(func() { _ = exec.Command("docker", "rm", id).Run() })
	archive := filepath.Join(t.TempDir(), "image.tar")
	docker(t, "export", "--output", archive, id)
	command(t, "tar", "--extract", "--exclude=dev", "--file", archive, "--directory", dir)
	files, size := contents(t, dir), 0
	for _, content := range files {
		size += len(content)
	}
	compressed, err := strconv.Atoi(command(t, "sh", "-c", "gzip <"+archive+" | wc -c"))
	t.Logf("%d bytes, %d compressed", size, compressed)
	if err != nil || size > maxBytes || compressed > maxCompressed {
		t.Errorf("%d bytes and %d compressed, want at most %d and %d", size, compressed, maxBytes, maxCompressed)
	}

	notice := string(files["licences/NOTICE"])
	licensed := map[string]bool{"go": true}
	modules := command(t, "go", "version", "-m", filepath.Join(dir, "publish-agent-version"))
	for _, module := range regexp.MustCompile(`(?m)^\tdep\t(\S+)\t(\S+)`).FindAllStringSubmatch(modules, -1) {
		licensed[module[1]] = true
		if !strings.Contains(notice, module[1]+" "+module[2]) {
			t.Errorf("NOTICE does not name %s %s:\n%s", module[1], module[2], notice)
		}
	}
	if len(licensed) < 5 {
		t.Errorf("only %d modules in the binary:\n%s", len(licensed), modules)
	}
	var others []string
	found := make(map[string]bool)
	for name, content := range files {
		module, isLicense := strings.CutPrefix(path.Dir(name), "licences/")
		if isLicense && licensed[module] && strings.HasPrefix(strings.ToLower(path.Base(name)), "license") {
			found[module] = true
		} else {
			others = append(others, name)
		}
		if strings.HasPrefix(name, "licences/") && len(content) < 500 {
			t.Errorf("%s has only %d bytes", name, len(content))
		}
	}
	if !maps.Equal(found, licensed) {
		t.Errorf("licenses of %v, want those of %v", found, licensed)
	}
	slices.Sort(others)
	want := []string{"etc/ssl/certs/ca-certificates.crt", "licences/LICENSE", "licences/NOTICE", "publish-agent-version"}
	if !slices.Equal(others, want) {
		t.Errorf("other files %q, want %q", others, want)
	}
	if !x509.NewCertPool().AppendCertsFromPEM(files["etc/ssl/certs/ca-certificates.crt"]) {
		t.Error("no certificates in the bundle")
	}
}

// A shell entry point would drop variables with a hyphen in their name, and only root can write the runner's files.
func TestImageConfiguration(t *testing.T) {
	var config struct {
		User            string
		Entrypoint, Cmd []string
		Labels          map[string]string
	}
	if err := json.Unmarshal([]byte(docker(t, "image", "inspect", "--format", "{{json .Config}}", image(t))), &config); err != nil {
		t.Fatal(err)
	}
	if want := []string{"/publish-agent-version"}; !reflect.DeepEqual(config.Entrypoint, want) || len(config.Cmd) > 0 {
		t.Errorf("entry point %q and command %q, want %q and none", config.Entrypoint, config.Cmd, want)
	}
	if config.User != "" {
		t.Errorf("user %q, want root", config.User)
	}
	want := config.Labels["org.opencontainers.image.version"]
	if got := docker(t, "run", "--rm", image(t), "-version"); want == "" || got != want {
		t.Errorf("-version prints %q, the label says %q", got, want)
	}
}
