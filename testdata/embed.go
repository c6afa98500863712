// Package testdata embeds the API's OpenAPI document for the sandbox and its tests. Example replies are beside it.
package testdata

import _ "embed"

// OpenAPI is the OpenAPI 3.1 document, in YAML, of the operations of the Diga API that the action uses.
//
//go:embed openapi.yaml
var OpenAPI []byte
