package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"text/template"
	"time"

	"publish-agent-version/internal/sandbox"
)

// banner lists the fixtures and two commands to paste, which publish the same version.
const banner = `The API is at http://{{.Addr}} until Ctrl-C.

  token     {{.Token}}
            {{.ReadToken}} (may only read)
            {{.AgentsToken}} (no access to phones)
  agents    {{.FrontDesk}} Front desk, {{.Versions}} versions, {{.LiveName}} is live
            {{.NightDesk}} Night desk, nothing is live
            {{.Support}} Support, {{.SupportID}} is live
  versions  {{.LiveID}} {{.LiveName}}
            {{.NextID}} {{.NextName}}
            {{.DraftID}} {{.DraftName}}, the draft
            {{.NightID}} of Night desk
  phones{{range $i, $phone := .Phones}}{{if $i}}
        {{end}}    {{$phone}}{{end}}

With curl:

  curl -X PATCH http://{{.Addr}}/v1/agent/{{.FrontDesk}}/published_version -H 'Authorization: Bearer {{.Token}}' -H 'Content-Type: application/json' -d '{"version_id":"{{.NextID}}"}'

With the action, as a command:

  DIGA_TOKEN={{.Token}} go run . --api-url=http://{{.Addr}} --agent-id={{.FrontDesk}} --version-id={{.NextID}}

`

// serve serves a new sandbox that behaves as b says on l until ctx is done, and logs each request.
func serve(ctx context.Context, l net.Listener, b sandbox.Behavior, stdout io.Writer) error {
	api := sandbox.New()
	api.Set(b)
	err := template.Must(template.New("").Parse(banner)).Execute(stdout, map[string]any{
		"Addr": l.Addr(), "Token": sandbox.Token, "ReadToken": sandbox.ReadToken, "AgentsToken": sandbox.AgentsToken,
		"FrontDesk": sandbox.FrontDesk, "NightDesk": sandbox.NightDesk, "Versions": sandbox.Versions,
		"LiveID": sandbox.LiveID, "LiveName": sandbox.LiveName, "NextID": sandbox.NextID, "NextName": sandbox.NextName,
		"DraftID": sandbox.DraftID, "DraftName": sandbox.DraftName, "NightID": sandbox.NightID,
		"Support": sandbox.Support, "SupportID": sandbox.SupportID, "Phones": phoneLines(api.Phones()),
	})
	if err != nil {
		return err
	}
	server := &http.Server{Handler: logRequests(api, stdout), ReadHeaderTimeout: 10 * time.Second}
	defer context.AfterFunc(ctx, func() { server.Close() })()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// phoneLines describes each phone number: its id, number, status unless assigned, and agents.
func phoneLines(phones []sandbox.Phone) []string {
	var lines []string
	for _, p := range phones {
		parts := []string{p.ID + " " + p.Number}
		if p.Status != "assigned" {
			parts = append(parts, p.Status)
		}
		for _, a := range agents() {
			if p.InboundAgentID != nil && *p.InboundAgentID == a.id {
				parts = append(parts, "inbound "+a.name)
			}
			if p.OutboundAgentID != nil && *p.OutboundAgentID == a.id {
				parts = append(parts, "outbound "+a.name)
			}
		}
		lines = append(lines, strings.Join(parts, ", "))
	}
	return lines
}

// logRequests wraps h to log each request's method, URI, status and duration. It logs no headers, because they contain
// the token.
func logRequests(h http.Handler, log io.Writer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start, recorder := time.Now(), &statusRecorder{ResponseWriter: w, status: "no response"}
		defer func() {
			fmt.Fprintf(log, "%s %q %s %s\n", start.Format(time.TimeOnly), r.Method+" "+r.RequestURI, recorder.status, time.Since(start).Round(time.Microsecond))
		}()
		h.ServeHTTP(recorder, r)
	})
}

// statusRecorder records the status that was written.
type statusRecorder struct {
	http.ResponseWriter
	status string
}

func (w *statusRecorder) WriteHeader(status int) {
	w.status = strconv.Itoa(status)
	w.ResponseWriter.WriteHeader(status)
}
