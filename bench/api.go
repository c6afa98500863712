package main

import (
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

const (
	token     = "a-token-that-may-publish"
	agentID   = "a0000000-0000-4000-8000-000000000001"
	versionID = "b0000000-0000-4000-8000-000000000001"
	phoneID   = "c0000000-0000-4000-8000-000000000001"
	number    = "+34910000001"
)

// api returns success to every request at once, without checking it, so that only the program's own time is measured.
type api struct {
	http, https, https1 string // base URLs: plain HTTP/1.1, HTTP/2 over TLS, HTTP/1.1 over TLS
	authority           string // file with the self-signed certificate of https and https1

	phones    atomic.Bool // phone numbers can be read: one, not bound; false: 404
	pages     []string    // of the list of versions
	requests  atomic.Int64
	firstByte atomic.Int64 // when the first byte arrived over HTTP after this was set to 0, in Unix nanoseconds
}

// newAPI starts an API that runs until this program ends. Its certificate file is in dir.
func newAPI(dir string) (*api, error) {
	a := &api{authority: filepath.Join(dir, "authority.pem")}
	plain, secure, secure1 := httptest.NewUnstartedServer(a), httptest.NewUnstartedServer(a), httptest.NewUnstartedServer(a)
	plain.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateActive {
			a.firstByte.CompareAndSwap(0, time.Now().UnixNano())
		}
	}
	for _, server := range []*httptest.Server{plain, secure, secure1} {
		server.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes that a client aborts because it no longer needs the connection
	}
	plain.Start()
	secure.EnableHTTP2 = true
	secure.StartTLS()
	secure1.StartTLS()
	a.http, a.https, a.https1 = plain.URL, secure.URL, secure1.URL
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})
	return a, os.WriteFile(a.authority, certificate, 0o600)
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.requests.Add(1)
	body, _ := io.ReadAll(r.Body) // otherwise HTTP/2 resets the stream, which curl 7 treats as a failure
	w.Header().Set("Content-Type", "application/json")
	switch {
	case r.Method == http.MethodPatch:
		inbound := "null"
		if strings.Contains(string(body), phoneID) {
			inbound = `"` + phoneID + `"`
		}
		_, _ = io.WriteString(w, `{"agent_id":"`+agentID+`","published_version_id":"`+versionID+`",`+
			`"inbound_phone_number_id":`+inbound+`,"outbound_phone_number_id":null}`)
	case strings.HasPrefix(r.URL.Path, "/v1/phone/") && !a.phones.Load():
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"status":"error","error_code":"NOT_FOUND","message":"no such route"}`)
	case strings.HasPrefix(r.URL.Path, "/v1/phone/"):
		_, _ = io.WriteString(w, `{"data":[{"id":"`+phoneID+`","number":"`+number+`","status":"assigned",`+
			`"inbound_agent_id":null,"outbound_agent_id":null}],"has_more":false}`)
	case strings.HasSuffix(r.URL.Path, "/version"):
		page := slices.IndexFunc(a.pages, func(page string) bool { return strings.Contains(page, r.FormValue("after")) })
		if r.FormValue("after") != "" {
			page++
		}
		_, _ = io.WriteString(w, a.pages[page])
	case r.FormValue("version_id") != "":
		_, _ = io.WriteString(w, version(1, "v1"))
	default:
		_, _ = io.WriteString(w, version(0, "live"))
	}
}

// version returns the version with this number; 0 is live. It is 2 kB, most of which is the prompt.
func version(number int, name string) string {
	return fmt.Sprintf(`{"agent_id":%q,"version_id":"b0000000-0000-4000-8000-%012d","version_number":%d,"version_name":%q,`+
		`"is_draft":false,"is_published":%t,"name":"Front desk","system_prompt":%q}`,
		agentID, number, number, name, number == 0, strings.Repeat("You are the front desk. ", 80))
}

// list sets the list to n versions, each named by its number.
func (a *api) list(n int) {
	a.pages = nil
	for first := 1; first <= n; first += 100 {
		var page []string
		for number := first; number < min(first+100, n+1); number++ {
			page = append(page, version(number, fmt.Sprint("v", number)))
		}
		a.pages = append(a.pages, fmt.Sprintf(`{"data":[%s],"has_more":%t}`, strings.Join(page, ","), first+100 <= n))
	}
}
