package bundle

import (
	"context"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// running is a process of that name, with a credential in its environment, that lives as long as the test.
func running(t *testing.T, name string) int {
	sleep, err := exec.LookPath("sleep")
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.Symlink(sleep, path))
	cmd := &exec.Cmd{Path: path, Args: []string{"sleep", "600"}, Env: []string{"POOL_TOKEN=of-the-daemon-only"}}
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	dir := "/proc/" + strconv.Itoa(cmd.Process.Pid)
	require.Eventually(t, func() bool { // the kernel names a process a moment after its descriptors are closed
		comm, _ := os.ReadFile(dir + "/comm")
		env, _ := os.ReadFile(dir + "/environ")
		return string(comm) == name+"\n" && len(env) > 0
	}, 10*time.Second, time.Millisecond)
	return cmd.Process.Pid
}

// The daemon's process is described without its environment, whose credentials are removed from all texts.
func TestProcessOfTheDaemon(t *testing.T) {
	pid := running(t, "l4fwd")
	r := newRedactor(false)
	var b strings.Builder
	require.NoError(t, processes(t.Context(), &b, func(context.Context) int { return pid }, r))
	text := b.String()
	require.Regexp(t, `^process `+strconv.Itoa(pid)+` has \d+ open files\n`, text)
	for _, file := range []string{"limits", "status", "cgroup"} {
		require.Contains(t, text, "==> /proc/"+strconv.Itoa(pid)+"/"+file+" <==\n")
	}
	require.Equal(t, 1, strings.Count(text, "open files\n"), "this process alone")
	require.NotContains(t, text, "of-the-daemon-only")
	require.Equal(t, "it says [removed]", string(r.clean([]byte("it says of-the-daemon-only"))))
	// Without a daemon that answers, it is found by its name.
	b.Reset()
	require.NoError(t, processes(t.Context(), &b, func(context.Context) int { return 0 }, r))
	require.Contains(t, b.String(), "open files\n==> /proc/")
	err := processes(t.Context(), io.Discard, func(context.Context) int { return math.MaxInt32 }, r)
	require.EqualError(t, err, "this system does not have /proc/2147483647/limits and the like")
}

// Processes are found by their name, this one excepted.
func TestProcessesByName(t *testing.T) {
	pid := running(t, "l4-named-once")
	require.Equal(t, []int{pid}, named("l4-named-once"))
	require.Empty(t, named("l4-named"))
	own, err := os.ReadFile("/proc/self/comm")
	require.NoError(t, err)
	require.NotContains(t, named(strings.TrimSpace(string(own))), os.Getpid())
}

// Where systemd runs, the unit's state is there, known or not; elsewhere the reason is.
func TestUnitAndJournal(t *testing.T) {
	var b strings.Builder
	err := unit(t.Context(), &b)
	if _, none := os.Stat("/run/systemd/system"); none == nil {
		require.True(t, err == nil && strings.Contains(b.String(), "LoadState=") || err != nil && strings.HasPrefix(err.Error(), "systemctl"), "%v %s", err, b.String())
		return
	}
	require.EqualError(t, err, "systemd does not run here")
	require.EqualError(t, journal(t.Context(), &b), "systemd does not run here")
}
