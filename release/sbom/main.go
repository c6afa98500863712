// Command sbom writes the SBOM of a release's image, in SPDX 2.3, from what the linker left in the binaries: not what the
// sources ask for, but what is in there.
//
//	go run ./release/sbom -version 1.4.0 -image ghcr.io/…@sha256:… -created 2026-01-05T09:00:00Z …/amd64 …/arm64
//
// Each directory has the image's files for the architecture that it is named after. The same arguments give the same
// document. A binary for another architecture is an error.
package main

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
)

func main() {
	version := flag.String("version", "", "")
	image := flag.String("image", "", "")
	created := flag.String("created", "", "")
	flag.Parse()
	if err := run(os.Stdout, *version, *image, *created, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "sbom:", err)
		os.Exit(1)
	}
}

// document is the part of SPDX 2.3 that is used here: https://spdx.github.io/spdx-spec/v2.3/
type document struct {
	SPDXVersion       string         `json:"spdxVersion"`
	DataLicense       string         `json:"dataLicense"`
	SPDXID            string         `json:"SPDXID"`
	Name              string         `json:"name"`
	DocumentNamespace string         `json:"documentNamespace"`
	CreationInfo      creationInfo   `json:"creationInfo"`
	Packages          []spdxPackage  `json:"packages"`
	Relationships     []relationship `json:"relationships"`
}

type creationInfo struct {
	Created  string   `json:"created"`
	Creators []string `json:"creators"`
}

type spdxPackage struct {
	SPDXID           string     `json:"SPDXID"`
	Name             string     `json:"name"`
	VersionInfo      string     `json:"versionInfo,omitempty"`
	FileName         string     `json:"packageFileName,omitempty"`
	DownloadLocation string     `json:"downloadLocation"`
	FilesAnalyzed    bool       `json:"filesAnalyzed"`
	Checksums        []checksum `json:"checksums,omitempty"`
	ExternalRefs     []external `json:"externalRefs,omitempty"`
}

type checksum struct {
	Algorithm string `json:"algorithm"`
	Value     string `json:"checksumValue"`
}

type external struct {
	Category string `json:"referenceCategory"`
	Type     string `json:"referenceType"`
	Locator  string `json:"referenceLocator"`
}

type relationship struct {
	From string `json:"spdxElementId"`
	Type string `json:"relationshipType"`
	To   string `json:"relatedSpdxElement"`
}

// run writes the document for the image to w.
func run(w io.Writer, version, image, created string, roots []string) error {
	name, digest, ok := strings.Cut(image, "@sha256:")
	if !ok || version == "" || created == "" || len(roots) == 0 {
		return fmt.Errorf("want -version, -image with a digest, -created and the image's files")
	}
	d := &document{
		SPDXVersion:       "SPDX-2.3",
		DataLicense:       "CC0-1.0",
		SPDXID:            "SPDXRef-DOCUMENT",
		Name:              image,
		DocumentNamespace: "https://spdx.org/spdxdocs/publish-agent-version-" + version + "-" + digest,
		CreationInfo:      creationInfo{Created: created, Creators: []string{"Tool: publish-agent-version-sbom"}},
	}
	top := d.add("SPDXRef-DOCUMENT", "DESCRIBES", spdxPackage{
		SPDXID: "image", Name: name, VersionInfo: version, Checksums: []checksum{{"SHA256", digest}},
		ExternalRefs: purl("pkg:oci/" + path.Base(name) + "@sha256%3A" + digest + "?repository_url=" + name),
	})
	for _, root := range roots {
		if err := d.addRoot(top, root, version); err != nil {
			return fmt.Errorf("%s: %w", root, err)
		}
	}
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(d)
}

// addRoot adds the files of one architecture: the binary with all that is linked into it, and the root certificates.
func (d *document) addRoot(image, root, version string) error {
	binary := filepath.Join(root, "publish-agent-version")
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return err
	}
	sum, err := digest(binary)
	if err != nil {
		return err
	}
	arch := setting(info, "GOARCH")
	if want := filepath.Base(root); arch != want {
		return fmt.Errorf("the binary is for %q, want %q", arch, want)
	}
	b := d.add(image, "CONTAINS", spdxPackage{
		SPDXID: "binary-linux-" + arch, Name: info.Main.Path, VersionInfo: version, FileName: "publish-agent-version", Checksums: sum,
	})
	compiler := strings.TrimPrefix(info.GoVersion, "go")
	d.add(b, "DEPENDS_ON", spdxPackage{
		SPDXID: "go-stdlib-" + compiler, Name: "stdlib", VersionInfo: compiler, ExternalRefs: purl("pkg:golang/stdlib@" + compiler),
	})
	for _, module := range info.Deps {
		if module.Replace != nil {
			module = module.Replace
		}
		d.add(b, "DEPENDS_ON", spdxPackage{
			SPDXID: "go-" + module.Path + "-" + module.Version, Name: module.Path, VersionInfo: module.Version,
			ExternalRefs: purl("pkg:golang/" + module.Path + "@" + module.Version),
		})
	}
	if sum, err = digest(filepath.Join(root, "etc/ssl/certs/ca-certificates.crt")); err != nil {
		return err
	}
	d.add(image, "CONTAINS", spdxPackage{
		SPDXID: "ca-certificates-" + sum[0].Value[:16], Name: "ca-certificates", FileName: "etc/ssl/certs/ca-certificates.crt", Checksums: sum,
	})
	return nil
}

// An SPDX identifier has letters, digits, dots and hyphens.
var notInID = regexp.MustCompile(`[^A-Za-z0-9.-]+`)

// add relates from to p, adds p unless it is there already, and returns its identifier.
func (d *document) add(from, kind string, p spdxPackage) string {
	p.SPDXID = "SPDXRef-" + notInID.ReplaceAllString(p.SPDXID, "-")
	p.DownloadLocation = "NOASSERTION" // the field must be there; a module's source follows from its purl
	if !slices.ContainsFunc(d.Packages, func(q spdxPackage) bool { return q.SPDXID == p.SPDXID }) {
		d.Packages = append(d.Packages, p)
	}
	if r := (relationship{from, kind, p.SPDXID}); !slices.Contains(d.Relationships, r) {
		d.Relationships = append(d.Relationships, r)
	}
	return p.SPDXID
}

// setting returns what the binary was built with.
func setting(info *debug.BuildInfo, key string) string {
	for _, s := range info.Settings {
		if s.Key == key {
			return s.Value
		}
	}
	return ""
}

func digest(file string) ([]checksum, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(content)
	return []checksum{{"SHA256", hex.EncodeToString(sum[:])}}, nil
}

func purl(locator string) []external {
	return []external{{"PACKAGE-MANAGER", "purl", locator}}
}
