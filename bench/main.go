// Command bench measures what a publish costs, and prints the tables of its README:
//
//	go run ./bench [-write]    # needs curl and GNU time
//
// -write also puts the tables into the README. Any failure is a panic: half a measurement is none.
package main

import (
	"encoding/pem"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"slices"
	"strings"

	"publish-agent-version/internal/sandbox"
)

// bench is what the measurements share.
type bench struct {
	api                 *sandbox.Sandbox // of the run
	http, https, https1 string           // base URLs: HTTP/1.1, HTTP/2 over TLS, HTTP/1.1 over TLS
	dir                 string           // for files
	goals               strings.Builder  // rows of a table
	write               bool             // tables into the README
}

func main() {
	b := &bench{dir: must(os.MkdirTemp("", "bench"))}
	defer os.RemoveAll(b.dir)
	flag.BoolVar(&b.write, "write", false, "put the tables into bench/README.md")
	flag.Parse()
	api := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { b.api.ServeHTTP(w, r) })
	plain, secure, secure1 := httptest.NewServer(api), httptest.NewUnstartedServer(api), httptest.NewTLSServer(api)
	secure.EnableHTTP2 = true
	secure.StartTLS()
	b.http, b.https, b.https1 = plain.URL, secure.URL, secure1.URL
	certificate := &pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw} // both have the same
	check(os.WriteFile(b.dir+"/authority.pem", pem.EncodeToMemory(certificate), 0o600))
	b.programs()
	b.network()
	b.fleets()
	cpu := strings.TrimSpace(sh("sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1"))
	load, _, _ := strings.Cut(sh("cat /proc/loadavg"), " ")
	machine := fmt.Sprintf("%d × %s, %s, load %s", runtime.NumCPU(), cpu, runtime.Version(), load)
	fmt.Fprintf(&b.goals, "| measured on | | %s | |\n", machine)
	b.put("| what | goal | median (lowest to highest) | |", b.goals.String())
}

// goal adds a goal: the median of values is at most most.
func (b *bench) goal(what string, most float64, values []float64, digits int) {
	met := verdict(median(values) <= most)
	fmt.Fprintf(&b.goals, "| %s | %g | %s | %s |\n", what, most, spread(values, digits), met)
}

func verdict(met bool) string { return map[bool]string{true: "met", false: "**missed**"}[met] }

// put prints a table, and replaces the one with this head in the README.
func (b *bench) put(head, rows string) {
	head += "\n" + strings.Repeat("|---", strings.Count(head, "|")-1) + "|\n"
	fmt.Println(head + rows)
	if !b.write {
		return
	}
	const readme = "bench/README.md"
	before, old, found := strings.Cut(string(must(os.ReadFile(readme))), head)
	_, after, ended := strings.Cut(old, "\n\n")
	if !found || !ended {
		panic(readme + " lacks " + head)
	}
	check(os.WriteFile(readme, []byte(before+head+rows+"\n"+after), 0o600))
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
