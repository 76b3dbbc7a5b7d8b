package upstream

import "time"

const (
	avoidFirst = time.Second
	avoidMax   = 30 * time.Second
)

// Avoided reports whether an attempt at the address failed a short time ago, so that another address is preferred.
func (r *record) Avoided(now time.Time) bool { return r.avoided(stamp(now)) }

// avoided is Avoided with a stamp.
func (r *record) avoided(now int64) bool {
	return r.failures.Load() > 0 && now < r.avoid.Load() || r.slow.Load() > 0 && now < r.slowUntil.Load()
}

// fail notes a failed attempt and returns how many failed in a row. The address is avoided for 1, 2, 4 … 30 s.
func (r *record) fail(now time.Time) uint32 {
	n := r.failures.Add(1)
	r.avoid.Store(stamp(now.Add(avoidFor(n))))
	return n
}

// avoidFor is how long an address is avoided after the n-th failure in a row: 1, 2, 4 … 30 s.
func avoidFor(n uint32) time.Duration {
	if n < 6 {
		return avoidFirst << (n - 1)
	}
	return avoidMax
}

// outpaced notes that an attempt begun later, at another address, connected first. The address is avoided for 1, 2, 4 … 30 s.
// Attempts that lose together count once.
func (r *record) outpaced(now time.Time) {
	if stamp(now) < r.slowUntil.Load() && !r.onTrial.CompareAndSwap(true, false) {
		return
	}
	n := r.slow.Add(1)
	r.slowUntil.Store(stamp(now.Add(avoidFor(n))))
}

// tryAgain lets one attempt show whether an address is slow still. Others avoid it meanwhile.
func (r *record) tryAgain(now int64) {
	if r.slow.Load() > 0 && now >= r.slowUntil.Load() {
		r.slowUntil.Store(now + int64(avoidFirst))
		r.onTrial.Store(true)
	}
}
