// Package cloud is the daemon's place in AWS: the Elastic IP that it holds, and the Auto Scaling group and the Spot market
// that its instance belongs to.
package cloud

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

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
	// signalPatience is the same for a daemon that a signal ended.
	signalPatience = 10 * time.Second
	// cutHook is what the hook still gets after a second signal.
	cutHook = 2 * time.Second
	// awayReserve is the part of the time that Spot grants which is kept for the address and the hook.
	awayReserve = 20 * time.Second
)

// Options are the settings of a Cloud, and the daemon as it sees it. All five functions are required; they are called from
// any goroutine.
type Options struct {
	Pool           eip.Selector
	Required       bool // without an address the daemon is not ready, and does not start where it can have none
	Release        eip.Policy
	VerifyInterval time.Duration
	Groups, Spot   bool          // whether lifecycle hooks and the notices of Spot are watched
	Interval       time.Duration // how often the instance metadata are asked; 0: the watcher's own 5 s
	Logger         *zap.Logger
	From           json.RawMessage // what Pause returned in the process that this one takes over from; nil: there is none
	Jump           time.Duration   // by how much the clock was set since

	Drain        func(by string) bool        // begins a drain, unless one has begun
	Wait         func(context.Context) error // returns nil once no connection is open
	Connections  func() int64                // open ones
	DrainTimeout func() time.Duration        // how long connections may take to end, as configured now
	Ready        func() error                // nil while the daemon is ready; else why it is not
}

// Cloud holds an address and obeys the group. A nil one asks nothing of AWS and does nothing: a daemon without eip.pool has
// one.
type Cloud struct {
	o       Options
	id      instance.Identity
	keeper  *eip.Keeper        // nil: there can be no address; see fault
	fault   error              // why there can be none
	watcher *lifecycle.Watcher // nil: lifecycle.asg and lifecycle.spot are off

	intents chan lifecycle.Order // of size 1: the newest that was not taken up yet
	leaving atomic.Bool          // the drain was begun by the group or by Spot
	away    context.Context      // ends when the time that Spot grants is nearly over
	goAway  context.CancelFunc   // ends away
	settle  context.CancelFunc   // ends follow; nil before Run
	serving sync.WaitGroup       // follow
}

// Locate finds the place of this machine in AWS. Where there can be no address, such as off EC2, it is an error if one is
// required, and else a Cloud that says so in its status.
func Locate(o Options) (*Cloud, error) {
	ctx, cancel := context.WithTimeout(context.Background(), discoverTimeout)
	defer cancel()
	if o.From != nil {
		return takeOver(ctx, o)
	}
	aws, id, err := instance.Load(ctx)
	if err != nil {
		if o.Required {
			return nil, fmt.Errorf("eip.pool: %w; with eip.required: false l4fwd serves without an address", err)
		}
		o.Logger.Error("no Elastic IP will be claimed: l4fwd serves without one, since eip.required is false", zap.Error(err))
		return &Cloud{o: o, fault: err}, nil
	}
	return New(o, id, instance.NewMetadata(aws), eip.NewClient(aws), lifecycle.NewClient(aws))
}

// New returns the Cloud of an instance.
func New(o Options, id instance.Identity, metadata *instance.Metadata, ec2 eip.Client, groups lifecycle.Client) (*Cloud, error) {
	private, err := netip.ParseAddr(id.PrivateIP)
	if err != nil {
		return nil, err
	}
	c := &Cloud{o: o, id: id, intents: make(chan lifecycle.Order, 1)}
	c.away, c.goAway = context.WithCancel(context.Background())
	c.keeper = eip.New(eip.Options{
		Client: ec2, Selector: o.Pool, Interface: id.Interface, PrivateIP: private, PublicIPv4: metadata.PublicIPv4,
		VerifyInterval: o.VerifyInterval, Release: o.Release, Required: o.Required, Logger: o.Logger,
	})
	if o.Groups || o.Spot {
		c.watcher = lifecycle.New(lifecycle.Options{
			Metadata: metadata, Client: groups, Identity: id, Groups: o.Groups, Spot: o.Spot,
			Ready: o.Ready, OnOrder: c.order, Interval: o.Interval, Logger: o.Logger,
		})
	}
	return c, nil
}

// absent reports whether there is nothing to hold and nobody to follow.
func (c *Cloud) absent() bool { return c == nil || c.keeper == nil }

// Register adds the conditions of the cloud to the readiness.
func (c *Cloud) Register(register func(name string, check func() error)) {
	if c.absent() {
		return
	}
	register("eip", c.keeper.Check)
	if c.watcher != nil {
		register("lifecycle", c.watcher.Check)
	}
}

// Run claims, verifies and watches until the function it returns is called. Leave comes before that.
func (c *Cloud) Run() (stop func()) {
	if c.absent() {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { c.keeper.Run(ctx) })
	if c.watcher == nil {
		c.keeper.Want(true)
	} else {
		serving, settle := context.WithCancel(ctx)
		c.settle = settle
		c.serving.Go(func() { c.follow(serving) })
		wg.Go(func() { c.watcher.Run(ctx) })
	}
	return func() {
		cancel()
		c.goAway()
		c.serving.Wait()
		wg.Wait()
	}
}

// Status is the daemon's place in AWS. All of it is nil without one.
type Status struct {
	Instance  *instance.Identity
	EIP       *eip.Status
	Lifecycle *lifecycle.Status
}

// Status returns the place as it is now.
func (c *Cloud) Status() Status {
	switch {
	case c == nil:
		return Status{}
	case c.fault != nil:
		return Status{EIP: &eip.Status{Wanted: true, Reason: c.fault.Error()}}
	}
	held := c.keeper.Status()
	s := Status{Instance: &c.id, EIP: &held}
	if c.watcher != nil {
		now := c.watcher.Status()
		s.Lifecycle = &now
	}
	return s
}

// PublicAddress returns the Elastic IP that is held; the zero value if there is none.
func (c *Cloud) PublicAddress() netip.Addr {
	if c.absent() {
		return netip.Addr{}
	}
	if hold := c.keeper.Status().Hold; hold != nil {
		return hold.Public
	}
	return netip.Addr{}
}

// Stats returns the figures of the address and the state of the lifecycle, nil where there is none.
func (c *Cloud) Stats() (*eip.Stats, *lifecycle.State) {
	if c.absent() {
		return nil, nil
	}
	stats := c.keeper.Stats()
	if c.watcher == nil {
		return &stats, nil
	}
	state := c.watcher.Status().State
	return &stats, &state
}
