package proxy

import (
	"sync/atomic"
	"time"
)

// told is when an operator was last told of a state that each connection may change: an upstream that takes some connections
// and refuses others must not make two lines of each. A state that lasts is told by a later connection.
type told struct{ last atomic.Int64 }

// tellAgain is the least time from one such line to the next. The end of a state is told at once.
const tellAgain = 10 * time.Second

func (t *told) due(now time.Time) bool {
	last := t.last.Load()
	return last == 0 || now.UnixNano()-last >= int64(tellAgain)
}

func (t *told) at(now time.Time) { t.last.Store(now.UnixNano()) }
