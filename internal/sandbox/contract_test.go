package sandbox

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
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
}

// facts collects what a schema demands, each as a line that begins with where.
func facts(where string, ref *openapi3.SchemaRef, add func(format string, args ...any)) {
	if ref == nil {
		return
	}
	schema := ref.Value
	for _, kind := range schema.Type.Slice() {
		add("%s is %s %s", where, kind, schema.Format)
	}
	for _, word := range append(slices.Clone(schema.Enum), schema.Const) {
		if word != nil {
			add("%s may be %v", where, word)
		}
	}
	if schema.Min != nil {
		add("%s is at least %v", where, *schema.Min)
	}
	if schema.Max != nil {
		add("%s is at most %v", where, *schema.Max)
	}
	for _, name := range schema.Required {
		add("%s requires %s", where, name)
	}
	for _, branch := range slices.Concat(schema.AnyOf, schema.OneOf, schema.AllOf) {
		facts(where, branch, add)
	}
	facts(where+"[]", schema.Items, add)
	for name, property := range schema.Properties {
		add("%s has %s", where, name)
		facts(where+"."+name, property, add)
	}
}

// operationFacts collects what a document says of the operations that ours has.
func operationFacts(doc *openapi3.T) map[string]bool {
	all := map[string]bool{}
	add := func(format string, args ...any) {
		fact := strings.TrimSpace(fmt.Sprintf(format, args...))
		all[regexp.MustCompile(` is null .*`).ReplaceAllString(fact, " is null")] = true // whatever its format
	}
	for path, item := range projectContract().doc.Paths.Map() {
		theirs := doc.Paths.Value(path)
		for method := range item.Operations() {
			where := method + " " + path
			if theirs == nil || theirs.Operations()[method] == nil {
				continue
			}
			operation := theirs.Operations()[method]
			add("%s exists", where)
			for _, p := range slices.Concat(theirs.Parameters, operation.Parameters) {
				name := fmt.Sprintf("%s %s %s", where, p.Value.In, p.Value.Name)
				add("%s required: %t", name, p.Value.Required)
				facts(name, p.Value.Schema, func(format string, args ...any) {
					if fact := fmt.Sprintf(format, args...); !strings.Contains(fact, "is null") { // which a query cannot be
						add("%s", fact)
					}
				})
			}
			if operation.RequestBody != nil {
				facts(where+" body", operation.RequestBody.Value.Content["application/json"].Schema, add)
			}
			for status, response := range operation.Responses.Map() {
				if status != "default" {
					add("%s answers %s", where, status)
					facts(where+" "+status, response.Value.Content["application/json"].Schema, add)
				}
			}
		}
	}
	return all
}

// Our document says of our operations what the vendor's says, no more and no less.
func TestDocumentAgreesWithTheVendors(t *testing.T) {
	vendor := vendorContract()
	if vendor == nil {
		t.Skip("DIGA_OPENAPI does not name the vendor's document")
	}
	ours, theirs := operationFacts(projectContract().doc), operationFacts(vendor.doc)
	if len(ours) < 500 {
		t.Errorf("only %d facts", len(ours))
	}
	for _, fact := range slices.Sorted(maps.Keys(ours)) {
		if !theirs[fact] {
			t.Errorf("only ours: %s", fact)
		}
	}
	for _, fact := range slices.Sorted(maps.Keys(theirs)) {
		if !ours[fact] {
			t.Errorf("only theirs: %s", fact)
		}
	}
}

func TestInvalidRequests(t *testing.T) {
	tests := []struct {
		name, method, target, body string
		want                       string // status and code
		violation                  string // after "METHOD target: "
	}{
		{"a wrong field name", "PATCH", publishPath, `{"version":"` + NextID + `"}`, "422", "body: additional properties 'version' not allowed"},
		{"not a uuid", "PATCH", publishPath, `{"version_id":"v1.22.8"}`, "422", "body.version_id: 'v1.22.8' is not valid uuid: want 36 characters, 8-4-4-4-12 hexadecimal digits"},
		{"a uuid as a urn", "PATCH", publishPath, `{"version_id":"urn:uuid:` + NextID + `"}`, "422", "body.version_id: "},
		{"a uuid and a line break", "PATCH", publishPath, `{"version_id":"` + NextID + `\n"}`, "422", "body.version_id: "},
		{"an empty id", "PATCH", publishPath, `{"version_id":"` + NextID + `"` + inboundID + `""}`, "422", "body.inbound_phone_number_id: '' is not valid uuid"},
		{"a number", "PATCH", publishPath, `{"version_id":7}`, "422", "body.version_id: got number, want null or string"},
		{"an array", "PATCH", publishPath, `[]`, "422", "body: got array, want object"},
		{"null", "PATCH", publishPath, `null`, "422", "body: got null, want object"},
		{"half a body", "PATCH", publishPath, `{`, "422", "body: "},
		{"two bodies", "PATCH", publishPath, `{} {}`, "422", "body: invalid character '{' after top-level value"},
		{"no body", "PATCH", publishPath, ``, "422", "body: value is required but missing"},
		{"a form", "PATCH", publishPath, `version_id=` + NextID, "422", `body: request body has an error: header Content-Type has unexpected value "application/x-www-form-urlencoded"`},
		{"a wrong agent id", "PATCH", "/v1/agent/front%2Fdesk/published_version", `{}`, "422", "path.agent_id: 'front%2Fdesk' is not valid uuid"},
		{"a name that is a number", "POST", listPath, `{"version_name":1.1}`, "422", "body.version_name: got number"},
		{"a wrong name of the name", "POST", listPath, `{"name":"v2"}`, "422", "body: additional properties 'name' not allowed"},
		{"a body on a read", "GET", agentPath, `{}`, "422", "body: request body not allowed"},
		{"a wrong parameter", "GET", agentPath + "?published=true", ``, "422", "query.published: no such parameter"},
		{"a parameter of another operation", "PATCH", publishPath + "?limit=1", `{}`, "422", "query.limit: no such parameter"},
		{"a parameter twice", "GET", listPath + "?limit=1&limit=2", ``, "422", "query.limit: given more than once"},
		{"an empty parameter", "GET", agentPath + "?version_id=", ``, "422", "query.version_id: '' is not valid uuid"},
		{"not a boolean", "GET", listPath + "?is_published=yes", ``, "422", "query.is_published: value yes: an invalid boolean"},
		{"too large a page", "GET", listPath + "?limit=101", ``, "422", "query.limit: maximum: got 101, want 100"},
		{"page 0", "GET", listPath + "?page=0", ``, "422", "query.page: minimum: got 0, want 1"},
		{"an unknown order", "GET", listPath + "?order=DESC", ``, "422", "query.order: value must be one of 'asc', 'desc'"},
		{"an unknown mode", "GET", listPath + "?mode=prompt", ``, "422", "query.mode: value must be one of 'free', 'path'"},
		{"a wrong phone id", "GET", "/v1/phone/+34910000001", ``, "422", "path.phone_id: '+34910000001' is not valid uuid"},
		{"too many phones", "GET", "/v1/phone/?limit=101", ``, "422 INVALID_PAGINATION_PARAMETERS", "query.limit: maximum: got 101, want 100"},
		{"phones by their number", "GET", "/v1/phone/?number=34910000001", ``, "400 NOT_VALID_FIELD", "query.number: no such parameter"},
		{"phones of no agent", "GET", "/v1/phone/?inbound_agent_id=none", ``, "400 NOT_VALID_FIELD", "query.inbound_agent_id: 'none' is not valid uuid"},
		{"phones of an unknown status", "GET", "/v1/phone/?status=free", ``, "400 NOT_VALID_FIELD", "query.status: value must be one of "},
		{"phones since no date", "GET", "/v1/phone/?start_assigned_at=now", ``, "400 NOT_VALID_FIELD", "query.start_assigned_at: "},
		{"phones without the slash", "GET", "/v1/phone?limit=1", ``, "307", "no such operation"},
		{"versions with a slash", "GET", listPath + "/", ``, "307", "no such operation"},
		{"an unknown path", "GET", "/v2/agent", ``, "404", "no such operation"},
		{"an unknown method", "PUT", publishPath, `{}`, "405", "no such operation"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSandbox(t)
			r := newRequest(tt.method, tt.target, tt.body)
			if tt.name == "a form" {
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			}
			if got := short(send(s, r)); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			got, want := s.takeViolations(), tt.method+" "+tt.target+": "+tt.violation
			if len(got) != 1 || !strings.HasPrefix(got[0], want) {
				t.Errorf("got %q, want one violation that begins with %q", got, want)
			}
			if len(s.Changes()) != 2 {
				t.Error("something was changed")
			}
		})
	}
}

func TestEveryInvalidValueHasADetail(t *testing.T) {
	s := newSandbox(t)
	_, body := send(s, newRequest("PATCH", "/v1/agent/x/published_version", `{"version_id":"y"`+inboundID+`5}`))
	got := map[string]any{}
	for _, d := range body["detail"].([]any) {
		d := d.(object)
		got[fmt.Sprintf("%v %v", d["loc"], d["type"])] = d["input"]
	}
	want := map[string]any{"[path agent_id] uuid_parsing": "x", "[body version_id] uuid_parsing": "y", "[body inbound_phone_number_id] value_error": 5.0}
	if !maps.Equal(got, want) || len(s.takeViolations()) != 3 {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestResponsesAreChecked(t *testing.T) {
	c := call{Request: newRequest("PATCH", publishPath, ""), path: "/v1/agent/{agent_id}/published_version", id: FrontDesk}
	check := func(name string, status int, contentType, body string, valid bool) {
		err := projectContract().checkResponse(c, response{status, http.Header{"Content-Type": {contentType}}, []byte(body), false})
		if (err == nil) != valid {
			t.Errorf("%s: got %v", name, err)
		}
	}
	const agent = `{"agent_id":"` + FrontDesk + `"`
	const failed = `{"error_code":"A","message":"b"`
	check("the agent alone", 200, "application/json", agent+`}`, true)
	check("no agent", 200, "application/json", `{}`, false)
	check("the field of the request", 200, "application/json", agent+`,"version_id":"`+NextID+`"}`, false)
	check("not a uuid", 200, "application/json", agent+`,"published_version_id":"v1"}`, false)
	check("plain text", 200, "text/plain", agent+`}`, false)
	check("not JSON", 200, "application/json", `OK`, false)
	check("an error", 404, "application/json", failed+`}`, true)
	check("an error without a message", 404, "application/json", `{"error_code":"A"}`, false)
	check("an error of another kind", 404, "application/json", `{"detail":"Not Found"}`, false)
	check("an unlisted status", 429, "application/json", failed+`}`, true)
	check("an unlisted status without an error", 429, "application/json", agent+`}`, false)
	check("a detail", 422, "application/json", `{"detail":[{"loc":["body",1],"msg":"a","type":"b","ctx":{}}]}`, true)
	check("a detail that is text", 422, "application/json", `{"detail":"a"}`, false)

	files, _ := filepath.Glob("../../testdata/replies/*.json")
	if len(files) != 7 {
		t.Errorf("got the examples %q", files)
	}
	for _, file := range files {
		data, _ := os.ReadFile(file)
		status, _ := strconv.Atoi(filepath.Base(file)[:3])
		check(file, status, "application/json", string(data), true)
	}

	s := newSandbox(t)
	s.AddVersion(FrontDesk, Version{ID: "five"})
	get(s, listPath)
	if got := s.takeViolations(); len(got) == 0 || !strings.HasPrefix(got[0], "reply 200 to GET "+listPath+": response body doesn't match schema") {
		t.Errorf("got %q", got)
	}
}
