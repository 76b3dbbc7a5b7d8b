// Package hangup keeps a SIGHUP from ending a daemon that has only just been started. Go initializes packages in the order
// of their import paths as soon as what they import is there, so this one takes the signal long before main begins: it must
// import nothing but os/signal.
package hangup

import (
	"os"
	"os/signal"
	"syscall"
)

// Signals receives SIGHUP from the first moment on. It has room for one: one reload serves all requests before it.
var Signals = make(chan os.Signal, 1)

func init() { signal.Notify(Signals, syscall.SIGHUP) }

// Default gives SIGHUP its usual effect again, for verbs that end by it. If one has come, it takes effect now.
func Default() {
	signal.Stop(Signals)
	signal.Reset(syscall.SIGHUP)
	select {
	case <-Signals:
		_ = syscall.Kill(syscall.Getpid(), syscall.SIGHUP)
	default:
	}
}
