package relay

import (
	"fmt"

	"github.com/l4fwd/l4fwd/proxy/relay/ring"
)

// probeUring returns nil if io_uring can be used by so many loops, or why not.
func probeUring(loops int) error { return ring.Probe(ringNeed(loops)) }

// provenUring returns nil if io_uring may be used by so many loops without being asked for, or why not.
func provenUring(loops int) error {
	if err := ring.Proven(); err != nil {
		return err
	}
	return probeUring(loops)
}

// ringNeed is what the rings of so many loops need.
func ringNeed(loops int) ring.Need {
	return ring.Need{Rings: loops, Requests: ringSize.requests, Completions: ringSize.completions, Buffers: ringSize.buffers}
}

// uring is the engine of event loops on io_uring(7), with epoll for the connections that are better served by it.
type uring struct {
	loopGroup
	members []*uringLoop
}

// startUring opens loops and listeners and has the loops run, each with a ring of its own. An error leaves nothing open.
func startUring(o Options) (engine, error) {
	u := &uring{}
	u.startClock(&o)
	for i := range o.Loops {
		l, err := newUringLoop(i, &o, &u.shared)
		if err != nil {
			u.discard()
			return nil, fmt.Errorf("start event loop %d: %w", i, err)
		}
		u.loops = append(u.loops, &l.loop)
		u.members = append(u.members, l)
	}
	if err := u.listenAll(&o); err != nil {
		u.discard()
		return nil, err
	}
	if o.Adopt != nil {
		u.adopt()
	}
	for i, l := range u.members {
		started := make(chan error)
		u.ended.Go(func() { l.run(started) })
		if err := <-started; err != nil {
			for _, rest := range u.loops[i+1:] {
				rest.close()
			}
			u.loops, u.members = u.loops[:i], u.members[:i]
			u.abandon()
			return nil, fmt.Errorf("start event loop %d: %w", i, ringNeed(o.Loops).Explain(err))
		}
	}
	return u, nil
}

// abandon ends those loops that run, where not all do.
func (u *uring) abandon() {
	if u.adopting {
		u.giveUp()
		return
	}
	u.stopAccepting()
	u.stop()
}

// newUringLoop returns a loop without a ring: its goroutine makes that, see run. After an error nothing of it is open.
func newUringLoop(id int, o *Options, s *shared) (*uringLoop, error) {
	l := &uringLoop{cancelling: map[uint64]bool{}}
	if err := l.init(id, o, s); err != nil {
		return nil, err
	}
	l.io = l
	l.host = l
	l.notice = int64(ringNotice)
	return l, nil
}
