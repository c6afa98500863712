package sandbox

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"publish-agent-version/testdata"
)

// contract checks requests and responses against the OpenAPI document. It rejects fields and query parameters that the
// document does not list, which would otherwise hide a misspelled name, and it requires the error body for statuses that
// the document does not list.
type contract struct {
	router  routers.Router
	options *openapi3filter.Options
}

// call is a parsed request: its operation, its path parameters, and its query with the document's defaults.
type call struct {
	*openapi3filter.RequestValidationInput // nil if routeErr is set

	routeErr error    // no such operation: an error of package routers
	token    string   // the bearer token, or ""
	body     any      // the decoded body, or nil
	details  []detail // violations of the document
}

// detail is one validation error, in the form of FastAPI's 422 responses.
type detail struct {
	Loc   []string `json:"loc"`
	Msg   string   `json:"msg"`
	Type  string   `json:"type"`
	Input any      `json:"input"`
}

func newContract() (*contract, error) {
	doc, err := openapi3.NewLoader().LoadFromData(testdata.OpenAPI)
	if err != nil {
		return nil, fmt.Errorf("reading the OpenAPI document: %w", err)
	}
	doc.Servers = nil // the sandbox is not at the address of the live service
	for name, schema := range doc.Components.Schemas {
		if name != "ValidationError" { // FastAPI adds fields to it
			schema.Value.AdditionalProperties.Has = new(false)
		}
	}
	for _, path := range doc.Paths.Map() {
		for _, operation := range path.Operations() {
			operation.Responses.Set("default", doc.Components.Responses["Broken"])
		}
	}
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		return nil, fmt.Errorf("routing by the OpenAPI document: %w", err)
	}
	return &contract{router: router, options: &openapi3filter.Options{
		MultiError:                        true,
		RejectWhenRequestBodyNotSpecified: true,
		AuthenticationFunc:                requireBearer,
		// The library accepts any string as a UUID by default.
		SchemaValidationOptions: []openapi3.SchemaValidationOption{
			openapi3.WithStringFormatValidator("uuid", openapi3.NewCallbackValidator(uuidValidator())),
		},
	}}, nil
}

// parse validates r, whose body was read into body.
func (ct *contract) parse(r *http.Request, body []byte) call {
	r = r.Clone(r.Context()) // ValidateRequest adds defaults to the query
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	route, params, err := ct.router.FindRoute(r)
	if err != nil {
		return call{routeErr: err}
	}
	c := call{token: bearer(r), RequestValidationInput: &openapi3filter.RequestValidationInput{
		Request: r, PathParams: params, Route: route, Options: ct.options,
	}}
	err = openapi3filter.ValidateRequest(r.Context(), c.RequestValidationInput)
	c.details = append(checkQuery(r, route), errorDetails(nil, err)...)
	// The library ignores what follows the first JSON value.
	if err := json.Unmarshal(body, &c.body); err != nil && len(body) > 0 && len(c.details) == 0 {
		c.details = []detail{{[]string{"body"}, err.Error(), "json_invalid", nil}}
	}
	return c
}

// checkResponse validates a response to c.
func (ct *contract) checkResponse(c call, resp response) error {
	input := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: c.RequestValidationInput, Status: resp.status, Header: resp.header, Options: ct.options,
	}
	return openapi3filter.ValidateResponse(c.Request.Context(), input.SetBodyBytes(resp.body))
}

// checkQuery rejects unknown and repeated query parameters, which the library ignores.
func checkQuery(r *http.Request, route *routers.Route) []detail {
	var details []detail
	for name, values := range r.URL.Query() {
		if route.Operation.Parameters.GetByInAndName(openapi3.ParameterInQuery, name) == nil {
			details = append(details, detail{[]string{"query", name}, "no such parameter", "extra_forbidden", values[0]})
		} else if len(values) > 1 {
			details = append(details, detail{[]string{"query", name}, "given more than once", "value_error", values})
		}
	}
	return details
}

// errorDetails flattens the library's tree of errors, which may be nil, into one detail for each invalid value.
func errorDetails(loc []string, err error) []detail {
	if err == nil {
		return nil
	}
	d := detail{loc, err.Error(), "value_error", nil}
	switch err := err.(type) { //nolint:errorlint // this takes the tree apart, level by level
	case openapi3.MultiError:
		var details []detail
		for _, one := range err {
			details = append(details, errorDetails(loc, one)...)
		}
		return details
	case *openapi3filter.SecurityRequirementsError:
		d.Loc = []string{"header", "authorization"}
	case *openapi3filter.RequestError:
		d.Loc = []string{"body"}
		if p := err.Parameter; p != nil {
			d.Loc = []string{p.In, p.Name}
		}
		if err.Err != nil {
			return errorDetails(d.Loc, err.Err)
		}
	case *openapi3.SchemaError:
		if causes, ok := errors.AsType[openapi3.MultiError](err.Origin); ok {
			return errorDetails(loc, causes)
		}
		pointer := err.JSONPointer()
		// The reason starts with the location, once or twice: error at "/a": at '/a': got number, want string.
		at := "at '" + strings.Join(append([]string{""}, pointer...), "/") + "': "
		_, reason, _ := strings.Cut(err.Reason, at)
		d.Loc, d.Msg, d.Input = slices.Concat(loc, pointer), cmp.Or(reason, err.Reason), err.Value
		if err.SchemaField == "format" {
			d.Type = "uuid_parsing"
		}
	}
	return []detail{d}
}

func requireBearer(_ context.Context, input *openapi3filter.AuthenticationInput) error {
	if bearer(input.RequestValidationInput.Request) == "" {
		return errors.New("want the header Authorization: Bearer and a token")
	}
	return nil
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

func uuidValidator() func(string) error {
	uuid := regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
	return func(s string) error {
		if !uuid.MatchString(s) {
			return errors.New("want 36 characters, 8-4-4-4-12 hexadecimal digits")
		}
		return nil
	}
}
