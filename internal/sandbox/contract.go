package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"

	"publish-agent-version/testdata"
)

// contract is what an OpenAPI document says of each operation, by method and path.
type contract map[string]operation

type operation struct {
	Parameters  []parameter
	RequestBody *content // nil: none
	Responses   map[string]content
}

type parameter struct {
	Name, In string
	Required bool
	Schema   *schema
}

// content is a body, by media type.
type content struct {
	Content map[string]struct{ Schema *schema }
}

type object = map[string]any

// schema is compiled when it is decoded.
type schema struct{ *jsonschema.Schema }

func (s *schema) UnmarshalJSON(data []byte) (err error) {
	var document any
	check(json.Unmarshal(data, &document))
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	check(compiler.AddResource("schema", document))
	s.Schema, err = compiler.Compile("schema")
	return err
}

// projectContract is the contract of the project's own document, which all sandboxes share.
var projectContract = sync.OnceValue(func() contract { return newContract(testdata.OpenAPI) })

var reference = regexp.MustCompile(`"\$ref":"#/components/(\w+)/(\w+)"`)

// newContract returns the contract of a document. It rejects fields that the document does not list, which would
// otherwise hide a misspelled name.
func newContract(document []byte) contract {
	var doc struct {
		Paths      any
		Components map[string]map[string]any
	}
	check(yaml.Unmarshal(document, &doc))
	for name, schema := range doc.Components["schemas"] {
		schema := schema.(object)
		isObject := strings.Contains(fmt.Sprint(schema["type"]), "object")
		if isObject && !strings.Contains(name, "ValidationError") { // FastAPI adds to those
			schema["additionalProperties"] = false
		}
	}
	resolved := encode(doc.Paths)
	for reference.Match(resolved) {
		resolved = reference.ReplaceAllFunc(resolved, func(found []byte) []byte {
			to := reference.FindSubmatch(found)
			object := encode(doc.Components[string(to[1])][string(to[2])])
			return object[1 : len(object)-1]
		})
	}
	var paths map[string]struct {
		Parameters       []parameter
		Get, Patch, Post *operation
	}
	check(json.Unmarshal(resolved, &paths))
	ct := contract{}
	for path, item := range paths {
		for method, op := range map[string]*operation{"GET": item.Get, "PATCH": item.Patch, "POST": item.Post} {
			if op != nil {
				op.Parameters = append(op.Parameters, item.Parameters...)
				ct[method+" "+path] = *op
			}
		}
	}
	return ct
}

// encode returns the JSON of what a document or a test says.
func encode(value any) []byte {
	data, err := json.Marshal(value)
	check(err)
	return data
}

// check panics: only an embedded document, or one that a test made, can be wrong.
func check(err error) {
	if err != nil {
		panic(err)
	}
}

var idInPath = regexp.MustCompile(`^/v1/agent/([^/]+)`)

// locate returns the document's path that matches a request's path, and the agent's id in it.
func locate(path string) (pattern, id string) {
	if found := idInPath.FindStringSubmatch(path); found != nil {
		id = found[1]
	}
	return idInPath.ReplaceAllString(path, "/v1/agent/{agent_id}"), id
}

// checkRequest returns why c, whose body was read, violates the document.
func (ct contract) checkRequest(c call, body []byte) error {
	op, known := ct[c.Method+" "+c.path]
	switch {
	case !known:
		return errors.New("no such operation")
	case c.token == "":
		return errors.New("header authorization: want Bearer and a token")
	}
	given := c.URL.Query()
	if c.id != "" {
		given["agent_id"] = append(given["agent_id"], c.id)
	}
	for name, values := range given {
		i := slices.IndexFunc(op.Parameters, func(p parameter) bool { return p.Name == name })
		if i < 0 || len(values) > 1 {
			return fmt.Errorf("query.%s: no such parameter, or more than one", name)
		}
		p, value := op.Parameters[i], any(values[0])
		_ = json.Unmarshal([]byte(values[0]), &value) // a number or a boolean is written as in JSON
		if err := p.Schema.check(value); err != nil {
			return fmt.Errorf("%s.%s: %w", p.In, name, err)
		}
	}
	if op.RequestBody != nil {
		return op.RequestBody.check(c.Header, body)
	} else if len(body) > 0 {
		return errors.New("request body not allowed")
	}
	return nil
}

// checkResponse returns why a response to c violates the document, which does not list every status.
func (ct contract) checkResponse(c call, resp response) error {
	want, ok := ct[c.Method+" "+c.path].Responses[strconv.Itoa(resp.status)]
	if !ok {
		return nil
	}
	return want.check(resp.header, resp.body)
}

// check returns why a body violates the document.
func (ct content) check(header http.Header, body []byte) error {
	media, ok := ct.Content[header.Get("Content-Type")]
	if !ok {
		return fmt.Errorf("header Content-Type: %q", header.Get("Content-Type"))
	}
	var value any
	if err := json.Unmarshal(body, &value); err != nil {
		return fmt.Errorf("body: %w", err)
	}
	return media.Schema.check(value)
}

// check returns why a value is invalid, without the schema's name.
func (s *schema) check(value any) error {
	if err := s.Validate(value); err != nil {
		_, reason, _ := strings.Cut(err.Error(), "\n")
		return errors.New(reason)
	}
	return nil
}
