package sandbox

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"

	"publish-agent-version/testdata"
)

var (
	uuidForm = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
	idInPath = regexp.MustCompile(`^/v1/(agent|phone)/([^/]+)`)
)

// contract checks requests and responses against an OpenAPI document.
type contract struct {
	doc     *openapi3.T
	options *openapi3filter.Options
	valid   sync.Map // digests of responses that passed, as the library compiles the schema anew for each
}

// detail is one validation error, in the form of FastAPI's 422 responses.
type detail struct {
	Loc   []string `json:"loc"`
	Msg   string   `json:"msg"`
	Type  string   `json:"type"`
	Input any      `json:"input"`
}

// projectContract is the contract of the project's own document, which all sandboxes share. It rejects fields that the
// document does not list, which would otherwise hide a misspelled name.
var projectContract = sync.OnceValue(func() *contract {
	ct, err := newContract(testdata.OpenAPI)
	if err != nil {
		panic(err) // the document is embedded in the program
	}
	for name, schema := range ct.doc.Components.Schemas {
		if schema.Value.Type.Includes("object") && !strings.Contains(name, "ValidationError") { // FastAPI adds fields to those
			schema.Value.AdditionalProperties.Has = new(false)
		}
	}
	return ct
})

// newContract returns the contract of a document, which requires the API's error body for a status that it does not list.
func newContract(document []byte) (*contract, error) {
	doc, err := openapi3.NewLoader().LoadFromData(document)
	if err != nil {
		return nil, fmt.Errorf("reading the OpenAPI document: %w", err)
	}
	failure := openapi3.NewResponse().WithDescription("Any other error").
		WithJSONSchemaRef(doc.Components.Schemas["ErrorResponseSchema"])
	for _, path := range doc.Paths.Map() {
		for _, operation := range path.Operations() {
			operation.Responses.Set("default", &openapi3.ResponseRef{Value: failure})
		}
	}
	uuid := openapi3.NewCallbackValidator(func(s string) error { // the library accepts any string by default
		if !uuidForm.MatchString(s) {
			return errors.New("want 36 characters, 8-4-4-4-12 hexadecimal digits")
		}
		return nil
	})
	return &contract{doc: doc, options: &openapi3filter.Options{
		MultiError:                        true,
		RejectWhenRequestBodyNotSpecified: true,
		AuthenticationFunc:                openapi3filter.NoopAuthenticationFunc,
		SchemaValidationOptions:           []openapi3.SchemaValidationOption{openapi3.WithStringFormatValidator("uuid", uuid)},
	}}, nil
}

// locate returns the document's path that matches a request's path, and the id in it.
func locate(path string) (pattern, id string) {
	if found := idInPath.FindStringSubmatch(path); found != nil {
		id = found[2]
	}
	return idInPath.ReplaceAllString(path, "/v1/$1/{${1}_id}"), id
}

// methods returns the document's operations on one of its paths, by method.
func (ct *contract) methods(path string) map[string]*openapi3.Operation {
	if item := ct.doc.Paths.Value(path); item != nil {
		return item.Operations()
	}
	return nil
}

// input describes c for the library.
func (ct *contract) input(c call) *openapi3filter.RequestValidationInput {
	item := ct.doc.Paths.Value(c.path)
	return &openapi3filter.RequestValidationInput{
		Request:    c.Request,
		PathParams: map[string]string{"agent_id": c.id, "phone_id": c.id},
		Options:    ct.options,
		Route: &routers.Route{
			Spec: ct.doc, Path: c.path, PathItem: item, Method: c.Method, Operation: item.Operations()[c.Method],
		},
	}
}

// checkRequest returns what in c, whose body was read, violates the document.
func (ct *contract) checkRequest(c call, body []byte) (details []detail) {
	c.Request = c.Clone(c.Context()) // ValidateRequest adds defaults to the query
	c.Body, c.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	input := ct.input(c)
	if c.token == "" {
		details = append(details, detail{[]string{"header", "authorization"}, "want Bearer and a token", "missing", nil})
	}
	for name, values := range c.URL.Query() { // the library ignores unknown and repeated parameters
		loc := []string{"query", name}
		if input.Route.Operation.Parameters.GetByInAndName("query", name) == nil {
			details = append(details, detail{loc, "no such parameter", "extra_forbidden", values[0]})
		} else if len(values) > 1 {
			details = append(details, detail{loc, "given more than once", "value_error", values})
		}
	}
	details = append(details, errorDetails(nil, openapi3filter.ValidateRequest(c.Context(), input))...)
	// The library ignores what follows the first JSON value.
	if err := json.Unmarshal(body, new(any)); err != nil && len(body) > 0 && len(details) == 0 {
		details = []detail{{[]string{"body"}, err.Error(), "json_invalid", nil}}
	}
	return details
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
	return err
}

// errorDetails flattens the library's tree of errors, which may be nil, into one detail for each invalid value.
func errorDetails(loc []string, err error) (details []detail) {
	switch err := err.(type) { //nolint:errorlint // this takes the tree apart, level by level
	case nil:
	case openapi3.MultiError:
		for _, one := range err {
			details = append(details, errorDetails(loc, one)...)
		}
	case *openapi3filter.RequestError:
		loc = []string{"body"}
		if p := err.Parameter; p != nil {
			loc = []string{p.In, p.Name}
		}
		if err.Err != nil {
			return errorDetails(loc, err.Err)
		}
		return []detail{{loc, err.Error(), "value_error", nil}}
	case *openapi3.SchemaError:
		if causes, ok := errors.AsType[openapi3.MultiError](err.Origin); ok {
			return errorDetails(loc, causes)
		}
		pointer := err.JSONPointer()
		// The reason starts with the location, once or twice: error at "/a": at '/a': got number, want string.
		at := "at '" + strings.Join(append([]string{""}, pointer...), "/") + "': "
		_, reason, _ := strings.Cut(err.Reason, at)
		kind := "value_error"
		if err.SchemaField == "format" {
			kind = "uuid_parsing"
		}
		return []detail{{slices.Concat(loc, pointer), cmp.Or(reason, err.Reason), kind, err.Value}}
	default:
		return []detail{{loc, err.Error(), "value_error", nil}}
	}
	return details
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
