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

// A report handles all communication with the runner: masks, log lines, annotations, step outputs and the job summary.
// It cleans everything that it writes.
//
// Outside Actions it writes plain text: the log to stderr, the results to stdout.
type report struct {
	cleaner
	action  *githubactions.Action
	actions bool      // inside GitHub Actions
	stdout  io.Writer // for the results outside Actions
	args    arguments

	outputFile *os.File // nil: there is none
	printed    bool     // the results are on stdout
	written    int64    // where in the file the results begin, or -1: not yet
	warnings   []warning
}

func newReport(s Step, args arguments) *report {
	r := &report{cleaner: newCleaner(""), actions: s.inActions(), stdout: s.Stdout, args: args, written: -1}
	log := &bestEffort{to: s.Stdout}
	if !r.actions {
		log.to = s.Stderr
	}
	r.action = githubactions.New(githubactions.WithWriter(log), githubactions.WithGetenv(s.Getenv))
	return r
}

// bestEffort hides errors: a closed log must not interrupt a change, and the library panics on one.
type bestEffort struct {
	mu sync.Mutex // concurrent reads log their attempts and waits
	to io.Writer
}

func (w *bestEffort) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, _ = w.to.Write(b)
	return len(b), nil
}

// renderer renders messages for the log, annotations and outputs.
func (r *report) renderer() renderer { return renderer{r.text, !r.actions} }

// mask hides the token from here on, with the runner's mask and with our own. A shorter one would mask unrelated text,
// and is refused.
func (r *report) mask(token secretToken) {
	secret := token.reveal()
	if len(secret) < minToken {
		return
	}
	if first, _ := utf8.DecodeRuneInString(secret); r.actions && !combines(first) { // the runner would print this one
		r.action.AddMask(secret)
	}
	r.cleaner = newCleaner(secret)
}

// log writes one line.
func (r *report) log(line message) { r.logLines([]string{r.clean(r.renderer().text(line), maxLine)}) }

// logLines writes lines that are already clean.
func (r *report) logLines(lines []string) {
	for _, line := range lines {
		r.action.Infof("%s", line)
	}
}

func (r *report) notice(title string, m message) {
	r.annotate("notice", title, r.renderer().sentence(m))
}

func (r *report) warn(title string, m message) {
	r.warnings = append(r.warnings, warning{title, m})
	r.annotate("warning", title, r.renderer().sentence(m))
}

func (r *report) fail(f *failure) {
	r.annotate("error", f.code, f.message(r.renderer())+" "+r.renderer().sentence(f.advice))
}

func (r *report) annotate(level, title, message string) {
	title, message = r.text(title), r.clean(message, maxLine)
	command := &githubactions.Command{Name: level, Message: message}
	if title != "" {
		level += ": " + title
		command.Properties = githubactions.CommandProperties{"title": title}
	}
	if !r.actions {
		r.logLines([]string{r.clean(level+": "+message, maxLine)})
		return
	}
	r.action.IssueCommand(command)
}

// openOutputs opens the file for step outputs, so that a missing file is detected before anything is changed. It never
// creates the file: inside a container, that would only hide that the real one is missing.
func (r *report) openOutputs() (err error) {
	if path := r.action.Getenv("GITHUB_OUTPUT"); path != "" || r.actions {
		if r.outputFile, err = openAppend(path); err != nil {
			err = fmt.Errorf("opening GITHUB_OUTPUT: %w", err)
		}
	}
	return err
}

// openAppend opens an existing regular file. It checks the type first: opening a FIFO would wait for a reader.
func openAppend(path string) (*os.File, error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND, 0)
	return file, withoutPath(err)
}

// withoutPath drops the path from an error: it means nothing to a workflow's author.
func withoutPath(err error) error {
	if pathError, ok := errors.AsType[*fs.PathError](err); ok {
		return pathError.Err
	}
	return err
}

// setOutputs writes all outputs, or none to the runner's file. A second call replaces what the first one wrote there.
func (r *report) setOutputs(outputs []output) (err error) {
	for i, o := range outputs {
		if o.name != "summary" { // which is clean, and not one line
			outputs[i].value = r.line(o.value, maxLine)
		}
	}
	if !r.actions && !r.printed {
		r.printed = true
		printed, omitted := format(r.args.inputs["output"]).print(outputs)
		if _, err := io.WriteString(r.stdout, printed); err != nil {
			return fmt.Errorf("writing to stdout: %w", withoutPath(err))
		}
		if len(omitted) > 0 {
			names := strings.Join(omitted, ", ")
			r.log(say("Omitted from the dotenv output, which cannot represent their values: %s.", names))
		}
	}
	if r.outputFile == nil {
		return nil
	}
	if r.written >= 0 {
		_ = r.outputFile.Truncate(r.written)
	}
	text, _ := forRunner.print(outputs)
	r.written, err = appendWhole(r.outputFile, text)
	return err
}

// writeSummary writes the summary to the file that the command line asks for.
func (r *report) writeSummary(markdown string) error {
	path := r.args.inputs["summary"]
	if path == "" || r.actions {
		return nil
	}
	//nolint:gosec // other users may read it, as they may the log
	if err := os.WriteFile(path, []byte(markdown), 0o644); err != nil {
		return fmt.Errorf("writing the summary: %w", withoutPath(err))
	}
	return nil
}

// addJobSummary appends to the job summary. An error is only a warning.
func (r *report) addJobSummary(markdown string) {
	if path := r.action.Getenv("GITHUB_STEP_SUMMARY"); path != "" || r.actions {
		file, err := openAppend(path)
		if err == nil {
			_, err = appendWhole(file, markdown)
			file.Close()
		}
		if err != nil {
			r.warn("No job summary", say("Writing it failed: %s", err.Error()))
		}
	}
}

// uses is the value of "uses" for this action: the repository and ref from the runner, or else the workflow's own
// repository.
func (r *report) uses() string {
	repository, ref := r.action.Getenv("GITHUB_ACTION_REPOSITORY"), r.action.Getenv("GITHUB_ACTION_REF")
	if !isName(repository, "._/-") || !isName(ref, "._/-") {
		return "./"
	}
	return repository + "@" + ref
}

// appendWhole appends text to a file in one write, starting on a new line, and returns the size before. If the write
// fails, it truncates the file to that size: the runner would take half an output for an error or, worse, an output.
func appendWhole(file *os.File, text string) (size int64, err error) {
	info, err := file.Stat()
	if err != nil {
		return 0, err
	}
	if size = info.Size(); size > 0 {
		last := make([]byte, 1)
		if _, err := file.ReadAt(last, size-1); err != nil || last[0] != '\n' {
			text = "\n" + text
		}
	}
	if _, err = file.WriteString(text); err != nil {
		_ = file.Truncate(size)
	}
	return size, withoutPath(err)
}
