package upstream

import (
	"slices"
	"time"
)

// Pick chooses the address for an attempt and counts it as in use until Release. tried are the addresses at which this
// connection failed, in this order: they are picked again only if all were tried. It returns nil if the set is empty, or
// an operator has ejected all of it. It allocates nothing.
//
// Usable primaries go first, then usable backups, then ejected addresses, then those that failed their check. Among equals an
// address that did not fail lately goes first, then one that is checked, then one of another family than the last tried, so
// that a family without a route costs one attempt. Balance decides between the rest.
func (s *Set) Pick(tried []*Address) *Address {
	a := s.pick(tried)
	if a != nil {
		a.active.Add(1)
	}
	return a
}

// PickBeside is Pick for an attempt beside others that are under way, at addresses of tried. It returns nil if no further
// address is usable: what is ejected or failed its check is worth an attempt only when nothing else is left.
func (s *Set) PickBeside(tried []*Address) *Address {
	a := s.pick(tried)
	if a == nil || slices.Contains(tried, a) || !a.Usable(time.Now()) {
		return nil
	}
	a.active.Add(1)
	return a
}

// pick chooses as Pick does, and counts nothing.
func (s *Set) pick(tried []*Address) *Address {
	snap := s.cur.Load()
	switch len(snap.list) {
	case 0:
		return nil
	case 1:
		if a := snap.list[0]; a.manual.Load() == 0 || !a.outByHand(stamp(time.Now())) {
			return a
		}
		return nil
	}
	c := choice{set: s, snap: snap, tried: tried, now: stamp(time.Now()), turn: s.turn.Add(1)}
	a := c.choose()
	if a.outByHand(c.now) { // it ranks last: all are
		return nil
	}
	a.tryAgain(c.now)
	return a
}

// Exchange counts a use of from as one of to, if to is as good as from: of the set, of equal or better standing, and with
// the balance First the same place. It reports whether it did.
func (s *Set) Exchange(from, to *Address) bool {
	snap := s.cur.Load()
	i, k := slices.Index(snap.list, from), slices.Index(snap.list, to)
	if k < 0 || to.outByHand(stamp(time.Now())) || s.opts.Balance == First && i >= 0 && i != k {
		return false
	}
	c := choice{set: s, snap: snap, now: stamp(time.Now())}
	standing := func(i int) int { rank, _ := c.rank(i); return rank &^ rankRamp }
	if i >= 0 && standing(k) > standing(i) {
		return false
	}
	to.active.Add(1)
	from.active.Add(-1)
	return true
}

// Usable reports whether an address is of the set, and neither failed by its check nor ejected.
func (s *Set) Usable(a *Address, now time.Time) bool {
	return a.Usable(now) && slices.Contains(s.cur.Load().list, a)
}

// choice is one Pick among several addresses; turn makes equals take turns.
type choice struct {
	set   *Set
	snap  *snapshot
	tried []*Address
	now   int64
	turn  uint32
}

// choose returns the address of the lowest rank; among these, by Balance.
func (c *choice) choose() *Address {
	n := len(c.snap.list)
	start := 0
	if c.set.opts.Balance == LeastConn {
		start = int(c.turn % uint32(n))
	}
	best, bestRank, bestLoad, equals := 0, -1, int64(0), 0
	for k := range n {
		i := start + k
		if i >= n {
			i -= n
		}
		rank, weight := c.rank(i)
		load := c.load(i, weight)
		switch {
		case bestRank < 0 || rank < bestRank:
			best, bestRank, bestLoad, equals = i, rank, load, 1
		case rank == bestRank:
			equals++
			if load < bestLoad {
				best, bestLoad = i, load
			}
		}
	}
	if c.set.opts.Balance == RoundRobin && equals > 1 {
		return c.nth(bestRank, int(c.turn%uint32(equals)), best)
	}
	return c.snap.list[best]
}

// load is how busy an address is: its connections, where these decide. In slow start each counts for more.
func (c *choice) load(i int, weight int64) int64 {
	if c.set.opts.Balance != LeastConn {
		return 0
	}
	load := c.snap.list[i].Active()
	if weight < whole {
		load = load * whole / weight
	}
	return load
}

// nth returns the k-th address of a rank, or the fallback if there are not so many any more.
func (c *choice) nth(rank, k, fallback int) *Address {
	for i, a := range c.snap.list {
		if r, _ := c.rank(i); r != rank {
			continue
		}
		if k == 0 {
			return a
		}
		k--
	}
	return c.snap.list[fallback]
}

// What makes an address worse than others, the least first.
const (
	rankRamp      = 1 << iota // it came back a short time ago, and this turn is not for it
	rankFamily                // of the family that the last attempt failed in
	rankUnchecked             // its first check is under way
	rankAvoided               // an attempt failed lately
	rankBackup
	rankEjected
	rankDown
	rankTried
	rankManual // never picked
)

// rank is lower the better the address is for this attempt; weight is its share of the connections, see Address.weight.
func (c *choice) rank(i int) (rank int, weight int64) {
	a := c.snap.list[i]
	rank = c.rankAfter(a)
	if i >= c.snap.primaries {
		rank |= rankBackup
	}
	if a.outByHand(c.now) {
		rank |= rankManual
	}
	switch {
	case a.down.Load() != nil:
		rank |= rankDown
	case c.now < a.ejected.Load():
		rank |= rankEjected
	}
	if a.avoided(c.now) || len(c.tried) > 0 && a.slow.Load() > 0 {
		rank |= rankAvoided
	}
	if !c.set.proven(a) {
		rank |= rankUnchecked
	}
	// A multiple of the golden ratio spreads the turns of an address evenly over time.
	weight = a.weight(c.now, c.set.opts.SlowStart)
	if weight < whole && int64(c.turn*2654435769>>22) >= weight {
		rank |= rankRamp
	}
	return rank, weight
}

// rankAfter is what the attempts before add to the rank of an address: it was tried, or has the family of the last one.
func (c *choice) rankAfter(a *Address) (rank int) {
	if len(c.tried) == 0 {
		return 0
	}
	if slices.Contains(c.tried, a) {
		rank |= rankTried
	}
	if c.tried[len(c.tried)-1].Addr.Addr().Is4() == a.Addr.Addr().Is4() {
		rank |= rankFamily
	}
	return rank
}
