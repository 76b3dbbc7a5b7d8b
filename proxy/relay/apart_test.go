package relay

import (
	"flag"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const apartChild = "L4FWD_TEST_APART"

// apart runs the test in a process of its own beside others, where all tests of the package are run: most of it is waiting, and what is
// counted (descriptors, goroutines, processor time) is the process's. It returns false where the caller is to run it: in
// that process, and where -run names tests.
func apart(t *testing.T) bool {
	t.Helper()
	if os.Getenv(apartChild) != "" || flag.Lookup("test.run").Value.String() != "" {
		return false
	}
	t.Parallel()
	var names []string
	for _, n := range strings.Split(t.Name(), "/") {
		names = append(names, "^"+regexp.QuoteMeta(n)+"$")
	}
	cmd := exec.Command(os.Args[0], "-test.run="+strings.Join(names, "/"), "-test.timeout=10m", "-test.v")
	cmd.Env = append(os.Environ(), apartChild+"=1")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", failuresOf(string(out)))
	require.Contains(t, string(out), "--- PASS: "+t.Name()+" ", "the test was not run")
	return true
}

// failuresOf leaves out of the output of a test what passed.
func failuresOf(out string) string {
	var b strings.Builder
	for line := range strings.Lines(out) {
		if s := strings.TrimSpace(line); !strings.HasPrefix(s, "=== ") && !strings.HasPrefix(s, "--- PASS") {
			b.WriteString(line)
		}
	}
	return b.String()
}
