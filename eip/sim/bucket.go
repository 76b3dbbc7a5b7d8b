package sim

import (
	"sync"
	"time"
)

// Bucket is a token bucket: full at first, one token a call. A call that finds it empty takes none.
type Bucket struct {
	size, perSecond float64

	mu     sync.Mutex
	tokens float64
	at     time.Time
}

// NewBucket returns a full bucket of size tokens that gets perSecond new ones a second.
func NewBucket(size int, perSecond float64) *Bucket {
	return &Bucket{size: float64(size), perSecond: perSecond, tokens: float64(size), at: time.Now()}
}

// Take takes a token and reports whether there was one.
func (b *Bucket) Take() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	b.tokens = min(b.size, b.tokens+now.Sub(b.at).Seconds()*b.perSecond)
	b.at = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}
