package publish

import (
	"fmt"

	"publish-agent-version/diga"
)

// Code is an error code that the step can fail with, for the README: what it means and what to do.
type Code struct{ Name, Means, Do string }

// The step's own codes. The API's codes come from its replies.
const (
	codeInputInvalid     = "ACTION_INPUT_INVALID"
	codeOutputUnwritable = "ACTION_OUTPUT_UNWRITABLE"
	codeNetworkError     = "ACTION_NETWORK_ERROR"
	codeTLSError         = "ACTION_TLS_ERROR"
	codeTimeout          = "ACTION_TIMEOUT"
	codeRedirectRefused  = "ACTION_REDIRECT_REFUSED"
	codeResponseInvalid  = "ACTION_RESPONSE_INVALID"
	codeResponseMismatch = "ACTION_RESPONSE_MISMATCH"
	codeVersionNotFound  = "ACTION_VERSION_NOT_FOUND"
	codeVersionAmbiguous = "ACTION_VERSION_AMBIGUOUS"
	codePhoneNotFound    = "ACTION_PHONE_NOT_FOUND"
	codePhoneUnusable    = "ACTION_PHONE_UNUSABLE"
	codePhoneInUse       = "ACTION_PHONE_IN_USE"
	codeCancelled        = "ACTION_CANCELLED"
	codeInternal         = "ACTION_INTERNAL"
	codeHTTPPrefix       = "HTTP_"
)

// Codes lists every code of the step's own, and those of the API that its contract names, in the order of the README.
func Codes() []Code {
	return []Code{
		{codeInputInvalid, "An input is missing, malformed or contradicts another. No request was sent.", "Correct every input that the message names."},
		{codeOutputUnwritable, "The step's output file is missing or cannot be written. Found before the change; or, when the disk filled up, after it: then the message says what is live.", "Free the disk, or fix whatever sets `GITHUB_OUTPUT`."},
		{codeNetworkError, "No connection, a lost connection, an unknown host, or a proxy that refuses.", "Check `api-url`, the proxy variables and the runner's network."},
		{codeTLSError, "The certificate is not trusted, expired, not valid yet or for another host, or the server does not speak TLS.", "Check `api-url`. For a private authority, set `SSL_CERT_FILE`. For an expired certificate, check the runner's clock."},
		{codeTimeout, "The API did not answer in time.", "Run the step again. If the API is slow, raise `timeout`."},
		{codeRedirectRefused, "The server answered with a redirect. The step never follows one: the token would go wherever it points.", "Set `api-url` to the address of the API itself."},
		{codeResponseInvalid, "The reply is not HTTP, not JSON, or not what the API's contract says.", "Check that `api-url` is the API, then run the step again."},
		{codeResponseMismatch, "The API confirmed another agent, version or phone number than was asked for.", "Check in Diga what is live before you do anything else."},
		{codeVersionNotFound, "No version has this name or id, or the only one with the name is a draft.", "Choose one of the names that the message lists, or save the draft as a version in Diga."},
		{codeVersionAmbiguous, "More than one version has the name in `version-name`.", "Set `version-id` instead, to one of the ids that the message lists."},
		{codePhoneNotFound, "There is no phone number with this id or number, or more than one has the number.", "Check the number, or set its id instead."},
		{codePhoneUnusable, "The phone number is not `assigned`: it is reserved, released or finished and takes no calls.", "Choose another number, or have this one assigned in Diga."},
		{codePhoneInUse, "Another agent has the phone number in this direction.", "Choose another number, or set `take-over: true` to take it from that agent."},
		{codeCancelled, "The workflow was cancelled, or its time ran out.", "If the status is `unknown`, run the step again: that is safe."},
		{codeInternal, "A bug in this action.", "Report it with the version of the action and the log."},
		{"BAD_PARAMETER", "The API refused the version or the phone numbers: the version does not exist or is a draft, or a phone number is not yours or not free.", adviceFor(400)},
		{"AGENT_NOT_FOUND", "The API knows no such agent.", adviceFor(404)},
		{"INTERNAL_SERVER_ERROR", "The API failed (500), or the token lacks a permission (403): see `http-status`.", "403: use a token with the role `admin`. 500: try again later."},
		{"HTTP_<status>", "The API, or a proxy or gateway in front of it, answered with this status and no error code.", "401 and 403: check `token`. 404: check `api-url`. 422: correct the inputs that the message names. 429 and 5xx: try again later."},
	}
}

// classify returns the code of e and what its reader should do, with the names of inputs in back quotes.
func classify(e *diga.Error) (code, do string) {
	const runAgain = "Run this step again."
	switch e.Cause {
	case diga.Answered:
		switch {
		case e.Code != "":
			return e.Code, adviceFor(e.Status)
		case e.Status == 404 || e.Status == 400:
			return fmt.Sprint(codeHTTPPrefix, e.Status), "Check `api-url`: this is not a reply of the API itself."
		default:
			return fmt.Sprint(codeHTTPPrefix, e.Status), adviceFor(e.Status)
		}
	case diga.UnknownHost:
		return codeNetworkError, "Check `api-url`, and whether this runner can look up the name."
	case diga.Unreachable:
		return codeNetworkError, "Check `api-url` and whether this runner can reach it, then run this step again."
	case diga.ProxyUnreachable:
		return codeNetworkError, "Check the proxy in HTTPS_PROXY or HTTP_PROXY, or list the API's host in NO_PROXY."
	case diga.ProxyDenied:
		return codeNetworkError, "Check the proxy's credentials in HTTPS_PROXY or HTTP_PROXY, or list the API's host in NO_PROXY."
	case diga.ProxyInvalid:
		return codeNetworkError, "Correct HTTPS_PROXY or HTTP_PROXY, or unset them."
	case diga.CertificateUnknown:
		return codeTLSError, "If a private authority signs it, set SSL_CERT_FILE to a file in the workspace with that authority's certificate."
	case diga.CertificateTime:
		return codeTLSError, "Check the runner's clock. If it is right, the server needs a new certificate."
	case diga.CertificateHost:
		return codeTLSError, "Check the host in `api-url`: the certificate must cover it."
	case diga.PlainHTTP:
		return codeTLSError, "Check the port in `api-url`, and whether it should begin with http:// (localhost and service containers only)."
	case diga.TLSFailed:
		return codeTLSError, "Check `api-url`, and whether the server requires TLS older than 1.2 or a client certificate."
	case diga.Timeout:
		return codeTimeout, runAgain
	case diga.Redirected:
		return codeRedirectRefused, "Set `api-url` to the address of the API itself."
	case diga.InvalidReply:
		return codeResponseInvalid, "Check that `api-url` is the API, then run this step again."
	case diga.Mismatch:
		return codeResponseMismatch, "Check in Diga what is live before you do anything else."
	case diga.VersionNotFound:
		return codeVersionNotFound, "Correct `version-name`, or give a version this name in Diga."
	case diga.VersionAmbiguous:
		return codeVersionAmbiguous, "Set `version-id` instead."
	case diga.Cancelled:
		return codeCancelled, runAgain
	default:
		return codeInternal, "Report this as a bug, with this log."
	}
}

// adviceFor says what to do about a status that the API answered with.
func adviceFor(status int) string {
	switch {
	case status == 400:
		return "Check that the version is not a draft, and that each phone number is yours and free."
	case status == 401:
		return "Check `token`: is it complete, current and for this API?"
	case status == 403:
		return "Use a token with the role `admin`: the role `member` can only read."
	case status == 404:
		return "Check `agent-id` and the version, and that the token belongs to the agent's project."
	case status == 422:
		return "Correct these inputs."
	case status == 407:
		return "Check the proxy's credentials."
	case status == 429:
		return "Diga limits requests: run fewer of these steps at once (`max-parallel`), or raise `timeout`."
	case status >= 500, status == 408:
		return "Try again later. If it persists, ask Diga and quote the request id."
	default:
		return "Check the inputs and `api-url`."
	}
}
