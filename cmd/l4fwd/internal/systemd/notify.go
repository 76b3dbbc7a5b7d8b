// Package systemd speaks to a service manager: it reports the daemon's state and takes over listening sockets. Without a
// service manager all of it does nothing.
package systemd

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"
	"go.uber.org/zap"
)

// Notifier reports the daemon's state to the service manager; see sd_notify(3).
type Notifier struct {
	watchdog time.Duration // the longest time without a sign of life; 0: the service manager expects none
	log      *zap.Logger
	warned   sync.Once
}

// NewNotifier returns a notifier for the service manager that the environment names, if it names one.
func NewNotifier(log *zap.Logger) *Notifier {
	n := &Notifier{log: log}
	if d, err := sd.SdWatchdogEnabled(false); err == nil {
		n.watchdog = d
	}
	return n
}

// Ready reports that the daemon accepts clients, or that a reload has ended.
func (n *Notifier) Ready() { n.send(sd.SdNotifyReady) }

// HandedOver reports that another process serves in the place of this one. It makes that the main process of the unit.
func (n *Notifier) HandedOver(pid int) {
	main := fmt.Sprintf("MAINPID=%d\n", pid)
	if id := pidfdID(pid); id != 0 {
		main += fmt.Sprintf("MAINPIDFDID=%d\n", id) // not MAINPIDFD=1: a systemd before 257 warns of a descriptor that it does not expect
	}
	n.send(main + sd.SdNotifyReady)
}

// TookOver reports that this process serves in the place of another one. It needs NotifyAccess=all; without it HandedOver of the other
// process counts.
func (n *Notifier) TookOver() { n.HandedOver(os.Getpid()) }

// Status reports the state in one line, for `systemctl status`.
func (n *Notifier) Status(text string) { n.send("STATUS=" + text) }

// Reloading reports that the configuration is being loaded again; Ready must follow. Type=notify-reload waits for both, and
// distinguishes old messages from new ones by the time.
func (n *Notifier) Reloading() { n.send(sd.SdNotifyReloading + "\n" + sd.SdNotifyMonotonicUsec()) }

// Stopping reports that a drain has begun that may take as long as most.
func (n *Notifier) Stopping(most time.Duration) {
	n.send(fmt.Sprintf("%s\nSTATUS=draining\nEXTEND_TIMEOUT_USEC=%d", sd.SdNotifyStopping, most.Microseconds()))
}

// Restarting reports that this process is about to end and has left its connections in the store.
func (n *Notifier) Restarting() {
	n.send(sd.SdNotifyStopping + "\nSTATUS=restarting: the connections wait for the next process")
}

// send sends lines such as READY=1. A failed notification is not fatal. It is logged once, since the service manager will
// take the daemon for one that does not come up.
func (n *Notifier) send(state string) {
	if _, err := sd.SdNotify(false, state); err != nil {
		n.warned.Do(func() {
			n.log.Warn("cannot notify the service manager: it may take the daemon for one that does not start; logged once", zap.Error(err),
				zap.String("NOTIFY_SOCKET", os.Getenv("NOTIFY_SOCKET")), zap.String("do", "under systemd use Type=notify; elsewhere unset NOTIFY_SOCKET"))
		})
	}
}

// Watchdog sends signs of life until ctx ends, while alive returns nil. It sends two in the time that the service manager
// allows, and returns at once if the service manager expects none.
func (n *Notifier) Watchdog(ctx context.Context, alive func(context.Context) error) {
	if n.watchdog <= 0 {
		return
	}
	t := time.NewTicker(n.watchdog / 2)
	defer t.Stop()
	for {
		limited, cancel := context.WithTimeout(ctx, n.watchdog/4)
		if alive(limited) == nil {
			n.send(sd.SdNotifyWatchdog)
		}
		cancel()
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}
