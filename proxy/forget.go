package proxy

import (
	"slices"
	"time"

	"github.com/l4fwd/l4fwd/proxy/relay"
)

const (
	// retention is how long the counters of a listener, an upstream or a name that a reload removed stay after the last
	// connection that uses them. It is longer than any usual interval between two scrapes, so that the last values are seen.
	retention = 5 * time.Minute
	// sweepInterval is how often a forwarder looks for counters to forget, while there are any.
	sweepInterval = time.Minute
)

// removed knows since when counters are not in use. It is empty, and its timer rests, until a reload removes something. Its
// fields are under Server.reloading.
type removed struct {
	since map[any]time.Time // *listenerCounters, *upstreamCounters, *traffic or the name that is looked up
	timer *time.Timer       // nil: nothing was removed yet
	ended bool
}

// Forgotten are the sums over what has no figures of its own any more, since a reload removed it. They go into sums over all
// listeners and upstreams, which would go backwards without them.
type Forgotten struct {
	Accepted uint64
	Bytes    relay.Bytes
}

// sweepLater sweeps, and again after an interval as long as something is left to forget. The caller holds s.reloading.
func (s *Server) sweepLater() {
	if s.removed.ended || !s.sweep(time.Now()) {
		return
	}
	if s.removed.timer == nil {
		s.removed.timer = time.AfterFunc(sweepInterval, func() {
			s.reloading.Lock()
			defer s.reloading.Unlock()
			s.sweepLater()
		})
		return
	}
	s.removed.timer.Reset(sweepInterval)
}

// stopSweeps ends the timer. The caller holds s.reloading.
func (s *Server) stopSweeps() {
	s.removed.ended = true
	if s.removed.timer != nil {
		s.removed.timer.Stop()
	}
}

// sweep forgets the counters that were not in use, and had no connection, for the retention before now. It reports whether others
// are to follow. The caller holds s.reloading, so that no reload takes counters up again meanwhile.
func (s *Server) sweep(now time.Time) (waiting bool) {
	t := s.policy.table.Load()
	w := sweeper{since: map[any]time.Time{}, before: s.removed.since, used: s.inUse(t), busy: s.counters.busy(), now: now}
	gone := s.counters.forget(w.due)
	s.lookups.forget(func(name string) bool { return w.due(name, name) })
	t.forgetTraffic(gone.traffic)
	if len(gone.listeners) > 0 {
		s.policy.table.Store(t.without(gone.listeners))
	}
	s.removed.since = w.since
	return len(w.since) > 0
}

// sweeper decides what one sweep forgets.
type sweeper struct {
	before, since map[any]time.Time
	used          map[any]bool
	busy          map[string]bool
	now           time.Time
}

// due reports whether counters are to be forgotten, and notes those that will be later. name is that in busy.
func (w *sweeper) due(key any, name string) bool {
	if w.used[key] {
		return false
	}
	since, known := w.before[key]
	if !known || w.busy[name] {
		since = w.now
	}
	if known && w.now.Sub(since) >= retention {
		return true
	}
	w.since[key] = since
	return false
}

// inUse returns the counters, and the names that are looked up, of the configuration in use.
func (s *Server) inUse(t *table) map[any]bool {
	used := map[any]bool{}
	for _, ln := range t.opts.Listeners {
		r := t.rules[s.counters.listener(ln.Name).index]
		used[r.counters], used[r.unrouted] = true, true
		for _, counts := range r.byRoute {
			used[counts] = true
		}
	}
	for _, at := range t.targets {
		used[at.counters] = true
		for _, src := range at.sources {
			used[src.host] = true
		}
	}
	return used
}

// without returns the table without the rules of listeners that are gone for so long that no client of theirs is on its way.
func (t *table) without(gone []*listenerCounters) *table {
	next := *t
	next.rules = slices.Clone(t.rules)
	for _, l := range gone {
		next.rules[l.index] = nil
	}
	for n := len(next.rules); n > 0 && next.rules[n-1] == nil; n-- {
		next.rules = next.rules[:n-1]
	}
	return &next
}

// forgetTraffic drops the endpoints of connections that counted in gone.
func (t *table) forgetTraffic(gone []*traffic) {
	for _, at := range t.targets {
		for _, a := range at.set.Addresses() {
			for _, counts := range gone {
				a.Tag.(*endpoints).byTraffic.Delete(counts)
			}
		}
	}
}
