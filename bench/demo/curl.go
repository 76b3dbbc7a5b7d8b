package main

import (
	"os"

	"github.com/l4fwd/l4fwd/bench/standin"
)

// curl is the start of a command that goes to l4fwd while it speaks to the service by name. A proxy of the
// environment would stand between the two, so it is switched off where there is one.
func (s *stack) curl(flags string) string {
	for _, name := range []string{"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"} {
		if os.Getenv(name) != "" {
			flags += " --noproxy '*'"
			break
		}
	}
	return "curl " + flags + " --cacert " + s.caFile + " \\\n  --connect-to " + standin.Name + ":443:" + s.listen + " \\\n"
}

// curlStream asks for the demo's own completion.
func (s *stack) curlStream() string {
	return s.curl("-N") +
		"  -H 'api-key: " + standin.DefaultKey + "' -H 'content-type: application/json' \\\n" +
		"  -d '" + prompt + "' \\\n" +
		"  '" + chatURL + "'"
}

// curl401 asks without a key.
func (s *stack) curl401() string {
	return s.curl("-i") + "  https://" + standin.Name + "/"
}
