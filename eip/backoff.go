package eip

import (
	"math/rand/v2"
	"time"
)

// backoff grows from first to limit by factor with each next, and spreads each wait over half to one and a half of it,
// so that daemons that failed together do not come back together.
type backoff struct {
	first, limit time.Duration
	factor       float64
	wait         time.Duration
}

func (b *backoff) next() time.Duration {
	if b.wait == 0 {
		b.wait = b.first
	} else {
		b.wait = min(b.limit, time.Duration(float64(b.wait)*b.factor))
	}
	return b.wait/2 + rand.N(b.wait)
}

func (b *backoff) reset() { b.wait = 0 }
