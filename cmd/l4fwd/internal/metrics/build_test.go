package metrics

import (
	"runtime"
	"runtime/debug"
	"strings"
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

// The linker's values stand. Without them, the commit is what the Go tool noted, twelve digits of it, with a mark for a modified tree.
func TestVersionAndCommit(t *testing.T) {
	b := ThisBuild("v1.2.3", "abcdef")
	require.True(t, strings.HasPrefix(b.Text(), "l4fwd v1.2.3\ncommit abcdef\ngo1."), b.Text())
	require.Contains(t, b.Text(), "\n"+runtime.GOOS+"/"+runtime.GOARCH+"\n")
	b = ThisBuild("", "")
	require.Equal(t, []string{"devel", "unknown"}, []string{b.Version, b.Commit}, "the Go tool notes nothing in a test")
	revision := debug.BuildSetting{Key: "vcs.revision", Value: "0123456789abcdef"}
	for want, settings := range map[string][]debug.BuildSetting{
		"0123456789ab":          {{Key: "vcs", Value: "git"}, revision, {Key: "vcs.modified", Value: "false"}},
		"0123456789ab-modified": {{Key: "vcs.modified", Value: "true"}, revision},
		"0123":                  {{Key: "vcs.revision", Value: "0123"}, {Key: "-race", Value: "true"}},
		"":                      {{Key: "vcs.modified", Value: "true"}},
	} {
		require.Equal(t, want, embeddedCommit(settings))
	}
}
