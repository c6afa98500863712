package diga_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"time"

	"github.com/google/uuid"

	"publish-agent-version/diga"
)

func ExampleClient_Publish() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"status": "error", "error_code": "AGENT_NOT_FOUND", "message": "No such agent"}`)
	}))
	defer server.Close()
	base, err := url.Parse(server.URL)
	if err != nil {
		panic(err)
	}
	client := &diga.Client{BaseURL: base, Token: "token", UserAgent: "example/1.0", RequestID: uuid.New(), MaxRetries: 4}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()

	agent := uuid.MustParse("a0000000-0000-4000-8000-000000000001")
	_, err = client.Publish(ctx, diga.Change{Agent: agent, Unpublish: true})
	if e, ok := errors.AsType[*diga.Error](err); ok {
		fmt.Println(e)
		fmt.Println(e.Code, e.Effect == diga.NoEffect)
		fmt.Println(e.Advice())
	}
	// Output:
	// the API returned 404 Not Found: No such agent
	// AGENT_NOT_FOUND true
	// Check {agent-id}, and that {token} belongs to the agent's project.
}
