package proxy

import "time"

// origin is when the process began. It is an hour early, so that the stamp 0 is none, and long ago.
var origin = time.Now().Add(-time.Hour)

// stamp returns a moment in nanoseconds, to be compared with other stamps. It goes by the clock that nobody can set: what is to be
// logged again in 10 s is logged then, also if the calendar's clock is set back by an hour meanwhile.
func stamp(t time.Time) int64 { return int64(t.Sub(origin)) }
