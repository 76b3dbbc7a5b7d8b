package main

import (
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/bench/peer"
)

func TestGone(t *testing.T) {
	cmd := exec.Command("sleep", "60")
	require.NoError(t, cmd.Start())
	pids := []int{cmd.Process.Pid}
	assert.GreaterOrEqual(t, <-gone(t.Context(), pids, time.Now(), 20*time.Millisecond), 20*time.Millisecond)
	took := gone(t.Context(), pids, time.Now(), time.Minute)
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait() // it was killed
	assert.Less(t, <-took, time.Minute)
}

// A relay whose old process stays with its connections loses none, and is seen to stay.
func TestReplace(t *testing.T) {
	if s := peer.NginxReload(false); s.Missing != "" {
		t.Skip(s.Missing)
	}
	dir := t.TempDir()
	o, err := parse([]string{"-quick", "-only", "replace", "-peers", "nginx-reload", "-reps", "1", "-net", "loopback", "-out", dir})
	require.NoError(t, err)
	r := runHere(t, o, dir)
	require.Empty(t, r.Invalid())
	for metric, want := range map[string]float64{"alive": 100, "refused": 0, "served": 100} {
		assert.InDelta(t, want, r.Summary("replace", "nginx-reload", metric).Median, 1e-9, metric)
	}
	assert.GreaterOrEqual(t, r.Summary("replace", "nginx-reload", "old").Median, 2.5)
	assert.Positive(t, r.Summary("replace", "nginx-reload", "pause").Median)
}
