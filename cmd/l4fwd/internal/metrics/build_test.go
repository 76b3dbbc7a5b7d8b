package metrics

import (
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/require"
)

// A binary built with GOFIPS140 is told from others; GODEBUG=fips140=on takes the module that this Go version has, which has no certificate.
func TestVersionTellsTheFIPSModule(t *testing.T) {
	require.Equal(t, "v1.0.0-c2097c7c", fipsModule([]debug.BuildSetting{{Key: "GOARCH", Value: "arm64"}, {Key: "GOFIPS140", Value: "v1.0.0-c2097c7c"}}))
	require.Equal(t, "of "+runtime.Version(), fipsModule(nil))
	require.Contains(t, Build{FIPS140: "v1.0.0"}.Text(), "\nFIPS 140-3 module v1.0.0\n")
	require.NotContains(t, Build{}.Text(), "FIPS")
}
