package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/config"
	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/ports"
	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/systemd"
	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/upgrade"
	"github.com/l4fwd/l4fwd/proxy/handoff"
)

// A restart by systemd is a stop and a start, and SIGUSR1 (RestartKillSignal=) tells it from a stop. The process that is stopped leaves its
// connections in the store for descriptors, and the one that is started takes them over. The listening sockets are in
// the store all the time, for the process that follows one that died.

// inherit finds out what this process takes over: from a process that runs, or from what one that is gone has left in the store.
func (d *daemon) inherit() error {
	var err error
	if d.passed, err = systemd.Inherit(); err != nil {
		d.passed = &systemd.Passed{}
		return err
	}
	var kept []upgrade.Kept
	var names []string
	for _, s := range d.passed.Stored {
		kept = append(kept, upgrade.Kept(s))
		names = append(names, s.Name)
	}
	if d.from == nil {
		d.from = upgrade.Unpack(kept, d.log.Logger)
	}
	if err := d.from.Greet(thisBuild().Version, upgradeAt); err != nil {
		return err
	}
	if part := d.from.Part(partStore); part != nil && !d.from.Late() {
		if err := json.Unmarshal(part, &names); err != nil {
			return err
		}
	}
	d.keeper = upgrade.NewKeeper(d.notify, d.log.Logger, names)
	return nil
}

// keepSockets has the service manager keep the listening sockets there are now.
func (d *daemon) keepSockets() {
	if !d.notify.Managed() {
		return
	}
	all, closeFiles, err := d.listening()
	defer closeFiles()
	if err != nil {
		d.log.Debug("the listening sockets are not kept for the process after this one", zap.Error(err))
		d.keeper.Drop()
		return
	}
	d.keeper.Keep(&handoff.State{Build: thisBuild().Version, PID: os.Getpid(), Sockets: all})
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
