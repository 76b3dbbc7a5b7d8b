package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/l4fwd/l4fwd/eip/lifecycle"
)

// order takes an order of the watcher, in place of one that was not taken up yet. It is called from one goroutine, also
// while the daemon drains: then only the time matters by which the instance is taken away.
func (c *presence) order(o lifecycle.Order) {
	if !o.By.IsZero() {
		time.AfterFunc(time.Until(o.By)-awayReserve, c.goAway)
	}
	select {
	case <-c.orders:
	default:
	}
	c.orders <- o
}

// obey carries out orders until ctx ends, each until the next one comes.
func (c *presence) obey(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	stop := func() {}
	defer func() { stop() }()
	for {
		select {
		case <-ctx.Done():
			return
		case o := <-c.orders:
			if ctx.Err() != nil { // both were there: nothing is claimed once a drain has begun
				return
			}
			stop()
			wg.Wait() // the one before has let go
			one, cancel := context.WithCancel(ctx)
			stop = cancel
			wg.Go(func() { c.carryOut(one, o) })
		}
	}
}

func (c *presence) carryOut(ctx context.Context, o lifecycle.Order) {
	switch o.Intent {
	case lifecycle.Serve:
		c.keeper.Want(true)
	case lifecycle.Rest:
		c.rest(ctx, o)
	case lifecycle.Leave:
		c.ordered.Store(true) // before the drain looks
		c.d.askDrain("lifecycle: " + o.Why)
	}
}

// rest lets connections end and gives the address back, while the daemon stays. The load balancer sends none any more:
// an instance that goes to the warm pool is deregistered first.
func (c *presence) rest(ctx context.Context, o lifecycle.Order) {
	waiting, cancel := context.WithTimeout(ctx, c.d.cfg.Drain.Timeout)
	err := c.d.fwd.Wait(waiting)
	cancel()
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		c.d.log.Warn("connections lose their public address: they did not end within drain.timeout", zap.Int64("connections", c.d.fwd.Stats().Relay.Active))
	}
	for {
		bounded, cancel := context.WithTimeout(ctx, releaseTimeout)
		err := c.keeper.Release(bounded)
		cancel()
		if err == nil {
			c.watcher.Done(o)
			return
		}
		if ctx.Err() != nil {
			return
		}
		c.d.log.Error("the Elastic IP was not released, trying again", zap.Error(err))
		sleep(ctx, 10*time.Second)
	}
}

// ordering is the order the daemon leaves by; the zero Order where it does not.
func (c *presence) ordering() lifecycle.Order {
	if c == nil || c.watcher == nil {
		return lifecycle.Order{}
	}
	if o := c.watcher.Order(); o.Intent == lifecycle.Leave {
		return o
	}
	return lifecycle.Order{}
}

// beforeAway calls fn when the time that Spot leaves the instance is nearly over, until the function it returns is called.
func (c *presence) beforeAway(fn func()) (stop func()) {
	if c == nil {
		return func() {}
	}
	unregister := context.AfterFunc(c.away, fn)
	return func() { unregister() }
}

// patience is how long the end of a drain may wait for the state in which the hook can be completed.
func (c *presence) patience() time.Duration {
	if c == nil || !c.ordered.Load() {
		return signalPatience
	}
	if by := c.ordering().By; !by.IsZero() {
		return max(signalPatience, time.Until(by))
	}
	return hookPatience
}

// leaveTime is how long leave may take.
func (c *presence) leaveTime() time.Duration {
	if c == nil {
		return 0
	}
	return releaseTimeout + c.patience()
}

// settle ends obeying orders: a drain has begun, after which nothing is claimed any more.
func (c *presence) settle() {
	if c != nil && c.end != nil {
		c.end()
		c.serving.Wait()
	}
}

// leave is the end of a drain: it gives the address back, which is what its error is about, then lets Auto Scaling go on.
// Once ctx ends, both are tried for some seconds more.
func (c *presence) leave(ctx context.Context) error {
	if c == nil {
		return nil
	}
	releasing, cancel := bounded(ctx, releaseTimeout, cutRelease)
	err := c.keeper.Release(releasing)
	cancel()
	if err != nil {
		err = advise(err, "the Elastic IP was not released: %s", err)
		c.d.log.Error("the Elastic IP was not released", zap.Error(errors.Unwrap(err)))
	}
	if c.watcher != nil {
		finishing, cancel := bounded(ctx, c.patience(), cutHook)
		defer cancel()
		if err := c.watcher.Finish(finishing); err != nil {
			c.d.log.Error("leaving with the lifecycle hook open: Auto Scaling goes on when it times out", zap.Error(err))
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
