package sandbox

import (
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

func TestRequestsThatDoNotFit(t *testing.T) {
	const get = "/v1/agent/" + FrontDesk
	tests := []struct {
		name   string
		method string
		target string
		body   string
		header [2]string
		status int
		detail string // after "METHOD target: "
	}{
		{name: "a wrong field name", method: "PATCH", target: publishPath, body: `{"version":"` + NextID + `"}`, status: 422,
			detail: "body: additional properties 'version' not allowed"},
		{name: "not a uuid", method: "PATCH", target: publishPath, body: `{"version_id":"v1.22.8"}`, status: 422,
			detail: "body.version_id: 'v1.22.8' is not valid uuid: want 36 characters, 8-4-4-4-12 hexadecimal digits"},
		{name: "a uuid as a urn", method: "PATCH", target: publishPath, body: `{"version_id":"urn:uuid:` + NextID + `"}`, status: 422,
			detail: "body.version_id: "},
		{name: "a uuid in braces", method: "PATCH", target: publishPath, body: `{"version_id":"{` + NextID + `}"}`, status: 422,
			detail: "body.version_id: "},
		{name: "a uuid and a line break", method: "PATCH", target: publishPath, body: `{"version_id":"` + NextID + `\n"}`, status: 422,
			detail: "body.version_id: "},
		{name: "an empty id", method: "PATCH", target: publishPath, body: `{"version_id":"` + NextID + `","inbound_phone_number_id":""}`, status: 422,
			detail: "body.inbound_phone_number_id: '' is not valid uuid"},
		{name: "a number", method: "PATCH", target: publishPath, body: `{"version_id":7}`, status: 422,
			detail: "body.version_id: got number, want null or string"},
		{name: "an array", method: "PATCH", target: publishPath, body: `[]`, status: 422, detail: "body: got array, want object"},
		{name: "null", method: "PATCH", target: publishPath, body: `null`, status: 422, detail: "body: got null, want object"},
		{name: "half a body", method: "PATCH", target: publishPath, body: `{`, status: 422, detail: "body: "},
		{name: "two bodies", method: "PATCH", target: publishPath, body: `{} {}`, status: 422, detail: "body: invalid character '{' after top-level value"},
		{name: "no body", method: "PATCH", target: publishPath, status: 422, detail: "body: value is required but missing"},
		{name: "a form", method: "PATCH", target: publishPath, body: `version_id=` + NextID, header: [2]string{"Content-Type", "application/x-www-form-urlencoded"}, status: 422,
			detail: `body: request body has an error: header Content-Type has unexpected value "application/x-www-form-urlencoded"`},
		{name: "a wrong agent id", method: "PATCH", target: "/v1/agent/front%2Fdesk/published_version", body: `{}`, status: 422,
			detail: "path.agent_id: 'front%2Fdesk' is not valid uuid"},
		{name: "a body on a read", method: "GET", target: get, body: `{}`, status: 422, detail: "body: request body not allowed"},
		{name: "a wrong parameter", method: "GET", target: get + "?published=true", status: 422, detail: "query.published: no such parameter"},
		{name: "a parameter of another operation", method: "PATCH", target: publishPath + "?limit=1", body: `{}`, status: 422, detail: "query.limit: no such parameter"},
		{name: "a parameter twice", method: "GET", target: listPath + "?limit=1&limit=2", status: 422, detail: "query.limit: given more than once"},
		{name: "an empty parameter", method: "GET", target: get + "?version_id=", status: 422, detail: "query.version_id: '' is not valid uuid"},
		{name: "not a boolean", method: "GET", target: get + "?is_published=yes", status: 422, detail: "query.is_published: value yes: an invalid boolean"},
		{name: "too large a page", method: "GET", target: listPath + "?limit=101", status: 422, detail: "query.limit: maximum: got 101, want 100"},
		{name: "page 0", method: "GET", target: listPath + "?page=0", status: 422, detail: "query.page: minimum: got 0, want 1"},
		{name: "an unknown order", method: "GET", target: listPath + "?order=DESC", status: 422, detail: "query.order: value must be one of 'asc', 'desc'"},
		{name: "a wrong phone id", method: "GET", target: "/v1/phone/+34910000001", status: 422, detail: "path.phone_id: '+34910000001' is not valid uuid"},
		{name: "too many phones", method: "GET", target: "/v1/phone/?limit=101", status: 422, detail: "query.limit: maximum: got 101, want 100"},
		{name: "phones by their number", method: "GET", target: "/v1/phone/?number=34910000001", status: 422, detail: "query.number: no such parameter"},
		{name: "phones of no agent", method: "GET", target: "/v1/phone/?inbound_agent_id=none", status: 422, detail: "query.inbound_agent_id: 'none' is not valid uuid"},
		{name: "phones of an unknown status", method: "GET", target: "/v1/phone/?status=free", status: 422, detail: "query.status: value must be one of "},
		{name: "phones without the slash", method: "GET", target: "/v1/phone?limit=1", status: 404, detail: "no matching operation was found"},
		{name: "an unknown path", method: "GET", target: "/v2/agent", status: 404, detail: "no matching operation was found"},
		{name: "an unknown method", method: "PUT", target: publishPath, body: `{}`, status: 405, detail: "method not allowed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := New()
			r := newRequest(tt.method, tt.target, tt.body)
			if tt.header[0] != "" {
				r.Header.Set(tt.header[0], tt.header[1])
			}
			status, body := send(s, r)
			if status != tt.status {
				t.Errorf("got %d %v, want %d", status, body, tt.status)
			}
			got, want := s.Violations(), tt.method+" "+tt.target+": "+tt.detail
			if len(got) != 1 || !strings.HasPrefix(got[0], want) {
				t.Errorf("got %q, want one violation that begins with %q", got, want)
			}
			if version, _, _ := s.Live(FrontDesk); version != LiveID {
				t.Errorf("the request was refused, but changed the version to %q", version)
			}
		})
	}
}

func TestEveryWrongValueHasItsDetail(t *testing.T) {
	s := New()
	_, body := send(s, newRequest("PATCH", "/v1/agent/x/published_version", `{"version_id":"y","inbound_phone_number_id":5}`))
	got := map[string]any{}
	for _, d := range body["detail"].([]any) {
		d := d.(map[string]any)
		var loc []string
		for _, part := range d["loc"].([]any) {
			loc = append(loc, part.(string))
		}
		got[strings.Join(loc, ".")+" "+d["type"].(string)] = d["input"]
	}
	want := map[string]any{"path.agent_id uuid_parsing": "x", "body.version_id uuid_parsing": "y", "body.inbound_phone_number_id value_error": 5.0}
	if len(got) != len(want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for key, input := range want {
		if got[key] != input {
			t.Errorf("%s: got %v, want %v", key, got[key], input)
		}
	}
}

// judge returns what the contract says of a reply to a publish request.
func judge(t *testing.T, status int, contentType, body string) error {
	t.Helper()
	contract, err := newContract()
	if err != nil {
		t.Fatal(err)
	}
	request := `{"version_id":"` + NextID + `"}`
	c := contract.parse(newRequest("PATCH", publishPath, request), []byte(request))
	if c.routeErr != nil || len(c.details) > 0 {
		t.Fatalf("got %v, %v", c.details, c.routeErr)
	}
	return contract.checkResponse(c, response{status, http.Header{"Content-Type": {contentType}}, []byte(body)})
}

func TestExampleReplies(t *testing.T) {
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
		if err := judge(t, status, "application/json", string(data)); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

func TestRepliesThatDoNotFit(t *testing.T) {
	const agent = `{"agent_id":"` + FrontDesk + `"`
	const failure = `{"error_code":"A","message":"b"`
	tests := []struct {
		name        string
		status      int
		contentType string
		body        string
		fits        bool
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
		if err := judge(t, tt.status, tt.contentType, tt.body); (err == nil) != tt.fits {
			t.Errorf("%s: got %v", tt.name, err)
		}
	}
}

// A reply of the sandbox itself that does not fit is recorded, too.
func TestOwnRepliesAreChecked(t *testing.T) {
	s := New()
	s.agents[FrontDesk].versions[4].VersionID = "five"
	send(s, newRequest("GET", listPath+"?order=asc", ""))
	if got := s.Violations(); len(got) != 1 || !strings.HasPrefix(got[0], "reply 200 to GET "+listPath+": response body doesn't match schema") {
		t.Errorf("got %q", got)
	}
}
