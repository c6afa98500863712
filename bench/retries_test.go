package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"publish-agent-version/diga"
)

// pipe returns the near end of a connection to a minimal API that always gives the same response to a method.
func pipe(replies map[string]string) net.Conn {
	near, far := net.Pipe()
	go func() {
		defer far.Close()
		request := make([]byte, 4096)
		for {
			n, err := far.Read(request) // the whole request, because a client writes it at once
			if err != nil {
				return
			}
			method, _, _ := strings.Cut(string(request[:n]), " ")
			if _, err := far.Write([]byte(replies[method])); err != nil {
				return
			}
		}
	}()
	return near
}

func reply(status int, body string) string {
	return fmt.Sprintf("HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		status, http.StatusText(status), len(body), body)
}

// Retries take as long as the policy says: waits of 1 s, 2 s, 4 s and so on up to 20 s, each three quarters of that on
// average and at least half. "go test -run Retries -v" shows a table.
func TestRetries(t *testing.T) {
	const seeds = 50
	table := "\n| retries | by the policy, s | measured, s |\n|---|---|---|\n"
	most := time.Duration(0) // of all waits
	for retries := range 11 {
		if retries > 0 {
			most += min(20*time.Second, time.Second<<(retries-1))
		}
		var took []float64
		sum := 0.0
		for seed := range uint64(seeds) {
			synctest.Test(t, func(t *testing.T) {
				random := rand.New(rand.NewPCG(seed, 0))
				client := diga.Client{
					BaseURL: &url.URL{Scheme: "http", Host: "localhost"}, MaxRetries: retries,
					Jitter: func(limit time.Duration) time.Duration { return time.Duration(random.Int64N(int64(limit))) },
					Dial: func(context.Context, string, string) (net.Conn, error) {
						return pipe(map[string]string{"PATCH": reply(http.StatusServiceUnavailable, "")}), nil
					},
				}
				defer client.Close()
				start := time.Now()
				_, attempts, err := client.Publish(t.Context(), diga.Change{Version: uuid.NullUUID{Valid: true}})
				waited := time.Since(start)
				if err == nil || attempts != retries+1 || waited < most/2 || waited > most {
					t.Errorf("%d attempts in %s and %v, want %d in %s to %s", attempts, waited, err, retries+1, most/2, most)
				}
				took = append(took, waited.Seconds())
				sum += waited.Seconds()
			})
		}
		want := most.Seconds() * 3 / 4
		if mean := sum / seeds; mean < want*0.95 || mean > want*1.05 {
			t.Errorf("%d retries take %.2f s on average, want %.2f", retries, mean, want)
		}
		table += fmt.Sprintf("| %d | %.2f (%.1f to %.0f) | %s |\n", retries, want, most.Seconds()/2, most.Seconds(), spread(took, 2))
	}
	t.Log(table)
}
