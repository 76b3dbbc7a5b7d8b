package cloud

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/l4fwd/l4fwd/eip/lifecycle"
)

// Settle ends following orders: a drain has begun, after which nothing is claimed any more.
func (c *Cloud) Settle() {
	if c != nil && c.settle != nil {
		c.settle()
		c.serving.Wait()
	}
}

// BeforeAway calls fn when the time that Spot grants the instance is nearly over, until the function it returns is called.
func (c *Cloud) BeforeAway(fn func()) (stop func()) {
	if c.absent() {
		return func() {}
	}
	unregister := context.AfterFunc(c.away, fn)
	return func() { unregister() }
}

// LeaveTime is how long Leave may take.
func (c *Cloud) LeaveTime() time.Duration {
	if c.absent() {
		return 0
	}
	return releaseTimeout + c.patience()
}

// patience is how long the end of a drain may wait for the state in which the hook can be completed.
func (c *Cloud) patience() time.Duration {
	if !c.leaving.Load() {
		return signalPatience
	}
	if by := c.leaveOrder().By; !by.IsZero() {
		return max(signalPatience, time.Until(by))
	}
	return hookPatience
}

// leaveOrder is the order by which the daemon leaves; the zero Order if it leaves by none.
func (c *Cloud) leaveOrder() lifecycle.Order {
	if c.watcher != nil {
		if o := c.watcher.Order(); o.Intent == lifecycle.Leave {
			return o
		}
	}
	return lifecycle.Order{}
}

// Leave is the end of a drain: it releases the address, which is what its error is about, then lets Auto Scaling go on. Once
// ctx ends, both are tried for some seconds more.
func (c *Cloud) Leave(ctx context.Context) error {
	if c.absent() {
		return nil
	}
	releasing, cancel := bounded(ctx, releaseTimeout, cutRelease)
	err := c.keeper.Release(releasing)
	cancel()
	if err != nil {
		err = fmt.Errorf("the Elastic IP was not released: %w", err)
		c.o.Logger.Error("the Elastic IP was not released", zap.Error(errors.Unwrap(err)))
	}
	if c.watcher != nil {
		finishing, cancel := bounded(ctx, c.patience(), cutHook)
		defer cancel()
		if err := c.watcher.Finish(finishing); err != nil {
			c.o.Logger.Error("leaving with the lifecycle hook open: Auto Scaling goes on when it times out", zap.Error(err))
		}
	}
	return err
}

// bounded is a context that ends after limit, or grace after ctx, whichever is sooner.
func bounded(ctx context.Context, limit, grace time.Duration) (context.Context, context.CancelFunc) {
	own, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	var t *time.Timer
	var mu sync.Mutex
	stop := context.AfterFunc(ctx, func() {
		mu.Lock()
		defer mu.Unlock()
		t = time.AfterFunc(grace, cancel)
	})
	return own, func() {
		stop()
		mu.Lock()
		defer mu.Unlock()
		if t != nil {
			t.Stop()
		}
		cancel()
	}
}
