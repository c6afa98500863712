// IDs, responses and lists shared by the tests.

package diga

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/google/uuid"
)

var requestID = uuid.MustParse("99999999-9999-4999-8999-999999999999")

var (
	agentID   = uuid.MustParse("a0000000-0000-4000-8000-000000000001")
	versionID = uuid.MustParse("b0000000-0000-4000-8000-000000000002")
	inbound   = uuid.MustParse("c0000000-0000-4000-8000-000000000003")
	outbound  = uuid.MustParse("d0000000-0000-4000-8000-000000000004")
)

func valid(id uuid.UUID) uuid.NullUUID { return uuid.NullUUID{UUID: id, Valid: true} }

// promotion is the change that most tests make, and published is the response that confirms it.
var promotion = Change{Agent: agentID, Version: valid(versionID)}

var published = response(http.StatusOK, `{"agent_id":"`+agentID.String()+`","published_version_id":"`+versionID.String()+`"}`)

const (
	agentField   = `"agent_id":"a0000000-0000-4000-8000-000000000001"`
	versionField = `"published_version_id":"b0000000-0000-4000-8000-000000000002"`
	inField      = `"inbound_phone_number_id":"c0000000-0000-4000-8000-000000000003"`
	outField     = `"outbound_phone_number_id":"d0000000-0000-4000-8000-000000000004"`
)

// versionBody is the version that promotion publishes.
const versionBody = `{"agent_id":"a0000000-0000-4000-8000-000000000001","version_id":"b0000000-0000-4000-8000-000000000002","version_number":7,` +
	`"version_name":"v1.2.0","is_draft":false,"is_published":true,"name":"Front desk","version_created_at":"2025-03-01T12:00:00Z"}`

const agentPath = "/v1/agent/a0000000-0000-4000-8000-000000000001"

const (
	phonesPath = "/v1/phone/"
	phoneID    = `"id":"c0000000-0000-4000-8000-000000000003"`
	phoneBody  = `{` + phoneID + `,"number":"+34910000001","nickname":"Front desk","status":"assigned","telephony_provider":"netelip",` +
		`"inbound_agent_id":"a0000000-0000-4000-8000-000000000001","outbound_agent_id":null,"assigned_at":"2025-03-01T12:00:00Z","released_at":null}`
)

// item returns a version of agentID with the id of number.
func item(number int, name string, fields ...string) string {
	list := append([]string{agentField, fmt.Sprintf(`"version_id":"%s","version_number":%d,"version_name":%q`, id(number), number, name)}, fields...)
	return "{" + strings.Join(list, ",") + "}"
}

func id(number int) uuid.UUID {
	return uuid.MustParse(fmt.Sprintf("b0000000-0000-4000-8000-%012d", number))
}

// items returns the versions from first down to last, named "v" and the number.
func items(first, last int) (list []string) {
	for number := first; number >= last; number-- {
		list = append(list, item(number, fmt.Sprint("v", number)))
	}
	return list
}

// phone returns a phone number with the id of number.
func phone(number int, fields ...string) string {
	list := append([]string{fmt.Sprintf(`"id":"%s","number":"+349100%05d"`, id(number), number)}, fields...)
	return "{" + strings.Join(list, ",") + "}"
}

// phonesFrom returns the phone numbers from first down to last.
func phonesFrom(first, last int) (list []string) {
	for number := first; number >= last; number-- {
		list = append(list, phone(number))
	}
	return list
}

func pageOf(more bool, items []string, fields ...string) reply {
	list := append([]string{fmt.Sprintf(`"data":[%s],"has_more":%t`, strings.Join(items, ","), more)}, fields...)
	return response(200, "{"+strings.Join(list, ",")+"}")
}

func afterQuery(limit, number int) string { return fmt.Sprintf("after=%s&limit=%d", id(number), limit) }

// apiBody returns the body of a 200 to any request of the tests.
func apiBody(method, path string) string {
	switch {
	case method == http.MethodPatch:
		return "{" + agentField + "," + versionField + "}"
	case path == phonesPath:
		return `{"data":[],"has_more":false}`
	case path == agentPath+"/version":
		return `{"data":[` + item(1, "v1") + `],"has_more":false}`
	case path == phonesPath+inbound.String():
		return phoneBody
	default:
		return versionBody
	}
}

// reads has every read of a Client by name.
var reads = map[string]func(ctx context.Context, c *Client, r Retries) error{
	"PublishedVersion": func(ctx context.Context, c *Client, r Retries) error {
		_, err := c.PublishedVersion(ctx, r, agentID)
		return err
	},
	"Version": func(ctx context.Context, c *Client, r Retries) error {
		_, err := c.Version(ctx, r, agentID, versionID)
		return err
	},
	"VersionNamed": func(ctx context.Context, c *Client, r Retries) error {
		_, err := c.VersionNamed(ctx, r, agentID, "v1")
		return err
	},
	"Phone":  func(ctx context.Context, c *Client, r Retries) error { _, err := c.Phone(ctx, r, inbound); return err },
	"Phones": func(ctx context.Context, c *Client, r Retries) error { _, err := c.Phones(ctx, r); return err },
	"PhonesOf": func(ctx context.Context, c *Client, r Retries) error {
		_, err := c.PhonesOf(ctx, r, agentID, Outbound)
		return err
	},
}
