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

// operationFacts collects what a document says of the operations that ours has. Parameters that may be left out count
// if ours has them.
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
			own := slices.Concat(item.Parameters, item.Operations()[method].Parameters)
			for _, p := range slices.Concat(theirs.Parameters, operation.Parameters) {
				if !p.Value.Required && own.GetByInAndName(p.Value.In, p.Value.Name) == nil {
					continue
				}
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

// Our document says of our operations what the vendor's says, no more and, but for the other parameters, no less.
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
	const noUUID = "is not valid uuid: string doesn't match pattern"
	const version, inbound = "at '/version_id': ", "at '/inbound_phone_number_id': "
	tests := []struct {
		name, method, target, body string
		want                       string // status and code
		violation                  string // a part of it
	}{
		{"a wrong field name", "PATCH", publishPath, `{"version":"` + NextID + `"}`, "422",
			"additional properties 'version' not allowed"},
		{"not a uuid", "PATCH", publishPath, `{"version_id":"v1.22.8"}`, "422", version + "'v1.22.8' " + noUUID},
		{"a uuid as a urn", "PATCH", publishPath, `{"version_id":"urn:uuid:` + NextID + `"}`, "422", version},
		{"a uuid and a line break", "PATCH", publishPath, `{"version_id":"` + NextID + `\n"}`, "422", version},
		{"an empty id", "PATCH", publishPath, `{"version_id":"` + NextID + `"` + inboundID + `""}`, "422",
			inbound + "'' " + noUUID},
		{"a number", "PATCH", publishPath, `{"version_id":7}`, "422", version + "got number, want null or string"},
		{"an array", "PATCH", publishPath, `[]`, "422", "got array, want object"},
		{"half a body", "PATCH", publishPath, `{`, "422", "request body has an error"},
		{"no body", "PATCH", publishPath, ``, "422", "value is required but missing"},
		{"a form", "PATCH", publishPath, `version_id=` + NextID, "422", "header Content-Type"},
		{"a wrong agent id", "PATCH", "/v1/agent/front%2Fdesk/published_version", `{}`, "422",
			"'front%2Fdesk' " + noUUID},
		{"a name that is a number", "POST", listPath, `{"version_name":1.1}`, "422", "got number, want null or string"},
		{"a wrong name of the name", "POST", listPath, `{"name":"v2"}`, "422",
			"additional properties 'name' not allowed"},
		{"a body on a read", "GET", agentPath, `{}`, "422", "request body not allowed"},
		{"a wrong parameter", "GET", agentPath + "?published=true", ``, "422", "query.published: no such parameter"},
		{"a parameter of another operation", "PATCH", publishPath + "?limit=1", `{}`, "422", "query.limit: no such parameter"},
		{"a parameter twice", "GET", listPath + "?limit=1&limit=2", ``, "422", "query.limit: given more than once"},
		{"an empty parameter", "GET", agentPath + "?version_id=", ``, "422", `parameter "version_id" in query has `},
		{"not a boolean", "GET", listPath + "?is_published=yes", ``, "422", `parameter "is_published" in query has `},
		{"too large a page", "GET", listPath + "?limit=101", ``, "422", `parameter "limit" in query has an error: `},
		{"too many phones", "GET", "/v1/phone/?limit=101", ``, "422 INVALID_PAGINATION_PARAMETERS",
			`parameter "limit" in query has an error: `},
		{"phones without the slash", "GET", "/v1/phone?limit=1", ``, "404", "no such operation"},
		{"versions with a slash", "GET", listPath + "/", ``, "404", "no such operation"},
		{"an unknown method", "PUT", publishPath, `{}`, "404", "no such operation"},
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
			got, start := s.takeViolations(), tt.method+" "+tt.target+": "
			if len(got) != 1 || !strings.HasPrefix(got[0], start) || !strings.Contains(got[0], tt.violation) {
				t.Errorf("got %q, want one violation: %s%s", got, start, tt.violation)
			}
			if len(s.Changes()) != 2 {
				t.Error("something was changed")
			}
		})
	}
}

func TestResponsesAreChecked(t *testing.T) {
	c := call{Request: newRequest("PATCH", publishPath, ""), path: "/v1/agent/{agent_id}/published_version", id: FrontDesk}
	check := func(name string, status int, contentType, body string, valid bool) {
		err := projectContract().checkResponse(c, response{status, http.Header{"Content-Type": {contentType}}, []byte(body)})
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
