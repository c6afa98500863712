package main

import (
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
		"GITHUB_ACTIONS=true", "INPUT_TOKEN=" + token, "INPUT_AGENT-ID=" + agentID, "INPUT_VERSION-ID=" + versionID, "INPUT_API-URL=" + base,
		// That authority alone, as curl has it; Go would read this machine's directory of certificates as well.
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

// curl is the change alone, as a workflow would send it that has no action for it.
func (b bench) curl(base string, options ...string) program {
	args := append([]string{"curl", "--silent", "--fail", "--retry", "4", "--cacert", b.api.authority}, options...)
	return program{"curl", append(args, "-X", "PATCH", "-H", "Authorization: Bearer "+token, "-H", "Content-Type: application/json",
		"-d", `{"version_id":"`+versionID+`"}`, base+"/v1/agent/"+agentID+"/published_version"), nil}
}

// compare lets the action take turns with each of the other programs, A B A B, so that whatever else the machine does
// meets both alike.
func (b bench) compare(base string) error {
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
	fmt.Println("| beside | its wall time, ms | the action's, ms | ratio | its peak memory, MiB |\n|---|---|---|---|---|")
	for _, other := range []struct {
		program
		rounds int
	}{
		{program{"the floor", []string{b.floor}, env}, 200},
		{b.curl(base), 200},
		{program{"JavaScript", []string{"node", "bench/javascript/publish.mjs"}, env}, 40},
	} {
		if !other.installed() {
			fmt.Printf("| %s | not installed here | | | |\n", other.name)
			continue
		}
		var its, ours, ratios []float64
		for range other.rounds {
			our, err := action.run()
			if err != nil {
				return err
			}
			it, err := other.run()
			if err != nil {
				return err
			}
			its, ours, ratios = append(its, it.Seconds()*1000), append(ours, our.Seconds()*1000), append(ratios, our.Seconds()/it.Seconds())
		}
		kib, err := other.peak()
		if err != nil {
			return err
		}
		fmt.Printf("| %s | %s | %s | %s | %.1f |\n", other.name, spread(its, 2), spread(ours, 2), spread(ratios, 3), float64(kib)/1024)
	}
	return nil
}

// start measures how long it takes from the fork to the first byte at the other end.
func (b bench) start() error {
	env, err := b.step(b.api.http)
	if err != nil {
		return err
	}
	fmt.Println("| | first byte after, ms |\n|---|---|")
	for _, p := range []program{{"the action", []string{b.action}, env}, {"the floor", []string{b.floor}, env}} {
		var firsts []float64
		for range 100 {
			b.api.firstByte.Store(0)
			start := time.Now()
			if _, err := p.run(); err != nil {
				return err
			}
			firsts = append(firsts, float64(b.api.firstByte.Load()-start.UnixNano())/1e6)
		}
		fmt.Printf("| %s | %s |\n", p.name, spread(firsts, 2))
	}
	return nil
}

// spread is the median of values, and their quartiles.
func spread(values []float64, digits int) string {
	values = slices.Sorted(slices.Values(values))
	at := func(quarter int) float64 { return values[(len(values)-1)*quarter/4] }
	return fmt.Sprintf("%.*f (%.*f to %.*f)", digits, at(2), digits, at(1), digits, at(3))
}

// versions looks for a version by its name among more and more.
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
	}
	return nil
}
