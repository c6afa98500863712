// Package testdata embeds the API's OpenAPI document and the sandbox's fixtures. Example replies are beside them.
package testdata

import _ "embed"

// OpenAPI is the OpenAPI 3.1 document, in YAML, of the operations of the Diga API that the action uses.
//
//go:embed openapi.yaml
var OpenAPI []byte

// Sandbox is the JSON of the configurations and the phone numbers of a new sandbox.
//
//go:embed sandbox.json
var Sandbox []byte
