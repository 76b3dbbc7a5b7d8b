package lifecycle

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/l4fwd/l4fwd/eip/instance"
)

// Options configure a Watcher. Metadata and Identity are required, and Client if Groups is set.
type Options struct {
	Metadata Metadata
	Client   Client
	Identity instance.Identity

	Groups bool // follow the target state and complete the hooks of the group
	Spot   bool // follow the notices of Spot

	Ready    func() error  // returns nil if a launch hook may be completed. Must not block. A nil func: always
	OnOrder  func(Order)   // called from Run's goroutine at each new order; must not block. nil: none
	Interval time.Duration // between two reads of the metadata, plus up to a fifth at random; 0: 5 s
	Logger   *zap.Logger   // nil: none
}

// Watcher follows the lifecycle of one instance. Its methods are safe for concurrent use; Run is called once.
type Watcher struct {
	o    Options
	log  *zap.Logger
	wake chan struct{} // of size 1: look again now
	turn chan struct{} // of size 1, a lock that can be waited for with a context: its holder uses what Run's goroutine owns

	mu       sync.Mutex
	order    Order
	done     Order // the order that the daemon has carried out
	ending   bool  // Finish was called
	status   Status
	refused  error         // a permission is missing, so no hook can be completed
	finished chan struct{} // closed: no hook is left to complete

	// Run's goroutine owns these.
	group       group
	faults      map[string]string // faults that were logged and persist, by what failed
	pausedUntil time.Time         // the API is not asked until then: a permission was missing
}

// New returns a Watcher whose order is to wait, until Run has read the metadata.
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
	w := &Watcher{o: o, log: o.Logger, wake: make(chan struct{}, 1), turn: make(chan struct{}, 1), finished: make(chan struct{}), faults: map[string]string{}}
	w.order = Order{Intent: Wait, State: Unknown}
	w.group = group{client: o.Client, id: o.Identity}
	w.publish()
	return w
}

// Run follows the lifecycle until ctx ends.
func (w *Watcher) Run(ctx context.Context) {
	for ctx.Err() == nil {
		select {
		case w.turn <- struct{}{}:
		case <-ctx.Done():
			return
		}
		w.look(ctx)
		<-w.turn
		w.sleep(ctx)
	}
}

// look reads the metadata and answers the hooks that wait.
func (w *Watcher) look(ctx context.Context) {
	before, knew := w.Order(), w.group.known
	w.readMetadata(ctx)
	if w.o.Groups {
		if knew && w.Order() != before {
			w.group.lookAgain()
		}
		w.answerHooks(ctx)
	}
	w.finish()
	w.publish()
}

// sleep waits for the next read of the metadata. It ends early once a daemon that is launching becomes ready, so that the launch
// hook is completed at once.
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

// readMetadata reads the metadata and sets the order that follows from them. An item that cannot be read changes nothing, and does
// not keep the others from being read.
func (w *Watcher) readMetadata(ctx context.Context) {
	order := w.Order()
	if !w.o.Groups {
		order = orderOf("")
	} else if target, err := w.o.Metadata.TargetState(ctx); w.worked("target state", err) {
		order = w.byTarget(ctx, target)
	}
	if w.o.Spot {
		taken, err := w.o.Metadata.Interrupted(ctx)
		w.worked("spot interruption notice", err)
		advised, err := w.o.Metadata.RebalanceAdvised(ctx)
		w.worked("spot rebalance recommendation", err)
		if spot, asked := orderOfSpot(taken, advised); asked && spot.outranks(order) {
			order = spot
		}
	}
	w.setOrder(order)
}

// byTarget is the order for a target state. If the metadata have none, the instance may still be in the warm pool; then the API has
// its state. An API that does not answer is no reason not to serve.
func (w *Watcher) byTarget(ctx context.Context, target string) Order {
	w.group.target = target
	if target == "" && !w.group.known && !w.apiPaused() {
		w.worked("group", w.group.lookup(ctx))
	}
	if w.group.known && w.group.retained() {
		return orderOf(w.group.current)
	}
	if target == "" && w.group.warm() {
		return orderOf("Warmed:Running")
	}
	return orderOf(target)
}

// setOrder makes an order the present one and calls OnOrder. An order to leave stays, since a daemon that has begun to drain does
// not come back; but it can get a time limit.
func (w *Watcher) setOrder(order Order) {
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

// worked reports whether err is nil. It logs a fault once for as long as it stays the same, and its end.
func (w *Watcher) worked(what string, err error) bool {
	if err == nil {
		if w.faults[what] != "" {
			w.log.Info("lifecycle: works again", zap.String("what", what))
			delete(w.faults, what)
		}
		return true
	}
	if denied(err) {
		w.permissionMissing(err)
	}
	if text := brief(err); w.faults[what] != text {
		w.faults[what] = text
		w.log.Error("lifecycle: "+what, zap.String("error", text))
	}
	return false
}

// permissionMissing pauses the API for a minute, since a permission is not granted within seconds, and lets Finish return.
func (w *Watcher) permissionMissing(err error) {
	w.pausedUntil = time.Now().Add(time.Minute)
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

// Check returns nil if the lifecycle lets the daemon be ready, else an error that says why not.
func (w *Watcher) Check() error { return w.Order().check() }
