package publish_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

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

// checkInvalidInputs runs the step with every one of publish.InputProblems that is about one of these inputs.
func checkInvalidInputs(t *testing.T, names ...string) {
	t.Helper()
	n := 0
	for _, p := range publish.InputProblems() {
		if slices.Contains(names, p.Name) {
			n++
			inputs := map[string]string{"version-id": sandbox.NextID}
			inputs[p.Name] = p.Value
			checkProblem(t, runInvalid(t, inputs), p.Want)
		}
	}
	if n == 0 {
		t.Errorf("no problem with %q", names)
	}
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
			for _, name := range publish.InputNames() {
				inputs[name] = value
			}
			inputs["token"] = "two words"
			res := runInvalid(t, inputs)
			for _, name := range publish.InputNames() {
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
		checkInvalidInputs(t, "agent-id", "version-id", "inbound-phone-number-id", "outbound-phone-number-id")
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
		).check(t, fake, expected{attempts: 1})
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
			for _, name := range publish.InputNames()[1:] {
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
	t.Run("I6", func(t *testing.T) {
		for _, value := range []string{
			"http://api.diga.io", "http://10.0.0.1", "http://[fe80::1]", "ftp://api.diga.io", "api.diga.io", "https://",
			"https://user:pass-word@api.diga.io", "http://localhost@a.example",
			"https://api.diga.io?a=b", "https://api.diga.io#a", "https://api.diga.io/../a", "https://bücher.example",
			"https://a b", "::error::x", "##[error]x",
		} {
			res := runInvalid(t, map[string]string{"api-url": value})
			if !strings.HasPrefix(res.message(), "api-url ") || strings.Contains(everythingShown(res), "pass-word") {
				t.Errorf("%q: got %q", value, res.message())
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
			with("api-url", value).check(t, fake, expected{attempts: 1})
			var got []string
			for _, r := range fake.requests("") {
				got = append(got, r.Method+" "+r.URL.Path)
			}
			agent := prefix + "/v1/agent/" + sandbox.FrontDesk
			slices.Sort(got) // the reads are concurrent
			want := []string{"GET " + agent, "GET " + agent + "/version", "GET " + prefix + "/v1/phone/",
				"PATCH " + agent + "/published_version"}
			if !slices.Equal(got, want) {
				t.Errorf("%q: got %q, want %q", value, got, want)
			}
		}
	})
	t.Run("I8", func(t *testing.T) { checkInvalidInputs(t, "timeout", "max-retries", "unpublish", "dry-run") })
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
					_, server := newSandbox(t)
					status := map[bool]string{true: "unpublished", false: "published"}[unpublish == "true"]
					scenario{inputs: inputs}.check(t, server, expected{status: status, attempts: 1})
				}
			}
		}
		checkInvalidInputs(t, "version-name")
		for _, phone := range []string{"inbound-phone-number-id", "outbound-phone-number-id"} {
			res := runInvalid(t, map[string]string{"version-id": "", "unpublish": "true", phone: sandbox.Reception})
			checkProblem(t, res, phone+" has no effect with unpublish: remove it")
		}
		// The one way to unpublish.
		api, server := newSandbox(t)
		with("unpublish", "true").check(t, server, expected{status: "unpublished", attempts: 1})
		checkLive(t, api, "")
	})
}
