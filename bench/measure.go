package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"publish-agent-version/internal/sandbox"
)

const (
	runs      = 10
	roundTrip = 100 * time.Millisecond
)

// program is a program to run, with its environment besides PATH.
type program struct {
	name string
	args []string
	env  []string
}

// run runs p in a new world and returns what it took, in ms. The arguments before are of a program that runs it.
func (b *bench) run(p program, before ...string) (ms float64, output string) {
	b.changes = nil
	args := append(before, p.args...)
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(p.env, "PATH="+os.Getenv("PATH"))
	start := time.Now()
	out, err := cmd.CombinedOutput()
	took := time.Since(start)
	if err != nil {
		panic(fmt.Sprintf("%s: %v\n%s", p.name, err, out))
	}
	return took.Seconds() * 1000, string(out)
}

// peaks measures the peak memory of p in MiB. A small program has to start it: Linux counts that one's memory too.
func (b *bench) peaks(p program) (mib []float64) {
	for range runs {
		_, out := b.run(p, "time", "-f", "\n%M")
		lines := strings.Fields(out)
		mib = append(mib, must(strconv.ParseFloat(lines[len(lines)-1], 64))/1024)
	}
	return mib
}

func (b *bench) file(name string) string { return filepath.Join(b.dir, name) }

// step is a step that publishes by these inputs.
func (b *bench) step(name, base string, inputs ...string) program {
	authority, output := b.file("authority.pem"), b.file("output")
	check(os.WriteFile(output, nil, 0o600))
	env := []string{
		"GOMAXPROCS=1", // as in the image
		"SSL_CERT_FILE=" + authority, "SSL_CERT_DIR=" + b.file("none"), "NODE_EXTRA_CA_CERTS=" + authority,
		"GITHUB_ACTIONS=true", "GITHUB_OUTPUT=" + output, "GITHUB_STEP_SUMMARY=" + output,
		"INPUT_TOKEN=" + sandbox.Token, "INPUT_API-URL=" + base,
	}
	for _, input := range inputs {
		env = append(env, "INPUT_"+input)
	}
	return program{name, []string{b.file("publish-agent-version")}, env}
}

func (b *bench) byID(base string) program {
	return b.step("the action", base, "AGENT-ID="+sandbox.FrontDesk, "VERSION-ID="+sandbox.NextID)
}

// byName publishes one of three versions on a number that is bound already.
func (b *bench) byName(base string) program {
	return b.step("by name, with a number", base, "AGENT-ID="+sandbox.Support, "VERSION-NAME=support-3",
		"INBOUND-PHONE-NUMBER="+sandbox.HotlineNumber)
}

func (b *bench) byOldName(base string) program {
	return b.step(fmt.Sprintf("by name, of %d versions", sandbox.Versions), base,
		"AGENT-ID="+sandbox.FrontDesk, "VERSION-NAME="+sandbox.OldestName)
}

// curl sends only the change, as a workflow without the action would.
func (b *bench) curl(base string) program {
	return program{"curl", []string{
		"curl", "--silent", "--fail", "--retry", "4", "--cacert", b.file("authority.pem"),
		"-X", "PATCH", "-H", "Authorization: Bearer " + sandbox.Token, "-H", "Content-Type: application/json",
		"-d", `{"version_id":"` + sandbox.NextID + `"}`, base + "/v1/agent/" + sandbox.FrontDesk + "/published_version",
	}, nil}
}

// programs compares the action with programs that do the same or less.
func (b *bench) programs() {
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", b.dir+"/built/", ".", "./bench/floor")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		panic(string(out))
	}
	beside := func(base string) []program {
		action := b.byID(base)
		js := []string{"node", "bench/javascript/publish.mjs"}
		return []program{action, {"the floor", []string{b.file("floor")}, action.env}, b.curl(base), {"JavaScript", js, action.env}}
	}
	plain, plainRatios := b.compare(beside(b.http))
	secure, secureRatios := b.compare(beside(b.https))
	table := "| program | over HTTP, ms | action ÷ it | over TLS, ms | action ÷ it | peak memory, MiB |\n|---|---|---|---|---|---|\n"
	for i, p := range beside(b.https) {
		table += fmt.Sprintf("| %s | %s | %s | %s | %s | %s |\n", p.name, spread(plain[i], 2), spread(plainRatios[i], 3),
			spread(secure[i], 2), spread(secureRatios[i], 3), spread(b.peaks(p), 1))
	}
	b.put("programs", table)
	b.goal("time ÷ curl's, HTTP", 0.60, plainRatios[2], 3)
	b.goal("time ÷ curl's, TLS", 0.55, secureRatios[2], 3)
	b.goal("time ÷ the floor's, HTTP", 1.25, plainRatios[1], 3)
	b.goal("time ÷ the floor's, TLS", 1.15, secureRatios[1], 3)
	b.goal("peak memory, MiB, by id", 16, b.peaks(b.byID(b.https)), 1)
	b.goal("the same, by name, of 230 versions", 16, b.peaks(b.byOldName(b.https)), 1)
}

// compare runs programs in turn, so that other load on the machine affects all alike. It returns the medians of each
// run: of a program's times, and of the first program's time divided by this one's in the same round.
func (b *bench) compare(programs []program) (ms, ratios [][]float64) {
	const rounds, slowRounds = 40, 4
	ms, ratios = make([][]float64, len(programs)), make([][]float64, len(programs))
	for range runs {
		// A new copy, written from its beginning to its end as by unpacking an image: the layout in memory is random.
		check(exec.Command("cp", "--remove-destination", b.file("built/publish-agent-version"), b.file("built/floor"), b.dir).Run())
		took, ratio := make([][]float64, len(programs)), make([][]float64, len(programs))
		for round := range rounds {
			for i, p := range programs {
				if p.name == "JavaScript" && round >= slowRounds {
					continue
				}
				one, _ := b.run(p)
				took[i] = append(took[i], one)
				ratio[i] = append(ratio[i], took[0][round]/one)
			}
		}
		for i := range programs {
			ms[i], ratios[i] = append(ms[i], median(took[i])), append(ratios[i], median(ratio[i]))
		}
	}
	return ms, ratios
}

// network measures on a network with a long round trip. Setting up a connection takes two: TCP, and TLS 1.3.
func (b *bench) network() {
	table := "| what | over TLS with | requests | connections | bytes sent | received | ms | after set-up |\n|---|---|---|---|---|---|---|---|\n"
	for _, protocol := range []struct {
		name, base string
		most       float64 // ms after set-up: the round trips, and half of one for the program
	}{{"HTTP/2", b.https, 250}, {"HTTP/1.1", b.https1, 450}} {
		for i, with := range []func(base string) program{b.byID, b.byName, b.byOldName, b.curl} {
			listener := must(net.Listen("tcp", "127.0.0.1:0"))
			far := &farAway{server: strings.TrimPrefix(protocol.base, "https://")}
			go far.serve(listener)
			p := with("https://" + listener.Addr().String())
			b.requests = 0
			var all, afterSetUp []float64
			for range runs {
				ms, _ := b.run(p)
				all, afterSetUp = append(all, ms), append(afterSetUp, ms-2*float64(roundTrip.Milliseconds()))
			}
			table += fmt.Sprintf("| %s | %s | %d | %d | %d | %d | %s | %s |\n", p.name, protocol.name, b.requests/runs,
				far.connections.Load()/runs, far.sent.Load()/runs, far.received.Load()/runs, spread(all, 0), spread(afterSetUp, 0))
			if i < 2 {
				b.goal("requests, "+p.name+", "+protocol.name, 4, []float64{float64(b.requests) / runs}, 0)
				b.goal("ms after set-up, "+p.name+", "+protocol.name, protocol.most, afterSetUp, 0)
			}
		}
	}
	b.put("network", table)
}
