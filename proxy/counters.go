package proxy

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/l4fwd/l4fwd/proxy/limit"
	"github.com/l4fwd/l4fwd/proxy/relay"
)

// Counters have one cell for each loop, so that loops do not share cache lines. The cells are added up when somebody asks.

var reasonList = relay.Reasons()

// reasons is the length of an array that is indexed by a relay.Reason, None included.
const reasons = relay.NumReasons

// counters holds all counters by the names of listeners and upstreams. What a reload removes stays for a while after its last
// connection (Server.sweep): a counter goes on from its value when a name comes back soon, and open connections still count.
type counters struct {
	loops int

	mu        sync.Mutex // of the two lists; the counters in them take no lock
	listeners []*listenerCounters
	upstreams map[string]*upstreamCounters
	gone      Forgotten
}

// newCounters returns counters for loops 0 to loops-1.
func newCounters(loops int) *counters {
	return &counters{loops: loops, upstreams: make(map[string]*upstreamCounters)}
}

// listener returns the counters of the listener of that name and makes them if there are none.
func (c *counters) listener(name string) *listenerCounters {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range c.listeners {
		if l.name == name {
			return l
		}
	}
	l := newListenerCounters(name, c.freeIndex(), c.loops)
	c.listeners = append(c.listeners, l)
	return l
}

// upstream returns the counters of the upstream of that name and makes them if there are none.
func (c *counters) upstream(name string) *upstreamCounters {
	c.mu.Lock()
	defer c.mu.Unlock()
	u := c.upstreams[name]
	if u == nil {
		u = newUpstreamCounters(name, c.loops)
		c.upstreams[name] = u
	}
	return u
}

// mark returns a function that forgets the counters made since, for a reload that fails: names that were never in use must
// not be seen. Only one reload runs at a time, and nothing else makes counters.
func (c *counters) mark() (forget func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	listeners, upstreams, pairs := slices.Clone(c.listeners), maps.Clone(c.upstreams), map[*upstreamCounters][]*traffic{}
	routed := make([]bool, len(listeners))
	for i, l := range listeners {
		routed[i] = l.routed.Load()
	}
	for _, u := range upstreams {
		pairs[u] = u.allTraffic()
	}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.listeners, c.upstreams = listeners, upstreams
		for i, l := range listeners {
			l.routed.Store(routed[i])
		}
		for u, t := range pairs {
			u.mu.Lock()
			u.traffic = t
			u.mu.Unlock()
		}
	}
}

// allListeners returns a copy of the list of listeners.
func (c *counters) allListeners() []*listenerCounters {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.listeners)
}

// all returns copies of both lists, and the sums over those that were in them once, all of the same moment.
func (c *counters) all() ([]*listenerCounters, []*upstreamCounters, Forgotten) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.listeners), slices.Collect(maps.Values(c.upstreams)), c.gone
}

// allUpstreams returns the upstreams in no particular order.
func (c *counters) allUpstreams() []*upstreamCounters {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Values(c.upstreams))
}

// listenerCounters counts the clients of one listener. It is the Tag of the relay's listeners of that name.
type listenerCounters struct {
	name     string
	index    int // in table.rules
	cells    []*listenerCell
	sources  limit.Scope // open connections of each source
	unrouted *traffic    // connections of a listener with routes that have no upstream yet
	routed   atomic.Bool // the listener has routes, or had some
}

type listenerCell struct {
	accepted atomic.Uint64
	refused  [reasons]atomic.Uint64
	_        [64]byte
}

// newListenerCounters returns the counters of a listener with a place in table.rules.
func newListenerCounters(name string, index, loops int) *listenerCounters {
	l := &listenerCounters{name: name, index: index, unrouted: newTraffic(name, "", loops)}
	for range loops {
		l.cells = append(l.cells, new(listenerCell))
	}
	return l
}

// accepted returns how many clients were accepted, refused ones included.
func (l *listenerCounters) accepted() (n uint64) {
	for _, c := range l.cells {
		n += c.accepted.Load()
	}
	return n
}

// refused returns how many clients were refused for the reason.
func (l *listenerCounters) refused(r relay.Reason) (n uint64) {
	for _, c := range l.cells {
		n += c.refused[r].Load()
	}
	return n
}

// refusals returns how many clients were refused, and the number for each reason that occurred; the map is nil if none did.
func (l *listenerCounters) refusals() (all uint64, by map[string]uint64) {
	for _, r := range reasonList {
		if n := l.refused(r); n > 0 {
			if by == nil {
				by = map[string]uint64{}
			}
			all += n
			by[r.String()] = n
		}
	}
	return all, by
}

// upstreamCounters counts for one upstream. Reloads replace the target of that name and keep its counters.
type upstreamCounters struct {
	name       string
	loops      int
	open       atomic.Int64 // connections that made an attempt, for max_connections
	dialErrors [reasons]atomic.Uint64
	outpaced   atomic.Uint64 // attempts that another one for the same client beat
	connect    *histogram
	firstByte  *histogram
	duration   *histogram
	warm       []*warmCell // by loop
	storm      storm

	mu      sync.Mutex // of the list
	traffic []*traffic
	gone    trafficSum // over what was in traffic once
}

// newUpstreamCounters returns the counters of an upstream, all zero.
func newUpstreamCounters(name string, loops int) *upstreamCounters {
	u := &upstreamCounters{
		name:      name,
		loops:     loops,
		connect:   newHistogram(connectBounds, loops),
		firstByte: newHistogram(firstByteBounds, loops),
		duration:  newHistogram(durationBounds, loops),
	}
	for range loops {
		u.warm = append(u.warm, new(warmCell))
	}
	return u
}

// from returns the counters of connections from a listener to the upstream and makes them if there are none.
func (u *upstreamCounters) from(listener string) *traffic {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, t := range u.traffic {
		if t.listener == listener {
			return t
		}
	}
	t := newTraffic(listener, u.name, u.loops)
	u.traffic = append(u.traffic, t)
	return t
}

// allTraffic returns the counters of each listener that has, or had, this upstream.
func (u *upstreamCounters) allTraffic() []*traffic {
	all, _ := u.counts()
	return all
}

// counts returns the counters of each listener, and the sum over those that are forgotten, both of the same moment.
func (u *upstreamCounters) counts() ([]*traffic, trafficSum) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Clone(u.traffic), u.gone
}

// traffic counts the connections from one listener to one upstream.
type traffic struct {
	listener, upstream string
	bytes              *relay.Tally
	cells              []*trafficCell
}

type trafficCell struct {
	active atomic.Int64
	ended  [reasons]atomic.Uint64
	_      [64]byte
}

// newTraffic returns the counters of a listener and an upstream, all zero.
func newTraffic(listener, upstream string, loops int) *traffic {
	t := &traffic{listener: listener, upstream: upstream, bytes: relay.NewTally(loops)}
	for range loops {
		t.cells = append(t.cells, new(trafficCell))
	}
	return t
}

// active returns how many connections are open.
func (t *traffic) active() (n int64) {
	for _, c := range t.cells {
		n += c.active.Load()
	}
	return n
}

// ended returns how many connections ended for the reason.
func (t *traffic) ended(r relay.Reason) (n uint64) {
	for _, c := range t.cells {
		n += c.ended[r].Load()
	}
	return n
}
