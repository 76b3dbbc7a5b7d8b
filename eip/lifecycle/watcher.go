package lifecycle

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/l4fwd/l4fwd/eip/instance"
)

// Options are what a Watcher is made of. Metadata and Identity are required, Client where Groups is set.
type Options struct {
	Metadata Metadata
	Client   Client
	Identity instance.Identity

	Groups bool // watch the target state and answer the hooks of the group
	Spot   bool // watch the notices of Spot

	Ready    func() error  // nil: a launch hook may be completed. Must not block. nil: at once
	OnOrder  func(Order)   // called from Run's goroutine at each new order; must not block. nil: none
	Interval time.Duration // between two looks, to which up to a fifth is added; 0: 5 s
	Logger   *zap.Logger   // nil: none
}

// Watcher follows the lifecycle of one instance. Its methods are safe for concurrent use; Run is called once.
type Watcher struct {
	o    Options
	log  *zap.Logger
	wake chan struct{} // of size 1: look again now

	mu       sync.Mutex
	order    Order
	done     Order // the order that the daemon has carried out
	ending   bool  // Finish was called
	status   Status
	refused  error         // a permission is missing without which nothing can be finished
	finished chan struct{} // closed: no hook is left to complete

	// Of Run's goroutine.
	group group
	said  map[string]string // faults that were logged and last, by what failed
	quiet time.Time         // until then the API is not asked: a permission was missing
}

// New returns a Watcher whose order is to wait, until Run has looked.
func New(o Options) *Watcher {
	if o.Ready == nil {
		o.Ready = func() error { return nil }
	}
	if o.OnOrder == nil {
		o.OnOrder = func(Order) {}
	}
	if o.Interval <= 0 {
		o.Interval = 5 * time.Second
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	w := &Watcher{o: o, log: o.Logger, wake: make(chan struct{}, 1), finished: make(chan struct{}), said: map[string]string{}}
	w.order = Order{Intent: Wait, State: Unknown}
	w.group = group{client: o.Client, id: o.Identity}
	w.publish()
	return w
}

// Run looks and acts until ctx ends.
func (w *Watcher) Run(ctx context.Context) {
	for ctx.Err() == nil {
		before, knew := w.Order(), w.group.known
		w.look(ctx)
		if w.o.Groups {
			if knew && w.Order() != before {
				w.group.forget()
			}
			w.answer(ctx)
		}
		w.finish()
		w.publish()
		w.sleep(ctx)
	}
}

// sleep waits for the next look. A launch hook is not kept waiting for it once the daemon is ready; that costs no call.
func (w *Watcher) sleep(ctx context.Context) {
	next := time.NewTimer(w.o.Interval + rand.N(w.o.Interval/5+1))
	defer next.Stop()
	var ready <-chan time.Time
	if w.group.launching() && w.o.Ready() != nil {
		t := time.NewTicker(min(time.Second, w.o.Interval))
		defer t.Stop()
		ready = t.C
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.wake:
			return
		case <-next.C:
			return
		case <-ready:
			if w.o.Ready() == nil {
				return
			}
		}
	}
}

// look reads the metadata and gives the order that follows from them. What cannot be read changes nothing, and hides nothing
// of the rest.
func (w *Watcher) look(ctx context.Context) {
	order := w.Order()
	if !w.o.Groups {
		order = orderOf("")
	} else if target, err := w.o.Metadata.TargetState(ctx); w.note("target state", err) {
		order = w.byTarget(ctx, target)
	}
	if w.o.Spot {
		taken, err := w.o.Metadata.Interrupted(ctx)
		w.note("spot interruption notice", err)
		advised, err := w.o.Metadata.RebalanceAdvised(ctx)
		w.note("spot rebalance recommendation", err)
		if spot, asked := orderOfSpot(taken, advised); asked && spot.outranks(order) {
			order = spot
		}
	}
	w.give(order)
}

// byTarget is the order for a target state. Where the metadata tell none, an instance may all the same be in the warm
// pool, whose state the API tells; an API that does not answer is no reason not to serve.
func (w *Watcher) byTarget(ctx context.Context, target string) Order {
	w.group.target = target
	if target == "" && !w.group.known && !w.silenced() {
		w.note("group", w.group.lookup(ctx))
	}
	if target == "" && w.group.warm() {
		return orderOf("Warmed:Running")
	}
	return orderOf(target)
}

// give makes an order the present one. One to leave stays, since who has begun to drain does not come back; but it can
// get a time by which the instance is taken away.
func (w *Watcher) give(order Order) {
	w.mu.Lock()
	if order == w.order || w.order.Intent == Leave && !order.outranks(w.order) {
		w.mu.Unlock()
		return
	}
	w.order, w.done = order, Order{} // also one like an earlier one is to be carried out
	w.mu.Unlock()
	fields := []zap.Field{zap.String("state", string(order.State)), zap.String("intent", string(order.Intent)), zap.String("because", order.Why)}
	if !order.By.IsZero() {
		fields = append(fields, zap.Time("by", order.By))
	}
	w.log.Info("lifecycle", fields...)
	w.publish()
	w.o.OnOrder(order)
}

// note logs what failed, once for as long as it fails in the same way, and reports whether it worked.
func (w *Watcher) note(what string, err error) bool {
	if err == nil {
		if w.said[what] != "" {
			w.log.Info("lifecycle: works again", zap.String("what", what))
			delete(w.said, what)
		}
		return true
	}
	if denied(err) {
		w.refuse(err)
	}
	if text := brief(err); w.said[what] != text {
		w.said[what] = text
		w.log.Error("lifecycle: "+what, zap.String("error", text))
	}
	return false
}

// refuse is for a missing permission: it does not come while somebody waits for it in Finish, nor within seconds.
func (w *Watcher) refuse(err error) {
	w.quiet = time.Now().Add(time.Minute)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ending {
		w.refused = err
	}
}

// Order returns the present order.
func (w *Watcher) Order() Order {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.order
}

// Check returns nil where the lifecycle lets the daemon be ready, else why not.
func (w *Watcher) Check() error { return w.Order().check() }
