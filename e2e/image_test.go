package e2e

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/x509"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os/exec"
	"path"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// Limits for the image in bytes: on disk, and compressed as in a registry.
const (
	maxBytes      = 8_500_000
	maxCompressed = 3_600_000
)

// engineFiles are created in every container by the engine.
var engineFiles = []string{".dockerenv", "dev/console", "etc/hostname", "etc/hosts", "etc/mtab", "etc/resolv.conf"}

// contents returns the image's files by path, and their compressed size.
func contents(t *testing.T) (files map[string][]byte, compressed int) {
	t.Helper()
	id := docker(t, "create", image(t))
	t.Cleanup(func() { _ = exec.Command("docker", "rm", id).Run() })
	export := exec.CommandContext(t.Context(), "docker", "export", id)
	archive, err := export.Output()
	if err != nil {
		t.Fatal(err)
	}
	var small bytes.Buffer
	z := gzip.NewWriter(&small)
	if _, err := z.Write(archive); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}

	files = make(map[string][]byte)
	for reader := tar.NewReader(bytes.NewReader(archive)); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return files, small.Len()
		}
		if err != nil {
			t.Fatal(err)
		}
		if header.Typeflag == tar.TypeDir || slices.Contains(engineFiles, header.Name) {
			continue
		}
		if files[header.Name], err = io.ReadAll(reader); err != nil {
			t.Fatal(err)
		}
	}
}

// The image contains the binary, the root certificates and the licenses of all linked modules, and nothing else.
func TestImageContents(t *testing.T) {
	files, compressed := contents(t)
	size := 0
	for _, content := range files {
		size += len(content)
	}
	t.Logf("%d bytes, %d compressed", size, compressed)
	if size > maxBytes || compressed > maxCompressed {
		t.Errorf("%d bytes and %d compressed, want at most %d and %d", size, compressed, maxBytes, maxCompressed)
	}

	info, err := buildinfo.Read(bytes.NewReader(files["publish-agent-version"]))
	if err != nil {
		t.Fatal(err)
	}
	notice := string(files["licences/NOTICE"])
	licensed := map[string]bool{"go": true}
	for _, module := range info.Deps {
		licensed[module.Path] = true
		if !strings.Contains(notice, module.Path+" "+module.Version) {
			t.Errorf("NOTICE does not name %s %s:\n%s", module.Path, module.Version, notice)
		}
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

func TestHelpNamesEveryInput(t *testing.T) {
	help := docker(t, "run", "--rm", image(t), "-help")
	for name := range defaults(t) {
		if !strings.Contains(help, name) {
			t.Errorf("-help does not name the input %s:\n%s", name, help)
		}
	}
}
