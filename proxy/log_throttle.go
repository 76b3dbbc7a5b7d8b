package proxy

import (
	"sync/atomic"
	"time"
)

// throttle bounds how often a state is logged that every connection may change: an upstream that takes some connections
// and refuses others must not make two lines for each. A state that lasts is logged by a later connection.
type throttle struct{ last atomic.Int64 } // a stamp; 0: never

// throttleGap is the least time between two such lines. The end of a state is logged at once.
const throttleGap = 10 * time.Second

// due reports whether the state may be logged again.
func (t *throttle) due(now time.Time) bool {
	last := t.last.Load()
	return last == 0 || stamp(now)-last >= int64(throttleGap)
}

// logged notes that the state was logged.
func (t *throttle) logged(now time.Time) { t.last.Store(stamp(now)) }
