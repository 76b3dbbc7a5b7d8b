package main

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A port that another process has is taken once that has ended, with the file as it is.
func TestAWatchedFileTakesAPortThatBecomesFree(t *testing.T) {
	one := greeterNamed(t, "one")
	listen, busy := freePort(t), freePort(t)
	other, err := net.Listen("tcp", busy)
	require.NoError(t, err)
	text := "reload: watch\nlisten: [%q]\nupstream: %q\n"
	p := startedWithFile(t, fmt.Sprintf(text, listen, one), nil)
	live, _ := hail(t, listen)
	p.writes(t, fmt.Sprintf(text, busy, one))
	p.eventually(t, func() bool { return strings.Contains(p.log.String(), saidFailed) })
	require.Contains(t, p.log.String(), `"again_in":"1s"`)
	require.NoError(t, other.Close())
	p.eventually(t, func() bool { return strings.Contains(p.log.String(), saidReloaded) })
	require.Contains(t, p.log.String(), `"by":"retry"`)
	_, name := hail(t, busy)
	require.Equal(t, "one", name)
	exchange(t, live)
	require.Equal(t, 1, strings.Count(p.log.String(), saidFailed))
	require.NotContains(t, p.get("/readyz?verbose"), "failed")
}
