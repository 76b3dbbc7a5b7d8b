package eip

import (
	"cmp"
	"context"
	"fmt"
	"time"
)

// giveBack ends our association, with repeated attempts until ctx ends. The caller has entered.
func (k *Keeper) giveBack(ctx context.Context) error {
	if k.o.Release == ReleaseNever {
		return nil
	}
	hold, held := k.Held()
	if !held {
		return k.undo(ctx)
	}
	if err := k.end(ctx, hold); err != nil {
		return fmt.Errorf("release %s: %w", hold.Public, err)
	}
	return nil
}

// end disassociates by our association id. That it is gone already is as good, be it by an attempt of ours without an
// answer or because somebody took it.
func (k *Keeper) end(ctx context.Context, hold Hold) error {
	pause := backoff{first: 500 * time.Millisecond, limit: 5 * time.Second, factor: 2}
	kind := Lost
	for {
		r, err := k.disassociate(ctx, hold.Association)
		switch r {
		case resultOK:
			kind = Released
			fallthrough
		case resultGone:
			k.released = hold.Association
			k.drop(kind, hold, "")
			return nil
		case resultDenied, resultError:
			if !passes(err) {
				return explain("disassociate "+hold.Allocation, err, opDisassociate, hold.Allocation, k.o.Interface)
			}
		case resultUnreachable:
			kind = Released // if it is gone next time, that was us
			k.doubted()
		}
		if !sleep(ctx, pause.next()) {
			return fmt.Errorf("%w; it was not released in time and is still associated with %s",
				explain("disassociate "+hold.Allocation, err, opDisassociate, hold.Allocation, k.o.Interface), k.o.Interface)
		}
	}
}

// undo ends what may be on our interface without our holding it: what an association without an answer left, or what could
// not be confirmed. Where it is not known which address that is, it is any of the pool.
func (k *Keeper) undo(ctx context.Context) error {
	if k.doubt == (doubt{}) {
		return nil
	}
	allocation := k.doubt.allocation
	for started := time.Now(); ; {
		all, _, err := k.describe(ctx, filter("network-interface-id", k.o.Interface))
		own, ok := k.own(all)
		switch {
		case ok && (own.Allocation == allocation || allocation == "" && k.o.Selector.Matches(own)):
			k.doubt = doubt{allocation: own.Allocation} // until it is gone
			err := k.end(ctx, Hold{Public: own.Public, Allocation: own.Allocation, Association: own.Association})
			if err == nil {
				k.doubt = doubt{}
			}
			return err
		case err == nil && time.Since(started) > settle:
			k.doubt = doubt{}
			return nil
		}
		if !sleep(ctx, afterDoubt) {
			return fmt.Errorf("release %s: it is not known whether it is on %s: %w", cmp.Or(allocation, "the address"), k.o.Interface, context.Cause(ctx))
		}
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
