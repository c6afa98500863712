package diga

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// A number is equal to itself in every notation, and E.164 is a notation of its own.
func FuzzNumber(f *testing.F) {
	for _, s := range []string{
		"+34 910 000 001", "tel:+34-910;ext=1", "sip:A@b", "tel:tel:1", "00 34", ";", "+", "é@é", "\xff", "34910000001",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n := ParseNumber(s)
		again := ParseNumber(n.canonical).canonical
		if !strings.ContainsAny(n.canonical, ":;") && again != n.canonical {
			t.Errorf("%q is %q, and that is %q", s, n.canonical, again)
		}
		if n.canonical != "" && (!n.Equal(n) || !n.Exactly(n)) || n.Equal(ParseNumber("")) {
			t.Errorf("%q is not equal to itself, or to nothing", s)
		}
		if e := n.E164(); e != "" && (!regexp.MustCompile(`^\+\d+$`).MatchString(e) || !n.Equal(ParseNumber(e[1:]))) {
			t.Errorf("%q in E.164 is %q", s, e)
		}
	})
}

// An error's body never shows what it echoes of the request, and its code is a plain word.
func FuzzErrorBody(f *testing.F) {
	for _, body := range []string{
		`{"error_code":"AGENT_NOT_FOUND","message":"no"}`, `{"error_code":"💥","message":[],"detail":"x"}`,
		`{"detail":[{"loc":["body",3,{"input":1}],"msg":"m","input":"i","ctx":{"error":{}},"url":"u"},null,{}]}`,
		"\ufeff{}", "[{}]", "<title>x</title>", "<<a>b>", "plain", "<>{", "", `{"message":"a","message":"b"}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got := parseReply(body)
		if !regexp.MustCompile(`^[\w.-]{0,64}$`).MatchString(got.code) || got.own && got.code == "" {
			t.Errorf("%+v", got)
		}
		if json.Unmarshal(body, new(map[string]any)) != nil && (got.code != "" || got.details != nil ||
			strings.HasPrefix(string(got.text), "{")) {
			t.Errorf("reads %+v of a body that is no object", got)
		}
		if !json.Valid(body) {
			body, _ = json.Marshal(string(body))
		}
		echo := fmt.Sprintf(`{"detail":[{"loc":["a",{"b":%[1]s}],"msg":"m","input":%[1]s,"ctx":[%[1]s],"url":%[1]s}]}`,
			body)
		if got := parseReply([]byte(echo)); got.text != "" || !slices.Equal(got.details, []Detail{{"a", "m"}}) &&
			json.Valid([]byte(echo)) { // it may be nested too deep
			t.Errorf("shows what was sent: %s: %+v", echo, got)
		}
	})
}

// A wait is never shorter than the server asks for, and never negative.
func FuzzRetryAfter(f *testing.F) {
	for _, value := range []string{"", "2", "25.5", "9223372036.5", "1e3", "-1", "NaN", "Inf",
		"Fri, 31 Dec 9999 23:59:59 GMT"} {
		f.Add(value, "Sat, 01 Jan 2000 10:00:00 GMT", uint8(0))
		f.Add(value, "", uint8(200))
	}
	f.Fuzz(func(t *testing.T, value, date string, n uint8) {
		asked := retryAfter(http.Header{"Retry-After": {value}, "Date": {date}}, time.Unix(0, 0))
		for _, status := range []int{http.StatusServiceUnavailable, http.StatusTooManyRequests} {
			least, spread := backoff(int(n), status, asked)
			ok := asked >= 0 && least >= max(asked, firstBackoff/2) && 0 <= spread && spread <= maxBackoff
			if !ok || least+spread < least {
				t.Errorf("%d: asked %s, waits %s and up to %s more", status, asked, least, spread)
			}
		}
	})
}
