package ring

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// ringWithBuffers returns a ring of this goroutine with 4 buffers of 64 bytes, few of which the kernel has, and two sockets that are
// connected.
func ringWithBuffers(t *testing.T, few int) (*Ring, *Buffers, [2]int) {
	t.Helper()
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
	r, err := New(8, 16)
	if err != nil {
		t.Skip("io_uring:", err)
	}
	t.Cleanup(r.Close)
	b, err := r.Provide(4, few, 64)
	require.NoError(t, err)
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() { unix.Close(fds[0]); unix.Close(fds[1]) })
	return r, b, fds
}

// After Shrink, kernel 6.1 went on from where it had been among the buffers, and filled some that were not given to it: receives ended
// with no byte, or two of them shared a buffer, so that a connection got the bytes of another.
func TestBuffersBeginAnewAfterShrink(t *testing.T) {
	const few = 2
	r, b, fds := ringWithBuffers(t, few)
	for round := range 20 {
		for i := range 1 + round%few { // so that the kernel is somewhere else each time
			text := fmt.Sprintf("message %d of round %d", i, round)
			_, err := unix.Write(fds[1], []byte(text))
			require.NoError(t, err)
			q, _ := r.Next()
			q.Op, q.FD, q.Flags, q.Group, q.Len = OpRecv, int32(fds[0]), SelectBuffer, Group, 64
			require.Zero(t, r.Wait(-1, true))
			qs, _ := r.Completions()
			require.Len(t, qs, 1)
			require.EqualValues(t, len(text), qs[0].Res, text)
			id, ok := qs[0].Buffer()
			require.True(t, ok)
			require.Less(t, int(id), few, "a buffer that the kernel was not given")
			b.Taken()
			require.Equal(t, text, string(b.Bytes(id, len(text))))
			b.Put(id)
			r.Done()
		}
		require.NoError(t, r.Shrink(few))
		require.Equal(t, few, b.Given())
	}
}

// Kernel 6.1 receives in each call of io_uring_register, too. The buffers of such receives were given to the kernel a second time, and their
// memory was given back, so that a connection got zeros, or the bytes of another.
func TestShrinkLeavesWhatTheKernelReceivesMeanwhile(t *testing.T) {
	const few = 2
	r, b, fds := ringWithBuffers(t, few)
	ask := func() {
		q, _ := r.Next()
		q.Op, q.FD, q.Flags, q.Group, q.Len = OpRecv, int32(fds[0]), SelectBuffer, Group, 64
		require.Zero(t, r.Wait(0, false))
	}
	say := func(text string) {
		_, err := unix.Write(fds[1], []byte(text))
		require.NoError(t, err)
	}
	got := func(text string) (id uint16) {
		qs, _ := r.Completions()
		require.Len(t, qs, 1)
		require.EqualValues(t, len(text), qs[0].Res)
		id, ok := qs[0].Buffer()
		require.True(t, ok)
		b.Taken()
		require.Equal(t, text, string(b.Bytes(id, len(text))))
		r.Done()
		return id
	}

	for round := range 10 {
		ask()
		say("in between")
		r.Registering = func(r *Ring) { _, _ = r.Enter(r, Call{}) }
		require.NoError(t, r.Shrink(few))
		require.Zero(t, b.Given(), "a buffer is not the caller's yet")
		require.NoError(t, r.Shrink(few))
		require.Zero(t, b.Given(), "nor is it now")
		id := got("in between")
		require.NoError(t, r.Shrink(few))
		require.Zero(t, b.Given(), "the caller has it")
		b.Put(id)
		require.NoError(t, r.Shrink(few))
		require.Equal(t, few, b.Given())
		r.Registering = nil

		seen := map[uint16]bool{}
		for i := range few { // none is given twice
			text := fmt.Sprintf("message %d of round %d", i, round)
			say(text)
			ask()
			seen[got(text)] = true
		}
		require.Len(t, seen, few)
		for id := range seen {
			b.Put(id)
		}
	}
}
