package relay

import "fmt"

const epollSupported = true

// epoll is the engine of event loops on epoll(7).
type epoll struct{ loopGroup }

// startEpoll opens loops and listeners and has the loops run. An error leaves nothing open.
func startEpoll(o Options) (engine, error) {
	e := &epoll{}
	e.startClock(&o)
	for i := range o.Loops {
		l, err := newLoop(i, &o, &e.shared)
		if err != nil {
			e.discard()
			return nil, fmt.Errorf("start event loop %d: %w", i, err)
		}
		e.loops = append(e.loops, l)
	}
	if err := e.listenAll(&o); err != nil {
		e.discard()
		return nil, err
	}
	if o.Adopt != nil {
		e.adopt()
	} else if err := e.acceptAll(); err != nil {
		e.discard()
		return nil, err
	}
	for _, l := range e.loops {
		e.ended.Go(l.run)
	}
	return e, nil
}

// acceptAll begins to accept from all listeners.
func (e *epoll) acceptAll() error {
	for _, l := range e.loops {
		for _, a := range l.lns {
			if !l.setAccept(a, true) {
				return fmt.Errorf("start event loop %d: the kernel has no room to watch listener %q", l.id, a.ln.Name)
			}
		}
	}
	return nil
}

// newLoop returns a loop that does not turn yet. After an error nothing of it is open.
func newLoop(id int, o *Options, s *shared) (*loop, error) {
	l := &loop{}
	return l, l.init(id, o, s)
}
