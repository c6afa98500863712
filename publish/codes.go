package publish

import (
	"fmt"
	"strings"

	"publish-agent-version/diga"
)

// Code documents an error code: what it means and what to do.
type Code struct{ Name, Means, Do string }

// The step's own codes. The API's codes come from its responses.
const (
	codeInputInvalid      = "ACTION_INPUT_INVALID"
	codeOutputUnwritable  = "ACTION_OUTPUT_UNWRITABLE"
	codeNetworkError      = "ACTION_NETWORK_ERROR"
	codeTLSError          = "ACTION_TLS_ERROR"
	codeTimeout           = "ACTION_TIMEOUT"
	codeRedirectRefused   = "ACTION_REDIRECT_REFUSED"
	codeResponseInvalid   = "ACTION_RESPONSE_INVALID"
	codeResponseMismatch  = "ACTION_RESPONSE_MISMATCH"
	codeVersionNotFound   = "ACTION_VERSION_NOT_FOUND"
	codeVersionAmbiguous  = "ACTION_VERSION_AMBIGUOUS"
	codeUnexpectedVersion = "ACTION_UNEXPECTED_VERSION"
	codeNotNewer          = "ACTION_NOT_NEWER"
	codePhoneNotFound     = "ACTION_PHONE_NOT_FOUND"
	codePhoneUnusable     = "ACTION_PHONE_UNUSABLE"
	codePhoneInUse        = "ACTION_PHONE_IN_USE"
	codeCancelled         = "ACTION_CANCELLED"
	codeInternal          = "ACTION_INTERNAL"
	codeHTTPPrefix        = "HTTP_"
)

// Codes lists the step's own codes and those in the API's contract, in the order of docs/errors.md.
func Codes() []Code {
	advice := func(status int) string {
		return adviceFor(status).render(func(s string) string { return "`" + s + "`" })
	}
	return []Code{
		{codeInputInvalid, "An input is missing or malformed, or conflicts with another. No request was sent.", "Fix each input named in the message."},
		{codeOutputUnwritable, "The file for step outputs is missing or not writable. This is normally detected before the change. If the disk fills up later, the message says what is live.", "Free up disk space, or check what overrides `GITHUB_OUTPUT`."},
		{codeNetworkError, "The connection failed or was lost, the host is unknown, or the proxy refused the connection.", "Check `api-url`, the proxy variables and the runner's network."},
		{codeTLSError, "The certificate is untrusted, expired, not yet valid or for another host, or the server does not speak TLS.", "Check `api-url`. For a private CA, set `SSL_CERT_FILE`. For an expired certificate, check the runner's clock."},
		{codeTimeout, "The API did not respond in time.", "Run the step again. If the API is slow, increase `timeout`."},
		{codeRedirectRefused, "The server returned a redirect. Redirects are never followed, because that would send the token to another address.", "Set `api-url` to the address of the API itself."},
		{codeResponseInvalid, "The response is not valid HTTP or JSON, or does not match the API's schema.", "Check that `api-url` points to the API, then run the step again."},
		{codeResponseMismatch, "The API confirmed a different agent, version or phone number than requested.", "Check in Diga what is live before you do anything else."},
		{codeVersionNotFound, "No version has this name or ID, or the only match is a draft.", "Choose a name listed in the message, or save the draft as a version in Diga."},
		{codeVersionAmbiguous, "Several versions have the name in `version-name`.", "Set `version-id` to one of the IDs listed in the message."},
		{codeUnexpectedVersion, "The live version is not the one in `expect-version-id`.", "Someone may have published in the meantime: make a new plan."},
		{codeNotNewer, "`only-newer` is set, and the version is older than the live one.", "To roll back on purpose, remove `only-newer`."},
		{codePhoneNotFound, "No phone number matches, or several do.", "Check the number, or set its ID instead."},
		{codePhoneUnusable, "The phone number is not `assigned`: it is reserved, released or finished, and cannot take calls.", "Choose another number, or have this one assigned in Diga."},
		{codePhoneInUse, "Another agent uses the phone number in this direction.", "Choose another number, or set `take-over: true` to take it from that agent."},
		{codeCancelled, "The workflow was cancelled or timed out.", "If the status is `unknown`, run the step again: that is safe."},
		{codeInternal, "A bug in this action.", "Report it, and include the action's version and the log."},
		{"BAD_PARAMETER", "The API refused the version or a phone number: the version does not exist or is a draft, or the number is not yours or is in use.", advice(400)},
		{"AGENT_NOT_FOUND", "The API has no agent with this ID.", advice(404)},
		{"INTERNAL_SERVER_ERROR", "The API failed (500), or the token lacks a permission (403): see `http-status`.", "403: use a token with the role `admin`. 500: try again later."},
		{"HTTP_<status>", "The API, or a proxy or gateway in front of it, returned this status without an error code.", "401 and 403: check `token`. 404: check `api-url`. 422: fix the inputs named in the message. 429 and 5xx: try again later."},
	}
}

// classify returns the error code for e, and what to do about it.
func classify(e *diga.Error) (code string, advice text) {
	apiURL := literal("api-url")
	switch e.Cause {
	case diga.Answered:
		switch {
		case hasAPICode(e):
			return e.Code, adviceFor(e.Status)
		case e.Status == 404 || e.Status == 400:
			return fmt.Sprint(codeHTTPPrefix, e.Status), say("Check %s: this response is not from the API itself.", apiURL)
		default:
			return fmt.Sprint(codeHTTPPrefix, e.Status), adviceFor(e.Status)
		}
	case diga.UnknownHost:
		return codeNetworkError, say("Check %s, and whether this runner can resolve the host name.", apiURL)
	case diga.Unreachable:
		return codeNetworkError, say("Check %s and whether this runner can reach it, then run this step again.", apiURL)
	case diga.ProxyUnreachable:
		return codeNetworkError, say("Check the proxy in HTTPS_PROXY or HTTP_PROXY, or list the API's host in NO_PROXY.")
	case diga.ProxyDenied:
		return codeNetworkError, say("Check the proxy's credentials in HTTPS_PROXY or HTTP_PROXY, or list the API's host in NO_PROXY.")
	case diga.ProxyInvalid:
		return codeNetworkError, say("Correct HTTPS_PROXY or HTTP_PROXY, or unset them.")
	case diga.CertificateUnknown:
		return codeTLSError, say("For a private CA, set SSL_CERT_FILE to a file in the workspace that contains the CA certificate.")
	case diga.CertificateTime:
		return codeTLSError, say("Check the runner's clock. If it is correct, the server needs a new certificate.")
	case diga.CertificateHost:
		return codeTLSError, say("Check the host in %s: the certificate must cover it.", apiURL)
	case diga.PlainHTTP:
		return codeTLSError, say("Check the port in %s, and whether it should begin with http:// (localhost and service containers only).", apiURL)
	case diga.TLSFailed:
		return codeTLSError, say("Check %s, and whether the server requires TLS older than 1.2 or a client certificate.", apiURL)
	case diga.Timeout:
		return codeTimeout, say("Run this step again.")
	case diga.Redirected:
		return codeRedirectRefused, say("Set %s to the address of the API itself.", apiURL)
	case diga.InvalidReply:
		return codeResponseInvalid, say("Check that %s points to the API, then run this step again.", apiURL)
	case diga.Mismatch:
		return codeResponseMismatch, say("Check in Diga what is live before you do anything else.")
	case diga.VersionNotFound:
		return codeVersionNotFound, say("Correct %s, or give a version this name in Diga.", literal("version-name"))
	case diga.VersionAmbiguous:
		return codeVersionAmbiguous, say("Set %s instead.", literal("version-id"))
	case diga.Cancelled:
		return codeCancelled, say("Run this step again.")
	default:
		return codeInternal, say("Report this as a bug and include this log.")
	}
}

// hasAPICode reports whether e has an error code from the API. Codes that begin with ACTION_ are reserved for the step.
func hasAPICode(e *diga.Error) bool { return e.Code != "" && !strings.HasPrefix(e.Code, "ACTION_") }

// adviceFor says what to do about an HTTP status.
func adviceFor(status int) text {
	switch {
	case status == 400:
		return say("Check that the version is not a draft, and that each phone number is yours and free.")
	case status == 401:
		return say("Check %s: is it complete, current and for this API? Publishing requires the role %s.", literal("token"), literal("admin"))
	case status == 403:
		return say("Use a token with the role %s: %s can only read.", literal("admin"), literal("member"))
	case status == 404:
		return say("Check %s and the version, and that the token belongs to the agent's project.", literal("agent-id"))
	case status == 407:
		return say("Check the proxy's credentials.")
	case status == 422:
		return say("Correct these inputs.")
	case status == 429:
		return say("You hit Diga's rate limit: run fewer of these steps at once (%s), or increase %s.", literal("max-parallel"), literal("timeout"))
	case status >= 500, status == 408:
		return say("Try again later. If it persists, contact Diga with the request ID.")
	default:
		return say("Check the inputs and %s.", literal("api-url"))
	}
}
