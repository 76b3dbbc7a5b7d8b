package proxy

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
)

// TestSourceAddresses: connections begin at each of the addresses of the family in turn, and at none of the other's.
func TestSourceAddresses(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has all of 127/8 on its loopback interface")
	}
	eachEngine(t, func(t *testing.T, engine string) {
		// The upstream tells where the connection comes from.
		s := serve(t, func(c net.Conn) { fmt.Fprint(c, c.RemoteAddr().(*net.TCPAddr).IP) })
		u := to("one", s)
		for _, a := range []string{"127.0.0.2", "::1", "127.0.0.3"} {
			u.SourceAddresses = append(u.SourceAddresses, netip.MustParseAddr(a))
		}
		d := open(t, engine, Listener{Upstream: "one"}, nil, u)
		from := map[string]int{}
		for range 8 {
			c := d.dial()
			said, err := io.ReadAll(c)
			require.NoError(t, err)
			from[string(said)]++
			c.Close()
		}
		require.Equal(t, map[string]int{"127.0.0.2": 4, "127.0.0.3": 4}, from)
	})
}

func TestForeignSourceAddressIsTold(t *testing.T) {
	u := Upstream{Name: "one", Host: "127.0.0.1", Port: 1, SourceAddresses: []netip.Addr{netip.MustParseAddr("203.0.113.9")}}
	_, err := Start(Options{Log: zap.NewNop(), Upstreams: []Upstream{u}, Listeners: []Listener{{
		Name: "in", Addr: netip.MustParseAddrPort("127.0.0.1:0"), Upstream: "one",
	}}})
	require.EqualError(t, err, `upstream "one": source_addresses: 203.0.113.9 is not an address of this machine; give it to an interface, or take it off the list`)
}
