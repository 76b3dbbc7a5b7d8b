package eip

import (
	"math/rand/v2"
	"time"
)

// backoff is a wait that grows from first to limit by factor. Each wait is spread at random between half of it and one and a half of
// it, so that daemons that failed together do not retry together.
type backoff struct {
	first, limit time.Duration
	factor       float64
	wait         time.Duration // the last one, before it was spread; 0: none yet
}

// next returns how long to wait now.
func (b *backoff) next() time.Duration {
	if b.wait == 0 {
		b.wait = b.first
	} else {
		b.wait = min(b.limit, time.Duration(float64(b.wait)*b.factor))
	}
	return b.wait/2 + rand.N(b.wait)
}

// reset makes the next wait the first one again.
func (b *backoff) reset() { b.wait = 0 }
