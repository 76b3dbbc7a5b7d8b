package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/bench/report"
)

// TestMain lets the test binary play the harness's other parts, as the bench's own binary does.
func TestMain(m *testing.M) {
	if role := os.Getenv(roleEnv); role != "" {
		if err := play(role, os.Args[1:]); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", role, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestParse(t *testing.T) {
	o, err := parse([]string{"-quick", "-only", "ping_pong,beside", "-peers", "haproxy, direct", "-peer", "x=y {listen} {upstream}"})
	require.NoError(t, err)
	assert.Equal(t, 2, o.reps)
	assert.Equal(t, 400*time.Millisecond, o.duration)
	assert.Equal(t, []string{"ping_pong", "beside"}, o.only)
	assert.Len(t, o.extra, 1)
	b := &bench{options: o}
	assert.True(t, b.wants("haproxy-plain") && b.wants("direct"))
	assert.False(t, b.wants("nginx"))
	for _, bad := range [][]string{{"-only", "nonsense"}, {"stray"}, {"-peer", "x"}} {
		_, err := parse(bad)
		assert.Error(t, err, "%v", bad)
	}
}

// TestSmoke runs every scenario for an instant, through the plain Go relay and directly, and wants figures without errors.
func TestSmoke(t *testing.T) {
	if testing.Short() {
		t.Skip("opens thousands of connections")
	}
	dir := t.TempDir()
	o, err := parse([]string{"-peers", "go-iocopy,direct", "-reps", "1", "-duration", "200ms", "-out", dir})
	require.NoError(t, err)
	// Not on a goroutine of its own: the children belong to this one's thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	require.NoError(t, run(context.Background(), o))

	b, err := os.ReadFile(filepath.Join(dir, "latest.json"))
	require.NoError(t, err)
	var r report.Report
	require.NoError(t, json.Unmarshal(b, &r))
	for _, s := range r.Invalid() {
		if strings.Contains(s.Errors[0], "nothing was completed") {
			t.Skipf("the machine is too busy: %s: %s", s.Scenario, s.Errors[0])
		}
		t.Errorf("%s by %s: %v", s.Scenario, s.Peer, s.Errors)
	}
	for _, s := range scenarios {
		for _, m := range s.Metrics {
			assert.Positive(t, r.Summary(s.Name, "go-iocopy", m.Name).Median, "%s %s", s.Name, m.Name)
		}
	}
	assert.Zero(t, r.Summary("ping_pong", "direct", "cpu").N, "direct has no proxy to measure")
	assert.Positive(t, r.Summary("ping_pong", "direct", "throughput").Median)
}
