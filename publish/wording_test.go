package publish_test

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"publish-agent-version/internal/runner"
)

// lists are the codes whose annotations list problems or candidates, and may be longer.
var lists = []string{"ACTION_INPUT_INVALID", "ACTION_VERSION_NOT_FOUND", "ACTION_VERSION_AMBIGUOUS",
	"ACTION_PHONE_NOT_FOUND", "HTTP_422"}

// sentenceEnd is the end of a sentence: a full stop before a space, not one within a version or a number.
var sentenceEnd = regexp.MustCompile(`[.?…] `)

// goldens are the golden logs and summaries.
const goldens = "../testdata/[ls]*/*"

// Annotations are read on phones: at most 500 characters, and 200 for the first sentence, which says what happened.
func TestGoldenAnnotationsAreShort(t *testing.T) {
	checked := 0
	for _, file := range must(filepath.Glob(goldens)) {
		for _, a := range runner.ReadLog(readFile(t, file)).Annotations() {
			checked++
			if isList := slices.Contains(lists, a.Title) && strings.Contains(a.Message, "; "); isList {
				continue
			}
			sentences := strings.Split(sentenceEnd.ReplaceAllString(a.Message, "\n"), "\n")
			whole, first := len([]rune(a.Message)), len([]rune(sentences[0]))
			if whole > 500 || first > 200 || len(sentences) > 5 {
				t.Errorf("%s: %d characters, %d of them in the first of %d sentences: %s", file, whole, first,
					len(sentences), a.Message)
			}
		}
	}
	if checked < 30 {
		t.Errorf("only %d annotations", checked)
	}
}

// TestSpelling looks for words that must not appear in our texts: input names with a capital letter, and unidiomatic
// phrases. Every text of the program is in its source, and the goldens show what becomes of it.
func TestSpelling(t *testing.T) {
	words := []string{`(?i:half-way|as it should be|way back|whence|\bmend|off the air)`}
	for _, name := range inputNames {
		if strings.Contains(name, "-") { // "Token" and "Timeout" are words
			words = append(words, `\b`+strings.ToUpper(name[:1])+name[1:]+`\b`)
		}
	}
	unwanted := regexp.MustCompile(strings.Join(words, "|"))
	if !unwanted.MatchString("Api-url must begin with https://") || !unwanted.MatchString("The Way Back") ||
		unwanted.MatchString("api-url must begin with https://, expect-version-id") {
		t.Fatal("the pattern does not work")
	}
	checked := 0
	for _, glob := range []string{"../*.go", "*.go", "../diga/*.go", "../action.yml", goldens} {
		for _, file := range must(filepath.Glob(glob)) {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			checked++
			for _, word := range unwanted.FindAllString(readFile(t, file), -1) {
				t.Errorf("%s has %q", file, word)
			}
		}
	}
	if checked < 100 {
		t.Errorf("only %d files", checked)
	}
}
