package limit

import (
	"sync/atomic"
	"time"
)

// bucket is a token bucket that holds the tokens of one second, in the form of the generic cell rate algorithm: full is
// the time at which the bucket is full again if nothing more is taken. It is one word, so that loops need no lock.
type bucket struct {
	interval atomic.Int64              // nanoseconds a token takes to come; 0: no limit
	base     atomic.Pointer[time.Time] // when a rate was first set
	_        [48]byte
	full     atomic.Int64 // nanoseconds since base
	_        [56]byte
}

const depth = time.Second

// set changes the rate. The bucket stays as full as it is.
func (b *bucket) set(perSecond int) {
	if perSecond == 0 {
		b.interval.Store(0)
		return
	}
	now := time.Now()
	b.base.CompareAndSwap(nil, &now)
	b.interval.Store(int64(time.Second) / int64(perSecond))
}

// taken returns how long the tokens that are taken take to come back.
func (b *bucket) taken() time.Duration {
	base := b.base.Load()
	if base == nil || b.interval.Load() == 0 {
		return 0
	}
	return max(time.Duration(b.full.Load())-time.Since(*base), 0)
}

// take takes tokens that take so long to come back.
func (b *bucket) take(d time.Duration) {
	if base := b.base.Load(); base != nil {
		b.full.Store(int64(time.Since(*base) + min(d, depth)))
	}
}

// allow takes a token if there is one.
func (b *bucket) allow() bool {
	interval := b.interval.Load()
	if interval == 0 {
		return true
	}
	now := int64(time.Since(*b.base.Load())) // by the monotonic clock
	for {
		full := b.full.Load()
		next := max(full, now) + interval
		if next-now > int64(depth) {
			return false
		}
		if b.full.CompareAndSwap(full, next) {
			return true
		}
	}
}
