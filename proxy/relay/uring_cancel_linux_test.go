package relay

import (
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestCancelAtEveryPoint ends connections in every phase, in every way, at random moments: the peers close or reset,
// timeouts strike, the relay is drained and closed. Meanwhile descriptors are opened and closed as fast as can be, so that
// whatever the relay still did to a descriptor it has given up would hit one of these.
func TestCancelAtEveryPoint(t *testing.T) {
	seed := uint64(envInt(t, "L4FWD_RANDOM_SEED", int(time.Now().UnixNano()&0xffffffff)))
	t.Logf("seed %d", seed)
	dice := rand.New(rand.NewPCG(seed, 0))
	stop := make(chan struct{})
	var bystanders sync.WaitGroup
	bystanders.Go(func() { bystand(t, stop) })
	rounds := 0
	for end := time.Now().Add(4 * time.Second); time.Now().Before(end) && !t.Failed(); rounds++ {
		t.Run("", func(t *testing.T) { cancelRound(t, rand.New(rand.NewPCG(dice.Uint64(), 0))) })
	}
	close(stop)
	bystanders.Wait()
	t.Logf("%d rounds", rounds)
}

// bystand opens pairs of sockets with known contents, and checks that nobody else wrote to them, read from them or closed
// them.
func bystand(t *testing.T, stop chan struct{}) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if !assert.NoError(t, err) {
			return
		}
		_, err = unix.Write(fds[0], []byte("mine"))
		assert.NoError(t, err)
		time.Sleep(time.Duration(rand.IntN(300)) * time.Microsecond)
		var got [64]byte
		n, err := unix.Read(fds[1], got[:])
		ok := assert.NoError(t, err, "a descriptor was closed or read by somebody else")
		ok = ok && assert.Equal(t, "mine", string(got[:max(n, 0)]), "somebody else wrote")
		ok = ok && assert.NoError(t, unix.Close(fds[0])) && assert.NoError(t, unix.Close(fds[1]))
		if !ok {
			return
		}
	}
}

func cancelRound(t *testing.T, dice *rand.Rand) {
	engine := "uring"
	needsUring(t)
	r := newRig(t, engine, loopback4)
	short := func() time.Duration { return time.Duration(5+dice.IntN(80)) * time.Millisecond }
	r.opts.PrefaceTimeout, r.opts.IdleTimeout, r.opts.HalfCloseTimeout = short(), short(), short()
	asked := dice.IntN(3) == 0
	r.policy.wants = func(*Flow) bool { return asked }
	want := 1 + dice.IntN(40)
	r.policy.preface = func(_ *Flow, b []byte) Verdict { return Verdict{More: len(b) < want} }
	refused := r.endpoint(refusing(r, r.at))
	good, lot := r.policy.endpoints[0], dice.IntN(10)
	r.policy.dial = func(f *Flow) (*Endpoint, Reason) {
		switch {
		case f.Attempts > 3:
			return nil, f.Failure
		case int(f.ID)%10 == lot && f.Attempts < 2:
			return refused, None
		}
		return good, None
	}
	var origins, clients sync.WaitGroup
	origins.Go(func() {
		for n := uint64(0); ; n++ {
			c, err := r.origin.Accept()
			if err != nil {
				return
			}
			kind := dice2(uint64(lot), n)
			origins.Go(func() { misbehave(c.(*net.TCPConn), kind) })
		}
	})
	to := r.addr().String()
	for n := range 24 {
		kind := dice2(uint64(n), dice.Uint64())
		clients.Go(func() {
			if c, err := net.Dial("tcp", to); err == nil {
				misbehave(c.(*net.TCPConn), kind)
			}
		})
	}
	time.Sleep(time.Duration(dice.IntN(30)) * time.Millisecond)
	if dice.IntN(2) == 0 {
		r.relay.StopAccepting()
		time.Sleep(time.Duration(dice.IntN(20)) * time.Millisecond)
	}
	r.relay.Close(DrainTimeout)
	require.Zero(t, kept(r.relay.eng), "requests, buffers and pipes that did not come back")
	r.origin.Close()
	clients.Wait()
	origins.Wait()
}

func dice2(a, b uint64) *rand.Rand { return rand.New(rand.NewPCG(a, b)) }

// misbehave writes, reads and pauses at random for a while, and ends in a random way.
func misbehave(c *net.TCPConn, dice *rand.Rand) {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Duration(10+dice.IntN(60)) * time.Millisecond))
	buf := make([]byte, 256<<10)
	for range dice.IntN(12) {
		switch dice.IntN(5) {
		case 0, 1:
			_, _ = c.Write(buf[:1+dice.IntN(2000)])
		case 2:
			_, _ = c.Write(buf)
		case 3:
			_, _ = c.Read(buf)
		case 4:
			time.Sleep(time.Duration(dice.IntN(4000)) * time.Microsecond)
		}
	}
	switch dice.IntN(4) {
	case 0:
		_ = c.SetLinger(0)
	case 1:
		_ = c.CloseWrite()
		for {
			if _, err := c.Read(buf); err != nil {
				return
			}
		}
	}
}
