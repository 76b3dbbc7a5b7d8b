package proxy

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/l4fwd/l4fwd/proxy/relay"
	"github.com/l4fwd/l4fwd/proxy/upstream"
)

// endpoints are what the relay is given to connect to one address: one for each listener, since these differ in where bytes
// are counted, and of these one for each local address to connect from.
type endpoints struct {
	target    *target
	addr      *upstream.Address
	took      atomic.Int64 // of the last attempt that connected, in nanoseconds; 0: none has
	waiting   atomic.Int64 // warm connections to the address that wait for a client
	local     []netip.Addr // to connect from, of the family of addr; the zero value alone: as the routing table says
	turn      atomic.Uint32
	byTraffic sync.Map // *traffic → []*relay.Endpoint, one for each of local
}

// connected notes an attempt that connected after took. It is called on a loop.
func (e *endpoints) connected(loop int, took time.Duration) {
	e.target.set.Connected(e.addr)
	e.target.counters.connect.observe(loop, took)
	e.took.Store(int64(took))
}

// endpoints makes the endpoints of a new address. It is Options.Tag of the set.
func (t *target) endpoints(addr *upstream.Address) any {
	e := &endpoints{target: t, addr: addr}
	for _, local := range t.opts.SourceAddresses {
		if local.Unmap().Is4() == addr.Addr.Addr().Unmap().Is4() {
			e.local = append(e.local, local)
		}
	}
	if len(e.local) == 0 {
		e.local = []netip.Addr{{}}
	}
	return e
}

// of returns the endpoint for connections that count in tr, from each local address in turn.
func (e *endpoints) of(tr *traffic) *relay.Endpoint {
	made, ok := e.byTraffic.Load(tr)
	if !ok {
		made, _ = e.byTraffic.LoadOrStore(tr, e.make(tr))
	}
	all := made.([]*relay.Endpoint)
	if len(all) == 1 {
		return all[0]
	}
	return all[e.turn.Add(1)%uint32(len(all))]
}

// make makes the endpoints for connections that count in tr.
func (e *endpoints) make(tr *traffic) (all []*relay.Endpoint) {
	for _, local := range e.local {
		all = append(all, &relay.Endpoint{
			Addr: e.addr.Addr, Timeout: e.target.opts.ConnectTimeout, Stagger: e.target.opts.Stagger, Tally: tr.bytes, Tag: e, Header: e.target.header(), Local: local,
			Warm: e.target.warmPool(),
		})
	}
	return all
}
