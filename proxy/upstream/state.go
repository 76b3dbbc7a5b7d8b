package upstream

import (
	"fmt"
	"slices"
	"time"
)

// State is an address's standing in a word. The list is closed: each is a value of the label state of
// l4fwd_upstream_addresses.
type State string

// The states. Each address is in exactly one of them: where several hold, the first.
const (
	StateRemoved   State = "removed"             // no longer in the name's answer, connections are open
	StateManual    State = "ejected_by_operator" // an operator ejected it; nothing is sent there
	StateDown      State = "check_failed"        // its check failed
	StateEjected   State = "ejected"             // too many attempts failed in a row
	StateFailing   State = "failing"             // the last attempt failed; the address is still used where there is no better one
	StateUnchecked State = "unchecked"           // its first check is under way
	StateBackup    State = "backup"              // a backup, while a primary is usable
	StateUsable    State = "usable"              // connections go there
)

// States lists all states in the order of the documentation.
func States() []State {
	return []State{StateUsable, StateUnchecked, StateFailing, StateDown, StateEjected, StateManual, StateBackup, StateRemoved}
}

// Standing describes an address at one moment.
type Standing struct {
	*Address
	State  State
	Why    string // why the address is not usable, empty if it is
	Backup bool
}

// Addresses returns the current addresses, primaries first. The slice is shared: read it only.
func (s *Set) Addresses() []*Address { return s.cur.Load().list }

// Standings describes each address: primaries first, then backups, then those that were removed and are in use.
func (s *Set) Standings(now time.Time) []Standing {
	snap := s.cur.Load()
	primary := slices.ContainsFunc(snap.list[:snap.primaries], func(a *Address) bool { return a.Usable(now) })
	all := make([]Standing, 0, len(snap.list))
	for i, a := range snap.list {
		st := Standing{Address: a, Backup: i >= snap.primaries}
		st.State, st.Why = s.state(a, now)
		if st.State == StateUsable && st.Backup && primary {
			st.State = StateBackup
		}
		all = append(all, st)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.gone {
		if a.Active() > 0 {
			all = append(all, Standing{Address: a, State: StateRemoved, Why: "no longer in the DNS answer"})
		}
	}
	return all
}

// state judges an address of the current list as if it were a primary.
func (s *Set) state(a *Address, now time.Time) (state State, why string) {
	if out, until := a.Manual(now); out {
		if until.IsZero() {
			return StateManual, "until it is restored"
		}
		return StateManual, fmt.Sprintf("for another %s", until.Sub(now).Round(time.Second))
	}
	if d := a.down.Load(); d != nil {
		return StateDown, fmt.Sprintf("%s, for %s", d.Why, now.Sub(d.Since).Round(time.Second))
	}
	failed := fmt.Sprintf("%d attempts failed in a row", a.Failures())
	if a.Failures() == 1 {
		failed = "the last attempt failed"
	}
	if left := time.Duration(a.ejected.Load() - stamp(now)); left > 0 {
		return StateEjected, fmt.Sprintf("%s, ejected for another %s", failed, left.Round(time.Second))
	}
	switch {
	case a.Failures() > 0:
		return StateFailing, failed
	case !s.proven(a):
		return StateUnchecked, "its first check has not ended yet"
	}
	return StateUsable, ""
}

// proven reports whether something is known of the address: its check has given a verdict, there is no check, or it was in use
// before a reload.
func (s *Set) proven(a *Address) bool {
	return s.opts.Check.Probe == nil || a.trusted || a.checked.Load()
}

// AnyUsable reports whether an address is neither failed by its check nor ejected. One whose first check is under way counts.
func (s *Set) AnyUsable(now time.Time) bool {
	return slices.ContainsFunc(s.Addresses(), func(a *Address) bool { return a.Usable(now) })
}

// AnyProven reports whether an address is usable, and known to be so by its check if there is one.
func (s *Set) AnyProven(now time.Time) bool {
	return slices.ContainsFunc(s.Addresses(), func(a *Address) bool { return a.Usable(now) && s.proven(a) })
}

// AllProven reports whether each address is known to be usable or not. It is true of an empty set.
func (s *Set) AllProven() bool {
	return !slices.ContainsFunc(s.Addresses(), func(a *Address) bool { return !s.proven(a) })
}

// AllFailing reports whether there are addresses and the last attempt at every one failed, however long ago.
func (s *Set) AllFailing() bool {
	list := s.Addresses()
	return len(list) > 0 && !slices.ContainsFunc(list, func(a *Address) bool { return a.Failures() == 0 })
}

// IsBackup reports whether an address is one of the current backups.
func (s *Set) IsBackup(a *Address) bool {
	snap := s.cur.Load()
	return slices.Contains(snap.list[snap.primaries:], a)
}
