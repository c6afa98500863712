package publish_test

import (
	"flag"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
)

var (
	simulations = flag.Int("simulations", 2500, "how many days TestSimulation makes up: seeds 1 to this; with -short, 500")
	oneSeed     = flag.Uint64("seed", 0, "the one day that TestSimulation makes up, and tells the story of")
)

const (
	maxUnknownShare = 0.2 // of the runs whose read-back worked; measured: 0.13
	maxTraces       = 5   // how many failed runs are told in full
)

// trace tells a run to somebody who wants to know what went wrong.
func (a *day) trace() string {
	var text strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&text, format+"\n", args...) }
	line("go test ./publish -run '^TestSimulation$' -seed %d\ninputs:", a.seed)
	for _, name := range slices.Sorted(maps.Keys(a.inputs)) {
		line("  %s: %s", name, a.inputs[name])
	}
	line("world: %+v\n  %+v\n  barred %+v, outage %s", a.is, a.rates, a.barred, a.outage)
	versions := a.first.Versions(agent)
	for _, v := range versions[max(0, len(versions)-10):] {
		line("  version %s: %q, number %d, draft %t, live %t", v.ID, v.Name, v.Number, v.Draft,
			v.ID == live(a.first, agent))
	}
	for _, p := range a.first.Phones()[:min(len(a.first.Phones()), 10)] {
		line("  %s: %s, %s, inbound %q, outbound %q", p.ID, p.Number, p.Status, a.first.Owner(p.ID, 0),
			a.first.Owner(p.ID, 1))
	}
	line("%s", strings.Join(a.story, "\n"))
	for _, c := range a.changes[1:] {
		line("%9.3f CHANGE by %d: %s, %v, %v", c.Time.Sub(a.start).Seconds(), c.Request, live(c.State, agent),
			c.State.Numbers(agent, 0), c.State.Numbers(agent, 1))
	}
	line("log:\n%s", a.res.stdout+a.res.stderr)
	for _, name := range slices.Sorted(maps.Keys(a.res.outputs)) {
		if name != "summary" {
			line("%s=%s", name, a.res.outputs[name])
		}
	}
	return text.String()
}

// statistics counts what happened on how many days.
type statistics struct {
	mu    sync.Mutex
	count map[string]int
}

// add counts a day and reports whether to tell its story.
func (c *statistics) add(a *day, broken map[string]string) (tell bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for what, is := range map[string]bool{
		a.status(): true, "sent": len(a.patches()) > 0, "launched": a.res.outputs["launched"] == "true",
		"fallen":    len(broken) > 0,
		"read back": a.isReadBack(), "read back, and unknown": a.isReadBack() && a.status() == "unknown",
	} {
		if is {
			c.count[what]++
		}
	}
	for name := range broken {
		c.count["broken: "+name]++
	}
	return len(broken) > 0 && c.count["fallen"] <= maxTraces
}

// TestSimulation runs the step through made-up days, one for each seed, and holds what it says and does against the
// truth, which the sandbox knows.
func TestSimulation(t *testing.T) {
	t.Parallel()
	c := &statistics{count: make(map[string]int)}
	play := func(t *testing.T, seed uint64) {
		synctest.Test(t, func(t *testing.T) {
			a := simulate(t, seed)
			broken := a.brokenRules()
			for _, name := range slices.Sorted(maps.Keys(broken)) {
				t.Errorf("seed %d: %s: %s", seed, name, broken[name])
			}
			if c.add(a, broken) || *oneSeed != 0 {
				t.Log(a.trace())
			}
		})
	}
	if *oneSeed != 0 {
		play(t, *oneSeed)
		return
	}
	if testing.Short() {
		*simulations = min(*simulations, 500)
	}
	const shards = 4
	t.Run("days", func(t *testing.T) {
		for shard := range shards {
			t.Run(strconv.Itoa(shard), func(t *testing.T) {
				t.Parallel()
				for seed := 1 + shard; seed <= *simulations; seed += shards {
					t.Run(strconv.Itoa(seed), func(t *testing.T) { play(t, uint64(seed)) })
				}
			})
		}
	})
	t.Logf("%d days: %v", *simulations, c.count)
	if *simulations < 500 { // too few for a share to mean anything
		return
	}
	if float64(c.count["read back, and unknown"]) > maxUnknownShare*float64(c.count["read back"]) {
		t.Error("too many outcomes that were read back are unknown")
	}
	for what, share := range map[string]int{
		"published": 4, "unpublished": 40, "failed": 10, "unknown": 100, "dry-run": 200, "live": 100, "offline": 500,
		"sent": 2, "launched": 50, "read back": 50,
	} {
		if c.count[what] < *simulations/share {
			t.Errorf("%s: only %d days of %d, too few to say anything about", what, c.count[what], *simulations)
		}
	}
}
