package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"text/template"
	"time"

	"publish-agent-version/internal/sandbox"
)

// banner has everything to paste: the two command lines publish the same version.
const banner = `The API is at http://{{.Addr}} until Ctrl-C.

  token     {{.Token}}
            {{.ReadToken}} (publishing answers 403)
  agents    {{.FrontDesk}} Front desk, {{.Versions}} versions, {{.LiveName}} is live
            {{.NightDesk}} Night desk, nothing is live
            {{.Support}} Support, {{.SupportID}} is live
  versions  {{.LiveID}} {{.LiveName}}
            {{.NextID}} {{.NextName}}
            {{.DraftID}} {{.DraftName}}, a draft
            {{.NightID}} of Night desk
  phones{{range $i, $phone := .Phones}}{{if $i}}
        {{end}}    {{$phone}}{{end}}

With curl:

  curl -X PATCH http://{{.Addr}}/v1/agent/{{.FrontDesk}}/published_version -H 'Authorization: Bearer {{.Token}}' -H 'Content-Type: application/json' -d '{"version_id":"{{.NextID}}"}'

With the action (env, because a shell has no variables with hyphens):

  env INPUT_API-URL=http://{{.Addr}} INPUT_TOKEN={{.Token}} INPUT_AGENT-ID={{.FrontDesk}} INPUT_VERSION-ID={{.NextID}} go run .

`

// serve offers a fresh sandbox on l until ctx is done, and logs one line for each request.
func serve(ctx context.Context, l net.Listener, stdout io.Writer) error {
	api := sandbox.New()
	err := template.Must(template.New("").Parse(banner)).Execute(stdout, map[string]any{
		"Addr": l.Addr(), "Token": sandbox.Token, "ReadToken": sandbox.ReadToken,
		"FrontDesk": sandbox.FrontDesk, "NightDesk": sandbox.NightDesk, "Versions": sandbox.Versions,
		"LiveID": sandbox.LiveID, "LiveName": sandbox.LiveName, "NextID": sandbox.NextID, "NextName": sandbox.NextName,
		"DraftID": sandbox.DraftID, "DraftName": sandbox.DraftName, "NightID": sandbox.NightID,
		"Support": sandbox.Support, "SupportID": sandbox.SupportID, "Phones": describe(api.Phones()),
	})
	if err != nil {
		return err
	}
	server := &http.Server{Handler: logged(api, stdout), ReadHeaderTimeout: 10 * time.Second}
	defer context.AfterFunc(ctx, func() { server.Close() })()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// describe tells of each phone number its id, the number, its status if that keeps it from taking calls, and who has it.
func describe(phones []sandbox.Phone) []string {
	var lines []string
	for _, p := range phones {
		line := p.ID + " " + p.Number
		if p.Status != "assigned" {
			line += ", " + p.Status
		}
		for _, a := range agents() {
			if p.InboundAgentID != nil && *p.InboundAgentID == a.id {
				line += ", inbound " + a.name
			}
			if p.OutboundAgentID != nil && *p.OutboundAgentID == a.id {
				line += ", outbound " + a.name
			}
		}
		lines = append(lines, line)
	}
	return lines
}

// logged writes one line for each request that h answers: what was asked, quoted, the status, and how long it took.
// Headers, and with them the token, stay out of it.
func logged(h http.Handler, log io.Writer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start, seen := time.Now(), &watched{ResponseWriter: w, answer: "no answer"}
		defer func() {
			fmt.Fprintf(log, "%s %q %s %s\n", start.Format(time.TimeOnly), r.Method+" "+r.RequestURI, seen.answer, time.Since(start).Round(time.Microsecond))
		}()
		h.ServeHTTP(seen, r)
	})
}

// watched remembers the status.
type watched struct {
	http.ResponseWriter
	answer string
}

func (w *watched) WriteHeader(status int) {
	w.answer = strconv.Itoa(status)
	w.ResponseWriter.WriteHeader(status)
}
