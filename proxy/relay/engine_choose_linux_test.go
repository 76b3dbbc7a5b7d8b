package relay

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What auto takes on each kernel: `make kernels` runs this on 6.1, where the documents promise epoll although io_uring works, and on 6.12.
func TestAutoOnThisKernel(t *testing.T) {
	b, err := os.ReadFile("/proc/sys/kernel/osrelease")
	require.NoError(t, err)
	release := strings.TrimSpace(string(b))
	kind, reason, err := ExplainEngine("auto", DefaultLoops())
	require.NoError(t, err)
	t.Logf("kernel %s: %s, %s", release, kind, reason)
	unusable := probeUring(DefaultLoops())
	switch {
	case isBefore(t, release, 6, 12):
		require.Equal(t, "epoll", kind)
		require.Contains(t, reason, "is older than 6.12")
	case unusable != nil:
		require.Equal(t, "epoll", kind)
		require.Contains(t, reason, unusable.Error())
	default:
		require.Equal(t, "uring", kind)
	}
	// The emulated kernels forbid nothing, so io_uring works there when it is asked for.
	if strings.Contains(release, "-cloud-") {
		require.NoError(t, unusable)
	}
}

// isBefore reports whether a kernel's release is older than major.minor.
func isBefore(t *testing.T, release string, major, minor int) bool {
	t.Helper()
	number := func(s string) (n int) {
		for _, c := range s {
			if c < '0' || c > '9' {
				break
			}
			n = 10*n + int(c-'0')
		}
		return n
	}
	parts := strings.SplitN(release, ".", 3)
	require.GreaterOrEqual(t, len(parts), 2, release)
	m := number(parts[0])
	return m < major || m == major && number(parts[1]) < minor
}
