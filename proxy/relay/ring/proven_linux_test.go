package ring

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// auto took io_uring on kernel 6.1, where a relay under injected faults delivered bytes to the wrong connection.
func TestOldKernelsAreNotChosen(t *testing.T) {
	for release, ok := range map[string]bool{
		"6.1.115-126.197.amzn2023.x86_64": false, "5.15.0": false, "6.11.9": false, "6.12.0": true, "6.18.44": true, "7.0.1-rc1": true,
		"": false, "next": false,
	} {
		err := proven(release)
		require.Equal(t, ok, err == nil, "%q: %v", release, err)
	}
	require.EqualError(t, proven("6.1.115"), "kernel 6.1 is older than 6.12, before which io_uring is used only with --engine uring")
}
