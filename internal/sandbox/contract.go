package sandbox

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"

	"publish-agent-version/testdata"
)

var idInPath = regexp.MustCompile(`^/v1/agent/([^/]+)`)

// contract checks requests and responses against an OpenAPI document.
type contract struct {
	doc     *openapi3.T
	options *openapi3filter.Options
	valid   sync.Map // digests of responses that passed, as the library compiles the schema anew for each
}

// projectContract is the contract of the project's own document, which all sandboxes share. It rejects fields that the
// document does not list, which would otherwise hide a misspelled name.
var projectContract = sync.OnceValue(func() *contract {
	ct := newContract(testdata.OpenAPI)
	for name, schema := range ct.doc.Components.Schemas {
		if schema.Value.Type.Includes("object") && !strings.Contains(name, "ValidationError") { // FastAPI adds to those
			schema.Value.AdditionalProperties.Has = new(false)
		}
	}
	return ct
})

// newContract returns the contract of a document.
func newContract(document []byte) *contract {
	doc, err := openapi3.NewLoader().LoadFromData(document)
	if err != nil {
		panic(err) // the document is embedded in the program, or a test's
	}
	// The library accepts any string as a UUID by default.
	uuid := openapi3.WithStringFormatValidator("uuid",
		openapi3.NewRegexpFormatValidator(openapi3.FormatOfStringForUUIDOfRFC4122))
	return &contract{doc: doc, options: &openapi3filter.Options{
		RejectWhenRequestBodyNotSpecified: true,
		AuthenticationFunc:                openapi3filter.NoopAuthenticationFunc,
		SchemaValidationOptions:           []openapi3.SchemaValidationOption{uuid},
	}}
}

// locate returns the document's path that matches a request's path, and the agent's id in it.
func locate(path string) (pattern, id string) {
	if found := idInPath.FindStringSubmatch(path); found != nil {
		id = found[1]
	}
	return idInPath.ReplaceAllString(path, "/v1/agent/{agent_id}"), id
}

// operation returns the document's operation for a path and a method, or nil.
func (ct *contract) operation(path, method string) *openapi3.Operation {
	if item := ct.doc.Paths.Value(path); item != nil {
		return item.Operations()[method]
	}
	return nil
}

// input describes c for the library.
func (ct *contract) input(c call) *openapi3filter.RequestValidationInput {
	return &openapi3filter.RequestValidationInput{
		Request:    c.Request,
		PathParams: map[string]string{"agent_id": c.id},
		Options:    ct.options,
		Route: &routers.Route{
			Spec: ct.doc, Path: c.path, PathItem: ct.doc.Paths.Value(c.path), Method: c.Method,
			Operation: ct.operation(c.path, c.Method),
		},
	}
}

// checkRequest returns why c, whose body was read, violates the document.
func (ct *contract) checkRequest(c call, body []byte) error {
	operation := ct.operation(c.path, c.Method)
	if operation == nil {
		return errors.New("no such operation")
	}
	if c.token == "" {
		return errors.New("header authorization: want Bearer and a token")
	}
	for name, values := range c.URL.Query() { // the library ignores unknown and repeated parameters
		if operation.Parameters.GetByInAndName("query", name) == nil {
			return fmt.Errorf("query.%s: no such parameter", name)
		} else if len(values) > 1 {
			return fmt.Errorf("query.%s: given more than once", name)
		}
	}
	c.Request = c.Clone(c.Context()) // ValidateRequest adds defaults to the query
	c.Body, c.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return firstLine(openapi3filter.ValidateRequest(c.Context(), ct.input(c)))
}

// checkResponse returns why a response to c violates the document.
func (ct *contract) checkResponse(c call, resp response) error {
	digest := sha256.Sum256(fmt.Appendln(nil, c.Method, c.path, resp.status, resp.header, string(resp.body)))
	if _, valid := ct.valid.Load(digest); valid {
		return nil
	}
	input := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: ct.input(c), Status: resp.status, Header: resp.header, Options: ct.options,
	}
	err := openapi3filter.ValidateResponse(c.Context(), input.SetBodyBytes(resp.body))
	if err == nil {
		ct.valid.Store(digest, true)
	}
	return firstLine(err)
}

// firstLine leaves out what the library says below the reason: the schema and the value.
func firstLine(err error) error {
	if err == nil {
		return nil
	}
	reason, _, _ := strings.Cut(err.Error(), "\n")
	return errors.New(reason)
}

// bearer returns the token of r's Authorization header, or "" unless there is exactly one.
func bearer(r *http.Request) string {
	if values := r.Header.Values("Authorization"); len(values) == 1 {
		if scheme, token, _ := strings.Cut(values[0], " "); strings.EqualFold(scheme, "Bearer") {
			return token
		}
	}
	return ""
}
