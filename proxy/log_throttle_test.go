package proxy

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/l4fwd/l4fwd/proxy/relay"
)

// An upstream that refuses every other connection: each that it took used to be told twice, as an upstream that is back, or as a
// backup that serves, whatever log.access says.
func TestWhatComesAndGoesIsNotToldEachTime(t *testing.T) {
	core, lines := observer.New(zap.InfoLevel)
	s := start(t, "portable", "127.0.0.1", 2, func(o *Options) {
		o.Log, o.Access = zap.New(core), AccessOff
		o.Upstreams[0].Backups = []HostPort{{Host: "127.0.0.2", Port: 2}}
	})
	up := s.targets()[0]
	dialed := func(i int, failure relay.Reason) {
		a := up.set.Addresses()[i]
		f := &relay.Flow{Listener: &relay.Listener{Name: "in", Tag: s.policy.table.Load().rules[0].counters}}
		require.Equal(t, relay.None, s.policy.Accepted(f))
		f.Endpoint = a.Tag.(*endpoints).of(s.policy.ruleOf(f).traffic(up))
		s.policy.Dialed(f, failure, time.Millisecond)
	}
	told := func(line string) int { return lines.FilterMessageSnippet(line).Len() }
	require.Equal(t, netip.MustParseAddrPort("127.0.0.2:2"), up.set.Addresses()[1].Addr)
	round := func() {
		dialed(0, relay.ConnectRefused)
		dialed(1, relay.ConnectRefused)
		dialed(1, relay.None) // the backup
		dialed(0, relay.None)
	}
	for range 50 {
		round()
	}
	long := time.Now().Add(-throttleGap)
	up.failsLog.logged(long)
	up.backupLog.logged(long)
	round()
	s.Close(relay.Operator) // what is queued is written
	for _, line := range []string{"every address of the upstream fails", "upstream answers again", "a backup serves", "a primary address serves again"} {
		require.Equal(t, 2, told(line), line)
	}
}
