package eip

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// idle is how long Run sleeps when there is nothing to do until Want.
const idle = 24 * time.Hour

// Run claims, verifies and gives back until ctx ends, and returns then. It does not release: that is for Release, after
// the last connection has ended. It may be called once.
func (k *Keeper) Run(ctx context.Context) {
	for ctx.Err() == nil {
		wait := k.turn(ctx)
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-k.wake:
		case <-t.C:
		}
		t.Stop()
	}
}

// turn does what there is to do now, and returns after what time it is to be called again.
func (k *Keeper) turn(ctx context.Context) time.Duration {
	if !k.enter(ctx) {
		return 0
	}
	defer k.leave()
	ctx, end := k.severable(ctx)
	defer end()
	select {
	case <-k.wake: // what it says is heeded now, and must not cut the next wait short
	default:
	}
	hold, held := k.Held()
	switch want := k.wanted(); {
	case want && !held:
		return k.claim(ctx)
	case want:
		return k.verify(ctx, hold)
	}
	k.walk = newWalk()
	ctx, cancel := context.WithTimeout(ctx, releaseTimeout)
	defer cancel()
	if err := k.giveBack(ctx); err != nil {
		k.because(err.Error())
		return releaseTimeout
	}
	return idle
}

// severable is a context that Release ends if it has to wait for the turn.
func (k *Keeper) severable(ctx context.Context) (_ context.Context, end func()) {
	ctx, cancel := context.WithCancel(ctx)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.cut = cancel
	return ctx, func() {
		cancel()
		k.mu.Lock()
		defer k.mu.Unlock()
		k.cut = nil
	}
}

// enter waits until nobody else talks to EC2 about our interface.
func (k *Keeper) enter(ctx context.Context) bool {
	select {
	case k.busy <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (k *Keeper) leave() { <-k.busy }

// enterFirst is enter for a release, which has little time: a call of Run's turn that takes longer than patience is cut
// short. What it may have done is a doubt, which the release looks into.
func (k *Keeper) enterFirst(ctx context.Context) bool {
	for ctx.Err() == nil {
		waiting, cancel := context.WithTimeout(ctx, patience)
		entered := k.enter(waiting)
		cancel()
		if entered {
			return true
		}
		k.mu.Lock()
		if k.cut != nil {
			k.cut()
		}
		k.mu.Unlock()
	}
	return false
}

// patience is how long a release waits for a call that is under way.
const patience = 2 * time.Second

// releaseTimeout bounds all attempts to give an address back.
const releaseTimeout = 30 * time.Second

// Release gives the address back, whatever was wanted before, and returns once it is gone; nothing is claimed after it
// until Want. With ReleaseNever, or with no address, it does nothing. It gives up when ctx ends, at the latest after 30
// s, with an error that names the address which is left.
func (k *Keeper) Release(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, releaseTimeout)
	defer cancel()
	k.Want(false)
	if !k.enterFirst(ctx) {
		return fmt.Errorf("release the address: %w while another call of EC2 was under way", context.Cause(ctx))
	}
	defer k.leave()
	k.limit = releaseCallTimeout
	defer func() { k.limit = callTimeout }()
	if k.o.Release != ReleaseNever && !k.looked {
		k.inherit(ctx)
	}
	return k.giveBack(ctx)
}

// inherit looks, once, for an address that an earlier process left on our interface before this one came to look for one:
// after a crash, in an instance that is then stopped or on standby. One that is of the pool is ours to give back.
func (k *Keeper) inherit(ctx context.Context) {
	all, _, err := k.describe(ctx, filter("network-interface-id", k.o.Interface))
	if err != nil {
		k.because(explain("look for an address of an earlier process", err, opDescribe, "", "").Error())
		return
	}
	k.looked = true
	if own, ok := k.own(all); ok && k.o.Selector.Matches(own) {
		k.doubt = doubt{allocation: own.Allocation}
	}
}

// around spreads a regular interval by a tenth to either side, so that daemons do not fall into step.
func around(d time.Duration) time.Duration { return d - d/10 + rand.N(d/5+1) }
