package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/admin"
	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/plain"
	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/upgrade"
	"github.com/l4fwd/l4fwd/proxy/handoff"
	"github.com/l4fwd/l4fwd/proxy/relay"
)

// newUpgrade is the verb upgrade.
func newUpgrade() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "upgrade",
		Short: "Replace the running daemon by the binary now on disk, without closing a connection",
		Long: "Has the running daemon start the binary that is on disk now, with its own flags and environment, and hand it its\n" +
			"listening sockets and open connections, as SIGUSR2 does. It waits for the outcome. Exit status: 0 the new process\n" +
			"serves, 1 it does not and the old one goes on, 3 no daemon answers.",
		Example: "  sudo install build/l4fwd /usr/bin/l4fwd && l4fwd upgrade\n  l4fwd upgrade --admin unix:/run/l4fwd/admin.sock",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := adminClient(cmd)
			if err != nil {
				return err
			}
			out, err := c.Upgrade()
			switch {
			case err != nil:
				return unanswered(err)
			case !out.Taken:
				return failure(errors.New(plain.Lines("the upgrade failed and the running process goes on: " + out.Cause)))
			case out.PID == 0: // see Outcome
				return failure(errors.New("the new process took over and was ended for its silence; nothing serves: start l4fwd"))
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "upgraded: version %s serves as pid %d; %d connections were handed over, which stood still for %s\n",
				out.Version, out.PID, out.Connections, time.Duration(out.Pause*float64(time.Second)).Round(10*time.Microsecond))
			return written(err)
		},
	}
	return talksToDaemon(cmd)
}

// The names of the parts of the state.
const (
	partCloud    = "cloud"    // the place in AWS
	partProxy    = "proxy"    // names, addresses and the rate
	partSockets  = "sockets"  // which listeners have a socket of the service manager
	partCounters = "counters" // final ones
	partLost     = "lost"     // how many lines of the log were
	partUpgrades = "upgrades" // how many upgrades went how
	partServing  = "serving"  // whether the old process has a usable upstream
	partStore    = "store"    // names in the service manager's store
	partEvents   = "events"   // the latest events of the API
	partHistory  = "history"  // the charts of the status page
	partLevel    = "level"    // of the log
)

// upgradeAt is called at each message of an upgrade: see handoff.Channel. Tests fail there.
var upgradeAt func(sent bool, k handoff.Kind) error

// Upgrade replaces this process on behalf of by, and waits for the outcome.
func (d *daemon) Upgrade(by string) (admin.Upgraded, error) {
	out, err := d.upgrades.Upgrade(by)
	return admin.Upgraded{
		Taken: out.Taken, Cause: out.Cause, PID: out.PID, Version: out.Build, Connections: out.Connections, Pause: out.Pause.Seconds(),
	}, err
}

// handedOver is the end of a process whose connections are another one's.
func (d *daemon) handedOver() error {
	if d.upgrades.Close() == 0 {
		return failure(errors.New("the new process had taken over and was ended, since it was silent for too long"))
	}
	return nil
}

// passOn has the new process end, if one serves: it was meant, whoever got the signal.
func (d *daemon) passOn(by string) bool {
	pid := d.upgrades.Close()
	if pid == 0 {
		return false
	}
	d.log.Info("the end is passed on to the new process", zap.String("by", by), zap.Int("pid", pid))
	sig := syscall.SIGTERM
	if by == signalName(syscall.SIGUSR1) {
		sig = syscall.SIGUSR1
	}
	if err := syscall.Kill(pid, sig); err != nil {
		d.log.Error("cannot signal the new process", zap.Int("pid", pid), zap.Error(err))
	}
	return true
}

// passOnLast passes on what has asked for the end in the same moment in which the new process began to serve.
func (d *daemon) passOnLast(signals *signals) {
	select {
	case s := <-signals.end:
		d.passOn(signalName(s))
	case by := <-d.drains.asked:
		d.passOn(by)
	default:
	}
}

// passingTime is how long after an upgrade a second signal may be that of the process before, which is gone 2 s after it.
const passingTime = 10 * time.Second

// passedTwice reports whether a second signal to end is taken for the first one: Ctrl-C in a terminal, and a service manager that signals the
// whole group, reach both processes of an upgrade, and the old one passes its own on.
func (d *daemon) passedTwice() bool {
	if d.began.IsZero() || time.Since(d.began) > passingTime || !d.drains.twice.CompareAndSwap(false, true) {
		return false
	}
	d.log.Info("a second signal so soon after an upgrade is the first one, passed on by the process before; another one ends the drain")
	return true
}

// oldSide is the daemon as upgrade.Daemon.
type oldSide struct{ *daemon }

// Settle: see upgrade.Daemon.
func (d oldSide) Settle(ctx context.Context) (*handoff.State, func(), error) {
	if d.drains.begun.Load() {
		return nil, nil, errDraining
	}
	resumeReloads, err := d.reload.Pause(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("a reload is under way: %w", err)
	}
	place, resumeCloud, err := d.cloud.Pause(ctx)
	if err != nil {
		resumeReloads()
		return nil, nil, err
	}
	s, closeFiles, err := d.describe(place)
	release := func() {
		closeFiles()
		resumeCloud()
		resumeReloads()
	}
	if err != nil {
		release()
		return nil, nil, err
	}
	return s, release, nil
}

// describe returns the sockets and the parts that pass. closeFiles is to be called also after an error.
func (d oldSide) describe(place json.RawMessage) (s *handoff.State, closeFiles func(), err error) {
	st := d.fwd.Status()
	s = &handoff.State{
		Build: thisBuild().Version, PID: os.Getpid(), Engine: st.Engine, Loops: st.Loops, Base: d.fwd.Base(),
		Parts: map[string]handoff.Part{},
	}
	if s.Sockets, closeFiles, err = d.listening(); err != nil {
		return nil, closeFiles, err
	}
	if place != nil {
		s.Parts[partCloud] = place
	}
	if s.Parts[partProxy], err = d.fwd.Save(); err != nil {
		return nil, closeFiles, err
	}
	counts := d.upgrades.Counts()
	counts.Taken++ // this one, if it succeeds
	for name, value := range map[string]any{
		partSockets: d.sockets.all(), partUpgrades: counts, partServing: d.fwd.UpstreamsReady() == nil, partStore: d.keeper.Names(),
	} {
		if s.Parts[name], err = json.Marshal(value); err != nil {
			return nil, closeFiles, err
		}
	}
	return s, closeFiles, d.remember(s.Parts)
}

// Freeze: see upgrade.Daemon.
func (d oldSide) Freeze(ctx context.Context) (upgrade.Frozen, error) {
	var resume []func()
	for _, p := range d.ports {
		resume = append(resume, p.pause())
	}
	f, err := d.fwd.Freeze(ctx)
	if err != nil {
		resumeAll(resume)
		return nil, err
	}
	return stillSide{f, resume}, nil
}

// stillSide is a daemon that stands still, ports included.
type stillSide struct {
	*relay.Frozen
	ports []func() // let the ports accept again
}

// Resume: see upgrade.Frozen.
func (s stillSide) Resume() {
	s.Frozen.Resume()
	resumeAll(s.ports)
}

// resumeAll lets every port that was stopped accept again.
func resumeAll(all []func()) {
	for _, resume := range all {
		resume()
	}
}

// Final: see upgrade.Daemon.
func (d oldSide) Final() (map[string]handoff.Part, error) { return d.figures() }

// Gone: see upgrade.Daemon.
func (d oldSide) Gone(pid int) {
	if pid == 0 {
		d.notify.Restarting()
	} else {
		d.notify.HandedOver(pid)
	}
	for _, p := range d.ports {
		p.keepPath()
	}
}

// readyTime is how long a new process may take to find the usable upstream that the old one has. Tests are in more of a hurry.
var readyTime = 10 * time.Second

// takeOver takes the connections of the old process, and lets the loops run.
func (d *daemon) takeOver() error {
	if d.from == nil {
		return nil
	}
	frozen := d.fwd.Adopted()
	defer letGo(frozen)
	heir := &newSide{Frozen: frozen, counters: d.fwd.TakeCounters}
	err := d.asUsableAsBefore()
	if err == nil {
		err = d.from.TakeOver(heir)
	}
	if err != nil {
		frozen.Release() // whatever was taken is the old process's
		return err
	}
	frozen.Begin(heir.final.NextID)
	if !d.from.Late() {
		d.began = time.Now()
	}
	if part := d.from.Part(partUpgrades); part != nil {
		_ = json.Unmarshal(part, &d.counts) // no figure is worth an upgrade
	}
	d.tookOver(heir)
	d.recall(&heir.final)
	d.from.Close()
	return nil
}

// tookOver notes and logs what was taken over.
func (d *daemon) tookOver(heir *newSide) {
	build, pid := d.from.From()
	if err := d.from.Lost(); err != nil {
		d.log.Error("not all that the process before this one left could be taken over", zap.Error(err))
	}
	if d.from.Late() && heir.final.Still == 0 {
		d.log.Info("took over the listening sockets of a process that died", zap.Int("from", pid), zap.String("version", build))
		return
	}
	d.taken = &admin.TakenState{At: inSeconds(time.Now()), PID: pid, Version: build, Connections: heir.taken}
	if heir.final.Still != 0 {
		d.counts.Pause = time.Duration(handoff.Now() - heir.final.Still)
		d.taken.Pause = d.counts.Pause.Seconds()
	}
	d.log.Info("took over", zap.Int("from", pid), zap.String("version", build), zap.Int("connections", heir.taken),
		zap.Duration("pause", d.counts.Pause))
}

// asUsableAsBefore waits until an upstream is usable, if one was in the old process. Nothing is worth waiting for if that is gone.
func (d *daemon) asUsableAsBefore() (err error) {
	var serving bool
	if d.from.Late() {
		return nil
	}
	if part := d.from.Part(partServing); part == nil || json.Unmarshal(part, &serving) != nil || !serving {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), readyTime)
	defer cancel()
	for ctx.Err() == nil {
		if err = d.fwd.UpstreamsReady(); err == nil {
			return nil
		}
		sleep(ctx, 20*time.Millisecond)
	}
	return fmt.Errorf("the new process found no usable upstream within %s, and the running one has one: %w", readyTime, err)
}

// newSide is the daemon as upgrade.Heir.
type newSide struct {
	*relay.Frozen
	counters func(json.RawMessage) error
	taken    int
	final    handoff.Final
}

// Take: see upgrade.Heir.
func (n *newSide) Take(c *handoff.Conn) error {
	err := n.Frozen.Take(c)
	if err == nil {
		n.taken++
	}
	return err
}

// Settle: see upgrade.Heir.
func (n *newSide) Settle(f *handoff.Final) error {
	n.final = *f
	return errors.Join(n.counters(f.Parts[partCounters]), n.Taken())
}
