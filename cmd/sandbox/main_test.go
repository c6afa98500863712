package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestCommandLine(t *testing.T) {
	tests := []struct {
		args   []string
		exit   int
		stdout string
		stderr string
	}{
		{[]string{"try"}, 0, "\nstatus=published\n", ""},
		{[]string{"try", "-scenario", "list"}, 0, "lost-reply  ", ""},
		{[]string{"try", "-scenario", "nonsense"}, 1, "", `unknown scenario "nonsense"`},
		{[]string{"try", "-help"}, 0, "", "usage:"},
		{nil, 2, "", "usage:"},
		{[]string{"play"}, 2, "", "usage:"},
		{[]string{"try", "promotion"}, 2, "", "usage:"},
		{[]string{"serve", "-scenario", "promotion"}, 2, "", "flag provided but not defined: -scenario"},
		{[]string{"serve", "-addr", "127.0.0.1:-1"}, 1, "", "invalid port"},
	}
	for _, tt := range tests {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			exit := run(t.Context(), tt.args, &stdout, &stderr)
			if exit != tt.exit || !strings.Contains(stdout.String(), tt.stdout) || !strings.Contains(stderr.String(), tt.stderr) {
				t.Errorf("got %d\n%s\n%s", exit, &stdout, &stderr)
			}
			if (stdout.Len() > 0) != (tt.stdout != "") || (stderr.Len() > 0) != (tt.stderr != "") {
				t.Errorf("got %d bytes on stdout and %d on stderr:\n%s\n%s", stdout.Len(), stderr.Len(), &stdout, &stderr)
			}
		})
	}
}
