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
	"time"
)

var (
	simulations = flag.Int("simulations", 3000, "how many days TestSimulation makes up: seeds 1 to this")
	oneSeed     = flag.Uint64("seed", 0, "the one day that TestSimulation makes up, and tells the story of")
)

const (
	graceAfterTimeout = 6 * time.Second // for the read-back and the report
	graceAfterSignal  = time.Second
	maxUnknownShare   = 0.4 // of the runs whose read-back worked; measured: 0.32
)

// trace tells a run to somebody who wants to know what went wrong.
func (a *simulatedRun) trace() string {
	var text strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&text, format+"\n", args...) }
	line("go test ./publish -run '^TestSimulation$' -seed %d", a.api.seed)
	line("inputs:")
	for _, name := range slices.Sorted(maps.Keys(a.inputs)) {
		line("  %s: %s", name, shortenIDs(a.inputs[name]))
	}
	line("world: %+v\n  %+v", a.api.behavior, a.api.rates)
	line("  at first: %s", a.api.history[0].after)
	for _, n := range a.api.numbers[:min(len(a.api.numbers), 10)] {
		line("  %s: %s, %s", shortID(n.id), n.number, n.status)
	}
	for _, e := range a.api.events {
		line("%9.3f %s", e.at.Sub(a.start).Seconds(), e.text)
	}
	line("log:\n%s", shortenIDs(a.res.stdout+a.res.stderr))
	for _, name := range slices.Sorted(maps.Keys(a.res.outputs)) {
		line("%s=%s", name, shortenIDs(a.res.outputs[name]))
	}
	return text.String()
}

// statistics counts how runs end.
type statistics struct {
	mu       sync.Mutex
	statuses map[string]int
	changing int // a request for the change arrived
	verified int // and its outcome was decided by a read-back that worked
	unknown  int // of these
	broken   map[string]int
	traces   int
}

func (c *statistics) add(a *simulatedRun, broken map[string]string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.statuses[a.status()]++
	if len(a.patches()) > 0 {
		c.changing++
	}
	confirmed := slices.ContainsFunc(a.patches(), (*exchange).confirmed)
	if !confirmed && a.readBackWorked() {
		c.verified++
		if a.status() == "unknown" {
			c.unknown++
		}
	}
	for name := range broken {
		c.broken[name]++
	}
}

// maxTraces is how many failed runs are told in full.
const maxTraces = 5

// TestSimulation runs the step through made-up days, one for each seed, and holds what it says and does against the
// truth, which the simulated API knows.
func TestSimulation(t *testing.T) {
	c := &statistics{statuses: make(map[string]int), broken: make(map[string]int)}
	day := func(t *testing.T, seed uint64) {
		synctest.Test(t, func(t *testing.T) {
			a := simulate(t, seed)
			broken := a.brokenRules()
			c.add(a, broken)
			for _, name := range slices.Sorted(maps.Keys(broken)) {
				t.Errorf("seed %d: %s: %s", seed, name, broken[name])
			}
			if *oneSeed != 0 {
				t.Log(a.trace())
			} else if t.Failed() && c.logsTrace() {
				t.Log(a.trace())
			}
		})
	}
	if *oneSeed != 0 {
		day(t, *oneSeed)
		return
	}
	const shards = 4
	t.Run("days", func(t *testing.T) {
		for shard := range shards {
			t.Run(strconv.Itoa(shard), func(t *testing.T) {
				t.Parallel()
				for seed := 1 + shard; seed <= *simulations; seed += shards {
					t.Run(strconv.Itoa(seed), func(t *testing.T) { day(t, uint64(seed)) })
				}
			})
		}
	})
	t.Logf("%d days: ended %v; the change was sent on %d, its outcome read back on %d and unknown all the same on %d of these",
		*simulations, c.statuses, c.changing, c.verified, c.unknown)
	if len(c.broken) > 0 {
		t.Logf("broken: %v", c.broken)
	}
	if *simulations < 500 { // too few for a share to mean anything
		return
	}
	if float64(c.unknown) > maxUnknownShare*float64(c.verified) {
		t.Errorf("%d of %d outcomes that were read back are unknown", c.unknown, c.verified)
	}
	if c.statuses["offline"] == 0 {
		t.Error("no run found its agent offline")
	}
	for _, status := range []string{"published", "unpublished", "failed", "unknown", "dry-run", "live"} {
		if c.statuses[status] < *simulations/100 {
			t.Errorf("only %d runs of %d ended %s: too few to say anything about", c.statuses[status], *simulations, status)
		}
	}
	if c.changing < *simulations/2 || c.verified < *simulations/50 {
		t.Error("too few runs sent a change, or read its outcome back, to say anything about")
	}
}

// logsTrace reports whether one more story is told.
func (c *statistics) logsTrace() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.traces++
	return c.traces <= maxTraces
}
