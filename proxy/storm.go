package proxy

import (
	"fmt"
	"net/netip"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/l4fwd/l4fwd/proxy/relay"
)

// Two forwarders that are each other's upstream need no client: the check of one becomes a connection from the other, which the
// first one forwards, and so on, until a limit ends all of them at once; and the next check begins it again. Nothing in TCP marks
// such a connection, but it is easy to see: it carries no byte, there are thousands of it, and it comes from where it is to go.

const (
	// stormEnds connections without a byte within stormWindow are a storm. Load balancers, monitors and scanners make a few a second.
	stormEnds   = 500
	stormWindow = 10 * time.Second
	// stormMemory is how long a storm is remembered after its last sign.
	stormMemory = 10 * time.Minute
	// awaitFirst is how long the dial waits for the client's first byte after a storm. The chain breaks there: the end of a check
	// is here before. A TLS client sends its first bytes at once, so that it does not notice.
	awaitFirst = 20 * time.Millisecond
)

// storm finds connections to one upstream that end in great numbers without a byte. The zero value has seen none.
type storm struct {
	began atomic.Int64  // of the window, a stamp
	ends  atomic.Uint32 // in the window
	until atomic.Int64  // a stamp: the storm is remembered; 0: there was none
	last  atomic.Pointer[stormSign]
	due   throttle
}

// stormSign is a connection of a storm.
type stormSign struct {
	client, upstream netip.AddrPort
}

// back reports whether the client comes from where its connection went.
func (s stormSign) back() bool {
	from, to := s.client.Addr().Unmap(), s.upstream.Addr().Unmap()
	return from == to || from.IsLoopback() && to.IsLoopback()
}

// String describes the storm to an operator.
func (s stormSign) String() string {
	if s.back() {
		return fmt.Sprintf("it seems to lead back to this forwarder: connections without an answer come in a storm from %s, the address of the upstream",
			s.client.Addr())
	}
	return fmt.Sprintf("connections without a byte come in a storm, the last one from %s: does the upstream lead back to this forwarder?", s.client.Addr())
}

// isSign reports whether a connection that ended is one of a storm: no byte either way, or no answer to one that comes back.
func isSign(s *relay.Summary) bool {
	if s.Attempts == 0 || s.Endpoint == nil || s.Down > 0 {
		return false
	}
	return s.Up == 0 || stormSign{s.Client, s.Endpoint.Addr}.back()
}

// note notes a sign. It reports whether this one makes a storm that is to be logged.
func (st *storm) note(sign stormSign, now time.Time) bool {
	began, at := st.began.Load(), stamp(now)
	if at-began >= int64(stormWindow) && st.began.CompareAndSwap(began, at) {
		st.ends.Store(0)
	}
	if st.ends.Add(1) != stormEnds {
		return false
	}
	kept := sign // allocated here only
	st.last.Store(&kept)
	st.until.Store(stamp(now.Add(stormMemory)))
	if !st.due.due(now) {
		return false
	}
	st.due.logged(now)
	return true
}

// await is how long the dial for a new client waits for the client's first byte.
func (st *storm) await() time.Duration {
	if until := st.until.Load(); until == 0 || stamp(time.Now()) >= until {
		return 0
	}
	return awaitFirst
}

// remembered describes a storm that is not over for long; "" if there is none.
func (st *storm) remembered(now time.Time) string {
	if stamp(now) >= st.until.Load() {
		return ""
	}
	return st.last.Load().String()
}

// forget begins anew, for an upstream that leads elsewhere now.
func (st *storm) forget() {
	st.until.Store(0)
	st.ends.Store(0)
}

// goesOn notes a client that left while its first byte was awaited. If it came from the upstream's address, it was a check of
// there: the storm would begin again.
func (st *storm) goesOn(client netip.Addr, now time.Time) {
	last := st.last.Load()
	if last != nil && client == last.client.Addr() && client.Unmap() == last.upstream.Addr().Unmap() && !client.IsLoopback() {
		st.until.Store(stamp(now.Add(stormMemory)))
	}
}

// noteStorm notes a connection that ended as a storm's, if it is one.
func (p *policy) noteStorm(t *target, s *relay.Summary) {
	if s.Await > 0 && s.Attempts == 0 {
		t.counters.storm.goesOn(s.Client.Addr(), time.Now())
		return
	}
	if !isSign(s) {
		return
	}
	st, sign := &t.counters.storm, stormSign{s.Client, s.Endpoint.Addr}
	if st.note(sign, time.Now()) {
		p.logStorm(t, sign)
	}
}

// logStorm logs a storm.
func (p *policy) logStorm(t *target, sign stormSign) {
	p.access.event(func() {
		p.log.Warn("a storm of connections without an answer: the upstream seems to lead back to this forwarder",
			zap.String("upstream", t.opts.Name), zap.Stringer("upstream_addr", sign.upstream), zap.Stringer("client", sign.client),
			zap.Bool("client_is_upstream", sign.back()), zap.Int("connections", stormEnds), zap.Duration("within", stormWindow),
			zap.String("do", "check upstreams[].address here and there; until then connections to it are opened once a client has sent its first byte, or after "+awaitFirst.String()))
	})
}
