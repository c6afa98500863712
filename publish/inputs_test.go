package publish

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"publish-agent-version/internal/runner"

	"github.com/google/uuid"
)

const (
	agentID   = "a0000000-0000-4000-8000-000000000001"
	versionID = "b1000000-0000-4000-8000-000000000229"
	phoneID   = "c0000000-0000-4000-8000-000000000001"
)

// readTestInputs reads inputs that publish versionID, but for the changes.
func readTestInputs(changes map[string]string) (inputs, error) {
	values := map[string]string{"token": secret, "agent-id": agentID, "version-id": versionID}
	maps.Copy(values, changes)
	in, problems := readInputs(func(name string) string { return values[name] })
	return in, joinProblems(problems)
}

// joinProblems is all problems as one error, a line each, as the log has them.
func joinProblems(problems []message) error {
	var errs []error
	for _, p := range problems {
		errs = append(errs, errors.New(renderer{literal: func(text string) string { return text }}.text(p)))
	}
	return errors.Join(errs...)
}

func id(s string) uuid.NullUUID { return uuid.NullUUID{UUID: uuid.MustParse(s), Valid: true} }

func TestReadInputs(t *testing.T) {
	plain := inputs{
		Token: secret, Agent: uuid.MustParse(agentID), Version: id(versionID),
		ShowChanges: "names", APIURL: &url.URL{Scheme: "https", Host: "api.diga.io"}, Timeout: 2 * time.Minute,
		MaxRetries: 4,
	}
	tests := []struct {
		name    string
		changes map[string]string
		want    func(*inputs)
	}{
		{"as little as possible", nil, func(*inputs) {}},
		{"the defaults spelled out", map[string]string{
			"unpublish": "false", "dry-run": "false", "api-url": "https://api.diga.io", "timeout": "2m",
			"max-retries": "4",
		}, func(*inputs) {}},
		{"the least", map[string]string{"timeout": "1s", "max-retries": "0", "unpublish": "FALSE"},
			func(in *inputs) { in.Timeout, in.MaxRetries = time.Second, 0 }},
		{"the most", map[string]string{"timeout": "30m", "max-retries": "10"},
			func(in *inputs) { in.Timeout, in.MaxRetries = 30*time.Minute, 10 }},
		{"a duration in parts", map[string]string{"timeout": "1m30.5s"},
			func(in *inputs) { in.Timeout = 90500 * time.Millisecond }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := plain
			tt.want(&want)
			got, err := readTestInputs(tt.changes)
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("got %+v, %v; want %+v", got, err, want)
			}
		})
	}
}

// An InputProblem is one wrong input and what the message says of it.
type InputProblem struct{ Name, Value, Want string }

// InputProblems are wrong inputs, each on top of inputs that are right, and publish a version.
func InputProblems() []InputProblem {
	const (
		notID    = " is not a UUID such as 123e4567-e89b-42d3-a456-426614174000"
		notFlag  = " must be true or false, not "
		notTime  = "timeout must be a duration from 1s to 30m, such as 90s or 2m, not "
		notCount = "max-retries must be a whole number from 0 to 10, not "
		choose   = "Set version-id or version-name: both are empty. To take the agent offline, set unpublish: true"
		prefix   = "token must be the key alone, without quotes or a prefix such as Bearer"
		noKey    = "token is a placeholder or too short to be a key: was the variable replaced?"
	)
	list := []InputProblem{
		{"token", "", "token is missing or empty: is the secret defined here? Pull requests from forks get none"},
		{"token", "Bearer " + secret, prefix}, {"token", "bEARER " + secret, prefix},
		{"token", "bearer:" + secret, prefix},
		{"token", "token=" + secret, prefix}, {"token", "DIGA_TOKEN=" + secret, prefix},
		{"token", "'first-half'", prefix},
		{"token", "\"first-half\"", prefix},
		{"token", "***", noKey},
		{"token", "$DIGA_TOKEN", noKey},
		{"token", "1234567", noKey},
		{"agent-id", "", "agent-id is missing or empty: is the variable defined here?"},
		{"version-id", "", choose},
		{"version-name", "v1", "version-name and version-id exclude each other: set only one"},
		{"unpublish", "true", "version-id and unpublish exclude each other: set only one"},
	}
	for _, between := range []string{" ", "\t", "\n", "\r", "\x00", "\x7f", "é", "\u00a0", "\u200b", "\xff"} {
		list = append(list, InputProblem{"token", "first-half" + between + "other-half",
			"token contains a space, a line break or another invalid character: was extra text pasted with it?"})
	}
	for _, name := range []string{"agent-id", "version-id", "inbound-phone-number-id", "outbound-phone-number-id"} {
		for _, value := range []string{
			"x", "a/b", "..", agentID + "/..", "../" + agentID, agentID[:35] + "/", agentID[:35] + "%2F",
			agentID + "?a=b", agentID + "#a", agentID + "\n" + agentID[:8],
			"urn:uuid:" + agentID, "{" + agentID + "}", strings.ReplaceAll(agentID, "-", ""), agentID[:35],
			agentID + "0", agentID[:35] + "g",
			strings.Replace(agentID, "-", "_", 1), "-" + agentID[:35], agentID[:35] + "é", agentID[:34] + "é",
			agentID[:35] + "\x00", "null", "undefined",
		} {
			list = append(list, InputProblem{name, value, fmt.Sprintf("%s is not valid: %q%s", name, value, notID)})
		}
	}
	for _, name := range []string{"unpublish", "dry-run"} {
		for _, value := range []string{"yes", "no", "on", "off", "1", "0", "t", "tRUE", "y", "null", "true false",
			"truе"} {
			list = append(list, InputProblem{name, value, name + notFlag + fmt.Sprintf("%q", value)})
		}
	}
	for _, value := range []string{"0", "0s", "-1s", "abc", "30", "100h", "999ms", "999999999ns", "30m0.000000001s",
		"30m1ns", "1h", "2 m", "2min", "1e3s", "+Inf", "NaN", "9999999999999999999h", "2m;", "２m"} {
		list = append(list, InputProblem{"timeout", value, notTime + fmt.Sprintf("%q", value)})
	}
	for _, value := range []string{"-1", "x", "1e9", "11", "+1", "01", "1.0", "0x1", "10\n1", "1 0", "١",
		"99999999999999999999"} {
		list = append(list, InputProblem{"max-retries", value, notCount + fmt.Sprintf("%q", value)})
	}
	return list
}

// TestParseAPIURL has the rule on http too: a host of this machine, or one of one label, which is no number.
func TestParseAPIURL(t *testing.T) {
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
			"https://192.0.2.1", "https://[2001:db8::1]:8443/", "https://a.example/a%20b", "https://a.example/..a/b..",
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
			"https://a%2fb.example", "https://api.diga.io/%zz", "https://api.diga.io/\x7f", "https://api.diga.io\n",
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
			in, err := readTestInputs(map[string]string{"api-url": value})
			wrong := err == nil || !strings.HasPrefix(err.Error(), "api-url "+problem) ||
				strings.Contains(err.Error(), "password@")
			if problem == good {
				want := strings.Replace(strings.Replace(value, "HTTPS:", "https:", 1), "HTTP:", "http:", 1)
				wrong = err != nil || in.APIURL.String() != want
			}
			if wrong {
				t.Errorf("%q: got %v, %v; want %q", value, in.APIURL, err, problem)
			}
		}
	}
}

func TestTokenPrintsAsStars(t *testing.T) {
	token := secretToken(secret)
	for _, format := range []string{"%v", "%s", "%q", "%+v", "%#v", "%x", "%X"} {
		for _, value := range []any{token, &token, inputs{Token: token}, []secretToken{token},
			map[string]secretToken{"a": token}} {
			if got := fmt.Sprintf(format, value); len(runner.FindSecret(got, secret)) > 0 {
				t.Errorf("%s of %T shows the token: %s", format, value, got)
			}
		}
	}
	if token.reveal() != secret {
		t.Error("reveal does not")
	}
}
