// Package testclock gives tests moments after the calendar's clock was set. Only tests import it.
package testclock

import (
	"time"
	"unsafe"
)

// secondsAt is the bit at which the seconds of the calendar begin in the first word of a time.Time with both readings.
const secondsAt = 30

// Set returns t as time.Now would have returned it if the calendar's clock had been set by d, whole seconds, shortly before: the reading
// of the clock that nobody can set is the same, the date is not. t is of time.Now. The package time has no function for it.
func Set(t time.Time, d time.Duration) time.Time {
	set := t
	*(*uint64)(unsafe.Pointer(&set)) += uint64(d/time.Second) << secondsAt
	if set.Sub(t) != 0 || set.UnixNano()-t.UnixNano() != int64(d) {
		panic("testclock: time.Time is laid out in another way, or the time has no reading of the monotonic clock")
	}
	return set
}
