package main

import (
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/hangup"
)

// signals are those the daemon reacts to.
type signals struct {
	end     chan os.Signal // SIGTERM, SIGINT: drain; a second one ends at once
	reload  chan os.Signal // SIGHUP
	upgrade chan os.Signal // SIGUSR2
	restart chan os.Signal // SIGUSR1, which the service manager sends for a restart
}

// catchSignals takes the signals from the runtime; those of package hangup are taken already. SIGPIPE is ignored: a log that nobody reads any
// more is no reason to drop connections.
func catchSignals() *signals {
	s := &signals{end: make(chan os.Signal, 2), reload: hangup.Signals, upgrade: hangup.Upgrades, restart: hangup.Restarts}
	signal.Notify(s.end, syscall.SIGTERM, syscall.SIGINT)
	signal.Ignore(syscall.SIGPIPE)
	return s
}

// release gives the signals their usual effects again, but those of package hangup: one during a drain must not change the exit status.
func (s *signals) release() {
	signal.Stop(s.end)
	signal.Reset(syscall.SIGPIPE)
}

// onEnd calls fn at the next signal to end, until the function it returns is called.
func (s *signals) onEnd(fn func()) (stop func()) {
	quit := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		select {
		case <-s.end:
			fn()
		case <-quit:
		}
	})
	return func() {
		close(quit)
		wg.Wait()
	}
}

// signalName is the operator's name of a signal that ends the daemon. The runtime's own name of SIGTERM is "terminated".
func signalName(s os.Signal) string {
	switch s {
	case syscall.SIGTERM:
		return "SIGTERM"
	case syscall.SIGINT:
		return "SIGINT"
	case syscall.SIGUSR1:
		return "SIGUSR1"
	}
	return s.String()
}
