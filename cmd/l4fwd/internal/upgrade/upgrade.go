// Package upgrade replaces the running process by a new one of the binary that is now on disk, without closing a listening
// socket or a connection. Upgrader is the old process's side, Successor the new one's; proxy/handoff carries what passes.
//
//	old process                                  new process
//	start the binary now on disk          ──►    load the configuration, say which states it reads
//	settle: no reload, claim or drain begins
//	listening sockets, what is known      ──►    prepare everything, accept nothing
//	freeze: the loops stand still
//	connections, final figures            ──►    put them in place
//	commit                                ──►    taken: serve
//	leave: end without closing anything
//
// Until "taken" the old process can go on as if nothing had happened: it ends the new one, thaws and releases what it settled.
package upgrade

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/l4fwd/l4fwd/proxy/handoff"
)

// Daemon is the running daemon as the old side of an upgrade sees it.
type Daemon interface {
	// Settle keeps reloads, claims and drains from beginning, and waits for those under way as long as ctx. It returns what the
	// new process is handed; the sockets in it stay the daemon's. release lets everything begin again. An error says, in the
	// operator's words, why there can be no upgrade now.
	Settle(ctx context.Context) (s *handoff.State, release func(), err error)
	// Freeze has all connections stand still; ctx limits how long that may take.
	Freeze(ctx context.Context) (Frozen, error)
	// Final returns the figures that do not change any more.
	Final() (map[string]handoff.Part, error)
	// Gone is called as soon as a new process serves, whose pid is given, or everything is left to one that is started later: 0.
	Gone(pid int)
}

// Frozen is a daemon whose connections stand still. Resume or Release ends that.
type Frozen interface {
	Count() int
	LastID() uint64
	// Export calls emit with each connection; descriptors and bytes stay the daemon's, until Resume or Release. An error of emit ends it.
	Export(emit func(*handoff.Conn) error) error
	Resume()
	// Release gives listening sockets and connections up without a word to their peers: they are the new process's.
	Release()
}

// Options configure an Upgrader. All but Keeper and At are required.
type Options struct {
	Daemon  Daemon
	Keeper  *Keeper // nil: Leave is not possible
	Manager Manager
	Logger  *zap.Logger
	// At is called at each message of the protocol; see handoff.Channel. nil: never. It is for tests.
	At func(sent bool, k handoff.Kind) error
}

// Manager is the service manager, which hears of an upgrade that begins, and of its end if this process goes on.
type Manager interface {
	Reloading()
	Ready()
}

// Outcome is how an upgrade went.
type Outcome struct {
	Taken       bool          // the new process serves; else this one goes on
	Cause       string        // why it goes on
	PID         int           // of the process that serves; 0: it took over and was ended, so that this one has to end, too
	Build       string        // its version
	Connections int           // that were handed over
	Pause       time.Duration // how long the connections stood still
}

// ErrBusy is the error of an upgrade while another one is under way.
var ErrBusy = errors.New("an upgrade is under way already")

// errEnding is the error of an upgrade of a daemon that ends.
var errEnding = errors.New("the daemon drains: it ends anyway, and a new process can be started then")

// Counts are how many upgrades went how, over all processes, and how long the last pause was.
type Counts struct {
	Taken   uint64        `json:"taken"`
	Failed  uint64        `json:"failed"`
	Refused uint64        `json:"refused"` // they did not begin
	Pause   time.Duration `json:"pause"`
}

// Upgrader makes one upgrade at a time. Its methods are safe for concurrent use.
type Upgrader struct {
	o    Options
	gone chan struct{} // closed once the new process serves

	mu     sync.Mutex   // held while an upgrade is under way
	closed bool         // no further one begins
	pid    atomic.Int64 // of the new process that serves; 0: none does

	counting sync.Mutex
	counts   Counts
}

// New returns an Upgrader; counts are those of the processes before this one.
func New(o Options, counts Counts) *Upgrader {
	return &Upgrader{o: o, gone: make(chan struct{}), counts: counts}
}

// Gone is closed once a new process serves: this one has to end.
func (u *Upgrader) Gone() <-chan struct{} { return u.gone }

// Counts returns how many upgrades went how.
func (u *Upgrader) Counts() Counts {
	u.counting.Lock()
	defer u.counting.Unlock()
	return u.counts
}

// count adds to one of the counts.
func (u *Upgrader) count(f func(*Counts)) {
	u.counting.Lock()
	defer u.counting.Unlock()
	f(&u.counts)
}

// Close waits for an upgrade under way and lets no other begin. It returns the pid of the new process; 0 if none serves, although
// Gone may be closed then, too.
func (u *Upgrader) Close() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.closed = true
	return u.Successor()
}

// Successor returns the pid of the new process that serves; 0: none does. It does not wait.
func (u *Upgrader) Successor() int { return int(u.pid.Load()) }

// Ended returns why nothing begins here any more: the daemon drains, or another process has taken over.
func (u *Upgrader) Ended() error {
	if pid := u.Successor(); pid != 0 {
		return fmt.Errorf("this process has handed over to pid %d, which serves now: ask again", pid)
	}
	return errEnding
}

// Upgrade makes an upgrade on behalf of by. An error says why none was begun; an upgrade that failed is an Outcome.
func (u *Upgrader) Upgrade(by string) (Outcome, error) {
	if err := u.begin(by); err != nil {
		u.count(func(c *Counts) { c.Refused++ })
		u.o.Logger.Warn("no upgrade was begun", zap.String("by", by), zap.Error(err))
		return Outcome{}, err
	}
	defer u.mu.Unlock()
	begun := time.Now()
	u.o.Logger.Info("upgrading", zap.String("by", by), zap.String("program", program))
	u.o.Manager.Reloading()
	out, err := u.attempt()
	took := zap.Duration("took", time.Since(begun).Round(time.Millisecond))
	if err != nil {
		u.o.Manager.Ready()
		out = Outcome{Cause: err.Error()}
		u.count(func(c *Counts) { c.Failed++ })
		u.o.Logger.Error("the upgrade failed: this process goes on", zap.String("cause", out.Cause), took)
		return out, nil
	}
	u.closed = true
	if out.PID != 0 {
		u.o.Logger.Info("handed over: the new process serves", zap.Int("pid", out.PID), zap.String("version", out.Build),
			zap.Int("connections", out.Connections), zap.Duration("pause", out.Pause.Round(10*time.Microsecond)), took)
	}
	close(u.gone)
	return out, nil
}

// begin takes the lock, unless there can be no upgrade.
func (u *Upgrader) begin(by string) error {
	if !u.mu.TryLock() {
		return ErrBusy
	}
	err := impossible()
	if u.closed {
		err = u.Ended()
	}
	if err != nil {
		u.mu.Unlock()
	}
	return err
}

// settleTime is how long what is under way, such as a claim, may take to end.
const settleTime = 10 * time.Second

// errSlow is why what is under way is not waited for any more.
var errSlow = fmt.Errorf("it did not end within %s", settleTime)

// attempt starts the new process and hands over. After an error everything is as before.
func (u *Upgrader) attempt() (out Outcome, err error) {
	c, g, err := startChild()
	if err != nil {
		return out, err
	}
	defer g.Close()
	g.At = u.o.At
	h, err := g.Meet()
	if err != nil {
		return out, c.failed(err)
	}
	ctx, cancel := context.WithTimeoutCause(context.Background(), settleTime, errSlow)
	state, release, err := u.o.Daemon.Settle(ctx)
	cancel()
	if err != nil {
		return out, c.failed(err)
	}
	if err := g.Offer(state); err != nil {
		release()
		return out, c.failed(err)
	}
	out = Outcome{Taken: true, PID: c.pid(), Build: h.Build}
	if err := u.handOver(c, g, &out); err != nil {
		release()
		return out, err
	}
	return out, nil
}

// handOver has the connections stand still and gives everything away. After an error they go on here.
func (u *Upgrader) handOver(c *child, g *handoff.Giver, out *Outcome) error {
	ctx, cancel := context.WithTimeout(context.Background(), handoff.StillTimeout)
	defer cancel()
	frozen, err := u.o.Daemon.Freeze(ctx)
	if err != nil {
		return c.failed(err)
	}
	still := time.Now()
	err = u.pass(g, frozen)
	if err == nil {
		err = commit(c, g)
	}
	if err != nil {
		if err = c.failed(err); !g.Taken() {
			frozen.Resume()
			return err
		}
		// It took over in the instant in which it was given up. Bytes may have moved, so that nobody can go on.
		out.PID = 0
		u.o.Logger.Error("the new process was silent for too long and was ended, but had taken over: this process ends, too", zap.Error(err))
	}
	out.Pause, out.Connections = time.Since(still), frozen.Count()
	if out.PID != 0 {
		u.pid.Store(int64(out.PID)) // before the last word of the old process is asked for
		u.o.Daemon.Gone(out.PID)
	}
	frozen.Release()
	return nil
}

// commit gives everything away, as Giver.Commit does. If this process was stopped, or got no processor, for longer than the new one
// may be silent, the answer is there by then, and the new process serves.
func commit(c *child, g *handoff.Giver) error {
	err := g.Commit()
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	c.halt() // so that it cannot answer once it was looked for
	if g.Taken() && c.cmd.Process.Signal(syscall.SIGCONT) == nil {
		return nil
	}
	return err
}
