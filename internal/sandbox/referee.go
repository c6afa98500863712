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

// referee holds every request and every reply against the OpenAPI document. It is stricter than the document in three
// ways, because two programs that misspell one name in the same way would otherwise agree: a field or a query parameter
// that the document does not list is refused, and a status that it does not list must carry the error body.
type referee struct {
	router  routers.Router
	options *openapi3filter.Options
}

// call is one request as the referee reads it: operation, path parameters, query with the document's defaults filled in.
type call struct {
	*openapi3filter.RequestValidationInput // nil when unknown is set

	unknown error    // why the document has no such operation: an error of package routers
	token   string   // the bearer token, empty when there is none
	body    any      // the decoded body, nil when there is none
	details []detail // what does not fit
}

// detail is one way in which a request does not fit the document, as FastAPI tells it in a 422.
type detail struct {
	Loc   []string `json:"loc"`
	Msg   string   `json:"msg"`
	Type  string   `json:"type"`
	Input any      `json:"input"`
}

func newReferee() (*referee, error) {
	doc, err := openapi3.NewLoader().LoadFromData(testdata.OpenAPI)
	if err != nil {
		return nil, fmt.Errorf("reading the OpenAPI document: %w", err)
	}
	doc.Servers = nil // the sandbox is not at the address of the live service
	for name, schema := range doc.Components.Schemas {
		if name != "ValidationError" { // FastAPI adds fields of its own there
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
	return &referee{router: router, options: &openapi3filter.Options{
		MultiError:                        true,
		RejectWhenRequestBodyNotSpecified: true,
		AuthenticationFunc:                wantBearer,
		// Without this the library takes any string for a UUID.
		SchemaValidationOptions: []openapi3.SchemaValidationOption{
			openapi3.WithStringFormatValidator("uuid", openapi3.NewCallbackValidator(wantUUID())),
		},
	}}, nil
}

// request reads r, whose body is given apart.
func (rf *referee) request(r *http.Request, body []byte) call {
	r = r.Clone(r.Context()) // the library writes defaults into the query
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	route, params, err := rf.router.FindRoute(r)
	if err != nil {
		return call{unknown: err}
	}
	c := call{token: bearer(r), RequestValidationInput: &openapi3filter.RequestValidationInput{
		Request: r, PathParams: params, Route: route, Options: rf.options,
	}}
	err = openapi3filter.ValidateRequest(r.Context(), c.RequestValidationInput)
	c.details = append(unlisted(r, route), explain(nil, err)...)
	// The library stops reading after the first JSON value.
	if err := json.Unmarshal(body, &c.body); err != nil && len(body) > 0 && len(c.details) == 0 {
		c.details = []detail{{[]string{"body"}, err.Error(), "json_invalid", nil}}
	}
	return c
}

// reply returns what does not fit in a reply to c.
func (rf *referee) reply(c call, rep reply) error {
	input := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: c.RequestValidationInput, Status: rep.status, Header: rep.header, Options: rf.options,
	}
	return openapi3filter.ValidateResponse(c.Request.Context(), input.SetBodyBytes(rep.body))
}

// unlisted returns the query parameters that the operation does not have, and those given more than once: the library
// looks at neither.
func unlisted(r *http.Request, route *routers.Route) []detail {
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

// explain flattens the library's tree of errors, which may be nil, into one detail for each value that is wrong.
func explain(loc []string, err error) []detail {
	if err == nil {
		return nil
	}
	d := detail{loc, err.Error(), "value_error", nil}
	switch err := err.(type) {
	case openapi3.MultiError:
		var details []detail
		for _, one := range err {
			details = append(details, explain(loc, one)...)
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
			return explain(d.Loc, err.Err)
		}
	case *openapi3.SchemaError:
		if causes, ok := errors.AsType[openapi3.MultiError](err.Origin); ok {
			return explain(loc, causes)
		}
		pointer := err.JSONPointer()
		// The reason names the place first, once or twice, as in: error at "/a": at '/a': got number, want string.
		at := "at '" + strings.Join(append([]string{""}, pointer...), "/") + "': "
		_, reason, _ := strings.Cut(err.Reason, at)
		d.Loc, d.Msg, d.Input = slices.Concat(loc, pointer), cmp.Or(reason, err.Reason), err.Value
		if err.SchemaField == "format" {
			d.Type = "uuid_parsing"
		}
	}
	return []detail{d}
}

func wantBearer(_ context.Context, input *openapi3filter.AuthenticationInput) error {
	if bearer(input.RequestValidationInput.Request) == "" {
		return errors.New("want the header Authorization: Bearer and a token")
	}
	return nil
}

// bearer returns the token of an Authorization header, or nothing if there is none or more than one.
func bearer(r *http.Request) string {
	if values := r.Header.Values("Authorization"); len(values) == 1 {
		if scheme, token, _ := strings.Cut(values[0], " "); strings.EqualFold(scheme, "Bearer") {
			return token
		}
	}
	return ""
}

func wantUUID() func(string) error {
	uuid := regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
	return func(s string) error {
		if !uuid.MatchString(s) {
			return errors.New("want 36 characters, 8-4-4-4-12 hexadecimal digits")
		}
		return nil
	}
}
