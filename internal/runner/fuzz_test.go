package runner

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// hostile is text that a server may send to inject commands or outputs.
var hostile = []string{
	"a\n::add-mask::a", "a\r::error::forged", "a\r\n::error::forged",
	"a ##[set-output name=published-version-id]x",
	"\u3000::SET-OUTPUT name=x::y", "\u00a0::SET-OUTPUT name=x::y", "\t::SET-OUTPUT name=x::y",
	"::stop-commands::t", "##[set-env name=PATH]x", "##[add-matcher]x", "::error\u200b::x", "\u0301##[add-mask]a",
	"%0A::add-mask::x", "%250A::add-mask::x", "%3B%5D",
	"_GitHubActionsFileCommandDelimeter_\nx=y", "a=b", "a<<EOF\nb\nEOF\n", "a<<EOF", "=", "\ufeffa=b\r\n",
	"\x1b[31mred\x1b]0;title\a \u202e\u2066\u2028\u0085", "\xff\x00", "***",
}

// escaped and escapedData escape text as the toolkits do in properties and in data.
var escaped = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
var escapedData = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")

func FuzzLog(f *testing.F) {
	for _, text := range hostile {
		f.Add(text, "token")
		f.Add("::error::a\n"+text+"\nb", text)
	}
	f.Fuzz(func(t *testing.T, output, secret string) {
		lines, log := Lines(output), ReadLog(output)
		for _, line := range slices.Concat(lines, log.Lines, log.Printed) {
			if strings.ContainsAny(line, "\r\n") {
				t.Errorf("line %q of %q is not one line", line, output)
			}
		}
		masks := slices.DeleteFunc(slices.Clone(log.Commands), func(c Command) bool { return c.Name != "add-mask" })
		if len(log.Printed)+len(masks) != len(lines) {
			t.Errorf("%d lines of %q: %d printed, %d masks", len(lines), output, len(log.Printed), len(masks))
		}

		// Escaped text cannot break out of its command. The angle brackets protect it from trimming, and keep combining
		// marks from the "::".
		line := "::error title=<" + escaped.Replace(output) + ">::<" + escapedData.Replace(output) + ">"
		want := Command{"error", map[string]string{"title": "<" + output + ">"}, "<" + output + ">", 1}
		if log := ReadLog(line); len(log.Commands) != 1 || !equal(log.Commands[0], want) {
			t.Errorf("%q is read as %+v, want %+v", line, log.Commands, want)
		}

		if wrapped := base64.StdEncoding.EncodeToString([]byte(output + secret + output)); len(secret) > 1 && FindSecret(wrapped, secret) == nil {
			t.Errorf("FindSecret(%q) does not find %q", wrapped, secret)
		}

		first, _ := utf8.DecodeRuneInString(secret)
		starless := secret != "" && !strings.ContainsFunc(secret, func(c rune) bool { return c == '*' || unicode.IsSpace(c) })
		if starless && !unicode.IsMark(first) && first != '\uff9e' && first != '\uff9f' {
			for _, line := range ReadLog("::add-mask::" + escapedData.Replace(secret) + "\n" + output).Lines {
				if strings.Contains(line, secret) {
					t.Errorf("%q is not masked in %q", secret, line)
				}
			}
		}
	})
}

func FuzzOutputs(f *testing.F) {
	for _, text := range hostile {
		f.Add(text)
		f.Add("a=" + text + "\nb<<EOF\n" + text + "\nEOF\n")
	}
	f.Fuzz(func(t *testing.T, content string) {
		outputs, err := Outputs(content)
		// Outputs round-trip. The leading newline keeps a byte order mark that is part of a name.
		again, delimiter := "\n", strings.Repeat("-", len(content)+1)
		for _, o := range outputs {
			if o.Name == "" {
				t.Errorf("Outputs(%q) has an empty name", content)
			}
			if strings.Contains(o.Value, "\n") {
				again += o.Name + "<<" + delimiter + "\n" + o.Value + "\n" + delimiter + "\n"
			} else {
				again += o.Name + "=" + o.Value + "\n"
			}
		}
		if then, err := Outputs(again); err != nil || !slices.Equal(then, outputs) {
			t.Errorf("Outputs(%q) = %q, %v; want %q", again, then, err, outputs)
		}
		if err != nil {
			return
		}
		if then, err := Outputs(content + "\nneither form"); err == nil || !slices.Equal(then, outputs) {
			t.Errorf("after %q a bad line gives %q, %v; want %q and an error", content, then, err, outputs)
		}
	})
}
