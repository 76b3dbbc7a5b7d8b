package upstream

import (
	"net/netip"
	"time"
)

// Saved is the standing of an address on its way to the Set of the next process; the times in it are Unix nanoseconds. A field may
// be added, and never changes its meaning.
type Saved struct {
	Addr      netip.AddrPort `json:"addr"`
	Failures  uint32         `json:"failures,omitempty"`
	Avoid     int64          `json:"avoid,omitempty"`
	Slow      uint32         `json:"slow,omitempty"`
	SlowUntil int64          `json:"slow_until,omitempty"`
	Ejected   int64          `json:"ejected,omitempty"`
	Ejections int32          `json:"ejections,omitempty"`
	Checked   bool           `json:"checked,omitempty"` // a check gave a verdict
	Down      string         `json:"down,omitempty"`    // why its check fails; empty: it does not
	DownSince time.Time      `json:"down_since,omitzero"`
	Back      int64          `json:"back,omitempty"`
	Manual    int64          `json:"manual,omitempty"` // until when an operator has ejected it
}

// Move returns the standing with its times moved by d: by how much the clock was set since it was saved.
func (v Saved) Move(d time.Duration) Saved {
	for _, t := range []*int64{&v.Avoid, &v.SlowUntil, &v.Ejected, &v.Back, &v.Manual} {
		*t = moved(*t, d)
	}
	if !v.DownSince.IsZero() {
		v.DownSince = v.DownSince.Add(d)
	}
	return v
}

// Save returns the standing of each current address, and which others an operator has ejected.
func (s *Set) Save() (all []Saved) {
	out, set := s.manual.all(), onCalendar(time.Now())
	for _, a := range s.Addresses() {
		v := Saved{
			Addr: a.Addr, Failures: a.failures.Load(), Avoid: a.avoid.Load(), Slow: a.slow.Load(), SlowUntil: a.slowUntil.Load(),
			Ejected: a.ejected.Load(), Ejections: a.ejections.Load(), Checked: a.trusted || a.checked.Load(), Back: a.back.Load(),
		}
		v.Manual = out[a.Addr]
		delete(out, a.Addr)
		v = v.Move(set)
		if d := a.down.Load(); d != nil {
			v.Down, v.DownSince = d.Why, d.Since
		}
		all = append(all, v)
	}
	for ap, until := range out {
		all = append(all, Saved{Addr: ap, Manual: moved(until, set)})
	}
	return all
}

// recall gives an address that joins the standing that it had in the process before. What nothing here could end is left out: a
// failed check where there is none, an ejection where nothing is ejected. The caller holds s.mu.
func (s *Set) recall(a *Address) {
	for i := range s.opts.Saved {
		v := &s.opts.Saved[i]
		if v.Addr != a.Addr {
			continue
		}
		a.failures.Store(v.Failures)
		a.avoid.Store(v.Avoid)
		a.slow.Store(v.Slow)
		a.slowUntil.Store(v.SlowUntil)
		a.back.Store(v.Back)
		if s.opts.Check.Probe != nil {
			a.checked.Store(v.Checked)
			if v.Down != "" {
				a.down.Store(&Down{Why: v.Down, Since: v.DownSince})
			}
		}
		if s.opts.Outlier.Failures > 0 {
			a.ejected.Store(v.Ejected)
			a.ejections.Store(v.Ejections)
		}
		return
	}
}
