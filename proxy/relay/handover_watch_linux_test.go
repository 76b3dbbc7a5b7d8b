package relay

import (
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/proxy/handoff"
)

// A connection whose socket the kernel does not watch keeps a hand-over from being completed. Where there is no old process that could go
// on, the connection is closed, and the others live.
func TestAConnectionThatCannotBeWatched(t *testing.T) {
	for _, engine := range []string{"epoll", "uring"} {
		t.Run(engine, func(t *testing.T) {
			if apart(t) {
				return
			}
			for i := range 4 {
				begins := i%2 == 1
				enrolAtOnce = []int{100, 1}[i/2] // the second time by the worker
				r := newRig(t, engine, loopback4)
				r.start()
				var all [2][2]*peer
				for i := range all {
					c, u := r.pair()
					c.send("x")
					u.want("x")
					all[i] = [2]*peer{c, u}
				}
				h, err := restartBeside(r, begins)
				require.ErrorIs(t, err, errNoWatch)
				if begins {
					r.relay = h
					require.Eventually(t, func() bool { return h.Stats().Active == 1 }, patience, 10*time.Millisecond)
				}
				lives := 0
				for _, p := range all {
					p[1].SetDeadline(time.Now().Add(patience))
					p[0].SetDeadline(time.Now().Add(patience))
					if _, err := p[1].Write([]byte("y")); err == nil {
						if n, _ := p[0].Read(make([]byte, 1)); n == 1 {
							lives++
						}
					}
					p[0].Close()
					p[1].Close()
				}
				require.Equal(t, map[bool]int{false: 2, true: 1}[begins], lives)
				r.close()
				r.relay = nil
			}
		})
	}
}

// restartBeside hands over what a rig has: two connections, one of them with a file for its client, which no epoll instance takes.
func restartBeside(r *rig, begins bool) (*Relay, error) {
	sockets, err := r.relay.Sockets()
	require.NoError(r, err)
	frozen, err := r.relay.Freeze(r.Context())
	require.NoError(r, err)
	file, err := os.CreateTemp(r.TempDir(), "")
	require.NoError(r, err)
	defer file.Close()
	var all []handoff.Conn
	require.NoError(r, frozen.Export(func(v *handoff.Conn) error {
		near := v.Near.FD
		if len(all) == 1 {
			near = int(file.Fd())
			v.Near.HUP = true // it is served by epoll, whatever the engine
		}
		v.Near.FD, v.Far.FD = dup(r, near), dup(r, v.Far.FD)
		all = append(all, *v)
		return nil
	}))
	require.Len(r, all, 2)
	o := r.opts
	o.Adopt = &Adoption{Sockets: sockets, Base: r.relay.Base()}
	next, err := Start(o)
	require.NoError(r, err)
	for i := range all {
		require.NoError(r, next.Adopted().Take(&all[i]))
	}
	err = next.Adopted().Taken()
	if begins {
		last := frozen.LastID()
		frozen.Release()
		next.Adopted().Begin(last)
	} else {
		next.Adopted().Release()
		frozen.Resume()
	}
	return next, err
}

// dup returns another descriptor of the same file.
func dup(r *rig, fd int) int {
	d, err := syscall.Dup(fd)
	require.NoError(r, err)
	return d
}
