package logging

import "bytes"

const (
	// recentBytes and recentLines bound the lines that are kept for a support case.
	recentBytes = 256 << 10
	recentLines = 1000
)

// recent keeps the last bytes of the log, whatever became of them: also lines that were lost because nobody took them. The
// zero value is empty. Its user locks it.
type recent struct {
	ring []byte // of recentBytes; nil before the first line
	next int    // where the next byte goes
	full bool   // the bytes from next on are the oldest
}

// add keeps lines. After the first call it allocates nothing.
func (r *recent) add(p []byte) {
	if r.ring == nil {
		r.ring = make([]byte, recentBytes)
	}
	if len(p) > len(r.ring) {
		p = p[len(p)-len(r.ring):]
	}
	n := copy(r.ring[r.next:], p)
	copy(r.ring, p[n:])
	r.full = r.full || r.next+len(p) >= len(r.ring)
	r.next = (r.next + len(p)) % len(r.ring)
}

// lines returns a copy of the last whole lines, at most recentLines.
func (r *recent) lines() []byte {
	var all []byte
	if r.full {
		all = append(all, r.ring[r.next:]...)
	}
	all = append(all, r.ring[:r.next]...)
	if r.full { // the oldest line may have lost its beginning
		_, all, _ = bytes.Cut(all, []byte("\n"))
	}
	at := len(all)
	for range recentLines + 1 {
		at = bytes.LastIndexByte(all[:at], '\n')
		if at < 0 {
			return all
		}
	}
	return all[at+1:]
}
