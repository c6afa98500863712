package publish

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"publish-agent-version/diga"
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
		{"upper-case ids", map[string]string{"agent-id": strings.ToUpper(agentID),
			"version-id": strings.ToUpper(versionID)}, func(*inputs) {}},
		{"both phones", map[string]string{"inbound-phone-number-id": phoneID, "outbound-phone-number-id": phoneID},
			func(in *inputs) { in.Phones = [diga.Directions]phoneInput{{ID: id(phoneID)}, {ID: id(phoneID)}} }},
		{"a name", map[string]string{"version-id": "", "version-name": "v1 | é"},
			func(in *inputs) { in.Version, in.VersionName = uuid.NullUUID{}, "v1 | é" }},
		{"unpublish", map[string]string{"version-id": "", "unpublish": "true"},
			func(in *inputs) { in.Version, in.Unpublish = uuid.NullUUID{}, true }},
		{"unpublish in capitals", map[string]string{"version-id": "", "unpublish": "TRUE"},
			func(in *inputs) { in.Version, in.Unpublish = uuid.NullUUID{}, true }},
		{"dry run", map[string]string{"dry-run": "True", "unpublish": "False"}, func(in *inputs) { in.DryRun = true }},
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

// checkedInputs are inputs whose values can be invalid by themselves.
var checkedInputs = []string{
	"token", "agent-id", "version-id", "unpublish", "inbound-phone-number-id", "outbound-phone-number-id", "dry-run",
	"api-url", "timeout", "max-retries",
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

func TestReadInputsProblems(t *testing.T) {
	for _, tt := range InputProblems() {
		if _, err := readTestInputs(map[string]string{tt.Name: tt.Value}); err == nil || err.Error() != tt.Want {
			t.Errorf("%s %q: got %v, want %s", tt.Name, tt.Value, err, tt.Want)
		}
	}
}

// Nothing chosen, and more than one, in every combination: only one choice alone is taken.
func TestReadInputsChoice(t *testing.T) {
	for _, version := range []string{"", versionID, "not an id"} {
		for _, name := range []string{"", "v1"} {
			for _, unpublish := range []string{"", "false", "true", "yes"} {
				chosen := map[bool]int{true: 1}
				n := chosen[version != ""] + chosen[name != ""] + chosen[unpublish == "true"]
				in, err := readTestInputs(map[string]string{"version-id": version, "version-name": name,
					"unpublish": unpublish})
				good := n == 1 && version != "not an id" && unpublish != "yes"
				if (err == nil) != good {
					t.Errorf("version-id %q, version-name %q, unpublish %q: got %v", version, name, unpublish, err)
				}
				if in.Unpublish != (unpublish == "true") {
					t.Errorf("version-id %q, version-name %q, unpublish %q: unpublishes: %v", version, name, unpublish,
						in.Unpublish)
				}
			}
		}
	}
	for _, phone := range []string{"inbound-phone-number-id", "outbound-phone-number-id"} {
		_, err := readTestInputs(map[string]string{"version-id": "", "unpublish": "true", phone: phoneID})
		if want := phone + " has no effect with unpublish: remove it"; err == nil || err.Error() != want {
			t.Errorf("unpublish with %s: got %v, want %s", phone, err, want)
		}
	}
}

// A value that is too long to be read is not shown in part: that might be a part of a secret.
func TestReadInputsShowsNoPartOfAValue(t *testing.T) {
	const part = "eyJhbGciOiJIUzI1NiJ9"
	long := strings.Repeat(part+".", 500)
	for _, name := range checkedInputs[1:] {
		for _, value := range []string{long, part + ".é" + strings.Repeat("é", 100)} {
			_, err := readTestInputs(map[string]string{"token": long, name: value})
			if err == nil || strings.Contains(err.Error(), part) || len(err.Error()) > 300 {
				t.Errorf("%s: got %v", name, err)
			}
		}
	}
}

func TestParseAPIURL(t *testing.T) {
	const (
		notHTTPS = "must be a URL such as https://api.diga.io, not "
		noHost   = notHTTPS
		inClear  = "must begin with https://, not "
		query    = "must not contain a password, a query, a fragment or .. in its path"
		userinfo = query
		dots     = query
		notURL   = notHTTPS
	)
	tests := []struct{ value, want string }{ // want: how the URL prints, or how the problem begins
		{"https://api.diga.io", "https://api.diga.io"},
		{"https://api.diga.io/", "https://api.diga.io/"},
		{"https://api.diga.io/diga/eu/", "https://api.diga.io/diga/eu/"},
		{"HTTPS://API.diga.io", "https://API.diga.io"},
		{"https://api.diga.io:8443", "https://api.diga.io:8443"},
		{"https://api.diga.io:65535/", "https://api.diga.io:65535/"},
		{"https://xn--bcher-kva.example", "https://xn--bcher-kva.example"},
		{"https://192.0.2.1", "https://192.0.2.1"},
		{"https://[2001:db8::1]:8443/", "https://[2001:db8::1]:8443/"},
		{"https://a.example/a%20b", "https://a.example/a%20b"},
		{"https://a.example/..a/b..", "https://a.example/..a/b.."},
		{"http://localhost", "http://localhost"},
		{"http://localhost:8080/prefix", "http://localhost:8080/prefix"},
		{"http://127.0.0.1:8080", "http://127.0.0.1:8080"},
		{"http://127.255.255.254", "http://127.255.255.254"},
		{"http://[::1]:8080", "http://[::1]:8080"},
		{"http://sandbox:8080", "http://sandbox:8080"},
		{"http://diga_api-1", "http://diga_api-1"},

		{"http://api.diga.io", inClear},
		{"HTTP://api.diga.io", inClear},
		{"http://localhost.example", inClear},
		{"http://127.0.0.1.example", inClear},
		{"http://10.0.0.1", inClear},
		{"http://192.168.0.1", inClear},
		{"http://169.254.169.254", inClear},
		{"http://0.0.0.0", inClear},
		{"http://[::]", inClear},
		{"http://[2001:db8::1]", inClear},
		{"http://[fe80::1]", inClear},
		{"http://[::ffff:10.0.0.1]", inClear},
		{"http://134744072", inClear}, // an IPv4 address to many resolvers
		{"http://0x8080808", inClear},

		{"ftp://api.diga.io", notHTTPS},
		{"file:///etc/passwd", notHTTPS},
		{"unix:///run/a.sock", notHTTPS},
		{"javascript:alert(1)", notHTTPS},
		{"api.diga.io", notHTTPS},
		{"//api.diga.io", notHTTPS},
		{"/v1", notHTTPS},
		{"https:api.diga.io", notHTTPS},

		{"https://", noHost},
		{"https:///v1", noHost},
		{"https://:443", noHost},
		{"https://bücher.example", noHost},
		{"https://api.diga.io。evil.example", noHost},
		{"https://a,b.example", noHost},
		{"https://a%2fb.example", notURL},
		{"https://[fe80::1%25eth0]", noHost},

		{"https://user@api.diga.io", userinfo},
		{"https://user:password@api.diga.io", userinfo},
		{"https://:@api.diga.io", userinfo},
		{"https://api.diga.io@evil.example", userinfo},
		{"http://localhost@evil.example", userinfo},

		{"https://api.diga.io?a=b", query},
		{"https://api.diga.io/?", query},
		{"https://api.diga.io/#a", query},
		{"https://api.diga.io#", query},

		{"https://api.diga.io/..", dots},
		{"https://api.diga.io/a/../b", dots},
		{"https://api.diga.io/%2e%2E/", dots},
		{"https://api.diga.io/a%2f..%2fb", dots},

		{"https://api.diga.io:x", notURL},
		{"https://[::1", notURL},
		{"https://a b", notURL},
		{"https://api.diga.io\\@evil.example", notURL},
		{"https://api.diga.io/%zz", notURL},
		{"https://api.diga.io/\x7f", notURL},
		{"https://api.diga.io\n", notURL},
		{"://", notURL},
		{"::", notURL},
	}
	for _, tt := range tests {
		_, err := readTestInputs(map[string]string{"api-url": tt.value})
		r := &inputReader{get: func(string) string { return tt.value }}
		got, wrong := fmt.Sprint(r.apiURL("api-url")), err != nil
		if wrong {
			got = strings.TrimPrefix(err.Error(), "api-url ")
		}
		if got != tt.want && (!wrong || !strings.HasPrefix(got, tt.want)) {
			t.Errorf("%q: got %q, want %q", tt.value, got, tt.want)
		}
		if strings.Contains(got, "password@") {
			t.Errorf("%q: the password shows in %q", tt.value, got)
		}
	}
}

func TestIsLocal(t *testing.T) {
	tests := []struct {
		host string
		want bool
	}{
		{"localhost", true}, {"LOCALHOST", true}, {"sandbox", true}, {"diga-api_1", true}, {"0a", true}, {"x0", true},
		{"127.0.0.1", true}, {"127.1.2.3", true}, {"::1", true}, {"::ffff:127.0.0.1", true},
		{"128.0.0.1", false}, {"10.1.2.3", false}, {"0.0.0.0", false}, {"::", false}, {"::2", false},
		{"::ffff:8.8.8.8", false},
		{"api.diga.io", false}, {"localhost.example", false}, {"127.0.0.1.example", false}, {"a.b", false},
		{"134744072", false}, {"0x8080808", false}, {"010", false}, {"0", false},
	}
	for _, tt := range tests {
		if got := isLocal(tt.host, net.ParseIP(tt.host)); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.host, got, tt.want)
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
