// Command bench measures the action: against programs that do the same, as an image, with many versions, and many at
// once. It prints the tables of its README:
//
//	go run ./bench [part of a title]
package main

import (
	"bufio"
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

func main() {
	dir, err := os.MkdirTemp("", "bench")
	if err == nil {
		defer os.RemoveAll(dir)
		err = run(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// bench is shared by the measurements.
type bench struct {
	dir           string // for files
	api           *api
	action, floor string // paths of the programs
	goals         *goals
}

func run(dir string) error {
	a, err := newAPI(dir)
	if err != nil {
		return err
	}
	b := bench{dir: dir, api: a, action: filepath.Join(dir, "action"), floor: filepath.Join(dir, "floor"), goals: new(goals)}
	if err := cmp.Or(build(b.action, "."), build(b.floor, "./bench/floor")); err != nil {
		return err
	}
	fmt.Println(machine())
	for _, section := range []struct {
		title   string
		measure func() error
	}{
		{"One publish by id, over HTTP", func() error { return b.compare(a.http, "HTTP") }},
		{"One publish by id, over TLS", func() error { return b.compare(a.https, "TLS") }},
		{"Before the first byte", b.start},
		{"A network round trip of 100 ms", b.latency},
		{"In one process", func() error { return goTest("./bench", "-run", "^$", "-bench", ".") }},
		{"Size", b.size},
		{"From uses: to done", b.image},
		{"Versions to look through", b.versions},
		{"Retries, in virtual time", func() error { return goTest("./bench", "-run", "Retries", "-v") }},
		{"Many at once, in virtual time", func() error { return goTest("./diga", "-run", "Fleet", "-v") }},
		{"Many at once, for real", b.fleet},
	} {
		if len(os.Args) > 1 && !strings.Contains(section.title, os.Args[1]) {
			continue
		}
		fmt.Printf("\n## %s\n\n", section.title)
		if err := section.measure(); err != nil {
			return err
		}
	}
	b.goals.print()
	return nil
}

// machine describes the machine.
func machine() string {
	release, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	cpu := "unknown processor"
	if file, err := os.Open("/proc/cpuinfo"); err == nil {
		defer file.Close()
		for lines := bufio.NewScanner(file); lines.Scan(); {
			if name, model, _ := strings.Cut(lines.Text(), ":"); strings.TrimSpace(name) == "model name" {
				cpu = strings.TrimSpace(model)
			}
		}
	}
	return fmt.Sprintf("%d × %s, Linux %s, %s", runtime.NumCPU(), cpu, strings.TrimSpace(string(release)), runtime.Version())
}

// goTest runs go test and prints the rows of tables and the results of benchmarks.
func goTest(args ...string) error {
	out, err := exec.Command("go", append([]string{"test", "-count=1"}, args...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("go test %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	for line := range strings.Lines(string(out)) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "|") || strings.HasPrefix(line, "Benchmark") {
			fmt.Println(line)
		}
	}
	return nil
}
