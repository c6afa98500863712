package main

import (
	"errors"
	"fmt"
	"net/http/httptest"
	"sync"
	"time"

	"publish-agent-version/internal/sandbox"
)

// fleet starts many steps at once against the sandbox, far exceeding its rate limit.
func (b bench) fleet() error {
	const (
		rounds = 3
		steps  = 64
		sends  = 5                // requests of a step by id: four reads and the change
		drain  = 15 * time.Second // the limit lets half of the requests through at once and the others within this time
	)
	fmt.Println("| Retry-After | steps | all done after, s | requests a step |\n|---|---|---|---|")
	for i := range 2 * rounds {
		says := i >= rounds
		s := sandbox.New()
		s.Limit(steps*sends/2, drain, says)
		server := httptest.NewServer(s)
		step := program{"a step", []string{b.action}, []string{
			"GOMAXPROCS=1", "INPUT_TOKEN=" + sandbox.Token, "INPUT_AGENT-ID=" + sandbox.FrontDesk, "INPUT_VERSION-ID=" + sandbox.NextID, "INPUT_API-URL=" + server.URL,
		}}
		failures := make([]error, steps)
		start := time.Now()
		var running sync.WaitGroup
		for i := range steps {
			running.Go(func() { _, failures[i] = step.run() })
		}
		running.Wait()
		took := time.Since(start)
		server.Close()
		if err := errors.Join(failures...); err != nil {
			return err
		}
		header := map[bool]string{false: "none", true: "until one can pass"}[says]
		fmt.Printf("| %s | %d | %.1f | %.1f |\n", header, steps, took.Seconds(), float64(len(s.Requests()))/steps)
	}
	return nil
}
