//go:build !linux

package health

import (
	"net"
	"syscall"
	"time"
)

// unread is not known here: a caller is silent until its bytes are read.
func unread(syscall.RawConn, uint64) bool { return false }

// holdBack reports that the kernel keeps nobody.
func holdBack(net.Listener, time.Duration) (before int, ok bool) { return 0, false }
