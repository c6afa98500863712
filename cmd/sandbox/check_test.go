package main

import (
	"errors"
	"net/http/httptest"
	"strings"
	"testing"

	"publish-agent-version/internal/sandbox"
)

func TestCheckReportsEveryDifference(t *testing.T) {
	api := sandbox.New()
	r := httptest.NewRequest("PATCH", "/v1/agent/"+sandbox.FrontDesk+"/published_version", strings.NewReader(`{"version":"v1"}`))
	r.Header.Set("Content-Type", "application/json")
	api.ServeHTTP(httptest.NewRecorder(), r)
	res, err := runStep(t.Context(), map[string]string{"unpublish": "maybe"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	res.log.Printed = append(res.log.Printed, "Bearer "+sandbox.Token)
	res.log.Failures = append(res.log.Failures, errors.New("set-env"))
	sc := scenario{outputs: map[string]string{"status": "published"}, after: onSwitch, warnings: []string{"maybe"}}
	err = sc.check(api, res)
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		`exit status: got "1", want "0"`,
		`output status: got "failed", want "published"`,
		`Front desk: got "` + unchanged + `", want "` + onSwitch + `"`,
		`no warning contains "maybe"`,
		`header.authorization`,
		`body: additional properties 'version' not allowed`,
		`fails the step: set-env`,
		`the token appears: plain`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in\n%v", want, err)
		}
	}
}
