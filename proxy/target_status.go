package proxy

import (
	"fmt"
	"strings"
	"time"
)

// status describes the upstream as of now.
func (t *target) status(now time.Time) UpstreamStatus {
	s := UpstreamStatus{
		Name: t.opts.Name, Address: t.sources[0].String(), MaxConns: t.opts.MaxConnections,
		Usable: t.set.AnyUsable(now), Failing: t.set.AllFailing(), Warm: t.warmStatus(),
		Required: t.opts.Required, Admission: t.admissionStatus(),
	}
	s.Detail = t.detail(&s, now)
	s.Storm = t.counters.storm.remembered(now)
	s.DNSError = strings.Join(t.lookupFaults(), "; ")
	if primary := t.sources[0]; primary.name != nil {
		if at := primary.name.Stats().Answered; !at.IsZero() {
			s.DNSAge = now.Sub(at).Seconds()
		}
	}
	t.counters.status(&s)
	for _, a := range t.set.Standings(now) {
		_, until := a.Manual(now)
		own := a.Tag.(*endpoints)
		s.Addresses = append(s.Addresses, AddressStatus{
			Until: until, Addr: a.Addr, State: string(a.State), Why: a.Why, Backup: a.Backup, Failures: uint64(a.Failures()),
			Active: max(a.Active()-own.waiting.Load(), 0), Connect: millis(time.Duration(own.took.Load())),
		})
	}
	return s
}

// detail explains why the upstream is not usable, or how it fails; "" if it does neither.
func (t *target) detail(s *UpstreamStatus, now time.Time) string {
	switch f := t.lastFail.Load(); {
	case len(t.set.Addresses()) == 0:
		if own := t.leftOut(); own != "" {
			return "no address: " + own
		}
		return "no address"
	case s.Failing && f != nil:
		return fmt.Sprintf("every address fails; last: %s at %s, %s ago", f.reason, f.addr, now.Sub(f.at).Round(time.Second))
	case !s.Usable:
		return "no usable address"
	}
	return ""
}

// status adds up the connections and bytes of the upstream.
func (u *upstreamCounters) status(s *UpstreamStatus) {
	all, gone := u.counts()
	s.BytesUp, s.BytesDown, s.Total = gone.bytes.Up, gone.bytes.Down, gone.ended
	for _, t := range all {
		b := t.bytes.Sum()
		s.BytesUp += b.Up
		s.BytesDown += b.Down
		s.Active += t.active()
		for _, r := range reasonList {
			s.Total += t.ended(r)
		}
	}
	s.Total += uint64(max(s.Active, 0))
}
