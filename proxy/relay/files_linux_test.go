package relay

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

// A limit of connections that is made from Files must not promise what ends in EMFILE.
func TestARelayOpensNoMoreFilesThanItSays(t *testing.T) {
	for _, engine := range engines() {
		for loops := 1; loops <= 3; loops++ {
			r := newRig(t, engine, loopback4)
			before := len(openFDs())
			r.opts.Loops = loops
			r.opts.Listeners = append(r.opts.Listeners, Listener{Name: "second", Addr: netip.AddrPortFrom(loopback4, 0)})
			relay := r.start()
			always, _ := Files(loops, 2)
			require.LessOrEqual(t, len(openFDs())-before, always, "%s, loops: %d", engine, loops)
			relay.Close(Operator)
		}
	}
}
