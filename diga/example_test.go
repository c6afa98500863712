package diga_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"time"

	"github.com/google/uuid"

	"publish-agent-version/diga"
)

var (
	agent   = uuid.MustParse("a0000000-0000-4000-8000-000000000001")
	version = uuid.MustParse("b0000000-0000-4000-8000-000000000002")
	number  = uuid.MustParse("c0000000-0000-4000-8000-000000000003")
)

// newClient returns a Client for a server that always sends the same response, and a function that closes both.
func newClient(status int, body string) (client *diga.Client, closeBoth func()) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	base, err := url.Parse(server.URL)
	if err != nil {
		panic(err)
	}
	client = &diga.Client{BaseURL: base, Token: "token", UserAgent: "example/1.0", RequestID: uuid.New(), MaxRetries: 4}
	return client, func() { client.Close(); server.Close() }
}

func ExampleClient_Publish() {
	client, closeBoth := newClient(http.StatusOK, `{
		"agent_id": "a0000000-0000-4000-8000-000000000001",
		"published_version_id": "b0000000-0000-4000-8000-000000000002",
		"inbound_phone_number_id": "c0000000-0000-4000-8000-000000000003"
	}`)
	defer closeBoth()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()

	change := diga.Change{Agent: agent, Version: uuid.NullUUID{UUID: version, Valid: true}}
	change.Bindings[diga.Inbound].Phone = uuid.NullUUID{UUID: number, Valid: true}
	confirmed, attempts, err := client.Publish(ctx, change)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("version", confirmed.Version.UUID)
	fmt.Println("answers calls to", confirmed.Phones[diga.Inbound].UUID)
	fmt.Println("attempts:", attempts)
	// Output:
	// version b0000000-0000-4000-8000-000000000002
	// answers calls to c0000000-0000-4000-8000-000000000003
	// attempts: 1
}

func ExampleClient_Publish_error() {
	client, closeBoth := newClient(http.StatusNotFound, `{"status": "error", "error_code": "AGENT_NOT_FOUND", "message": "No such agent"}`)
	defer closeBoth()

	_, _, err := client.Publish(context.Background(), diga.Change{Agent: agent, Unpublish: true})
	if e, ok := errors.AsType[*diga.Error](err); ok {
		fmt.Println(e)
		fmt.Println(e.Code, e.Effect == diga.NoEffect)
	}
	// Output:
	// the API returned 404 Not Found: No such agent
	// AGENT_NOT_FOUND true
}

func ExampleClient_VersionNamed() {
	client, closeBoth := newClient(http.StatusOK, `{"data": [
		{"agent_id": "a0000000-0000-4000-8000-000000000001", "version_id": "b0000000-0000-4000-8000-000000000003", "version_number": 3, "version_name": "v1.3.0"},
		{"agent_id": "a0000000-0000-4000-8000-000000000001", "version_id": "b0000000-0000-4000-8000-000000000002", "version_number": 2, "version_name": "v1.2.0"}
	], "has_more": false}`)
	defer closeBoth()

	v, err := client.VersionNamed(context.Background(), diga.WithRetries, agent, "v1.2.0")
	fmt.Println(v.Number, err)

	_, err = client.VersionNamed(context.Background(), diga.WithRetries, agent, "1.3.0")
	fmt.Println(err)
	if e, ok := errors.AsType[*diga.NameError](err); ok {
		fmt.Println("did you mean", e.Versions[0].Name)
	}
	// Output:
	// 2 <nil>
	// no version of the agent has this name: "1.3.0"
	// did you mean v1.3.0
}
