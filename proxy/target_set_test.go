package proxy

import (
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/proxy/relay"
)

// Exactly the connections to the address that left are meant, those being dialed too, and none without an endpoint.
func TestFlowsOfARemovedAddressAreClosed(t *testing.T) {
	s := start(t, engines()[0], "127.0.0.1", greeter(t, "127.0.0.1:0", "one").Port(), func(o *Options) {
		o.Upstreams[0].Backups = []HostPort{{"127.0.0.2", 1}}
	})
	all := s.targets()[0].set.Addresses()
	require.Len(t, all, 2)
	on := func(i int) *relay.Flow {
		return &relay.Flow{Endpoint: all[i].Tag.(*endpoints).of(s.policy.table.Load().rules[0].byRoute[0])}
	}
	yes := s.targets()[0].uses(all[1])
	assert.True(t, yes(on(1)))
	assert.False(t, yes(on(0)))
	assert.False(t, yes(&relay.Flow{}))
}

// The name moves: what is connected to the old address is ended, with a reason of its own, and the rest is not.
func TestConnectionsToARemovedAddressEnd(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		ns, s := startMoving(t, engine, func(o *Options) {
			o.Upstreams[0].Removed = Removed{Close: true, After: 50 * time.Millisecond}
		})
		require.Eventually(t, func() bool { return s.UpstreamsReady() == nil }, 5*time.Second, 5*time.Millisecond)
		old, name := greet(t, s)
		defer old.Close()
		require.Equal(t, "one\n", name)
		ns.say(dns.RcodeSuccess, false, "127.0.0.2")
		require.Eventually(t, func() bool { // without a client, which the removal would end, too
			all := s.targets()[0].set.Addresses()
			return len(all) == 1 && all[0].Addr.Addr() == netip.MustParseAddr("127.0.0.2")
		}, 5*time.Second, 5*time.Millisecond)
		kept, name := greet(t, s)
		defer kept.Close()
		require.Equal(t, "two\n", name)
		_, err := old.Read(make([]byte, 1))
		require.Error(t, err)
		require.Eventually(t, func() bool { return s.Stats().Ended[[3]string{"in", "up", "address_removed"}] == 1 }, 5*time.Second, 5*time.Millisecond)
		echoes(t, kept)
	})
}

// A reload that changed anything of an upstream made its open connections stay for ever on an address that left the answer
// after the reload, or shortly before it, whatever on_removed says.
func TestConnectionsToARemovedAddressEndAfterAReload(t *testing.T) {
	for name, reloads := range map[string]int{"one reload": 1, "several": 3} {
		t.Run(name, func(t *testing.T) {
			ns, s := startMoving(t, engines()[0], func(o *Options) {
				o.Upstreams[0].Removed = Removed{Close: true, After: 100 * time.Millisecond}
			})
			require.Eventually(t, func() bool { return s.UpstreamsReady() == nil }, 5*time.Second, 5*time.Millisecond)
			old, _ := greet(t, s)
			defer old.Close()
			for i := range reloads {
				require.NoError(t, reloaded(s, func(o *Options) { o.Upstreams[0].Attempts = 10 + i }))
			}
			echoes(t, old)
			ns.say(dns.RcodeSuccess, false, "127.0.0.2")
			_ = old.SetReadDeadline(time.Now().Add(10 * time.Second))
			_, err := old.Read(make([]byte, 1))
			require.Error(t, err)
			require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
			require.Eventually(t, func() bool { return s.Stats().Ended[[3]string{"in", "up", "address_removed"}] == 1 }, 5*time.Second, 5*time.Millisecond)
			require.NoError(t, reloaded(s, func(o *Options) { o.Upstreams[0].Attempts = 2 }))
			require.Len(t, s.Status().Upstreams[0].Addresses, 1)
		})
	}
}

// Several addresses of an upstream share its connections; a backup gets none of them. A name without an answer among them holds
// up no start.
func TestSeveralAddressesShareTheConnections(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		ns := startNameserver(t)
		ns.say(dns.RcodeServerFailure, false)
		one := greeter(t, "127.0.0.1:0", "one")
		two := greeter(t, "127.0.0.1:0", "two")
		spare := greeter(t, "127.0.0.1:0", "spare")
		s := start(t, engine, "127.0.0.1", one.Port(), func(o *Options) {
			o.DNS.Servers = []netip.AddrPort{ns.addr}
			o.Upstreams[0].Others = []HostPort{{"127.0.0.1", two.Port()}, {testName, two.Port()}}
			o.Upstreams[0].Backups = []HostPort{{"127.0.0.1", spare.Port()}}
		})
		counts := map[string]int{}
		for range 6 {
			_, line := greet(t, s)
			counts[line]++
		}
		require.Equal(t, map[string]int{"one\n": 3, "two\n": 3}, counts)
	})
}

// A reload that changed only a setting of an upstream made its addresses new ones: status showed none of the open connections,
// least_conn began anew, and what was known of failures was forgotten.
func TestAddressesKeepCountAndStandingOverAReload(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		up := greeter(t, "127.0.0.1:0", "one")
		s := start(t, engine, "127.0.0.1", up.Port(), func(o *Options) {
			o.Upstreams[0].Backups = []HostPort{{"127.0.0.9", up.Port()}}
		})
		var open []net.Conn
		for range 3 {
			c, _ := greet(t, s)
			open = append(open, c)
		}
		addrs := s.targets()[0].set.Addresses()
		s.policy.failed(s.targets()[0], addrs[1], relay.ConnectRefused)
		status := func(i int) AddressStatus { return s.Status().Upstreams[0].Addresses[i] }
		for i := range 3 {
			require.NoError(t, reloaded(s, func(o *Options) { o.Upstreams[0].ConnectTimeout = time.Duration(i+2) * time.Second }))
			require.EqualValues(t, 3, status(0).Active)
			require.EqualValues(t, 1, status(1).Failures)
			require.Equal(t, "failing", status(1).State)
			require.NotNil(t, s.targets()[0].lastFail.Load())
		}
		c, _ := greet(t, s)
		open = append(open, c)
		require.EqualValues(t, 4, status(0).Active)
		for _, c := range open {
			c.Close()
		}
		require.Eventually(t, func() bool { return status(0).Active == 0 }, 5*time.Second, 5*time.Millisecond)
		require.EqualValues(t, 4, s.Status().Upstreams[0].Total)
	})
}

// A reload that fails has changed nothing, although the addresses of old and new target share their standing.
func TestAFailedReloadLeavesTheStandingAlone(t *testing.T) {
	up := greeter(t, "127.0.0.1:0", "one")
	taken := greeter(t, "127.0.0.1:0", "taken")
	s := start(t, engines()[0], "127.0.0.1", up.Port(), nil)
	open, _ := greet(t, s)
	for range 3 {
		require.Error(t, reloaded(s, func(o *Options) {
			o.Upstreams[0].Check = Check{Type: CheckTCP, Interval: time.Millisecond, Timeout: time.Second, Rise: 1, Fall: 1}
			o.Upstreams[0].Removed = Removed{Close: true}
			o.Listeners[0].Addr = taken
		}))
	}
	echoes(t, open)
	require.EqualValues(t, 1, s.Status().Upstreams[0].Addresses[0].Active)
	require.Positive(t, s.Status().Upstreams[0].Addresses[0].Connect, "how long the connect took")
	require.Equal(t, "usable", s.Status().Upstreams[0].Addresses[0].State)
}

// A connection is refused beyond the limit, also one whose attempts fail gives its place back, and so does one that
// finds no address.
func TestUpstreamLimitIsGivenBack(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		up := greeter(t, "127.0.0.1:0", "one")
		ns := startNameserver(t)
		ns.say(dns.RcodeServerFailure, false)
		s := start(t, engine, "model.test", up.Port(), func(o *Options) {
			o.DNS.Servers = []netip.AddrPort{ns.addr}
			o.Upstreams[0].MaxConnections, o.Upstreams[0].Attempts = 1, 2
		})
		ended := func(reason string, n uint64) {
			t.Helper()
			require.Eventually(t, func() bool { return s.Stats().Ended[[3]string{"in", "up", reason}] == n }, 5*time.Second, 5*time.Millisecond)
		}
		for i := range uint64(3) {
			_, _, err := greeting(s)
			require.Error(t, err)
			ended("no_address", i+1)
		}
		ns.say(dns.RcodeSuccess, false, "127.0.0.9")
		require.Eventually(t, func() bool { return s.UpstreamsReady() == nil }, 10*time.Second, 10*time.Millisecond)
		for i := range uint64(3) {
			_, _, err := greeting(s)
			require.Error(t, err)
			ended("connect_refused", i+1)
		}
		ns.say(dns.RcodeSuccess, false, "127.0.0.1")
		require.Eventually(t, func() bool {
			a := s.Status().Upstreams[0].Addresses
			return len(a) == 1 && a[0].Addr == up
		}, 10*time.Second, 10*time.Millisecond)
		c, _ := greet(t, s)
		_, _, err := greeting(s)
		require.Error(t, err, "the second is one too many")
		assert.EqualValues(t, 1, s.Stats().Refused[[2]string{"in", "limit_upstream"}])
		c.Close()
		require.Eventually(t, func() bool { return s.targets()[0].counters.open.Load() == 0 }, 5*time.Second, 5*time.Millisecond)
		greet(t, s)
	})
}

// A family that fails as a whole leaves the other its attempts: one address of IPv4 among many of IPv6 is found by each
// client, with two attempts.
func TestAFamilyThatFailsIsPassedOver(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		up := greeter(t, "127.0.0.1:0", "one")
		s := start(t, engine, "127.0.0.1", up.Port(), func(o *Options) { o.Upstreams[0].Attempts = 2 })
		t6 := s.targets()[0]
		addrs := []netip.AddrPort{up}
		for i := range byte(8) { // 2001:db8::/32 is documentation: nobody answers there
			addrs = append(addrs, netip.AddrPortFrom(netip.AddrFrom16([16]byte{0x20, 1, 0x0d, 0xb8, 15: i + 1}), up.Port()))
		}
		t6.opts.ConnectTimeout = 50 * time.Millisecond // before their endpoints are made
		t6.set.Update(addrs, nil)
		for range 12 {
			_, line := greet(t, s)
			assert.Equal(t, "one\n", line)
		}
		st := s.Stats()
		failed := st.Dials[[2]string{"up", "connect_unreachable"}] + st.Dials[[2]string{"up", "connect_timeout"}]
		assert.NotZero(t, failed, "others were tried first")
	})
}

// An upstream with one address got all of connect.attempts within 0.1 ms, which only counts its failures faster.
func TestAnAddressIsTriedOnceByAConnection(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		dead := greeter(t, "127.0.0.1:0", "one").Port() // of another address
		for _, c := range []struct {
			backups  []HostPort
			attempts int
		}{
			{nil, 1},
			{[]HostPort{{"127.0.0.8", dead}}, 2},
			{[]HostPort{{"127.0.0.8", dead}, {"127.0.0.9", dead}, {"127.0.0.10", dead}}, 3},
		} {
			d := open(t, engine, Listener{Upstream: "up"}, nil, Upstream{Name: "up", Host: "127.0.0.7", Port: dead, Backups: c.backups, Attempts: 3})
			for i := range uint64(3) {
				_, _ = d.hello()
				line := d.ended()
				require.Equal(t, "connect_refused", line["reason"])
				require.EqualValues(t, c.attempts, line["attempts"])
				require.EqualValues(t, (i+1)*uint64(c.attempts), d.Stats().Dials[[2]string{"up", "connect_refused"}])
			}
		}
	})
}
