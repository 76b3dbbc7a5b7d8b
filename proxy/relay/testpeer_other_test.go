//go:build !linux

package relay

import (
	"net"
	"net/netip"
	"testing"
	"time"
)

// What these do on Linux has no like elsewhere; the scenarios that need them are skipped.

func (p *peer) unacked() int { return 0 }

func blackhole(t testing.TB, _ netip.Addr) (netip.AddrPort, func() *net.TCPListener) {
	t.Skip("needs Linux")
	return netip.AddrPort{}, nil
}

func memoryAborts() int { return 0 }

func cpuTime() time.Duration { return 0 }

func kept(engine) int64 { return 0 }

func unread(t testing.TB, p *peer) int { panic("for Linux only") }
