package publish

import (
	"slices"
	"strings"

	"publish-agent-version/diga"
)

// Code documents an error code: what it means and what to do. A Name of the form HTTP_404 stands for the API's own
// code, too.
type Code struct{ Name, Status, Means, Do string }

// The step's own codes of failures that are not a request's; diga.Faults has the others.
const (
	codeInputInvalid      = "ACTION_INPUT_INVALID"
	codeOutputUnwritable  = "ACTION_OUTPUT_UNWRITABLE"
	codeVersionNotFound   = "ACTION_VERSION_NOT_FOUND"
	codeVersionAmbiguous  = "ACTION_VERSION_AMBIGUOUS"
	codeUnexpectedVersion = "ACTION_UNEXPECTED_VERSION"
	codeNotNewer          = "ACTION_NOT_NEWER"
	codePhoneNotFound     = "ACTION_PHONE_NOT_FOUND"
	codePhoneUnusable     = "ACTION_PHONE_UNUSABLE"
	codePhoneInUse        = "ACTION_PHONE_IN_USE"
)

var (
	codeResponseInvalid  = diga.InvalidReply.Code
	codeResponseMismatch = diga.Mismatch.Code
	codeInternal         = diga.Internal.Code
)

var ownCodes = []Code{
	{codeInputInvalid, "", "An input is missing, malformed or unknown, or conflicts with another. No request was sent.",
		"Fix each input named in the message."},
	{codeOutputUnwritable, "",
		"The results cannot be written. If that shows only after the change, the message says what is live.",
		"Free up disk space, or check what overrides `GITHUB_OUTPUT`."},
	{codeVersionNotFound, "", "No version has this name or ID, or only a draft has it.",
		"Choose a name listed in the message, or save the draft as a version in Diga."},
	{codeVersionAmbiguous, "", "Several versions have the name in `version-name`.",
		"Set `version-id` to one of the IDs in the message."},
	{codeUnexpectedVersion, "", "The live version is not the one in `expect-version-id`.",
		"Someone may have published: make a new plan."},
	{codeNotNewer, "", "`only-newer` is set, and the version is older than the live one.",
		"To roll back on purpose, remove `only-newer`."},
	{codePhoneNotFound, "", "No phone number matches, or several do.",
		"Use a number listed in the message, or set its ID."},
	{codePhoneUnusable, "", "The phone number is reserved, not yet verified, released or finished.",
		"Choose another number, or have this one assigned in Diga."},
	{codePhoneInUse, "",
		"Another agent uses the phone number in this direction, or the bound numbers changed while the step waited.",
		"Choose another number, set `take-over: true`, or run the step again: see the message."},
}

// Codes lists the error codes in the order of docs/errors.md.
func Codes() []Code {
	codes := slices.Clone(ownCodes)
	markdown := renderer{literal: func(s string) string { return "`" + s + "`" }}
	for _, f := range diga.Faults {
		name := f.Code
		if name == "" && f.Status != "" {
			name = "HTTP_" + f.Status
			if strings.Contains(f.Status, " ") {
				name = "HTTP_<status>"
			}
		}
		if name != "" {
			codes = append(codes, Code{name, f.Status, markdown.text(say(f.Means)), markdown.text(say(f.Advice))})
		}
	}
	return codes
}
