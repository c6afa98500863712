package sandbox_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"publish-agent-version/internal/sandbox"
)

// A test injects a lost response, sends its request twice, and then looks at what was applied and what was received.
func Example() {
	api := sandbox.New()
	api.Inject(sandbox.Fault{Drop: sandbox.DropReply, Applied: true})
	server := httptest.NewServer(api)
	defer server.Close()

	for range 2 {
		url := server.URL + "/v1/agent/" + sandbox.FrontDesk + "/published_version"
		req, err := http.NewRequest("PATCH", url, strings.NewReader(`{"version_id":"`+sandbox.NextID+`"}`))
		if err != nil {
			fmt.Println(err)
			return
		}
		req.Header.Set("Authorization", "Bearer "+sandbox.Token)
		req.Header.Set("Content-Type", "application/json")
		resp, err := server.Client().Do(req)
		if err != nil {
			fmt.Println("no response")
			continue
		}
		resp.Body.Close()
		fmt.Println(resp.Status)
	}

	version, _, _ := api.Live(sandbox.FrontDesk)
	fmt.Println("applied:", version == sandbox.NextID)
	fmt.Println("requests:", len(api.Requests()), "violations:", len(api.Violations()))
	// Output:
	// no response
	// 200 OK
	// applied: true
	// requests: 2 violations: 0
}
