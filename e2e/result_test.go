package e2e

import (
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"publish-agent-version/internal/runner"
	"publish-agent-version/internal/sandbox"
)

// start starts the container.
func (j *job) start() {
	j.Helper()
	j.client, j.ended = j.command(), make(chan struct{})
	j.client.Stdout, j.client.Stderr = &j.output, &j.output
	if err := j.client.Start(); err != nil {
		j.Fatal(err)
	}
	j.Cleanup(func() { _ = exec.Command(j.engine, "rm", "--force", j.name).Run() })
	go func() {
		defer close(j.ended)
		_ = j.client.Wait() // the exit status is in ProcessState
	}()
}

// quoted returns the log with a prefix on each line, so that a runner of these tests does not run its commands.
func (j *job) quoted() string {
	return "| " + strings.Join(runner.Lines(j.output.String()), "\n| ")
}

// result is a step's output as the runner parses it.
type result struct {
	exit     int
	log      *runner.Log
	outputs  map[string]string // without error-message and summary
	message  string            // error-message
	summary  string
	commands []string // "name title", in order
}

// finish waits for the container and checks what holds for every step: the container is removed, no command and no output
// fails the step, and the token appears nowhere.
func (j *job) finish() result {
	j.Helper()
	<-j.ended
	j.Cleanup(func() {
		if j.Failed() {
			j.Logf("the step's log:\n%s", j.quoted())
		}
	})
	r := result{exit: j.client.ProcessState.ExitCode(), outputs: make(map[string]string), summary: j.read(summaryFile)}
	if left := command(j.T, j.engine, "ps", "--all", "--quiet", "--filter", "name="+j.name); left != "" {
		j.Errorf("the container was not removed: %s", left)
	}

	r.log = runner.ReadLog(j.output.String())
	for _, c := range r.log.Commands {
		r.commands = append(r.commands, strings.TrimSpace(c.Name+" "+c.Properties["title"]))
	}
	if len(r.log.Failures) > 0 {
		j.Errorf("commands that fail the step: %v", r.log.Failures)
	}
	file := j.read(outputFile)
	outputs, err := runner.Outputs(file)
	if err != nil {
		j.Errorf("the output file: %v", err)
	}
	for _, o := range outputs {
		if _, ok := r.outputs[o.Name]; ok {
			j.Errorf("the output %s is set twice", o.Name)
		}
		r.outputs[o.Name] = o.Value
	}
	r.message = r.outputs["error-message"]
	delete(r.outputs, "error-message")
	if output, set := r.outputs["summary"]; set && output+"\n" != r.summary {
		j.Errorf("the output summary is not the job summary:\n%s", output)
	}
	delete(r.outputs, "summary")

	for where, text := range map[string]string{
		"log": strings.Join(r.log.Printed, "\n"), "output file": file, "summary": r.summary, "command line": strings.Join(j.client.Args, " "),
	} {
		if found := runner.FindSecret(text, sandbox.Token); len(found) > 0 {
			j.Errorf("the token appears in the %s: %q", where, found)
		}
	}
	return r
}

// run starts the container and waits for it.
func (j *job) run() result {
	j.Helper()
	j.start()
	return j.finish()
}

// want checks the exit status, the commands and the outputs exactly. It expects one annotation besides the warnings, which
// begins like error-message if the step failed: an annotation is short.
func (r result) want(t *testing.T, exit int, commands []string, outputs map[string]string) {
	t.Helper()
	if r.exit != exit {
		t.Errorf("exit status %d, want %d", r.exit, exit)
	}
	if !slices.Equal(r.commands, commands) {
		t.Errorf("commands %q, want %q", r.commands, commands)
	}
	if !maps.Equal(r.outputs, outputs) {
		t.Errorf("outputs\n%q, want\n%q", r.outputs, outputs)
	}
	if r.summary == "" {
		t.Error("no job summary")
	}
	annotations := slices.DeleteFunc(r.log.Annotations(), func(a runner.Annotation) bool { return a.Level == "warning" })
	if len(annotations) != 1 {
		t.Errorf("annotations %+v, want one", annotations)
	} else if failed := exit != 0; failed != (r.message != "") || !strings.HasPrefix(annotations[0].Message, r.message[:min(len(r.message), 40)]) {
		t.Errorf("the output error-message is %q, the annotation says %q", r.message, annotations[0].Message)
	}
}
