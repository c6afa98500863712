package diga

import (
	"encoding/json"
	"math"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

// generic returns encoding/json's reading of a body, to compare with ours; nil if body is not a JSON object. Of
// repeated names it takes the last.
func generic(body []byte) map[string]any {
	var fields map[string]any
	if json.Unmarshal(body, &fields) != nil {
		return nil
	}
	return fields
}

// sameID reports whether the field is id, or absent or null if id is null.
func sameID(fields map[string]any, name string, id uuid.NullUUID) bool {
	value, there := fields[name]
	if !there || value == nil {
		return !id.Valid
	}
	text, ok := value.(string)
	return ok && id.Valid && strings.EqualFold(text, id.UUID.String())
}

func FuzzPublicationBody(f *testing.F) {
	for _, body := range []string{
		`{` + agentField + `,` + versionField + `,` + inField + `,` + outField + `}`,
		`{` + agentField + `,"published_version_id":null}`,
		`{` + agentField + `,` + agentField + `}`,
		`{"Agent_Id":1,` + agentField + `} x`,
		`{"agent\u005fid":"urn:uuid:a0000000-0000-4000-8000-000000000001"}`,
		"\ufeff{}", "[]", "null", `{"a":[[{"b":{}}]],`, "{\"\xff\":1,\"\xfe\":2}", `{"\ud800":"\udc00"}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := readPublication(body)
		fields := generic(body)
		agrees := fields != nil
		for name, id := range map[string]uuid.NullUUID{
			"agent_id": {UUID: got.Agent, Valid: true}, "published_version_id": got.Version,
			"inbound_phone_number_id": got.Phones[Inbound], "outbound_phone_number_id": got.Phones[Outbound],
		} {
			agrees = agrees && sameID(fields, name, id)
		}
		if err == nil && !agrees {
			t.Errorf("accepted as %+v, but encoding/json reads %v", got, fields)
		}
		if err != nil && fields != nil && !strings.Contains(err.Error(), "duplicate field ") {
			for _, name := range []string{"agent_id", "published_version_id", "inbound_phone_number_id", "outbound_phone_number_id"} {
				text, ok := fields[name].(string)
				if _, bad := ParseID(text); ok && bad != nil || !ok && (fields[name] != nil || name == "agent_id") {
					return
				}
			}
			t.Errorf("refused (%v), but encoding/json reads %v", err, fields)
		}
	})
}

func FuzzVersionPage(f *testing.F) {
	for _, r := range []reply{pageOf(false, nil), pageOf(true, items(3, 1)), pageOf(true, items(3, 1), `"last_id":null`), pageOf(true, items(2, 1), inField[:1]+"last_id"+inField[24:])} {
		f.Add([]byte(r.raw[strings.Index(r.raw, "{"):]))
	}
	f.Add([]byte(`{"data":[null],"has_more":null}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		p, err := parsePage(body, readVersion)
		if err != nil {
			return
		}
		got, more, next := p.items, p.more, p.last
		fields := generic(body)
		list, _ := fields["data"].([]any)
		if len(list) != len(got) || fields["has_more"] != more {
			t.Fatalf("accepted as %+v, %t, but encoding/json reads %v", got, more, fields)
		}
		for i, v := range got {
			item, _ := list[i].(map[string]any)
			name, _ := item["version_name"].(string)
			agent, _ := item["name"].(string)
			draft, _ := item["is_draft"].(bool)
			if !sameID(item, "agent_id", valid(v.Agent)) || !sameID(item, "version_id", valid(v.ID)) || v.Name != name || v.AgentName != agent || v.Draft != draft {
				t.Errorf("accepted %+v, but encoding/json reads %v", v, item)
			}
		}
		if last, _ := fields["last_id"].(string); next != strings.ToLower(last) {
			t.Errorf("the cursor is %q, but encoding/json reads %v", next, fields)
		}
		// Reading ends even if a server sends the same page again and again, whatever it says.
		n := &network{replies: []reply{response(200, string(body))}}
		n.play(t, func(t *testing.T, c *Client) {
			seen := map[uuid.UUID]bool{}
			for v, err := range c.Versions(t.Context(), WithRetries, agentID) {
				if err == nil && seen[v.ID] {
					t.Errorf("lists %s twice", v.ID)
				}
				seen[v.ID] = true
			}
			if len(n.heard()) > 2 {
				t.Errorf("%d requests", len(n.heard()))
			}
		})
	})
}

func FuzzErrorBody(f *testing.F) {
	for _, body := range []string{
		`{"status":"error","error_code":"AGENT_NOT_FOUND","message":"no"}`,
		`{"error_code":"💥","message":[],"detail":"x"}`,
		`{"detail":[{"loc":["body","version_id",3],"msg":"m","input":"i","ctx":{"error":{}},"url":"u"}]}`,
		`{"detail":[{"loc":[{"input":1}],"MSG":"m"},null,{}]}`,
		`{"detail":{"input":[1]}}`, "\ufeff{}", "[{}]", "<title>x</title>", "<<a>b>", "plain", "<>{", "", `{"message":"a","message":"b"}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got := (&attempt{status: 422, body: body}).replyError()
		if got.Cause != Answered || got.Status != 422 || got.Message != "the API returned 422 Unprocessable Entity" {
			t.Errorf("%+v", got)
		}
		if rest := strings.Trim(got.Code, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"); rest != "" || len(got.Code) > 64 {
			t.Errorf("the code is %q", got.Code)
		}
		fields := generic(body)
		if fields == nil && (got.Code != "" || got.Details != nil || strings.Contains(got.Untrusted, "<") || strings.HasPrefix(got.Untrusted, "{") || len(got.Untrusted) > 3*4096) {
			t.Errorf("reads %+v of a body that is not an object", got)
		}
		if code, _ := fields["error_code"].(string); got.Code != "" && got.Code != code {
			t.Errorf("the code is %q, but encoding/json reads %v", got.Code, fields)
		}
		list, ok := fields["detail"].([]any)
		if !ok {
			return
		}
		const secret = "s3cret-s3cret"
		hide(list, secret)
		hidden, err := json.Marshal(fields)
		if err != nil {
			t.Fatal(err)
		}
		got = (&attempt{status: 422, body: hidden}).replyError()
		if text, err := json.Marshal(got.Details); err != nil || strings.Contains(string(text), secret) {
			t.Errorf("%s shows what was sent: %s", hidden, text)
		}
	})
}

// hide replaces what repeats a request by secret.
func hide(value any, secret string) {
	switch value := value.(type) {
	case []any:
		for _, item := range value {
			hide(item, secret)
		}
	case map[string]any:
		for name, item := range value {
			if name == "input" || name == "ctx" || name == "url" {
				value[name] = secret
			} else {
				hide(item, secret)
			}
		}
	}
}

func FuzzRetryAfter(f *testing.F) {
	for _, value := range []string{"", "0", "2", "007", "3600", "9223372036", "9223372037", "1e3", "-1", "+5", "NaN", "1.5", "120, 5", "Fri, 31 Dec 9999 23:59:59 GMT", "Sat Jan  1 10:00:09 2000"} {
		f.Add(value, "Sat, 01 Jan 2000 10:00:00 GMT", int64(0), uint8(0))
		f.Add(value, "", int64(math.MaxInt32), uint8(200))
	}
	f.Fuzz(func(t *testing.T, value, date string, now int64, n uint8) {
		asked, ok := retryAfter(http.Header{"Retry-After": {value}, "Date": {date}}, time.Unix(now, 0))
		if asked < 0 || !ok && asked != 0 {
			t.Errorf("asked for %s, %t", asked, ok)
		}
		number, err := strconv.Atoi(value)
		plain := err == nil && strings.Trim(value, "0123456789") == "" && int64(number) <= int64(math.MaxInt64/time.Second)
		if plain && (!ok || asked.Seconds() != float64(number)) {
			t.Errorf("asked for %s, %t", asked, ok)
		}
		if _, err := http.ParseTime(value); ok && !plain && err != nil {
			t.Errorf("asked for %s, though it is neither a number nor a date", asked)
		}
		for status, first := range map[int]time.Duration{http.StatusServiceUnavailable: time.Second, http.StatusTooManyRequests: 2 * time.Second} {
			if asked > 0 {
				first = time.Second
			}
			d := min(20*time.Second, time.Duration(math.Pow(2, min(float64(n), 10)))*first)
			least, spread := backoff(int(n), status, asked)
			if least != max(d/2, asked) || spread < 0 || spread > 20*time.Second || least+spread < least {
				t.Errorf("%d: waits %s and up to %s more, asked %s, d = %s", status, least, spread, asked, d)
			}
			if spread < d/2 && spread != math.MaxInt64-least || asked == 0 && spread != d/2 {
				t.Errorf("%d: jitter of %s, asked %s, d = %s", status, spread, asked, d)
			}
		}
	})
}
