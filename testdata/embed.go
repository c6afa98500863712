// Package testdata holds what the tests and the sandbox share: the API's OpenAPI document, and beside it example replies.
package testdata

import _ "embed"

// OpenAPI is the OpenAPI 3.1 document, in YAML, of the part of the Diga API that the action uses.
//
//go:embed openapi.yaml
var OpenAPI []byte
