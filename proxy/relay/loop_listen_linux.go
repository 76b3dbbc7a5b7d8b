package relay

import "golang.org/x/sys/unix"

// Listeners that come and go while the loop runs.

// attach gives a listening socket a place among the loop's. A place is free again once its socket was closed and the
// kernel has no request of it.
func (l *loop) attach(a *acceptor) {
	if !a.shared {
		l.steer(a.fd)
	}
	for i, old := range l.lns {
		if old.fd < 0 && old.armed == 0 {
			a.index, l.lns[i] = i, a
			return
		}
	}
	a.index = len(l.lns)
	l.lns = append(l.lns, a)
}

// steer has the kernel prefer a listening socket for clients of the loop's CPU, or for none: it may be another process's, with an option of that.
func (l *loop) steer(fd int32) {
	cpu := -1
	if l.opts.Steered {
		cpu = cpuInTurn(l.id)
	}
	// Where the kernel refuses it, chance decides as it does without.
	_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_INCOMING_CPU, cpu)
}

// cpuInTurn returns the nth of the CPUs that the process may use, counted round; -1 if they are not known.
func cpuInTurn(n int) int {
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) != nil || set.Count() == 0 {
		return -1
	}
	n %= set.Count()
	for cpu := 0; ; cpu++ {
		if set.IsSet(cpu) {
			if n == 0 {
				return cpu
			}
			n--
		}
	}
}

// relisten hands sockets on to the heirs of their listeners, closes those of listeners without one, and begins to accept
// from fresh ones. done is called once all that is over.
func (l *loop) relisten(heirs map[*Listener]*Listener, fresh []*acceptor, done func()) {
	for _, a := range l.lns {
		if heir := heirs[a.ln]; heir != nil && a.fd >= 0 {
			a.ln = heir
		}
	}
	kept := make(map[*Listener]bool, len(heirs))
	for _, heir := range heirs {
		kept[heir] = true
	}
	l.closeListeners(func(a *acceptor) bool { return !kept[a.ln] }, done)
	for _, a := range fresh {
		l.attach(a)
		if !l.host.setAccept(a, true) { // no memory for it: later
			l.pause(a)
		}
	}
}

// closeListeners closes the listeners for which which returns true, each after the clients that the kernel has queued for it were served,
// and calls done once all are closed.
func (l *loop) closeListeners(which func(*acceptor) bool, done func()) {
	left := 1
	closed := func() {
		if left--; left == 0 {
			done()
		}
	}
	for _, a := range l.lns {
		if a.fd >= 0 && a.closed == nil && which(a) {
			left++
			l.host.retire(a, closed)
		}
	}
	closed()
}
