package diga

import (
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
)

func TestErrorBodies(t *testing.T) {
	const secret = `[{"input":"s3cret"}]`
	a64, long := strings.Repeat("A", 64), strings.Repeat("x ", 9999)+"y"
	tests := map[string]reply{
		// The contract's own shape, at the top or in detail.
		`{"status":"error","error_code":"AGENT_NOT_FOUND","message":" No x "}`: {own: true, code: "AGENT_NOT_FOUND",
			text: "No x"},
		`{"detail":{"error_code":"A","message":"b"}}`:                  {own: true, code: "A", text: "b"},
		`{"message":"c","detail":{"error_code":"A","message":"b"}}`:    {own: true, code: "A", text: "b"},
		`{"error_code":"A","message":"b","detail":{"error_code":"C"}}`: {own: true, code: "A", text: "b"},
		`{"error_code":"A","message":""}`:                              {own: true, code: "A"},
		`{"error_code":"A","message":"x\ud800y"}`:                      {own: true, code: "A", text: "x\ufffdy"},
		`{"error_code":"not_found-1.2","message":"b"}`:                 {own: true, code: "not_found-1.2", text: "b"},
		`{"error_code":"` + a64 + `","message":"b"}`:                   {own: true, code: a64, text: "b"},
		`{"error_code":"` + a64 + `A","message":"b"}`:                  {text: "b"},
		`{"error_code":"A"}`:                                           {code: "A"},
		`{"error_code":"A","message":5}`:                               {code: "A"},
		`{"error_code":"A","detail":{"message":"b"}}`:                  {code: "A", text: "b"},

		// Other shapes, the first text of which counts.
		`{"error_code":"A\n::add-mask::","message":"b"}`: {text: "b"},
		`{"Error_Code":"A","MESSAGE":"b","Detail":"c"}`:  {},
		`{"detail":"b"}`: {brief: true, text: "b"},
		`{"message":"a","detail":"b","title":"c"}`:                 {text: "a"},
		`{"detail":"b","error":"c"}`:                               {text: "b"},
		`{"detail":{"message":"b"},"error":"c"}`:                   {text: "b"},
		`{"error":{"message":"b"},"title":"c"}`:                    {text: "b"},
		`{"error":"b","title":"c"}`:                                {text: "b"},
		`{"errors":[{"message":"b"},{"message":"c"}],"title":"d"}`: {text: "b"},
		`{"errors":[],"title":"b"}`:                                {text: "b"},
		`{"errors":["a"],"title":"b"}`:                             {text: "b"},
		`{"message":"","title":"b"}`:                               {text: "b"},

		// A list of details; what echoes the request is not read.
		`{"detail":[{"loc":["body","version_id"],"msg":"no UUID","input":"s3cret","ctx":{"a":"s3cret"}}]}`: {
			details: []Detail{{"body.version_id", "no UUID"}}},
		`{"detail":[{"loc":["a",3],"msg":"a"},{"loc":[],"msg":"b"},{"msg":"c"},{"loc":"b","msg":"e"}]}`: {
			details: []Detail{{"a.3", "a"}, {"", "b"}, {"", "c"}, {"b", "e"}}},
		`{"detail":[{"loc":["a",{"input":"s3cret"},["s3cret"]],"msg":"b"}]}`: {details: []Detail{{"a", "b"}}},
		`{"detail":["a",{},{"loc":[1],"msg":"b"}]}`: {
			details: []Detail{{"", "a"}, {"1", "b"}}},
		`{"detail":[]}`: {},
		`{"detail":{"input":"s3cret","msg":"x"}}`:                                  {},
		`{"detail":` + strings.Repeat("[", 9999) + strings.Repeat("]", 9999) + `}`: {},

		// JSON that is not strict says nothing: it may echo the request.
		secret: {}, "\ufeff" + secret: {}, "\x00\n" + secret: {}, "": {}, " \r\n\t ": {},
		`{"error_code":"A","message":"b"`: {}, `{"error_code":"A","message":"b"}{}`: {},

		// Pages.
		"<html><TITLE lang=en>502 Bad\nGateway</TITLE><h1>nginx</h1></html>":            {text: "502 Bad Gateway"},
		"<title>A &amp; B&nbsp;&lt;C&gt;</title>":                                       {text: "A & B <C>"},
		"<h1 class='x'>Bad <b>gateway</b></h1><p>nginx":                                 {text: "Bad gateway nginx"},
		"<script>alert('<b>')</script><STYLE>p{}</STYLE><!-- <p>old</p> --><p>Down</p>": {text: "Down"},
		strings.Repeat("<style>", 1<<17):                                                {}, // in linear time
		"<style>p{}</style>{\"input\":\"s3cret\"}":                                      {},
		long + " ": {text: Foreign(long)},
	}
	for body, want := range tests {
		got := parseReply([]byte(body))
		if len(got.details) == 0 {
			got.details = nil
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%.300s:\ngot  %.300s\nwant %.300s", body, fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want))
		}
	}
}

// What the error of a status says, beside its cause. Of a redirect's target only the host is shown: the rest may be
// secret.
func TestErrorsOfStatuses(t *testing.T) {
	const redirects = "the API returned 303 See Other (redirects are not followed)"
	for _, test := range []struct {
		status         int
		body, location string
		want           string
		details        []Detail
	}{
		{404, `{"error_code":"A","message":"None"}`, "", "A the API returned 404 Not Found: None", nil},
		{404, `{"detail":"Not Found"}`, "", " the API returned 404 Not Found", nil}, // only repeats the status
		{422, `{"detail":[{"loc":["a"],"msg":"b"}]}`, "", " the API returned 422 Unprocessable Entity",
			[]Detail{{"a", "b"}}},
		{521, "", "", " the API returned 521", nil},
		{202, `{"error_code":"A","message":"b"}`, "", " the API returned 202 Accepted, expected 200 OK", nil},
		{303, `{"error_code":"A","message":"b"}`, "", " " + redirects, nil},
		{303, "", "/v1/agent", " " + redirects, nil},
		{303, "", "http://[::1", " " + redirects, nil},
		{303, "", "javascript:sesame", " " + redirects, nil},
		{303, "", "//evil.test/sesame", " " + redirects + ": redirect to evil.test", nil},
		{303, "", "https://user:sesame@evil.test:8443/a?sesame", " " + redirects + ": redirect to evil.test:8443", nil},
	} {
		a := attempt{header: http.Header{"Location": {test.location}}, body: []byte(test.body)}
		a.Status = test.status
		e := a.statusError()
		if got := e.Code + " " + e.Error(); got != test.want || !slices.Equal(e.Details, test.details) {
			t.Errorf("got  %s %v\nwant %s %v", got, e.Details, test.want, test.details)
		}
	}
	// A body that was cut off may end in half a secret.
	cut := attempt{body: []byte(`{"error_code":"A","message":"b"}`), err: io.ErrUnexpectedEOF}
	cut.Status = 404
	if e := cut.statusError(); e.Code != "" || e.Said != "" || e.Cause != NotTheAPI {
		t.Errorf("%+v", e)
	}
	reset := attempt{err: &net.OpError{Op: "read", Err: syscall.ECONNRESET}} // in the body
	reset.Status = 200
	if e := reset.networkError(); e.Cause != Unreachable || e.Said != "connection reset by peer" {
		t.Errorf("%+v", e)
	}
}

// A field's name counts to the letter and must not come twice, because encoding/json ignores case and takes the last.
func TestStrictJSON(t *testing.T) {
	deep := func(n int) string { return `{"a":` + strings.Repeat("[", n) + strings.Repeat("]", n) + "}" }
	for want, bodies := range map[string][]string{
		"<nil>": {"{}", " \r\n\t{ } \n", `{"a":1,"A":2}`, `{"a":{"b":1,"b":2}}`, `{"a":"\ud800","b":1e999}`,
			`{"a":"` + "\xff\xc0" + `"}`, deep(9998)},
		"not a JSON object": {"", "null", "[]", `[{}]`, `"x"`, "<html>", "\ufeff{}", "\x00{}", "{}\x00", "{}{}", "{} x",
			`{"a":1,}`, `{"a":1]`, `{"a":1`, `{"a"}`, `{"a":nul}`, `{'a':1}`, "{\"a\":\"\x01\"}", deep(10001)},
		`duplicate field "a"`: {`{"a":1,"b":2,"a":1}`, `{"a":1,"\u0061":null}`},
		`duplicate field "�"`: {"{\"\xff\":1,\"\xfe\":1}"}, // both are read as U+FFFD
	} {
		for _, body := range bodies {
			if err := newRecord([]byte(body)).err; fmt.Sprint(err) != want {
				t.Errorf("%.100q: %v, want %s", body, err, want)
			}
		}
	}
}

func TestParseID(t *testing.T) {
	const id = "123e4567-e89b-42d3-a456-426614174000"
	for _, s := range []string{id, strings.ToUpper(id), uuid.Nil.String(), uuid.Max.String()} {
		if got, err := ParseID(s); err != nil || got.String() != strings.ToLower(s) {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
	for _, s := range []string{
		"", id[:35], id + "0", id + "\n", " " + id[1:], id[:35] + "g", id[:34] + "é", "urn:uuid:" + id, "{" + id + "}",
		strings.ReplaceAll(id, "-", ""), strings.ReplaceAll(id, "-", "_"), "123e4567e-89b-42d3-a456-42661417400",
		"{23e4567-e89b-42d3-a456-42661417400}", "../../../../../../../../../../../..a", strings.Repeat("x", 61),
	} {
		got, err := ParseID(s)
		if err == nil || got != uuid.Nil || len(s) > 60 && strings.Contains(err.Error(), s[:10]) {
			t.Errorf("%.50q: %v, %v", s, got, err)
		}
	}
}

func TestFormatDuration(t *testing.T) {
	const ms, s = time.Millisecond, time.Second
	for d, want := range map[time.Duration]string{
		0: "1 ms", 1499 * time.Microsecond: "1 ms", 83 * ms: "83 ms", 1500 * ms: "1.5 s", 3 * s: "3 s", 61 * s: "61 s",
		90 * s: "90 s", 119700 * ms: "2 min", 150 * s: "2.5 min", 300 * s: "5 min", time.Hour: "1 h", 5400 * s: "1.5 h",
		math.MaxInt64: "2562047.8 h",
	} {
		if got := FormatDuration(d); got != want {
			t.Errorf("%d: %q, want %q", d, got, want)
		}
	}
}
