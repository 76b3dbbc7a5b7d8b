package upstream

import (
	"context"
	"net/netip"
	"sync/atomic"
	"time"
)

// Address is one address of an upstream. It stays the same while the name keeps answering with it, and while
// connections to it are open.
type Address struct {
	Addr netip.AddrPort
	Tag  any // the owner's, set when the address is made

	active   atomic.Int64
	failures atomic.Uint32 // failed attempts in a row
	avoid    atomic.Int64  // until when it is failing; Unix nanoseconds, as all times here
	ejected  atomic.Int64  // until when it is ejected
	down     atomic.Pointer[Down]
	back     atomic.Int64 // when it came back from being out, other than by the end of an ejection

	// Under Set.mu.
	ejections int                // in a row
	stop      context.CancelFunc // ends its check; nil: none runs
	closing   *time.Timer        // goes off when connections to it are to be closed; nil: not removed
}

// Down tells why an address failed its check.
type Down struct {
	Why   string // of the last check
	Since time.Time
}

const (
	avoidFirst = time.Second
	avoidMax   = 30 * time.Second
)

// Active returns the connections and attempts that use the address now.
func (a *Address) Active() int64 { return a.active.Load() }

// Failures returns the attempts that failed in a row.
func (a *Address) Failures() uint32 { return a.failures.Load() }

// Avoided reports whether attempts at the address failed of late, so that another is preferred.
func (a *Address) Avoided(now time.Time) bool { return a.avoided(now.UnixNano()) }

func (a *Address) avoided(now int64) bool { return a.failures.Load() > 0 && now < a.avoid.Load() }

// Usable reports whether the address is neither failed by its check nor ejected.
func (a *Address) Usable(now time.Time) bool { return a.usable(now.UnixNano()) }

func (a *Address) usable(now int64) bool { return a.down.Load() == nil && now >= a.ejected.Load() }

// Release ends a use that began with Pick.
func (a *Address) Release() { a.active.Add(-1) }

// fail notes a failed attempt and returns how many failed in a row.
func (a *Address) fail(now time.Time) uint32 {
	n := a.failures.Add(1)
	d := avoidMax
	if n < 6 {
		d = min(avoidFirst<<(n-1), avoidMax)
	}
	a.avoid.Store(now.Add(d).UnixNano())
	return n
}

// whole is the weight of an address with its full share.
const whole = 1024

// weight is what share of its connections an address gets: a tenth when it is back, all of it after slow.
func (a *Address) weight(now int64, slow time.Duration) int64 {
	since := max(a.back.Load(), a.ejected.Load())
	if since == 0 || slow <= 0 || now-since >= int64(slow) {
		return whole
	}
	return max(whole*max(now-since, 0)/int64(slow), whole/10)
}
