package main

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"
)

const roundTrip = 100 * time.Millisecond

// latency measures a publish over a network with a long round trip, compared with only curl's PATCH. The number of
// round trips is the time added by the delay, divided by the delay.
func (b bench) latency() error {
	const rounds = 9
	b.api.phones.Store(true)
	defer b.api.phones.Store(false)
	b.api.list(10)
	fmt.Println("| what | over | requests | connections | ms | round trips | more than curl's PATCH, ms |\n|---|---|---|---|---|---|---|")
	for _, protocol := range []struct{ name, base, curl string }{
		{"HTTP/2, TLS", b.api.https, "--http2"}, {"HTTP/1.1, TLS", b.api.https1, "--http1.1"}, {"HTTP/1.1", b.api.http, "--http1.1"},
	} {
		scheme, server, _ := strings.Cut(protocol.base, "://")
		near, err := newDelayingProxy(server, 0)
		if err != nil {
			return err
		}
		defer near.Close()
		far, err := newDelayingProxy(server, roundTrip)
		if err != nil {
			return err
		}
		defer far.Close()

		// programs returns the programs to compare, with the far and the near address.
		programs := func(proxy *delayingProxy) ([]program, error) {
			base := scheme + "://" + proxy.listener.Addr().String()
			env, err := b.step(base)
			if err != nil {
				return nil, err
			}
			byName := append(slices.DeleteFunc(slices.Clone(env), func(v string) bool { return strings.HasPrefix(v, "INPUT_VERSION-ID=") }),
				"INPUT_VERSION-NAME=v1")
			withNumber := func(env []string) []string { return append(slices.Clone(env), "INPUT_INBOUND-PHONE-NUMBER="+number) }
			action := []string{b.action}
			programs := []program{
				{"by id", action, env}, {"by name", action, byName},
				{"by id, with a number", action, withNumber(env)}, {"by name, with a number", action, withNumber(byName)},
			}
			if _, err := exec.LookPath("curl"); err == nil {
				programs = append(programs, b.curl(base, protocol.curl))
			}
			return programs, nil
		}
		nearby, err := programs(near)
		if err != nil {
			return err
		}
		distant, err := programs(far)
		if err != nil {
			return err
		}
		walls, trips := make([][]float64, len(distant)), make([][]float64, len(distant))
		requests, connections := make([]int64, len(distant)), make([]int64, len(distant))
		for range rounds {
			for i := range distant {
				requestsBefore, connectionsBefore := b.api.requests.Load(), far.connections.Load()
				wall, err := distant[i].run()
				if err != nil {
					return err
				}
				requests[i], connections[i] = b.api.requests.Load()-requestsBefore, far.connections.Load()-connectionsBefore
				undelayed, err := nearby[i].run()
				if err != nil {
					return err
				}
				walls[i] = append(walls[i], wall.Seconds()*1000)
				trips[i] = append(trips[i], (wall-undelayed).Seconds()/roundTrip.Seconds())
			}
		}
		for i, p := range distant {
			more := ""
			if last := len(distant) - 1; distant[last].name == "curl" && i < last {
				var differences []float64
				for round, wall := range walls[i] {
					differences = append(differences, wall-walls[last][round])
				}
				more = spread(differences, 0)
				b.goals.add(p.name+" over "+protocol.name+", ms more than curl's PATCH", float64(roundTrip.Milliseconds()+20), differences)
			}
			fmt.Printf("| %s | %s | %d | %d | %s | %s | %s |\n", p.name, protocol.name, requests[i], connections[i],
				spread(walls[i], 0), spread(trips[i], 2), more)
		}
	}
	return nil
}
