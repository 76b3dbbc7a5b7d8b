package soak

import (
	"fmt"
	"math"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// The ways to die. In each, the listener is closed, which resets what was not accepted.
const (
	dieByReset  = "reset"
	dieByFIN    = "FIN"
	dieSilently = "silence"    // what is open is not answered, and reset when the address comes back
	dieToHole   = "black hole" // what is open is reset, and attempts to connect get no answer
	dieDark     = "dark path"  // no packet passes in either direction, until the address comes back; what is open is reset then
)

var soakDeaths = []string{dieByReset, dieByReset, dieByFIN, dieByFIN, dieSilently, dieToHole, dieDark}

func (v *soakServer) die(how string) {
	begun := time.Now()
	v.mu.Lock()
	defer v.mu.Unlock()
	v.lived.close(begun)
	v.died.open(begun)
	if how == dieDark {
		v.darken(begun) // before the listener closes: its resets must not arrive
	}
	if how == dieSilently {
		close(v.life.silent)
	}
	v.ln.Close()
	v.mu.Unlock() // accept takes it
	v.accepting.Wait()
	v.mu.Lock()
	switch how {
	case dieByFIN:
		for c := range v.conns {
			c.Close()
		}
		close(v.life.gone)
	case dieByReset:
		v.bury()
	case dieToHole:
		v.bury()
		v.dig()
	}
	v.died.close(time.Now())
	v.note("died by " + how)
}

// darken cuts the path to the address. The caller holds mu.
func (v *soakServer) darken(at time.Time) {
	d, err := cutPath(v.addr.Addr().String(), int(v.addr.Port()), 0)
	if err != nil {
		v.s.fail(fmt.Sprintf("dark path of %s: %v", v.addr, err))
		return
	}
	v.dark = d
	v.darkened.open(at)
}

// isDark returns for how long the path has been dark; the longest time if it is not.
func (v *soakServer) isDark() time.Duration {
	if since, dark := v.darkened.now(); dark {
		return time.Since(since)
	}
	return math.MaxInt64
}

// brighten restores the path if it is dark. The caller holds mu.
func (v *soakServer) brighten() {
	if v.dark == nil {
		return
	}
	if err := v.dark.restore(); err != nil {
		v.s.fail(fmt.Sprintf("dark path of %s: %v", v.addr, err))
	}
	v.dark = nil
	v.darkened.close(time.Now())
}

// note records what happened. The caller holds mu.
func (v *soakServer) note(what string) {
	v.history = append(v.history, time.Now().Format("15:04:05.000 ")+what)
}

// lately returns what happened between two times, and what was last before.
func (v *soakServer) lately(from, to time.Time) string {
	if v == nil {
		return ""
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	var all []string
	for _, h := range v.history {
		switch at := h[:12]; {
		case at < from.Local().Format("15:04:05.000"):
			all = []string{h}
		case at <= to.Local().Format("15:04:05.000"):
			all = append(all, h)
		}
	}
	return fmt.Sprintf("%s %s: %q", v.up.name, v.addr, all)
}

// dig has attempts to connect stay without an answer: a queue of one that is full. The caller holds mu.
func (v *soakServer) dig() {
	ln, err := net.Listen("tcp4", v.addr.String())
	if err != nil {
		v.s.fail(fmt.Sprintf("black hole at %s: %v", v.addr, err))
		return
	}
	v.hole = append(v.hole, ln)
	raw, err := ln.(*net.TCPListener).SyscallConn()
	if err != nil {
		v.s.fail(fmt.Sprintf("black hole at %s: %v", v.addr, err))
		return
	}
	full := false
	for range 50 {
		_ = raw.Control(func(fd uintptr) {
			_ = unix.Listen(int(fd), 0) // listen again changes the backlog, listen(2)
			// Of a listener, these are the connections in its queue and how many may be.
			info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
			full = err == nil && info.Unacked > info.Sacked
		})
		if full {
			return
		}
		if c, err := net.DialTimeout("tcp4", v.addr.String(), 100*time.Millisecond); err == nil {
			v.hole = append(v.hole, c)
		}
	}
	v.s.fail(fmt.Sprintf("black hole at %s: the queue does not fill", v.addr))
}
