package relay

import (
	"context"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

var linuxScenarios = []scenario{
	{"socket options", "both legs have TCP_NODELAY, the client's leg keepalive, and none is MPTCP", true, socketOptions},
	{"client reset, upstream stuck", "after the client's reset nothing is held for an upstream that does not read", false, clientResetStuckUpstream},
	{"dark path", "a peer that does not answer any more is lost, in whatever state; one that does not read is not", false, darkPath},
	{"dark path, at the end", "a peer that goes while an end is passed on to it is lost as soon as any other", false, darkEnd},
	{"dark path, in the preface", "a client that has gone in its preface ends by the preface timeout", false, darkPreface},
	{"a stuck pair", "what the kernel and the relay hold for a peer that has read nothing is bounded", false, stuckPairIsSmall},
	{"limit of memory, in bulk", "what is held for those that stop in the middle of a transfer counts", false, memoryLimitInBulk},
	{"limit of memory", "beyond the limit of what is held those end that have not read for longest", false, memoryLimit},
	{"alive, but stuck", "a loop that does not turn is found out", false, aliveStuck},
}

func socketOptions(r *rig) {
	r.opts.Keepalive = Keepalive{Idle: 33 * time.Second, Interval: 7 * time.Second, Count: 3}
	c, u := r.pair()
	c.send("x")
	u.want("x")
	// The relay's ends are those whose peers are the client and the origin.
	toClient, toOrigin := socketsTo(r, localAddrPort(c)), socketsTo(r, localAddrPort(u))
	require.Len(r, toClient, 1)
	require.Len(r, toOrigin, 1)
	for _, fd := range []int{toClient[0], toOrigin[0]} {
		require.Equal(r, 1, option(r, fd, unix.IPPROTO_TCP, unix.TCP_NODELAY), "TCP_NODELAY")
		require.Equal(r, unix.IPPROTO_TCP, option(r, fd, unix.SOL_SOCKET, unix.SO_PROTOCOL), "SO_PROTOCOL")
	}
	// An MPTCP listener gives plain sockets to plain clients, so the listeners are looked at themselves.
	listening := listenersAt(r.addr())
	require.NotEmpty(r, listening)
	for _, fd := range listening {
		require.Equal(r, unix.IPPROTO_TCP, option(r, fd, unix.SOL_SOCKET, unix.SO_PROTOCOL), "SO_PROTOCOL")
	}
	require.Equal(r, 1, option(r, toClient[0], unix.SOL_SOCKET, unix.SO_KEEPALIVE))
	require.Equal(r, 33, option(r, toClient[0], unix.IPPROTO_TCP, unix.TCP_KEEPIDLE))
	require.Equal(r, 7, option(r, toClient[0], unix.IPPROTO_TCP, unix.TCP_KEEPINTVL))
	require.Equal(r, 3, option(r, toClient[0], unix.IPPROTO_TCP, unix.TCP_KEEPCNT))
}

// maxTurn is what a loop may move of the two downloads of fairness between two looks, in bytes. A turn drives each of them by the
// events of both its ends, and once more from the list of those that used up their budget. The mailbox's own event may come
// first among the events of one turn and last among those of the next, so two more belong to that time: 5 drives. Each moves 1 MiB, and a
// copied read may pass that by its own length, 64 KiB. The figures are not those of the code, which this is to check.
const maxTurn = 2 * 5 * (1<<20 + 64<<10)

// onlyLoop returns the loop of a relay that has one, nil where the engine has none.
func (r *rig) onlyLoop() *loop {
	switch e := r.relay.eng.(type) {
	case *epoll:
		return e.loops[0]
	case *uring:
		return e.loops[0]
	}
	return nil
}

// busiestTurn holds a loop up, ten times, until everything that can come has come, and returns the most that it then
// delivers to clients from one turn to the next, in bytes.
func busiestTurn(r *rig, l *loop) (most int) {
	queued := func() (all int) {
		l.conns.each(func(c *conn) {
			n, _ := sysQueued(c.ends[upstream].fd, unix.TIOCINQ)
			all += n
		})
		return all
	}
	const rounds, turns = 10, 10
	done := make(chan struct{})
	turned, last := 0, uint64(0)
	var turn func()
	turn = func() {
		down := r.tally.Sum().Down
		most, last = max(most, int(down-last)), down
		if turned++; turned == rounds*turns {
			close(done)
			return
		}
		if turned%turns == 0 {
			for n := -1; n != queued(); time.Sleep(10 * time.Millisecond) {
				n = queued()
			}
		}
		l.mail.post(turn)
	}
	l.mail.post(func() { last = r.tally.Sum().Down; l.mail.post(turn) })
	<-done
	return most
}

// A connection that its client had reset was open for as long as timeouts.half_close where its upstream did not read.
func clientResetStuckUpstream(r *rig) {
	for _, most := range []int{64 * mib, 128 << 10} { // held by the relay, too, and by the kernel alone
		r.slowOrigin()
		c, u := r.pair()
		c.flood(1, most)
		r.stuck(u)
		c.reset()
		begun := time.Now()
		r.closed(ClientReset, -1, 0)
		require.Less(r, time.Since(begun), time.Second)
		_, end := u.restOfStream(1)
		require.Equal(r, sawRST, end)
	}
}

// stuck waits until the relay knows of a peer of it that it does not read.
func (r *rig) stuck(p *peer) {
	r.Helper()
	at := localAddrPort(p)
	eventually(r, "a peer that has not read for a while", func() bool {
		for fd := range 4096 { // not a duplicate of it: that would keep the socket open
			if sa, err := unix.Getpeername(fd); err == nil && sockaddrPort(sa) == at && doesNotRead(fd) {
				return true
			}
		}
		return false
	})
}

func option(t testing.TB, fd, level, name int) int {
	t.Helper()
	v, err := unix.GetsockoptInt(fd, level, name)
	require.NoError(t, err)
	return v
}

func aliveStuck(r *rig) {
	if r.opts.Engine == "portable" {
		r.Skip("has no loops")
	}
	stuck, release := make(chan struct{}, 8), make(chan struct{})
	r.policy.accepted = func(*Flow) Reason {
		stuck <- struct{}{}
		<-release
		return None
	}
	r.dial()
	<-stuck
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	err := r.relay.Alive(ctx)
	close(release)
	require.Error(r, err)
	ctx, cancel = context.WithTimeout(context.Background(), patience)
	defer cancel()
	require.NoError(r, r.relay.Alive(ctx))
}

const starvedChild = "L4FWD_TEST_STARVED"

// TestAcceptPause: a relay without a free descriptor pauses accepting instead of spinning or ending, and serves the
// client as soon as there is one. The limit is the process's, so this runs in a process of its own.
func TestAcceptPause(t *testing.T) {
	if engine := os.Getenv(starvedChild); engine != "" {
		starve(newRig(t, engine, loopback4))
		return
	}
	for _, engine := range engines() {
		t.Run(engine, func(t *testing.T) {
			cmd := exec.Command(os.Args[0], "-test.run=^TestAcceptPause$", "-test.v")
			cmd.Env = append(os.Environ(), starvedChild+"="+engine)
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, "%s", out)
			require.True(t, strings.Contains(string(out), "served after the pause"), "%s", out)
		})
	}
}

func starve(r *rig) {
	limit := unix.Rlimit{Cur: 100, Max: 100} // first, since io_uring's accept keeps the limit of when it was asked for
	require.NoError(r, unix.Setrlimit(unix.RLIMIT_NOFILE, &limit))
	c1, u1 := r.pair() // all that is made once is made
	c1.send("x")
	u1.want("x")
	var fillers []int
	for {
		fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			require.ErrorIs(r, err, unix.EMFILE)
			break
		}
		fillers = append(fillers, fd)
	}
	unix.Close(fillers[0])                          // for the client
	conn, err := net.Dial("tcp", r.addr().String()) // takes one descriptor, and no second for a moment as dialRaw does
	require.NoError(r, err)
	c := newPeer(r, conn)
	eventually(r, "a pause", func() bool { return r.relay.Stats().AcceptPauses > 0 })

	pauses, cpu := r.relay.Stats().AcceptPauses, cpuTime()
	time.Sleep(500 * time.Millisecond)
	// One listener a loop may try; each of them ten times a second.
	require.LessOrEqual(r, r.relay.Stats().AcceptPauses-pauses, uint64(7*r.opts.Loops), "pauses in half a second")
	require.Less(r, cpuTime()-cpu, 250*time.Millisecond, "processor time while paused")
	c1.send("the others go on")
	u1.want("the others go on")

	for _, fd := range fillers[1:] {
		unix.Close(fd)
	}
	c.send("late, but served")
	u := r.accept()
	u.want("late, but served")
	r.Log("served after the pause")
}
