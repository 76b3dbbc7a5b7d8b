package upstream

import (
	"fmt"
	"time"
)

// State is an address's standing in a word: a closed list, and the label state of l4fwd_upstream_addresses.
type State string

// The states. Each address is in exactly one: of several the first that holds.
const (
	StateRemoved State = "removed"      // no longer in the name's answer, connections are open
	StateDown    State = "check_failed" // its check failed
	StateEjected State = "ejected"      // too many attempts failed in a row
	StateFailing State = "failing"      // the last attempt failed; it is still used where no better one is left
	StateBackup  State = "backup"       // a backup that waits
	StateUsable  State = "usable"       // connections go there
)

// States lists all states in the order of the documentation.
func States() []State {
	return []State{StateUsable, StateFailing, StateDown, StateEjected, StateBackup, StateRemoved}
}

// Standing is how an address fares at one moment.
type Standing struct {
	*Address
	State  State
	Why    string // why it is not usable, empty if it is
	Backup bool
}

// Addresses returns the current addresses, primaries first. The slice is shared: read it only.
func (s *Set) Addresses() []*Address { return s.cur.Load().list }

// Standings returns how each address fares, primaries first, those that were removed last.
func (s *Set) Standings(now time.Time) []Standing {
	snap := s.cur.Load()
	waits := snap.primaryUsable(now)
	all := make([]Standing, 0, len(snap.list))
	for i, a := range snap.list {
		st := Standing{Address: a, Backup: i >= snap.primaries}
		st.State, st.Why = a.state(now)
		if st.State == StateUsable && st.Backup && waits {
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

func (p *snapshot) primaryUsable(now time.Time) bool {
	for _, a := range p.list[:p.primaries] {
		if a.Usable(now) {
			return true
		}
	}
	return false
}

// state judges an address of the current list as if it were a primary.
func (a *Address) state(now time.Time) (State, string) {
	if d := a.down.Load(); d != nil {
		return StateDown, fmt.Sprintf("%s, for %s", d.Why, now.Sub(d.Since).Round(time.Second))
	}
	failed := fmt.Sprintf("%d attempts failed in a row", a.Failures())
	if a.Failures() == 1 {
		failed = "the last attempt failed"
	}
	if until := time.Unix(0, a.ejected.Load()); now.Before(until) {
		return StateEjected, fmt.Sprintf("%s, ejected for another %s", failed, until.Sub(now).Round(time.Second))
	}
	if a.Failures() > 0 {
		return StateFailing, failed
	}
	return StateUsable, ""
}

// AnyUsable reports whether an address is neither failed by its check nor ejected.
func (s *Set) AnyUsable(now time.Time) bool {
	for _, a := range s.Addresses() {
		if a.Usable(now) {
			return true
		}
	}
	return false
}

// AllFailing reports whether there are addresses and the last attempt at every one failed, however long ago.
func (s *Set) AllFailing() bool {
	list := s.Addresses()
	for _, a := range list {
		if a.Failures() == 0 {
			return false
		}
	}
	return len(list) > 0
}

// IsBackup reports whether an address is one of the current backups.
func (s *Set) IsBackup(a *Address) bool {
	snap := s.cur.Load()
	for _, b := range snap.list[snap.primaries:] {
		if a == b {
			return true
		}
	}
	return false
}
