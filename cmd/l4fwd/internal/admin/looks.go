package admin

import (
	"context"
	"math"
	"sync"
	"time"

	"github.com/l4fwd/l4fwd/proxy"
)

// looks makes listings of the connections, one at a time, and keeps what the rates of the next one need.
type looks struct {
	places chan struct{} // of size looksAtOnce
	limit  time.Duration // lookTime

	mu     sync.Mutex
	bases  [2]base // the newest first
	forget *time.Timer
}

// base is how many bytes each connection had moved at a listing.
type base struct {
	at    time.Time // zero: there is none
	bytes map[uint64][2]uint64
}

const (
	shortestRate = time.Second // an earlier listing that is younger gives no rate worth reading
	keepBases    = time.Minute // what nobody has asked for again is forgotten
)

// newLooks allows looksAtOnce listings at a time, each for at most lookTime.
func newLooks() *looks { return &looks{places: make(chan struct{}, looksAtOnce), limit: lookTime} }

// take makes a listing of all connections.
func (l *looks) take(ctx context.Context, look func(context.Context) (proxy.Listing, error)) (ConnList, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	begun := time.Now()
	seen, err := look(ctx)
	if err != nil {
		return ConnList{}, err
	}
	now, all := time.Now(), seen.Connections
	list := ConnList{At: now.UTC().Truncate(time.Millisecond), Took: float64(now.Sub(begun).Microseconds()) / 1000, Held: float64(seen.Held.Microseconds()) / 1000, Conns: make([]Conn, len(all))}
	from := l.base(now)
	for i := range all {
		c := &list.Conns[i]
		c.Connection = all[i]
		c.rate(from, now)
	}
	l.keep(now, all)
	return list, nil
}

// base is the listing that rates are from: the newest that is old enough, nil if there is none.
func (l *looks) base(now time.Time) *base {
	for i := range l.bases {
		if b := &l.bases[i]; !b.at.IsZero() && now.Sub(b.at) >= shortestRate && now.Sub(b.at) <= keepBases {
			return b
		}
	}
	return nil
}

// rate sets the rates of a connection since from, or over its life if from does not have it.
func (c *Conn) rate(from *base, now time.Time) {
	c.RateSince, c.RateSeconds = "life", c.Age
	var had [2]uint64
	if from != nil {
		if b, ok := from.bytes[c.ID]; ok {
			had, c.RateSince, c.RateSeconds = b, "look", float64(now.Sub(from.at).Milliseconds())/1000
		}
	}
	if c.RateSeconds > 0 {
		c.RateUp = math.Round(float64(c.BytesUp-min(had[0], c.BytesUp)) / c.RateSeconds)
		c.RateDown = math.Round(float64(c.BytesDown-min(had[1], c.BytesDown)) / c.RateSeconds)
	}
}

// keep notes the bytes for later listings, unless the newest note is too young for another, and has all notes forgotten once
// nobody asks any more.
func (l *looks) keep(now time.Time, all []proxy.Connection) {
	if l.bases[0].at.IsZero() || now.Sub(l.bases[0].at) >= shortestRate {
		b := base{at: now, bytes: make(map[uint64][2]uint64, len(all))}
		for i := range all {
			b.bytes[all[i].ID] = [2]uint64{all[i].BytesUp, all[i].BytesDown}
		}
		l.bases = [2]base{b, l.bases[0]}
	}
	if l.forget == nil {
		l.forget = time.AfterFunc(keepBases, func() {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.bases = [2]base{}
		})
	}
	l.forget.Reset(keepBases)
}
