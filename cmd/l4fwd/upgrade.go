package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/admin"
	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/config"
	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/plain"
	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/ports"
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
			case errors.Is(err, admin.ErrNoDaemon):
				return unanswered(fmt.Errorf("%w; where the admin port is off, or has another address in the file now, send the daemon SIGUSR2", err))
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

// sameSocket reports whether two listeners accept from the same socket.
func sameSocket(a, b config.Listener) bool { return a.Name == b.Name && a.Address == b.Address }

// left leaves everything to the process that the service manager starts next, and reports whether it could. The caller drains if it
// could not.
func (d *daemon) left(by string) bool {
	err := d.upgrades.Leave(by, d.restartable)
	if err != nil {
		d.log.Warn("a restart that drains: the connections can't be left to the next process", zap.String("by", by), zap.Error(err))
	}
	return err == nil
}

// restartable returns why the next process could not go on with the connections: nobody could take them back then.
func (d *daemon) restartable() error {
	l := d.again()
	switch wanted := d.settings.Load().EIP.Wanted(); {
	case d.drains.begun.Load():
		return errDraining
	case l.Faults.Bad():
		return errors.New("the configuration on disk is faulty: " + strings.Join(faultTexts(l.Faults), "; "))
	case wanted && !l.Config.EIP.Wanted():
		return errors.New("eip.pool is off now, and a drain releases the address")
	case l.Config.Engine == "portable":
		return errors.New("the engine portable takes nothing over")
	}
	return movedOnItsPort(d.settings.Load().Listeners, l.Config.Listeners)
}

// movedOnItsPort returns an error for a listener whose port stays and whose address changes between one address and all: the socket
// that is kept is in the way of the new one.
func movedOnItsPort(used, next []config.Listener) error {
	for _, n := range next {
		for _, u := range used {
			from, to := u.Address.AddrPort, n.Address.AddrPort
			if from.Port() == to.Port() && from.Addr() != to.Addr() && (from.Addr().IsUnspecified() || to.Addr().IsUnspecified()) {
				return fmt.Errorf("the listener %s moves from %s to %s, the same port: stop l4fwd, and start it", n.Name, from, to)
			}
		}
	}
	return nil
}

// lastRestart is how long a process that is restarted still answers requests that it has begun to serve: the connections stand still.
const lastRestart = 100 * time.Millisecond

// lastAnswers returns how long requests are still answered that have begun; 0 after a drain, when no answer is worth anything.
func (d *daemon) lastAnswers() time.Duration {
	if d.upgrades.Close() != 0 {
		return ports.LastAnswers
	}
	select {
	case <-d.upgrades.Gone():
		return lastRestart
	default:
		return 0
	}
}
