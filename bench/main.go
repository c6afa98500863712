// Command bench measures what a publish costs, and prints the tables of its README:
//
//	go run ./bench [-write]         # all but the image; needs curl, node and GNU time
//	go run ./bench [-write] image   # the image; needs Docker and docker-registry
//
// -write also puts the tables into bench/README.md. A failure is a panic: half a measurement is none.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"
)

// bench is what the measurements share.
type bench struct {
	api
	dir   string          // for files
	goals strings.Builder // a table
	write bool            // into the README
}

func main() {
	b := &bench{api: newAPI()}
	flag.BoolVar(&b.write, "write", false, "put the tables into bench/README.md")
	flag.Parse()
	b.dir = must(os.MkdirTemp("", "bench"))
	defer os.RemoveAll(b.dir)
	check(os.WriteFile(b.file("authority.pem"), b.certificate, 0o600))
	if flag.Arg(0) == "image" {
		b.image()
		return
	}
	b.goals.WriteString("| what | goal | median (lowest to highest) | |\n|---|---|---|---|\n")
	b.programs()
	b.network()
	b.fleets()
	cpu := string(must(os.ReadFile("/proc/cpuinfo")))
	_, cpu, _ = strings.Cut(cpu, "model name\t: ")
	cpu, _, _ = strings.Cut(cpu, "\n")
	fmt.Fprintf(&b.goals, "\nMeasured on %d × %s with %s.\n", runtime.NumCPU(), cpu, runtime.Version())
	b.put("goals", b.goals.String())
}

// fleets runs the test of fleets on new seeds. It has failed if a goal is missed.
func (b *bench) fleets() {
	seed := fmt.Sprint(time.Now().Unix())
	out, err := exec.Command("go", "test", "./bench", "-count=1", "-v", "-run", "TestFleets", "-seed", seed).CombinedOutput()
	begin, worst, found := strings.Cut(string(out), "worst: ")
	if !found {
		panic(string(out))
	}
	worst, _, _ = strings.Cut(worst, "\n")
	fmt.Fprintf(&b.goals, "| 256 steps at once | all, 1.5 × ideal, no number lost | %s | %s |\n", worst, verdict(err == nil))
	b.put("fleets", begin[strings.Index(begin, "|"):])
}

// goal adds a goal: the median of values is at most most.
func (b *bench) goal(what string, most float64, values []float64, digits int) {
	fmt.Fprintf(&b.goals, "| %s | %g | %s | %s |\n", what, most, spread(values, digits), verdict(median(values) <= most))
}

func verdict(met bool) string {
	if met {
		return "met"
	}
	return "**missed**"
}

// put prints a table, and puts it where the README has a place for it.
func (b *bench) put(name, table string) {
	fmt.Printf("%s:\n\n%s\n", name, table)
	if !b.write {
		return
	}
	const readme = "bench/README.md"
	before, rest, found := strings.Cut(string(must(os.ReadFile(readme))), "<!-- "+name+" -->\n")
	_, after, ended := strings.Cut(rest, "<!-- end -->")
	if !found || !ended {
		panic(readme + " has no place for " + name)
	}
	check(os.WriteFile(readme, []byte(before+"<!-- "+name+" -->\n"+table+"<!-- end -->"+after), 0o600))
}

// spread is the median of values, with the lowest and the highest.
func spread(values []float64, digits int) string {
	least, most := slices.Min(values), slices.Max(values)
	if least == most {
		return fmt.Sprintf("%.*f", digits, least)
	}
	return fmt.Sprintf("%.*f (%.*f to %.*f)", digits, median(values), digits, least, digits, most)
}

func median(values []float64) float64 {
	return slices.Sorted(slices.Values(values))[(len(values)-1)/2]
}

func must[T any](value T, err error) T {
	check(err)
	return value
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
