package meter

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseSchedstat(t *testing.T) {
	ns, err := ParseSchedstat([]byte("121801 95261 2\n"))
	require.NoError(t, err)
	assert.EqualValues(t, 121801, ns)
	for _, bad := range []string{"", "1 2", "x 2 3", "1 2 3 4"} {
		_, err := ParseSchedstat([]byte(bad))
		assert.Error(t, err, "%q", bad)
	}
}

func TestCPUSince(t *testing.T) {
	before := CPU{Threads: map[int]uint64{1: 100, 2: 50}, Clock: 150}
	for _, tc := range []struct {
		name     string
		after    CPU
		ns       uint64
		vanished int
	}{
		{"the same threads", CPU{Threads: map[int]uint64{1: 130, 2: 60}, Clock: 191}, 40, 0},
		{"a new thread counts from its start", CPU{Threads: map[int]uint64{1: 130, 2: 60, 3: 7}, Clock: 198}, 47, 0},
		{"an ended thread's time is on the clock", CPU{Threads: map[int]uint64{1: 130}, Clock: 200}, 50, 1},
		{"an ended thread without a clock is lost", CPU{Threads: map[int]uint64{1: 130}}, 30, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ns, vanished := tc.after.Since(before)
			assert.Equal(t, tc.ns, ns)
			assert.Equal(t, tc.vanished, vanished)
		})
	}
}

func TestSwitches(t *testing.T) {
	file := filepath.Join(t.TempDir(), "status")
	write := func(text string) { require.NoError(t, os.WriteFile(file, []byte(text), 0o600)) }
	before, after := Switches{}, Switches{}
	write("Name:\tx\nvoluntary_ctxt_switches:\t7\nnonvoluntary_ctxt_switches:\t2\n")
	before.read(1, file)
	before.read(2, file)
	write("Name:\tx\nvoluntary_ctxt_switches:\t17\nnonvoluntary_ctxt_switches:\t5\n")
	after.read(1, file)
	after.read(3, file)
	after.read(4, file+".gone")
	waits, preempts := after.Since(before)
	assert.EqualValues(t, 10+17, waits, "a new thread counts from its start, an ended one is lost")
	assert.EqualValues(t, 3+5, preempts)
}

func TestParseStat(t *testing.T) {
	m, err := ParseStat([]byte("cpu  100 50 200 9000 300 10 40 70 0 0\ncpu0 1 2 3\n"))
	require.NoError(t, err)
	assert.InDelta(t, 4.0, m.Busy, 1e-9)
	assert.InDelta(t, 0.7, m.Steal, 1e-9)
	_, err = ParseStat([]byte("intr 1 2"))
	assert.Error(t, err)
}

func TestParseSmaps(t *testing.T) {
	f := ParseSmaps([]byte("559e-7fff ---p 00000000 00:00 0 [rollup]\nRss:  2000 kB\nPss:  1500 kB\nPss_Anon:  9 kB\nPrivate_Clean:  100 kB\nPrivate_Dirty:  900 kB\n"))
	assert.Equal(t, Footprint{Private: 1000 << 10, Pss: 1500 << 10, Rss: 2000 << 10}, f)
}

func TestParseKin(t *testing.T) {
	k, ok := parseKin([]byte("42 (a ) (b) S 7 43 44 0"))
	assert.True(t, ok)
	assert.Equal(t, kin{pid: 42, parent: 7, group: 43}, k)
	for _, bad := range []string{"garbage", "42 (a) S 7", "42 (a) S 7 x 1"} {
		_, ok = parseKin([]byte(bad))
		assert.False(t, ok, bad)
	}
}

func TestGroup(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("no /proc")
	}
	cmd := exec.Command("sleep", "60")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	assert.NoError(t, cmd.Start())
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	assert.Equal(t, []int{cmd.Process.Pid}, Group(cmd.Process.Pid))
	assert.Contains(t, Tree(os.Getpid()), cmd.Process.Pid)
}

func TestOwnCPUIsSeen(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs /proc")
	}
	pids := []int{os.Getpid()}
	before, err := ReadCPU(pids)
	require.NoError(t, err)
	for end := time.Now().Add(50 * time.Millisecond); time.Now().Before(end); {
	}
	time.Sleep(5 * time.Millisecond) // schedstat counts up to the last time the thread left its CPU
	after, err := ReadCPU(pids)
	require.NoError(t, err)
	ns, _ := after.Since(before)
	assert.Greater(t, ns, uint64(5*time.Millisecond))
	f, err := ReadFootprint(pids)
	require.NoError(t, err)
	assert.Positive(t, f.Private)
	assert.Positive(t, f.Fds)
	assert.Contains(t, Tree(os.Getppid()), os.Getpid())
}

func TestDeferred(t *testing.T) {
	// There are none to be seen in a container with processes of its own.
	for _, pid := range Deferred() {
		assert.Contains(t, processName(pid), "ksoftirqd/")
	}
}

func TestForeign(t *testing.T) {
	before := Processes{1: 100, 2: 100, 3: 100}
	mine, others, _ := Processes{1: 150, 2: 130, 3: 100, 4: 20}.Since(before, []int{1, 3})
	assert.EqualValues(t, 50, mine)
	assert.EqualValues(t, 50, others, "a new process counts from its start")
	assert.InDelta(t, 0.05, Foreign(50, 50, 180, 1000), 1e-9, "a little that nobody owns is the bench's own interrupts")
	assert.InDelta(t, 0.25, Foreign(50, 50, 400, 1000), 1e-9, "more of it is processes that came and went")
}
