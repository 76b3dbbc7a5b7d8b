package proxy

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/l4fwd/l4fwd/proxy/upstream"
)

func listenersAt(addrs ...string) (all []Listener) {
	for _, a := range addrs {
		all = append(all, Listener{Name: a, Addr: netip.MustParseAddrPort(a)})
	}
	return all
}

// An address is the forwarder's own listener if a connection to it would come back here.
func TestWhichAddressesAreOwnListeners(t *testing.T) {
	for _, c := range []struct {
		listener, addr string
		own            bool
	}{
		{"127.0.0.1:443", "127.0.0.1:443", true},
		{"127.0.0.1:443", "127.0.0.1:8443", false},
		{"127.0.0.1:443", "127.0.0.2:443", false},
		{"[::]:443", "127.0.0.2:443", true},
		{"[::]:443", "[::1]:443", true},
		{"0.0.0.0:443", "127.9.9.9:443", true},
		{"[::]:443", "192.0.2.7:443", false},
		{"[::ffff:127.0.0.1]:443", "127.0.0.1:443", true},
	} {
		u := &target{listeners: listenersAt(c.listener)}
		require.Equal(t, c.own, u.ownListener(netip.MustParseAddrPort(c.addr)) != "", "%s at %s", c.addr, c.listener)
	}
}

// The answers of all names become the addresses, primaries apart from backups, without those of this forwarder itself; they are
// looked at again when the listeners change.
func TestAnswersBecomeAddresses(t *testing.T) {
	core, lines := observer.New(zap.ErrorLevel)
	u := &target{
		opts: Upstream{Name: "up"}, log: zap.New(core), set: upstream.NewSet(upstream.Options{}), server: &Server{},
		sources: []*source{{host: "a.test", port: 443}, {host: "b.test", port: 8443, backup: true}}, answered: make(chan struct{}),
	}
	addrs := func() (all []string) {
		for _, a := range u.set.Addresses() {
			all = append(all, a.Addr.String())
		}
		return all
	}
	u.update(u.sources[1], []netip.Addr{netip.MustParseAddr("192.0.2.9")})
	select {
	case <-u.answered:
		t.Fatal("a backup is no answer for the primary")
	default:
	}
	u.update(u.sources[0], []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("::ffff:127.0.0.1")})
	<-u.answered
	require.Equal(t, []string{"192.0.2.1:443", "127.0.0.1:443", "192.0.2.9:8443"}, addrs())
	require.True(t, u.set.IsBackup(u.set.Addresses()[2]))
	require.Empty(t, u.leftOut())

	u.listenersAre(listenersAt("[::]:443"))
	require.Equal(t, []string{"192.0.2.1:443", "192.0.2.9:8443"}, addrs())
	require.Equal(t, `127.0.0.1:443 is this forwarder's own listener "[::]:443"`, u.leftOut())
	require.Equal(t, 1, lines.Len())
	u.listenersAre(listenersAt("[::]:443"))
	require.Equal(t, 1, lines.Len(), "nothing changed")
	u.update(u.sources[0], []netip.Addr{netip.MustParseAddr("127.0.0.1")})
	require.Equal(t, []string{"192.0.2.9:8443"}, addrs())
	u.listenersAre(nil)
	require.Equal(t, []string{"127.0.0.1:443", "192.0.2.9:8443"}, addrs())
}

func TestSameNames(t *testing.T) {
	u := func(host string, port uint16, backups ...HostPort) *target {
		return &target{opts: Upstream{Host: host, Port: port, Backups: backups, Attempts: int(port)}}
	}
	b := HostPort{"b.test", 1}
	require.True(t, u("a.test", 1, b).sameNames(u("a.test", 1, b)))
	more := u("a.test", 1, b)
	more.opts.Others = []HostPort{{"d.test", 1}}
	for _, other := range []*target{more, u("c.test", 1, b), u("a.test", 2, b), u("a.test", 1), u("a.test", 1, HostPort{"b.test", 2})} {
		require.False(t, u("a.test", 1, b).sameNames(other))
	}
	require.Equal(t, "[2001:db8::1]:443", (&source{host: "2001:db8::1", port: 443}).String())
}
