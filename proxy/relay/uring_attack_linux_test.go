package relay

import (
	"net"
	"os"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/l4fwd/l4fwd/proxy/relay/ring"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// These are what an attack on the io_uring engine found, each with its story.

// A receive that found no buffer while a client's preface was half there was not asked for again, since the connection holds
// bytes: a client that sent its hello in two parts at a moment of many messages was refused after the preface timeout.
func TestPrefaceWithoutABufferIsReceivedLater(t *testing.T) {
	needsUring(t)
	for name, errno := range map[string]syscall.Errno{"no buffer": unix.ENOBUFS, "no memory": unix.ENOMEM} {
		t.Run(name, func(t *testing.T) {
			receives, pending, failed := 0, map[uint64]int32{}, make(chan struct{})
			prepareRing(t, func(l *uringLoop) {
				l.ring.Enter = func(r *ring.Ring, c ring.Call) (int, syscall.Errno) {
					for q := range r.Unsubmitted() {
						if q.Op != ring.OpRecv {
							continue
						}
						if receives++; receives == 2 { // the one behind the first part
							pending[q.Data] = -int32(errno)
							*q = ring.SQE{Op: ring.OpNop, Data: q.Data}
						}
					}
					n, e := ring.Enter(r, c)
					for data, res := range pending {
						if r.Rewrite(data, res) {
							delete(pending, data)
							close(failed)
						}
					}
					return n, e
				}
			})
			r := newRig(t, "uring", loopback4)
			r.opts.Loops = 1
			r.opts.PrefaceTimeout = 3 * time.Second
			r.policy.wants = func(*Flow) bool { return true }
			r.policy.preface = func(_ *Flow, b []byte) Verdict { return Verdict{More: len(b) < 4} }
			c := r.dial()
			c.send("he")
			<-failed
			c.send("llo")
			u := r.accept()
			u.want("hello")
		})
	}
}

// On kernels before 6.10 epoll tells of clients, for as long as there are some; but the ring tells of events of the epoll
// instance only once each. Of clients that came together all but the first waited until somebody else came.
func TestClientsThatComeTogetherAreAllTaken(t *testing.T) {
	needsUring(t)
	prepareRing(t, func(l *uringLoop) { l.can = ring.Features{} })
	r := newRig(t, "uring", loopback4)
	r.opts.Loops = 1
	l := r.start().eng.(*uring).members[0]
	stuck, release := make(chan struct{}), make(chan struct{})
	require.True(t, l.mail.post(func() { close(stuck); <-release }))
	<-stuck
	const together = 5
	for range together {
		c, err := net.Dial("tcp", r.addr().String())
		require.NoError(t, err)
		defer c.Close()
	}
	close(release)
	assert.Eventually(t, func() bool { return r.relay.Stats().Active == together }, 2*time.Second, 10*time.Millisecond)
}

// A listener whose pause ended while it was being closed was accepted from again, and StopAccepting never returned.
func TestPauseThatEndsWhileClosing(t *testing.T) {
	needsUring(t)
	r := newRig(t, "uring", loopback4)
	r.opts.Loops = 1
	l := r.start().eng.(*uring).members[0]
	if !l.can.AcceptPollFirst {
		t.Skip("epoll accepts on this kernel")
	}
	stopped := make(chan struct{})
	a := l.lns[0]
	require.True(t, l.mail.post(func() { // one call ends, as where it finds no descriptor
		a.paused = true
		l.cancel(acceptData(0, 0))
	}))
	armed := make(chan int)
	eventually(t, "the end of the call", func() bool {
		require.True(t, l.mail.post(func() { armed <- a.armed }))
		return <-armed == acceptCalls-1
	})
	require.True(t, l.mail.post(func() { // all this in one turn, where the loop was kept from running for a while
		l.pause(a)
		l.closeListeners(func(*acceptor) bool { return true }, func() { close(stopped) })
		l.resume(a)
	}))
	select {
	case <-stopped:
	case <-time.After(2 * time.Second):
		assert.Fail(t, "still not closed")
	}
}

// At the mark of urgent data a read gives up where a signal is pending, and what lay behind the mark waited for the next
// byte: for ever, where none came. Signals come in from Go's runtime; here they come all the time.
func TestUrgentDataAmongSignals(t *testing.T) {
	for _, engine := range []string{"epoll", "uring"} {
		t.Run(engine, func(t *testing.T) {
			defer signalAllThreads(t)()
			for range 20 {
				urgentData(t, engine)
			}
		})
	}
}

// signalAllThreads sends each thread of the process the signal of Go's runtime, over and over, until stop is called.
func signalAllThreads(t *testing.T) (stop func()) {
	ended, ending := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			tasks, err := os.ReadDir("/proc/self/task")
			assert.NoError(t, err)
			for _, task := range tasks {
				tid, _ := strconv.Atoi(task.Name())
				_ = unix.Tgkill(unix.Getpid(), tid, unix.SIGURG) // it may have ended
			}
			select {
			case <-ending:
				return
			case <-time.After(200 * time.Microsecond):
			}
		}
	}()
	return func() { close(ending); <-ended }
}

func TestUrgentDataInTheRing(t *testing.T) {
	needsUring(t)
	t.Run("this kernel", func(t *testing.T) { urgentData(t, "uring") })
	t.Run("6.1", func(t *testing.T) {
		prepareRing(t, func(l *uringLoop) { l.can = ring.Features{} })
		urgentData(t, "uring")
	})
}

func urgentData(t *testing.T, engine string) {
	r := newRig(t, engine, loopback4)
	r.opts.Loops = 1
	c, u := r.pair()
	for range 10 {
		c.send("ping")
		u.want("ping")
		u.send("pong")
		c.want("pong")
	}
	raw, err := c.SyscallConn()
	require.NoError(t, err)
	for range 5 {
		c.send("abc")
		require.NoError(t, raw.Control(func(fd uintptr) { assert.NoError(t, unix.Send(int(fd), []byte("X"), unix.MSG_OOB)) }))
		c.send("def")
		u.want("abcdef")
	}
	c.fin()
	u.wantEnd(sawFIN)
	u.fin()
	c.wantEnd(sawFIN)
	r.close()
}

// On kernels without the fix of CVE-2026-23473 a receive that stays may miss a FIN that comes together with data. Here it
// is asked of another socket, so that it misses everything, bytes too.
func TestWhatAReceiveMisses(t *testing.T) {
	needsUring(t)
	silent, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	require.NoError(t, err)
	defer unix.Close(silent[0])
	defer unix.Close(silent[1])
	var deaf, unable atomic.Bool
	prepareRing(t, func(l *uringLoop) {
		unable.Store(!l.can.LimitedRecv)
		l.ring.Enter = func(r *ring.Ring, c ring.Call) (int, syscall.Errno) {
			for q := range r.Unsubmitted() {
				if q.Op == ring.OpRecv && q.Prio&ring.RecvMulti != 0 {
					q.FD = int32(silent[0])
					deaf.Store(true)
				}
			}
			return ring.Enter(r, c)
		}
	})
	r := newRig(t, "uring", loopback4)
	r.opts.Loops = 1
	c, u := r.pair()
	if unable.Load() { // told here, since a test must not be left on the loop's goroutine
		t.Skip("no receive stays on this kernel")
	}
	for range steady + 1 { // the first may come before the upstream is connected
		c.send("ping")
		u.want("ping")
	}
	eventually(t, "a receive that stays", deaf.Load)
	c.send("last")
	u.want("last")
	for range calmMessages { // back into the ring
		c.send("ping")
		u.want("ping")
	}
	c.fin()
	u.wantEnd(sawFIN)
	u.fin()
	c.wantEnd(sawFIN)
	r.closed(ClientClosed, (steady+calmMessages+2)*4, 0)
}
