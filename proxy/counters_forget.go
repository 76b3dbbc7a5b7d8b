package proxy

import (
	"slices"

	"github.com/l4fwd/l4fwd/proxy/relay"
)

// gone is what was forgotten at once.
type gone struct {
	listeners []*listenerCounters
	traffic   []*traffic
}

// The keys of busy: a listener and an upstream may have the same name.
func listenerKey(name string) string { return "l " + name }

// upstreamKey is the key of an upstream by its name.
func upstreamKey(name string) string { return "u " + name }

// pairKey is the key of an upstream as one listener uses it. The byte 0 keeps the two names apart.
func pairKey(listener, upstream string) string { return "p " + listener + "\x00" + upstream }

// busy returns what has open connections: listeners, upstreams and pairs of them, by their keys.
func (c *counters) busy() map[string]bool {
	busy := map[string]bool{}
	note := func(t *traffic) {
		if t.active() > 0 {
			busy[listenerKey(t.listener)], busy[upstreamKey(t.upstream)], busy[pairKey(t.listener, t.upstream)] = true, true, true
		}
	}
	for _, l := range c.allListeners() {
		note(l.unrouted)
	}
	for _, u := range c.allUpstreams() {
		if u.open.Load() > 0 {
			busy[upstreamKey(u.name)] = true
		}
		for _, t := range u.allTraffic() {
			note(t)
		}
	}
	return busy
}

// forget forgets the counters for which due returns true, and adds their values to the sums of what was forgotten.
func (c *counters) forget(due func(key any, name string) bool) (g gone) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.listeners = slices.DeleteFunc(slices.Clone(c.listeners), func(l *listenerCounters) bool {
		if !due(l, listenerKey(l.name)) {
			return false
		}
		c.gone.Accepted += l.accepted()
		g.listeners = append(g.listeners, l)
		return true
	})
	for name, u := range c.upstreams {
		g.traffic = append(g.traffic, u.forget(due)...)
		if due(u, upstreamKey(name)) {
			left, sum := u.counts()
			for _, t := range left {
				sum.add(t)
			}
			c.gone.Bytes = added(c.gone.Bytes, sum.bytes)
			delete(c.upstreams, name)
		}
	}
	return g
}

// forget forgets the counters of single listeners for which due returns true, and adds their values to u.gone.
func (u *upstreamCounters) forget(due func(key any, name string) bool) (gone []*traffic) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.traffic = slices.DeleteFunc(slices.Clone(u.traffic), func(t *traffic) bool {
		if !due(t, pairKey(t.listener, t.upstream)) {
			return false
		}
		u.gone.add(t)
		gone = append(gone, t)
		return true
	})
	return gone
}

// trafficSum adds up traffic counters.
type trafficSum struct {
	bytes relay.Bytes
	ended uint64
}

// add adds the values of t.
func (s *trafficSum) add(t *traffic) {
	s.bytes = added(s.bytes, t.bytes.Sum())
	for _, r := range reasonList {
		s.ended += t.ended(r)
	}
}

// added returns the sum of a and b.
func added(a, b relay.Bytes) relay.Bytes {
	return relay.Bytes{Up: a.Up + b.Up, Down: a.Down + b.Down, SplicedUp: a.SplicedUp + b.SplicedUp, SplicedDown: a.SplicedDown + b.SplicedDown}
}

// freeIndex returns the lowest index that no listener has. The caller holds c.mu.
func (c *counters) freeIndex() (index int) {
	taken := make(map[int]bool, len(c.listeners))
	for _, l := range c.listeners {
		taken[l.index] = true
	}
	for taken[index] {
		index++
	}
	return index
}
