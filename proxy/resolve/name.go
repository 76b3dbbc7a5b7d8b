package resolve

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Name is a watched name. Its methods may be called from several goroutines.
type Name struct {
	r      *Resolver
	name   string // as given
	notify func([]netip.Addr)
	hosts  hostsFile

	cancel  context.CancelFunc
	ctx     context.Context
	done    chan struct{}                // closed when the goroutine ended
	refresh chan struct{}                // holds one: somebody asks for an early lookup
	addrs   atomic.Pointer[[]netip.Addr] // never nil, the slice in it is immutable

	mu    sync.Mutex // the goroutine writes, others read
	good  good
	stats Stats // without what good and addrs know
}

// good is the last good answer, by family: a family whose lookup fails keeps its
// addresses while the other gets new ones.
type good struct {
	v4, v6   []netip.Addr
	source   string
	answered time.Time
	ttl      time.Duration
	from     family // the family that has addresses, IPv4 first: server and alias chain
}

// newName returns a name whose goroutine does not run yet.
func newName(r *Resolver, name string, notify func([]netip.Addr)) *Name {
	n := &Name{
		r: r, name: name, notify: notify,
		hosts:   hostsFile{path: r.opts.Hosts, key: key(name)},
		done:    make(chan struct{}),
		refresh: make(chan struct{}, 1),
	}
	n.ctx, n.cancel = context.WithCancel(r.ctx)
	n.addrs.Store(new([]netip.Addr))
	n.stats = Stats{Name: name, Lookups: make(map[Result]uint64)}
	return n
}

// Addrs returns the addresses of the last good answer: as answered, without doubles,
// IPv4 before IPv6, at most MaxAddrs; nil before the first. It takes no lock and
// allocates nothing; the slice is shared and only to be read. While the set stays the
// same its order does, too, however the server rotates.
func (n *Name) Addrs() []netip.Addr { return *n.addrs.Load() }

// Refresh asks for an early lookup, for example because all addresses fail. It never
// blocks. Several calls count as one, and a lookup starts at the earliest one second
// after the end of the last.
func (n *Name) Refresh() {
	select {
	case n.refresh <- struct{}{}:
	default:
	}
}

// Stats returns the state of the name. The result is the caller's, except Addrs.
func (n *Name) Stats() Stats {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := n.stats
	s.Addrs = n.Addrs()
	s.Answered, s.TTL = n.good.answered, n.good.ttl
	s.Server, s.Aliases, s.Canonical = n.good.from.server, n.good.from.aliases, n.good.from.end
	s.Lookups = make(map[Result]uint64, len(n.stats.Lookups))
	for r, count := range n.stats.Lookups {
		s.Lookups[r] = count
	}
	return s
}

// Close ends the watch and returns when its goroutine has ended. A lookup under way is
// cut short; notify and OnLookup are not called afterwards. Close may be called more
// than once, but not from these two. Addrs and Stats keep their values.
func (n *Name) Close() {
	n.cancel()
	<-n.done
	n.r.forget(n)
}

// inherit takes over the last good answer of another Name before run starts.
func (n *Name) inherit(from *Name) {
	from.mu.Lock()
	defer from.mu.Unlock()
	n.good = from.good
	n.addrs.Store(from.addrs.Load())
}

// run is the name's goroutine.
func (n *Name) run() {
	defer close(n.done)
	if addrs := n.Addrs(); len(addrs) > 0 { // an IP address, or inherited
		n.notify(addrs)
	}
	if n.stats.Literal {
		return
	}
	for n.ctx.Err() == nil {
		// The lookup that starts now serves every Refresh until now.
		select {
		case <-n.refresh:
		default:
		}
		start := time.Now()
		o := n.r.lookup(n.ctx, n.name, &n.hosts, n.good.source)
		if n.ctx.Err() != nil {
			return
		}
		n.sleep(n.apply(o, time.Since(start)))
	}
}

// sleep waits until the next lookup is due, or Refresh brings it forward.
func (n *Name) sleep(d time.Duration) {
	end := time.Now()
	timer := time.NewTimer(d)
	defer timer.Stop()
	refresh := n.refresh
	for {
		select {
		case <-n.ctx.Done():
			return
		case <-timer.C:
			return
		case <-refresh:
			refresh = nil // one is enough
			early := max(0, refreshGap-time.Since(end))
			if left := d - time.Since(end); early < left {
				timer.Reset(early)
				n.due(early)
			}
		}
	}
}

// due notes that the next lookup comes after in.
func (n *Name) due(in time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.stats.Next = time.Now().Add(in)
}

// apply publishes what a lookup found, calls notify and OnLookup, and returns the time
// until the next lookup.
func (n *Name) apply(o outcome, took time.Duration) time.Duration {
	l := Lookup{Name: n.name, Result: o.result, Took: took}
	if o.err != nil {
		l.Err = fmt.Errorf("resolve %s: %w", n.name, o.err)
	}
	if o.partial != nil {
		l.Partial = fmt.Errorf("resolve %s: %w", n.name, o.partial)
	}
	n.mu.Lock()
	if o.result == OK {
		n.publish(o, &l)
	}
	n.count(o, &l)
	n.mu.Unlock()

	l.Addrs = n.Addrs()
	if l.Changed {
		n.notify(l.Addrs)
	}
	n.r.opts.OnLookup(l)
	return l.Next
}

// publish makes a good answer the one in use. The caller holds n.mu.
func (n *Name) publish(o outcome, l *Lookup) {
	was := n.good
	if was.source != o.source { // addresses of another name cannot replace a failed family
		was.v4, was.v6 = nil, nil
	}
	n.good = good{
		v4: o.v4.instead(was.v4), v6: o.v6.instead(was.v6),
		source: o.source, answered: time.Now(), ttl: n.r.clamp(o.ttl), from: o.v4,
	}
	if o.v4.result != OK {
		n.good.from = o.v6
	}
	l.TTL, l.Server = n.good.ttl, n.good.from.server

	old, fresh := n.Addrs(), slices.Concat(n.good.v4, n.good.v6)
	if fresh = tidy(fresh, MaxAddrs); sameSet(old, fresh) {
		return
	}
	n.addrs.Store(&fresh)
	l.Changed, l.Added, l.Removed = true, without(fresh, old), without(old, fresh)
}

// instead returns the addresses to use in place of old ones: a family that failed
// keeps the old ones; one that answered does not, even if the answer is empty.
func (f *family) instead(old []netip.Addr) []netip.Addr {
	if f.result.failed() {
		return old
	}
	return f.addrs
}

// count counts a lookup and plans the next. The caller holds n.mu.
func (n *Name) count(o outcome, l *Lookup) {
	s := &n.stats
	s.Lookups[o.result]++
	s.LastResult, s.LastError = o.result, ""
	if l.Err != nil {
		s.LastError = l.Err.Error()
	}
	s.Failures++
	if o.result == OK {
		s.Failures = 0
	}
	l.Next = n.r.next(o, s.Failures, len(n.Addrs()) > 0)
	s.Next = time.Now().Add(l.Next)
}

// sameSet reports whether two lists without doubles have the same addresses in any order.
func sameSet(a, b []netip.Addr) bool {
	return len(a) == len(b) && len(without(a, b)) == 0
}

// without returns what a has and b has not.
func without(a, b []netip.Addr) []netip.Addr {
	var rest []netip.Addr
	for _, x := range a {
		if !slices.Contains(b, x) {
			rest = append(rest, x)
		}
	}
	return rest
}
