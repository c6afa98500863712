package runner_test

import (
	"fmt"

	"publish-agent-version/internal/runner"
)

func ExampleReadLog() {
	log := runner.ReadLog("::add-mask::secret\nlogin with secret\n::error title=Denied::secret is wrong\n")
	for _, line := range log.Lines {
		fmt.Println(line)
	}
	fmt.Printf("%+v\n", log.Annotations())
	fmt.Println(runner.FindSecret("token=c2VjcmV0", "secret"))
	// Output:
	// login with ***
	// ##[error]*** is wrong
	// [{Level:error Title:Denied Message:*** is wrong}]
	// [base64, shift 0 at byte 6]
}
