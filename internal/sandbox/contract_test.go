package sandbox

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"publish-agent-version/testdata"
)

func TestDocumentIsValid(t *testing.T) {
	doc, err := openapi3.NewLoader().LoadFromData(testdata.OpenAPI)
	if err != nil {
		t.Fatal(err)
	}
	// The examples are checked against their schemas on the way.
	if err := doc.Validate(t.Context(), openapi3.EnableExamplesValidation()); err != nil {
		t.Fatal(err)
	}
	if !doc.IsOpenAPI31OrLater() {
		t.Errorf("got version %s", doc.OpenAPI)
	}
}

func TestInvalidRequests(t *testing.T) {
	tests := []struct {
		name, method, target, body string
		status                     int
		violation                  string // after "METHOD target: "
	}{
		{"a wrong field name", "PATCH", publishPath, `{"version":"` + NextID + `"}`, 422, "body: additional properties 'version' not allowed"},
		{"not a uuid", "PATCH", publishPath, `{"version_id":"v1.22.8"}`, 422, "body.version_id: 'v1.22.8' is not valid uuid: want 36 characters, 8-4-4-4-12 hexadecimal digits"},
		{"a uuid as a urn", "PATCH", publishPath, `{"version_id":"urn:uuid:` + NextID + `"}`, 422, "body.version_id: "},
		{"a uuid in braces", "PATCH", publishPath, `{"version_id":"{` + NextID + `}"}`, 422, "body.version_id: "},
		{"a uuid and a line break", "PATCH", publishPath, `{"version_id":"` + NextID + `\n"}`, 422, "body.version_id: "},
		{"an empty id", "PATCH", publishPath, `{"version_id":"` + NextID + `","inbound_phone_number_id":""}`, 422, "body.inbound_phone_number_id: '' is not valid uuid"},
		{"a number", "PATCH", publishPath, `{"version_id":7}`, 422, "body.version_id: got number, want null or string"},
		{"an array", "PATCH", publishPath, `[]`, 422, "body: got array, want object"},
		{"null", "PATCH", publishPath, `null`, 422, "body: got null, want object"},
		{"half a body", "PATCH", publishPath, `{`, 422, "body: "},
		{"two bodies", "PATCH", publishPath, `{} {}`, 422, "body: invalid character '{' after top-level value"},
		{"no body", "PATCH", publishPath, ``, 422, "body: value is required but missing"},
		{"a form", "PATCH", publishPath, `version_id=` + NextID, 422, `body: request body has an error: header Content-Type has unexpected value "application/x-www-form-urlencoded"`},
		{"a wrong agent id", "PATCH", "/v1/agent/front%2Fdesk/published_version", `{}`, 422, "path.agent_id: 'front%2Fdesk' is not valid uuid"},
		{"a body on a read", "GET", agentPath, `{}`, 422, "body: request body not allowed"},
		{"a wrong parameter", "GET", agentPath + "?published=true", ``, 422, "query.published: no such parameter"},
		{"a parameter of another operation", "PATCH", publishPath + "?limit=1", `{}`, 422, "query.limit: no such parameter"},
		{"a parameter twice", "GET", listPath + "?limit=1&limit=2", ``, 422, "query.limit: given more than once"},
		{"an empty parameter", "GET", agentPath + "?version_id=", ``, 422, "query.version_id: '' is not valid uuid"},
		{"not a boolean", "GET", agentPath + "?is_published=yes", ``, 422, "query.is_published: value yes: an invalid boolean"},
		{"too large a page", "GET", listPath + "?limit=101", ``, 422, "query.limit: maximum: got 101, want 100"},
		{"page 0", "GET", listPath + "?page=0", ``, 422, "query.page: minimum: got 0, want 1"},
		{"an unknown order", "GET", listPath + "?order=DESC", ``, 422, "query.order: value must be one of 'asc', 'desc'"},
		{"a wrong phone id", "GET", "/v1/phone/+34910000001", ``, 422, "path.phone_id: '+34910000001' is not valid uuid"},
		{"too many phones", "GET", "/v1/phone/?limit=101", ``, 422, "query.limit: maximum: got 101, want 100"},
		{"phones by their number", "GET", "/v1/phone/?number=34910000001", ``, 422, "query.number: no such parameter"},
		{"phones of no agent", "GET", "/v1/phone/?inbound_agent_id=none", ``, 422, "query.inbound_agent_id: 'none' is not valid uuid"},
		{"phones of an unknown status", "GET", "/v1/phone/?status=free", ``, 422, "query.status: value must be one of "},
		{"phones without the slash", "GET", "/v1/phone?limit=1", ``, 404, "no matching operation was found"},
		{"an unknown path", "GET", "/v2/agent", ``, 404, "no matching operation was found"},
		{"an unknown method", "PUT", publishPath, `{}`, 405, "method not allowed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := New()
			r := newRequest(tt.method, tt.target, tt.body)
			if tt.name == "a form" {
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			}
			if status, body := send(s, r); status != tt.status {
				t.Errorf("got %d %v, want %d", status, body, tt.status)
			}
			got, want := s.Violations(), tt.method+" "+tt.target+": "+tt.violation
			if len(got) != 1 || !strings.HasPrefix(got[0], want) {
				t.Errorf("got %q, want one violation that begins with %q", got, want)
			}
			wantLive(t, s, FrontDesk, binding{LiveID, Reception, ""})
		})
	}
}

func TestEveryInvalidValueHasADetail(t *testing.T) {
	_, body := send(New(), newRequest("PATCH", "/v1/agent/x/published_version", `{"version_id":"y","inbound_phone_number_id":5}`))
	got := map[string]any{}
	for _, d := range body["detail"].([]any) {
		d := d.(object)
		got[fmt.Sprintf("%v %v", d["loc"], d["type"])] = d["input"]
	}
	want := map[string]any{"[path agent_id] uuid_parsing": "x", "[body version_id] uuid_parsing": "y", "[body inbound_phone_number_id] value_error": 5.0}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// checkResponse validates a response to a publish request.
func checkResponse(t *testing.T, status int, contentType, body string) error {
	t.Helper()
	contract, err := newContract()
	if err != nil {
		t.Fatal(err)
	}
	c := contract.parse(newRequest("PATCH", publishPath, publishNext), []byte(publishNext))
	if c.routeErr != nil || len(c.details) > 0 {
		t.Fatalf("got %v, %v", c.details, c.routeErr)
	}
	return contract.checkResponse(c, response{status, http.Header{"Content-Type": {contentType}}, []byte(body)})
}

func TestExampleRepliesAreValid(t *testing.T) {
	files, err := filepath.Glob("../../testdata/replies/*.json")
	if err != nil || len(files) != 7 {
		t.Fatalf("got the files %q, %v", files, err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		status, err := strconv.Atoi(filepath.Base(file)[:3])
		if err != nil {
			t.Fatal(err)
		}
		if err := checkResponse(t, status, "application/json", string(data)); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

func TestResponses(t *testing.T) {
	const agent = `{"agent_id":"` + FrontDesk + `"`
	const failure = `{"error_code":"A","message":"b"`
	tests := []struct {
		name        string
		status      int
		contentType string
		body        string
		valid       bool
	}{
		{"the agent alone", 200, "application/json", agent + `}`, true},
		{"no agent", 200, "application/json", `{}`, false},
		{"the field of the request", 200, "application/json", agent + `,"version_id":"` + NextID + `"}`, false},
		{"not a uuid", 200, "application/json", agent + `,"published_version_id":"v1"}`, false},
		{"an empty phone", 200, "application/json", agent + `,"inbound_phone_number_id":""}`, false},
		{"plain text", 200, "text/plain", agent + `}`, false},
		{"not JSON", 200, "application/json", `OK`, false},
		{"an error", 404, "application/json", failure + `}`, true},
		{"an error without a message", 404, "application/json", `{"error_code":"A"}`, false},
		{"an error of another kind", 404, "application/json", `{"detail":"Not Found"}`, false},
		{"an unlisted status", 429, "application/json", failure + `}`, true},
		{"an unlisted status without an error", 429, "application/json", agent + `}`, false},
		{"a detail", 422, "application/json", `{"detail":[{"loc":["body",1],"msg":"a","type":"b","ctx":{}}]}`, true},
		{"a detail that is text", 422, "application/json", `{"detail":"a"}`, false},
	}
	for _, tt := range tests {
		if err := checkResponse(t, tt.status, tt.contentType, tt.body); (err == nil) != tt.valid {
			t.Errorf("%s: got %v", tt.name, err)
		}
	}
}

func TestOwnResponsesAreChecked(t *testing.T) {
	s := New()
	s.agents[FrontDesk].versions[4].VersionID = "five"
	get(s, listPath+"?order=asc")
	if got := s.Violations(); len(got) != 1 || !strings.HasPrefix(got[0], "reply 200 to GET "+listPath+": response body doesn't match schema") {
		t.Errorf("got %q", got)
	}
}
