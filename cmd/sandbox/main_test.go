package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestCommandLine(t *testing.T) {
	for _, tt := range []struct {
		args           []string
		stdout, failed string // parts of the output and of the error
	}{
		{[]string{"try"}, "\nstatus=published\n", ""},
		{[]string{"try", "-scenario", "list"}, "\nlost-reply  ", ""},
		{[]string{"try", "-scenario", "nonsense"}, "", `unknown scenario "nonsense"`},
		{[]string{"try", "-help"}, "", "usage:"},
		{nil, "", "usage:"},
		{[]string{"play"}, "", "usage:"},
		{[]string{"try", "promotion"}, "", "too many arguments"},
		{[]string{"serve", "-port", "1"}, "", "flag provided but not defined: -port"},
		{[]string{"serve", "-addr", "127.0.0.1:-1"}, "", "invalid port"},
	} {
		var stdout bytes.Buffer
		err := run(t.Context(), tt.args, &stdout)
		if (err == nil) != (tt.failed == "") || err != nil && !strings.Contains(err.Error(), tt.failed) ||
			!strings.Contains(stdout.String(), tt.stdout) || (stdout.Len() > 0) != (tt.stdout != "") {
			t.Errorf("%q: got %v and\n%s", tt.args, err, &stdout)
		}
	}
}
