package eip

import (
	"context"
	"errors"
	"fmt"
)

// Claim is a manual claim of one address. It returns the address, or the one that the interface has already. While none is free it
// waits until ctx ends, and its error says why there was none. A failure that waiting does not mend, such as a missing permission,
// ends it at once. o is as for New; o.OnEvent is not called.
func Claim(ctx context.Context, o Options) (Hold, error) {
	claimed := make(chan struct{}, 1)
	o.OnEvent = func(Event) {
		select {
		case claimed <- struct{}{}:
		default:
		}
	}
	k := New(o)
	k.scan.started = true // no delay of the first call: a person waits, and it is one call
	k.Want(true)          // before the first step, which would begin anew otherwise, with that delay
	running, stop := context.WithCancel(ctx)
	k.cancelManual = stop
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		k.Run(running)
	}()
	select {
	case <-claimed:
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

// abortManual ends a manual claim after a failure that waiting does not mend. In a daemon it does nothing.
func (k *Keeper) abortManual(r result) {
	if k.cancelManual != nil && (r == resultDenied || r == resultError) {
		k.cancelManual()
	}
}

// ReleaseOwn is a manual release of the address of the pool that the interface has. It returns that address; the zero Hold if
// there is none.
func ReleaseOwn(ctx context.Context, o Options) (Hold, error) {
	k := New(o)
	all, _, err := k.describe(ctx, filter("network-interface-id", o.Interface))
	if err != nil {
		return Hold{}, explain("list the addresses of "+o.Interface, err, opDescribe, "", "")
	}
	own, ok := k.ownAddress(all)
	if !ok || !o.Selector.Matches(own) {
		return Hold{}, nil
	}
	hold := Hold{Public: own.Public, Allocation: own.Allocation, Association: own.Association}
	return hold, k.endAssociation(ctx, hold)
}
