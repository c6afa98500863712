// Command floor sends only the requests of one publish by ID, with concurrent reads: the minimum that they cost in Go.
package main

import (
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
)

func main() {
	base := os.Getenv("INPUT_API-URL") + "/v1/"
	id := os.Getenv("INPUT_AGENT-ID")
	agent := base + "agent/" + id
	if transport := http.DefaultTransport.(*http.Transport); strings.HasPrefix(base, "https:") {
		transport.MaxConnsPerHost = 1 // over HTTP/2 one is enough, but net/http would find out too late
	}
	var reads sync.WaitGroup
	for _, url := range []string{
		agent + "?is_published=true",
		agent + "?version_id=" + os.Getenv("INPUT_VERSION-ID"),
		base + "phone/?inbound_agent_id=" + id + "&limit=100",
		base + "phone/?limit=100&outbound_agent_id=" + id,
	} {
		reads.Go(func() { send(http.MethodGet, url, "") })
	}
	reads.Wait()
	if send(http.MethodPatch, agent+"/published_version", `{"version_id":"`+os.Getenv("INPUT_VERSION-ID")+`"}`) != http.StatusOK {
		panic("not published")
	}
}

// send returns the status once the whole response has arrived.
func send(method, url, body string) int {
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		panic(err)
	}
	req.Header.Set("Authorization", "Bearer "+os.Getenv("INPUT_TOKEN"))
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		panic(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		panic(err)
	}
	return resp.StatusCode
}
