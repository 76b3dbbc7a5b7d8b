package eip

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// savedVersion is the version of Saved. A field may be added, and never changes its meaning.
const savedVersion = 1

// Saved is what a Keeper passes to that of the next process on the same machine, so that it neither calls EC2 nor claims another
// address. It is JSON on the way.
type Saved struct {
	Version     int              `json:"version"`
	Status      Status           `json:"status"`
	Unconfirmed SavedUnconfirmed `json:"unconfirmed"`
	Ended       string           `json:"ended,omitempty"` // the association that was ended last
	Listed      bool             `json:"listed,omitempty"`
	Operations  []OperationCount `json:"operations,omitempty"`
	Changes     uint64           `json:"changes"`
}

// SavedUnconfirmed is a claim that EC2 may have granted without our having got an answer; all zero: there is none.
type SavedUnconfirmed struct {
	Allocation string    `json:"allocation,omitempty"`
	Since      time.Time `json:"since,omitzero"`
}

// Move moves the times by d: by how much the clock was set since they were saved.
func (s *Saved) Move(d time.Duration) {
	for _, t := range []*time.Time{&s.Unconfirmed.Since, &s.Status.Verified, &s.Status.PoolAt} {
		if !t.IsZero() {
			*t = t.Add(d)
		}
	}
}

// Pause waits until no call of EC2 is under way, and keeps any from beginning until resume is called. It returns the state as it
// stays until then. The error says that ctx ended first: a claim or a release is under way.
func (k *Keeper) Pause(ctx context.Context) (s *Saved, resume func(), err error) {
	if !k.lockCalls(ctx) {
		return nil, nil, fmt.Errorf("a call of EC2 about the Elastic IP is under way: %w", context.Cause(ctx))
	}
	stats := k.Stats()
	counts := slices.DeleteFunc(stats.Operations, func(c OperationCount) bool { return c.Count == 0 })
	return &Saved{
		Version: savedVersion, Status: k.Status(), Unconfirmed: SavedUnconfirmed{k.unconfirmed.allocation, k.unconfirmed.since}, Ended: k.ended, Listed: k.listedOnce,
		Operations: counts, Changes: stats.Changes,
	}, k.unlockCalls, nil
}

// TakeOver continues what another process has begun. It is called before Run, which then makes its first call when the next
// verification is due.
func (k *Keeper) TakeOver(s *Saved) error {
	if s.Version != savedVersion {
		return fmt.Errorf("the state of the Elastic IP has version %d, this process reads %d", s.Version, savedVersion)
	}
	k.mu.Lock()
	k.state = s.Status
	k.mu.Unlock()
	k.unconfirmed, k.ended, k.listedOnce = unconfirmed{s.Unconfirmed.Allocation, s.Unconfirmed.Since}, s.Ended, s.Listed
	k.scan.started = true // the delay of the first call is for machines that start together
	k.stats.changes.Store(s.Changes)
	for _, c := range s.Operations {
		op, r := slices.Index(OperationNames, c.Operation), slices.Index(ResultNames, c.Result)
		if op >= 0 && r >= 0 {
			k.stats.operations[op][r].Store(c.Count)
		}
	}
	return nil
}
