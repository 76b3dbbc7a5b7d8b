package relay

import (
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/l4fwd/l4fwd/proxy/relay/ring"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// faults stands between the rings of a relay and the kernel, and has a share of the calls and requests fail in the ways
// that the kernel may fail them.
type faults struct {
	t       *testing.T
	oneIn   int // calls and requests that are left alone between two faults, on average
	calls   bool
	sends   bool
	recvs   bool
	done    [faultKinds]int // not locked: one loop
	pending map[uint64]int32
}

const (
	faultCall  = iota // the call itself fails, and takes nothing
	faultPart         // the kernel takes a part of the requests
	faultShort        // a send delivers less than it was asked to
	faultSend         // a send fails and delivers nothing
	faultRecv         // a receive fails, and nothing was received
	faultKinds
)

func (f *faults) dice() bool { return rand.IntN(f.oneIn) == 0 }

// enter is ring.Ring.Enter.
func (f *faults) enter(r *ring.Ring, c ring.Call) (int, syscall.Errno) {
	if f.calls && f.dice() {
		f.done[faultCall]++
		return 0, []syscall.Errno{unix.EAGAIN, unix.EBUSY, unix.ENOMEM, unix.EINTR}[rand.IntN(4)]
	}
	if f.calls && c.Submit > 1 && f.dice() {
		f.done[faultPart]++
		c.Submit = 1 + rand.Uint32N(c.Submit-1)
		c.Wait = 0
	}
	for q := range r.Unsubmitted() {
		f.spoil(q)
	}
	n, e := ring.Enter(r, c)
	for data, res := range f.pending {
		if r.Rewrite(data, res) {
			delete(f.pending, data)
		}
	}
	return n, e
}

// spoil makes a request fail, or not do all it was asked. Requests that the kernel did not take are seen again.
func (f *faults) spoil(q *ring.SQE) {
	switch {
	case q.Op == ring.OpSend && f.sends && q.Flags&ring.SkipSuccess != 0 && f.dice():
		q.Flags &^= ring.SkipSuccess
		if q.Len > 1 && rand.IntN(2) == 0 {
			f.done[faultShort]++
			q.Len = 1 + rand.Uint32N(q.Len-1)
			return
		}
		f.done[faultSend]++
		f.pending[q.Data] = -int32([]syscall.Errno{unix.EAGAIN, unix.EINTR}[rand.IntN(2)])
		*q = ring.SQE{Op: ring.OpNop, Data: q.Data}
	case q.Op == ring.OpRecv && f.recvs && f.dice():
		f.done[faultRecv]++
		f.pending[q.Data] = -int32([]syscall.Errno{unix.ENOBUFS, unix.ENOMEM, unix.EAGAIN, unix.EINTR}[rand.IntN(4)])
		*q = ring.SQE{Op: ring.OpNop, Data: q.Data}
	}
}

// The kernel may refuse a call, take a part of the requests, deliver a part of a send, have no memory or no buffer. None of
// it may cost a byte, a connection, a descriptor or a buffer. Each case runs the random relay test for a while.
func TestUringSurvivesFaults(t *testing.T) {
	needsUring(t)
	seconds := envInt(t, "L4FWD_RANDOM_SECONDS", 2)
	for name, set := range map[string]func(t *testing.T, f *faults){
		"calls":    func(_ *testing.T, f *faults) { f.calls = true },
		"sends":    func(_ *testing.T, f *faults) { f.sends = true },
		"receives": func(_ *testing.T, f *faults) { f.recvs = true },
		"all":      func(_ *testing.T, f *faults) { f.calls, f.sends, f.recvs = true, true, true },
		"tiny":     func(t *testing.T, f *faults) { f.calls, f.sends = true, true; tinyRings(t) },
	} {
		t.Run(name, func(t *testing.T) {
			f := &faults{t: t, oneIn: 20, pending: map[uint64]int32{}}
			prepareRing(t, func(l *uringLoop) { l.ring.Enter = f.enter })
			set(t, f)
			r := newRig(t, "uring", loopback4)
			r.opts.Loops = 1
			run := &randomRun{seed: uint64(time.Now().UnixNano() & 0xffffffff), resets: 10, until: time.Duration(seconds) * time.Second}
			run.through(r)
			r.relay.Close(Operator)
			t.Logf("faults: %d calls, %d parts, %d short sends, %d failed sends, %d failed receives",
				f.done[faultCall], f.done[faultPart], f.done[faultShort], f.done[faultSend], f.done[faultRecv])
			require.NotEqual(t, [faultKinds]int{}, f.done, "nothing was made to fail")
		})
	}
}

// A completion queue of a few places and a handful of buffers: overflow and missing buffers all the time, and nothing is lost.
func TestUringWithTinyRings(t *testing.T) {
	needsUring(t)
	tinyRings(t)
	var overflows uint64
	last := make(chan *uringLoop, 16)
	prepareRing(t, func(l *uringLoop) { last <- l })
	r := newRig(t, "uring", loopback4)
	r.opts.Loops = 1
	run := &randomRun{seed: 1, resets: 10, until: 2 * time.Second}
	l := make(chan struct{})
	run.through(r)
	loop := <-last
	loop.mail.post(func() { overflows = loop.ring.Overflows(); close(l) })
	<-l
	require.NotZero(t, overflows, "the completion queue never overflowed")
}

// Kernel 6.1 receives in each call of io_uring_register, too: what came while buffers were taken from it was wiped, or reached another
// connection.
func TestUringThatReceivesWhileItsBuffersChange(t *testing.T) {
	needsUring(t)
	tinyRings(t)
	ringSize.completions = 1024
	prepareRing(t, func(l *uringLoop) {
		l.ring.Registering = func(r *ring.Ring) { _, _ = ring.Enter(r, ring.Call{}) }
	})
	r := newRig(t, "uring", loopback4)
	r.opts.Loops = 1
	(&randomRun{seed: 4, resets: 10, until: 3 * time.Second}).through(r)
}

// What kernels before 6.10 and 6.17 do not have is done without.
func TestUringOnOlderKernels(t *testing.T) {
	needsUring(t)
	for name, can := range map[string]ring.Features{
		"6.1": {}, "6.10": {AcceptPollFirst: true}, "only limited receives": {LimitedRecv: true},
	} {
		t.Run(name, func(t *testing.T) {
			prepareRing(t, func(l *uringLoop) {
				l.can.AcceptPollFirst = l.can.AcceptPollFirst && can.AcceptPollFirst
				l.can.LimitedRecv = l.can.LimitedRecv && can.LimitedRecv
			})
			r := newRig(t, "uring", loopback4)
			(&randomRun{seed: 2, resets: 10, until: 2 * time.Second}).through(r)
		})
	}
}

// One loop, more than processors, many more.
func TestUringLoops(t *testing.T) {
	needsUring(t)
	for _, n := range []int{1, 3, 7} {
		r := newRig(t, "uring", loopback4)
		r.opts.Loops = n
		(&randomRun{seed: 3, resets: 10, until: time.Second}).through(r)
		require.Len(t, r.relay.Stats().Busy, n)
		r.close()
	}
}

func needsUring(t *testing.T) {
	if err := probeUring(testLoops); err != nil {
		t.Skip("io_uring:", err)
	}
}

// prepareRing has f called on each loop that starts during the test, before it issues anything.
func prepareRing(t *testing.T, f func(l *uringLoop)) {
	before := ringOpened
	ringOpened = f
	t.Cleanup(func() { ringOpened = before })
}

// tinyRings gives the loops that start during the test hardly any room.
func tinyRings(t *testing.T) {
	before, calm := ringSize, calmAfter
	calmAfter = time.Millisecond
	ringSize.requests, ringSize.completions, ringSize.buffers, ringSize.first = 8, 8, 4, 1
	t.Cleanup(func() { ringSize, calmAfter = before, calm })
}
