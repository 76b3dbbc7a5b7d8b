package cloud

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/l4fwd/l4fwd/eip/lifecycle"
)

// order hands an order of the watcher to follow. It replaces an order that follow has not begun. Only one goroutine may call it.
// While the daemon drains, follow has ended; an order then only sets the timer for the time at which the instance is taken away.
func (c *Cloud) order(o lifecycle.Order) {
	if !o.By.IsZero() {
		time.AfterFunc(time.Until(o.By)-awayReserve, c.goAway)
	}
	select {
	case <-c.intents:
	default:
	}
	c.intents <- o
}

// follow carries out orders until ctx ends, each until the next one comes.
func (c *Cloud) follow(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	stop := func() {}
	defer func() { stop() }()
	for {
		select {
		case <-ctx.Done():
			return
		case o := <-c.intents:
			if ctx.Err() != nil { // both were there: nothing is claimed once a drain has begun
				return
			}
			stop()
			wg.Wait() // the previous one has ended
			one, cancel := context.WithCancel(ctx)
			stop = cancel
			wg.Go(func() { c.carryOut(one, o) })
		}
	}
}

// carryOut does what one order asks for, until ctx ends.
func (c *Cloud) carryOut(ctx context.Context, o lifecycle.Order) {
	switch o.Intent {
	case lifecycle.Serve:
		c.keeper.Want(true)
	case lifecycle.Rest:
		c.rest(ctx, o)
	case lifecycle.Leave:
		c.leaving.Store(true) // before the drain looks
		c.o.Drain("lifecycle: " + o.Why)
	}
}

// rest lets connections end and releases the address, while the daemon stays. The load balancer sends no more clients: an
// instance that goes to the warm pool is deregistered first.
func (c *Cloud) rest(ctx context.Context, o lifecycle.Order) {
	waiting, cancel := context.WithTimeout(ctx, c.o.DrainTimeout())
	err := c.o.Wait(waiting)
	cancel()
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		c.o.Logger.Warn("connections lose their public address: they did not end within drain.timeout", zap.Int64("connections", c.o.Connections()))
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
		c.o.Logger.Error("the Elastic IP was not released, trying again", zap.Error(err))
		sleep(ctx, 10*time.Second)
	}
}

// sleep waits for d or the end of ctx.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
