package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"publish-agent-version/internal/sandbox"
)

const runs, roundTrip = 10, 100 * time.Millisecond

// program is a program to run: its arguments, and its environment besides PATH.
type program struct {
	name string
	args []string
	env  []string
}

// run runs p against a new API, and says how long it took in ms.
func (b *bench) run(p program) (ms float64, output string) {
	b.api = newAPI()
	cmd := exec.Command(p.args[0], p.args[1:]...)
	cmd.Env = append(p.env, "PATH="+os.Getenv("PATH"))
	start := time.Now()
	out, err := cmd.CombinedOutput()
	ms = time.Since(start).Seconds() * 1000
	if err != nil {
		panic(fmt.Sprintf("%s: %v\n%s", p.name, err, out))
	}
	return ms, string(out)
}

// peaks measures the peak memory of p in MiB. Linux counts what started a program, too: time is smaller than bench.
func (b *bench) peaks(p program) (mib []float64) {
	p.args = append([]string{"time", "--format=\n%M"}, p.args...)
	for range runs {
		_, out := b.run(p)
		lines := strings.Fields(out)
		mib = append(mib, must(strconv.ParseFloat(lines[len(lines)-1], 64))/1024)
	}
	return mib
}

// step is a step with these inputs.
func (b *bench) step(name, base string, inputs ...string) program {
	output := b.dir + "/output"
	sh(": >" + output + " >" + output + ".md") // new and empty, as the runner makes them
	return program{name, []string{b.dir + "/publish-agent-version"}, append([]string{
		"GOMAXPROCS=1", // as in the image
		"SSL_CERT_FILE=" + b.dir + "/authority.pem", "SSL_CERT_DIR=/none",
		"GITHUB_ACTIONS=true", "GITHUB_OUTPUT=" + output, "GITHUB_STEP_SUMMARY=" + output + ".md",
		"INPUT_TOKEN=" + sandbox.Token, "INPUT_API-URL=" + base,
	}, inputs...)}
}

func (b *bench) byID(base string) program {
	return b.step("by id", base, "INPUT_AGENT-ID="+sandbox.FrontDesk, "INPUT_VERSION-ID="+sandbox.NextID)
}

// curl sends only the change, as a workflow without the action would.
func (b *bench) curl(base string) program {
	return program{"curl", []string{
		"curl", "--silent", "--fail", "--retry", "4", "--cacert", b.dir + "/authority.pem",
		"-X", "PATCH", "-H", "Authorization: Bearer " + sandbox.Token, "-H", "Content-Type: application/json",
		"-d", `{"version_id":"` + sandbox.NextID + `"}`, base + "/v1/agent/" + sandbox.FrontDesk + "/published_version",
	}, nil}
}

// programs compares the action with programs that do less.
func (b *bench) programs() {
	sh("CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o " + b.dir + "/built/ . ./bench/floor")
	beside := func(base string) []program {
		action := b.byID(base)
		action.name = "the action"
		return []program{action, {"the floor", []string{b.dir + "/floor"}, action.env}, b.curl(base)}
	}
	plain, plainRatios := b.compare(beside(b.http))
	programs := beside(b.https)
	secure, secureRatios := b.compare(programs)
	var rows strings.Builder
	for i, p := range programs {
		fmt.Fprintf(&rows, "| %s | %s | %s | %s | %s | %s |\n", p.name, spread(plain[i], 1), spread(plainRatios[i], 3),
			spread(secure[i], 1), spread(secureRatios[i], 3), spread(b.peaks(p), 1))
	}
	b.put("| program | over HTTP, ms | action ÷ it | over TLS, ms | action ÷ it | peak memory, MiB |", rows.String())
	b.goal("time ÷ curl's, HTTP", 0.60, plainRatios[2], 3)
	b.goal("time ÷ curl's, TLS", 0.55, secureRatios[2], 3)
	b.goal("time ÷ the floor's, HTTP", 1.25, plainRatios[1], 3)
	b.goal("time ÷ the floor's, TLS", 1.15, secureRatios[1], 3)
}

// compare runs programs in turn, so that other load on the machine affects all alike. It returns the medians of each
// run: of each program's time, and of the first program's time divided by that of the same round.
func (b *bench) compare(programs []program) (ms, ratios [][]float64) {
	const rounds = 30
	ms, ratios = make([][]float64, len(programs)), make([][]float64, len(programs))
	for range runs {
		// Each run has new copies, because how a file is laid out in memory is random; dd writes each at once.
		sh("cd " + b.dir + "/built; for f in *; do rm -f ../$f; dd bs=64M if=$f of=../$f; chmod +x ../$f; done")
		took, ratio := make([][]float64, len(programs)), make([][]float64, len(programs))
		for round := range rounds {
			for i, p := range programs {
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
	var rows strings.Builder
	for _, protocol := range []struct {
		name, base string
		most       float64 // ms after set-up: two or four round trips, and half of one for the program
	}{{"HTTP/2", b.https, 250}, {"HTTP/1.1", b.https1, 450}} {
		far := &farAway{Listener: must(net.Listen("tcp", "127.0.0.1:0"))}
		go far.serve(strings.TrimPrefix(protocol.base, "https://"))
		base := "https://" + far.Addr().String()
		for i, p := range []program{
			b.byID(base),
			b.step("by name, with a number", base, "INPUT_AGENT-ID="+sandbox.Support, "INPUT_VERSION-NAME=support-3",
				"INPUT_INBOUND-PHONE-NUMBER="+sandbox.HotlineNumber),
			b.step(fmt.Sprint("by name, of ", sandbox.Versions), base, "INPUT_AGENT-ID="+sandbox.FrontDesk,
				"INPUT_VERSION-NAME="+sandbox.OldestName),
			b.curl(base),
		} {
			requests := 0
			far.connections.Store(0)
			far.sent.Store(0)
			far.received.Store(0)
			var total, afterSetUp []float64
			for range runs {
				ms, _ := b.run(p)
				requests += len(b.api.Requests())
				total, afterSetUp = append(total, ms), append(afterSetUp, ms-2*float64(roundTrip.Milliseconds()))
			}
			fmt.Fprintf(&rows, "| %s | %s | %d | %d | %d | %d | %s | %s |\n", p.name, protocol.name, requests/runs,
				far.connections.Load()/runs, far.sent.Load()/runs, far.received.Load()/runs,
				spread(total, 0), spread(afterSetUp, 0))
			if i < 2 && protocol.name == "HTTP/2" {
				b.goal("requests "+p.name, 4, []float64{float64(requests) / runs}, 0)
			}
			if i == 2 && protocol.name == "HTTP/2" {
				b.goal("peak memory, MiB, "+p.name, 16, b.peaks(p), 1)
			}
			if i == 0 {
				b.goal("at 100 ms, ms after set-up, "+protocol.name, protocol.most, afterSetUp, 0)
			}
		}
	}
	b.put("| what | over TLS | requests | connections | bytes sent | received | ms | after set-up |", rows.String())
}

// fleets runs the test of fleets on new seeds. It fails if a goal is missed.
func (b *bench) fleets() {
	seed := fmt.Sprint("-seed=", time.Now().Unix())
	out, err := exec.Command("go", "test", "./bench", "-v", "-run=Fleets", seed).CombinedOutput()
	_, table, found := strings.Cut(string(out), "|---|\n")
	rows, worst, _ := strings.Cut(table, "worst: ")
	worst, _, _ = strings.Cut(worst, "\n")
	if !found {
		panic(string(out))
	}
	fmt.Fprintf(&b.goals, "| 256 steps at once | all, 1.5 × ideal, 0 lost | %s | %s |\n", worst, verdict(err == nil))
	b.put("| limit | Retry-After | steps failed | numbers lost | time ÷ ideal | requests a step |", rows)
}

// sh runs a command and returns what it prints.
func sh(command string) string {
	out, err := exec.Command("sh", "-c", command).CombinedOutput()
	if err != nil {
		panic(fmt.Sprintf("%s: %v\n%s", command, err, out))
	}
	return string(out)
}
