package upstream

import (
	"context"
	"net/netip"
	"sync/atomic"
	"time"
)

// Address is one address of a Set. It stays the same while the name keeps answering with it, and while connections to it are
// open.
type Address struct {
	Addr netip.AddrPort
	Tag  any // the owner's, made with the address by Options.Tag

	*record
	trusted bool // it was in use, and proven, in Options.Before

	// Under Set.mu.
	inherited bool               // until Succeed: the record is that of an address of Options.Before
	stop      context.CancelFunc // ends its check; nil: none runs
	closing   *time.Timer        // fires when the connections to it are to be closed; nil: the address was not removed
	leftAt    time.Time          // when it left the set; zero: it is of the set
}

// record is what is known of an address. A set that replaces another takes it over from that one.
type record struct {
	active    atomic.Int64
	failures  atomic.Uint32 // failed attempts in a row
	avoid     atomic.Int64  // until when the address is avoided; a stamp, as all times here
	slow      atomic.Uint32 // times in a row that another address connected first
	slowUntil atomic.Int64  // until when it is avoided for that
	onTrial   atomic.Bool   // an attempt is to show whether it is slow still
	ejected   atomic.Int64  // until when it is ejected
	ejections atomic.Int32  // in a row
	manual    atomic.Int64  // until when an operator has ejected it; forGood: until it is restored
	checked   atomic.Bool   // a check gave a verdict
	down      atomic.Pointer[Down]
	back      atomic.Int64 // when it came back, other than by the end of an ejection; 0: it never was out
}

// Down says why an address failed its check.
type Down struct {
	Why   string // from the last check
	Since time.Time
}

// Active returns the connections and attempts that use the address now.
func (r *record) Active() int64 { return r.active.Load() }

// Failures returns the attempts that failed in a row.
func (r *record) Failures() uint32 { return r.failures.Load() }

// Usable reports whether the address is neither failed by its check nor ejected, by attempts or by an operator.
func (r *record) Usable(now time.Time) bool { return r.usable(stamp(now)) }

// usable is Usable with a stamp.
func (r *record) usable(now int64) bool {
	return r.down.Load() == nil && now >= r.ejected.Load() && now >= r.manual.Load()
}

// Release ends a use that began with Pick.
func (r *record) Release() { r.active.Add(-1) }

// whole is the weight of an address with its full share.
const whole = 1024

// weight is the share of its connections that an address gets: a tenth when it comes back, growing to all of it after slow.
func (r *record) weight(now int64, slow time.Duration) int64 {
	since := max(r.back.Load(), r.ejected.Load())
	if since == 0 || slow <= 0 || now-since >= int64(slow) {
		return whole
	}
	return max(whole*max(now-since, 0)/int64(slow), whole/10)
}
