package relay

import (
	"net"
	"net/netip"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/stretchr/testify/require"
)

var changeScenarios = []scenario{
	{"listener added", "a second listener serves, the first goes on", true, listenerAdded},
	{"listener removed", "a connection outlives its listener, new ones are refused", true, listenerRemoved},
	{"listener removed, queued", "clients that the kernel had connected already are served", false, listenerRemovedQueued},
	{"listener replaced", "a listener whose address stays gives its sockets to the next: no client is turned away", false, listenerReplaced},
	{"listener in use", "an address that is taken changes nothing", false, listenerInUse},
	{"listener handed in", "a socket that was handed in comes and goes, and stays open for its owner", false, listenerHandedIn},
	{"listeners come and go", "80 changes leave no descriptor or goroutine behind", false, listenersComeAndGo},
	{"listeners after the end", "who has stopped accepting does not begin again", false, listenersAfterStop},
}

// relisten replaces the listeners.
func (r *rig) relisten(list ...Listener) error {
	r.Helper()
	opened := 0
	err := r.start().SetListeners(list, func() { opened++ })
	if err == nil {
		require.Equal(r, 1, opened, "calls of opened")
	} else {
		require.Zero(r, opened, "calls of opened")
	}
	return err
}

// listener returns a listener on any port.
func (r *rig) listener(name string) Listener {
	return Listener{Name: name, Addr: netip.AddrPortFrom(r.at, 0)}
}

func (r *rig) dialAt(at netip.AddrPort) *peer {
	r.Helper()
	return newPeer(r, dialRaw(r, at, false))
}

func (r *rig) wantRefused(at netip.AddrPort) {
	r.Helper()
	_, err := net.DialTimeout("tcp", at.String(), patience)
	require.ErrorIs(r, err, syscall.ECONNREFUSED)
}

// finish ends a pair from the client's side and returns the name of the listener it came by.
func (r *rig) finish(c, u *peer, up, down int) string {
	r.Helper()
	c.fin()
	u.wantEnd(sawFIN)
	u.Close()
	c.wantEnd(sawFIN)
	c.Close()
	reason := ClientClosed
	if up+down == 0 {
		reason = Probe
	}
	return r.closed(reason, up, down).Listener.Name
}

func listenerAdded(r *rig) {
	c, u := r.pair()
	first := r.addr()
	require.NoError(r, r.relisten(r.listener("test"), r.listener("second")))
	require.Equal(r, first, r.relay.Addrs()[0], "the first keeps its port")
	c2 := r.dialAt(r.relay.Addr("second"))
	u2 := r.accept()
	c2.send("by the second")
	u2.want("by the second")
	require.Equal(r, "second", r.finish(c2, u2, 13, 0))
	c3, u3 := r.pair()
	require.Equal(r, "test", r.finish(c3, u3, 0, 0))
	r.all(func() { c.sendStream(1, mib) }, func() { u.wantStream(1, mib) })
	require.Equal(r, "test", r.finish(c, u, mib, 0))
}

func listenerRemoved(r *rig) {
	c, u := r.pair()
	first := r.addr()
	stop := make(chan struct{})
	var sent atomic.Int64
	r.all(
		func() { // traffic all along
			for {
				select {
				case <-stop:
					return
				default:
					c.send("0123456789")
					u.want("0123456789")
					sent.Add(10)
				}
			}
		},
		func() {
			defer close(stop)
			require.NoError(r, r.relisten(r.listener("second")))
			r.wantRefused(first)
			before := sent.Load()
			eventually(r, "traffic after the change", func() bool { return sent.Load() > before+1000 })
		},
	)
	require.Equal(r, netip.AddrPort{}, r.relay.Addr("test"))
	require.Equal(r, "test", r.finish(c, u, int(sent.Load()), 0))
	r.idle()
}

func listenerRemovedQueued(r *rig) {
	peers, release := r.queue()
	r.all(
		func() { require.NoError(r, r.relisten(r.listener("second"))) },
		func() { time.Sleep(20 * time.Millisecond); close(release) },
	)
	for _, c := range peers {
		c.send("me, too")
	}
	for _, c := range peers {
		u := r.accept()
		u.want("me, too")
		u.Close()
		c.fin()
	}
	for range peers {
		require.Equal(r, "test", r.policy.take(r).Listener.Name)
	}
}

func listenerReplaced(r *rig) {
	free := listenAt(r, r.at)
	at := localListenAddr(free)
	free.Close()
	r.opts.Listeners = []Listener{{Name: "a", Addr: at}}
	c, u := r.pair()
	stop := make(chan struct{})
	served := map[string]int{}
	r.all(
		func() {
			defer close(stop)
			for i := range 50 {
				name := []string{"b", "a"}[i%2]
				require.NoError(r, r.relisten(Listener{Name: name, Addr: at}, r.listener("other")))
			}
		},
		func() {
			for running := true; running; {
				select {
				case <-stop: // one more, that came by the last
					running = false
				default:
				}
				c := r.dial()
				c.send("hello")
				u := r.accept()
				u.want("hello")
				served[r.finish(c, u, 5, 0)]++
			}
		},
	)
	require.Positive(r, served["a"], "%v", served)
	require.Equal(r, "a", r.finish(c, u, 0, 0))
}

func listenerInUse(r *rig) {
	c, u := r.pair()
	at := r.addr()
	taken := listenAt(r, r.at)
	err := r.relisten(r.listener("new"), Listener{Name: "taken", Addr: localListenAddr(taken)})
	var which *ListenError
	require.ErrorAs(r, err, &which)
	require.Equal(r, "taken", which.Listener)
	require.ErrorIs(r, err, syscall.EADDRINUSE)
	require.Equal(r, []netip.AddrPort{at}, r.relay.Addrs())
	c2, u2 := r.pair()
	require.Equal(r, "test", r.finish(c2, u2, 0, 0))
	require.Equal(r, "test", r.finish(c, u, 0, 0))
}

func listenerHandedIn(r *rig) {
	r.start()
	ln := listenAt(r, r.at)
	raw, err := ln.SyscallConn()
	require.NoError(r, err)
	require.NoError(r, raw.Control(func(fd uintptr) {
		require.NoError(r, r.relisten(Listener{Name: "handed in", FD: int(fd)}))
	}))
	require.Equal(r, localListenAddr(ln), r.relay.Addr("handed in"))
	c := r.dialAt(localListenAddr(ln))
	u := r.accept()
	require.Equal(r, "handed in", r.finish(c, u, 0, 0))
	require.NoError(r, r.relisten(r.listener("test")))
	waiting := r.dialAt(localListenAddr(ln)) // nobody of the relay takes it
	own, err := ln.Accept()
	require.NoError(r, err)
	own.Close()
	waiting.wantEnd(sawFIN)
	c, u = r.pair()
	require.Equal(r, "test", r.finish(c, u, 0, 0))
}

func listenersComeAndGo(r *rig) {
	c, u := r.pair()
	require.NoError(r, r.relisten(r.listener("test"), r.listener("a")))
	require.NoError(r, r.relisten(r.listener("test")))
	fds, routines := openFDs(), runtime.NumGoroutine()
	for i := range 40 {
		list := []Listener{r.listener("test"), r.listener("a"), r.listener("b")}
		require.NoError(r, r.relisten(list...))
		if i%10 == 0 {
			c2 := r.dialAt(r.relay.Addr("b"))
			u2 := r.accept()
			require.Equal(r, "b", r.finish(c2, u2, 0, 0))
		}
		require.NoError(r, r.relisten(list[:1]...))
	}
	eventually(r, "the goroutines' end", func() bool { return runtime.NumGoroutine() <= routines })
	require.LessOrEqual(r, len(settledFDs(fds)), len(fds), "descriptors")
	c.send("still here")
	u.want("still here")
	require.Equal(r, "test", r.finish(c, u, 10, 0))
}

func listenersAfterStop(r *rig) {
	r.start().StopAccepting()
	require.ErrorIs(r, r.relisten(r.listener("new")), ErrStopped)
	r.relay.Close(Operator)
	require.ErrorIs(r, r.relisten(r.listener("new")), ErrStopped)
	require.Zero(r, r.relay.CloseWhere(func(*Flow) bool { return true }, Operator))
	r.relay.Flows(func(*Summary) { r.Error("a connection after the end") })
}
