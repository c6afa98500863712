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
	simulations = flag.Int("simulations", 2500, "how many days TestSimulation makes up, from seed 1; with -short, 500")
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
	line("versions, of which %s is live: %.9000s", live(a.first, agent), fmt.Sprintf("%+v", a.first.Versions(agent)))
	line("numbers: %.9000s", toJSON(a.first.Phones()))
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

// TestSimulation runs the step through made-up days, one for each seed, and holds what it says and does against the
// truth, which the sandbox knows.
func TestSimulation(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	count := make(map[string]int) // of days
	play := func(t *testing.T, seed uint64) {
		synctest.Test(t, func(t *testing.T) {
			a := simulate(t, seed)
			broken := a.brokenRules()
			mu.Lock()
			defer mu.Unlock()
			for what, is := range map[string]bool{
				a.status(): true, "sent": len(a.patches()) > 0, "launched": a.res.outputs["launched"] == "true",
				"fallen":    len(broken) > 0,
				"read back": a.isReadBack(), "read back, and unknown": a.isReadBack() && a.status() == "unknown",
			} {
				if is {
					count[what]++
				}
			}
			for name, what := range broken {
				count["broken: "+name]++
				t.Errorf("seed %d: %s: %s", seed, name, what)
			}
			if len(broken) > 0 && count["fallen"] <= maxTraces || *oneSeed != 0 {
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
	t.Run("days", func(t *testing.T) {
		for seed := 1; seed <= *simulations; seed++ {
			t.Run(strconv.Itoa(seed), func(t *testing.T) {
				t.Parallel()
				play(t, uint64(seed))
			})
		}
	})
	t.Logf("%d days: %v", *simulations, count)
	if *simulations < 500 { // too few for a share to mean anything
		return
	}
	if float64(count["read back, and unknown"]) > maxUnknownShare*float64(count["read back"]) {
		t.Error("too many outcomes that were read back are unknown")
	}
	for what, share := range map[string]int{
		"published": 4, "unpublished": 40, "failed": 10, "unknown": 100, "dry-run": 200, "live": 100, "offline": 500,
		"sent": 2, "launched": 50, "read back": 50,
	} {
		if count[what] < *simulations/share {
			t.Errorf("%s: only %d days of %d, too few to say anything about", what, count[what], *simulations)
		}
	}
}
