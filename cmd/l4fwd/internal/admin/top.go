package admin

import (
	"cmp"
	"context"
	"slices"
	"time"
)

const (
	topCount = 8 // rows of each kind

	// topInterval is the shortest time between two listings for the status page. A listing that takes long is made more rarely:
	// at most one part in topShare of the time is spent on them, whatever the number of connections.
	topInterval = streamInterval
	topShare    = 250

	// topCosts is of how many listings the shortest counts. One that took long by chance, because the machine was busy, would
	// otherwise leave the page with an old listing for minutes.
	topCosts = 3
)

// topConns are the connections that the status page shows.
type topConns struct {
	At      time.Time `json:"at,omitzero"` // of the listing, which may be older than the message; absent: there was none
	Total   int       `json:"total"`
	Busiest []Conn    `json:"busiest"`
	Oldest  []Conn    `json:"oldest"`
	Error   string    `json:"error,omitempty"` // why there is no newer listing
}

// top lists the busiest and the oldest connections. Its user calls list from one goroutine at a time.
type top struct {
	d     Daemon
	looks *looks
	took  [topCosts]time.Duration // by the last listings, the newest first; 0: there was none
	next  time.Time               // when another listing may be made
	last  topConns
}

// newTop has no connections before the first list.
func newTop(d Daemon, l *looks) *top {
	return &top{d: d, looks: l, last: topConns{Busiest: []Conn{}, Oldest: []Conn{}}}
}

// list returns the present connections, or those of a moment ago.
func (t *top) list() topConns {
	begun := time.Now()
	if begun.Before(t.next) {
		return t.last
	}
	ctx, cancel := context.WithTimeout(context.Background(), streamPatience)
	defer cancel()
	if all, err := t.looks.take(ctx, t.d.Connections); err != nil {
		t.last.Error = err.Error()
	} else {
		t.last = topConns{At: all.At, Total: len(all.Conns), Busiest: first(all.Conns, sorts["rate"]), Oldest: first(all.Conns, sorts["age"])}
	}
	copy(t.took[1:], t.took[:])
	t.took[0] = time.Since(begun)
	t.next = time.Now().Add(max(topInterval, topShare*slices.Min(t.took[:])))
	return t.last
}

// first returns the first topCount of all in an order, without sorting the others.
func first(all []Conn, order func(a, b *Conn) int) []Conn {
	best := make([]*Conn, 0, topCount+1)
	for i := range all {
		c := &all[i]
		at, _ := slices.BinarySearchFunc(best, c, func(a, b *Conn) int { return cmp.Or(order(a, b), cmp.Compare(a.ID, b.ID)) })
		if at < topCount {
			best = slices.Insert(best, at, c)
			best = best[:min(len(best), topCount)]
		}
	}
	rows := make([]Conn, len(best))
	for i, c := range best {
		rows[i] = *c
	}
	return rows
}
