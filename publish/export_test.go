package publish

// OutputNames are the outputs that action.yml declares.
var OutputNames = []string{
	"status", "agent-id", "published-version-id", "inbound-phone-number-id", "outbound-phone-number-id",
	"inbound-phone-number",
	"outbound-phone-number", "version-id", "version-name", "launched", "changed-fields", "previous-version-id",
	"previous-version-name", "previous-inbound-phone-number-id", "previous-outbound-phone-number-id", "error-code",
	"error-message", "http-status", "attempts", "summary",
}

// InputNames are the inputs that action.yml declares.
func InputNames() (names []string) {
	for _, in := range inputTable {
		names = append(names, in.name)
	}
	return names
}
