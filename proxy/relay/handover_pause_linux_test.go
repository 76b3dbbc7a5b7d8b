package relay

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// How long connections stand still in a hand-over, by their number. All of it is in one process here: peers, the old relay, the new one.
//
//	L4FWD_HANDOVER_CONNS=9000  how many (300)
func TestHandoverPause(t *testing.T) {
	if apart(t) {
		return
	}
	conns := envInt(t, "L4FWD_HANDOVER_CONNS", 300)
	for _, pair := range [][2]string{{"epoll", "epoll"}, {"uring", "uring"}} {
		r := newRig(t, pair[0], loopback4)
		r.start()
		var peers [][2]*peer
		for range conns {
			c, u := r.pair()
			c.send("x")
			u.want("x")
			peers = append(peers, [2]*peer{c, u})
		}
		o := r.opts
		o.Engine = pair[1]
		var all []time.Duration
		for range 3 + envInt(t, "L4FWD_HANDOVER_MORE", 0) {
			h, err := handOver(r.relay, o, nil, failAt{})
			require.NoError(t, err)
			require.Equal(t, conns, h.conns)
			r.relay = h.relay
			all = append(all, h.pause)
		}
		begun := time.Now()
		for _, p := range peers {
			p[0].SetDeadline(time.Now().Add(patience))
			p[1].SetDeadline(time.Now().Add(patience))
			p[1].send("y")
			p[0].want("y")
		}
		t.Logf("%v: %d connections stood still for %v; then all were used within %v", pair, conns, all, time.Since(begun))
		for _, p := range peers {
			p[0].Close()
			p[1].Close()
		}
		r.close()
		r.relay = nil
		if os.Getenv("L4FWD_HANDOVER_LIMIT") != "" {
			limit, err := time.ParseDuration(os.Getenv("L4FWD_HANDOVER_LIMIT"))
			require.NoError(t, err)
			require.Less(t, all[1], limit)
		}
	}
}
