package proxy

import (
	"io"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/proxy/relay"
)

// An operator ejects the addresses of an upstream one by one, is warned at the last, and restores one; connections go on.
func TestAnOperatorEjectsAndRestoresAddresses(t *testing.T) {
	one, two := named(t, "one"), named(t, "two")
	up := to("up", one)
	up.Others = []HostPort{{"127.0.0.1", two.addr.Port()}}
	d := open(t, engines()[0], Listener{Upstream: "up"}, nil, up, to("other", two))
	guests := map[string]*guest{}
	for range 2 {
		g := d.enter()
		guests[g.host] = g
	}
	require.Len(t, guests, 2, "each address serves one")

	e, err := d.EjectAddress("up", one.addr, time.Hour)
	require.NoError(t, err)
	require.WithinDuration(t, time.Now().Add(time.Hour), e.Until, time.Minute)
	e.Until = time.Time{}
	require.Equal(t, Ejection{Upstream: "up", Address: one.addr, State: "ejected_by_operator", Active: 1, Others: 1}, e)
	for range 2 {
		require.Equal(t, "two", d.enter().host)
	}
	e, err = d.EjectAddress("up", two.addr, 0)
	require.NoError(t, err)
	require.Zero(t, e.Until, "until it is restored")
	require.EqualValues(t, 3, e.Active)
	require.Zero(t, e.Others)
	require.Equal(t, "no usable address of up is left: new connections to it are refused (no_address), and the instance may not be ready, until this one is restored", e.Warning)
	d.turnsAway("no_address")
	guests["one"].lives()
	guests["two"].lives()
	require.ErrorContains(t, d.UpstreamsReady(), "up")
	row := d.Status().Upstreams[0]
	require.False(t, row.Usable)
	require.Equal(t, "no usable address", row.Detail)
	require.Equal(t, "ejected_by_operator", row.Addresses[0].State)

	e, err = d.RestoreAddress("up", one.addr)
	require.NoError(t, err)
	require.Equal(t, Ejection{Upstream: "up", Address: one.addr, State: "usable", Active: 1, Others: 1}, e)
	require.Equal(t, "one", d.enter().host)
	require.NoError(t, d.UpstreamsReady())
}

// An error says what there is, so that the next try is right.
func TestAnOperatorNamesWhatThereIsNot(t *testing.T) {
	one, two := named(t, "one"), named(t, "two")
	up := to("up", one)
	up.Others = []HostPort{{"127.0.0.1", two.addr.Port()}}
	ns := startNameserver(t)
	ns.say(3, false)
	bare := Upstream{Name: "bare", Host: testName, Port: 443}
	d := open(t, engines()[0], Listener{Upstream: "up"}, func(o *Options) { o.DNS.Servers = []netip.AddrPort{ns.addr} }, up, bare)
	foreign := netip.MustParseAddrPort("192.0.2.1:443")
	for _, act := range []func(string, netip.AddrPort) error{
		func(name string, a netip.AddrPort) error { _, err := d.EjectAddress(name, a, 0); return err },
		func(name string, a netip.AddrPort) error { _, err := d.RestoreAddress(name, a); return err },
	} {
		err := act("upp", one.addr)
		require.ErrorIs(t, err, ErrUnknownUpstream)
		require.EqualError(t, err, `upstream "upp": there is no upstream of this name; there are: up, bare`)
		err = act("up", foreign)
		require.ErrorIs(t, err, ErrUnknownAddress)
		require.EqualError(t, err, `upstream "up", address 192.0.2.1:443: the upstream does not have this address; it has: `+one.addr.String()+", "+two.addr.String())
		require.EqualError(t, act("bare", foreign), `upstream "bare", address 192.0.2.1:443: the upstream does not have this address; it has none now`)
	}
	_, err := d.RestoreAddress("up", one.addr)
	require.ErrorIs(t, err, ErrNotEjected)
	require.EqualError(t, err, `upstream "up", address `+one.addr.String()+": the address is not ejected by an operator")
}

// An address whose check fails is restored, and is not usable all the same.
func TestRestoringDoesNotMakeAnAddressWork(t *testing.T) {
	dead := listen(t, "127.0.0.1:0")
	addr := netip.MustParseAddrPort(dead.Addr().String())
	require.NoError(t, dead.Close())
	up := Upstream{Name: "up", Host: "127.0.0.1", Port: addr.Port(), Check: Check{Type: CheckTCP, Interval: time.Hour, Timeout: 5 * time.Second, Rise: 1, Fall: 1}}
	d := open(t, engines()[0], Listener{Upstream: "up"}, nil, up)
	require.Eventually(t, func() bool { return d.Status().Upstreams[0].Addresses[0].State == "check_failed" }, 20*time.Second, time.Millisecond)
	_, err := d.EjectAddress("up", addr, 0)
	require.NoError(t, err)
	e, err := d.RestoreAddress("up", addr)
	require.NoError(t, err)
	require.Equal(t, "the address is not usable all the same (check_failed): no address of up is", e.Warning)
}

// The list has a row for each connection, and its id ends that one alone.
func TestAnOperatorListsAndClosesConnections(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		one := named(t, "one")
		d := open(t, engine, Listener{Upstream: "up"}, nil, to("up", one))
		first, second := d.enter(), d.enter()
		first.says("hello")
		require.Equal(t, "hello", first.reads())
		listed := func() map[netip.AddrPort]Connection {
			list, err := d.Connections(t.Context())
			require.NoError(t, err)
			rows := map[netip.AddrPort]Connection{}
			for _, c := range list.Connections {
				rows[c.Client] = c
			}
			return rows
		}
		at := netip.MustParseAddrPort(first.conn.LocalAddr().String())
		require.Eventually(t, func() bool { return listed()[at].BytesUp == 6 }, 10*time.Second, time.Millisecond)
		rows := listed()
		require.Len(t, rows, 2)
		c := rows[at]
		require.Equal(t, [5]string{"in", "up", one.addr.String(), "relaying", "none"}, [5]string{c.Listener, c.Upstream, c.Address.String(), c.State, c.Stalls})
		require.Equal(t, [3]uint64{6, 10, 1}, [3]uint64{c.BytesUp, c.BytesDown, uint64(c.Attempts)})
		require.False(t, c.Warm)

		require.Eventually(t, func() bool { return d.Status().Upstreams[0].BytesDown == 14 }, 10*time.Second, time.Millisecond, "both greetings and an echo")
		row := d.Status().Upstreams[0]
		require.Equal(t, [3]uint64{6, 2, 2}, [3]uint64{row.BytesUp, row.Total, uint64(row.Active)})

		require.NoError(t, d.CloseConnection(c.ID))
		_, err := io.ReadAll(first.in)
		require.ErrorContains(t, err, "reset")
		require.Equal(t, "operator", d.ended()["reason"])
		second.lives()
		require.Len(t, listed(), 1)
		require.Eventually(t, func() bool { return d.Status().Upstreams[0].Active == 1 }, 10*time.Second, time.Millisecond)
		require.EqualValues(t, 2, d.Status().Upstreams[0].Total, "in all, those that have ended too")
		err = d.CloseConnection(c.ID)
		require.ErrorIs(t, err, ErrNotOpen)
		require.ErrorContains(t, err, "it has ended, and ids are not used again")
		for _, id := range []uint64{0, c.ID + 1000} {
			err = d.CloseConnection(id)
			require.ErrorIs(t, err, ErrNotOpen)
			require.ErrorContains(t, err, "there never was one of this id in this process")
		}
	})
}

// A forwarder that drains says so, and takes no reload.
func TestAForwarderThatDrainsSaysSo(t *testing.T) {
	d := open(t, engines()[0], Listener{Upstream: "up"}, nil, to("up", named(t, "one")))
	g := d.enter()
	require.NoError(t, d.ListenersReady())
	require.True(t, d.Status().Listeners[0].Open)
	d.StopAccepting()
	require.EqualError(t, d.ListenersReady(), "not accepting: the listeners are closed")
	require.ErrorContains(t, reloaded(d.Server, func(*Options) {}), "the listeners are closed")
	require.True(t, d.Status().Draining)
	require.False(t, d.Status().Listeners[0].Open)
	require.True(t, d.Stats().Draining)
	g.lives()
	d.Close(relay.Operator)
}
