package probe

import (
	"net/http"
	"time"
)

// ClockResult compares this machine's clock with that of a server.
type ClockResult struct {
	Skew time.Duration // how far this machine's clock is ahead, to the second; negative: behind
	Took time.Duration // of the request: the skew is not known better than that
}

// ClockOf compares the clock with the header Date of an answer. known is false if the answer has no such header.
func ClockOf(r HTTPResult) (out ClockResult, known bool) {
	date, err := http.ParseTime(r.Header.Get("Date"))
	if err != nil || r.Answered.IsZero() {
		return out, false
	}
	// The server wrote whole seconds, rounded down, somewhere between the request and its answer.
	middle := r.Answered.Add(-r.FirstByte / 2)
	return ClockResult{Skew: middle.Sub(date.Add(time.Second / 2)).Round(time.Second), Took: r.FirstByte}, true
}
