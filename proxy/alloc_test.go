package proxy

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/proxy/relay"
)

// What deciding of a connection allocates, from accept to end: nothing without PROXY headers and routes, also with a limit
// of sources; behind them what was found, which outlives the bytes.
func TestWhatAConnectionAllocates(t *testing.T) {
	up := Upstream{Name: "up", Host: "127.0.0.1", Port: 1}
	routes := []Route{{SNI: []string{"one.example"}, Upstream: "up"}}
	hello := clientHello(t, "one.example")
	header := proxyHeader(t, 2, trueClient, vpceTLV(endpointID))
	for name, c := range map[string]struct {
		in        Listener
		perSource int
		text      []byte
		most      float64
	}{
		"plain":           {Listener{Upstream: "up"}, 0, nil, 0},
		"allowed sources": {Listener{Upstream: "up", AllowSources: prefixes("127.0.0.0/8")}, 0, nil, 0},
		"source limit":    {Listener{Upstream: "up"}, 10, nil, 0},
		"routes":          {Listener{Routes: routes}, 0, hello, 1},
		"header":          {Listener{Upstream: "up", AcceptProxy: ProxyRequired}, 10, append(slices.Clone(header), 'x'), 10},
	} {
		t.Run(name, func(t *testing.T) {
			d := open(t, "portable", c.in, func(o *Options) { o.PerSource, o.Access, o.AcceptRate = c.perSource, AccessOff, MaxAcceptRate }, up)
			p := d.policy
			ln := &relay.Listener{Name: "in", Tag: p.table.Load().rules[0].counters}
			client := netip.MustParseAddrPort("127.0.0.1:1000")
			f := &relay.Flow{}
			s := &relay.Summary{Flow: f, Connected: true, Reason: relay.ClientClosed}
			got := testing.AllocsPerRun(200, func() {
				*f = relay.Flow{Listener: ln, Client: client}
				refused := p.Accepted(f)
				if c.text != nil {
					v := p.Preface(f, c.text)
					refused = max(refused, v.Refuse)
				}
				ep, _ := p.Dial(f)
				f.Endpoint, f.Attempts = ep, 1
				p.Dialed(f, relay.None, 1)
				p.Closed(s)
				if refused != relay.None {
					panic(refused.String())
				}
			})
			t.Logf("%v allocations", got)
			require.LessOrEqual(t, got, c.most)
		})
	}
}
