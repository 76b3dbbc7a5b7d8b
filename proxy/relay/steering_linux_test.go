package relay

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// onCPU runs f on a thread that stays on a CPU. Packets over loopback are handled on the CPU of who sends them.
func onCPU(t *testing.T, cpu int, f func()) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, one unix.CPUSet
	require.NoError(t, unix.SchedGetaffinity(0, &before))
	one.Set(cpu)
	require.NoError(t, unix.SchedSetaffinity(0, &one))
	defer func() { require.NoError(t, unix.SchedSetaffinity(0, &before)) }()
	f()
}

// kernelIsBefore reports whether the kernel is older than a version.
func kernelIsBefore(t *testing.T, major, minor int) bool {
	t.Helper()
	var name unix.Utsname
	require.NoError(t, unix.Uname(&name))
	var a, b int
	_, err := fmt.Sscanf(unix.ByteSliceToString(name.Release[:]), "%d.%d", &a, &b)
	require.NoError(t, err)
	return a < major || a == major && b < minor
}

// With steering the loops accept the clients of their CPUs, also from sockets that another process opened without it; without, also from
// sockets that were steered, both loops get some.
func TestSteering(t *testing.T) {
	if runtime.NumCPU() < testLoops || kernelIsBefore(t, 6, 2) {
		t.Skipf("it needs %d CPUs and Linux 6.2", testLoops)
	}
	for _, engine := range []string{"epoll", "uring"} {
		for _, steered := range []bool{true, false} {
			r := newRig(t, engine, loopback4)
			r.opts.Steered = steered
			r.start()
			r.acceptsByCPU(steered)
			r.opts.Steered = !steered
			r.movesTo(engine)
			r.acceptsByCPU(!steered)
			r.close()
			r.relay = nil
		}
	}
}

// acceptsByCPU has clients of each CPU come, and wants that they are or are not accepted by the loop of that CPU.
func (r *rig) acceptsByCPU(want bool) {
	r.Helper()
	byLoop := map[bool]int{}
	for loop := range testLoops {
		onCPU(r.T, cpuInTurn(loop), func() {
			for range 20 {
				c, u := r.pair()
				c.send("x")
				u.want("x")
				c.fin()
				u.wantEnd(sawFIN)
				u.fin()
				c.wantEnd(sawFIN)
				byLoop[r.closed(ClientClosed, 1, 0).Loop == loop]++
			}
		})
	}
	if want {
		require.Zero(r, byLoop[false], "clients that another loop accepted")
	} else {
		require.NotZero(r, byLoop[false], "all were accepted by the loop of their CPU")
	}
}
