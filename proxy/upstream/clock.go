package upstream

import "time"

// origin is when the process began, on both clocks of the system.
var origin = time.Now()

// stamp returns a moment in nanoseconds, to be compared with other stamps: Unix nanoseconds, as if nobody had set the clock since the
// process began. An ejection for 30 s lasts 30 s, also if the clock is set back by an hour meanwhile.
func stamp(t time.Time) int64 { return origin.UnixNano() + int64(t.Sub(origin)) }

// stampedAt returns the moment of a stamp on the calendar's clock of now.
func stampedAt(stamped int64, now time.Time) time.Time {
	return now.Add(time.Duration(stamped - stamp(now)))
}

// moved returns a time moved by d, in nanoseconds. 0, which is none, and forGood stay.
func moved(t int64, d time.Duration) int64 {
	if t == 0 || t == forGood {
		return t
	}
	return t + int64(d)
}

// onCalendar returns by how much the calendar's clock was set since the process began; 0 for less than a second, by which NTP moves it. A
// stamp that is moved by it is a time of that clock.
func onCalendar(now time.Time) time.Duration {
	if set := time.Duration(now.UnixNano() - stamp(now)); set.Abs() >= time.Second {
		return set
	}
	return 0
}
