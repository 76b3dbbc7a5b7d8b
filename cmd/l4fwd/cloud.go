package main

import (
	"context"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/config"
	"github.com/l4fwd/l4fwd/eip"
	"github.com/l4fwd/l4fwd/eip/instance"
	"github.com/l4fwd/l4fwd/eip/lifecycle"
)

const (
	discoverTimeout = 30 * time.Second
	releaseTimeout  = 30 * time.Second
	// cutRelease is what a release still gets after a second signal.
	cutRelease = 10 * time.Second
	// hookPatience is how long a daemon that drained because its instance is terminated waits for the state in which the
	// hook can be completed: the longest deregistration delay of a load balancer. The instance goes on until then anyway.
	hookPatience = time.Hour
	// signalPatience is the same for a daemon that was told to end by a signal.
	signalPatience = 10 * time.Second
	// cutHook is what the hook still gets after a second signal.
	cutHook = 2 * time.Second
	// awayReserve is left of the time that Spot grants, for the address and the hook.
	awayReserve = 20 * time.Second
)

// lifecycleInterval is how often the instance metadata are asked; 0: the watcher's own 5 s. Tests are in more of a hurry.
var lifecycleInterval time.Duration

// presence is the daemon's place in AWS: the address it holds and the group it belongs to. A nil one, which is what a daemon
// without eip.pool has, asks nothing of AWS and does nothing.
type presence struct {
	d       *daemon
	id      instance.Identity
	keeper  *eip.Keeper
	watcher *lifecycle.Watcher // nil: lifecycle.asg and lifecycle.spot are off

	orders  chan lifecycle.Order // of size 1: the newest that was not taken up yet
	ordered atomic.Bool          // the drain was begun by an order
	away    context.Context      // ends when the time that Spot leaves is nearly over
	goAway  context.CancelFunc   // ends it
	end     context.CancelFunc   // of what goes on while the daemon serves
	serving sync.WaitGroup
}

// locate finds the daemon's place in AWS, if it is to have one.
func (d *daemon) locate() (*presence, error) {
	if !d.cfg.EIP.Wanted() {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), discoverTimeout)
	defer cancel()
	aws, id, err := instance.Load(ctx)
	if err != nil {
		if d.cfg.EIP.Required {
			return nil, advise(err, "eip.pool: %s; with eip.required: false l4fwd serves without an address", err)
		}
		d.nowhere = err
		d.log.Error("no Elastic IP will be claimed", zap.Error(err))
		return nil, nil
	}
	metadata := instance.NewMetadata(aws)
	return d.place(id, metadata, eip.NewClient(aws), lifecycle.NewClient(aws))
}

// place makes the parts for an instance.
func (d *daemon) place(id instance.Identity, metadata *instance.Metadata, ec2 eip.Client, groups lifecycle.Client) (*presence, error) {
	private, err := netip.ParseAddr(id.PrivateIP)
	if err != nil {
		return nil, err
	}
	c := &presence{d: d, id: id, orders: make(chan lifecycle.Order, 1)}
	c.away, c.goAway = context.WithCancel(context.Background())
	c.keeper = eip.New(eip.Options{
		Client: ec2, Selector: d.cfg.EIP.Pool, Interface: id.Interface, PrivateIP: private, PublicIPv4: metadata.PublicIPv4,
		VerifyInterval: d.cfg.EIP.VerifyInterval, Release: eip.Policy(d.cfg.EIP.Release), Required: d.cfg.EIP.Required,
		Logger: d.log.Logger,
	})
	if asg, spot := d.cfg.Lifecycle.ASG == config.FollowAuto, d.cfg.Lifecycle.Spot == config.FollowAuto; asg || spot {
		c.watcher = lifecycle.New(lifecycle.Options{
			Metadata: metadata, Client: groups, Identity: id, Groups: asg, Spot: spot,
			Ready: d.isReady, OnOrder: c.order, Interval: lifecycleInterval, Logger: d.log.Logger,
		})
	}
	return c, nil
}

// register makes the conditions of the cloud part of the readiness.
func (c *presence) register() {
	if c == nil {
		return
	}
	c.d.health.Register("eip", c.keeper.Check)
	if c.watcher != nil {
		c.d.health.Register("lifecycle", c.watcher.Check)
	}
}

// isReady is nil while every condition holds.
func (d *daemon) isReady() error {
	if failing := d.health.Failing(); len(failing) > 0 {
		return errorText(sentence(failing))
	}
	return nil
}

// run claims, verifies and watches until the function it returns is called, which is after leave.
func (c *presence) run() (stop func()) {
	if c == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { c.keeper.Run(ctx) })
	if c.watcher == nil {
		c.keeper.Want(true)
	} else {
		serving, end := context.WithCancel(ctx)
		c.end = end
		c.serving.Go(func() { c.obey(serving) })
		wg.Go(func() { c.watcher.Run(ctx) })
	}
	return func() {
		cancel()
		c.goAway()
		c.serving.Wait()
		wg.Wait()
	}
}
