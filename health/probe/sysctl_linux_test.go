package probe_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/health/probe"
)

func TestSettingsOfTheKernel(t *testing.T) {
	value, known := probe.Sysctl("kernel.ostype")
	require.True(t, known)
	require.Equal(t, "Linux", value)
	value, known = probe.Sysctl("net.ipv4.ip_local_port_range")
	require.True(t, known)
	require.Regexp(t, `^\d+ \d+$`, value, "single spaces, where the kernel writes a tab")
	_, known = probe.Sysctl("net.ipv4.none_such")
	require.False(t, known)
}
