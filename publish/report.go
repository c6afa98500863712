package publish

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/sethvargo/go-githubactions"
)

// A report is the only thing that speaks to the runner: through masks, log lines, annotations, step outputs and the
// job summary. Whatever passes through it is cleaned.
//
// Outside Actions it speaks plain text: the log on stderr, the results as name=value lines on stdout.
type report struct {
	mu sync.Mutex // reads that run at the same time log their attempts and waits
	cleaner
	action     *githubactions.Action
	actions    bool      // inside GitHub Actions
	results    io.Writer // for name=value lines; nil inside Actions
	outputs    *os.File  // nil: there is none
	written    bool      // the outputs are written
	sizeBefore int64     // and the file held so many bytes before
}

func newReport(s Step, actions bool) *report {
	r := &report{cleaner: newCleaner(""), actions: actions}
	log := s.Stdout
	if !r.actions {
		log, r.results = s.Stderr, bestEffort{s.Stdout}
	}
	r.action = githubactions.New(githubactions.WithWriter(bestEffort{log}), githubactions.WithGetenv(s.Getenv))
	return r
}

// tolerant writes what it can: a closed log must not interrupt a change, and the library panics on an error.
type bestEffort struct{ io.Writer }

func (t bestEffort) Write(b []byte) (int, error) {
	_, _ = t.Writer.Write(b)
	return len(b), nil
}

// mask hides the token from here on, by the runner's means and by our own.
func (r *report) mask(token Token) {
	secret := token.reveal()
	r.cleaner = newCleaner(secret)
	first, _ := utf8.DecodeRuneInString(secret)
	if r.actions && secret != "" && !combines(first) { // the runner would refuse an empty mask, and print a hidden one
		r.action.AddMask(secret)
	}
}

// log writes one line of the story.
func (r *report) log(format string, args ...any) {
	line := r.clean(fmt.Sprintf(format, args...), maxLine)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.action.Infof("%s", line)
}

// debug writes one line for those who asked for debug logging.
func (r *report) debug(format string, args ...any) {
	if r.action.Getenv("RUNNER_DEBUG") == "1" {
		r.annotate((*githubactions.Action).Debugf, "debug", "", fmt.Sprintf(format, args...))
	}
}

func (r *report) notice(title, message string) {
	r.annotate((*githubactions.Action).Noticef, "notice", title, message)
}

func (r *report) warn(title, message string) {
	r.annotate((*githubactions.Action).Warningf, "warning", title, message)
}

func (r *report) fail(code, message string) {
	r.annotate((*githubactions.Action).Errorf, "error", code, message)
}

func (r *report) annotate(issue func(*githubactions.Action, string, ...any), level, title, message string) {
	title, message = r.clean(title, maxText), r.clean(message, maxLine)
	if !r.actions {
		if title != "" {
			level += ": " + title
		}
		r.log("%s: %s", level, message)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case title == "":
		issue(r.action, "%s", message)
	default:
		issue(r.action.WithFieldsMap(map[string]string{"title": title}), "%s", message)
	}
}

// openOutputs opens the file for step outputs, so that a missing one is found before anything is changed. The file is
// never created: in a container that would only hide that the right one is not there.
func (r *report) openOutputs() error {
	path := r.action.Getenv("GITHUB_OUTPUT")
	if path == "" {
		if r.actions {
			return errors.New("GITHUB_OUTPUT is not set")
		}
		return nil
	}
	file, err := openAppend(path)
	if err != nil {
		return fmt.Errorf("the file that GITHUB_OUTPUT names: %w", err)
	}
	r.outputs = file
	return nil
}

// openAppend opens an existing regular file. It looks before it opens, for opening a FIFO would wait for a reader.
func openAppend(path string) (*os.File, error) {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		return nil, errors.New("it is not a regular file")
	}
	var file *os.File
	if err == nil {
		file, err = os.OpenFile(path, os.O_RDWR|os.O_APPEND, 0)
	}
	if pathError := (*fs.PathError)(nil); errors.As(err, &pathError) {
		return nil, pathError.Err // without the path, which says nothing to a workflow's author
	}
	return file, err
}

// output is one step output.
type output struct{ name, value string }

// setOutputs writes all outputs at once, or none. A second call takes back what the first one wrote to the file.
func (r *report) setOutputs(outputs []output) error {
	var text strings.Builder
	for _, o := range outputs {
		// One line each: a cleaned value holds no line break, so the runner finds no delimiter and no second name in it.
		fmt.Fprintf(&text, "%s=%s\n", o.name, r.clean(o.value, maxLine))
	}
	if r.results != nil {
		_, _ = io.WriteString(r.results, text.String())
	}
	if r.outputs == nil {
		return nil
	}
	if r.written {
		if err := r.outputs.Truncate(r.sizeBefore); err != nil {
			return err
		}
	}
	held, err := appendWhole(r.outputs, text.String())
	r.sizeBefore, r.written = held, err == nil
	return err
}

// addSummary appends Markdown to the job summary; what goes wrong with it is worth a warning and no more.
func (r *report) addSummary(markdown string) {
	path := r.action.Getenv("GITHUB_STEP_SUMMARY")
	if path == "" {
		if r.actions {
			r.warn("No job summary", "GITHUB_STEP_SUMMARY is not set.")
		}
		return
	}
	file, err := openAppend(path)
	if err == nil {
		defer file.Close()
		_, err = appendWhole(file, markdown)
	}
	if err != nil {
		r.warn("No job summary", fmt.Sprintf("Writing it: %v.", err))
	}
}

// appendWhole appends text to a file in one write, on a line of its own, and returns how many bytes the file held before.
// If the write fails it cuts the file back to that: the runner would read half an output as an error, or worse as an output.
func appendWhole(file *os.File, text string) (held int64, err error) {
	info, err := file.Stat()
	if err != nil {
		return 0, err
	}
	size := info.Size()
	if size > 0 {
		last := make([]byte, 1)
		if _, err := file.ReadAt(last, size-1); err != nil || last[0] != '\n' {
			text = "\n" + text
		}
	}
	if _, err := file.WriteString(text); err != nil {
		_ = file.Truncate(size)
		return size, errors.Unwrap(err)
	}
	return size, nil
}
