package eip

import (
	"context"
	"errors"
	"fmt"
)

// Claim claims one address by hand and returns it, or the one that the interface has already. It waits while there is
// none until ctx ends, and says then why there was none. What waiting does not mend, as a missing permission, ends it at
// once. Options are those of New; OnEvent is not used.
func Claim(ctx context.Context, o Options) (Hold, error) {
	got := make(chan struct{}, 1)
	o.Required = true
	o.OnEvent = func(Event) {
		select {
		case got <- struct{}{}:
		default:
		}
	}
	k := New(o)
	k.walk.started = true // a person waits, and comes alone
	running, stop := context.WithCancel(ctx)
	k.giveUp = stop
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		k.Run(running)
	}()
	k.Want(true)
	select {
	case <-got:
	case <-running.Done():
	}
	stop()
	<-ended
	if hold, held := k.Held(); held {
		return hold, nil
	}
	if reason := k.Status().Reason; reason != "" {
		return Hold{}, errors.New(reason)
	}
	return Hold{}, fmt.Errorf("claim an address for %s: %w before EC2 was asked", o.Interface, context.Cause(ctx))
}

// despair ends a claim by hand after a failure that waiting does not mend.
func (k *Keeper) despair(r result) {
	if k.giveUp != nil && (r == resultDenied || r == resultError) {
		k.giveUp()
	}
}

// ReleaseOwn gives back by hand the address of the pool that the interface has, and returns it. Without one it returns
// the zero Hold.
func ReleaseOwn(ctx context.Context, o Options) (Hold, error) {
	k := New(o)
	all, _, err := k.describe(ctx, filter("network-interface-id", o.Interface))
	if err != nil {
		return Hold{}, explain("list the addresses of "+o.Interface, err, opDescribe, "", "")
	}
	own, ok := k.own(all)
	if !ok || !o.Selector.Matches(own) {
		return Hold{}, nil
	}
	hold := Hold{Public: own.Public, Allocation: own.Allocation, Association: own.Association}
	return hold, k.end(ctx, hold)
}
