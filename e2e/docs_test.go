package e2e

import (
	"os"
	"strings"
	"testing"
)

// The pipeline in the documentation is the one run by e2e/gitlab/run.
func TestDocumentedPipeline(t *testing.T) {
	pipeline, err := os.ReadFile("gitlab/.gitlab-ci.yml")
	if err != nil {
		t.Fatal(err)
	}
	docs, err := os.ReadFile("../docs/other-ci.md")
	if err != nil {
		t.Fatal(err)
	}
	if want := "```yaml\n" + string(pipeline) + "```\n"; !strings.Contains(string(docs), want) {
		t.Errorf("docs/other-ci.md does not have e2e/gitlab/.gitlab-ci.yml:\n%s", want)
	}
}
