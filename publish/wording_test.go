package publish_test

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"publish-agent-version/internal/runner"
	"publish-agent-version/internal/sandbox"
)

// lists are the codes whose annotations list problems or candidates, and may be longer.
var lists = []string{"ACTION_INPUT_INVALID", "ACTION_VERSION_NOT_FOUND", "ACTION_VERSION_AMBIGUOUS",
	"ACTION_PHONE_NOT_FOUND", "HTTP_422"}

// sentenceEnd is the end of a sentence: a full stop before a space, not one within a version or a number.
var sentenceEnd = regexp.MustCompile(`[.?…] `)

// eachGolden calls check with every golden log and summary.
func eachGolden(t *testing.T, check func(t *testing.T, name, text string)) {
	t.Helper()
	files, err := filepath.Glob("../testdata/[ls]*/*")
	if err != nil || len(files) < 50 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		check(t, filepath.Base(filepath.Dir(file))+"/"+filepath.Base(file), string(text))
	}
}

// Annotations are read on phones: at most 500 characters, and 200 for the first sentence, which says what happened.
func TestGoldenAnnotationsAreShort(t *testing.T) {
	checked := 0
	eachGolden(t, func(t *testing.T, name, text string) {
		for _, a := range runner.ReadLog(text).Annotations() {
			checked++
			isList := a.Level == "error" && strings.Contains(strings.Join(lists, " "), a.Title) &&
				strings.Contains(a.Message, "; ")
			if n := len([]rune(a.Message)); n > 500 && !isList {
				t.Errorf("%s: %d characters: %s", name, n, a.Message)
			}
			first, _, _ := strings.Cut(sentenceEnd.ReplaceAllString(a.Message, "\n"), "\n")
			if n := len([]rune(first)); n > 200 && !isList {
				t.Errorf("%s: the first sentence has %d characters: %s", name, n, first)
			}
			if n := len(sentenceEnd.FindAllString(a.Message, -1)) + 1; n > 5 {
				t.Errorf("%s: %d sentences: %s", name, n, a.Message)
			}
		}
	})
	if checked < 30 {
		t.Errorf("only %d annotations", checked)
	}
}

// Names and texts from a server may be longer than these limits.
func TestAnnotationsOfLongTextsAreShort(t *testing.T) {
	long := strings.Repeat("long name ", 30)
	for name, faults := range map[string][]sandbox.Fault{
		"published": nil,
		"confirmed": {{Status: 503, Applied: true, Body: `{"error_code":"BUSY","message":"` + long + `"}`}},
		"refused":   {{Status: 400, Body: `{"error_code":"BAD_PARAMETER","message":"` + long + `"}`}},
	} {
		api, server := newSandbox(t, faults...)
		for path, id := range map[string]string{publishedRead: sandbox.LiveID, "version_id=": sandbox.NextID} {
			body := strings.Replace(versionJSON(id, path == publishedRead && name != "confirmed"), "Front desk", long,
				1)
			api.Inject(sandbox.Fault{Method: http.MethodGet, Path: path, Body: strings.Replace(body, "v1.22.", long, 1),
				Times: -1})
		}
		res := scenario{inputs: map[string]string{"max-retries": "0"}}.runInMemory(t, server)
		if n := len([]rune(res.message())); n > 1000 || n < 200 {
			t.Errorf("%s: %d characters: %s", name, n, res.message())
		}
	}
}

// unwanted are words that must not appear in our texts: input names with a capital letter, and unidiomatic phrases.
func unwanted(t *testing.T) *regexp.Regexp {
	t.Helper()
	action, err := os.ReadFile("../action.yml")
	if err != nil {
		t.Fatal(err)
	}
	inputs, _, _ := strings.Cut(string(action), "\noutputs:")
	var words []string
	for _, name := range regexp.MustCompile(`(?m)^  ([a-z-]+):$`).FindAllStringSubmatch(inputs, -1) {
		if first := strings.ToUpper(name[1][:1]); strings.Contains(name[1], "-") { // "Token" and "Timeout" are words
			words = append(words, `\b`+first+name[1][1:]+`\b`)
		}
	}
	if len(words) < 12 {
		t.Fatalf("inputs: %q", words)
	}
	return regexp.MustCompile(strings.Join(words, "|") +
		`|(?i)half-way|as it should be|way back|whence|\bmend|off the air`)
}

func TestGoldenSpelling(t *testing.T) {
	pattern := unwanted(t)
	if !pattern.MatchString("Api-url must begin with https://") || !pattern.MatchString("The Way Back") ||
		pattern.MatchString("api-url must begin with https://, expect-version-id") {
		t.Fatal("the pattern does not work")
	}
	eachGolden(t, func(t *testing.T, name, text string) {
		for _, word := range pattern.FindAllString(text, -1) {
			t.Errorf("%s has %q", name, word)
		}
	})
}

// Every text of the program is in its source.
func TestSourceSpelling(t *testing.T) {
	pattern := unwanted(t)
	checked := 0
	for _, glob := range []string{"../*.go", "../publish/*.go", "../diga/*.go", "../action.yml"} {
		files, err := filepath.Glob(glob)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			checked++
			for _, word := range pattern.FindAllString(string(text), -1) {
				t.Errorf("%s has %q", file, word)
			}
		}
	}
	if checked < 20 {
		t.Errorf("only %d files", checked)
	}
}
