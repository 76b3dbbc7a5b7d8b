package resolve

import (
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Saved is the last good answer for a name on its way to the Resolver of the next process. A field may be added, and never changes
// its meaning.
type Saved struct {
	Name     string        `json:"name"`
	V4       []netip.Addr  `json:"v4,omitempty"`
	V6       []netip.Addr  `json:"v6,omitempty"`
	Source   string        `json:"source,omitempty"` // the absolute name that was asked for
	Answered time.Time     `json:"answered"`
	TTL      time.Duration `json:"ttl"` // nanoseconds
}

// Save returns the last good answer for each name that has one.
func (r *Resolver) Save() (all []Saved) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for n := range r.names {
		n.mu.Lock()
		if g := &n.good; !g.answered.IsZero() {
			all = append(all, Saved{Name: n.name, V4: g.v4, V6: g.v6, Source: g.source, Answered: g.answered, TTL: g.ttl})
		}
		n.mu.Unlock()
	}
	return all
}

// recall gives a name that begins to be watched the answer of the process before. Its own first lookup comes at once, as for each
// name.
func (n *Name) recall(all []Saved) {
	i := slices.IndexFunc(all, func(s Saved) bool { return strings.EqualFold(s.Name, n.name) })
	if i < 0 {
		return
	}
	s := &all[i]
	addrs := tidy(slices.Concat(s.V4, s.V6), MaxAddrs)
	if len(addrs) == 0 {
		return
	}
	n.good = good{v4: s.V4, v6: s.V6, source: s.Source, answered: s.Answered, ttl: s.TTL}
	n.addrs.Store(&addrs)
}
