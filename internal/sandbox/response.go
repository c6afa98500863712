package sandbox

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// response is an HTTP response before it is written.
type response struct {
	status int
	header http.Header
	body   []byte
}

// jsonResponse encodes body, which must be of one of this package's types.
func jsonResponse(status int, body any) response {
	data, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	return response{status, http.Header{"Content-Type": {"application/json"}}, data}
}

// errorResponse has the API's error body.
func errorResponse(status int, code, format string, args ...any) response {
	return jsonResponse(status, map[string]string{"status": "error", "error_code": code, "message": fmt.Sprintf(format, args...)})
}

func orNull(id string) *string {
	if id == "" {
		return nil
	}
	return &id
}

func orEmpty(id *string) string {
	if id == nil {
		return ""
	}
	return *id
}
