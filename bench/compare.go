package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// step is the environment of a step that publishes by id.
func (b bench) step(base string) ([]string, error) {
	env := []string{
		"GOMAXPROCS=1", // as in the image
		"GITHUB_ACTIONS=true", "INPUT_TOKEN=" + token, "INPUT_AGENT-ID=" + agentID, "INPUT_VERSION-ID=" + versionID, "INPUT_API-URL=" + base,
		// Only that certificate, as for curl; Go would also read this machine's certificate directory.
		"SSL_CERT_FILE=" + b.api.authority, "SSL_CERT_DIR=" + filepath.Join(b.dir, "none"), "NODE_EXTRA_CA_CERTS=" + b.api.authority,
	}
	for _, name := range []string{"GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"} {
		path := filepath.Join(b.dir, name)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			return nil, err
		}
		env = append(env, name+"="+path)
	}
	return env, nil
}

// curl sends only the change, as a workflow without the action would.
func (b bench) curl(base string, options ...string) program {
	args := append([]string{"curl", "--silent", "--fail", "--retry", "4", "--cacert", b.api.authority}, options...)
	return program{"curl", append(args, "-X", "PATCH", "-H", "Authorization: Bearer "+token, "-H", "Content-Type: application/json",
		"-d", `{"version_id":"`+versionID+`"}`, base+"/v1/agent/"+agentID+"/published_version"), nil}
}

// compare runs the action and each other program in turn, A B A B, so that other load on the machine affects both
// alike. A ratio is the median over all runs of the median ratio of neighbors.
func (b bench) compare(base, over string) error {
	const runs, rounds = 10, 40
	env, err := b.step(base)
	if err != nil {
		return err
	}
	action := program{"the action", []string{b.action}, env}
	kib, err := action.peak()
	if err != nil {
		return err
	}
	fmt.Printf("Peak memory of the action: %.1f MiB.\n\n", float64(kib)/1024)
	fmt.Println("| beside | its wall time, ms | the action's, ms | ratio, median of ten runs | lowest and highest run | its peak memory, MiB |\n|---|---|---|---|---|---|")
	for _, other := range []struct {
		program
		goals map[string]float64
		every int // run only every n-th round, for a slow program
	}{
		{program{"the floor", []string{b.floor}, env}, map[string]float64{"HTTP": 1.2}, 1},
		{b.curl(base), map[string]float64{"HTTP": 0.5, "TLS": 0.7}, 1},
		{program{"JavaScript", []string{"node", "bench/javascript/publish.mjs"}, env}, map[string]float64{"HTTP": 0.04, "TLS": 0.04}, 10},
	} {
		if !other.installed() {
			fmt.Printf("| %s | not installed here | | | | |\n", other.name)
			continue
		}
		var its, ours, medians, firsts []float64
		for range runs {
			if err := cmp.Or(rewrite(b.action), rewrite(b.floor)); err != nil {
				return err
			}
			var ratios, firstRatios []float64
			for range rounds / other.every {
				our, ourFirst, err := b.firstByte(action)
				if err != nil {
					return err
				}
				it, itsFirst, err := b.firstByte(other.program)
				if err != nil {
					return err
				}
				its, ours, ratios = append(its, it), append(ours, our), append(ratios, our/it)
				firstRatios = append(firstRatios, ourFirst/itsFirst)
			}
			medians, firsts = append(medians, median(ratios)), append(firsts, median(firstRatios))
		}
		kib, err := other.peak()
		if err != nil {
			return err
		}
		fmt.Printf("| %s | %s | %s | %.3f | %.3f to %.3f | %.1f |\n", other.name, spread(its, 2), spread(ours, 2),
			median(medians), slices.Min(medians), slices.Max(medians), float64(kib)/1024)
		if most, ok := other.goals[over]; ok {
			b.goals.add("wall time against "+other.name+", "+over, most, medians)
		}
		if other.name == "the floor" && over == "HTTP" {
			b.goals.add("first byte against the floor's, HTTP", 1.3, firsts)
		}
	}
	return nil
}

// firstByte runs p and returns how long that took, and how long until its first byte arrived over HTTP, both in ms.
func (b bench) firstByte(p program) (wall, first float64, err error) {
	b.api.firstByte.Store(0)
	start := time.Now()
	took, err := p.run()
	return took.Seconds() * 1000, float64(b.api.firstByte.Load()-start.UnixNano()) / 1e6, err
}

// start measures the time from the fork to the first byte at the other end.
func (b bench) start() error {
	env, err := b.step(b.api.http)
	if err != nil {
		return err
	}
	programs := []program{{"the action", []string{b.action}, env}, {"the floor", []string{b.floor}, env}}
	firsts := make([][]float64, len(programs))
	for range 200 {
		for i, p := range programs {
			_, first, err := b.firstByte(p)
			if err != nil {
				return err
			}
			firsts[i] = append(firsts[i], first)
		}
	}
	fmt.Println("| | first byte after, ms |\n|---|---|")
	for i, p := range programs {
		fmt.Printf("| %s | %s |\n", p.name, spread(firsts[i], 2))
	}
	return nil
}

// goals are the rows of the table of goals.
type goals []string

// add adds the measurements of all runs. The goal is that their median is at most most.
func (g *goals) add(what string, most float64, runs []float64) {
	verdict := "met"
	if median(runs) > most {
		verdict = "missed"
	}
	got := fmt.Sprintf("%.4g", median(runs))
	if len(runs) > 1 {
		got += fmt.Sprintf(" (%.4g to %.4g)", slices.Min(runs), slices.Max(runs))
	}
	*g = append(*g, fmt.Sprintf("| %s | %g | %s | %s |", what, most, got, verdict))
}

func (g *goals) print() {
	if len(*g) > 0 {
		fmt.Printf("\n## Goals\n\n| what | goal, at most | median (lowest to highest run) | |\n|---|---|---|---|\n%s\n", strings.Join(*g, "\n"))
	}
}

func median(values []float64) float64 {
	return slices.Sorted(slices.Values(values))[(len(values)-1)/2]
}

// spread is the median of values with their quartiles.
func spread(values []float64, digits int) string {
	values = slices.Sorted(slices.Values(values))
	at := func(quarter int) float64 { return values[(len(values)-1)*quarter/4] }
	return fmt.Sprintf("%.*f (%.*f to %.*f)", digits, at(2), digits, at(1), digits, at(3))
}

// versions looks up a version by name among more and more versions.
func (b bench) versions() error {
	const rounds = 10
	fmt.Println("| versions | requests | wall time, ms | peak memory, MiB |\n|---|---|---|---|")
	for _, n := range []int{1, 10, 100, 1000, 10_000} {
		b.api.list(n)
		env, err := b.step(b.api.http)
		if err != nil {
			return err
		}
		env = slices.DeleteFunc(env, func(v string) bool { return strings.HasPrefix(v, "INPUT_VERSION-ID=") })
		p := program{"the action", []string{b.action}, append(env, "INPUT_VERSION-NAME=v1")}
		var walls []float64
		for range rounds {
			b.api.requests.Store(0)
			wall, err := p.run()
			if err != nil {
				return err
			}
			walls = append(walls, wall.Seconds()*1000)
		}
		requests := b.api.requests.Load()
		kib, err := p.peak()
		if err != nil {
			return err
		}
		fmt.Printf("| %d | %d | %s | %.1f |\n", n, requests, spread(walls, 1), float64(kib)/1024)
		b.goals.add(fmt.Sprintf("peak memory, MiB, %d versions", n), 16, []float64{float64(kib) / 1024})
	}
	return nil
}
