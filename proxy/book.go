package proxy

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
)

// book keeps what is counted, by the names of listeners and upstreams. Nothing leaves it: a counter goes on where it was
// when a name comes back, and what connections of a listener that is gone still do is counted.
type book struct {
	loops int

	mu       sync.Mutex // of the lists; what is counted in them takes no lock
	gates    []*gate
	accounts map[string]*account
}

func newBook(loops int) *book { return &book{loops: loops, accounts: make(map[string]*account)} }

// gate returns the counters of a listener.
func (b *book) gate(listener string) *gate {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, g := range b.gates {
		if g.listener == listener {
			return g
		}
	}
	g := newGate(listener, len(b.gates), b.loops)
	b.gates = append(b.gates, g)
	return g
}

// account returns the counters of an upstream.
func (b *book) account(upstream string) *account {
	b.mu.Lock()
	defer b.mu.Unlock()
	a := b.accounts[upstream]
	if a == nil {
		a = newAccount(upstream, b.loops)
		b.accounts[upstream] = a
	}
	return a
}

func (b *book) allGates() []*gate {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.gates)
}

func (b *book) allAccounts() []*account {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Collect(maps.Values(b.accounts))
}

// account counts what concerns one upstream, whatever became of the target of that name.
type account struct {
	upstream   string
	loops      int
	open       atomic.Int64 // connections that made an attempt, for max_connections
	dialErrors [reasons]atomic.Uint64
	connect    *histogram
	firstByte  *histogram
	duration   *histogram
	warm       []*warmCell // by loop

	mu    sync.Mutex // of the list
	pairs []*pair
}

func newAccount(upstream string, loops int) *account {
	a := &account{
		upstream:  upstream,
		loops:     loops,
		connect:   newHistogram(connectBounds, loops),
		firstByte: newHistogram(firstByteBounds, loops),
		duration:  newHistogram(durationBounds, loops),
	}
	for range loops {
		a.warm = append(a.warm, new(warmCell))
	}
	return a
}

// pair returns the counters of connections from a listener to the upstream.
func (a *account) pair(listener string) *pair {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, p := range a.pairs {
		if p.listener == listener {
			return p
		}
	}
	p := newPair(listener, a.upstream, a.loops)
	a.pairs = append(a.pairs, p)
	return p
}

func (a *account) allPairs() []*pair {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.pairs)
}
