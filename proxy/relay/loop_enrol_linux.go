package relay

// enroller has the sockets of connections that come from another process watched. It works beside the goroutine that takes the connections:
// two thirds of a hand-over's time on the new side are epoll_ctl(2).
type enroller struct {
	waiting []enrolment
	work    chan []enrolment // nil: nobody works
	done    chan struct{}    // closed once all that was given to work is watched
	failed  []enrolment      // those that the kernel has no room for; to be read after done
}

// enrolment is a socket that is to be watched.
type enrolment struct {
	l  *loop
	c  *conn
	s  side
	id uint64
}

// enrolAtOnce is how many sockets are given to the worker together. Tests have fewer connections.
var enrolAtOnce = 100

// add has the sockets of a connection watched soon.
func (e *enroller) add(l *loop, c *conn) {
	for s := range c.ends {
		if c.ends[s].fd >= 0 {
			e.waiting = append(e.waiting, enrolment{l, c, side(s), c.flow.ID})
		}
	}
	if len(e.waiting) >= enrolAtOnce {
		e.pass()
	}
}

// pass gives those that wait to the worker.
func (e *enroller) pass() {
	if e.work == nil {
		e.work, e.done = make(chan []enrolment, 64), make(chan struct{})
		go e.enrol(e.work, e.done)
	}
	e.work <- e.waiting
	e.waiting = nil
}

// enrol is the worker. It ends with work.
func (e *enroller) enrol(work <-chan []enrolment, done chan<- struct{}) {
	defer close(done)
	for all := range work {
		e.watch(all)
	}
}

// watch has sockets watched.
func (e *enroller) watch(all []enrolment) {
	for _, n := range all {
		if !n.l.watch(n.c, n.s) {
			e.failed = append(e.failed, n)
		}
	}
}

// finish returns once every socket is watched, but for those in failed.
func (e *enroller) finish() {
	if e.work != nil {
		close(e.work)
		<-e.done
		e.work = nil
	}
	e.watch(e.waiting) // a few are not worth waking another thread
	e.waiting = nil
}
