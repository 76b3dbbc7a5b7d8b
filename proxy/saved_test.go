package proxy

import (
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
)

// The next process serves at once: with the answers and the standings of the one before, while DNS is silent.
func TestTheNextProcessKnowsWhatThisOneKnew(t *testing.T) {
	ns := startNameserver(t)
	ns.say(dns.RcodeSuccess, false, "127.0.0.1", "127.0.0.2")
	port := greeter(t, "127.0.0.1:0", "one").Port()
	options := func(o *Options) {
		o.DNS.Servers = []netip.AddrPort{ns.addr}
		o.Upstreams[0].Check = Check{Type: CheckTCP, Interval: time.Hour, Timeout: 5 * time.Second, Rise: 1, Fall: 1}
		o.Upstreams[0].Outlier = Outlier{Failures: 1, Ejection: time.Hour, MaxEjectedPercent: 100}
		o.AcceptRate = 1
	}
	old := start(t, engines()[0], testName, port, options)
	set := old.targets()[0].set
	require.Eventually(t, func() bool { return set.AllProven() && len(set.Addresses()) == 2 }, 20*time.Second, 5*time.Millisecond)
	first, second := set.Addresses()[0], set.Addresses()[1]
	require.True(t, first.Usable(time.Now()))
	require.False(t, second.Usable(time.Now()), "nobody listens there")
	require.NoError(t, old.Admitted(netip.MustParseAddr("192.0.2.1")))
	known, err := old.Save()
	require.NoError(t, err)

	ns.say(dns.RcodeServerFailure, false)
	fresh := start(t, engines()[0], testName, port, func(o *Options) { options(o); o.Known = known })
	require.Eventually(t, func() bool { return fresh.UpstreamsReady() == nil }, 20*time.Second, time.Millisecond, "before the first check, without DNS")
	all := fresh.targets()[0].set.Standings(time.Now())
	require.Len(t, all, 2)
	require.Contains(t, all[1].Why, "check failed")
	require.Equal(t, netip.MustParseAddr("192.0.2.1"), fresh.egress.addr)

	require.Eventually(t, func() bool { // the rate: unless the machine takes a second between the two, which another attempt mends
		require.Eventually(t, old.policy.limits.Admit, 20*time.Second, time.Millisecond)
		known, err := old.Save()
		require.NoError(t, err)
		next := start(t, engines()[0], testName, port, func(o *Options) { options(o); o.Known = known })
		return !next.policy.limits.Admit()
	}, 30*time.Second, time.Millisecond)

	// What nothing here could end is not believed.
	bare := start(t, engines()[0], testName, port, func(o *Options) { o.DNS.Servers = []netip.AddrPort{ns.addr}; o.Known = known })
	require.Eventually(t, func() bool { return len(bare.targets()[0].set.Addresses()) == 2 }, 20*time.Second, time.Millisecond)
	require.Empty(t, bare.targets()[0].notes(time.Now()))

	// The clock was set forward by two hours meanwhile: what has another hour to go has it still.
	set.Failed(first, time.Now())
	_, err = set.Eject(second.Addr, 90*time.Minute)
	require.NoError(t, err)
	known, err = old.Save()
	require.NoError(t, err)
	later := start(t, engines()[0], testName, port, func(o *Options) { options(o); o.Known, o.Jump = known, 2*time.Hour })
	require.Eventually(t, func() bool { return len(later.targets()[0].set.Addresses()) == 2 }, 20*time.Second, time.Millisecond)
	moved := later.targets()[0].set.Addresses()[1]
	require.Equal(t, second.Addr, moved.Addr)
	out, until := moved.Manual(time.Now().Add(2 * time.Hour)) // the clock as it would be
	require.True(t, out)
	require.WithinDuration(t, time.Now().Add(2*time.Hour+90*time.Minute), until, time.Minute)

	_, err = Start(Options{Known: []byte("{"), Upstreams: old.policy.table.Load().opts.Upstreams})
	require.ErrorContains(t, err, "read what is known")
	future := start(t, engines()[0], testName, port, func(o *Options) {
		options(o)
		o.Known = []byte(`{"version": 99, "upstreams": {"up": [{"down": "x"}]}}`)
	})
	require.Empty(t, future.known.Upstreams)
}
