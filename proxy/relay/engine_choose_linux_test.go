package relay

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What auto takes on each kernel: `make kernels` runs this on 6.1, where the documents promise epoll although io_uring works, and on 6.12.
func TestAutoOnThisKernel(t *testing.T) {
	release := kernelRelease(t)
	kind, reason, err := ExplainEngine("auto", DefaultLoops())
	require.NoError(t, err)
	t.Logf("kernel %s: %s, %s", release, kind, reason)
	unusable := probeUring(DefaultLoops())
	switch {
	case kernelBefore(t, 6, 12):
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

func kernelRelease(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("/proc/sys/kernel/osrelease")
	require.NoError(t, err)
	return strings.TrimSpace(string(b))
}

// kernelBefore reports whether this kernel is older than major.minor.
func kernelBefore(t *testing.T, major, minor int) bool {
	t.Helper()
	var m, n int
	_, err := fmt.Sscanf(kernelRelease(t), "%d.%d", &m, &n)
	require.NoError(t, err)
	return m < major || m == major && n < minor
}
