package relay

import "time"

// maxReplay is the most that is kept of what a client sent on a warm connection, in bytes: a ClientHello has 0.3 to 2 KiB.
const maxReplay = 16 << 10

const (
	restMin  = 500 * time.Millisecond // after the first connection that fails, or that its peer ends early
	restMax  = time.Minute
	restNone = time.Second // where there is nothing to connect to
	// A connection that its peer ends before this part of MaxIdle is over was ended early.
	earlyPart = 2
)

// share is how many connections of w a loop keeps.
func (w *Warm) share(loop, loops int) int {
	n := w.Count / loops
	if loop < w.Count%loops {
		n++
	}
	return max(n, 1)
}

// restFor is how long to rest after so many failures in a row. spread, from 0 to 1, keeps loops and processes apart.
func restFor(strikes int, spread float64) time.Duration {
	d := restMax
	if strikes < 8 {
		d = min(restMin<<max(strikes-1, 0), restMax)
	}
	return d - time.Duration(float64(d/2)*spread)
}

// noteRest calls Rest.
func (w *Warm) noteRest(loop int, d time.Duration) {
	if w.Rest != nil {
		w.Rest(loop, d)
	}
}
