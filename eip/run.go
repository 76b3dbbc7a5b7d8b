package eip

import (
	"context"
	"math/rand/v2"
	"time"
)

// noWork is how long Run sleeps when there is nothing to do until Want is called.
const noWork = 24 * time.Hour

// Run claims, verifies and releases until ctx ends. It does not release at its end: call Release after the last connection has
// ended. Run may be called once.
func (k *Keeper) Run(ctx context.Context) {
	for ctx.Err() == nil {
		wait := k.step(ctx)
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-k.wake:
		case <-t.C:
		}
		t.Stop()
	}
}

// step does what is due now, and returns how long to wait until the next step.
func (k *Keeper) step(ctx context.Context) time.Duration {
	if !k.lockCalls(ctx) {
		return 0
	}
	defer k.unlockCalls()
	ctx, end := k.cancelableStep(ctx)
	defer end()
	select {
	case <-k.wake: // this step heeds what Want said; the wait after it must not be cut short
	default:
	}
	hold, held := k.Held()
	switch want := k.wanted(); {
	case want && !held:
		return k.claim(ctx)
	case want:
		return k.verify(ctx, hold)
	}
	k.scan = newScan()
	ctx, cancel := context.WithTimeout(ctx, releaseTimeout)
	defer cancel()
	if err := k.release(ctx); err != nil {
		k.setReason(err.Error())
		return releaseTimeout
	}
	return noWork
}

// cancelableStep returns a context that Release can end if it has to wait for the step. The caller must call end.
func (k *Keeper) cancelableStep(ctx context.Context) (_ context.Context, end func()) {
	ctx, cancel := context.WithCancel(ctx)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.cancelStep = cancel
	return ctx, func() {
		cancel()
		k.mu.Lock()
		defer k.mu.Unlock()
		k.cancelStep = nil
	}
}

// lockCalls waits until nobody else calls EC2 about our interface. It returns false if ctx ended first.
func (k *Keeper) lockCalls(ctx context.Context) bool {
	select {
	case k.calls <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// unlockCalls ends what lockCalls or lockCallsForRelease began.
func (k *Keeper) unlockCalls() { <-k.calls }

// lockCallsForRelease is lockCalls for a release, which has little time: it cancels the calls of Run's step that take longer than
// releasePatience. A claim that was cut short is unconfirmed; the release looks for it.
func (k *Keeper) lockCallsForRelease(ctx context.Context) bool {
	for ctx.Err() == nil {
		waiting, cancel := context.WithTimeout(ctx, releasePatience)
		locked := k.lockCalls(waiting)
		cancel()
		if locked {
			return true
		}
		k.mu.Lock()
		if k.cancelStep != nil {
			k.cancelStep()
		}
		k.mu.Unlock()
	}
	return false
}

// jitter spreads a regular interval by a tenth to either side, so that daemons do not fall into step.
func jitter(d time.Duration) time.Duration { return d - d/10 + rand.N(d/5+1) }
