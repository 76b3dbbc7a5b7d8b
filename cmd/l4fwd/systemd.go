package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	sd "github.com/coreos/go-systemd/v22/daemon"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// notifier tells the service manager how the daemon is; see sd_notify(3). Without one it does nothing.
type notifier struct {
	watchdog time.Duration // how long it waits for a sign of life; 0: it does not
	log      *zap.Logger
	warned   sync.Once
}

func newNotifier(log *zap.Logger) *notifier {
	n := &notifier{log: log}
	if d, err := sd.SdWatchdogEnabled(false); err == nil {
		n.watchdog = d
	}
	return n
}

// send sends lines such as READY=1. That nobody takes them is no reason to end, but the first time is worth a line: the
// service manager will take the daemon for one that does not come up.
func (n *notifier) send(state string) {
	if _, err := sd.SdNotify(false, state); err != nil {
		n.warned.Do(func() {
			n.log.Warn("the service manager cannot be told how the daemon is", zap.Error(err),
				zap.String("NOTIFY_SOCKET", os.Getenv("NOTIFY_SOCKET")), zap.String("do", "under systemd use Type=notify; elsewhere unset NOTIFY_SOCKET"))
		})
	}
}

// reloading says that the configuration is loaded again; READY=1 follows. Type=notify-reload waits for both, and tells
// old messages from new ones by the time.
func (n *notifier) reloading() {
	n.send(sd.SdNotifyReloading + "\n" + sd.SdNotifyMonotonicUsec())
}

// keepalive sends signs of life, twice in the time the service manager allows, but only while alive, until ctx ends.
func (n *notifier) keepalive(ctx context.Context, alive func(context.Context) error) {
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

// socket is a listening socket from the service manager.
type socket struct {
	name string // FileDescriptorName= of the socket unit
	fd   int
	addr netip.AddrPort // where it listens
}

// firstPassed is SD_LISTEN_FDS_START, sd_listen_fds(3).
const firstPassed = 3

// passedSockets returns the sockets the service manager opened for us, if any. release closes them; whoever uses one by
// then has a duplicate.
func passedSockets() (sockets []socket, release func(), err error) {
	files := activation.Files(true)
	release = func() {
		for _, f := range files {
			f.Close()
		}
	}
	for i, f := range files {
		// Not f.Fd(), which would make the socket blocking.
		s := socket{name: f.Name(), fd: firstPassed + i}
		if s.addr, err = listeningOn(s.fd); err != nil {
			release()
			return nil, nil, fmt.Errorf("socket %q (descriptor %d) from the service manager: %w; it needs ListenStream=", s.name, s.fd, err)
		}
		sockets = append(sockets, s)
	}
	return sockets, release, nil
}

// listeningOn returns the address that a socket accepts TCP connections on.
func listeningOn(fd int) (netip.AddrPort, error) {
	accepts, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	if err != nil {
		return netip.AddrPort{}, err
	}
	if accepts == 0 {
		return netip.AddrPort{}, errorText("does not listen")
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return netip.AddrPort{}, err
	}
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port)), nil
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), uint16(sa.Port)), nil
	}
	return netip.AddrPort{}, errorText("is no TCP socket")
}
