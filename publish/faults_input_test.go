package publish_test

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"publish-agent-version/internal/sandbox"
	"publish-agent-version/publish"
)

const nothingSent = " Nothing was sent."

// runInvalid runs a step with invalid inputs, and checks that it reports them and sends nothing.
func runInvalid(t *testing.T, inputs map[string]string) result {
	t.Helper()
	res := scenario{inputs: inputs}.runOffline(t)
	res.check(t, expected{code: "ACTION_INPUT_INVALID", httpStatus: "none", attempts: -1})
	if len(res.outputs) != 4 || !strings.HasSuffix(res.message(), nothingSent) || strings.Contains(res.summary, "|") {
		t.Errorf("%q: outputs %q, annotation %q, summary\n%s", inputs, res.outputs, res.message(), res.summary)
	}
	return res
}

// checkProblem checks that the message reports this problem and nothing else.
func checkProblem(t *testing.T, res result, problem string) {
	t.Helper()
	if !strings.HasSuffix(problem, "?") {
		problem += "."
	}
	if res.message() != problem+nothingSent || res.outputs["error-message"] != problem {
		t.Errorf("annotation %q, error-message %q, want %q", res.message(), res.outputs["error-message"], problem)
	}
}

// checkInvalidInputs runs the step with every one of inputProblems that is about one of these inputs.
func checkInvalidInputs(t *testing.T, names ...string) {
	t.Helper()
	n := 0
	for _, p := range inputProblems() {
		if slices.Contains(names, p.name) {
			n++
			inputs := map[string]string{"version-id": sandbox.NextID}
			inputs[p.name] = p.value
			checkProblem(t, runInvalid(t, inputs), p.want)
		}
	}
	if n == 0 {
		t.Errorf("no problem with %q", names)
	}
}

// An inputProblem is one wrong input and what the message says of it.
type inputProblem struct{ name, value, want string }

// booleans are inputs that are true or false.
var booleans = []string{"unpublish", "dry-run", "take-over", "only-newer", "show-live"}

// inputProblems are wrong inputs, each on top of inputs that are right, and publish a version.
func inputProblems() []inputProblem {
	const (
		notID    = " is not a UUID such as 123e4567-e89b-42d3-a456-426614174000"
		notFlag  = " must be true or false, not "
		notTime  = "timeout must be a duration from 1s to 30m, such as 90s or 2m, not "
		notPhone = ` must be a phone number such as "+34910000001" (+, not 00), or a SIP identifier such as ` +
			"user@example.com, not "
		notCount = "max-retries must be a whole number from 0 to 10, not "
		id       = sandbox.FrontDesk
		choose   = "Set version-id or version-name: both are empty. To take the agent offline, set unpublish: true; " +
			"to see what is live, show-live: true"
		byID   = "inbound-phone-number-id"
		prefix = "token must be the key alone, without quotes or a prefix such as Bearer"
		noKey  = "token is a placeholder or too short to be a key: was the variable replaced?"
	)
	list := []inputProblem{
		{"token", "", "token is missing or empty: is the secret defined here? Pull requests from forks get none"},
		{"token", "Bearer " + publish.Secret, prefix}, {"token", "bEARER " + publish.Secret, prefix},
		{"token", "bearer:" + publish.Secret, prefix},
		{"token", "token=" + publish.Secret, prefix}, {"token", "DIGA_TOKEN=" + publish.Secret, prefix},
		{"token", "'first-half'", prefix},
		{"token", "\"first-half\"", prefix},
		{"token", "***", noKey},
		{"token", "$DIGA_TOKEN", noKey},
		{"token", "1234567", noKey},
		{"agent-id", "", "agent-id is missing or empty: is the variable defined here?"},
		{"version-id", "", choose},
		{"version-name", "v1", "version-name and version-id exclude each other: set only one"},
		{"unpublish", "true", "version-id and unpublish exclude each other: set only one"},
		{"show-live", "true", "version-id and show-live exclude each other: set only one"},
		{"inbound-phone-number", "none",
			"inbound-phone-number must be a phone number; to unbind the current one, set " + byID + ": none"},
		{"show-changes", "all", `show-changes must be names, full or off, not "all"`},
		{"expect-version-id", "nothing", `expect-version-id is not valid: "nothing"` + notID},
	}
	for _, between := range []string{" ", "\t", "\n", "\r", "\x00", "\x7f", "é", "\u00a0", "\u200b", "\xff"} {
		list = append(list, inputProblem{"token", "first-half" + between + "other-half",
			"token contains a space, a line break or another invalid character: was extra text pasted with it?"})
	}
	for _, name := range []string{"agent-id", "version-id", "inbound-phone-number-id", "outbound-phone-number-id"} {
		for _, value := range []string{
			"x", "a/b", "..", id + "/..", "../" + id, id[:35] + "/", id[:35] + "%2F",
			id + "?a=b", id + "#a", id + "\n" + id[:8],
			"urn:uuid:" + id, "{" + id + "}", strings.ReplaceAll(id, "-", ""), id[:35],
			id + "0", id[:35] + "g",
			strings.Replace(id, "-", "_", 1), "-" + id[:35], id[:35] + "é", id[:34] + "é",
			id[:35] + "\x00", "null", "undefined",
		} {
			list = append(list, inputProblem{name, value, fmt.Sprintf("%s is not valid: %q%s", name, value, notID)})
		}
	}
	for _, name := range booleans {
		for _, value := range []string{"yes", "no", "on", "off", "1", "0", "t", "tRUE", "y", "null", "true false",
			"truе"} {
			list = append(list, inputProblem{name, value, name + notFlag + fmt.Sprintf("%q", value)})
		}
	}
	for _, value := range []string{"0034910000001", "7", "(+34)x 91", "+"} {
		list = append(list, inputProblem{"inbound-phone-number", value, "inbound-phone-number" + notPhone +
			fmt.Sprintf("%q", value)})
	}
	for _, value := range []string{"0", "0s", "-1s", "abc", "30", "100h", "999ms", "999999999ns", "30m0.000000001s",
		"30m1ns", "1h", "2 m", "2min", "1e3s", "+Inf", "NaN", "9999999999999999999h", "2m;", "２m"} {
		list = append(list, inputProblem{"timeout", value, notTime + fmt.Sprintf("%q", value)})
	}
	for _, value := range []string{"-1", "x", "1e9", "11", "+1", "01", "1.0", "0x1", "10\n1", "1 0", "١",
		"99999999999999999999"} {
		list = append(list, inputProblem{"max-retries", value, notCount + fmt.Sprintf("%q", value)})
	}
	return list
}

// everythingShown is what a run prints and writes, less the mask.
func everythingShown(res result) string {
	return strings.Join(res.log.Printed, "\n") + fmt.Sprint(res.outputs) + res.summary
}

func TestFaultsInput(t *testing.T) {
	t.Parallel()
	const (
		noToken = "oken is missing or empty: is the secret defined here? Pull requests from forks get none"
		noAgent = "gent-id is missing or empty: is the variable defined here?"
		choose  = "et version-id or version-name: both are empty"
	)
	t.Run("I1", func(t *testing.T) {
		for _, blank := range []string{"", " ", "\t\r\n \u00a0\u3000"} {
			for name, says := range map[string]string{"token": noToken, "agent-id": noAgent, "version-id": choose} {
				if res := runInvalid(t, map[string]string{name: blank}); !strings.HasPrefix(res.message()[1:], says) {
					t.Errorf("%s %q: got %q", name, blank, res.message())
				}
			}
			res := runInvalid(t, map[string]string{"token": blank, "agent-id": blank, "version-id": blank})
			if want := "3 problems with the inputs: t" + noToken + "; a" + noAgent + "; S" +
				choose; !strings.HasPrefix(res.message(), want) {
				t.Errorf("got %q", res.message())
			}
		}
	})
	t.Run("I1/everything", func(t *testing.T) {
		for _, value := range []string{"x y", strings.Repeat("\x00", 9), strings.Repeat("\u202e", 30),
			strings.Repeat("x", 10_000), strings.Repeat("::error::🙂\n", 1000)} {
			inputs := map[string]string{"version-name": "v1"}
			for _, name := range inputNames {
				inputs[name] = value
			}
			inputs["token"] = "two words"
			res := runInvalid(t, inputs)
			for _, name := range inputNames {
				if part := " " + name + " "; !strings.Contains(res.message(), part) {
					t.Errorf("no %q in %q", part, res.message())
				}
			}
			if res.outputs["error-message"]+nothingSent != res.message() {
				t.Errorf("error-message %q, annotation %q", res.outputs["error-message"], res.message())
			}
		}
	})
	t.Run("I2", func(t *testing.T) {
		checkInvalidInputs(t, "agent-id", "version-id", "inbound-phone-number-id", "outbound-phone-number-id",
			"expect-version-id", "inbound-phone-number")
		res := runInvalid(t, map[string]string{"agent-id": strings.Repeat("a", 10_000)})
		checkProblem(t, res,
			"agent-id is not valid: a value of 10000 bytes is not a UUID such as 123e4567-e89b-42d3-a456-426614174000")
	})
	t.Run("I3", func(t *testing.T) {
		fake := &fakeAPI{}
		res := with(
			"token", "\n "+sandbox.Token+"\r\n", "agent-id", "\t"+strings.ToUpper(sandbox.FrontDesk)+"\n", "version-id",
			" "+strings.ToUpper(sandbox.NextID)+" ",
			"inbound-phone-number-id", strings.ToUpper(sandbox.Reception)+"\n", "unpublish", " False ", "dry-run",
			"\nfalse", "timeout", " 2m\n", "max-retries", "4 ", "api-url", " http://diga\n",
		).check(t, fake, asUsual)
		changes := fake.requests("PATCH")
		if len(changes) != 1 || changes[0].URL.Path != "/v1/agent/"+sandbox.FrontDesk+"/published_version" ||
			changes[0].body != `{"inbound_phone_number_id":"`+sandbox.Reception+
				`","version_id":"`+sandbox.NextID+`"}` ||
			changes[0].Header.Get("Authorization") != "Bearer "+sandbox.Token {
			t.Errorf("got %+v", changes)
		}
		if res.outputs["agent-id"] != sandbox.FrontDesk || res.outputs["published-version-id"] != sandbox.NextID {
			t.Errorf("outputs %q", res.outputs)
		}
	})
	t.Run("I4", func(t *testing.T) {
		checkInvalidInputs(t, "token")
		for _, token := range []string{"first-half\nother-half", "first-half\x00other-half", "first-half other-half",
			"first-halfé-other-half", "Bearer first-half-other-half", "\u0301first-half-other-half"} {
			res := runInvalid(t, map[string]string{"token": token, "agent-id": token, "version-id": token})
			if shown := everythingShown(res); strings.Contains(shown, "first-half") || strings.Contains(shown,
				"other-half") {
				t.Errorf("the token %q shows in\n%s", token, shown)
			}
		}
		// The token in another input must not be shown either, not even in part.
		for _, token := range []string{sandbox.Token, strings.Repeat(sandbox.Token, 10)} {
			for _, name := range inputNames[1:] {
				if name == "version-name" {
					continue // any text can be a name
				}
				for _, value := range []string{token, token + ".é" + strings.Repeat("é", 100)} {
					res := runInvalid(t, map[string]string{"token": token, name: value})
					if shown := everythingShown(res); strings.Contains(shown, "sandbox-token") ||
						len(res.message()) > 350 {
						t.Errorf("%s: the token shows in\n%s", name, shown)
					}
				}
			}
		}
	})
	t.Run("I5", func(t *testing.T) {
		res := runInvalid(t, map[string]string{"token": ""})
		checkProblem(t, res, "t"+noToken)
		if strings.Contains(res.stdout, "add-mask") {
			t.Errorf("an empty mask: %s", res.stdout)
		}
	})
	t.Run("I6", func(t *testing.T) { // http only to a host of this machine, or one of one label, which is no number
		const (
			good     = ""
			notHTTPS = "must be a URL such as https://api.diga.io, not "
			inClear  = "must begin with https://, not "
			extra    = "must not contain a password, a query, a fragment or .. in its path"
		)
		for problem, values := range map[string][]string{
			good: {
				"https://api.diga.io", "https://api.diga.io/", "https://api.diga.io/diga/eu/", "HTTPS://API.diga.io",
				"https://api.diga.io:8443", "https://api.diga.io:65535/", "https://xn--bcher-kva.example",
				"https://192.0.2.1", "https://[2001:db8::1]:8443/", "https://a.example/a%20b", "https://a.example/..a",
				"http://localhost", "http://localhost:8080/prefix", "http://LOCALHOST", "http://127.0.0.1:8080",
				"http://127.1.2.3", "http://127.255.255.254", "http://[::1]:8080", "http://[::ffff:127.0.0.1]",
				"http://sandbox:8080", "http://diga_api-1", "http://0a", "http://x0",
			},
			inClear: {
				"http://api.diga.io", "HTTP://api.diga.io", "http://a.b", "http://localhost.example",
				"http://127.0.0.1.example", "http://128.0.0.1", "http://10.0.0.1", "http://192.168.0.1",
				"http://169.254.169.254", "http://0.0.0.0", "http://[::]", "http://[::2]", "http://[2001:db8::1]",
				"http://[fe80::1]", "http://[::ffff:10.0.0.1]", "http://[::ffff:8.8.8.8]",
				"http://134744072", "http://0x8080808", "http://010", "http://0", // an IPv4 address to many resolvers
			},
			notHTTPS: {
				"ftp://api.diga.io", "file:///etc/passwd", "unix:///run/a.sock", "javascript:alert(1)", "api.diga.io",
				"//api.diga.io", "/v1", "https:api.diga.io", "https://", "https:///v1", "https://:443",
				"https://bücher.example",
				"https://api.diga.io。evil.example", "https://a,b.example", "https://[fe80::1%25eth0]",
				"https://api.diga.io:x", "https://[::1", "https://a b", "https://api.diga.io\\@evil.example",
				"https://a%2fb.example", "https://api.diga.io/%zz", "https://api.diga.io/\x7f",
				"://", "::",
			},
			extra: {
				"https://user@api.diga.io", "https://user:password@api.diga.io", "https://:@api.diga.io",
				"https://api.diga.io@evil.example", "http://localhost@evil.example",
				"https://api.diga.io?a=b", "https://api.diga.io/?", "https://api.diga.io/#a", "https://api.diga.io#",
				"https://api.diga.io/..", "https://api.diga.io/a/../b", "https://api.diga.io/%2e%2E/",
				"https://api.diga.io/a%2f..%2fb",
			},
		} {
			for _, value := range values {
				if problem != good {
					res := runInvalid(t, map[string]string{"api-url": value})
					if !strings.HasPrefix(res.message(), "api-url "+problem) ||
						strings.Contains(everythingShown(res), "password@") {
						t.Errorf("%q: got %q", value, res.message())
					}
					continue
				}
				u, dialled := must(url.Parse(value)), ""
				port := cmp.Or(u.Port(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
				s := with("api-url", value, "max-retries", "0")
				s.dial = func(_ context.Context, _, address string) (net.Conn, error) {
					dialled = address
					return nil, net.ErrClosed
				}
				if s.run(t); !strings.EqualFold(dialled, net.JoinHostPort(u.Hostname(), port)) {
					t.Errorf("%q: dialled %q", value, dialled)
				}
			}
		}
	})
	t.Run("I7", func(t *testing.T) {
		for value, prefix := range map[string]string{
			"http://diga": "", "http://diga/": "", "http://diga:8080": "", "http://diga/prefix": "/prefix",
			"http://diga/prefix/": "/prefix", "http://diga/a/b%20c//": "/a/b c",
			"http://127.0.0.1:8080/x": "/x", "http://[::1]:8080/x/": "/x", "HTTP://DIGA/X": "/X",
		} {
			fake := &fakeAPI{}
			with("api-url", value).check(t, fake, asUsual)
			for _, r := range fake.requests("") { // TestRequestCount has the rest of their addresses
				if !strings.HasPrefix(r.URL.Path, prefix+"/v1/") {
					t.Errorf("%q: %s", value, r.URL)
				}
			}
		}
	})
	t.Run("I8", func(t *testing.T) {
		checkInvalidInputs(t, append(booleans, "timeout", "max-retries", "show-changes")...)
		for timeout, is := range map[string]string{"": "2 min", "1s": "1 s", "1m30.5s": "91 s"} {
			with("timeout", timeout, "max-retries", "10").check(t, replying(response{then: hang}), expected{
				code: "ACTION_TIMEOUT", status: "unknown", says: []string{"within the timeout of " + is}})
		}
		replying(respond(429, "", "Retry-After: 60")).check(t, with("timeout", "30m"),
			expected{code: "HTTP_429", minTime: 28 * time.Minute, maxTime: 30 * time.Minute})
		for retries, attempts := range map[string]int{"": 5, "10": 11} {
			with("max-retries", retries, "timeout", "30m").check(t, replying(respond(500, "")),
				unknownOutcome("HTTP_500", attempts))
		}
		for _, yes := range []string{"True", "TRUE"} {
			with("dry-run", yes).check(t, &fakeAPI{}, expected{status: "dry-run", attempts: -1})
		}
	})
	t.Run("I9", func(t *testing.T) { // only one choice alone is taken
		for _, version := range []string{"", sandbox.NextID, "null"} {
			for _, name := range []string{"", " \n", sandbox.NextName} {
				for _, unpublish := range []string{"", "False", "true", "yes"} {
					inputs := map[string]string{"version-id": version, "version-name": name, "unpublish": unpublish}
					chosen := 0
					for _, is := range []bool{version != "", name == sandbox.NextName, unpublish == "true"} {
						if is {
							chosen++
						}
					}
					if chosen != 1 || version == "null" || unpublish == "yes" {
						runInvalid(t, inputs)
						continue
					}
					api, server := newSandbox(t)
					status, live := "published", sandbox.NextID
					if unpublish == "true" {
						status, live = "unpublished", ""
					}
					scenario{inputs: inputs}.check(t, server, expected{status: status, attempts: 1})
					checkLive(t, api, live)
				}
			}
		}
		checkInvalidInputs(t, "version-name")
		phones := []string{"inbound-phone-number", "inbound-phone-number-id", "outbound-phone-number",
			"outbound-phone-number-id", "take-over", "only-newer", "launch-draft"}
		for choice, others := range map[string][]string{
			"version-id": {"launch-draft"}, "unpublish": phones,
			"show-live": append(phones, "expect-version-id", "dry-run"),
		} {
			for _, other := range others {
				value := map[bool]string{true: sandbox.Reception, false: "true"}[strings.HasSuffix(other, "-id")]
				if strings.HasSuffix(other, "number") {
					value = "+34910000001"
				}
				inputs := map[string]string{"version-id": "", choice: "true", other: value}
				if choice == "version-id" {
					inputs[choice] = sandbox.NextID
				}
				checkProblem(t, runInvalid(t, inputs), other+" has no effect with "+choice+": remove it")
			}
		}
	})
}
