package proxy

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
)

// sweepAt sweeps as if now were the time.
func (s *Server) sweepAt(now time.Time) (waiting bool) {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	waiting = s.sweep(now)
	return waiting
}

// series counts what /metrics has a series for.
func series(st Stats) (n int) {
	v := reflect.ValueOf(st)
	for i := range v.NumField() {
		if v.Field(i).Kind() == reflect.Map {
			n += v.Field(i).Len()
		}
	}
	return n
}

// A thousand renames of a listener, its upstream and the upstream's name made /metrics grow from 17 KB to 5.8 MB for good.
func TestWhatAReloadRemovedIsForgotten(t *testing.T) {
	const renames = 1000
	ns := startNameserver(t)
	ns.say(dns.RcodeSuccess, false, "127.0.0.1")
	one := greeter(t, "127.0.0.1:0", "one")
	s := start(t, "epoll", "one.example", one.Port(), func(o *Options) { o.DNS.Servers = []netip.AddrPort{ns.addr} })
	require.Eventually(t, func() bool { return s.UpstreamsReady() == nil }, 5*time.Second, time.Millisecond)
	c, _ := greet(t, s)
	defer c.Close()
	first := series(s.Stats())
	began := time.Now()
	for i := range renames {
		require.NoError(t, reloaded(s, func(o *Options) {
			name := fmt.Sprint("renamed", i)
			o.Upstreams[0].Name, o.Listeners[0].Name, o.Listeners[0].Upstream = name, name, name
			o.Upstreams[0].Host = fmt.Sprint("one", i%10, ".example")
		}))
	}
	require.Greater(t, series(s.Stats()), renames)
	now := time.Now()
	require.True(t, s.sweepAt(began.Add(retention-time.Second)), "what was removed a moment ago stays for a while")
	require.Greater(t, series(s.Stats()), renames)
	require.True(t, s.sweepAt(now.Add(10*time.Minute)), "what has a connection stays")
	st := s.Stats()
	require.LessOrEqual(t, series(st), first*2, "the first names have a connection, the last ones are in use")
	require.EqualValues(t, 1, st.Active[[2]string{"in", "up"}])
	require.EqualValues(t, 1, st.Accepted["in"])
	echoes(t, c)

	c.Close()
	require.Eventually(t, func() bool { return s.Stats().Active[[2]string{"in", "up"}] == 0 }, 5*time.Second, 5*time.Millisecond)
	require.True(t, s.sweepAt(now.Add(11*time.Minute)), "it stays for a while after its last connection, too")
	require.False(t, s.sweepAt(now.Add(20*time.Minute)))
	st = s.Stats()
	require.LessOrEqual(t, series(st)*2, first*3)
	require.NotContains(t, st.Active, [2]string{"in", "up"})
	require.Len(t, s.policy.table.Load().rules, s.counters.listener("renamed999").index+1)
	require.EqualValues(t, 1, st.Forgotten.Accepted, "sums over all listeners and upstreams do not go backwards")
	require.NotZero(t, st.Forgotten.Bytes.Down)

	last, name := greet(t, s)
	defer last.Close()
	require.Equal(t, "one\n", name, "the forwarder goes on")
	require.NoError(t, reloaded(s, func(o *Options) { o.Listeners[0].Name = "again" }))
	require.Less(t, s.counters.listener("again").index, 3, "places of listeners are used again")
	last, _ = greet(t, s)
	defer last.Close()
}

// Of a listener that is renamed while its upstream stays, the counters of the two go, the upstream's stay.
func TestAForgottenListenerTakesItsTrafficAlong(t *testing.T) {
	one := greeter(t, "127.0.0.1:0", "one")
	s := start(t, "epoll", "127.0.0.1", one.Port(), nil)
	c, _ := greet(t, s)
	c.Close()
	require.Eventually(t, func() bool { return s.Stats().Active[[2]string{"in", "up"}] == 0 }, 5*time.Second, 5*time.Millisecond)
	require.NoError(t, reloaded(s, func(o *Options) { o.Listeners[0].Name = "new" }))
	require.False(t, s.sweepAt(time.Now().Add(time.Hour)))
	st := s.Stats()
	require.Len(t, st.Active, 1)
	require.Contains(t, st.Active, [2]string{"new", "up"})
	require.EqualValues(t, 1, st.Connect["up"].Count, "the upstream is in use")
	status := s.Status().Upstreams[0]
	require.EqualValues(t, 1, status.Total, "its totals count every listener that it ever had")
	require.EqualValues(t, st.Forgotten.Bytes.Down, status.BytesDown)
	e := s.policy.table.Load().targets[0].set.Addresses()[0].Tag.(*endpoints)
	left := 0
	e.byTraffic.Range(func(key, _ any) bool { left++; return true })
	require.Zero(t, left, "what was made for connections of the old listener is gone, too")
}

// A name that comes back before its time counts on, and its time begins anew when it goes again.
func TestANameThatComesBackCountsOn(t *testing.T) {
	one := greeter(t, "127.0.0.1:0", "one")
	s := start(t, "epoll", "127.0.0.1", one.Port(), nil)
	c, _ := greet(t, s)
	c.Close()
	rename := func(name string) {
		require.NoError(t, reloaded(s, func(o *Options) { o.Listeners[0].Name = name }))
	}
	rename("other")
	require.True(t, s.sweepAt(time.Now().Add(retention/2)))
	rename("in")
	require.True(t, s.sweepAt(time.Now().Add(retention/2)), "now the other one is gone")
	rename("other")
	require.True(t, s.sweepAt(time.Now().Add(retention/2)))
	require.EqualValues(t, 1, s.Stats().Accepted["in"])
	require.True(t, slices.ContainsFunc(s.counters.allListeners(), func(l *listenerCounters) bool { return l.name == "in" }))
}

// The timer runs while there is something to forget, and not after the end.
func TestSweepsEndWithTheServer(t *testing.T) {
	one := greeter(t, "127.0.0.1:0", "one")
	s := start(t, "epoll", "127.0.0.1", one.Port(), nil)
	require.NoError(t, reloaded(s, func(o *Options) {}))
	require.Nil(t, s.removed.timer, "nothing was removed")
	require.NoError(t, reloaded(s, func(o *Options) { o.Listeners[0].Name = "new" }))
	require.True(t, s.removed.timer.Stop(), "it waits")
	s.removed.timer.Reset(time.Millisecond)
	s.reloading.Lock()
	s.stopSweeps()
	s.reloading.Unlock()
	require.False(t, s.removed.timer.Stop())
}
