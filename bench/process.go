package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// program is a program to run: its arguments, and its environment besides PATH.
type program struct {
	name string
	args []string
	env  []string
}

// installed reports whether p can be run here.
func (p program) installed() bool {
	_, err := exec.LookPath(p.args[0])
	return err == nil
}

func (p program) command() *exec.Cmd {
	cmd := exec.Command(p.args[0], p.args[1:]...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}, p.env...)
	return cmd
}

// run runs p and returns the time from the fork to its exit.
func (p program) run() (time.Duration, error) {
	cmd := p.command()
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	start := time.Now()
	err := cmd.Run()
	took := time.Since(start)
	if err != nil {
		err = fmt.Errorf("%s: %w\n%s", p.name, err, &output)
	}
	return took, err
}

// peak runs p and returns its peak memory in KiB. It reads that just before the process exits: ru_maxrss from wait4 is
// at least what this program held when it started p.
func (p program) peak() (int, error) {
	runtime.LockOSThread() // only the thread that started a process may trace it
	defer runtime.UnlockOSThread()
	cmd := p.command()
	cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	pid, kib := cmd.Process.Pid, 0
	for began := false; ; {
		var status syscall.WaitStatus
		if _, err := syscall.Wait4(pid, &status, 0, nil); err != nil {
			return 0, err
		}
		var signal syscall.Signal // to pass on
		switch {
		case status.Exited() && status.ExitStatus() == 0:
			return kib, nil
		case !status.Stopped():
			return 0, fmt.Errorf("%s ended with status %#x", p.name, int(status))
		case !began: // the process stops once when it starts
			began = true
			if err := syscall.PtraceSetOptions(pid, syscall.PTRACE_O_TRACEEXIT); err != nil {
				return 0, err
			}
		case status.TrapCause() == syscall.PTRACE_EVENT_EXIT:
			text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
			if err != nil {
				return 0, err
			}
			_, rest, _ := strings.Cut(string(text), "VmHWM:")
			if kib, err = strconv.Atoi(strings.Fields(rest)[0]); err != nil {
				return 0, err
			}
		default:
			signal = status.StopSignal()
		}
		if err := syscall.PtraceCont(pid, int(signal)); err != nil {
			return 0, err
		}
	}
}

// build builds a package with the flags of the Dockerfile.
func build(path, pkg string) error {
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w -X main.version=bench",
		"-gcflags=net/http=-l", "-gcflags=crypto/tls=-l", "-gcflags=publish-agent-version/...=-l", "-o", path, pkg) // as the Dockerfile does
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s: %w\n%s", pkg, err, out)
	}
	return rewrite(path)
}

// rewrite rewrites a program sequentially, as unpacking an image does. Run as the linker left it, it takes a sixth
// longer, and copies differ by a few percent: how a file is laid out in memory is random.
func rewrite(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o700)
}
