package diga

import (
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestErrorReplies(t *testing.T) {
	tests := []struct {
		name   string
		status int
		body   string
		want   Error // Cause, Code, Said and Details; Status and Message follow from the status
	}{
		{"as the contract says", 404, `{"status":"error","error_code":"AGENT_NOT_FOUND","message":"Agent x not found"}`,
			Error{Code: "AGENT_NOT_FOUND", Untrusted: "Agent x not found"}},
		{"no body", 401, "", Error{}},
		{"blanks", 401, " \r\n\t ", Error{}},
		{"no code", 403, `{"message":" no "}`, Error{Untrusted: "no"}},
		{"another object", 400, `{"error":"no"}`, Error{}},
		{"names of another case", 400, `{"Error_Code":"A","MESSAGE":"b","Detail":"c"}`, Error{}},
		{"a name twice", 400, `{"error_code":"A","message":"b","error_code":"C"}`, Error{}},
		{"broken JSON", 400, `{"error_code":"A","message":"b"`, Error{}},
		{"JSON and more", 400, `{"error_code":"A","message":"b"}{}`, Error{}},
		{"JSON after a mark", 400, "\ufeff" + `{"error_code":"A","detail":[{"input":"s3cret"}]}`, Error{}},
		{"JSON after NUL", 400, "\x00\x00" + `{"error_code":"A","detail":[{"input":"s3cret"}]}`, Error{}},
		{"a list", 400, `[{"input":"s3cret"}]`, Error{}},
		{"nulls", 400, `{"error_code":null,"message":null,"detail":null}`, Error{}},

		{"a code that is a number", 400, `{"error_code":7,"message":"b"}`, Error{Untrusted: "b"}},
		{"a code that is a list", 400, `{"error_code":["A"],"message":"b"}`, Error{Untrusted: "b"}},
		{"a code that is empty", 400, `{"error_code":"","message":"b"}`, Error{Untrusted: "b"}},
		{"a code that is an emoji", 400, `{"error_code":"💥","message":"b"}`, Error{Untrusted: "b"}},
		{"a code with a line break", 400, `{"error_code":"A\n","message":"b"}`, Error{Untrusted: "b"}},
		{"a code of commands", 400, `{"error_code":"::add-mask::a","message":"b"}`, Error{Untrusted: "b"}},
		{"a code in lower case", 400, `{"error_code":"not_found","message":"b"}`, Error{Code: "not_found", Untrusted: "b"}},
		{"a code of 64", 400, `{"error_code":"` + strings.Repeat("A", 64) + `"}`, Error{Code: strings.Repeat("A", 64)}},
		{"a code of 65", 400, `{"error_code":"` + strings.Repeat("A", 65) + `"}`, Error{}},
		{"a message that is a number", 400, `{"error_code":"A","message":5}`, Error{Code: "A"}},
		{"half a surrogate", 400, `{"error_code":"A","message":"x\ud800y"}`, Error{Code: "A", Untrusted: "x\ufffdy"}},

		{"details", 422, `{"detail":[{"loc":["body","version_id"],"msg":"not a UUID","type":"uuid_parsing","input":"s3cret","ctx":{"error":"s3cret"},"url":"https://s3cret"}]}`,
			Error{Details: []Detail{{"body.version_id", "not a UUID"}}}},
		{"integers in loc", 422, `{"detail":[{"loc":["body",3,"x"],"msg":"a"},{"loc":[],"msg":"b"},{"msg":"c"},{"loc":null,"msg":"d"}]}`,
			Error{Details: []Detail{{"body.3.x", "a"}, {"", "b"}, {"", "c"}, {"", "d"}}}},
		{"detail is a string", 422, `{"detail":"Not Found"}`, Error{Untrusted: "Not Found"}},
		{"detail is an object", 422, `{"detail":{"input":"s3cret","msg":"x"}}`, Error{}},
		{"detail is a number", 422, `{"detail":4}`, Error{}},
		{"detail is empty", 422, `{"detail":[]}`, Error{Details: []Detail{}}},
		{"detail of other types", 422, `{"detail":[{"loc":"body","msg":"x","input":"s3cret"}]}`, Error{}},
		{"10,000 details", 422, `{"detail":[` + strings.Repeat(`{"loc":["a"],"msg":"b"},`, 9999) + `{"loc":["a"],"msg":"b"}]}`,
			Error{Details: slices.Repeat([]Detail{{"a", "b"}}, 10000)}},
		{"10,000 deep", 422, `{"detail":` + strings.Repeat("[", 10000) + strings.Repeat("]", 10000) + `}`, Error{}},

		{"an HTML page", 502, "<html><head><title>502 Bad\nGateway</title></head><body><h1>nginx</h1></body></html>", Error{Untrusted: "502 Bad Gateway"}},
		{"HTML without a title", 502, "<h1>Bad <b>gateway</b></h1><p>nginx", Error{Untrusted: "Bad gateway nginx"}},
		{"half of a tag", 502, "Bad gateway <a href='x", Error{Untrusted: "Bad gateway"}},
		{"plain text", 503, "no healthy upstream\n", Error{Untrusted: "no healthy upstream"}},
		{"a lot of text", 503, strings.Repeat("x ", 1<<19), Error{Untrusted: strings.TrimSpace(strings.Repeat("x ", 1<<19))}}, // who shows it cuts it, and hides a secret first
		{"204", 204, "", Error{Cause: InvalidReply}},
		{"202", 202, `{"error_code":"A","message":"b"}`, Error{Cause: InvalidReply}},
	}
	for _, test := range tests {
		a := attempt{status: test.status, body: []byte(test.body)}
		got, want := a.replyError(), test.want
		want.Status, want.Message = test.status, "the API returned "+StatusText(test.status)
		if want.Cause == InvalidReply {
			want.Message += ", expected 200 OK"
		}
		if cut := (attempt{status: test.status, body: a.body, err: io.ErrUnexpectedEOF}); plainText(a.body) != "" && cut.replyError().Untrusted != "" {
			t.Errorf("%s: shows a part of a body that broke off, which may end in half a secret", test.name)
		}
		if !reflect.DeepEqual(*got, want) {
			t.Errorf("%s:\ngot  %.300s\nwant %.300s", test.name, fmt.Sprintf("%+v", *got), fmt.Sprintf("%+v", want))
		}
	}
}

// Of the target only the host is shown.
func TestRedirectsAreNotFollowed(t *testing.T) {
	for location, said := range map[string]string{
		"":                                      "",
		"/v1/agent":                             "",
		"http://api.test/v1/agent?token=sesame": "redirect to api.test",
		"https://user:sesame@evil.test:8443/a":  "redirect to evil.test:8443",
		"//evil.test/sesame":                    "redirect to evil.test",
		"http://[::1":                           "",
		"javascript:sesame":                     "",
		"http://evil.test/%zz":                  "",
	} {
		for _, status := range []int{300, 301, 302, 303, 304, 307, 308} {
			n := &network{replies: []reply{response(status, "", "Location: "+location)}}
			n.play(t, func(t *testing.T, c *Client) {
				_, _, err := c.Publish(t.Context(), promotion)
				e := failed(t, err)
				if e.Cause != Redirected || e.Untrusted != said || e.Effect != NoEffect || strings.Contains(e.Error(), "sesame") || len(n.heard()) != 1 || n.dials() != 1 {
					t.Errorf("%d to %q: %+v after %d requests", status, location, e, len(n.heard()))
				}
			})
		}
	}
}
