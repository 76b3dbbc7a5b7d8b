// Package hangup keeps a SIGHUP, SIGUSR1 or SIGUSR2 from ending a daemon that has only just been started. Go initializes packages in the order
// of their import paths as soon as what they import is there, so this one takes the signals long before main begins: it must
// import nothing but os/signal.
package hangup

import (
	"os"
	"os/signal"
	"syscall"
)

// Signals receives SIGHUP from the first moment on. It has room for one: one reload serves all requests before it.
var Signals = make(chan os.Signal, 1)

// Upgrades receives SIGUSR2 likewise.
var Upgrades = make(chan os.Signal, 1)

// Restarts receives SIGUSR1 likewise.
var Restarts = make(chan os.Signal, 1)

func init() {
	signal.Notify(Signals, syscall.SIGHUP)
	signal.Notify(Upgrades, syscall.SIGUSR2)
	signal.Notify(Restarts, syscall.SIGUSR1)
}

// Default gives the signals their usual effects again, for verbs that end by them. If a SIGHUP has come, it takes effect now.
func Default() {
	signal.Stop(Signals)
	signal.Stop(Upgrades)
	signal.Stop(Restarts)
	signal.Reset(syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2)
	select {
	case <-Signals:
		_ = syscall.Kill(syscall.Getpid(), syscall.SIGHUP)
	default:
	}
}
