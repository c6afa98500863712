package publish

import (
	"fmt"

	"publish-agent-version/diga"
)

// Code is an error code that the step can fail with, for the README: what it means and what to do.
type Code struct{ Name, Means, Do string }

// The step's own codes. The API's codes come from its replies.
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
	codeCancelled         = "ACTION_CANCELLED"
	codeInternal          = "ACTION_INTERNAL"
	codeHTTPPrefix        = "HTTP_"
	runAgain              = "Run this step again."
	lookBeforeRunAgain    = "Look at what is published in Diga, then run this step again."
	readTheServiceAndWait = "Try again later; if it stays, ask Diga and give the request id."
)

// Codes lists every code of the step's own, and those of the API that its contract names, in the order of the README.
func Codes() []Code {
	return []Code{
		{codeInputInvalid, "An input is missing, malformed or contradicts another. No request was sent.", "Correct every input that the message names."},
		{codeOutputUnwritable, "The file for the step's outputs is missing or cannot be written. Found before the change; or, when the disk filled up, after it: then the message has the ids.", "Free the disk, or repair what sets `GITHUB_OUTPUT`."},
		{codeNetworkError, "No connection, a lost connection, an unknown host, or a proxy that refuses.", "Check `api-url`, the proxy variables and the runner's network."},
		{codeTLSError, "The certificate is not trusted, not valid now or for another host, or the server does not speak TLS.", "Check `api-url`; for a private authority set `SSL_CERT_FILE`; for a certificate that is not valid now check the runner's clock."},
		{codeTimeout, "The API did not answer in time.", "Run the step again; raise `timeout` if the API is known to be slow."},
		{codeRedirectRefused, "The server answered with a redirect. It is never followed: the token would go where it points.", "Set `api-url` to the address of the API itself."},
		{codeResponseInvalid, "The reply is not HTTP, not JSON, or not what the API's contract says.", "Check that `api-url` is the API; look at what is published, then run the step again."},
		{codeResponseMismatch, "The API confirmed another agent, version or phone number than was asked for.", "Look at what is published in Diga before anything else."},
		{codeVersionNotFound, "No version has the name given by `version-name`, or only a draft has.", "Choose one of the names that the message lists, or publish the draft in Diga first."},
		{codeVersionAmbiguous, "More than one version has the name given by `version-name`.", "Give `version-id` instead, one of those that the message lists."},
		{codeCancelled, "The workflow was cancelled, or its time ran out.", "If the status is `unknown`, look at what is published; then run the step again."},
		{codeInternal, "A defect in this action.", "Report it, with the version of the action and the log."},
		{"BAD_PARAMETER", "The API refuses the version or the phone numbers: the version does not exist or is a draft, or a phone number is not yours or in use.", adviceFor(400)},
		{"AGENT_NOT_FOUND", "The API knows no such agent.", adviceFor(404)},
		{"INTERNAL_SERVER_ERROR", "The API failed (500), or refused for lack of permission (403): see `http-status`.", "With 403, check the token's permissions. With 500, try again later."},
		{"HTTP_<status>", "The API, or a proxy or gateway in front of it, answered with this status and no error code.", "401 and 403: check `token`. 404: check `api-url`. 422: correct the inputs that the message names. 429 and 5xx: try again later."},
	}
}

// classify returns the code of e and what its reader should do.
func classify(e *diga.Error) (code, do string) {
	switch e.Cause {
	case diga.Answered:
		if e.Code != "" {
			return e.Code, adviceFor(e.Status)
		}
		if e.Status == 404 || e.Status == 400 {
			return fmt.Sprint(codeHTTPPrefix, e.Status), "Check api-url: the reply is not the API's own."
		}
		return fmt.Sprint(codeHTTPPrefix, e.Status), adviceFor(e.Status)
	case diga.UnknownHost:
		return codeNetworkError, "Check api-url, and whether this runner can look up the name."
	case diga.Unreachable:
		return codeNetworkError, "Check api-url and whether this runner reaches it, then run this step again."
	case diga.ProxyUnreachable:
		return codeNetworkError, "Check the proxy that HTTPS_PROXY or HTTP_PROXY names, or list the API's host in NO_PROXY."
	case diga.ProxyDenied:
		return codeNetworkError, "Check the proxy's credentials in HTTPS_PROXY or HTTP_PROXY, or list the API's host in NO_PROXY."
	case diga.ProxyInvalid:
		return codeNetworkError, "Correct HTTPS_PROXY or HTTP_PROXY, or unset them."
	case diga.CertificateUnknown:
		return codeTLSError, "If a private authority signs it, set SSL_CERT_FILE to a file in the workspace that holds the authority's certificate."
	case diga.CertificateTime:
		return codeTLSError, "Check the runner's clock; if it is right, the server needs a new certificate."
	case diga.CertificateHost:
		return codeTLSError, "Check api-url: the name in it must be one that the certificate is for."
	case diga.PlainHTTP:
		return codeTLSError, "Check the port in api-url, and whether it should begin with http:// (allowed to this machine and to service containers only)."
	case diga.TLSFailed:
		return codeTLSError, "Check api-url, and whether the server asks for TLS 1.2 or newer and no client certificate."
	case diga.Timeout:
		return codeTimeout, runAgain
	case diga.Redirected:
		return codeRedirectRefused, "Set api-url to the address of the API itself."
	case diga.InvalidReply:
		return codeResponseInvalid, "Check that api-url is the API. " + lookBeforeRunAgain
	case diga.Mismatch:
		return codeResponseMismatch, "Look at what is published in Diga before anything else."
	case diga.VersionNotFound:
		return codeVersionNotFound, "Correct version-name, or give a version that name in Diga."
	case diga.VersionAmbiguous:
		return codeVersionAmbiguous, "Give version-id instead."
	case diga.Cancelled:
		return codeCancelled, runAgain
	default:
		return codeInternal, "Please report it."
	}
}

// adviceFor says what to do about a status that the API answered with.
func adviceFor(status int) string {
	switch {
	case status == 400:
		return "Check version-id and the phone number ids: the version must exist and not be a draft, each number must be yours and free."
	case status == 401:
		return "Check the token: is it whole, current, and for this API?"
	case status == 403:
		return "Check the token's permissions: it must be allowed to change agents and phone numbers."
	case status == 404:
		return "Check agent-id and version-id, and that the token belongs to the same workspace as the agent."
	case status == 422:
		return "Correct the inputs that are named."
	case status == 407:
		return "Check the proxy's credentials."
	case status == 429:
		return "The API limits requests: run fewer of these steps at once (max-parallel), or raise timeout."
	case status >= 500, status == 408:
		return readTheServiceAndWait
	default:
		return "Check the inputs and api-url."
	}
}
