package sandbox

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// facts collects what a schema demands, each as a line that begins with where.
func facts(where string, schema *jsonschema.Schema, add func(format string, args ...any)) {
	if schema == nil {
		return
	}
	if schema.Types != nil {
		for _, kind := range schema.Types.ToStrings() {
			format := ""
			if schema.Format != nil && kind != "null" {
				format = schema.Format.Name
			}
			add("%s is %s %s", where, kind, format)
		}
	}
	words := []any{}
	if schema.Enum != nil {
		words = schema.Enum.Values
	}
	if schema.Const != nil {
		words = append(words, *schema.Const)
	}
	for _, word := range words {
		if word != nil {
			add("%s may be %v", where, word)
		}
	}
	add("%s is from %v to %v", where, schema.Minimum, schema.Maximum)
	for _, name := range schema.Required {
		add("%s requires %s", where, name)
	}
	for _, branch := range slices.Concat(schema.AnyOf, schema.OneOf, schema.AllOf) {
		facts(where, branch, add)
	}
	facts(where+"[]", schema.Items2020, add)
	for name, property := range schema.Properties {
		add("%s has %s", where, name)
		facts(where+"."+name, property, add)
	}
}

// operationFacts collects what a contract says of the operations that ours has. Parameters that may be left out count
// if ours has them.
func operationFacts(ct contract) map[string]bool {
	all := map[string]bool{}
	add := func(format string, args ...any) { all[fmt.Sprintf(format, args...)] = true }
	for where, own := range projectContract() {
		theirs, ok := ct[where]
		if !ok {
			continue
		}
		add("%s exists", where)
		for _, p := range theirs.Parameters {
			same := func(other parameter) bool { return other.Name == p.Name && other.In == p.In }
			if !p.Required && !slices.ContainsFunc(own.Parameters, same) {
				continue
			}
			name := fmt.Sprintf("%s %s %s", where, p.In, p.Name)
			add("%s required: %t", name, p.Required)
			facts(name, p.Schema.Schema, func(format string, args ...any) {
				if fact := fmt.Sprintf(format, args...); !strings.Contains(fact, "is null") { // which a query cannot be
					add("%s", fact)
				}
			})
		}
		if theirs.RequestBody != nil {
			facts(where+" body", theirs.RequestBody.Content["application/json"].Schema.Schema, add)
		}
		for status, response := range theirs.Responses {
			add("%s answers %s", where, status)
			facts(where+" "+status, response.Content["application/json"].Schema.Schema, add)
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
	ours, theirs := operationFacts(projectContract()), operationFacts(vendor)
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
	const noUUID = "is not valid uuid: must have 5 elements"
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
		{"half a body", "PATCH", publishPath, `{`, "422", "body: unexpected end of JSON input"},
		{"no body", "PATCH", publishPath, ``, "422", `header Content-Type: ""`},
		{"a form", "PATCH", publishPath, `version_id=` + NextID, "422", "header Content-Type"},
		{"a wrong agent id", "PATCH", "/v1/agent/front%2Fdesk/published_version", `{}`, "422",
			"'front%2Fdesk' " + noUUID},
		{"a name that is a number", "POST", listPath, `{"version_name":1.1}`, "422", "got number, want null or string"},
		{"a wrong name of the name", "POST", listPath, `{"name":"v2"}`, "422",
			"additional properties 'name' not allowed"},
		{"a body on a read", "GET", agentPath, `{}`, "422", "request body not allowed"},
		{"a wrong parameter", "GET", agentPath + "?published=true", ``, "422", "query.published: no such parameter, or more than one"},
		{"a parameter of another operation", "PATCH", publishPath + "?limit=1", `{}`, "422", "query.limit: no such parameter, or more than one"},
		{"a parameter twice", "GET", listPath + "?limit=1&limit=2", ``, "422", "query.limit: no such parameter, or more than one"},
		{"an empty parameter", "GET", agentPath + "?version_id=", ``, "422", "query.version_id: - at '': '' " + noUUID},
		{"not a boolean", "GET", listPath + "?is_published=yes", ``, "422", "query.is_published: - at '': got string, want boolean"},
		{"too large a page", "GET", listPath + "?limit=101", ``, "422", "query.limit: - at '': maximum: got 101, want 100"},
		{"too many phones", "GET", "/v1/phone/?limit=101", ``, "422 INVALID_PAGINATION_PARAMETERS",
			"query.limit: - at '': maximum: got 101, want 100"},
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
	if got := s.takeViolations(); len(got) == 0 || !strings.HasPrefix(got[0], "reply 200 to GET "+listPath+": - at '/") {
		t.Errorf("got %q", got)
	}
}
